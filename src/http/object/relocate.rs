//! `.rename`, `.move`, `.copy`: our extensions (rule: http/relocate).

use axum::http::StatusCode;
use kompira_schema::error::Kind;
use kompira_schema::path::{Name, ObjectPath};
use serde_json::{Map, Value as Json};

use super::render::{self, Want};
use super::write::{escape, finish};
use crate::http::answer::{self, Failure};
use crate::http::body::{TEXT, wrong_kind};
use crate::http::route::{Answer, Ask};

/// `POST <path>.rename {"name"}`, `POST <dir>.move {"object", "name"?}`,
/// `POST <dir>.copy {"object", "name"?}`; answers with the resulting object.
pub(super) fn relocate(ask: &Ask, body: Option<Json>) -> Answer {
    let Some(Json::Object(body)) = body else {
        return Err(Failure::field("", "Send a JSON object."));
    };
    let method = ask.target.method.as_deref().unwrap_or_default();
    let name = text(&body, "name")?
        .map(Name::new)
        .transpose()
        .map_err(|fault| Failure::field("name", answer::text(fault.told())))?;
    let object = text(&body, "object")?;
    if method == "rename" && name.is_none() {
        return Err(Failure::field("name", "This field is required."));
    }
    if method != "rename" && object.is_none() {
        return Err(Failure::field("object", "This field is required."));
    }
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let here = txn.resolve(&ask.target.path)?;
        let source = match object {
            Some(path) if method != "rename" => {
                ObjectPath::parse(path).and_then(|path| txn.resolve(&path)).map_err(|_| {
                    let text = format!("Object '{path}' does not exist.");
                    escape(&mut refused, Failure::field("object", text))
                })?
            }
            _ => here,
        };
        let moved = match (method, &name) {
            ("rename", Some(name)) => txn.rename(source, name).map(|()| source),
            ("move", name) => txn.move_to(source, here, name.as_ref(), None).map(|()| source),
            (_, name) => txn.copy(source, here, name.as_ref()),
        };
        moved.map_err(|fault| match fault.kind() {
            Kind::Exists | Kind::BadName | Kind::NameTooLong => {
                escape(&mut refused, Failure::field("name", answer::text(fault.told())))
            }
            Kind::WrongType => {
                escape(&mut refused, Failure::field("type_object", answer::text(fault.told())))
            }
            _ => fault,
        })
    });
    let id = finish(done, refused)?.value;
    let view = ask.service.tree.view();
    let json = render::listed(&view, &ask.who, id, &Want::of(&ask.query))?;
    let path = view.path_of(id).map(|path| path.as_str().to_owned()).unwrap_or_default();
    let response = super::with_etag(answer::json(StatusCode::OK, &json), view.head(id)?.rev);
    Ok(super::with_location(response, &path))
}

fn text<'a>(body: &'a Map<String, Json>, key: &str) -> Result<Option<&'a str>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(Failure::field(key, wrong_kind(other, TEXT))),
    }
}
