//! Text and Wiki objects as what they are: pages, style sheets, configuration (rule: http/texts).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Value;

use super::with_etag;
use crate::http::answer::Failure;
use crate::http::route::{Answer, Ask, nothing};
use crate::tree::{Object, View};

/// What a stored page may do when it is shown with our origin: nothing but look like something.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                       font-src 'self'; frame-ancestors 'none'";

fn text<'a>(object: &'a Object, field: &str) -> &'a str {
    match object.fields.get(field) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}

/// `GET <text>.render` and `GET <text>.<ext>`.
pub(in crate::http) fn rendered(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let id = view.resolve(&ask.target.path)?;
    if is(&view, id, "Wiki")? && ask.target.method.as_deref() == Some("render") {
        return page(ask, &view, id);
    }
    if !is(&view, id, "Text")? {
        return Err(nothing());
    }
    let object = view.get(&ask.who, id)?;
    let method = ask.target.method.as_deref().unwrap_or_default();
    if method != "render" && method != text(&object, "ext") {
        return Err(nothing());
    }
    answer(ask, &view, &object)
}

/// The text that stands for its own page: it has a media type and no extension.
pub(super) fn as_page(ask: &Ask, view: &View, id: ObjectId) -> Result<Option<Response>, Failure> {
    if !is(view, id, "Text")? {
        return Ok(None);
    }
    let object = view.get(&ask.who, id)?;
    if text(&object, "contentType").is_empty() || !text(&object, "ext").is_empty() {
        return Ok(None);
    }
    answer(ask, view, &object).map(Some)
}

fn is(view: &View, id: ObjectId, kind: &str) -> Result<bool, Fault> {
    let def = view.type_of(id)?;
    Ok(def.is_builtin(kind))
}

/// A Wiki page as a document of its own.
fn page(ask: &Ask, view: &View, id: ObjectId) -> Answer {
    let fragment = view.render_wiki(&ask.who, id)?;
    let stub = view.stub(&ask.who, id)?;
    let title = stub.display_name.replace('&', "&amp;").replace('<', "&lt;");
    let html = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n{fragment}</body></html>\n"
    );
    Ok(shown(html, HeaderValue::from_static("text/html; charset=utf-8"), stub.head.rev))
}

fn answer(ask: &Ask, view: &View, object: &Object) -> Answer {
    let rendered =
        view.render(&ask.who, object.id(), None).map_err(|fault| match fault.kind() {
            // The text is there; what it says is wrong.
            Kind::TooLarge | Kind::NotFound => Fault::new(Kind::Invalid, fault.told().clone()),
            _ => fault,
        })?;
    let extra = view.extra(&object.stub)?;
    let kind = match extra.get("content_type") {
        Some(Value::Str(kind)) => kind.as_str(),
        _ => "text/plain",
    };
    let kind =
        if kind.contains("charset") { kind.to_owned() } else { format!("{kind}; charset=utf-8") };
    let kind = HeaderValue::from_str(&kind)
        .unwrap_or(HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(shown(rendered, kind, object.stub.head.rev))
}

fn shown(text: String, kind: HeaderValue, rev: Rev) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    let policy = HeaderName::from_static("content-security-policy");
    headers.insert(policy, HeaderValue::from_static(SANDBOX));
    with_etag(response, rev)
}
