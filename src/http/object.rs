//! Objects: `GET`, `PUT`, `PATCH`, `POST`, `DELETE`, and their dotted methods.

mod attachment;
mod execute;
mod find;
mod jsonrpc;
mod list;
mod range;
mod relocate;
mod render;
mod repository;
mod submit;
mod view;
mod write;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::field::Elem;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;
use kompira_schema::types::Container;

use super::accept::Form;
use super::answer::{self, Failure};
use super::kept;
use super::route::{Answer, Ask, verbs};
use super::table::Act;
use crate::tree::View;

pub(super) use execute::{engine, monitoring};
pub(super) use find::{conditions, keyed};
pub(super) use list::paged;
pub(super) use render::{Want, former, listed};
pub(super) use write::{Applied, Change, escape, finish};

/// `.children`, `.descendant`.
pub(super) use list::list;
/// `.render` and `.<ext>`.
pub(super) use view::rendered;

/// `.execute`.
pub(super) async fn execute(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = ask.body(body).await?;
    ask.blocking(move |ask| execute::execute(ask, body)).await
}

/// `.jsonrpc`. It may wait long, as for a process.
pub(super) async fn jsonrpc(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = jsonrpc::body_of(ask.body(body).await)?;
    let asked = Arc::clone(ask);
    ask.service.pool.wait(move || jsonrpc::jsonrpc(&asked, body)).await
}

/// `.submit`.
pub(super) async fn submit(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = ask.body(body).await?;
    ask.blocking(move |ask| submit::submit(ask, body)).await
}

/// `.rename`, `.move`, `.copy`.
pub(super) async fn relocate(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = ask.body(body).await?;
    ask.blocking(move |ask| relocate::relocate(ask, body)).await
}

/// `.initialize`, `.push`, `.pull`.
pub(super) async fn synchronise(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = ask.body(body).await?;
    let asked = Arc::clone(ask);
    // It may take minutes: it does not hold a place of the quick requests.
    ask.service.pool.wait(move || repository::synchronise(&asked, body)).await
}

/// `.attachments/…`.
pub(super) async fn attachment(ask: &Arc<Ask>, body: Body) -> Answer {
    attachment::handle(ask, body).await
}

/// The object itself.
pub(super) async fn object(ask: &Arc<Ask>, body: Body, form: Form) -> Answer {
    match ask.method {
        Method::GET | Method::HEAD => match at_once(ask, form) {
            Some(answer) => answer,
            None => {
                if let (Some(id), Some(engine)) = (library(ask), ask.service.engine.clone()) {
                    // Whether it loads is waited for a little. Without a place it is shown as far
                    // as it is known.
                    let settled = ask.service.pool.wait(move || {
                        engine.settle_library(id);
                        Ok::<_, Fault>(())
                    });
                    let _ = settled.await;
                }
                ask.blocking(move |ask| get(ask, form)).await
            }
        },
        Method::PUT => write(ask, Act::Put, body).await,
        Method::PATCH => write(ask, Act::Patch, body).await,
        Method::DELETE => write(ask, Act::Delete, body).await,
        _ => {
            if let Some(options) = ask.blocking(verbs_of).await? {
                return Ok(options);
            }
            write(ask, Act::Post, body).await
        }
    }
}

async fn write(ask: &Arc<Ask>, act: Act, body: Body) -> Answer {
    let body = if act == Act::Delete { None } else { ask.body(body).await? };
    ask.blocking(move |ask| {
        let change = Change::read(act, ask.target.path.clone(), body, if_match(&ask.headers)?)?;
        write::one(ask, &change)
    })
    .await
}

/// Only a container takes `POST`.
fn verbs_of(ask: &Ask) -> Result<Option<Response>, Failure> {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    let container = is_container(&view, id)?;
    let mut taken = ask.row.acts();
    taken.retain(|act| container || *act != Act::Post);
    verbs(ask, taken)
}

fn is_container(view: &View, id: ObjectId) -> Result<bool, Fault> {
    Ok(matches!(view.type_of(id)?.container, Container::Any | Container::OfTypeIn(_)))
}

/// Bytes of a content up to which an object is read where it is asked for: that takes less time
/// than to wake another thread.
const SMALL: u64 = 16 * 1024;

/// The answer, if it surely takes no time: the object is small and has no attachments.
fn at_once(ask: &Ask, form: Form) -> Option<Answer> {
    if form == Form::Page {
        return None;
    }
    let view = ask.service.tree.watched();
    let id = view.resolve(&ask.target.path).ok()?;
    let def = view.type_of(id).ok()?;
    // Whether a library loads may be known only in a moment.
    if def.is_builtin("Library") {
        return None;
    }
    let has_files = def.fields().any(|field| field.field_type.shape.elem() == Elem::File);
    if has_files || view.head(id).ok()?.content_size > SMALL {
        return None;
    }
    Some(get_in(ask, &view, id))
}

fn get(ask: &Ask, form: Form) -> Answer {
    let view = ask.service.tree.watched();
    let id = view.resolve(&ask.target.path)?;
    if form == Form::Page
        && let Some(page) = view::as_page(ask, &view, id)?
    {
        return Ok(page);
    }
    get_in(ask, &view, id)
}

/// The library that is asked for, if it is one and the caller may read it.
fn library(ask: &Ask) -> Option<ObjectId> {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path).ok()?;
    let def = view.type_of(id).ok()?;
    let is_library = def.is_builtin("Library");
    (is_library && view.access(&ask.who, id).is_ok_and(|access| access.read)).then_some(id)
}

/// The object as JSON, of a watched view. A short answer can be kept.
fn get_in(ask: &Ask, view: &View, id: ObjectId) -> Answer {
    let (json, rev) = render::detail(view, &ask.who, id, &Want::of(&ask.query))?;
    let body = Bytes::from(json.to_string());
    if body.len() as u64 <= SMALL
        && let Some(basis) = view.basis()
    {
        let _once = ask.fresh.set(kept::Fresh { body: body.clone(), basis });
    }
    Ok(with_etag(answer::json_text(StatusCode::OK, body), rev))
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
