//! `kompira completion`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::trouble::{Exit, Trouble};

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira completion bash > /etc/bash_completion.d/kompira")]
pub(super) struct Completion {
    /// Which shell
    shell: Shell,
}

impl Completion {
    pub(super) fn main(&self, command: &mut clap::Command) -> Result<ExitCode, Trouble> {
        clap_complete::generate(self.shell, command, "kompira", &mut std::io::stdout());
        Ok(Exit::Ok.into())
    }
}
