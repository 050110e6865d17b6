//! Who asks: a token, or the owner of the server over its private socket (rule: http/identity).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};

use super::Service;
use super::answer::Failure;
use super::query::Query;
use crate::auth::User;

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

    fn address(self) -> Option<Arc<str>> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_string().into()),
            Self::Local { .. } => None,
        }
    }
}

/// The token of a request. The header wins over the query.
fn token<'a>(headers: &'a HeaderMap, query: &'a Query) -> Result<Option<&'a str>, Failure> {
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

/// Finds out who asks; blocks on the store.
pub(super) fn identify(
    service: &Service,
    peer: Peer,
    headers: &HeaderMap,
    query: &Query,
    request: &Arc<str>,
) -> Result<Caller, Failure> {
    if let Some(token) = token(headers, query)? {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.is_ascii() {
            return Err(Failure::Token);
        }
        let user = service.tree.view().authenticate(token).map_err(|fault| match fault.kind() {
            Kind::Unauthenticated => Failure::Token,
            _ => Failure::Fault(fault),
        })?;
        if !user.active {
            return Err(Failure::Inactive);
        }
        return Ok(Caller {
            user: user.id,
            interface: Interface::Api,
            remote: peer.address(),
            process: None,
            request: Arc::clone(request),
            exec: None,
        });
    }
    if peer.is_owner() {
        let exec = headers.get(EXEC_HEADER).and_then(|value| value.to_str().ok());
        return Ok(Caller {
            user: User::ROOT,
            interface: Interface::Mng,
            remote: None,
            process: None,
            request: Arc::clone(request),
            exec: exec.filter(|exec| exec.len() <= EXEC_BYTES_MAX).map(Into::into),
        });
    }
    Err(Fault::new(Kind::Unauthenticated, message!("http.no_credentials")).into())
}
