//! Tasks (rule: http/tasks).

use kompira_schema::layout::json;
use kompira_schema::value::Value;
use serde_json::Value as Json;

use crate::http::answer::Failure;
use crate::http::filter::Attribute;

pub(super) const SHOWN: &[&str] = &[
    "id",
    "abspath",
    "owner",
    "assigned_users",
    "assigned_groups",
    "name",
    "title",
    "message",
    "action_text",
    "result",
    "status",
    "created_date",
    "closed_date",
];

pub(super) const TABLE: &[(&str, Attribute)] = &[
    ("name", Attribute::Text),
    ("title", Attribute::Text),
    ("message", Attribute::Text),
    ("status", Attribute::AnyOf(&["WAITING", "ONGOING", "DONE", "CANCELED"])),
    ("owner", Attribute::Exact),
    ("created_date", Attribute::Time),
    ("closed_date", Attribute::Time),
];

/// The `result` of a submission; without a body or a result it is `OK`.
pub(super) fn result(body: Option<Json>) -> Result<Option<Value>, Failure> {
    match body {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(map)) => Ok(map.get("result").map(json::to_value)),
        Some(_) => Err(Failure::field("", "Send a JSON object.")),
    }
}
