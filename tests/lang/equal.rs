//! The virtual machine runs random programs as the plain evaluator does.

use kompira::engine::vm::sandbox::{Node, Sandbox};
use kompira::lang::parse;
use kompira_schema::value::Value;

use super::random::{Dice, program};
use super::walk::{V, Walker};
use crate::vm;

/// Programs in a run; `KOMPIRA_PROGRAMS` says another number.
const PROGRAMS: u64 = 2_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The lines are not what is compared here, nor the callers (a tail call leaves none).
fn without_lines(console: &str) -> String {
    let mut out = String::new();
    for line in console.split_inclusive('\n').filter(|line| !line.starts_with("  called at ")) {
        let mut line = line.to_owned();
        while let Some(at) = line.find(" at line ") {
            let rest = line[at + " at line ".len()..].to_owned();
            let rest =
                rest.split_once(" in ").map_or_else(|| rest.clone(), |(_, rest)| rest.to_owned());
            line = format!("{} at {rest}", &line[..at]);
        }
        out.push_str(&line);
    }
    out
}

fn same(value: &V, other: &Value) -> bool {
    match (value, other) {
        (V::Null, Value::Null) => true,
        (V::Bool(a), Value::Bool(b)) => a == b,
        (V::Int(a), Value::Int(b)) => *a == i128::from(*b),
        (V::Int(a), Value::Big(b)) => a.to_string() == b.to_string(),
        (V::Float(a), Value::Float(b)) => a == b || a.is_nan() && b.is_nan(),
        (V::Text(a), Value::Str(b)) => **a == **b,
        (V::Array(a), Value::Array(b)) => {
            let a = a.borrow();
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        // Keys of stored dictionaries are texts.
        (V::Dict(a), Value::Dict(b)) => a.borrow().len() == b.len(),
        (V::Dict(_), Value::Str(_)) => true,
        _ => false,
    }
}

// rule: language/tested
// rule: language/expressions
// rule: language/jobs
// rule: language/blocks
#[test]
fn the_machine_does_what_a_plain_evaluator_does() {
    let first = number("KOMPIRA_SEED", 1);
    let count = number("KOMPIRA_PROGRAMS", PROGRAMS);
    let (mut compared, mut ended_well) = (0, 0);
    for seed in first..first + count {
        let (main, callee) = program(&mut Dice::new(seed));
        let parsed = (parse(&main), parse(&callee));
        let mut walker = Walker::new(&parsed.0.program, &parsed.1.program);
        let mut world = Sandbox::new();
        world.add("/t/f", Node::Jobflow(Some(vm::compile(&callee)), None));
        let compiled = vm::compile(&main);
        let Some((done, status, error)) = walker.run() else { continue };
        world.add("/t/main", Node::Jobflow(Some(compiled), None));
        let end = vm::run_main(&mut world);
        let expected = (done, status, without_lines(&walker.console));
        let got = (end.done, i128::from(end.status), without_lines(&world.console));
        assert!(
            expected == got && same(&error, &end.error),
            "seed {seed}\n{main}\n-- /t/f\n{callee}\n-- expected\n{expected:?} {error:?}\n-- got\n{got:?} {:?}",
            end.error
        );
        compared += 1;
        ended_well += u64::from(done);
    }
    println!("{compared} of {count} programs compared, {ended_well} ended well");
    assert!(compared * 10 > count * 6, "{compared} of {count} are compared");
    assert!(ended_well * 10 > compared, "{ended_well} of {compared} end well");
}
