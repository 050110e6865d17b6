//! `/-/processes`: one order for many processes, as the process command gives it
//! (rule: http/process-command).

use axum::http::StatusCode;
use kompira_schema::error::Kind;
use kompira_schema::id::ProcessId;
use serde_json::{Map, Value as Json, json};

use crate::audit::Verb;
use crate::engine::Operation;
use crate::http::answer::{self, Failure};
use crate::http::body;
use crate::http::object::engine;
use crate::http::record;
use crate::http::route::{Answer, Ask};

/// Processes of one request.
const MANY_MAX: usize = 10_000;
/// What the audit keeps of a query.
const QUERY_BYTES_MAX: usize = 16 << 10;

/// As which verb the audit knows it, and what it calls the processes it was done to.
const fn in_audit(operation: Operation) -> (Verb, &'static str) {
    match operation {
        Operation::List => (Verb::List, "process_listed"),
        Operation::Count => (Verb::List, "process_count"),
        Operation::Delete => (Verb::Delete, "process_deleted"),
        Operation::Terminate => (Verb::Terminate, "process_terminated"),
        Operation::Suspend => (Verb::Suspend, "process_suspended"),
        Operation::Resume => (Verb::Resume, "process_resumed"),
    }
}

/// The operation that a request names.
fn operation(body: &Map<String, Json>) -> Result<Operation, Failure> {
    Operation::read(&body::required(body, "operation")?).ok_or_else(|| {
        let words = Operation::ALL.map(Operation::word).join(", ");
        Failure::field("operation", format!("One of {words}."))
    })
}

/// Does what `operation` says to `processes`, each on its own, and writes it down as one operation
/// with the `query` by which the caller found them. What was listed or counted is only written
/// down.
pub(in crate::http) fn command(ask: &Ask, body: Option<Json>) -> Answer {
    let body = body::object(body)?;
    let operation = operation(&body)?;
    let (verb, key) = in_audit(operation);
    let query = query(&body)?;
    let tell = |told: Json| record::of_command(ask, verb, query, (key, told));
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
        match engine.operate(&ask.who, operation, id) {
            Ok(true) => done.push(id.0),
            Ok(false) => {}
            // Gone meanwhile, with its parent or by another hand.
            Err(fault) if fault.kind() == Kind::NotFound => {}
            Err(fault) => {
                record::process(ask, id, verb, Some(&fault));
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
