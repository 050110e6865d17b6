//! `/-/refs`: who refers to an object (rule: http/refs).

use axum::http::StatusCode;
use kompira_schema::path::ObjectPath;
use kompira_schema::value::Ref;
use serde_json::{Value as Json, json};

use crate::http::answer::{self, Failure};
use crate::http::route::{Answer, Ask};

/// Objects whose fields refer to `path`, as far as the caller may read them.
pub(super) fn refs(ask: &Ask) -> Answer {
    let text = ask.query.get("path").unwrap_or_default();
    let path = ObjectPath::parse(text)
        .map_err(|fault| Failure::field("path", answer::text(fault.told())))?;
    let view = ask.service.tree.view();
    let id = view.resolve(&path)?;
    let mut rows: Vec<(String, String)> = Vec::new();
    for (source, field) in view.referrers(Ref::Object(id))? {
        if !view.access(&ask.who, source)?.read {
            continue;
        }
        if let Some(path) = view.path_of(source) {
            rows.push((path.as_str().to_owned(), field));
        }
    }
    rows.sort();
    let rows: Vec<Json> =
        rows.into_iter().map(|(path, field)| json!({"abspath": path, "field": field})).collect();
    Ok(answer::json(StatusCode::OK, &Json::Array(rows)))
}
