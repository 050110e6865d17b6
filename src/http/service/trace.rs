//! `/-/trace/N`: the recorded steps of a process (rule: http/trace).

use axum::http::StatusCode;
use kompira_schema::id::ProcessId;
use serde_json::{Map, Value as Json, json};

use crate::engine::trace::Step;
use crate::http::answer::{self, Failure};
use crate::http::object::engine;
use crate::http::route::{Answer, Ask};
use crate::http::value::datetime;

/// Steps of one answer.
const PAGE: usize = 1000;

pub(super) fn trace(ask: &Ask) -> Answer {
    let id = ProcessId(ask.id);
    let after = match ask.query.get("after").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => return Err(Failure::field("after", "The number of a step.")),
    };
    let trace = engine(ask)?.trace(&ask.who, id, after, PAGE)?;
    let view = ask.service.tree.view();
    let steps: Vec<Json> = trace
        .steps
        .iter()
        .map(|step| {
            let job = view.path_of(step.job).map(|path| path.as_str().to_owned());
            shown(step, job)
        })
        .collect();
    Ok(answer::json(StatusCode::OK, &json!({"on": trace.on, "steps": steps})))
}

fn shown(step: &Step, job: Option<String>) -> Json {
    let changed: Map<String, Json> =
        step.changed.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "number": step.number,
        "time": datetime(step.at),
        "job": job,
        "lineno": step.line,
        "depth": step.depth,
        "status": step.status,
        "result": step.result,
        "error": step.error,
        "changed": changed,
        "waits_for": step.wait,
        "command": step.command,
    })
}
