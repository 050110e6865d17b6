use super::*;
use crate::store::Durability;
use proptest::prelude::*;

const ID: ProcessId = ProcessId(7);

struct Console {
    store: Store,
    span: (u64, u64),
}

impl Console {
    fn new() -> Self {
        Self { store: Store::memory(), span: (0, 0) }
    }

    fn write(&mut self, texts: &[&str]) {
        let mut tail = Tail::default();
        texts.iter().for_each(|text| tail.push(text));
        let snapshot = self.store.snapshot();
        let plan = append(ID, self.span, &tail, || offsets(&snapshot, ID)).unwrap();
        let mut batch = self.store.batch(&snapshot);
        plan.puts.into_iter().for_each(|(key, value)| batch.put(Family::Console, key, value));
        plan.deletes.into_iter().for_each(|key| batch.delete(Family::Console, key));
        self.span = plan.span;
        self.store.commit(batch, Durability::Lazy).unwrap();
    }

    fn read(&self, from: u64) -> ConsoleText {
        read(&self.store.snapshot(), ID, from).unwrap()
    }
}

// rule: operations/console
#[test]
fn up_to_64_kib_are_kept_whole_and_one_byte_more_drops_a_line() {
    let mut console = Console::new();
    let line = format!("{}\n", "x".repeat(63));
    console.write(&[&line.repeat(1024)]);
    assert_eq!(console.read(0), ConsoleText { from: 0, text: line.repeat(1024) });
    console.write(&["y"]);
    assert_eq!(console.read(0), ConsoleText { from: 64, text: line.repeat(1023) + "y" });
}

// rule: operations/console
#[test]
fn a_line_longer_than_the_console_is_cut_between_characters() {
    let mut console = Console::new();
    console.write(&[&"監".repeat(30_000)]);
    let text = console.read(0).text;
    assert!(text.len() <= CONSOLE_MAX && text.len() > CONSOLE_MAX - 4);
    assert!(text.chars().all(|c| c == '監'));
}

#[test]
fn what_is_stored_stays_bounded_however_it_is_written() {
    let mut console = Console::new();
    for _ in 0..5_000 {
        console.write(&[&"z".repeat(99), "\n"]);
    }
    let snapshot = console.store.snapshot();
    let mut bytes = 0;
    snapshot
        .scan(Family::Console, &KeyRange::all(), Direction::Forward, &mut |_, chunk| {
            bytes += chunk.len();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(bytes <= 3 * CONSOLE_MAX, "{bytes}");
    assert_eq!(console.span.1, 500_000);
    console.write(&[&"w".repeat(10_000_000)]);
    assert_eq!(console.read(0).text.len(), CONSOLE_MAX);
    assert_eq!(console.span.1, 10_500_000);
    assert!(offsets(&console.store.snapshot(), ID).unwrap().len() < 20);
}

// rule: operations/console
#[test]
fn a_follower_reads_on_from_its_offset() {
    let mut console = Console::new();
    console.write(&["one\n"]);
    console.write(&["two\n"]);
    assert_eq!(console.read(4), ConsoleText { from: 4, text: "two\n".into() });
    assert_eq!(console.read(8), ConsoleText { from: 8, text: String::new() });
}

proptest! {
    #[test]
    fn the_kept_text_is_the_end_of_all_that_was_written(
        writes in prop::collection::vec(("[a監\n]{0,40}", 1_usize..2_000), 1..40)
    ) {
        let mut console = Console::new();
        let mut all = String::new();
        for (text, times) in &writes {
            let text = text.repeat(*times);
            console.write(&[&text]);
            all.push_str(&text);
        }
        let kept = console.read(0);
        prop_assert!(kept.text.len() <= CONSOLE_MAX);
        prop_assert_eq!(kept.from + kept.text.len() as u64, all.len() as u64);
        prop_assert!(all.ends_with(&kept.text));
        prop_assert!(kept.from == 0 || kept.text.len() > CONSOLE_MAX / 4 || kept.text.len() + 4 > CONSOLE_MAX || all[..kept.from as usize].ends_with('\n'));
    }
}
