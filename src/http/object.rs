//! Objects: `GET`, `PUT`, `PATCH`, `POST`, `DELETE`, and their dotted methods.

mod attachment;
mod execute;
mod find;
mod list;
mod relocate;
mod render;
mod write;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;
use kompira_schema::types::Container;

use super::answer;
use super::route::{Answer, Ask, nothing, verbs};
use crate::tree::View;

pub(super) use execute::{engine, flag, monitoring};
pub(super) use list::paged;
pub(super) use render::Want;
pub(super) use write::{escape, finish};

/// Verbs of an object that has children.
const OF_CONTAINER: &[Method] =
    &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Verbs of any other object.
const OF_OBJECT: &[Method] = &[Method::GET, Method::PUT, Method::PATCH, Method::DELETE];
const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

/// Routes a request to an object.
pub(super) async fn handle(ask: &Arc<Ask>, body: Body) -> Answer {
    match ask.target.method.as_deref() {
        None => object(ask, body).await,
        Some("children" | "descendant") => match verbs(ask, GET)? {
            Some(options) => Ok(options),
            None => ask.blocking(list::list).await,
        },
        Some("execute") => match verbs(ask, POST)? {
            Some(options) => Ok(options),
            None => {
                let body = ask.body(body).await?;
                ask.blocking(move |ask| execute::execute(ask, body)).await
            }
        },
        Some("rename" | "move" | "copy") => match verbs(ask, POST)? {
            Some(options) => Ok(options),
            None => {
                let body = ask.body(body).await?;
                ask.blocking(move |ask| relocate::relocate(ask, body)).await
            }
        },
        Some("attachments") => attachment::handle(ask, body).await,
        Some(_) => {
            // Whether the object is there or not: it has no such method.
            Err(nothing())
        }
    }
}

async fn object(ask: &Arc<Ask>, body: Body) -> Answer {
    let container = ask
        .blocking(|ask| {
            let view = ask.service.tree.view();
            let id = view.resolve(&ask.target.path)?;
            Ok(is_container(&view, id)?)
        })
        .await?;
    if let Some(options) = verbs(ask, if container { OF_CONTAINER } else { OF_OBJECT })? {
        return Ok(options);
    }
    match ask.method {
        Method::POST => {
            let body = ask.body(body).await?;
            ask.blocking(move |ask| write::create(ask, body)).await
        }
        Method::PUT | Method::PATCH => {
            let body = ask.body(body).await?;
            ask.blocking(move |ask| write::update(ask, body)).await
        }
        Method::DELETE => ask.blocking(delete).await,
        _ => ask.blocking(get).await,
    }
}

fn is_container(view: &View, id: ObjectId) -> Result<bool, Fault> {
    Ok(matches!(view.type_of(id)?.container, Container::Any | Container::OfTypeIn(_)))
}

fn get(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let want = Want::of(&ask.query);
    let (json, rev) = render::detail(&view, &ask.who, id, &want)?;
    Ok(with_etag(answer::json(StatusCode::OK, &json), rev))
}

fn delete(ask: &Ask) -> Answer {
    let base = if_match(&ask.headers)?;
    ask.service.tree.write(&ask.who, crate::store::Durability::Synced, |txn| {
        let id = txn.resolve(&ask.target.path)?;
        check_base(base, txn.head(id)?.rev)?;
        txn.delete(id)
    })?;
    Ok(answer::nothing())
}

/// The revision named by `If-Match`; `*` names none.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Rev>, Fault> {
    let bad = || Fault::new(Kind::BadRequest, message!("http.bad_etag"));
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map_err(|_| bad())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(bad)?;
    inner.parse().map(|rev| Some(Rev(rev))).map_err(|_| bad())
}

/// Somebody else saved in between?
pub(super) fn check_base(base: Option<Rev>, present: Rev) -> Result<(), Fault> {
    match base {
        Some(base) if base != present => {
            Err(Fault::new(Kind::Stale, message!("http.stale", base = base, present = present)))
        }
        _ => Ok(()),
    }
}

/// Adds the revision as `ETag`.
pub(super) fn with_etag(mut response: Response, rev: Rev) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{rev}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// Adds `Location`: a relative, percent-encoded path.
pub(super) fn with_location(mut response: Response, path: &str) -> Response {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'_');
    let encoded = utf8_percent_encode(path, KEEP).to_string();
    if let Ok(value) = HeaderValue::from_str(&encoded) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/etag
    #[test]
    fn if_match_names_a_revision_or_none() {
        for (text, found) in [
            ("\"17\"", Some(Some(Rev(17)))),
            ("*", Some(None)),
            ("17", None),
            ("\"x\"", None),
            ("W/\"17\"", None),
            ("\"\"", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().unwrap());
            assert_eq!(if_match(&headers).ok(), found, "{text}");
        }
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        assert_eq!(check_base(Some(Rev(1)), Rev(2)).unwrap_err().kind(), Kind::Stale);
    }
}
