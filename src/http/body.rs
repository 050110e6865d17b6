//! Values out of the JSON body of a request.

use serde_json::{Map, Value as Json};

use super::answer::Failure;

const REQUIRED: &str = "This field is required.";

/// The body as an object.
pub(super) fn object(body: Option<Json>) -> Result<Map<String, Json>, Failure> {
    match body {
        Some(Json::Object(map)) => Ok(map),
        _ => Err(Failure::field("", "Send a JSON object.")),
    }
}

/// The body as an object; no body is one without entries.
pub(super) fn optional(body: Option<Json>) -> Result<Map<String, Json>, Failure> {
    match body {
        None | Some(Json::Null) => Ok(Map::new()),
        body => object(body),
    }
}

/// A text; null is none.
pub(super) fn text(body: &Map<String, Json>, key: &str) -> Result<Option<String>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Failure::field(key, "Not a valid string.")),
    }
}

/// A text that must be there when something is made or replaced.
pub(super) fn required(body: &Map<String, Json>, key: &str) -> Result<String, Failure> {
    text(body, key)?.ok_or_else(|| Failure::field(key, REQUIRED))
}

/// All keys that must be there and `has` not, at once.
pub(super) fn check_all(keys: &[&str], has: impl Fn(&str) -> bool) -> Result<(), Failure> {
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !has(key))
        .map(|key| ((*key).to_owned(), REQUIRED.to_owned()))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::Fields(missing)) }
}

/// A truth value; null is none.
pub(super) fn truth(body: &Map<String, Json>, key: &str) -> Result<Option<bool>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Bool(truth)) => Ok(Some(*truth)),
        Some(_) => Err(Failure::field(key, "Must be true or false.")),
    }
}
