//! `kompira process trace`: the steps of a process, as they were recorded.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::Id;
use crate::cli::client::Client;
use crate::cli::run::println;
use crate::cli::talk;
use crate::cli::trouble::{Exit, Trouble};

/// Between two looks at a process that goes on.
const LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Args)]
pub(super) struct Trace {
    /// Number or path of the process
    id: Id,
    /// Record its steps from now on
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Record no more
    #[arg(long)]
    off: bool,
    /// Go on until it ends
    #[arg(short, long)]
    follow: bool,
    /// Print JSON, a line for each step
    #[arg(long)]
    json: bool,
}

impl Trace {
    pub(super) async fn act(&self, client: &Client, quiet: bool) -> Result<ExitCode, Trouble> {
        let number = self.id.0;
        if self.on || self.off {
            let path = format!("/process/id_{number}");
            let request = client.request(Method::PATCH, &path).json(&json!({"trace": self.on}));
            client.send(request).await?;
        }
        let mut after = 0;
        loop {
            let trace = client.get(&format!("/-/trace/{number}?after={after}")).await?;
            let steps: Vec<&Json> = trace["steps"].as_array().into_iter().flatten().collect();
            for step in &steps {
                after = step["number"].as_u64().unwrap_or(after);
                println(&if self.json { step.to_string() } else { line(step) });
            }
            let on = trace["on"] == true;
            if steps.is_empty() {
                if !on && after == 0 && !quiet {
                    talk::say("no steps are recorded; --on records those to come");
                }
                if !self.follow || !on {
                    return Ok(Exit::Ok.into());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// One step for people: number, time, place, status, what it changed or waits for.
fn line(step: &Json) -> String {
    let text = |key: &str| talk::printable(step[key].as_str().unwrap_or("-"));
    let indent = "  ".repeat(step["depth"].as_u64().unwrap_or(1).saturating_sub(1) as usize);
    let mut out = format!(
        "{:>5} {} {indent}{}:{} status {}",
        step["number"],
        text("time"),
        text("job"),
        step["lineno"],
        text("status")
    );
    if let Some(number) = step["command"].as_u64() {
        out.push_str(&format!("  begins command {number}"));
    }
    if step["waits_for"].is_string() {
        out.push_str(&format!("  waits for {}", text("waits_for")));
    }
    for (name, value) in step["changed"].as_object().into_iter().flatten() {
        let value = talk::printable(value.as_str().unwrap_or_default());
        out.push_str(&format!("  {name} = {value}"));
    }
    for (key, quiet) in [("result", "\"\""), ("error", "\"\"")] {
        if step[key].as_str().is_some_and(|held| held != quiet) && step["waits_for"].is_null() {
            out.push_str(&format!("  ${} = {}", key.to_uppercase(), text(key)));
        }
    }
    out
}
