//! `.submit` of a Form, or of a Table with selected rows (rule: http/submit).

use axum::http::StatusCode;
use kompira_schema::error::Kind;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::json;
use kompira_schema::path::ObjectPath;
use kompira_schema::types::Container;
use kompira_schema::validate::Source;
use kompira_schema::value::Dict;
use serde_json::{Map, Value as Json, json};

use crate::engine::{Params, StartOptions};
use crate::http::answer::{self, Failure};
use crate::http::body;
use crate::http::record;
use crate::http::route::{Answer, Ask, nothing};
use crate::tree::{Submission, View};

/// Sends the entered values to the form's channel, or starts its jobflow.
pub(super) fn submit(ask: &Ask, body: Option<Json>) -> Answer {
    let body = body::optional(body)?;
    let values = match body.get("values") {
        None | Some(Json::Null) => Dict::new(),
        Some(Json::Object(map)) => json::dict(map),
        Some(other) => return Err(Failure::field("values", body::wrong_kind(other, body::MAP))),
    };
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let rows = rows(&view, &body)?;
    let of_table = matches!(view.type_of(id)?.container, Container::OfTypeIn(_));
    if of_table && rows.is_none() {
        return Err(Failure::field("objects", "This field is required: rows of the table."));
    }
    let done = ask.write(|txn| {
        let values = values.clone();
        match &rows {
            Some(rows) if of_table => txn.submit_rows(id, rows, values, Source::Json),
            rows => txn.submit_form(id, values, Source::Json, rows.as_deref()),
        }
    });
    let done = match done {
        // What is no form has no such method.
        Err(fault) if fault.kind() == Kind::NoMethod => return Err(nothing()),
        done => done?,
    };
    match done.value {
        Submission::Sent { channel, .. } => {
            let path = ask.service.tree.view().path_of(channel);
            let path = path.map(|path| path.as_str().to_owned());
            Ok(answer::json(StatusCode::OK, &json!({"sent": path})))
        }
        Submission::Start { job, params, invoker } => {
            let options = StartOptions { invoker: Some(invoker), ..StartOptions::default() };
            let params = Params::Values(params);
            let process = record::execute(ask, job, params, options)?;
            let path = format!("/process/id_{process}");
            let response = answer::json(StatusCode::OK, &json!({"process": path}));
            Ok(super::with_location(response, &path))
        }
    }
}

/// The selected rows.
fn rows(view: &View, body: &Map<String, Json>) -> Result<Option<Vec<ObjectId>>, Failure> {
    let list = match body.get("objects") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Array(list)) => list,
        Some(_) => return Err(Failure::field("objects", "Not a list of paths.")),
    };
    let mut found = Vec::with_capacity(list.len());
    for item in list {
        let text =
            item.as_str().ok_or_else(|| Failure::field("objects", "Not a list of paths."))?;
        let missing = || Failure::field("objects", format!("Object '{text}' does not exist."));
        let path = ObjectPath::parse(text).map_err(|_| missing())?;
        found.push(view.resolve(&path).map_err(|_| missing())?);
    }
    Ok(Some(found))
}
