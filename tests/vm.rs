//! The virtual machine against the rules of the language: each file of `lang/run` is a program, the
//! console it must leave and how it must end.

mod drive;
mod frames;
mod limits;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use kompira::engine::vm::sandbox::{Node, Sandbox};
use kompira::engine::vm::{Arguments, Builtins, End, Machine, Options};
use kompira::lang::lower::lower;
use kompira::lang::program::{CodeHash, Program};
use kompira_schema::value::{Dict, Value};
use serde::Deserialize;

use drive::{DISTURBED, PLAIN, Style};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    name: String,
    rule: String,
    #[serde(default)]
    jobflows: BTreeMap<String, String>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    records: BTreeMap<String, Record>,
    program: String,
    output: String,
    end: String,
    status: i64,
    result: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Record {
    r#type: String,
    fields: serde_json::Map<String, serde_json::Value>,
}

fn shared() -> Arc<Builtins> {
    static TABLE: LazyLock<Arc<Builtins>> = LazyLock::new(|| Arc::new(kompira::stdlib::builtins()));
    Arc::clone(&TABLE)
}

pub(crate) fn compile(source: &str) -> Arc<Program> {
    let parsed = kompira::lang::parse(source);
    let errors = kompira::lang::check(&parsed);
    assert!(errors.is_empty(), "{source}: {errors:?}");
    Arc::new(lower(&parsed.program, &parsed.source, CodeHash::of(source)).unwrap())
}

fn plain(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Object(entries) => {
            Value::Dict(entries.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        serde_json::Value::Number(number) => Value::Int(number.as_i64().unwrap()),
        _ => Value::Null,
    }
}

fn world(example: &Example) -> Sandbox {
    let mut world = Sandbox::new();
    for (path, source) in &example.jobflows {
        world.add(path, Node::Jobflow(Some(compile(source)), None));
    }
    for (path, source) in &example.scripts {
        world.add(path, Node::Script(source.clone()));
    }
    for path in &example.channels {
        world.add_channel(path);
    }
    for (path, record) in &example.records {
        let fields: Dict =
            record.fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
        world.add(path, Node::Record(record.r#type.clone(), fields));
    }
    world.add("/t/main", Node::Jobflow(Some(compile(&example.program)), None));
    world
}

fn start(world: &Sandbox, arguments: &Arguments) -> Machine {
    let main = world.jobflow("/t/main").unwrap();
    Machine::start(main, arguments, shared(), &Options::default()).unwrap()
}

/// Runs `/t/main` of a world that has it.
pub(crate) fn run_main(world: &mut Sandbox) -> End {
    let machine = start(world, &Arguments::default());
    drive::run(world, machine, PLAIN)
}

/// Runs one program; its console and end.
fn program(source: &str, style: Style) -> (String, End) {
    let mut world = Sandbox::new();
    world.add("/t/main", Node::Jobflow(Some(compile(source)), None));
    let machine = start(&world, &Arguments::default());
    let end = drive::run(&mut world, machine, style);
    (world.console, end)
}

fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang/run");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            serde_yaml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}

fn check(style: Style) {
    let mut wrong = Vec::new();
    for example in &examples() {
        let mut world = world(example);
        let machine = start(&world, &Arguments::default());
        let end = drive::run(&mut world, machine, style);
        let status = if end.done { "DONE" } else { "ABORTED" };
        let same = world.console == example.output
            && status == example.end
            && end.status == example.status
            && example.result.as_ref().is_none_or(|text| end.result == Value::from(text.as_str()))
            && example.error.as_ref().is_none_or(|text| end.error == Value::from(text.as_str()));
        if !same {
            wrong.push(format!(
                "== {} ({})\n-- expected {} {}\n{}-- got {status} {}\n{}{end:?}\n",
                example.name,
                example.rule,
                example.end,
                example.status,
                example.output,
                end.status,
                world.console
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_leaves_its_console_and_its_end() {
    check(PLAIN);
}

// rule: language/checkpoints
#[test]
fn a_machine_saved_and_loaded_at_every_step_runs_as_if_undisturbed() {
    check(DISTURBED);
}
