//! Which processes the management command means.

use std::collections::HashMap;

use clap::{ArgAction, Args};
use fancy_regex::Regex;
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value as Json, json};

use super::Id;
use crate::cli::client::Client;
use crate::cli::trouble::Trouble;
use crate::engine::Operation;

/// Entries asked for at a time.
const PAGE: usize = 1000;

const STATUS: [&str; 6] = ["NEW", "READY", "RUNNING", "WAITING", "ABORTED", "DONE"];

/// Conditions. The same option several times: one of them; different options: all of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which processes")]
pub(super) struct Selection {
    /// Number of a process
    #[arg(short = 'i', long = "pid", value_name = "PID", action = ArgAction::Append)]
    pid: Vec<Id>,
    /// In any state
    #[arg(short, long)]
    all: bool,
    /// NEW, READY, RUNNING or WAITING
    #[arg(long)]
    active: bool,
    /// ABORTED or DONE
    #[arg(long)]
    finish: bool,
    /// In this state
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = STATUS, action = ArgAction::Append)]
    status: Vec<String>,
    /// Paused
    #[arg(long)]
    suspended: bool,
    /// Not paused
    #[arg(long)]
    not_suspended: bool,
    /// Children of this process
    #[arg(long, value_name = "PARENT", action = ArgAction::Append)]
    parent: Vec<Id>,
    /// Children of any process
    #[arg(long)]
    anyones_child: bool,
    /// With at least N children
    #[arg(long, value_name = "N")]
    min_children: Option<usize>,
    /// Path of the job that was started fits
    #[arg(long, value_name = "RE")]
    job: Option<Regex>,
    /// Path of the job being executed fits
    #[arg(long, value_name = "RE")]
    current_job: Option<Regex>,
    /// Started by a schedule
    #[arg(long)]
    scheduled: bool,
    /// Not started by a schedule
    #[arg(long)]
    not_scheduled: bool,
    /// Started by the schedule of this number
    #[arg(long, value_name = "ID", action = ArgAction::Append)]
    scheduler_id: Vec<u64>,
    /// Name of its schedule fits
    #[arg(long, value_name = "RE")]
    scheduler_name: Option<Regex>,
    /// Started by an object
    #[arg(long)]
    invoked: bool,
    /// Not started by an object
    #[arg(long)]
    not_invoked: bool,
    /// Started by the object of this path
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    invoker: Vec<String>,
    /// Started by an object of this type
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    invoker_type: Vec<String>,
    /// Of this user
    #[arg(long, value_name = "USER", action = ArgAction::Append)]
    user: Vec<String>,
    /// Started then or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    started_since: Option<Timestamp>,
    /// Started before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    started_before: Option<Timestamp>,
    /// Ended then or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    finished_since: Option<Timestamp>,
    /// Ended before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    finished_before: Option<Timestamp>,
    /// Ran so many seconds or longer
    #[arg(long, value_name = "SEC")]
    elapsed_more: Option<f64>,
    /// Ran less than so many seconds
    #[arg(long, value_name = "SEC")]
    elapsed_less: Option<f64>,
    /// The console holds this text
    #[arg(long, value_name = "TEXT")]
    console: Option<String>,
}

/// Reads a time in any form that `datetime()` of the language reads.
fn moment(text: &str) -> Result<Timestamp, String> {
    crate::stdlib::moment(text, &Zoned::now())
        .map(|at| at.timestamp())
        .ok_or_else(|| "write a time as 2031-07-04 09:05, or 2 hours ago".to_owned())
}

/// A process as the server tells it.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) id: u64,
    pub(super) json: Json,
}

impl Selected {
    pub(super) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    fn has(&self, key: &str) -> bool {
        !self.json[key].is_null()
    }

    fn time(&self, key: &str) -> Option<Timestamp> {
        self.text(key).parse().ok()
    }

    fn seconds(&self) -> Option<f64> {
        match &self.json["elapsed_time"] {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => super::show::seconds(text),
            _ => None,
        }
    }
}

/// Every process that the caller sees, by number.
pub(super) async fn every(client: &Client, console: bool) -> Result<Vec<Selected>, Trouble> {
    let mut attrs = "id,abspath,user,elapsed_time,started_time,finished_time,status,exit_status,\
                     result,error,suspended,lineno,job,schedule,parent,current_job,invoker,\
                     step_mode,checkpoint_mode,monitoring_mode"
        .to_owned();
    if console {
        attrs.push_str(",console");
    }
    let mut found = Vec::new();
    for page in 1.. {
        let path = format!("/process?page={page}&page_size={PAGE}&order_by=id&attrs={attrs}");
        let list = client.get(&path).await?;
        let results = list["results"].as_array().into_iter().flatten();
        found.extend(results.map(|json| Selected {
            id: json["id"].as_u64().unwrap_or_default(),
            json: json.clone(),
        }));
        if list["next"].is_null() {
            break;
        }
    }
    found.sort_by_key(|one| one.id);
    Ok(found)
}

impl Selection {
    /// The conditions that were given, by their options: for the audit.
    pub(super) fn told(&self) -> Map<String, Json> {
        let numbers = |ids: &[Id]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
        let pattern = |of: &Option<Regex>| of.as_ref().map(|of| of.as_str().to_owned());
        let time = |of: &Option<Timestamp>| of.map(|of| of.to_string());
        let all = json!({
            "pid": numbers(&self.pid),
            "all": self.all,
            "active": self.active,
            "finish": self.finish,
            "status": self.status,
            "suspended": self.suspended,
            "not_suspended": self.not_suspended,
            "parent": numbers(&self.parent),
            "anyones_child": self.anyones_child,
            "min_children": self.min_children,
            "job": pattern(&self.job),
            "current_job": pattern(&self.current_job),
            "scheduled": self.scheduled,
            "not_scheduled": self.not_scheduled,
            "scheduler_id": self.scheduler_id,
            "scheduler_name": pattern(&self.scheduler_name),
            "invoked": self.invoked,
            "not_invoked": self.not_invoked,
            "invoker": self.invoker,
            "invoker_type": self.invoker_type,
            "user": self.user,
            "started_since": time(&self.started_since),
            "started_before": time(&self.started_before),
            "finished_since": time(&self.finished_since),
            "finished_before": time(&self.finished_before),
            "elapsed_more": self.elapsed_more,
            "elapsed_less": self.elapsed_less,
            "console": self.console,
        });
        let Json::Object(all) = all else { return Map::new() };
        let given = |value: &Json| match value {
            Json::Null | Json::Bool(false) => false,
            Json::Array(list) => !list.is_empty(),
            _ => true,
        };
        all.into_iter().filter(|(_, value)| given(value)).collect()
    }

    /// Whether consoles must be read.
    pub(super) const fn wants_console(&self) -> bool {
        self.console.is_some()
    }

    /// Leaves those that are meant.
    pub(super) async fn choose(
        &self,
        client: &Client,
        operation: Operation,
        found: Vec<Selected>,
    ) -> Result<Vec<Selected>, Trouble> {
        let mut children: HashMap<String, usize> = HashMap::new();
        for one in &found {
            *children.entry(one.text("parent").to_owned()).or_default() += 1;
        }
        let mut kept = Vec::new();
        let mut known = HashMap::new();
        for one in found {
            let count = children.get(one.text("abspath")).copied().unwrap_or_default();
            if self.fits(operation, &one, count) && self.origin(client, &one, &mut known).await? {
                kept.push(one);
            }
        }
        Ok(kept)
    }

    fn fits(&self, operation: Operation, one: &Selected, children: usize) -> bool {
        let active = !matches!(one.text("status"), "DONE" | "ABORTED");
        let suspended = one.json["suspended"] == true;
        let said = self.all || self.active || self.finish || !self.status.is_empty();
        let implied = match operation {
            Operation::List => said || active,
            Operation::Count => true,
            Operation::Delete => !active,
            Operation::Terminate => active,
            Operation::Suspend => active && !suspended,
            Operation::Resume => active && suspended,
        };
        let listed =
            |wanted: &[Id], held: u64| wanted.is_empty() || wanted.iter().any(|id| id.0 == held);
        let word = |wanted: &[String], held: &str| {
            wanted.is_empty() || wanted.iter().any(|word| word.eq_ignore_ascii_case(held))
        };
        let matches = |wanted: &Option<Regex>, held: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.is_match(held).unwrap_or(false))
        };
        let parent: u64 =
            one.text("parent").rsplit('_').next().and_then(|id| id.parse().ok()).unwrap_or(0);
        let since = |limit: Option<Timestamp>, key: &str| {
            limit.is_none_or(|limit| one.time(key).is_some_and(|at| at >= limit))
        };
        let before = |limit: Option<Timestamp>, key: &str| {
            limit.is_none_or(|limit| one.time(key).is_some_and(|at| at < limit))
        };
        implied
            && listed(&self.pid, one.id)
            && (!self.active || active)
            && (!self.finish || !active)
            && word(&self.status, one.text("status"))
            && (!self.suspended || suspended)
            && (!self.not_suspended || !suspended)
            && listed(&self.parent, parent)
            && (!self.anyones_child || one.has("parent"))
            && self.min_children.is_none_or(|least| children >= least)
            && matches(&self.job, one.text("job"))
            && matches(&self.current_job, one.text("current_job"))
            && (!self.scheduled || one.has("schedule"))
            && (!self.not_scheduled || !one.has("schedule"))
            && (!self.invoked || one.has("invoker"))
            && (!self.not_invoked || !one.has("invoker"))
            && (self.invoker.is_empty()
                || self.invoker.iter().any(|path| path == one.text("invoker")))
            && (self.user.is_empty() || self.user.iter().any(|user| user == one.text("user")))
            && since(self.started_since, "started_time")
            && before(self.started_before, "started_time")
            && since(self.finished_since, "finished_time")
            && before(self.finished_before, "finished_time")
            && self.elapsed_more.is_none_or(|least| one.seconds().is_some_and(|held| held >= least))
            && self.elapsed_less.is_none_or(|most| one.seconds().is_some_and(|held| held < most))
            && self.console.as_ref().is_none_or(|text| one.text("console").contains(text.as_str()))
    }

    /// What must be asked for: names of schedules, types of invokers.
    async fn origin(
        &self,
        client: &Client,
        one: &Selected,
        known: &mut HashMap<String, Json>,
    ) -> Result<bool, Trouble> {
        let number = one.text("schedule").rsplit('_').next().and_then(|id| id.parse::<u64>().ok());
        if !self.scheduler_id.is_empty()
            && !number.is_some_and(|number| self.scheduler_id.contains(&number))
        {
            return Ok(false);
        }
        if let Some(name) = &self.scheduler_name {
            let held = told(client, one.text("schedule"), "name", known).await?;
            if !held.as_str().is_some_and(|held| name.is_match(held).unwrap_or(false)) {
                return Ok(false);
            }
        }
        if !self.invoker_type.is_empty() {
            let held = told(client, one.text("invoker"), "type_object", known).await?;
            if !held.as_str().is_some_and(|held| self.invoker_type.iter().any(|kind| kind == held))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A property of an object; null when it is gone.
async fn told(
    client: &Client,
    path: &str,
    key: &str,
    known: &mut HashMap<String, Json>,
) -> Result<Json, Trouble> {
    if path.is_empty() {
        return Ok(Json::Null);
    }
    if let Some(held) = known.get(path) {
        return Ok(held[key].clone());
    }
    let json = match client.get(path).await {
        Ok(json) => json,
        Err(trouble) if trouble.is_gone() => Json::Null,
        Err(trouble) => return Err(trouble),
    };
    let held = json[key].clone();
    known.insert(path.to_owned(), json);
    Ok(held)
}
