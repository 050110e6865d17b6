//! `kompira repository`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json};

use super::Globals;
use super::client::{Client, Need};
use super::run::{encoded, println};
use super::talk;
use super::trouble::{Exit, Trouble};

/// Synchronise a directory with a git repository
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira repository push /ops/repo -m 'New flows'")]
pub(super) struct Repository {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Clone the repository and import what is in it
    #[command(after_help = "Example:\n  kompira repository initialize /ops/repo")]
    Initialize {
        /// Path of the Repository object
        path: String,
    },
    /// Export the directory, commit and push
    #[command(
        after_help = "Example:\n  kompira repository push /ops/repo --branch main -m 'New flows'"
    )]
    Push {
        /// Path of the Repository object
        path: String,
        /// Branch; without one that of the last action
        #[arg(short, long)]
        branch: Option<String>,
        /// Message of the commit
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Pull and import into the directory
    #[command(after_help = "Example:\n  kompira repository pull /ops/repo --branch main")]
    Pull {
        /// Path of the Repository object
        path: String,
        /// Branch; without one that of the last action
        #[arg(short, long)]
        branch: Option<String>,
    },
}

impl Repository {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let (path, name, branch, message) = match self.action {
            Action::Initialize { path } => (path, "initialize", None, None),
            Action::Push { path, branch, message } => (path, "push", branch, message),
            Action::Pull { path, branch } => (path, "pull", branch, None),
        };
        let given = [("branch", branch), ("message", message)];
        let body: Map<String, Json> = given
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), Json::from(value?))))
            .collect();
        let client = Client::connect(globals, Need::Tree).await?;
        let bar = talk::progress(name, globals.quiet);
        let done = client.post(&format!("{}.{name}", encoded(&path)), &Json::Object(body)).await;
        bar.finish_and_clear();
        client.close().await;
        let done = done?;
        let log = done.get("log").and_then(Json::as_str).unwrap_or_default();
        println(talk::printable(log).trim_end());
        Ok(Exit::Ok.into())
    }
}
