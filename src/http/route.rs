//! From a request to its resource (rule: http/verbs).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::request::{Parts as Head, Request};
use axum::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header,
};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use hyper::body::Incoming;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};
use tower_http::compression::Compression;
use tower_http::compression::predicate::{And, Predicate as _, SizeAbove};
use tracing::Instrument as _;

use super::accept::{self, Form};
use super::answer::{self, CLIENT_HEADER, Failure};
use super::identity::{self, Peer};
use super::query::Query;
use super::table::{self, Act, Need, Resource, Row};
use super::target::Target;
use super::{
    Service, account, batch, changes, channel, health, history, kept, lenient, metrics, object,
    openapi, page, phrases, principal, process, record, service, session, special,
};
use crate::audit::Levels;
use crate::base::log;

/// Bytes from which an answer is compressed for who takes it.
const COMPRESSED: u64 = 1024;

/// Under which the log has what happened.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    /// What the handler made, if it can be given again.
    pub(super) fresh: OnceLock<kept::Fresh>,
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

/// What one connection's requests are answered by.
pub(super) type Answerer = Compression<Bare, And<SizeAbove, Compressible>>;
type Compressible = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// All requests of a connection go by the table of endpoints.
pub(super) fn answerer(service: Service, peer: Peer) -> Answerer {
    Compression::new(Bare { service, peer })
        .gzip(true)
        .compress_when(SizeAbove::new(COMPRESSED).and(compressible as Compressible))
}

/// The service before what it answers is compressed.
#[derive(Clone)]
pub(super) struct Bare {
    service: Service,
    peer: Peer,
}

impl tower::Service<Request<Incoming>> for Bare {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (head, body) = request.into_parts();
        // One allocation for all that a request keeps while it is answered.
        Box::pin(answer_to(self.service.clone(), self.peer, head, Body::new(body)).map(Ok))
    }
}

/// JSON is worth it; bytes of attachments are asked for in parts, and what is followed must not
/// wait in a compressor (rule: http/compression).
fn compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
}

/// Headers of every answer: nothing is sniffed, framed or cached by strangers.
fn common_headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-cache, private"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Gives the request its id, writes the access line, turns a panic into an answer. What can be
/// told at once is not part of the future: who waits long keeps little.
pub(super) fn answer_to(
    service: Service,
    peer: Peer,
    head: Head,
    body: Body,
) -> impl Future<Output = Response> + Send {
    let started = service.clock.monotonic();
    let noted = Noted { id: log::request_id(), operation: OnceLock::new() };
    let method = head.method.clone();
    // The query may hold a token: it is not logged.
    let path = head.uri.path().to_owned();
    let full = head.headers.contains_key(CLIENT_HEADER);
    let running = service.metrics.begin();
    let span = tracing::info_span!(target: "kompira::http", "request", request = &*noted.id);
    let understood = std::panic::AssertUnwindSafe(|| understand(&service, peer, &noted, head));
    let understood = span.in_scope(|| std::panic::catch_unwind(understood));
    async move {
        let answered = match understood {
            Ok(understood) => {
                let run = dispatch(&service, peer, &noted, understood, body);
                let run = std::panic::AssertUnwindSafe(run.instrument(span.clone()));
                run.catch_unwind().await
            }
            Err(panic) => Err(panic),
        };
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => span.in_scope(|| refused(&failure, full)),
            Err(_) => {
                tracing::error!(parent: &span, critical = true, "a handler panicked");
                Failure::Fault(Fault::internal("a handler panicked")).answer(full)
            }
        };
        common_headers(response.headers_mut());
        if let Ok(value) = HeaderValue::from_str(&noted.id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        drop(running);
        let took = service.clock.monotonic().saturating_sub(started);
        let operation = noted.operation.get().copied().unwrap_or("none");
        service.metrics.end(operation, response.status(), took);
        let millis = took.as_millis();
        tracing::info!(
            target: "kompira::http", parent: &span,
            status = response.status().as_u16(), millis = %millis, "{method} {path}"
        );
        response
    }
}

fn refused(failure: &Failure, full: bool) -> Response {
    if let Failure::Fault(fault) = failure {
        match fault.kind() {
            Kind::Internal | Kind::Corrupt | Kind::Io | Kind::Full => {
                tracing::error!(target: "kompira::http", ?fault, "a request failed");
            }
            kind => tracing::debug!(target: "kompira::http", kind = kind.name(), "refused"),
        }
    }
    failure.answer(full)
}

/// What is known of a request besides the request.
struct Noted {
    id: Arc<str>,
    /// Name of its operation, once it is found.
    operation: OnceLock<&'static str>,
}

/// What a request was found to be.
enum Understood {
    /// Its answer is kept.
    Kept(Response),
    /// A handler has to answer it; the key says as what its answer may be kept.
    Ask(Arc<Ask>, Form, Option<kept::Key>),
    /// It brings a token that nobody has.
    Token(String),
}

/// Finds out what a request is and who asks.
fn understand(
    service: &Service,
    peer: Peer,
    noted: &Noted,
    head: Head,
) -> Result<Understood, Failure> {
    let Head { method, uri, headers, .. } = head;
    let query = Query::parse(uri.query())?;
    let request = Arc::clone(&noted.id);
    if service.shutdown.begun() {
        return Err(Fault::new(Kind::Unavailable, message!("http.going_down")).into());
    }
    let by_token = identity::is_by_token(peer, &headers, &query);
    let form = accept::choose(&headers, query.get("format"), by_token);
    let asked = identity::Asked { peer, headers: &headers, query: &query, method: &method };
    let known = kept::may_have(&asked, &uri, form)
        .then(|| identity::identify(service, &asked, &request).ok())
        .flatten();
    if let Some(who) = &known
        && let Some(answer) = service.kept.find(&service.tree, who, &uri)
    {
        let _first = noted.operation.set(answer.operation);
        check_rate(service, who)?;
        return Ok(Understood::Kept(answer.response()));
    }
    let kept_as = known.as_ref().and_then(|who| kept::Key::new(who, &uri));
    let raw_path = uri.path().to_owned();
    // It holds on to the buffer that it was read into.
    drop(uri);
    let own = raw_path.strip_prefix("/-/");
    let target = match own {
        Some(_) => Ok(Target::root()),
        None => Target::parse(&raw_path),
    };
    let hit = match (own, &target) {
        (Some(own), _) => table::find_own(own),
        (None, Ok(target)) => table::find(target),
        (None, Err(_)) => None,
    };
    if let Some(hit) = &hit {
        let name = hit.row.verb(&method).map_or("none", |verb| verb.name);
        let _first = noted.operation.set(name);
    }
    let open = hit.is_some_and(|hit| hit.row.verbs.iter().any(|verb| verb.need == Need::Nobody));
    let who = match known {
        _ if open => identity::nobody(peer, &request),
        Some(who) => who,
        None => match identity::identify(service, &asked, &request) {
            Err(Failure::Token) => {
                let token = identity::token(&headers, &query)?.ok_or(Failure::Token)?;
                return Ok(Understood::Token(token.to_owned()));
            }
            found => found?,
        },
    };
    if !open {
        check_rate(service, &who)?;
    }
    // Who is nobody learns nothing, not even what a path is.
    let target = target?;
    let hit = hit.ok_or_else(nothing)?;
    let waits = matches!(
        hit.row.resource,
        Resource::Recv | Resource::Wait | Resource::Changes | Resource::Console
    );
    let headers = if waits { detached(headers) } else { headers };
    let ask = Ask {
        service: service.clone(),
        who,
        method,
        target,
        row: hit.row,
        id: hit.id,
        query,
        headers,
        peer,
        raw_path,
        fresh: OnceLock::new(),
    };
    if form == Form::Neither && !hit.row.raw {
        return Err(Failure::NotAcceptable);
    }
    Ok(Understood::Ask(Arc::new(ask), form, kept_as))
}

/// Has a request answered.
async fn dispatch(
    service: &Service,
    peer: Peer,
    noted: &Noted,
    understood: Result<Understood, Failure>,
    body: Body,
) -> Answer {
    let (ask, form, kept_as) = match understood? {
        Understood::Kept(answer) => return Ok(answer),
        Understood::Token(token) => return Err(unknown(service, peer, token).await),
        Understood::Ask(ask, form, kept_as) => (ask, form, kept_as),
    };
    // What an object takes depends on its type; it says so itself.
    if ask.row.resource != Resource::Object
        && let Some(options) = verbs(&ask, ask.row.acts())?
    {
        return Ok(options);
    }
    let answer = route(&ask, body, form).await;
    let reads =
        matches!(ask.method, Method::GET | Method::HEAD) || ask.row.resource == Resource::Wait;
    let levels = ask.fresh.get().map(|_| ask.service.tree.audit_levels());
    let attempt = reads.then(|| record::of_read(&ask, &answer)).flatten();
    let is_unaudited = attempt.is_none();
    if let Some((attempt, fault)) = attempt {
        Box::pin(record::write(&ask, attempt, fault)).await;
    }
    let answer = answer?;
    if is_unaudited && let (Some(key), Some(levels)) = (kept_as, levels) {
        // Only JSON has a key.
        keep(ask, key, levels, noted, &answer);
        return Ok(answer);
    }
    match form {
        Form::Page if ask.method == Method::GET => Box::pin(page::of(answer)).await,
        _ => Ok(answer),
    }
}

pub(super) fn check_rate(service: &Service, who: &Caller) -> Result<(), Failure> {
    if who.interface == Interface::Mng {
        return Ok(());
    }
    service.rates.request(who.user, service.clock.monotonic()).map_err(Failure::Rate)
}

/// Keeps an answer that can be given again.
fn keep(ask: Arc<Ask>, key: kept::Key, levels: Arc<Levels>, noted: &Noted, answer: &Response) {
    let (Some(operation), Some(ask)) = (noted.operation.get(), Arc::into_inner(ask)) else {
        return;
    };
    let Some(kept::Fresh { body, basis }) = ask.fresh.into_inner() else { return };
    let headers = answer.headers().clone();
    let answer = kept::Answer { operation, headers, body, basis, unaudited_by: levels };
    ask.service.kept.keep(key, answer);
}

/// A copy that does not hold on to the buffer of the connection: who waits long keeps little.
#[allow(clippy::needless_pass_by_value)] // the original must be gone
fn detached(headers: HeaderMap) -> HeaderMap {
    let mut copy = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            copy.append(name, value);
        }
    }
    copy
}

/// A token that nobody has is written down, where it may take its time.
pub(super) async fn unknown(service: &Service, peer: Peer, token: String) -> Failure {
    let asked = service.clone();
    let told = Box::pin(service.pool.run(move || identity::bad_token(&asked, &token, peer)));
    told.await.err().unwrap_or(Failure::Token)
}

/// Each resource has one handler. The futures are boxed: a request that waits keeps the size of
/// its own handler, not of the largest.
async fn route(ask: &Arc<Ask>, body: Body, form: Form) -> Answer {
    match ask.row.resource {
        Resource::Object => Box::pin(object::object(ask, body, form)).await,
        Resource::Children | Resource::Descendant => Box::pin(ask.blocking(object::list)).await,
        Resource::Execute => Box::pin(object::execute(ask, body)).await,
        Resource::SubmitForm => Box::pin(object::submit(ask, body)).await,
        Resource::JsonRpc => Box::pin(object::jsonrpc(ask, body)).await,
        Resource::Rename | Resource::Move | Resource::Copy => {
            Box::pin(object::relocate(ask, body)).await
        }
        Resource::Attachment | Resource::AttachmentElement => {
            Box::pin(object::attachment(ask, body)).await
        }
        Resource::Initialize | Resource::Push | Resource::Pull => {
            Box::pin(object::synchronise(ask, body)).await
        }
        Resource::Authorize => Box::pin(account::authorize(ask, body)).await,
        Resource::Authorized => Box::pin(account::returned(ask)).await,
        Resource::Rendered => Box::pin(ask.blocking(object::rendered)).await,
        Resource::Send => Box::pin(channel::send(ask, body)).await,
        Resource::Recv => Box::pin(channel::recv(ask, body)).await,
        Resource::Processes => Box::pin(ask.blocking(process::collection)).await,
        Resource::Process => Box::pin(process::member(ask, body)).await,
        Resource::ProcessChildren => Box::pin(ask.blocking(process::children)).await,
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
        Resource::Users | Resource::Groups => Box::pin(principal::collection(ask, body)).await,
        Resource::User | Resource::Group => Box::pin(principal::member(ask, body)).await,
        Resource::Batch => Box::pin(batch::batch(ask, body)).await,
        Resource::History
        | Resource::HistoryAt
        | Resource::HistoryDiff
        | Resource::HistoryRestore => Box::pin(history::handle(ask, body)).await,
        Resource::Phrases => Ok(phrases::script(ask)),
        Resource::Description => Ok(answer::json(StatusCode::OK, &openapi::DOCUMENT)),
        Resource::Metrics => Box::pin(ask.blocking(metrics::scrape)).await,
        Resource::Changes => Box::pin(changes::changes(ask)).await,
        Resource::Login => Box::pin(session::login(ask, body)).await,
        Resource::Logout => Box::pin(ask.blocking(session::logout)).await,
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
