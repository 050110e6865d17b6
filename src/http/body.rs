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

/// What is told of a value of the wrong kind: the value, and what to write.
pub(super) fn wrong_kind(found: &Json, wanted: &str) -> String {
    let mut shown = found.to_string();
    if let Some((end, _)) = shown.char_indices().nth(60) {
        shown.truncate(end);
        shown.push('…');
    }
    format!("{shown} does not fit; write {wanted}")
}

/// What a text is, in [`wrong_kind`].
pub(super) const TEXT: &str = "a text in quotes";
/// What a truth value is, in [`wrong_kind`].
pub(super) const TRUTH: &str = "true or false";
/// What a map is, in [`wrong_kind`].
pub(super) const MAP: &str = "a JSON object";

/// A text; null is none.
pub(super) fn text(body: &Map<String, Json>, key: &str) -> Result<Option<String>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        // What may be a secret is not shown.
        Some(_) if key == "password" => Err(Failure::field(key, format!("Write {TEXT}."))),
        Some(other) => Err(Failure::field(key, wrong_kind(other, TEXT))),
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
        Some(other) => Err(Failure::field(key, wrong_kind(other, TRUTH))),
    }
}
