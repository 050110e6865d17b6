//! The virtual machine beside `python3` and, where it is installed, `lua5.4`: whole processes, start
//! included, taking turns.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kompira::engine::vm::sandbox::{Node, Sandbox};
use kompira::engine::vm::{Arguments as Given, Machine, Options, Pause};
use kompira::lang::program::Program;

use crate::statistics::{median, spread};

type Outcome = Result<(), String>;

/// Programs, each with those it calls.
const PROGRAMS: [(&str, &[&str]); 5] =
    [("empty", &[]), ("loop", &[]), ("fib", &["fib_of"]), ("str", &[]), ("dict", &[])];

/// Whom it is compared with: the program and how its sources are called.
const PEERS: [(&str, &str); 2] = [("python3", "py"), ("lua5.4", "lua")];

/// Memory of a program: the dictionary of a million keys needs some hundred megabytes.
const MEMORY_MAX: usize = 2 << 30;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Programs to run (all)
    names: Vec<String>,
    /// Rounds; each runs every contestant once
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

fn compile(name: &str) -> Result<Arc<Program>, String> {
    let source = std::fs::read_to_string(folder().join(format!("{name}.kf"))).map_err(text)?;
    kompira::lang::compile(&source).program.ok_or_else(|| format!("{name}.kf does not compile"))
}

/// Runs one program in this process.
pub(crate) fn once(name: &str) -> Outcome {
    let (_, others) = PROGRAMS.iter().find(|(held, _)| *held == name).ok_or("no such program")?;
    let mut world = Sandbox::new();
    for name in others.iter().copied().chain([name]) {
        world.add(&format!("/t/{name}"), Node::Jobflow(Some(compile(name)?), None));
    }
    let jobflow = world.jobflow(&format!("/t/{name}")).ok_or("it was just added")?;
    let limits = Options { memory_max: MEMORY_MAX, ..Options::default() };
    let builtins = Arc::new(kompira::stdlib::builtins());
    let mut machine =
        Machine::start(jobflow, &Given::default(), builtins, &limits).map_err(text)?;
    // Slices as the engine gives them.
    loop {
        match machine.run(10_000, &mut world) {
            Pause::Budget => {}
            Pause::Blocked(request) => {
                return Err(format!("a program of this bench waits: {request:?}"));
            }
            Pause::Ended(end) => {
                print!("{}", world.console);
                return if end.done { Ok(()) } else { Err("aborted".to_owned()) };
            }
        }
    }
}

fn timed(mut command: Command) -> Result<(Duration, String), String> {
    let start = Instant::now();
    let output = command.output().map_err(text)?;
    let time = start.elapsed();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok((time, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Measures and prints a table.
pub(crate) fn run(options: &Arguments) -> Outcome {
    let own = std::env::current_exe().map_err(text)?;
    let peers: Vec<(&str, &str)> = PEERS
        .into_iter()
        .filter(|(program, _)| {
            let there = Command::new(program).arg("-h").output().is_ok();
            if !there {
                eprintln!("{program} is not on this machine");
            }
            there
        })
        .collect();
    print!("| program | ours, s | spread |");
    for (program, _) in &peers {
        print!(" {program}, s | spread | {program} / ours |");
    }
    println!("\n| --- | --: | --: |{}", " --: | --: | --: |".repeat(peers.len()));
    for (name, _) in PROGRAMS {
        if !options.names.is_empty() && !options.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let mut ours = Vec::new();
        let mut theirs = vec![Vec::new(); peers.len()];
        for _ in 0..options.rounds {
            let mut command = Command::new(&own);
            command.args(["vm-run", name]);
            let (time, console) = timed(command)?;
            ours.push(time.as_secs_f64());
            for ((program, suffix), times) in peers.iter().zip(&mut theirs) {
                let mut command = Command::new(program);
                command.arg(folder().join(format!("{name}.{suffix}")));
                let (time, output) = timed(command)?;
                times.push(time.as_secs_f64());
                if console != output {
                    return Err(format!("{name} in {program}: {console:?} is not {output:?}"));
                }
            }
        }
        let middle = |times: &[f64]| median(times).unwrap_or(f64::NAN);
        let range = |times: &[f64]| spread(times).unwrap_or(f64::NAN);
        print!("| {name} | {:.3} | {:.0} % |", middle(&ours), range(&ours));
        for times in &theirs {
            // Within a round all met the same weather.
            let ratios: Vec<f64> =
                times.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect();
            print!(" {:.3} | {:.0} % | {:.2} |", middle(times), range(times), middle(&ratios));
        }
        println!();
    }
    Ok(())
}
