//! From a request to its resource (rule: http/verbs).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts as Head;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::FutureExt as _;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use tracing::Instrument as _;

use super::accept::{self, Form};
use super::answer::{self, CLIENT_HEADER, Failure};
use super::identity::{self, Peer};
use super::query::Query;
use super::target::Target;
use super::{Service, group, health, lenient, object, page, process, service, user};
use crate::base::log;

/// One request, understood and authenticated.
pub(super) struct Ask {
    pub(super) service: Service,
    pub(super) who: Caller,
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Path of the URL as it came, for links to other pages of a list.
    pub(super) raw_path: String,
}

/// What handlers answer with.
pub(super) type Answer = Result<Response, Failure>;

impl Ask {
    /// `scheme://host` as the client knows us, for absolute links.
    pub(super) fn base(&self) -> String {
        let word = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = word("x-forwarded-proto").filter(|word| *word == "https").unwrap_or("http");
        let host = word("host").unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    /// Reads the body as JSON.
    pub(super) async fn body(&self, body: Body) -> Result<Option<serde_json::Value>, Failure> {
        lenient::read(&self.headers, body).await
    }

    /// Runs `work` where it may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let ask = Arc::clone(self);
        self.service.pool.run(move || work(&ask)).await
    }
}

/// All routes: `/-/…` by the router, all else by the path of the object.
pub fn router(state: Service) -> Router {
    let open = Router::new()
        .route("/-/health", get(health::ready))
        .route("/-/health/live", get(health::live))
        .route("/-/health/ready", get(health::ready))
        .with_state(state.clone());
    Router::new()
        .merge(open)
        .fallback(resource)
        .with_state(state.clone())
        .layer(from_fn_with_state(state, guard))
        .layer(from_fn(common_headers))
}

/// Headers of every answer: nothing is sniffed, framed or cached by strangers.
async fn common_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-cache, private"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Gives each request its id, writes the access line, turns a panic into an answer.
async fn guard(State(service): State<Service>, mut request: Request, next: Next) -> Response {
    let id = log::request_id();
    let started = service.clock.monotonic();
    let method = request.method().clone();
    // The query may hold a token: it is not logged.
    let path = request.uri().path().to_owned();
    let full = request.headers().contains_key(CLIENT_HEADER);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let span = tracing::info_span!(target: "kompira::http", "request", request = &*id);
    let run = std::panic::AssertUnwindSafe(next.run(request).instrument(span.clone()));
    let mut response = match run.catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(parent: &span, critical = true, "a handler panicked");
            Failure::Fault(Fault::internal("a handler panicked")).answer(full)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    let millis = service.clock.monotonic().saturating_sub(started).as_millis();
    tracing::info!(
        target: "kompira::http", parent: &span,
        status = response.status().as_u16(), millis = %millis, "{method} {path}"
    );
    response
}

#[derive(Clone)]
struct RequestId(Arc<str>);

/// Everything that is not a health check.
async fn resource(State(service): State<Service>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let full = head.headers.contains_key(CLIENT_HEADER);
    let answer = match dispatch(service, head, body).await {
        Ok(response) => return response,
        Err(failure) => failure,
    };
    if let Failure::Fault(fault) = &answer {
        match fault.kind() {
            Kind::Internal | Kind::Corrupt | Kind::Io | Kind::Full => {
                tracing::error!(target: "kompira::http", ?fault, "a request failed");
            }
            kind => tracing::debug!(target: "kompira::http", kind = kind.name(), "refused"),
        }
    }
    answer.answer(full)
}

async fn dispatch(service: Service, head: Head, body: Body) -> Answer {
    let query = Query::parse(head.uri.query())?;
    let peer = head.extensions.get::<Peer>().copied().unwrap_or(Peer::Local { uid: None });
    let request =
        head.extensions.get::<RequestId>().map_or_else(log::request_id, |id| id.0.clone());
    if service.shutdown.begun() {
        return Err(Fault::new(Kind::Unavailable, message!("http.going_down")).into());
    }
    let by_token = identity::is_by_token(peer, &head.headers, &query);
    let form = accept::choose(&head.headers, query.get("format"), by_token);
    let raw_path = head.uri.path().to_owned();
    let own = raw_path.strip_prefix("/-/").map(str::to_owned);
    let target = match &own {
        Some(_) => Ok(Target::root()),
        None => Target::parse(&raw_path),
    };
    let who = {
        let (service, headers, query) = (service.clone(), head.headers.clone(), query.clone());
        let pool = service.pool.clone();
        pool.run(move || identity::identify(&service, peer, &headers, &query, &request)).await?
    };
    // Who is nobody learns nothing, not even what a path is.
    let ask = Arc::new(Ask {
        service,
        who,
        method: head.method,
        target: target?,
        query,
        headers: head.headers,
        raw_path,
    });
    if form == Form::Neither && own.is_none() && ask.target.method.as_deref() != Some("attachments")
    {
        return Err(Failure::NotAcceptable);
    }
    let answer = match own {
        Some(own) => service::handle(&ask, &own, body).await,
        None => route(&ask, body).await,
    };
    match form {
        Form::Page if ask.method == Method::GET => page::of(answer?).await,
        _ => answer,
    }
}

/// The virtual roots first, then the tree.
async fn route(ask: &Arc<Ask>, body: Body) -> Answer {
    let names = ask.target.names();
    match names.as_slice() {
        ["process"] => process::collection(ask).await,
        ["process", member] => match number(member) {
            Some(id) => process::member(ask, kompira_schema::id::ProcessId(id), body).await,
            None => Err(nothing()),
        },
        ["config", "user"] => user::collection(ask, body).await,
        ["config", "user", member] => match number(member) {
            Some(id) => user::member(ask, kompira_schema::id::UserId(id), body).await,
            None => Err(nothing()),
        },
        ["config", "group"] => group::collection(ask, body).await,
        ["config", "group", member] => match number(member) {
            Some(id) => group::member(ask, kompira_schema::id::GroupId(id), body).await,
            None => Err(nothing()),
        },
        _ => object::handle(ask, body).await,
    }
}

/// `id_31` → 31.
pub(super) fn number(member: &str) -> Option<u64> {
    let digits = member.strip_prefix("id_")?;
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// `404`.
pub(super) fn nothing() -> Failure {
    Fault::new(Kind::NotFound, message!("http.nothing_there")).into()
}

/// Answers `OPTIONS`, and refuses verbs a resource does not take.
pub(super) fn verbs(ask: &Ask, taken: &'static [Method]) -> Result<Option<Response>, Failure> {
    if ask.method == Method::OPTIONS {
        let mut response = axum::http::StatusCode::OK.into_response();
        response.headers_mut().insert(header::ALLOW, answer::allow(taken));
        return Ok(Some(response));
    }
    let method = if ask.method == Method::HEAD { &Method::GET } else { &ask.method };
    if taken.contains(method) { Ok(None) } else { Err(Failure::Verb(taken)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/members
    #[test]
    fn a_member_of_a_virtual_root_has_one_spelling() {
        assert_eq!(number("id_31"), Some(31));
        for bad in ["id_", "id_031", "id_-1", "id_1x", "31", "id_99999999999999999999", "ID_1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
