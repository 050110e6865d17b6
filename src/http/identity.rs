//! Who asks: a token, or the owner of the server over its private socket (rule: http/identity).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Method, header};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::UserId;
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};
use serde_json::{Map, Value as Json};

use super::answer::Failure;
use super::query::Query;
use super::route::Ask;
use super::{Service, session};
use crate::audit::{Attempt, Class, Target, Verb, hint};
use crate::auth::User;
use crate::base::log;

/// Header by which a command says its name for the audit; believed over the private socket only.
pub const EXEC_HEADER: &str = "x-kompira-exec";
/// Most bytes of it that are kept.
const EXEC_BYTES_MAX: usize = 256;
/// Most bytes of a token; ours have 40.
const TOKEN_BYTES_MAX: usize = 256;

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Tcp(SocketAddr),
    /// Over the private socket; `uid` is the operating-system user, as the kernel tells.
    Local {
        /// `None` when the kernel did not tell.
        uid: Option<u32>,
    },
}

impl Peer {
    /// Whether the kernel vouches that this is who runs the server, or the system's root.
    fn is_owner(self) -> bool {
        let owner = nix::unistd::geteuid().as_raw();
        matches!(self, Self::Local { uid: Some(uid) } if uid == owner || uid == 0)
    }

    pub(super) fn address(self) -> Option<Arc<str>> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_string().into()),
            Self::Local { .. } => None,
        }
    }
}

/// The token of a request. The header wins over the query.
pub(super) fn token<'a>(
    headers: &'a HeaderMap,
    query: &'a Query,
) -> Result<Option<&'a str>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(query.get("token")) };
    let value = value.to_str().map_err(|_| Failure::Token)?;
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("token") => Ok(Some(key.trim())),
        _ => Err(Failure::Token),
    }
}

/// Whether the request brings a token or comes from the owner.
pub(super) fn is_by_token(peer: Peer, headers: &HeaderMap, query: &Query) -> bool {
    headers.contains_key(header::AUTHORIZATION) || query.get("token").is_some() || peer.is_owner()
}

/// What a request says about who sends it.
pub(super) struct Asked<'a> {
    pub(super) peer: Peer,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: &'a Query,
    pub(super) method: &'a Method,
}

/// Who asks where nobody has to say who he is. It has no permissions at all.
pub(super) fn nobody(peer: Peer, request: &Arc<str>) -> Caller {
    caller(UserId(0), Interface::Api, peer, request)
}

fn caller(user: UserId, interface: Interface, peer: Peer, request: &Arc<str>) -> Caller {
    Caller {
        user,
        interface,
        remote: peer.address(),
        process: None,
        request: Arc::clone(request),
        exec: None,
    }
}

/// Finds out who asks. It reads a row or two that are always in memory: that takes less time than
/// to wake another thread.
pub(super) fn identify(
    service: &Service,
    asked: &Asked<'_>,
    request: &Arc<str>,
) -> Result<Caller, Failure> {
    let Asked { peer, headers, query, method } = asked;
    if let Some(token) = token(headers, query)? {
        return by_token(service, token, *peer, request);
    }
    if let Some(secret) = session::cookie(headers) {
        let session = service.tree.view().session(secret, service.clock.now())?;
        let Some(session) = session else {
            return Err(Fault::new(Kind::Unauthenticated, message!("http.no_credentials")).into());
        };
        if !matches!(**method, Method::GET | Method::HEAD | Method::OPTIONS)
            && !session::proves(headers, secret)
        {
            return Err(Failure::Csrf);
        }
        return Ok(caller(session.user, Interface::Web, *peer, request));
    }
    if peer.is_owner() {
        let exec = headers.get(EXEC_HEADER).and_then(|value| value.to_str().ok());
        let exec = exec.filter(|exec| exec.len() <= EXEC_BYTES_MAX).map(Into::into);
        return Ok(Caller { exec, ..caller(User::ROOT, Interface::Mng, *peer, request) });
    }
    Err(Fault::new(Kind::Unauthenticated, message!("http.no_credentials")).into())
}

/// Who asks, by the login of a request that goes on, or that needed none until now.
pub(super) fn again(ask: &Ask) -> Result<Caller, Failure> {
    let asked =
        Asked { peer: ask.peer, headers: &ask.headers, query: &ask.query, method: &ask.method };
    identify(&ask.service, &asked, &ask.who.request)
}

fn by_token(
    service: &Service,
    token: &str,
    peer: Peer,
    request: &Arc<str>,
) -> Result<Caller, Failure> {
    let legal = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.is_ascii();
    let found = if legal { service.tree.view().token_user(token)? } else { None };
    let user = found.ok_or(Failure::Token)?;
    if !user.active {
        return Err(Failure::Inactive);
    }
    Ok(caller(user.id, Interface::Api, peer, request))
}

/// Tells the audit of a token that nobody has (rules: http/identity, http/rates).
pub(super) fn bad_token(service: &Service, token: &str, peer: Peer) -> Result<(), Failure> {
    // Beyond the limit nothing is written down any more.
    if let Peer::Tcp(address) = peer {
        let now = service.clock.monotonic();
        service.rates.bad_token(address.ip(), now).map_err(Failure::Rate)?;
    }
    let who = nobody(peer, &log::request_id());
    let detail = Map::from_iter([("invalid_token".to_owned(), Json::from(hint(token)))]);
    let attempt =
        Attempt { class: Class::Session, verb: Verb::Login, target: Target::default(), detail };
    let fault = Fault::new(Kind::Unauthenticated, message!("auth.bad_token"));
    if let Err(fault) = service.tree.audit(&who, attempt, Some(&fault)) {
        tracing::error!(?fault, "a bad token cannot be written to the audit");
    }
    Ok(())
}
