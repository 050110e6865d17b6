//! The server ends at every commit of a process, one after the other, for a table of jobflows
//! that hold every kind of statement.

use std::collections::BTreeMap;

use super::*;
use crate::engine::inner::Kill;

/// Name, source, and the other jobflows it calls.
const PROGRAMS: &[(&str, &str)] = &[
    ("assign", "[x = 1] -> [y = x + 1] -> print(x, y) -> return(y)"),
    ("command", "print('a') -> ['one'] -> print($RESULT) -> ['two'] -> print($RESULT)"),
    ("script", "[./sh] -> print($RESULT)"),
    ("failing", "['fail'] => print($STATUS) -> ['fail'] -> print('never')"),
    ("connectors", "['fail'] =>> print('b') ->> ['one'] => print('c')"),
    (
        "update",
        "['1' >> ./text.text] -> [./text.text + '2' >> ./text.text] -> sleep(1) -> [./text.text + '3' >> ./text.text] -> print(./text.text)",
    ),
    ("call", "[./sub: 3] -> print($RESULT) -> ['one'] -> [./sub: 4] -> print($RESULT)"),
    ("tail", "|n = 3|\nprint(n) -> sleep(1) -> { if n > 0 | self(n - 1) }"),
    (
        "control",
        "{ for i in 3 | print(i) -> { if i == 1 | then: ['one'] else: sleep(1) } } -> { case 'ab' | 'x': print('x') 'a*': ['two'] }",
    ),
    (
        "while",
        "[n = 0] -> { while n < 3 | [n = n + 1] -> ['one'] -> { if n == 2 | break } } -> print(n)",
    ),
    ("try", "{ try | ['one'] -> ['fail'] -> print('never') } => print($STATUS, $ERROR)"),
    (
        "event",
        "<./ch> -> print($RESULT) -> ['one'] -> <./ch ? 'm*' : timeout=5> => print($STATUS, $RESULT)",
    ),
    ("choice", "{ choice | <./none: timeout=3> => print('late')\n <./ch> -> print($RESULT) }"),
    ("send", "[./none.send: 'self'] -> sleep(1) -> <./none> -> print($RESULT)"),
    (
        "fork",
        "{ fork | ['one'] -> print('a')\n sleep(2) -> print('b') -> exit(3)\n [./sub: 1] -> print($RESULT) } => print($STATUS)",
    ),
    ("pfor", "{ pfor i in 4 | [\"n $i\"] -> print(i) } -> print($STATUS)"),
    ("lock", "{ fork | [./single] -> print('a')\n [./single] -> print('b') } -> print('both')"),
    (
        "wait",
        "{ fork | detach() -> sleep(2) -> ['one'] -> exit(0, 'r') } -> <$RESULT[0]> => print($STATUS)",
    ),
    ("suspend", "print('a') -> suspend() -> ['one'] -> print('b')"),
    ("exit", "['one'] -> exit(4, 'r', 'e')"),
    ("abort", "['one'] -> abort('gone')"),
    ("assert", "['one'] -> { try | assert(1 == 2) } => print($STATUS) -> sleep(1)"),
];

/// What is left of a process and its children, by the order in which they came to be.
#[derive(Debug, Clone, PartialEq)]
struct Left {
    consoles: Vec<String>,
    ends: Vec<(Status, Option<i64>, Value, Value)>,
    text: Option<Value>,
    commands: BTreeMap<String, usize>,
    /// Commands whose end may not have been written when the server ended.
    open: Vec<String>,
}

/// Processes have other numbers in each run.
fn nameless(value: &Value) -> Value {
    match value {
        Value::Object(Ref::Process(_)) => "process".into(),
        Value::Array(values) => Value::Array(values.iter().map(nameless).collect()),
        other => other.clone(),
    }
}

struct Bench {
    world: World,
    commands: BTreeMap<String, usize>,
    open: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        world.object("/root", "none", "Channel", &[]);
        world.jobflow("sub", "|n|\nsleep(1) -> ['one'] -> return(n * 2)");
        let single = [("source", "['one'] -> sleep(1)".into()), ("multiplicity", Value::Int(1))];
        world.object("/root", "single", "Jobflow", &single);
        world.object("/root", "sh", "ScriptJob", &[("source", "#!/bin/sh\necho s\n".into())]);
        Self { world, commands: BTreeMap::new(), open: Vec::new() }
    }

    /// Puts the tree into the state in which each run begins.
    fn reset(&mut self) {
        self.commands.clear();
        self.open.clear();
        self.world.object("/root", "text", "Text", &[("text", "".into())]);
        let channel = self.world.object("/root", "ch", "Channel", &[]);
        let write = self.world.tree().write(&root(), Durability::Lazy, |txn| {
            txn.queue_clear(channel)?;
            txn.queue_push(channel, &"first".into())?;
            txn.queue_push(channel, &"message".into())
        });
        write.unwrap();
    }

    /// Ends the commands that were started, and counts them.
    fn answer(&mut self) -> bool {
        let flying = self.world.runner.state.lock().started.pop_front();
        let Some(flying) = flying else { return false };
        let line = flying.line();
        *self.commands.entry(line.clone()).or_default() += 1;
        let status = i64::from(line == "fail");
        flying.output.text(crate::remote::Stream::Out, &format!("said by {line}\n"));
        flying.end(exited(status, &format!("<{line}>"), ""));
        if self.world.engine().inner.kill.dead() {
            self.open.push(line);
        }
        true
    }

    /// Drives the process to its end, or to the moment at which the server ends; answers whether
    /// it came to its end.
    fn drive(&mut self, id: ProcessId) -> bool {
        let begun = Instant::now();
        loop {
            if self.world.engine().inner.kill.dead() {
                return false;
            }
            let info = self.world.info(id);
            let quiet = self.world.engine().count_active() == 0;
            if !info.status.is_active() && quiet {
                return true;
            }
            if self.answer() {
                continue;
            }
            if info.suspended {
                let _ = self.world.engine().resume(&root(), id, Modes::default());
                continue;
            }
            // Nobody works: time goes on.
            let held = self.world.engine().inner.slots.all_held();
            let idle = held.iter().all(|slot| slot.lock().phase == Phase::Idle)
                && self.world.engine().inner.queue.is_empty();
            drop(held);
            if idle && self.world.clock.waiting() > 0 {
                self.world.clock.advance(Duration::from_millis(500));
            }
            std::thread::yield_now();
            assert!(begun.elapsed() < PATIENCE, "{info:?}: {}", self.world.console(id));
        }
    }

    fn family(&self, id: ProcessId) -> Vec<ProcessId> {
        let newest = self.world.engine().list(&root(), &Filter::default(), None, 40).unwrap();
        newest.iter().rev().map(|info| info.id).filter(|&other| other >= id).collect()
    }

    fn left(&self, id: ProcessId) -> Left {
        let family = self.family(id);
        let text = self.world.resolve("/root/text");
        let ends = family.iter().map(|&id| {
            let info = self.world.info(id);
            let (result, error) = (nameless(&info.result), nameless(&info.error));
            (info.status, info.exit_status, result, error)
        });
        Left {
            consoles: family.iter().map(|&id| self.world.console(id)).collect(),
            ends: ends.collect(),
            text: self.world.tree().view().get(&root(), text).unwrap().fields.get("text").cloned(),
            commands: self.commands.clone(),
            open: self.open.clone(),
        }
    }

    /// Starts the program and ends the server at its `at`-th commit, before or after it; `None`:
    /// it came to its end before. Answers what is left when the next server is done.
    fn killed(&mut self, job: ObjectId, at: i64, kill: Kill, checkpoint: bool) -> Option<Case> {
        self.reset();
        let last = self.family(ProcessId(0)).last().copied().unwrap_or(ProcessId(0));
        self.world.engine().inner.kill.arm(at, kill);
        let options = StartOptions { checkpoint_mode: Some(checkpoint), ..Default::default() };
        let started = self.world.engine().execute(&root(), job, Params::default(), options);
        if let Ok(id) = started
            && self.drive(id)
        {
            self.world.engine().inner.kill.disarm();
            return None;
        }
        // Commands that were started and not answered have begun, too.
        for flying in self.world.runner.state.lock().started.drain(..) {
            *self.commands.entry(flying.line()).or_default() += 1;
            self.open.push(flying.line());
        }
        self.world.crash();
        let id = match started {
            Ok(id) => id,
            // Its start was not acknowledged: it is there, or it is not.
            Err(_) => match self.family(ProcessId(last.0 + 1)).first() {
                Some(&id) => id,
                None => return Some(Case::Nothing),
            },
        };
        assert!(self.drive(id), "nobody ends the second server");
        let interrupted: Vec<_> = self
            .family(id)
            .into_iter()
            .filter(|&id| self.world.info(id).error == "interrupted".into())
            .collect();
        if interrupted.is_empty() {
            return Some(Case::Same(self.left(id)));
        }
        let mut named = Vec::new();
        for &one in &interrupted {
            let console = self.world.console(one);
            let line = console.lines().last().unwrap_or_default().to_owned();
            let command = line.strip_prefix("interrupted: ").expect("it names the command");
            named.push(command.to_owned());
            if one == id {
                assert!(self.world.engine().resume(&root(), one, Modes::default()).unwrap());
                assert!(self.drive(id));
            }
        }
        Some(Case::Interrupted { root: interrupted.contains(&id), named, left: self.left(id) })
    }
}

enum Case {
    /// It never was.
    Nothing,
    Same(Left),
    Interrupted {
        root: bool,
        named: Vec<String>,
        left: Left,
    },
}

/// Nothing ran again but what was in flight when the server ended.
fn repeats_only_the_open(calm: &Left, left: &Left, context: &str) {
    let mut open = left.open.clone();
    for (line, &count) in &left.commands {
        let usual = calm.commands.get(line).copied().unwrap_or(0);
        for _ in usual..count {
            let at = open.iter().position(|open| open == line);
            let at = at.unwrap_or_else(|| panic!("{context}: {line} ran {count} times"));
            open.remove(at);
        }
    }
}

/// Runs one program through all of its ends.
fn check(bench: &mut Bench, name: &str, source: &str) -> i64 {
    let job = bench.world.jobflow(name, source);
    bench.reset();
    let id = bench.world.start(job);
    assert!(bench.drive(id));
    let calm = bench.left(id);
    let mut commits = 0;
    for checkpoint in [true, false] {
        for kill in [Kill::Before, Kill::After] {
            let mut at = 1;
            while let Some(case) = bench.killed(job, at, kill, checkpoint) {
                let context = format!("{name}, {kill:?} {at}, checkpoint {checkpoint}");
                match case {
                    Case::Nothing => {}
                    Case::Same(left) => {
                        assert_eq!(left.consoles, calm.consoles, "{context}: {left:?}");
                        assert_eq!(left.ends, calm.ends, "{context}");
                        assert_eq!(left.text, calm.text, "{context}");
                        if checkpoint {
                            repeats_only_the_open(&calm, &left, &context);
                        } else {
                            assert_eq!(left.commands, calm.commands, "{context}");
                        }
                    }
                    Case::Interrupted { root, named, left } => {
                        assert!(!checkpoint, "{context}: it may repeat the command");
                        for line in &named {
                            let script = line.starts_with('/');
                            let known = calm.commands.contains_key(line);
                            assert!(script || known, "{context}: {line}");
                        }
                        repeats_only_the_open(&calm, &left, &context);
                        if root {
                            // Taken up again, it comes to the same end; what the broken attempt
                            // said stays, before the line that names it.
                            let line = format!("interrupted: {}\n", named[0]);
                            let (said, rest) = left.consoles[0].split_once(&line).unwrap();
                            let before = calm.consoles[0].strip_suffix(rest);
                            let broken = before.and_then(|before| said.strip_prefix(before));
                            assert!(broken.is_some(), "{context}: {left:?}, not {calm:?}");
                            assert_eq!(left.ends[0], calm.ends[0], "{context}");
                        }
                    }
                }
                at += 1;
                assert!(at < 200, "{context}: endless");
            }
            commits += at - 1;
        }
    }
    commits
}

/// Every fourth program, from `first` on.
fn part(first: usize) {
    let mut bench = Bench::new();
    let mut ends = 0;
    for (name, source) in PROGRAMS.iter().skip(first).step_by(4) {
        ends += check(&mut bench, name, source);
    }
    assert!(ends > 60, "only {ends} ends were tried");
}

// rule: operations/recovery
#[test]
fn a_server_that_ends_at_any_commit_of_any_statement_loses_and_repeats_nothing() {
    part(0);
}

// rule: operations/recovery
#[test]
fn nothing_is_lost_or_repeated_part_two() {
    part(1);
}

// rule: operations/recovery
#[test]
fn nothing_is_lost_or_repeated_part_three() {
    part(2);
}

// rule: operations/recovery
#[test]
fn nothing_is_lost_or_repeated_part_four() {
    part(3);
}
