//! Answers that still hold: an object that is asked for again is rendered once
//! (rule: http/kept-answers).
//!
//! An answer is kept with the rows of the store that it was made of, for one user. It is given
//! again as long as none of those rows was written: what a commit that was answered before, over
//! whatever face, has changed is never overlooked.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use kompira_schema::id::UserId;
use kompira_schema::tree::{Caller, Interface};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::accept::Form;
use super::identity::Asked;
use crate::audit::Levels;
use crate::store::Basis;
use crate::tree::Tree;

/// Bytes of all kept answers.
const BYTES_MAX: u64 = 16 << 20;
/// What keeping an answer takes besides its text, about.
const ANSWER_BYTES: u64 = 1024;
/// Longest path and query of an answer that is kept.
const TARGET_BYTES_MAX: usize = 1024;

/// An answer that can be given again, and how long it holds.
#[derive(Debug)]
pub(super) struct Answer {
    /// Name of the operation in the table.
    pub(super) operation: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The rows it was made of.
    pub(super) basis: Basis,
    /// The settings of the audit by which it needs no entry there.
    pub(super) unaudited_by: Arc<Levels>,
}

impl Answer {
    /// As it is sent.
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// What a handler makes for an answer that can be kept.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) body: Bytes,
    pub(super) basis: Basis,
}

/// Whose answer to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    user: UserId,
    interface: Interface,
    target: Box<str>,
}

#[derive(Debug)]
struct Wanted<'a> {
    user: UserId,
    interface: Interface,
    target: &'a str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { user, interface, target } = self;
        Wanted { user: *user, interface: *interface, target }.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.user.0);
        state.write_u8(self.interface as u8);
        state.write(self.target.as_bytes());
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.user == key.user && self.interface == key.interface && *self.target == *key.target
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Answer>> for Weight {
    fn weight(&self, key: &Key, answer: &Arc<Answer>) -> u64 {
        let own = key.target.len() + answer.body.len() + answer.basis.cost();
        ANSWER_BYTES + own as u64
    }
}

impl Key {
    pub(super) fn new(who: &Caller, uri: &Uri) -> Option<Self> {
        let target = target(uri)?.into();
        Some(Self { user: who.user, interface: who.interface, target })
    }
}

/// The answers that are kept.
#[derive(Debug)]
pub struct Kept(Cache<Key, Arc<Answer>, Weight>);

impl Default for Kept {
    fn default() -> Self {
        let count = usize::try_from(BYTES_MAX / (2 * ANSWER_BYTES)).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(count, BYTES_MAX, Weight))
    }
}

/// Path and query; `None`: answers to it are not kept.
fn target(uri: &Uri) -> Option<&str> {
    let target = uri.path_and_query()?.as_str();
    (target.len() <= TARGET_BYTES_MAX && !target.starts_with("/-/")).then_some(target)
}

/// Whether the answer to a request may be kept. One that brings its token in the query is not: the
/// token would be.
pub(super) fn may_have(asked: &Asked<'_>, uri: &Uri, form: Form) -> bool {
    matches!(*asked.method, Method::GET | Method::HEAD)
        && form == Form::Json
        && asked.query.get("token").is_none()
        && target(uri).is_some()
}

impl Kept {
    /// The answer to this caller, if it is kept and still holds.
    pub(super) fn find(&self, tree: &Tree, who: &Caller, uri: &Uri) -> Option<Arc<Answer>> {
        let target = target(uri)?;
        let wanted = Wanted { user: who.user, interface: who.interface, target };
        let answer = self.0.get(&wanted)?;
        if !tree.store().holds(&answer.basis) {
            self.0.remove(&wanted);
            return None;
        }
        Arc::ptr_eq(&answer.unaudited_by, &tree.audit_levels()).then_some(answer)
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, key: Key, answer: Answer) {
        self.0.insert(key, Arc::new(answer));
    }
}

#[cfg(test)]
mod tests;
