//! `kompira run`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::talk;
use super::trouble::{Exit, Trouble};

/// Run a jobflow or script job and show its console
///
/// The console goes to standard output as it is written. The exit status is that of the process:
/// 0 when it is DONE. Ctrl-C ends the process.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira run /root/hello --param who=世界 --param count=3")]
pub(super) struct Run {
    /// Path of the jobflow or script job
    path: String,
    /// A parameter; the value is JSON if it reads as JSON, else text
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// For a script job: its argument line
    #[arg(long, value_name = "LINE", conflicts_with = "params")]
    command_line: Option<String>,
    /// For a script job: path of the node it runs on
    #[arg(long, value_name = "PATH")]
    node: Option<String>,
    /// For a script job: path of the account it runs as
    #[arg(long, value_name = "PATH")]
    account: Option<String>,
    /// Start it, print its path, do not wait
    #[arg(short, long)]
    detach: bool,
    /// Print the process as JSON at the end instead of its console
    #[arg(long, conflicts_with = "detach")]
    json: bool,
}

impl Run {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let body = self.body()?;
        let need = if self.detach { Need::Running } else { Need::Full };
        let client = Client::connect(globals, need).await?;
        let done = self.follow(&client, &body).await;
        client.close().await;
        done
    }

    fn body(&self) -> Result<Json, Trouble> {
        let mut body = Map::new();
        let mut parameters = Map::new();
        for param in &self.params {
            let (name, value) = param.split_once('=').ok_or_else(|| {
                Trouble::usage(format!("--param {param}: a `=` is missing"))
                    .advise("write it as --param name=value")
            })?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
            parameters.insert(name.to_owned(), value);
        }
        if !parameters.is_empty() {
            body.insert("parameters".into(), parameters.into());
        }
        for (key, value) in
            [("command_line", &self.command_line), ("node", &self.node), ("account", &self.account)]
        {
            if let Some(value) = value {
                body.insert(key.into(), value.as_str().into());
            }
        }
        Ok(Json::Object(body))
    }

    async fn follow(&self, client: &Client, body: &Json) -> Result<ExitCode, Trouble> {
        let started = client.post(&format!("{}.execute", encoded(&self.path)), body).await?;
        let process = started.as_str().unwrap_or_default().to_owned();
        if self.detach {
            println(&process);
            return Ok(Exit::Ok.into());
        }
        let number = process.rsplit("id_").next().unwrap_or_default().to_owned();
        tokio::select! {
            done = self.console(client, &number) => done?,
            () = interrupted() => {
                talk::say(format!("ending {process} …"));
                client.post(&format!("{process}.terminate"), &json!({})).await?;
            }
        }
        let end = client.post(&format!("{process}.wait"), &json!({"timeout": 60})).await?;
        if self.json {
            println(&format!("{end:#}"));
        }
        let word = |key: &str| end.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let code = end.get("exit_status").and_then(Json::as_i64);
        if word("status") != "DONE" {
            let error = match end.get("error") {
                Some(Json::String(text)) => text.clone(),
                Some(Json::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            let line = end.get("lineno").and_then(Json::as_i64).filter(|line| *line > 0);
            let line = line.map(|line| format!(" at line {line}")).unwrap_or_default();
            let code = code.map(|code| format!(" with status {code}")).unwrap_or_default();
            let error = talk::printable(&error);
            let error = if error.is_empty() { error } else { format!(": {error}") };
            talk::say(format!("kompira: {process} is {}{line}{code}{error}", word("status")));
        }
        let code = match code {
            Some(code) => u8::try_from(code.rem_euclid(256)).unwrap_or(1),
            None => 1,
        };
        let failed = word("status") != "DONE" && code == 0;
        Ok(ExitCode::from(if failed { 1 } else { code }))
    }

    /// Copies the console to standard output until the process ends.
    async fn console(&self, client: &Client, number: &str) -> Result<(), Trouble> {
        let path = format!("/-/console/{number}?follow=true");
        let mut response = client.send(client.request(Method::GET, &path)).await?;
        let mut out = std::io::stdout();
        while let Some(chunk) = response.chunk().await.map_err(|error| client.lost(&error))? {
            if !self.json {
                // A reader that has gone (`| head`) does not end the process.
                let _ = out.write_all(&chunk).and_then(|()| out.flush());
            }
        }
        Ok(())
    }
}

/// Waits for Ctrl-C.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A line of data.
pub(super) fn println(text: &str) {
    // A closed pipe ends the output, not the command.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Percent-encodes an object path for a URL.
pub(super) fn encoded(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'_').remove(b'.').remove(b'-');
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let path = path.trim_end_matches('/');
    utf8_percent_encode(if path.is_empty() { "/" } else { path }, KEEP).to_string()
}
