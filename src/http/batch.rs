//! `/-/batch`: several changes of objects in one commit (rule: http/batch).

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use kompira_schema::id::Rev;
use kompira_schema::path::ObjectPath;
use kompira_schema::types::Container;
use serde_json::{Map, Value as Json, json};

use super::answer::{self, Failure};
use super::body::{object, text};
use super::object::{Applied, Change, Want, escape, finish, listed};
use super::route::{Answer, Ask};
use super::table::Act;

/// Most changes of one commit: more would hold up the commits of others.
const OPERATIONS_MAX: usize = 1000;

/// Makes all or none.
pub(super) async fn batch(ask: &Arc<Ask>, body: Body) -> Answer {
    let mut body = object(ask.body(body).await?)?;
    ask.blocking(move |ask| {
        let list = match body.remove("operations") {
            Some(Json::Array(list)) => list,
            None | Some(Json::Null) => {
                return Err(Failure::field("operations", "This field is required."));
            }
            Some(_) => return Err(Failure::field("operations", "Not a list.")),
        };
        if list.len() > OPERATIONS_MAX {
            let text = format!("{} operations: at most {OPERATIONS_MAX}.", list.len());
            return Err(Failure::field("operations", text));
        }
        let mut changes = Vec::with_capacity(list.len());
        for (at, item) in list.into_iter().enumerate() {
            changes.push(read(item).map_err(|failure| failure.of_operation(at))?);
        }
        run(ask, &changes)
    })
    .await
}

fn read(item: Json) -> Result<Change, Failure> {
    let mut map = object(Some(item))?;
    let required = |key: &str| Failure::field(key, "This field is required.");
    let method = text(&map, "method")?.ok_or_else(|| required("method"))?;
    let act = match method.as_str() {
        "POST" => Act::Post,
        "PUT" => Act::Put,
        "PATCH" => Act::Patch,
        "DELETE" => Act::Delete,
        _ => return Err(Failure::field("method", "One of POST, PUT, PATCH, DELETE.")),
    };
    let path = text(&map, "path")?.ok_or_else(|| required("path"))?;
    let path = ObjectPath::parse(&path)
        .map_err(|fault| Failure::field("path", answer::text(fault.told())))?;
    let base = match map.get("if_match") {
        None | Some(Json::Null) => None,
        Some(value) => {
            let bad = || Failure::field("if_match", "Not a revision: a whole number.");
            Some(Rev(value.as_u64().ok_or_else(bad)?))
        }
    };
    Change::read(act, path, map.remove("body"), base)
}

fn run(ask: &Ask, changes: &[Change]) -> Answer {
    let mut refused = None;
    let done = ask.write(|txn| {
        refused = None;
        let mut made: Vec<Applied> = Vec::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            let applied = if change.creates() && !takes_children(txn, change)? {
                Err(Failure::Verb(vec![Act::Get, Act::Put, Act::Patch, Act::Delete]))
            } else {
                change.apply(&ask.who, txn)
            };
            let applied = applied.map_err(|failure| {
                // Each keeps its status; the body also says which one it was.
                escape(&mut refused, failure.of_operation(at))
            })?;
            made.push(applied);
        }
        Ok(made)
    });
    let done = finish(done, refused)?;
    let view = ask.service.tree.view();
    let want = Want::of(&ask.query);
    let mut results = Vec::with_capacity(done.value.len());
    for applied in done.value {
        let mut result = Map::from_iter([("status".to_owned(), applied.status.as_u16().into())]);
        // A later operation may have removed it again.
        if let Some(id) = applied.id.filter(|id| view.head(*id).is_ok()) {
            result.insert("object".to_owned(), listed(&view, &ask.who, id, &want)?);
            result.insert("rev".to_owned(), view.head(id)?.rev.0.into());
        }
        results.push(Json::Object(result));
    }
    Ok(answer::json(StatusCode::OK, &json!({"rev": done.rev.0, "results": results})))
}

fn takes_children(
    txn: &crate::tree::Txn,
    change: &Change,
) -> Result<bool, kompira_schema::error::Fault> {
    // What is not there is refused by the change itself.
    let Ok(id) = txn.resolve(change.path()) else { return Ok(true) };
    Ok(matches!(txn.type_of(id)?.container, Container::Any | Container::OfTypeIn(_)))
}
