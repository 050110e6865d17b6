//! `kompira status`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::trouble::{Exit, Trouble};

/// Tell whether the server runs and what it serves
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira status --data ./data")]
pub(super) struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Running).await?;
        let status = client.get("/-/status").await?;
        if self.json {
            println(&format!("{status:#}"));
        } else {
            for (key, value) in status.as_object().into_iter().flatten() {
                println(&format!("{key:<12} {}", shown(value)));
            }
        }
        client.close().await;
        Ok(Exit::Ok.into())
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Json::Object(map) => {
            let parts = map.iter().map(|(key, value)| format!("{key} {}", shown(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
