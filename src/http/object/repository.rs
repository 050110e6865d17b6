//! `.initialize`, `.push`, `.pull` (rule: http/repositories).

use axum::http::StatusCode;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use serde_json::{Map, Value as Json, json};

use crate::http::answer::{self, Failure};
use crate::http::body::{self, text};
use crate::http::route::{Answer, Ask, nothing};
use crate::http::table::Resource;
use crate::transfer::git::Action;

pub(super) fn synchronise(ask: &Ask, body: Option<Json>) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let kind = view.type_of(id)?;
    if !kind.is_builtin("Repository") {
        return Err(nothing());
    }
    let body = body::optional(body)?;
    let known: &[&str] = match ask.row.resource {
        Resource::Push => &["branch", "message"],
        Resource::Pull => &["branch"],
        _ => &[],
    };
    if let Some(key) = body.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(Failure::field(key, "No such parameter."));
    }
    let branch = text(&body, "branch")?.filter(|branch| !branch.is_empty());
    let action = match ask.row.resource {
        Resource::Push => {
            Action::Push { branch, message: text(&body, "message")?.unwrap_or_default() }
        }
        Resource::Pull => Action::Pull { branch },
        _ => Action::Initialize,
    };
    let missing = || Fault::new(Kind::Unavailable, message!("http.no_engine"));
    let repositories = ask.service.repositories.as_ref().ok_or_else(missing)?;
    let detail = Map::from_iter([("http_method".to_owned(), Json::from(ask.method.as_str()))]);
    let stop = || ask.service.shutdown.begun();
    let log = repositories.act(&ask.who, id, &action, detail, &stop)?;
    Ok(answer::json(StatusCode::OK, &json!({"log": log})))
}
