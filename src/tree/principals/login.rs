//! Logins with a password (rule: `tree/login-lock`).

use jiff::SignedDuration;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;
use serde_json::Map;

use crate::audit::{Attempt, Class, Target, Verb, hint};
use crate::auth::{Failures, LockRule, User, rows};
use crate::secrets::password;
use crate::store::codec::unpack;
use crate::store::{Direction, Durability, Family, KeyRange};
use crate::tree::handle::Tree;
use crate::tree::txn::Txn;
use crate::tree::value;
use crate::tree::view::View;

impl View {
    /// When logins are locked: two settings of `/system/config`.
    fn lock_rule(&self) -> Result<LockRule, Fault> {
        let mut rule = LockRule::default();
        let path = ObjectPath::parse("/system/config")?;
        let Some(id) = self.find_path(&path)? else { return Ok(rule) };
        let data = value::data_of(&self.body_of(id)?);
        let number = |key: &str| match data.get(key) {
            None => None,
            Some(Value::Int(number)) => Some(*number),
            Some(_) => Some(0),
        };
        if let Some(limit) = number("loginFailureLimit") {
            rule.limit = u32::try_from(limit).unwrap_or(0);
        }
        if let Some(minutes) = number("accountLockoutTime") {
            rule.time = SignedDuration::from_mins(minutes.max(0));
        }
        Ok(rule)
    }

    fn failures(&self, key: &[u8]) -> Result<Option<Failures>, Fault> {
        let Some(bytes) = self.reads.get(Family::Auth, key)? else { return Ok(None) };
        Ok(Some(unpack(Family::Auth, key, &bytes)?))
    }
}

impl Tree {
    /// Checks a login name and password, counting failures of the pair of user and address.
    /// `who` says from where; whose permissions it has does not matter.
    ///
    /// # Errors
    /// [`Kind::Unauthenticated`], also while the pair is locked: which of the two it is, the audit
    /// says. Everything is written to the audit.
    pub fn login(&self, username: &str, clear: &str, who: &Caller) -> Result<UserId, Fault> {
        let refused = || Fault::new(Kind::Unauthenticated, message!("auth.bad_login"));
        let view = self.view();
        let now = self.clock().now();
        let rule = view.lock_rule()?;
        let key = rows::lock(username, who.remote.as_deref().unwrap_or_default());
        let failures = view.failures(&key)?;
        let user = view.user_by_name(username);
        let locked = failures.is_some_and(|failures| failures.locked(rule, now));
        // The hash is always computed, so that time does not tell whether the user exists.
        let stored = user.as_ref().and_then(|user| user.password.as_deref());
        let right = password::verify(clear, stored) && !locked;
        let found = user.filter(|user| right && user.active);
        let done = match &found {
            Some(user) => self.logged_in(who, user, &key, failures.is_some()),
            None => self.failed_login(who, username, &key, (!locked).then_some(rule)),
        };
        done?;
        let mut detail = Map::new();
        if found.is_none() {
            detail.insert("invalid_password".into(), hint(clear).into());
            if locked {
                detail.insert("locked".into(), true.into());
            }
        }
        let fault = found.is_none().then(refused);
        self.audit_login(who, username, detail, fault.as_ref())?;
        found.map(|user| user.id).ok_or_else(refused)
    }

    fn logged_in(
        &self,
        who: &Caller,
        user: &User,
        key: &[u8],
        failed_before: bool,
    ) -> Result<(), Fault> {
        self.write(who, Durability::Lazy, |txn| {
            if failed_before {
                txn.raw_delete(Family::Auth, key);
            }
            let Some(before) = txn.user(user.id) else { return Ok(()) };
            let mut row = User::clone(&before);
            row.last_login = Some(txn.now());
            txn.put_user(&row, Some(&before))
        })?;
        Ok(())
    }

    fn failed_login(
        &self,
        who: &Caller,
        username: &str,
        key: &[u8],
        rule: Option<LockRule>,
    ) -> Result<(), Fault> {
        // Names of nobody are not kept: guesses must not fill the store.
        let Some(rule) = rule.filter(|_| self.view().user_by_name(username).is_some()) else {
            return Ok(());
        };
        self.write(who, Durability::Lazy, |txn| {
            txn.raw_expect(Family::Auth, key);
            let row = Failures::after(txn.view().failures(key)?, rule, txn.now());
            txn.put_row(Family::Auth, key, &row)
        })?;
        Ok(())
    }

    fn audit_login(
        &self,
        who: &Caller,
        username: &str,
        detail: Map<String, serde_json::Value>,
        fault: Option<&Fault>,
    ) -> Result<(), Fault> {
        let attempt =
            Attempt { class: Class::Session, verb: Verb::Login, target: Target::default(), detail };
        let Some(mut entry) = self.view().audit_entry(who, attempt, fault) else { return Ok(()) };
        username.clone_into(&mut entry.user);
        self.put_audit(&entry)
    }

    /// Releases login locks, of one user or of all: how many.
    ///
    /// # Errors
    /// [`Kind::Denied`] without privilege.
    pub fn unlock(&self, who: &Caller, username: Option<&str>) -> Result<usize, Fault> {
        let done = self.write(who, Durability::Synced, |txn: &mut Txn| {
            txn.need_privilege("/config/user")?;
            let prefix = match username {
                Some(name) => rows::lock(name, ""),
                None => rows::LOCKS.to_vec(),
            };
            let mut found = Vec::new();
            let range = KeyRange::prefix(&prefix);
            txn.view().reads.scan(Family::Auth, &range, Direction::Forward, &mut |key, _| {
                found.push(key.to_vec());
                std::ops::ControlFlow::Continue(())
            })?;
            for key in &found {
                txn.raw_delete(Family::Auth, key);
            }
            Ok(found.len())
        })?;
        Ok(done.value)
    }

    /// The home of a user.
    #[must_use]
    pub fn home_of(&self, user: UserId) -> Option<ObjectId> {
        self.view().user(user).and_then(|user| user.home)
    }
}
