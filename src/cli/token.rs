//! `kompira token`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};

/// Make and revoke API tokens
#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token for a user and print it alone; it is shown this once
    #[command(after_help = "Example:\n  export KOMPIRA_TOKEN=$(kompira token create root)")]
    Create {
        /// Login name
        user: String,
    },
    /// Make every token of a user worthless
    #[command(after_help = "Example:\n  kompira token revoke mika")]
    Revoke {
        /// Login name
        user: String,
    },
}

impl Token {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Tree).await?;
        let done = match &self.action {
            Action::Create { user } => create(&client, user).await,
            Action::Revoke { user } => revoke(&client, user, globals.quiet).await,
        };
        client.close().await;
        done
    }
}

async fn create(client: &Client, user: &str) -> Result<ExitCode, Trouble> {
    let made = client.post("/-/token", &json!({"user": user})).await?;
    let token = made.get("token").and_then(Json::as_str);
    println(token.ok_or_else(|| Trouble::failed("the server answered without a token"))?);
    Ok(Exit::Ok.into())
}

async fn revoke(client: &Client, user: &str, quiet: bool) -> Result<ExitCode, Trouble> {
    client.post("/-/token/revoke", &json!({"user": user})).await?;
    if !quiet {
        talk::say(format!("the tokens of {user} are worthless now"));
    }
    Ok(Exit::Ok.into())
}
