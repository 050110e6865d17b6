//! Logins from a browser: opened with a password, found by their secret (rule: `tree/sessions`).

use jiff::{SignedDuration, Timestamp};
use kompira_schema::error::Fault;
use kompira_schema::id::UserId;
use kompira_schema::tree::Caller;
use serde_json::Map;
use zeroize::Zeroizing;

use crate::audit::{Attempt, Class, Target, Verb};
use crate::auth::{Session, rows};
use crate::secrets::token;
use crate::store::codec::unpack;
use crate::store::{Direction, Durability, Family, KeyRange};
use crate::tree::handle::Tree;
use crate::tree::view::View;

/// How long a login lasts (documented: two weeks).
const SESSION_TIME: SignedDuration = SignedDuration::from_hours(336);
/// Most sessions of one user; the oldest goes when a further one is opened.
const SESSIONS_MAX: usize = 100;

impl View {
    /// The session of a secret, if it has not ended and its user is active.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn session(&self, secret: &str, now: Timestamp) -> Result<Option<Session>, Fault> {
        let key = rows::session(&self.inner.keys.token_hash(secret));
        let Some(bytes) = self.reads.get(Family::Auth, &key)? else { return Ok(None) };
        let row: Session = unpack(Family::Auth, &key, &bytes)?;
        let active = self.user(row.user).is_some_and(|user| user.active);
        Ok((row.expires > now && active).then_some(row))
    }

    /// All sessions of a user, oldest first, and those of anybody that have ended.
    #[allow(clippy::type_complexity)] // two lists of keys
    fn sessions(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), Fault> {
        let (mut own, mut ended) = (Vec::new(), Vec::new());
        let mut failed = Ok(());
        let range = KeyRange::prefix(rows::SESSIONS);
        self.reads.scan(Family::Auth, &range, Direction::Forward, &mut |key, row| {
            match unpack::<Session>(Family::Auth, key, row) {
                Ok(session) if session.expires <= now => ended.push(key.to_vec()),
                Ok(session) if session.user == user => own.push((session.created, key.to_vec())),
                Ok(_) => {}
                Err(error) => failed = Err(error),
            }
            std::ops::ControlFlow::Continue(())
        })?;
        failed?;
        own.sort();
        Ok((own.into_iter().map(|(_, key)| key).collect(), ended))
    }
}

impl Tree {
    /// Opens a session of a user whose password was right; the secret is told once.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn open_session(&self, who: &Caller, user: UserId) -> Result<Zeroizing<String>, Fault> {
        let secret = token::generate_session()?;
        let key = rows::session(&self.keys().token_hash(&secret));
        self.write(who, Durability::Synced, |txn| {
            let now = txn.now();
            let (own, ended) = txn.view().sessions(user, now)?;
            let spare = own.len().saturating_sub(SESSIONS_MAX - 1);
            for key in ended.iter().chain(own.iter().take(spare)) {
                txn.raw_delete(Family::Auth, key);
            }
            let expires = now.saturating_add(SESSION_TIME).unwrap_or(Timestamp::MAX);
            txn.put_row(Family::Auth, &key, &Session { user, created: now, expires })
        })?;
        Ok(secret)
    }

    /// Ends a session; the audit tells of it.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn close_session(&self, who: &Caller, secret: &str) -> Result<(), Fault> {
        let key = rows::session(&self.keys().token_hash(secret));
        self.write(who, Durability::Synced, |txn| {
            txn.raw_delete(Family::Auth, &key);
            Ok(())
        })?;
        let attempt = Attempt {
            class: Class::Session,
            verb: Verb::Logout,
            target: Target::default(),
            detail: Map::new(),
        };
        self.audit(who, attempt, None)
    }
}
