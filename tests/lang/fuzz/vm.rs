//! Runs a source in a small machine that is answered at random.

use std::sync::{Arc, LazyLock};

use kompira::engine::vm::request::{Awaited, Received};
use kompira::engine::vm::sandbox::{Node, Sandbox};
use kompira::engine::vm::{Answer, Arguments, Builtins, Machine, Options, Outcome, Pause, Request};
use kompira::lang::compile;
use kompira::lang::program::Program;
use kompira_schema::id::ProcessId;
use kompira_schema::value::{Dict, Value};

use super::{Traits, hashed, words};
use crate::lang::random::Dice;

/// Steps of a slice, and how many slices.
const SLICE: u64 = 400;
const SLICES: usize = 24;
/// Bytes of values and frames.
const MEMORY: usize = 256 * 1024;

fn shared() -> Arc<Builtins> {
    static TABLE: LazyLock<Arc<Builtins>> = LazyLock::new(|| Arc::new(kompira::stdlib::builtins()));
    Arc::clone(&TABLE)
}

fn callee() -> Arc<Program> {
    static PROGRAM: LazyLock<Arc<Program>> = LazyLock::new(|| {
        let source = "|a = 1| |b = a| { try | print(a, b) } =>> return([a, b], 0, string(b))";
        compile(source).program.unwrap()
    });
    Arc::clone(&PROGRAM)
}

pub(super) fn try_out(source: &str, dice: &mut Dice) -> Traits {
    let made = compile(source);
    let Some(program) = made.program else { return Vec::new() };
    let mut traits = words(&made.source, &kompira::lang::lex::spans(&made.source));
    let mut world = Sandbox::new();
    world.add("/t/f", Node::Jobflow(Some(callee()), None));
    world.add("/t/scr", Node::Script("#!/bin/sh\n".to_owned()));
    world.add("/t/env", Node::Record("Environment".to_owned(), Dict::new()));
    world.add_channel("/t/ch");
    world.add("/t/main", Node::Jobflow(Some(program), None));
    let main = world.jobflow("/t/main").unwrap();
    let options = Options { memory_max: MEMORY, ..Options::default() };
    let positional = vec![Value::Int(3); made.parameters.len()];
    let given = Arguments { positional, ..Arguments::default() };
    let Ok(machine) = Machine::start(main, &given, shared(), &options) else {
        return traits;
    };
    run(machine, &mut world, &options, dice, &mut traits, 0);
    traits
}

fn run(
    mut machine: Machine,
    world: &mut Sandbox,
    options: &Options,
    dice: &mut Dice,
    traits: &mut Traits,
    depth: usize,
) {
    for _ in 0..SLICES {
        let pause = machine.run(SLICE, world);
        traits.extend(world.console.lines().filter(|line| line.starts_with("aborted")).map(
            |line| {
                // The words of a message, not what it names.
                hashed(line.split('\'').step_by(2).collect::<Vec<_>>().join("'"))
            },
        ));
        world.console.clear();
        if dice.one_in(6) && !matches!(pause, Pause::Ended(_)) {
            let mut bytes = Vec::new();
            machine.save(&mut bytes);
            machine = Machine::load(&bytes, world, shared(), options).unwrap();
            let mut again = Vec::new();
            machine.save(&mut again);
            assert_eq!(bytes, again, "what is loaded saves to the same bytes");
        }
        match pause {
            Pause::Ended(end) => {
                assert!(machine.sessions().is_empty() && machine.locks().is_empty());
                traits.push(hashed((end.done, end.status)));
                return;
            }
            Pause::Budget => {}
            Pause::Blocked(request) => {
                traits.push(hashed(std::mem::discriminant(&request)));
                let answer = answer(&machine, &request, world, options, dice, traits, depth);
                machine.resume(answer);
            }
        }
    }
}

fn answer(
    machine: &Machine,
    request: &Request,
    world: &mut Sandbox,
    options: &Options,
    dice: &mut Dice,
    traits: &mut Traits,
    depth: usize,
) -> Answer {
    if dice.one_in(30) {
        return Answer::Refused("refused".to_owned());
    }
    match request {
        Request::Command { .. } | Request::Script { .. } | Request::Builtin { .. } => {
            Answer::Job(Outcome {
                status: [0, 0, 0, 1, -1][dice.below(5)],
                result: Value::from("out"),
                error: Value::from(""),
            })
        }
        Request::Sleep(until) => {
            world.now = *until;
            Answer::Done
        }
        Request::Events(awaited) => Answer::Event(event(awaited, dice)),
        Request::Children { count } => {
            let mut children = Vec::new();
            for index in 0..*count {
                if depth < 2 && index < 3 {
                    let child = machine.child(index).unwrap();
                    run(child, world, options, dice, traits, depth + 1);
                }
                children.push(ProcessId(1_000 + index as u64));
            }
            let aborted = u32::try_from(dice.below(*count + 1)).unwrap();
            Answer::Children { children, aborted }
        }
        Request::Lock { .. } | Request::Suspend => Answer::Done,
        Request::Session { .. } => {
            world.queues.push(Default::default());
            Answer::Session(world.queues.len() as u64 - 1)
        }
    }
}

fn event(awaited: &[Awaited], dice: &mut Dice) -> Received {
    let alternative = dice.below(awaited.len().max(1));
    let one = awaited.get(alternative);
    let sources = one.map_or(0, |one| one.sources.len());
    let came = sources > 0 && dice.one_in(2);
    let always = one.is_some_and(|one| one.always);
    Received {
        alternative,
        source: dice.below(sources.max(1)),
        status: if came || always { 0 } else { [1, -1][dice.below(2)] },
        message: if came { Value::from("message") } else { Value::Null },
        id: (came && one.is_some_and(|one| one.peek)).then_some(7),
        error: String::new(),
    }
}
