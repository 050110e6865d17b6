//! Whether what is left of a killed run is what its reader was promised.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// The last line of a console that says which command was in flight.
const INTERRUPTED: &str = "interrupted: ";

/// How one process ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) console: String,
    pub(crate) status: String,
    pub(crate) exit: Json,
    pub(crate) result: Json,
    pub(crate) error: Json,
}

/// What a run leaves: its processes in the order in which they came to be, the steps that were
/// noted, and the texts it wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Left {
    pub(crate) ends: Vec<End>,
    pub(crate) steps: Vec<String>,
    pub(crate) texts: Vec<Json>,
}

/// One killed run.
#[derive(Debug)]
pub(crate) struct Killed<'a> {
    /// The run that nobody disturbed.
    pub(crate) calm: &'a Left,
    /// Consoles that the first process may show instead of its calm one.
    pub(crate) or: &'a [&'a str],
    pub(crate) checkpoint: bool,
    /// Steps that were noted when the server and its commands were gone.
    pub(crate) noted: Vec<String>,
    /// After the next server had come to rest.
    pub(crate) left: Left,
    /// After an operator took up the first process, which was interrupted.
    pub(crate) resumed: Option<Left>,
}

impl End {
    /// The command that it says was in flight.
    pub(crate) fn interrupted(&self) -> Option<&str> {
        if self.error != "interrupted" {
            return None;
        }
        Some(self.console.lines().last()?.strip_prefix(INTERRUPTED).unwrap_or_default())
    }
}

/// What is wrong; nothing if all is as promised.
pub(crate) fn wrong(killed: &Killed<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let (calm, left) = (killed.calm, &killed.left);
    let named: Vec<_> = left.ends.iter().filter_map(End::interrupted).collect();
    if named.contains(&"") {
        wrong.push("an interrupted process names no command".to_owned());
    }
    if killed.checkpoint && !named.is_empty() {
        wrong.push(format!("interrupted in checkpoint mode: {named:?}"));
    }
    // Without checkpoint mode nothing runs again by itself.
    let again = if killed.checkpoint { &killed.noted[..] } else { &[] };
    repeats(calm, &left.steps, again, &mut wrong);
    if named.is_empty() {
        let other = same(killed, left, None, &mut wrong);
        if left.texts != calm.texts {
            wrong.push(format!("texts {:?}, not {:?}", left.texts, calm.texts));
        }
        if !other {
            missing(calm, left, &mut wrong);
        }
    } else if let (Some(resumed), Some(named)) = (&killed.resumed, first(left)) {
        repeats(calm, &resumed.steps, &left.steps, &mut wrong);
        if !same(killed, resumed, Some(named), &mut wrong) {
            missing(calm, resumed, &mut wrong);
        }
    }
    wrong
}

/// What the first process says was in flight.
fn first(left: &Left) -> Option<&str> {
    left.ends.first().and_then(End::interrupted)
}

/// Each process ended as its undisturbed one; of one that was taken up again only the first is
/// looked at, without the line that names its command. Whether it showed what it may show instead.
fn same(killed: &Killed<'_>, left: &Left, named: Option<&str>, wrong: &mut Vec<String>) -> bool {
    let mut other = false;
    let calm = &killed.calm.ends;
    if named.is_none() && calm.len() != left.ends.len() {
        wrong.push(format!("{} processes, not {}", left.ends.len(), calm.len()));
    }
    let many = if named.is_some() { 1 } else { calm.len() };
    for (at, (calm, end)) in calm.iter().zip(&left.ends).enumerate().take(many) {
        let mut end = end.clone();
        if let Some(named) = named {
            end.console = mended(&calm.console, &end.console, named);
        }
        if !killed.or.is_empty() {
            other = killed.or.contains(&own(&end.console).as_str());
            if other || own(&end.console) == own(&calm.console) {
                end.console.clone_from(&calm.console);
            }
        }
        if end != *calm {
            wrong.push(format!("process {at}: {end:?}\n    undisturbed: {calm:?}"));
        }
    }
    other
}

/// What a program itself says between the words of a terminal.
fn own(console: &str) -> String {
    let lines = console.lines().filter_map(|line| line.find("= ").and_then(|at| line.get(at..)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The console of one that was taken up again, without what its broken attempt said and without
/// the line that names it.
fn mended(calm: &str, console: &str, named: &str) -> String {
    let line = format!("{INTERRUPTED}{named}\n");
    let Some((said, rest)) = console.split_once(&line) else { return console.to_owned() };
    match calm.strip_suffix(rest) {
        Some(before) if said.starts_with(before) => calm.to_owned(),
        _ => format!("{said}{rest}"),
    }
}

/// A run that came to its end did all of its steps.
fn missing(calm: &Left, left: &Left, wrong: &mut Vec<String>) {
    for step in &calm.steps {
        if !left.steps.contains(step) {
            wrong.push(format!("step {step} was never run"));
        }
    }
}

/// No step runs more often than in the undisturbed run; of each branch the last of those in `open`
/// may run once more, because nobody may have heard of its end.
fn repeats(calm: &Left, steps: &[String], open: &[String], wrong: &mut Vec<String>) {
    let mut last = BTreeMap::new();
    for step in open {
        last.insert(branch(step), step);
    }
    for (step, &times) in &count(steps) {
        let usual = count(&calm.steps).get(step).copied().unwrap_or(0);
        let allowed = usual + usize::from(last.get(branch(step)) == Some(step));
        if times > allowed {
            wrong.push(format!("step {step} was run {times} times, not {usual}"));
        }
    }
}

fn count(steps: &[String]) -> BTreeMap<&String, usize> {
    let mut count = BTreeMap::new();
    for step in steps {
        *count.entry(step).or_default() += 1;
    }
    count
}

fn branch(step: &str) -> &str {
    step.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(console: &str, error: &str) -> End {
        let status = if error.is_empty() { "DONE" } else { "ABORTED" };
        let (exit, result) = (Json::from(0), Json::from(""));
        End { console: console.into(), status: status.into(), exit, result, error: error.into() }
    }

    fn left(ends: &[End], steps: &[&str]) -> Left {
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        Left { ends: ends.to_vec(), steps, texts: Vec::new() }
    }

    fn judged(checkpoint: bool, noted: &[&str], end: Left, resumed: Option<Left>) -> Vec<String> {
        let calm = left(&[self::end("a\nb\n", "")], &["a.1", "a.2", "b.1"]);
        let noted = noted.iter().map(|&step| step.to_owned()).collect();
        wrong(&Killed { calm: &calm, or: &[], checkpoint, noted, left: end, resumed })
    }

    #[test]
    fn an_end_as_undisturbed_is_right_and_another_is_not() {
        let steps = ["a.1", "b.1", "a.2"];
        let none: Vec<String> = Vec::new();
        assert_eq!(judged(false, &[], left(&[end("a\nb\n", "")], &steps), None), none);
        assert_eq!(judged(false, &[], left(&[end("b\n", "")], &steps), None).len(), 1);
        assert_eq!(judged(false, &[], left(&[end("a\nb\n", "")], &["a.1", "b.1"]), None).len(), 1);
        let two = left(&[end("a\nb\n", ""), end("", "")], &steps);
        assert_eq!(judged(false, &[], two, None).len(), 1);
    }

    #[test]
    fn what_a_terminal_says_is_beside_the_point() {
        let calm = left(&[end("sh$ a\nsh$ = session 0\n= end\n", "")], &["a.1"]);
        let found = |console: &str| {
            let left = left(&[end(console, "")], &["a.1"]);
            let (noted, or) = (Vec::new(), &["= end\n"][..]);
            wrong(&Killed { calm: &calm, or, checkpoint: false, noted, left, resumed: None }).len()
        };
        assert_eq!(found("sh$ = session 0\nb\n= end\n"), 0);
        assert_eq!(found("a\n= end\n"), 0);
        assert_eq!(found("a\n= session 1\n= end\n"), 1);
    }

    #[test]
    fn only_checkpoint_mode_repeats_and_only_what_was_in_flight() {
        let twice = |step| left(&[end("a\nb\n", "")], &["a.1", "b.1", step, "a.2"]);
        assert_eq!(judged(true, &["a.1", "b.1"], twice("a.1"), None), [""; 0]);
        assert_eq!(judged(true, &["a.1", "b.1"], twice("b.1"), None), [""; 0]);
        assert_eq!(judged(false, &["a.1"], twice("a.1"), None).len(), 1);
        assert_eq!(judged(true, &["a.1", "a.2"], twice("a.1"), None).len(), 1);
        let thrice = left(&[end("a\nb\n", "")], &["a.1", "a.1", "a.1", "b.1", "a.2"]);
        assert_eq!(judged(true, &["a.1"], thrice, None).len(), 1);
    }

    #[test]
    fn an_interrupted_one_names_its_command_and_ends_right_when_taken_up() {
        let broken = |line: &str| left(&[end(&format!("a\n{line}\n"), "interrupted")], &["a.1"]);
        let good = left(&[end("a\ninterrupted: echo\nb\n", "")], &["a.1", "a.1", "a.2", "b.1"]);
        let named = || broken("interrupted: echo");
        assert_eq!(judged(false, &["a.1"], named(), Some(good.clone())), [""; 0]);
        assert_eq!(judged(true, &["a.1"], named(), None).len(), 1);
        assert_eq!(judged(false, &["a.1"], broken("gone"), None).len(), 1);
        let said = left(&[end("a\nhalf\ninterrupted: echo\nb\n", "")], &["a.1", "a.2", "b.1"]);
        assert_eq!(judged(false, &["a.1"], named(), Some(said)), [""; 0]);
        let mut bad = good;
        bad.ends[0].console.push('c');
        assert_eq!(judged(false, &["a.1"], named(), Some(bad)).len(), 1);
    }
}
