//! `/-/history…`: earlier versions of an object (rule: http/history).

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use kompira_schema::error::Kind;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::path::ObjectPath;
use serde_json::{Map, Value as Json, json};

use super::answer::{self, Failure};
use super::body::{object, text};
use super::object::{Want, former, listed, paged, with_etag};
use super::route::{Answer, Ask};
use super::table::Resource;
use super::value::{datetime, to_json};
use crate::tree::View;

/// Versions read for a list.
const VERSIONS_MAX: usize = 10_000;

/// Routes the four endpoints.
pub(super) async fn handle(ask: &Arc<Ask>, body: Body) -> Answer {
    match ask.row.resource {
        Resource::History => ask.blocking(list).await,
        Resource::HistoryAt => ask.blocking(at).await,
        Resource::HistoryDiff => ask.blocking(diff).await,
        _ => {
            let body = object(ask.body(body).await?)?;
            ask.blocking(move |ask| restore(ask, &body)).await
        }
    }
}

fn required(key: &str) -> Failure {
    Failure::field(key, "This parameter is required.")
}

fn by_path(view: &View, text: &str) -> Result<ObjectId, Failure> {
    let path = ObjectPath::parse(text)
        .map_err(|fault| Failure::field("path", answer::text(fault.told())))?;
    Ok(view.resolve(&path)?)
}

/// The object of `path`, or of `id`: what is gone has no path.
fn asked(ask: &Ask, view: &View) -> Result<ObjectId, Failure> {
    if let Some(text) = ask.query.get("id") {
        let bad = || Failure::field("id", format!("'{text}' is no number of an object."));
        return text.parse().map(ObjectId).map_err(|_| bad());
    }
    by_path(view, ask.query.get("path").ok_or_else(|| required("path"))?)
}

fn revision(ask: &Ask, key: &str) -> Result<Rev, Failure> {
    let text = ask.query.get(key).ok_or_else(|| required(key))?;
    text.parse()
        .map(Rev)
        .map_err(|_| Failure::field(key, format!("'{text}' is no revision: a whole number.")))
}

fn list(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let id = asked(ask, &view)?;
    let versions = view.history(&ask.who, id, VERSIONS_MAX)?;
    let want = Want::of(&ask.query);
    let envelope = paged(ask, versions.len(), |range| {
        let page = versions.get(range).unwrap_or_default();
        let rows = page.iter().map(|version| {
            let by = version.by.and_then(|id| view.user(id)).map(|user| user.username.clone());
            let pairs: [(&str, Json); 4] = [
                ("rev", version.rev.0.into()),
                ("until", version.until.map(|rev| rev.0).into()),
                ("time", version.time.map(datetime).into()),
                ("by", by.into()),
            ];
            want.select(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        });
        Ok(rows.collect())
    })?;
    Ok(answer::json(StatusCode::OK, &envelope))
}

fn at(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let (id, rev) = (asked(ask, &view)?, revision(ask, "rev")?);
    let object = view.object_at(&ask.who, id, rev)?;
    let json = former(&view, &object, &Want::of(&ask.query))?;
    Ok(answer::json(StatusCode::OK, &json))
}

fn diff(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let id = asked(ask, &view)?;
    let from = revision(ask, "from")?;
    // Without an end it is compared with the present.
    let to = if ask.query.get("to").is_some() { revision(ask, "to")? } else { view.rev() };
    let found = view.differences(&ask.who, id, from, to)?;
    let envelope = paged(ask, found.len(), |range| {
        let page = found.get(range).unwrap_or_default();
        let value = |value: &Option<_>| match value {
            Some(value) => to_json(&view, value),
            None => Ok(Json::Null),
        };
        page.iter()
            .map(|place| {
                Ok(json!({
                    "at": place.at,
                    "before": value(&place.before)?,
                    "after": value(&place.after)?,
                }))
            })
            .collect()
    })?;
    Ok(answer::json(StatusCode::OK, &envelope))
}

fn number(body: &Map<String, Json>, key: &str) -> Result<Option<Rev>, Failure> {
    match body.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => {
            let bad = || Failure::field(key, format!("{value} is no revision: a whole number."));
            value.as_u64().map(|rev| Some(Rev(rev))).ok_or_else(bad)
        }
    }
}

fn restore(ask: &Ask, body: &Map<String, Json>) -> Answer {
    let missing = |key: &str| Failure::field(key, "This field is required.");
    let path = text(body, "path")?.ok_or_else(|| missing("path"))?;
    let rev = number(body, "rev")?.ok_or_else(|| missing("rev"))?;
    let base = number(body, "base")?;
    let id = by_path(&ask.service.tree.view(), &path)?;
    let done = ask.write(|txn| {
        match txn.restore_version(id, rev, base) {
            // It is as it was: nothing to do, and nothing wrong.
            Err(fault) if fault.kind() == Kind::Exists => Ok(()),
            done => done,
        }
    });
    let _: () = done?.value;
    let view = ask.service.tree.view();
    let json = listed(&view, &ask.who, id, &Want::of(&ask.query))?;
    Ok(with_etag(answer::json(StatusCode::OK, &json), view.head(id)?.rev))
}
