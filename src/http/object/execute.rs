//! `.execute` (rule: http/execute).

use axum::http::StatusCode;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::json;
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use serde_json::{Map, Value as Json};

use crate::engine::{Engine, Monitoring, Params, StartOptions};
use crate::http::answer::{self, Failure};
use crate::http::body::{self, MAP, TEXT, truth, wrong_kind};
use crate::http::record;
use crate::http::route::{Answer, Ask, nothing};
use crate::tree::View;

pub(super) fn execute(ask: &Ask, body: Option<Json>) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let kind = view.type_of(id)?;
    if kind.executable != kompira_schema::types::Executable::Yes {
        return Err(nothing());
    }
    let body = body::optional(body)?;
    let options = StartOptions {
        step_mode: truth(&body, "step_mode")?.unwrap_or_default(),
        trace: truth(&body, "trace")?.unwrap_or_default(),
        checkpoint_mode: truth(&body, "checkpoint_mode")?,
        monitoring_mode: monitoring(&body)?,
        node: object(ask, &view, &body, "node", "NodeInfo")?,
        account: object(ask, &view, &body, "account", "AccountInfo")?,
        ..StartOptions::default()
    };
    let params = match (body.get("command_line"), body.get("parameters")) {
        (Some(Json::String(line)), None) => Params::CommandLine(line.clone()),
        (None | Some(Json::Null), None | Some(Json::Null)) => Params::default(),
        (None | Some(Json::Null), Some(Json::Object(map))) => Params::Values(json::dict(map)),
        (None | Some(Json::Null), Some(other)) => {
            return Err(Failure::field("parameters", wrong_kind(other, MAP)));
        }
        (Some(other), None) => return Err(Failure::field("command_line", wrong_kind(other, TEXT))),
        (Some(_), Some(_)) => {
            return Err(Failure::field(
                "command_line",
                "A script job takes command_line, a jobflow takes parameters.",
            ));
        }
    };
    let process = record::execute(ask, id, params, options)?;
    let path = format!("/process/id_{process}");
    let response = answer::json(StatusCode::OK, &Json::from(path.as_str()));
    Ok(super::with_location(response, &path))
}

/// The engine, when it runs.
pub(in crate::http) fn engine(ask: &Ask) -> Result<&Engine, Fault> {
    let missing = || Fault::new(Kind::Unavailable, message!("http.no_engine"));
    ask.service.engine.as_ref().ok_or_else(missing)
}

/// The monitoring mode of the body.
pub(in crate::http) fn monitoring(body: &Map<String, Json>) -> Result<Option<Monitoring>, Failure> {
    match body.get("monitoring_mode") {
        None | Some(Json::Null) => Ok(None),
        Some(word) => match word.as_str().and_then(Monitoring::parse) {
            Some(mode) => Ok(Some(mode)),
            None => Err(Failure::field("monitoring_mode", "One of NOTHING, MAIL, ABORT_MAIL.")),
        },
    }
}

/// An object of a built-in type that the caller can read.
fn object(
    ask: &Ask,
    view: &View,
    body: &Map<String, Json>,
    key: &str,
    kind: &str,
) -> Result<Option<ObjectId>, Failure> {
    let text = match body.get(key) {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::String(text)) => text,
        Some(other) => return Err(Failure::field(key, wrong_kind(other, TEXT))),
    };
    let missing = || Failure::field(key, format!("Object '{text}' does not exist."));
    let path = ObjectPath::parse(text).map_err(|_| missing())?;
    let id = view.resolve(&path).map_err(|_| missing())?;
    let def = view.type_of(id)?;
    if !def.is_builtin(kind) {
        return Err(Failure::field(key, format!("Object '{text}' is no {kind}.")));
    }
    if !view.access(&ask.who, id)?.read {
        return Err(Failure::field(key, format!("Object '{text}' cannot be read.")));
    }
    Ok(Some(id))
}
