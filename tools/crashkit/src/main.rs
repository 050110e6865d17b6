//! `crashkit`: kills a serving kompira under load and judges what is left.
//!
//! Seeded clients write through HTTP and through the mount, and run jobflows; each keeps what was
//! acknowledged. The server is killed at a fail point or at a random time and started again; then
//! everything acknowledged has to be there, what was in flight may be either, and `fsck` has to
//! find nothing. See RELIABILITY F1, F2, E1 in docs/architecture.md.

mod client;
mod judge;
mod load;
mod model;
mod offline;
mod random;
mod run;
mod scratch;
mod server;
mod statements;
mod types;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "crashkit", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Kill, start again, compare; again and again
    Run(Run),
    /// Kill at every point of every kind of statement of jobflows, and compare their ends
    Statements(Statements),
    /// Give a type with many instances further fields, beside readers and killed
    Types(Types),
    /// Print the fail points
    Points,
    /// What a cycle does with a store that nobody serves
    #[command(hide = true)]
    Offline {
        /// The data directory
        data: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Kill at every fail point
    #[arg(long)]
    points: bool,
    /// Only points that contain this text
    #[arg(long, default_value = "")]
    only: String,
    /// How often at each point: at its first hit, and then at later ones
    #[arg(long, default_value_t = 3)]
    hits: u32,
    /// Kills at random times
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Decides what the clients do and when a random kill comes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program; default: beside this one
    #[arg(long)]
    kompira: Option<PathBuf>,
    /// Where the scratch data lie
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Leave the mount out (where there is no FUSE)
    #[arg(long)]
    no_mount: bool,
    /// Say each cycle
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Statements {
    /// Only the program of this name
    #[arg(long, default_value = "")]
    only: String,
    /// Only every so many hits of a point
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// Instead of all hits, so many of each program and mode, chosen at random
    #[arg(long, default_value_t = 0)]
    sample: u64,
    /// Decides which hits are chosen
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Servers at once, each on a directory of its own
    #[arg(long, default_value_t = 2)]
    lanes: usize,
    /// The program; default: beside this one
    #[arg(long)]
    kompira: Option<PathBuf>,
    /// Where the scratch data lie
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Say how each program ends when it is left alone
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Types {
    /// Instances of the type
    #[arg(long, default_value_t = 50_000)]
    instances: u64,
    /// The program; default: beside this one
    #[arg(long)]
    kompira: Option<PathBuf>,
    /// Where the scratch data lie
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// The exit status of a judgement.
fn ended(judged: Result<bool, String>) -> ExitCode {
    match judged {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("crashkit: {text}");
            ExitCode::from(2)
        }
    }
}

fn main() -> ExitCode {
    match Arguments::parse().what {
        What::Run(arguments) => ended(run::run(&arguments)),
        What::Statements(arguments) => ended(statements::run(&arguments)),
        What::Types(arguments) => ended(types::run(&arguments)),
        What::Offline { data } => match offline::work(&data) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => {
                eprintln!("crashkit offline: {text}");
                ExitCode::from(2)
            }
        },
        What::Points => {
            for point in kompira::base::failpoint::POINTS {
                println!("{point}");
            }
            ExitCode::SUCCESS
        }
    }
}
