//! `.jsonrpc` of a safe library (rule: http/jsonrpc).

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::json;
use kompira_schema::message;
use kompira_schema::value::{Dict, Value};
use serde_json::{Map, Value as Json, json};

use crate::engine::{Engine, LibraryFailure};
use crate::http::answer::{self, Failure};
use crate::http::record;
use crate::http::route::{Answer, Ask, nothing};
use crate::http::value::to_json;
use crate::remote::python::MESSAGE_BYTES_MAX;
use crate::tree::{LibraryText, View};

/// Most calls of one request. Reason: they are carried out one after the other.
const BATCH_MAX: usize = 100;

/// Bytes of the answers of one request, before no other call is begun: those of one large result.
const ANSWER_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// How long the calls of one request may take together, before no other is begun.
const BATCH_TIME: Duration = Duration::from_secs(60);

/// A code and a text that go with it.
struct Wrong(i32, String);

impl Wrong {
    fn parse() -> Self {
        Self(-32700, "Parse error".to_owned())
    }

    fn request() -> Self {
        Self(-32600, "Invalid Request".to_owned())
    }

    fn full() -> Self {
        Self(-32603, "the answers before it are too large".to_owned())
    }

    fn answer(self, id: &Json) -> Json {
        let Self(code, message) = self;
        json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": id})
    }
}

impl From<LibraryFailure> for Wrong {
    fn from(failure: LibraryFailure) -> Self {
        match failure {
            LibraryFailure::NoFunction => Self(-32601, "Method not found".to_owned()),
            LibraryFailure::Arguments(text) | LibraryFailure::Value(text) => Self(-32602, text),
            LibraryFailure::Raised(text) => Self(-32000, text),
            LibraryFailure::Lost(text) | LibraryFailure::NoPython(text) => Self(-32603, text),
            LibraryFailure::Busy => Self(-32603, "the libraries are busy".to_owned()),
            LibraryFailure::Cancelled => Self(-32603, "the server stops".to_owned()),
        }
    }
}

/// A library whose functions may be called.
pub(super) struct Callee<'a> {
    engine: &'a Engine,
    view: View,
    id: ObjectId,
    text: LibraryText,
    until: Instant,
}

/// Calls functions; `None` is a body that is no JSON.
pub(super) fn jsonrpc(ask: &Ask, body: Option<Json>) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let def = view.type_of(id)?;
    if !def.is_builtin("Library") {
        return Err(nothing());
    }
    let path = view.path_of(id).ok_or_else(nothing)?;
    if !view.access(&ask.who, id)?.execute {
        let denied = Fault::new(Kind::Denied, message!("engine.denied", path = path));
        record::call(ask, id, None, Some(&denied));
        return Err(denied.into());
    }
    let Some(text) = view.library_text(&ask.who, id)?.filter(|text| text.kind == "safe_source")
    else {
        return Err(nothing());
    };
    let engine = super::engine(ask)?;
    let until = Instant::now() + BATCH_TIME;
    let callee = Callee { engine, view, id, text, until };
    let Some(body) = body else { return Ok(given(Some(Wrong::parse().answer(&Json::Null)))) };
    let answers = match body {
        Json::Array(calls) if calls.is_empty() || calls.len() > BATCH_MAX => {
            Some(Wrong::request().answer(&Json::Null))
        }
        Json::Array(calls) => {
            let mut answers = Vec::new();
            let mut bytes = 0;
            for one in calls {
                let id = one.get("id").cloned().unwrap_or_default();
                let answer = match bytes > ANSWER_BYTES_MAX {
                    true => Some(Wrong::full().answer(&id)),
                    false => callee.answer(ask, one),
                };
                bytes += answer.as_ref().map_or(0, |answer| answer.to_string().len());
                answers.extend(answer);
            }
            (!answers.is_empty()).then_some(Json::Array(answers))
        }
        one => callee.answer(ask, one),
    };
    Ok(given(answers))
}

/// `200` with what is to be said, `204` when that is nothing.
fn given(answers: Option<Json>) -> Response {
    match answers {
        Some(answers) => answer::json(StatusCode::OK, &answers),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// One call as it was sent.
struct Sent {
    /// `None`: nobody wants an answer.
    id: Option<Json>,
    method: String,
    positional: Vec<Value>,
    named: Dict,
}

impl Sent {
    fn read(mut call: Map<String, Json>) -> Option<Self> {
        let id = call.remove("id");
        if !matches!(id, None | Some(Json::Null | Json::String(_) | Json::Number(_))) {
            return None;
        }
        if call.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
            return None;
        }
        let Some(Json::String(method)) = call.remove("method") else { return None };
        let (positional, named) = match call.remove("params") {
            None => (Vec::new(), Dict::new()),
            Some(Json::Array(items)) => (items.iter().map(json::to_value).collect(), Dict::new()),
            Some(Json::Object(items)) => (Vec::new(), json::dict(&items)),
            Some(_) => return None,
        };
        Some(Self { id, method, positional, named })
    }
}

impl Callee<'_> {
    /// Carries out one call; `None` for one that wants no answer.
    fn answer(&self, ask: &Ask, call: Json) -> Option<Json> {
        let Json::Object(call) = call else { return Some(Wrong::request().answer(&Json::Null)) };
        let id = call.get("id").cloned();
        let id = id.filter(|id| id.is_string() || id.is_number()).unwrap_or_default();
        let Some(sent) = Sent::read(call) else { return Some(Wrong::request().answer(&id)) };
        let wanted = sent.id.is_some();
        let method = sent.method.clone();
        let done = self.call(sent);
        record::call(ask, self.id, Some(&method), None);
        if !wanted {
            return None;
        }
        Some(match done {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
            Err(wrong) => wrong.answer(&id),
        })
    }

    fn call(&self, sent: Sent) -> Result<Json, Wrong> {
        if Instant::now() >= self.until {
            return Err(LibraryFailure::Busy.into());
        }
        let library = (self.id, self.text.clone());
        let done = self.engine.call_library(library, &sent.method, sent.positional, sent.named)?;
        to_json(&self.view, &done).map_err(|_| Wrong(-32603, "Internal error".to_owned()))
    }
}

/// A body as JSON; `None` for one that is none.
///
/// # Errors
/// Another content type, too large, too slow.
pub(super) fn body_of(read: Result<Option<Json>, Failure>) -> Result<Option<Json>, Failure> {
    match read {
        Err(Failure::Fault(fault)) if fault.kind() == Kind::BadRequest => Ok(None),
        read => read,
    }
}
