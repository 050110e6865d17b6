//! `kompira process`.

mod manage;
mod select;
mod show;
mod trace;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::Globals;
use super::client::{Client, Need};
use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};

/// Entries asked for at a time.
const PAGE: usize = 1000;

/// List and control processes
///
/// Without a subcommand the options say which processes are meant and what is done with them.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  kompira process -D --finished-before '30 days ago' --noinput"
)]
pub(super) struct Process {
    #[command(flatten)]
    manage: manage::Manage,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List processes, newest first; those that have not ended unless told otherwise
    #[command(after_help = "Example:\n  kompira process list --all --job /root/hello --json")]
    List(List),
    /// Show one process
    #[command(after_help = "Example:\n  kompira process show 31")]
    Show {
        /// Number or path of the process
        id: Id,
    },
    /// Print the kept console of a process
    #[command(after_help = "Example:\n  kompira process console 31 --follow")]
    Console {
        /// Number or path of the process
        id: Id,
        /// Go on until it ends
        #[arg(short, long)]
        follow: bool,
    },
    /// Wait until a process ends; exit as it did
    #[command(after_help = "Example:\n  kompira process wait 31 --timeout 60")]
    Wait {
        /// Number or path of the process
        id: Id,
        /// Seconds to wait at most
        #[arg(short, long, default_value_t = 3600)]
        timeout: u32,
    },
    /// End processes and their children
    #[command(after_help = "Example:\n  kompira process terminate 31 32")]
    Terminate(Ids),
    /// Pause processes and their children
    #[command(after_help = "Example:\n  kompira process suspend 31")]
    Suspend(Ids),
    /// Continue paused processes and their children, or interrupted ones
    #[command(
        after_help = "Example:\n  kompira process resume 31\n  kompira process resume 31 --from 4"
    )]
    Resume {
        #[command(flatten)]
        ids: Ids,
        /// Take processes that have ended up again, before their command of this number
        #[arg(long, value_name = "STEP")]
        from: Option<u64>,
    },
    /// Show the steps of a process: line, values, status, time
    #[command(after_help = "Example:\n  kompira process trace 31 --on --follow")]
    Trace(trace::Trace),
    /// Delete processes that have ended, with their children
    #[command(after_help = "Example:\n  kompira process delete 31 --noinput")]
    Delete {
        #[command(flatten)]
        ids: Ids,
        /// Do not ask
        #[arg(short = 'y', long)]
        noinput: bool,
    },
}

#[derive(Debug, Args)]
struct List {
    /// Ended ones, too
    #[arg(short, long)]
    all: bool,
    /// Only those with this status
    #[arg(long, value_name = "STATUS", ignore_case = true,
          value_parser = ["NEW", "READY", "RUNNING", "WAITING", "ABORTED", "DONE"])]
    status: Vec<String>,
    /// Only those of this jobflow or script job
    #[arg(long, value_name = "PATH")]
    job: Option<String>,
    /// Only those of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    head: Option<usize>,
    /// Print only how many there are
    #[arg(short, long)]
    count: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Ids {
    /// Numbers or paths of processes
    #[arg(required = true, value_name = "ID")]
    ids: Vec<Id>,
}

/// A process, as `31`, `id_31` or `/process/id_31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id(u64);

impl std::str::FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("/process/").unwrap_or(text);
        let digits = digits.strip_prefix("id_").unwrap_or(digits);
        let bad = || format!("`{text}` is no process: write 31 or /process/id_31");
        digits.parse().map(Self).map_err(|_| bad())
    }
}

impl Process {
    pub(super) async fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let client = Client::connect(globals, Need::Running).await?;
        let done = self.act(&client, globals.quiet).await;
        client.close().await;
        done
    }

    async fn act(&self, client: &Client, quiet: bool) -> Result<ExitCode, Trouble> {
        let Some(action) = &self.action else { return self.manage.act(client, quiet).await };
        match action {
            Action::List(list) => list.print(client).await,
            Action::Show { id } => {
                let shown = client.get(&format!("/process/id_{}", id.0)).await?;
                println(&format!("{shown:#}"));
                Ok(Exit::Ok.into())
            }
            Action::Console { id, follow } => console(client, *id, *follow).await,
            Action::Wait { id, timeout } => {
                let path = format!("/process/id_{}.wait", id.0);
                let ended = client.post(&path, &json!({"timeout": timeout})).await?;
                let code = ended.get("exit_status").and_then(Json::as_i64).unwrap_or(1);
                Ok(ExitCode::from(u8::try_from(code.rem_euclid(256)).unwrap_or(1)))
            }
            Action::Terminate(ids) => ids.order(client, "terminate", &json!({}), quiet).await,
            Action::Suspend(ids) => ids.order(client, "suspend", &json!({}), quiet).await,
            Action::Resume { ids, from } => {
                ids.order(client, "resume", &json!({"from": from}), quiet).await
            }
            Action::Trace(trace) => trace.act(client, quiet).await,
            Action::Delete { ids, noinput } => {
                let question = format!("Delete {} of the processes?", ids.ids.len());
                if !noinput && !talk::confirm(&question) {
                    return Err(Trouble::usage("not confirmed").advise("say --noinput to go ahead"));
                }
                for id in &ids.ids {
                    let path = format!("/process/id_{}", id.0);
                    client.send(client.request(Method::DELETE, &path)).await?;
                }
                Ok(Exit::Ok.into())
            }
        }
    }
}

impl Ids {
    /// Gives an order to each; fails when one could not be carried out.
    async fn order(
        &self,
        client: &Client,
        order: &str,
        body: &Json,
        quiet: bool,
    ) -> Result<ExitCode, Trouble> {
        let mut exit = Exit::Ok;
        for id in &self.ids {
            let done = client.post(&format!("/process/id_{}.{order}", id.0), body).await?;
            if done != Json::Bool(true) {
                exit = Exit::Failed;
                if !quiet {
                    talk::say(format!(
                        "kompira: /process/id_{}: its state allows no {order}",
                        id.0
                    ));
                }
            }
        }
        Ok(exit.into())
    }
}

async fn console(client: &Client, id: Id, follow: bool) -> Result<ExitCode, Trouble> {
    use std::io::Write as _;
    let follow = if follow { "?follow=true" } else { "" };
    let path = format!("/-/console/{}{follow}", id.0);
    let mut response = client.send(client.request(Method::GET, &path)).await?;
    let mut out = std::io::stdout();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.lost(&error))? {
        if out.write_all(&chunk).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(Exit::Ok.into())
}

impl List {
    fn query(&self, page: usize) -> String {
        let mut query = format!("?page={page}&page_size={PAGE}&order_by=-id");
        if !self.json {
            query.push_str(
                "&attrs=id,status,suspended,user,job,started_time,elapsed_time,exit_status",
            );
        }
        let active: &[&str] = &["NEW", "READY", "RUNNING", "WAITING"];
        let mut add = |key: &str, value: &str| {
            let value =
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            query.push_str(&format!("&{key}={value}"));
        };
        for status in &self.status {
            add("status", &status.to_uppercase());
        }
        if self.status.is_empty() && !self.all && !self.count {
            active.iter().for_each(|status| add("status", status));
        }
        if let Some(job) = &self.job {
            add("job", job);
        }
        if let Some(user) = &self.user {
            add("user", user);
        }
        query
    }

    async fn print(&self, client: &Client) -> Result<ExitCode, Trouble> {
        let most = self.head.unwrap_or(usize::MAX);
        let mut rows: Vec<Json> = Vec::new();
        for page in 1.. {
            let list = client.get(&format!("/process{}", self.query(page))).await?;
            if self.count {
                println(&list["count"].to_string());
                return Ok(Exit::Ok.into());
            }
            rows.extend(list["results"].as_array().into_iter().flatten().cloned());
            if list["next"].is_null() || rows.len() >= most {
                break;
            }
        }
        rows.truncate(most);
        if self.json {
            println(&format!("{:#}", Json::Array(rows)));
        } else {
            println(&table(&rows));
        }
        Ok(Exit::Ok.into())
    }
}

fn table(rows: &[Json]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ID", "STATUS", "USER", "STARTED", "ELAPSED", "EXIT", "JOB"]);
    for row in rows {
        let text = |key: &str| match &row[key] {
            Json::String(text) => talk::printable(text),
            Json::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let suspended = if row["suspended"] == true { " (suspended)" } else { "" };
        table.add_row([
            text("id"),
            format!("{}{suspended}", text("status")),
            text("user"),
            text("started_time"),
            text("elapsed_time"),
            text("exit_status"),
            text("job"),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_three_spellings() {
        for text in ["31", "id_31", "/process/id_31"] {
            assert_eq!(text.parse(), Ok(Id(31)), "{text}");
        }
        assert!("hello".parse::<Id>().is_err());
    }
}
