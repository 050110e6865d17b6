//! The command line: one file per command, no logic of its own.
//!
//! Standard output is data, standard error is talk. Exit status: 0 done, 1 failed, 2 wrong usage,
//! 3 not permitted, 4 server unreachable; `run` exits as its process did
//! (rule: operations/exit-codes).

mod backup;
mod check;
mod client;
mod completion;
mod explain;
mod fsck;
mod names;
mod process;
mod refs;
mod repository;
mod run;
mod serve;
mod status;
mod talk;
mod token;
mod transfer;
mod trouble;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub use trouble::{Exit, Trouble};

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Globals {
    /// Data directory of the server
    #[arg(long, global = true, value_name = "DIR", env = "KOMPIRA_DATA")]
    data: Option<PathBuf>,
    /// Configuration file
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Talk to this server instead of the one of the data directory
    #[arg(long, global = true, value_name = "URL", env = "KOMPIRA_URL")]
    url: Option<String>,
    /// Token for --url
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "KOMPIRA_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// Only errors on standard error
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Parser)]
#[command(
    name = "kompira",
    version,
    about = "An operations platform whose whole world is a filesystem",
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Example:\n  kompira serve --data ./data --mount ./tree\n\n\
                  Each command explains itself: kompira run --help"
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a data directory over HTTP, and as a mounted directory
    Serve(serve::Serve),
    /// Run a jobflow or script job and show its console
    Run(run::Run),
    /// List and control processes
    Process(Box<process::Process>),
    /// Make and revoke API tokens
    Token(token::Token),
    /// List, make, change and delete users
    User(user::User),
    /// List, make and delete groups
    Group(user::Group),
    /// Write objects as a tree of files
    ExportDir(transfer::ExportDir),
    /// Read a tree of files as objects
    ImportDir(transfer::ImportDir),
    /// Write the whole tree at one moment into an archive
    Backup(backup::Backup),
    /// Read a backup archive into a new data directory
    Restore(backup::Restore),
    /// List the objects that refer to an object
    Refs(refs::Refs),
    /// Synchronise a directory with a git repository
    Repository(repository::Repository),
    /// Check the store, and repair what follows from other parts of it
    Fsck(fsck::Fsck),
    /// Find what is wrong with jobflow sources
    Check(check::Check),
    /// Set jobflow sources anew: blanks and indentation
    Fmt(check::Fmt),
    /// Tell whether the server runs and what it serves
    Status(status::Status),
    /// Explain the code of a failure
    Explain(explain::Explain),
    /// Print the completions of a shell
    Completion(completion::Completion),
}

/// Runs the command of the program's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let words = match names::rewrite(words, &Cli::command()) {
        Ok(words) => words,
        Err(trouble) => return trouble.tell(),
    };
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let _ = error.print();
            return Exit::of_clap(&error).into();
        }
    };
    let done = match cli.command {
        Command::Serve(command) => command.main(&cli.globals),
        Command::Run(command) => with_runtime(command.main(&cli.globals)),
        Command::Process(command) => with_runtime(command.main(&cli.globals)),
        Command::Token(command) => with_runtime(command.main(&cli.globals)),
        Command::Status(command) => with_runtime(command.main(&cli.globals)),
        Command::User(command) => with_runtime(command.main(&cli.globals)),
        Command::Group(command) => with_runtime(command.main(&cli.globals)),
        Command::ExportDir(command) => with_runtime(command.main(&cli.globals)),
        Command::ImportDir(command) => with_runtime(command.main(&cli.globals)),
        Command::Backup(command) => with_runtime(command.main(&cli.globals)),
        Command::Restore(command) => with_runtime(command.main(&cli.globals)),
        Command::Refs(command) => with_runtime(command.main(&cli.globals)),
        Command::Repository(command) => with_runtime(command.main(&cli.globals)),
        Command::Fsck(command) => with_runtime(command.main(&cli.globals)),
        Command::Check(command) => command.main(),
        Command::Fmt(command) => command.main(),
        Command::Explain(command) => command.main(),
        Command::Completion(command) => command.main(&mut Cli::command()),
    };
    match done {
        Ok(code) => code,
        Err(trouble) => trouble.tell(),
    }
}

/// Runs a command that only talks to a server.
fn with_runtime(
    command: impl Future<Output = Result<ExitCode, Trouble>>,
) -> Result<ExitCode, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Trouble::failed(format!("cannot start: {error}")))?;
    runtime.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/help
    #[test]
    fn every_command_explains_itself_with_an_example() {
        fn walk(command: &clap::Command, path: &str) {
            let name = format!("{path} {}", command.get_name());
            if command.get_name() == "help" || command.is_hide_set() {
                return;
            }
            assert!(command.get_about().is_some(), "{name} says what it does");
            let inner = command.get_subcommands().count() > 0;
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example") || inner, "{name} ends with an example");
            for inner in command.get_subcommands() {
                walk(inner, &name);
            }
        }
        let command = Cli::command();
        command.clone().debug_assert();
        walk(&command, "");
    }
}
