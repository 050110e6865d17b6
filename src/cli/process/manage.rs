//! The documented options of the process management command (rule: `operations/process-command`).

use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::select::{Selected, Selection, every};
use super::show;
use crate::cli::client::Client;
use crate::cli::run::println;
use crate::cli::talk;
use crate::cli::trouble::{Exit, Trouble};
use crate::engine::Operation;

/// Where the server takes orders for many processes, and for how many at a time.
const ORDER: &str = "/-/processes";
const AT_ONCE: usize = 1000;

const OPERATIONS: [&str; 6] = ["list_them", "count", "delete", "terminate", "suspend", "resume"];

/// What is done, with which processes.
#[derive(Debug, Args)]
pub(super) struct Manage {
    /// List them (default); those that have not ended unless told otherwise
    #[arg(short = 'L', long = "list", overrides_with_all = OPERATIONS, help_heading = "Operation")]
    list_them: bool,
    /// Print how many there are, in any state
    #[arg(short = 'C', long, overrides_with_all = OPERATIONS, help_heading = "Operation")]
    count: bool,
    /// Delete those that have ended, with their children
    #[arg(short = 'D', long, overrides_with_all = OPERATIONS, help_heading = "Operation")]
    delete: bool,
    /// End those that have not ended
    #[arg(short = 'T', long, overrides_with_all = OPERATIONS, help_heading = "Operation")]
    terminate: bool,
    /// Pause those that are not paused
    #[arg(short = 'S', long, overrides_with_all = OPERATIONS, help_heading = "Operation")]
    suspend: bool,
    /// Continue those that are paused
    #[arg(short = 'R', long, overrides_with_all = OPERATIONS, help_heading = "Operation")]
    resume: bool,
    /// Do not ask
    #[arg(short = 'y', long, help_heading = "Operation")]
    noinput: bool,
    /// Change nothing, and show what would be changed
    #[arg(long, help_heading = "Operation")]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Table, help_heading = "Output")]
    format: Form,
    /// Form of times, as strftime has it
    #[arg(long, value_name = "FMT", help_heading = "Output")]
    datetime_format: Option<String>,
    /// Properties to sort by, with commas between; a minus in front turns the order round
    #[arg(long, value_name = "ORDER", action = ArgAction::Append, value_delimiter = ',', allow_hyphen_values = true, help_heading = "Output")]
    order: Vec<String>,
    /// Turn the order round
    #[arg(short, long, help_heading = "Output")]
    reverse: bool,
    /// Only the first N
    #[arg(long, value_name = "N", help_heading = "Output")]
    head: Option<usize>,
    /// Only the last N
    #[arg(long, value_name = "N", help_heading = "Output")]
    tail: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Table,
    Json,
    /// As objects are exported.
    Export,
}

impl Manage {
    fn operation(&self) -> Operation {
        match self {
            Self { count: true, .. } => Operation::Count,
            Self { delete: true, .. } => Operation::Delete,
            Self { terminate: true, .. } => Operation::Terminate,
            Self { suspend: true, .. } => Operation::Suspend,
            Self { resume: true, .. } => Operation::Resume,
            _ => Operation::List,
        }
    }

    pub(super) async fn act(&self, client: &Client, quiet: bool) -> Result<ExitCode, Trouble> {
        let operation = self.operation();
        show::check_order(&self.order)?;
        let found = every(client, self.selection.wants_console()).await?;
        let mut found = self.selection.choose(client, operation, found).await?;
        show::sort(&mut found, &self.order);
        if self.reverse {
            found.reverse();
        }
        if let Some(head) = self.head {
            found.truncate(head);
        }
        if let Some(tail) = self.tail {
            found.drain(..found.len().saturating_sub(tail));
        }
        match operation {
            Operation::Count => {
                println(&found.len().to_string());
                self.order(client, operation, ("count", found.len().into())).await?;
            }
            Operation::List => {
                self.print(&found)?;
                for some in found.chunks(AT_ONCE) {
                    self.order(client, operation, numbers(some)).await?;
                }
            }
            _ => return self.change(client, operation, &found, quiet).await,
        }
        Ok(Exit::Ok.into())
    }

    fn print(&self, found: &[Selected]) -> Result<(), Trouble> {
        let rows: Vec<Json> = found
            .iter()
            .map(|one| show::with_times(&one.json, self.datetime_format.as_deref()))
            .collect::<Result<_, _>>()?;
        match self.format {
            Form::Table => println(&super::table(&rows)),
            Form::Json => println(&format!("{:#}", Json::Array(rows))),
            Form::Export => println(show::export(&rows).trim_end()),
        }
        Ok(())
    }

    async fn change(
        &self,
        client: &Client,
        operation: Operation,
        found: &[Selected],
        quiet: bool,
    ) -> Result<ExitCode, Trouble> {
        let word = operation.word();
        if self.dry_run {
            self.print(found)?;
            return Ok(Exit::Ok.into());
        }
        if found.is_empty() {
            return Ok(Exit::Ok.into());
        }
        if !self.noinput {
            self.print(found)?;
            if !talk::confirm(&format!("Really {word} {} processes?", found.len())) {
                return Ok(Exit::Ok.into());
            }
        }
        let mut done = 0;
        let mut exit = Exit::Ok;
        for (at, some) in found.chunks(AT_ONCE).enumerate() {
            if at > 0 && !quiet {
                talk::say(format!("{word}: {} of {} …", at * AT_ONCE, found.len()));
            }
            let answer = self.order(client, operation, numbers(some)).await?;
            done += answer["done"].as_u64().unwrap_or_default();
            for (id, why) in answer["failed"].as_object().into_iter().flatten() {
                exit = Exit::Failed;
                talk::say(format!(
                    "kompira: /process/id_{id}: {}",
                    why.as_str().unwrap_or_default()
                ));
            }
        }
        if !quiet {
            talk::say(format!("{word}: {done} of {}", found.len()));
        }
        Ok(exit.into())
    }

    /// Has the server do it to some processes, or write down what was found.
    async fn order(
        &self,
        client: &Client,
        operation: Operation,
        (key, told): (&str, Json),
    ) -> Result<Json, Trouble> {
        let query = self.selection.told();
        let order = json!({"operation": operation.word(), key: told, "query": query});
        client.post(ORDER, &order).await
    }
}

/// What an order says of the processes it is for.
fn numbers(some: &[Selected]) -> (&'static str, Json) {
    ("processes", some.iter().map(|one| one.id).collect())
}
