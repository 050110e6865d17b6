//! A thousand processes, and a server that ends among them again and again.

use std::collections::BTreeMap;

use super::*;

const PROCESSES: usize = 1_000;

/// Ends the server so many commands after the last time.
const KILL_AFTER: usize = 700;

const SOURCE: &str = "|n|\n[\"one $n\"] -> sleep(1) -> { fork | [\"left $n\"]\n sleep(1) -> [\"right $n\"] } \
    -> [./sub: n] -> [\"three $n\"] -> print('done')";

/// All commands that a process runs.
const LINES: [&str; 4] = ["one", "left", "right", "three"];

// rule: operations/recovery
#[test]
fn a_thousand_processes_survive_kills_without_repeating_a_step() {
    let mut world = World::with(Limits { commands: 64, ..Limits::default() });
    world.jobflow("sub", "|n|\nsleep(1) -> return(n)");
    let job = world.jobflow("steps", SOURCE);
    let start = |world: &World, n: usize| {
        let checkpoint_mode = Some(n.is_multiple_of(4));
        let options = StartOptions { checkpoint_mode, ..StartOptions::default() };
        world.start_with(job, &[("n", Value::Int(n as i64))], options)
    };
    let ids: Vec<_> = (0..PROCESSES).map(|n| start(&world, n)).collect();
    let mut ended: Vec<String> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let (mut since, mut kills) = (0, 0);
    let begun = Instant::now();
    while world.engine().count_active() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", world.engine().count_active());
        let flying = world.runner.state.lock().started.pop_front();
        if let Some(flying) = flying {
            ended.push(flying.line());
            flying.exit(0, "out");
            since += 1;
        } else {
            let held = world.engine().inner.slots.all_held();
            let works = held.iter().any(|slot| slot.lock().phase != Phase::Idle);
            if works {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                world.clock.advance(Duration::from_millis(250));
            }
        }
        if since >= KILL_AFTER {
            (since, kills) = (0, kills + 1);
            let runner = Arc::clone(&world.runner);
            let answered = ended.len();
            world.crash();
            // What had begun and was not ended.
            let mut all = runner.all();
            for line in &ended[answered - all.len().min(answered)..] {
                if let Some(at) = all.iter().position(|held| held == line) {
                    all.swap_remove(at);
                }
            }
            open.extend(all);
        }
    }
    assert!(kills >= 4, "{kills}");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in ended.iter().chain(&open) {
        *counts.entry(line).or_default() += 1;
    }
    let (mut done, mut interrupted) = (0, 0);
    for (n, &id) in ids.iter().enumerate() {
        let info = world.info(id);
        let lines = LINES.map(|name| format!("{name} {n}"));
        let count = |line: &String| counts.get(line.as_str()).copied().unwrap_or(0);
        let was_open = |line: &String| open.iter().filter(|held| *held == line).count();
        if info.status == Status::Done {
            done += 1;
            for line in &lines {
                assert_eq!(count(line) - was_open(line), 1, "{line}: {info:?}");
            }
        } else {
            interrupted += 1;
            assert_ne!(n % 4, 0, "it goes on: {info:?} {}", world.console(id));
            for line in &lines {
                assert!(count(line) <= 1, "{line}: {info:?}");
            }
        }
    }
    println!(
        "processes={PROCESSES} kills={kills} done={done} interrupted={interrupted} repeated=0"
    );
    let active = Filter { active: Some(true), ..Filter::default() };
    assert_eq!(world.engine().list(&root(), &active, None, 10).unwrap(), []);
}

// rule: operations/recovery
#[test]
fn many_in_each_state_go_on_after_a_kill() {
    const EACH: usize = 150;
    /// Those that are active beside the ones that are still to begin.
    const ACTIVE: usize = EACH * 6 + 1;
    let mut world = World::with(Limits { active: ACTIVE, ..Limits::default() });
    let channel = world.object("/root", "ch", "Channel", &[]);
    let single = [("source", "sleep(50)".into()), ("multiplicity", Value::Int(1))];
    world.object("/root", "one", "Jobflow", &single);
    let holder = world.start(world.jobflow("holder", "[./one]"));
    world.waits(holder);
    let kinds = [
        ("asleep", "sleep(50)"),
        ("event", "<./ch>"),
        ("outside", "[./one]"),
        ("children", "{ fork | sleep(50)\n sleep(60) }"),
        ("paused", "suspend()"),
    ];
    let mut ids = vec![holder];
    for (name, source) in kinds {
        let job = world.jobflow(name, source);
        ids.extend((0..EACH).map(|_| world.start(job)));
    }
    ids.iter().for_each(|&id| world.waits(id));
    world.until("all children are there", || world.engine().count_active() == ids.len() + 2 * EACH);
    let job = world.jobflow("late", "return(1)");
    ids.extend((0..EACH).map(|_| world.start(job)));
    let all = world.engine().count_active();
    world.crash();
    assert_eq!(world.engine().count_active(), all);
    for &id in &ids[1 + 4 * EACH..1 + 5 * EACH] {
        world.until("it is paused", || world.info(id).suspended);
        assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    }
    for _ in 0..EACH {
        let push = |txn: &mut crate::tree::Txn| txn.queue_push(channel, &"m".into());
        world.tree().write(&root(), Durability::Lazy, push).unwrap();
    }
    let begun = Instant::now();
    while world.engine().count_active() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", world.engine().count_active());
        if world.clock.waiting() > 0 {
            world.clock.advance(Duration::from_secs(10));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for id in ids {
        assert_eq!(world.info(id).status, Status::Done, "{id} {}", world.console(id));
    }
}
