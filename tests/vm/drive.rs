//! Runs a machine to its end in a sandbox and answers what it waits for.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kompira::engine::vm::request::{Awaited, Source};
use kompira::engine::vm::sandbox::Sandbox;
use kompira::engine::vm::{
    Answer, Control, End, Handle, Machine, Options, Outcome, Pause, Received, RefKind, Request,
};
use kompira_schema::id::ProcessId;
use kompira_schema::value::{Dict, Value};

use super::shared;

/// How a run is disturbed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Steps in a slice.
    pub(super) budget: u64,
    /// Saved and loaded at each pause.
    pub(super) reload: bool,
}

pub(super) const PLAIN: Style = Style { budget: u64::MAX, reload: false };
pub(super) const DISTURBED: Style = Style { budget: 1, reload: true };

pub(super) fn run(world: &mut Sandbox, mut machine: Machine, style: Style) -> End {
    for _ in 0..3_000_000 {
        let pause = machine.run(style.budget, world);
        if style.reload {
            let mut bytes = Vec::new();
            machine.save(&mut bytes);
            machine = Machine::load(&bytes, world, shared(), &Options::default()).unwrap();
            let mut again = Vec::new();
            machine.save(&mut again);
            assert_eq!(bytes, again, "what is loaded saves to the same bytes");
        }
        match pause {
            Pause::Ended(end) => {
                assert!(machine.sessions().is_empty() && machine.locks().is_empty());
                return end;
            }
            Pause::Budget => {}
            Pause::Blocked(request) => {
                assert_eq!(machine.waiting(), Some(&request));
                let answer = answer(world, &machine, &request, style);
                machine.resume(answer);
            }
        }
    }
    panic!("no end");
}

/// Runs a machine that was loaded on to its end.
pub(super) fn go_on(world: &mut Sandbox, mut machine: Machine) -> End {
    answered(world, &mut machine);
    run(world, machine, PLAIN)
}

/// Runs a machine a few steps; its end, if it came to it.
pub(super) fn some(world: &mut Sandbox, machine: &mut Machine) -> Option<End> {
    match machine.run(10, world) {
        Pause::Ended(end) => Some(end),
        Pause::Budget | Pause::Blocked(_) => None,
    }
}

/// Gives a machine what it waits for, if it does.
pub(super) fn answered(world: &mut Sandbox, machine: &mut Machine) {
    if let Some(request) = machine.waiting().cloned() {
        let answer = answer(world, machine, &request, PLAIN);
        machine.resume(answer);
    }
}

fn answer(world: &mut Sandbox, machine: &Machine, request: &Request, style: Style) -> Answer {
    match request {
        Request::Command { command, input, control } => {
            let mut process = Command::new("/bin/bash");
            process.arg("-c").arg(command);
            Answer::Job(command_of(process, input.as_ref(), control))
        }
        Request::Script { script, arguments, input, control, .. } => {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), world.script(*script).unwrap()).unwrap();
            let mut process = Command::new("/bin/sh");
            process.arg(file.path()).args(arguments);
            Answer::Job(command_of(process, input.as_ref(), control))
        }
        Request::Sleep(until) => {
            world.now = *until;
            Answer::Done
        }
        Request::Events(awaited) => Answer::Event(event(world, awaited)),
        Request::Children { count } => children(world, machine, *count, style),
        Request::Lock { .. } | Request::Suspend => Answer::Done,
        Request::Session { .. } => {
            let queue = world.queues.len() as u64;
            world.queues.push(Default::default());
            Answer::Session(queue)
        }
        Request::Builtin { name, .. } => Answer::Job(Outcome {
            status: -1,
            result: Value::from(""),
            error: Value::from(format!("no {name} here")),
        }),
    }
}

fn children(world: &mut Sandbox, machine: &Machine, count: usize, style: Style) -> Answer {
    let parent = (world.process, std::mem::take(&mut world.console));
    let mut children = Vec::new();
    let mut aborted = 0;
    for index in 0..count {
        let child = machine.child(index).unwrap();
        let number = 100 + world.processes.len() as u64;
        world.process = ProcessId(number);
        world.processes.insert(number, Dict::new());
        let end = run(world, child, style);
        aborted += u32::from(!end.done);
        let properties: [(&str, Value); 4] = [
            ("status", Value::from(if end.done { "DONE" } else { "ABORTED" })),
            ("exit_status", Value::Int(end.status)),
            ("result", end.result),
            ("console", Value::from(std::mem::take(&mut world.console))),
        ];
        world
            .processes
            .insert(number, properties.map(|(name, value)| (name.to_owned(), value)).into());
        children.push(ProcessId(number));
    }
    (world.process, world.console) = parent;
    Answer::Children { children, aborted }
}

fn event(world: &mut Sandbox, awaited: &[Awaited]) -> Received {
    let mut received = Received {
        alternative: 0,
        source: 0,
        status: 0,
        message: Value::Null,
        id: None,
        error: String::new(),
    };
    for (alternative, event) in awaited.iter().enumerate() {
        received.alternative = alternative;
        if event.always {
            return received;
        }
        for (source, from) in event.sources.iter().enumerate() {
            let handle = match *from {
                Source::Queue(id) => Handle { kind: RefKind::Queue, id },
                Source::Reference(reference) => reference.into(),
            };
            let queue = world.queue(handle).expect("only channels are waited for here");
            let messages = &mut world.queues[queue].messages;
            let fits = |message: &Value| {
                event.guard.as_ref().is_none_or(|guard| guard.wanted.fits(message))
            };
            let scan = event.guard.as_ref().is_some_and(|guard| guard.scan);
            let found = match messages.iter().position(|(_, message)| fits(message)) {
                Some(at) if at == 0 || scan => at,
                _ => continue,
            };
            messages.drain(..found);
            let (id, message) = messages[0].clone();
            if !event.peek {
                messages.pop_front();
            }
            return Received { source, message, id: event.peek.then_some(id), ..received };
        }
    }
    let (alternative, until) = awaited
        .iter()
        .enumerate()
        .filter_map(|(index, event)| event.deadline.map(|at| (index, at)))
        .min_by_key(|(index, at)| (*at, *index))
        .expect("a wait without end");
    world.now = world.now.max(until);
    Received { alternative, status: 1, ..received }
}

/// A tenth of the time limit is enough here.
fn command_of(mut process: Command, input: Option<&Value>, control: &Control) -> Outcome {
    let mut child = process
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = match input {
        Some(Value::Str(text)) => text.clone().into_bytes(),
        Some(Value::Bytes(bytes)) => bytes.clone(),
        _ => Vec::new(),
    };
    child.stdin.take().unwrap().write_all(&input).unwrap();
    if let Some(Value::Int(seconds)) = control.get("__timeout__") {
        let until = Instant::now() + Duration::from_millis(*seconds as u64 * 100);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                child.kill().unwrap();
                child.wait().unwrap();
                return Outcome { status: -1, result: "".into(), error: "timed out".into() };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        Value::from(text.strip_suffix('\n').unwrap_or(&text))
    };
    Outcome {
        status: output.status.code().unwrap().into(),
        result: text(output.stdout),
        error: text(output.stderr),
    }
}
