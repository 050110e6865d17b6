//! What an earlier build saved of a process goes on in this one. `tests/fixtures/frames_vN.jsonl`
//! holds machines that were saved in the middle of programs compiled to byte code of version N.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kompira::lang::program::COMPILER_VERSION;
use serde::Serialize;

use super::*;

/// One machine, what was printed before, and what there is at the end.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    name: String,
    jobflows: BTreeMap<String, String>,
    program: String,
    console: String,
    frame: String,
    output: String,
    done: bool,
    status: i64,
}

impl Saved {
    fn world(&self) -> Sandbox {
        let mut world = Sandbox::new();
        for (path, source) in &self.jobflows {
            world.add(path, Node::Jobflow(Some(compile(source)), None));
        }
        world.add("/t/main", Node::Jobflow(Some(compile(&self.program)), None));
        world
    }

    /// Runs it on to its end.
    fn go_on(&self) -> Result<(String, End), String> {
        let mut world = self.world();
        world.console.clone_from(&self.console);
        let frame: Vec<u8> = (0..self.frame.len() / 2)
            .map(|at| u8::from_str_radix(&self.frame[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let machine = Machine::load(&frame, &world, shared(), &Options::default())
            .map_err(|error| format!("{}: {error:?}", self.name))?;
        let end = drive::go_on(&mut world, machine);
        Ok((world.console, end))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn read(version: u32) -> Vec<Saved> {
    let text = fs::read_to_string(folder().join(format!("frames_v{version}.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// rule: language/checkpoints
#[test]
fn machines_that_an_earlier_build_saved_go_on_as_if_undisturbed() {
    let all = read(COMPILER_VERSION);
    assert!(all.len() > 30, "{}", all.len());
    for saved in all {
        let (console, end) = saved.go_on().unwrap();
        assert_eq!(console, saved.output, "{}", saved.name);
        assert_eq!((end.done, end.status), (saved.done, saved.status), "{}", saved.name);
    }
}

// rule: language/checkpoints
#[test]
fn machines_of_other_byte_code_are_refused_and_never_run() {
    for version in (1..=COMPILER_VERSION + 1).filter(|&version| version != COMPILER_VERSION) {
        if folder().join(format!("frames_v{version}.jsonl")).exists() {
            read(version).iter().for_each(|saved| assert!(saved.go_on().is_err()));
        }
    }
}

/// Programs beside the examples: statements in one another, and waits in the middle of them.
const MORE: &[&str] = &[
    "[x = 1] -> [y = x + 1] -> print(x, y) -> sleep(1) -> return(y)",
    "print('a') -> ['echo one'] -> print($RESULT) -> ['false'] => print($STATUS)",
    "[n = 0] -> { while n < 4 | [n = n + 1] -> sleep(1) -> { if n == 3 | break } } -> print(n)",
    "{ for i in 3 | print(i) -> { if i == 1 | then: ['echo x'] else: sleep(1) } -> print($RESULT) }",
    "{ for i in ['ab', 'x', 'c'] | { case i | 'x': print('x') 'a*': sleep(2) -> print('a')\n else: print(i) } }",
    "{ try | ['echo one'] -> ['exit 3'] -> print('never') } => print($STATUS) -> sleep(1) -> print('z')",
    "|n = 3|\nprint(n) -> sleep(1) -> { if n > 0 | self(n - 1) }",
    "[d = {a=[1, 2, {b='c'}], e=99999999999999999999}, p = r'x+'] -> sleep(3) -> print(d, d.a[2].b) -> print('xx' =~ p)",
];

/// Saves machines in the middle of all programs; only ever run for a new version of the byte code.
#[test]
#[ignore = "writes tests/fixtures"]
fn make_the_fixture() {
    /// Of each program.
    const KEPT: usize = 5;
    let own = examples().into_iter().filter(|example| {
        example.records.is_empty() && example.channels.is_empty() && example.scripts.is_empty()
    });
    let mut programs: Vec<_> = own.map(|one| (one.name, one.jobflows, one.program)).collect();
    programs.extend(
        (1..).zip(MORE).map(|(number, source)| {
            (format!("more {number}"), BTreeMap::new(), (*source).to_owned())
        }),
    );
    let path = folder().join(format!("frames_v{COMPILER_VERSION}.jsonl"));
    let mut file = fs::File::create(path).unwrap();
    for (name, jobflows, program) in programs {
        let mut saved = Saved {
            name,
            jobflows,
            program,
            console: String::new(),
            frame: String::new(),
            output: String::new(),
            done: false,
            status: 0,
        };
        let mut world = saved.world();
        let mut machine = start(&world, &Arguments::default());
        let mut frames = Vec::new();
        let mut ended = None;
        for _ in 0..2_000 {
            let paused = drive::some(&mut world, &mut machine);
            if let Some(end) = paused {
                ended = Some(end);
                break;
            }
            // What lies in the world besides is not saved with it.
            if world.queues.is_empty() && world.processes.is_empty() {
                let mut bytes = Vec::new();
                machine.save(&mut bytes);
                frames.push((world.console.clone(), bytes));
            }
            drive::answered(&mut world, &mut machine);
        }
        let Some(end) = ended else { continue };
        (saved.output, saved.done, saved.status) = (world.console, end.done, end.status);
        let step = frames.len().div_ceil(KEPT).max(1);
        for (console, bytes) in frames.into_iter().step_by(step) {
            saved.console = console;
            saved.frame = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let (console, end) = saved.go_on().unwrap();
            if (&console, end.done, end.status) == (&saved.output, saved.done, saved.status) {
                writeln!(file, "{}", serde_json::to_string(&saved).unwrap()).unwrap();
            } else {
                println!("left out: {}", saved.name);
            }
        }
    }
}
