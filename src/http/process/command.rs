//! `/-/processes`: one order for many processes, as the process command gives it
//! (rule: http/process-command).

use axum::http::StatusCode;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ProcessId;
use serde_json::{Map, Value as Json, json};

use crate::audit::Verb;
use crate::engine::{Engine, Modes};
use crate::http::answer::{self, Failure};
use crate::http::body;
use crate::http::object::engine;
use crate::http::record;
use crate::http::route::{Answer, Ask};

/// Processes of one request.
const MANY_MAX: usize = 10_000;
/// What the audit keeps of a query.
const QUERY_BYTES_MAX: usize = 16 << 10;

#[derive(Debug, Clone, Copy)]
enum Operation {
    List,
    Count,
    Delete,
    Terminate,
    Suspend,
    Resume,
}

impl Operation {
    fn read(word: &str) -> Result<Self, Failure> {
        Ok(match word {
            "list" => Self::List,
            "count" => Self::Count,
            "delete" => Self::Delete,
            "terminate" => Self::Terminate,
            "suspend" => Self::Suspend,
            "resume" => Self::Resume,
            _ => {
                let one = "One of list, count, delete, terminate, suspend, resume.";
                return Err(Failure::field("operation", one));
            }
        })
    }

    const fn verb(self) -> Verb {
        match self {
            Self::List | Self::Count => Verb::List,
            Self::Delete => Verb::Delete,
            Self::Terminate => Verb::Terminate,
            Self::Suspend => Verb::Suspend,
            Self::Resume => Verb::Resume,
        }
    }

    /// What the audit calls the processes it was done to.
    const fn key(self) -> &'static str {
        match self {
            Self::List => "process_listed",
            Self::Count => "process_count",
            Self::Delete => "process_deleted",
            Self::Terminate => "process_terminated",
            Self::Suspend => "process_suspended",
            Self::Resume => "process_resumed",
        }
    }

    /// Does it to one process (listing has been done); `false` when there was nothing to do. One that is gone meanwhile,
    /// with its parent or by another hand, is such a one.
    fn act(self, engine: &Engine, ask: &Ask, id: ProcessId) -> Result<bool, Fault> {
        let who = &ask.who;
        let done = match self {
            Self::List | Self::Count => return Ok(true),
            Self::Delete => engine.delete(who, id).map(|()| true),
            Self::Terminate => engine.terminate(who, id),
            Self::Suspend => engine.suspend(who, id),
            Self::Resume => engine.resume(who, id, Modes::default()),
        };
        match done {
            Err(fault) if fault.kind() == Kind::NotFound => Ok(false),
            done => done,
        }
    }
}

/// Does what `operation` says to `processes`, each on its own, and writes it down as one operation
/// with the `query` by which the caller found them. What was listed or counted is only written
/// down.
pub(in crate::http) fn command(ask: &Ask, body: Option<Json>) -> Answer {
    let body = body::object(body)?;
    let operation = Operation::read(&body::required(&body, "operation")?)?;
    let query = query(&body)?;
    let tell = |told: Json| {
        record::of_command(ask, operation.verb(), query, (operation.key(), told));
    };
    if let Operation::Count = operation {
        let count = body.get("count").and_then(Json::as_u64);
        let count = count.ok_or_else(|| Failure::field("count", "A number of processes."))?;
        tell(count.into());
        return Ok(answer::json(StatusCode::OK, &json!({"done": count, "failed": {}})));
    }
    let mut done = Vec::new();
    let mut failed = Map::new();
    let engine = engine(ask)?;
    for id in numbers(&body)? {
        match operation.act(engine, ask, id) {
            Ok(true) => done.push(id.0),
            Ok(false) => {}
            Err(fault) => {
                record::of_order(ask, id, operation.verb(), &fault);
                failed.insert(id.0.to_string(), answer::text(fault.told()).into());
            }
        }
    }
    let answer = json!({"done": done.len(), "failed": failed});
    tell(done.into());
    Ok(answer::json(StatusCode::OK, &answer))
}

/// What the audit is to hold of how they were found.
fn query(body: &Map<String, Json>) -> Result<Json, Failure> {
    match body.get("query") {
        None => Ok(json!({})),
        Some(query) if query.is_object() && query.to_string().len() <= QUERY_BYTES_MAX => {
            Ok(query.clone())
        }
        Some(_) => {
            let what = format!("A JSON object of at most {QUERY_BYTES_MAX} bytes.");
            Err(Failure::field("query", what))
        }
    }
}

fn numbers(body: &Map<String, Json>) -> Result<Vec<ProcessId>, Failure> {
    let list = match body.get("processes") {
        Some(Json::Array(list)) if list.len() <= MANY_MAX => list,
        _ => {
            let what = format!("A list of at most {MANY_MAX} numbers of processes.");
            return Err(Failure::field("processes", what));
        }
    };
    let number = |one: &Json| {
        let wrong = || Failure::field("processes", "Not the number of a process.");
        one.as_u64().map(ProcessId).ok_or_else(wrong)
    };
    list.iter().map(number).collect()
}
