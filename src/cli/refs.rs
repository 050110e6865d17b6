//! `kompira refs`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};

/// List the objects that refer to an object
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira refs /system/types/NodeInfo")]
pub(super) struct Refs {
    /// Path of the object
    path: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Refs {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Tree).await?;
        let path =
            percent_encoding::utf8_percent_encode(&self.path, percent_encoding::NON_ALPHANUMERIC);
        let found = client.get(&format!("/-/refs?path={path}")).await;
        client.close().await;
        let found = found?;
        if self.json {
            println(&format!("{found:#}"));
            return Ok(Exit::Ok.into());
        }
        for row in found.as_array().into_iter().flatten() {
            let word = |key: &str| {
                talk::printable(row.get(key).and_then(Json::as_str).unwrap_or_default())
            };
            println(&format!("{}\t{}", word("abspath"), word("field")));
        }
        Ok(Exit::Ok.into())
    }
}
