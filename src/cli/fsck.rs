//! `kompira fsck`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};

/// Check the store, and repair what follows from other parts of it
///
/// Works beside a running server. Exit status 1 if something is wrong and was not repaired.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira fsck --data ./data --bytes")]
pub(super) struct Fsck {
    /// Read every byte of every attachment, too
    #[arg(long)]
    bytes: bool,
    /// Make again what follows from other rows
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Fsck {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Tree).await?;
        let bar = talk::progress("checking", globals.quiet);
        let wish = json!({"bytes": self.bytes, "repair": self.repair});
        let report = client.post("/-/fsck", &wish).await;
        bar.finish_and_clear();
        client.close().await;
        let report = report?;
        let number = |key: &str| report.get(key).and_then(Json::as_u64).unwrap_or_default();
        let findings =
            report.get("findings").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        if self.json {
            println(&format!("{report:#}"));
        } else {
            for finding in findings {
                let message = finding.get("message").and_then(Json::as_str).unwrap_or_default();
                println(&talk::printable(message));
            }
            if !globals.quiet {
                talk::say(format!(
                    "{} objects, {} attachments, {} rows: {} findings, {} repaired",
                    number("nodes"),
                    number("blobs"),
                    number("rows"),
                    findings.len() as u64 + number("unlisted"),
                    number("repaired"),
                ));
            }
        }
        let left = (findings.len() as u64 + number("unlisted")).saturating_sub(number("repaired"));
        Ok(if left == 0 { Exit::Ok.into() } else { Exit::Failed.into() })
    }
}
