//! `kompira-bench`: what the parts of kompira-fs do in a second, and beside whom.
//!
//! Every part measures in rounds, every round measures every variant once, and what is printed
//! are medians, their spread, and ratios taken within a round; see docs/performance.md.

mod engine;
mod fs;
mod http;
mod raw;
mod report;
mod statistics;
mod store;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures the parts of kompira-fs.
#[derive(Debug, Parser)]
#[command(name = "kompira-bench", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Small files, saves, listings, git, grep and tar on mounts and folders, side by side.
    Fs(Box<fs::Arguments>),
    /// Puts, reads, lists, searches and renames beside RocksDB alone.
    Store(store::Arguments),
    /// REST beside a bare server, durable changes beside the tree, requests that wait.
    Http(http::Arguments),
    /// A server that is measured.
    #[command(hide = true, subcommand)]
    HttpPeer(http::peer::Role),
    /// Durable processes: rates, sleepers, a restart with many of them.
    Engine(engine::Arguments),
    /// Small programs in the virtual machine, beside `python3` running the same.
    Vm(vm::Arguments),
    /// Runs one program of `vm` and prints its console.
    #[command(hide = true)]
    VmRun {
        /// Its name.
        name: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().part {
        Part::Fs(arguments) => fs::run(&arguments),
        Part::Store(arguments) => store::run(&arguments),
        Part::Http(arguments) => http::run(&arguments),
        Part::HttpPeer(role) => http::peer::serve(&role),
        Part::Engine(arguments) => engine::run(&arguments),
        Part::Vm(arguments) => vm::run(&arguments),
        Part::VmRun { name } => vm::once(&name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("kompira-bench: {text}");
            ExitCode::FAILURE
        }
    }
}
