//! From a request to its resource (rule: http/verbs).

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts as Head;
use axum::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header,
};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tracing::Instrument as _;

use super::accept::{self, Form};
use super::answer::{self, CLIENT_HEADER, Failure};
use super::identity::{self, Peer};
use super::query::Query;
use super::table::{self, Act, Need, Resource, Row};
use super::target::Target;
use super::{
    Service, batch, changes, channel, group, health, history, lenient, metrics, object, openapi,
    page, process, service, session, special, user,
};
use crate::base::log;

/// Bytes from which an answer is compressed for who takes it.
const COMPRESSED: u64 = 1024;

/// One request, understood and authenticated.
pub(super) struct Ask {
    pub(super) service: Service,
    pub(super) who: Caller,
    pub(super) method: Method,
    pub(super) target: Target,
    /// The endpoint.
    pub(super) row: &'static Row,
    /// The number in its path, if it has one.
    pub(super) id: u64,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    /// Path of the URL as it came, for links to other pages of a list.
    pub(super) raw_path: String,
    pub(super) peer: Peer,
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

/// All requests go by the table of endpoints.
pub fn router(state: Service) -> Router {
    Router::new()
        .fallback(resource)
        .with_state(state.clone())
        .layer(from_fn_with_state(state, guard))
        .layer(from_fn(common_headers))
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(SizeAbove::new(COMPRESSED).and(compressible)),
        )
}

/// JSON is worth it; bytes of attachments are asked for in parts, and what is followed must not
/// wait in a compressor (rule: http/compression).
fn compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
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
    let noted = Arc::new(Noted { id: Arc::clone(&id), operation: OnceLock::new() });
    request.extensions_mut().insert(Arc::clone(&noted));
    let running = service.metrics.begin();
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
    drop(running);
    let took = service.clock.monotonic().saturating_sub(started);
    service.metrics.end(noted.operation.get().copied().unwrap_or("none"), response.status(), took);
    let millis = took.as_millis();
    tracing::info!(
        target: "kompira::http", parent: &span,
        status = response.status().as_u16(), millis = %millis, "{method} {path}"
    );
    response
}

/// What is known of a request besides the request.
struct Noted {
    id: Arc<str>,
    /// Name of its operation, once it is found.
    operation: OnceLock<&'static str>,
}

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
    let noted = head.extensions.get::<Arc<Noted>>().cloned();
    let request = noted.as_ref().map_or_else(log::request_id, |noted| Arc::clone(&noted.id));
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
    let hit = match (&own, &target) {
        (Some(own), _) => table::find_own(own),
        (None, Ok(target)) => table::find(target),
        (None, Err(_)) => None,
    };
    if let (Some(noted), Some(hit)) = (&noted, &hit) {
        let name = hit.row.verb(&head.method).map_or("none", |verb| verb.name);
        let _first = noted.operation.set(name);
    }
    let open = hit.is_some_and(|hit| hit.row.verbs.iter().any(|verb| verb.need == Need::Nobody));
    let who = if open {
        identity::nobody(peer, &request)
    } else {
        let (service, headers, query) = (service.clone(), head.headers.clone(), query.clone());
        let (pool, method) = (service.pool.clone(), head.method.clone());
        let asked = identity::Asked { peer, headers, query, method, request };
        pool.run(move || identity::identify(&service, &asked)).await?
    };
    if !open && who.interface != Interface::Mng {
        service.rates.request(who.user, service.clock.monotonic()).map_err(Failure::Rate)?;
    }
    // Who is nobody learns nothing, not even what a path is.
    let target = target?;
    let hit = hit.ok_or_else(nothing)?;
    let ask = Arc::new(Ask {
        service,
        who,
        method: head.method,
        target,
        row: hit.row,
        id: hit.id,
        query,
        headers: head.headers,
        peer,
        raw_path,
    });
    if form == Form::Neither && !hit.row.raw {
        return Err(Failure::NotAcceptable);
    }
    // What an object takes depends on its type; it says so itself.
    if hit.row.resource != Resource::Object
        && let Some(options) = verbs(&ask, hit.row.acts())?
    {
        return Ok(options);
    }
    let answer = route(&ask, body, form).await?;
    match form {
        Form::Page if ask.method == Method::GET => page::of(answer).await,
        _ => Ok(answer),
    }
}

/// Each resource has one handler. The futures are boxed: a request that waits keeps the size of
/// its own handler, not of the largest.
async fn route(ask: &Arc<Ask>, body: Body, form: Form) -> Answer {
    match ask.row.resource {
        Resource::Object => Box::pin(object::object(ask, body, form)).await,
        Resource::Children | Resource::Descendant => ask.blocking(object::list).await,
        Resource::Execute => Box::pin(object::execute(ask, body)).await,
        Resource::SubmitForm => Box::pin(object::submit(ask, body)).await,
        Resource::Rename | Resource::Move | Resource::Copy => {
            Box::pin(object::relocate(ask, body)).await
        }
        Resource::Attachment | Resource::AttachmentElement => {
            Box::pin(object::attachment(ask, body)).await
        }
        Resource::Rendered => ask.blocking(object::rendered).await,
        Resource::Send => Box::pin(channel::send(ask, body)).await,
        Resource::Recv => Box::pin(channel::recv(ask, body)).await,
        Resource::Processes => ask.blocking(process::collection).await,
        Resource::Process => Box::pin(process::member(ask, body)).await,
        Resource::ProcessChildren => ask.blocking(process::children).await,
        Resource::Terminate | Resource::Suspend | Resource::Resume => {
            Box::pin(process::order(ask, body)).await
        }
        Resource::Wait => Box::pin(process::wait(ask, body)).await,
        Resource::Schedules | Resource::Incidents | Resource::Tasks => {
            Box::pin(special::collection(ask, body)).await
        }
        Resource::Schedule | Resource::Incident | Resource::Task => {
            Box::pin(special::member(ask, body)).await
        }
        Resource::Worklogs => Box::pin(special::worklogs(ask, body)).await,
        Resource::Cancel | Resource::Submit => Box::pin(special::end(ask, body)).await,
        Resource::Users => Box::pin(user::collection(ask, body)).await,
        Resource::User => Box::pin(user::member(ask, body)).await,
        Resource::Groups => Box::pin(group::collection(ask, body)).await,
        Resource::Group => Box::pin(group::member(ask, body)).await,
        Resource::Batch => Box::pin(batch::batch(ask, body)).await,
        Resource::History
        | Resource::HistoryAt
        | Resource::HistoryDiff
        | Resource::HistoryRestore => Box::pin(history::handle(ask, body)).await,
        Resource::Description => Ok(answer::json(StatusCode::OK, &openapi::DOCUMENT)),
        Resource::Metrics => ask.blocking(metrics::scrape).await,
        Resource::Changes => Box::pin(changes::changes(ask)).await,
        Resource::Login => Box::pin(session::login(ask, body)).await,
        Resource::Logout => ask.blocking(session::logout).await,
        Resource::HealthLive => Ok(health::live()),
        // One server alone is always the active one.
        Resource::Health | Resource::HealthReady | Resource::HealthActive => {
            Ok(health::ready(&ask.service))
        }
        _ => Box::pin(service::handle(ask, body)).await,
    }
}

/// `404`.
pub(super) fn nothing() -> Failure {
    Fault::new(Kind::NotFound, message!("http.nothing_there")).into()
}

/// Answers `OPTIONS`, and refuses verbs a resource does not take.
pub(super) fn verbs(ask: &Ask, taken: Vec<Act>) -> Result<Option<Response>, Failure> {
    if ask.method == Method::OPTIONS {
        let mut response = StatusCode::OK.into_response();
        response.headers_mut().insert(header::ALLOW, answer::allow(&taken));
        return Ok(Some(response));
    }
    match Act::of(&ask.method) {
        Some(act) if taken.contains(&act) => Ok(None),
        _ => Err(Failure::Verb(taken)),
    }
}
