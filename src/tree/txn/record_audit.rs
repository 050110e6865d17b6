//! The audit entries of a commit (rule: `tree/audit`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::UserId;
use kompira_schema::tree::{Caller, Interface};
use serde_json::{Map, Value};

use super::Txn;
use crate::audit::{Attempt, Class, Entry, Exec, Permit, Target, Verb};
use crate::store::{Counter, Family, keys};
use crate::tree::handle::Tree;
use crate::tree::view::View;

impl Txn {
    /// Adds a detail to the audit entries of this commit.
    pub fn audit_detail(&mut self, key: &'static str, value: impl Into<Value>) {
        self.detail.insert(key.to_owned(), value.into());
    }

    /// Says what is about to be tried, for the entry of a failure.
    pub(in crate::tree) fn trying(
        &mut self,
        class: Class,
        verb: Verb,
        target: impl FnOnce(&View) -> Target,
    ) {
        if self.audited() {
            let target = target(&self.view);
            self.attempt = Some(Attempt { class, verb, target, detail: Map::new() });
        }
    }

    /// Adds details to the attempt.
    pub(in crate::tree) fn trying_with(
        &mut self,
        key: &'static str,
        value: impl FnOnce() -> Value,
    ) {
        if let Some(attempt) = &mut self.attempt {
            attempt.detail.insert(key.to_owned(), value());
        }
    }

    /// The attempt succeeded.
    pub(in crate::tree) fn tried(&mut self) {
        let Some(attempt) = self.attempt.take() else { return };
        if let Some(entry) = self.view.audit_entry(&self.who, attempt, None) {
            self.audits.push(entry);
        }
    }

    /// Puts the entries into the commit.
    pub(super) fn close_audit(&mut self) {
        let finished = self.view.inner.clock.now();
        for mut entry in std::mem::take(&mut self.audits) {
            entry.started = self.now;
            entry.finished = finished;
            for (key, value) in &self.detail {
                entry.detail.insert(key.clone(), value.clone());
            }
            let done =
                self.view.inner.store.new_id(Counter::Audit).and_then(|number| {
                    self.put_packed(Family::Audit, keys::number(number), &entry)
                });
            if let Err(fault) = done {
                tracing::error!(?fault, "an audit entry cannot be stored");
            }
        }
    }
}

impl View {
    /// The entry of an operation; `None` when its level is below the logging level.
    pub(in crate::tree) fn audit_entry(
        &self,
        who: &Caller,
        attempt: Attempt,
        fault: Option<&Fault>,
    ) -> Option<Entry> {
        if who.interface == Interface::Engine {
            return None;
        }
        let denied = fault.is_some_and(|fault| {
            matches!(fault.kind(), Kind::Denied | Kind::Protected | Kind::Unauthenticated)
        });
        let permit = if denied { Permit::Denied } else { Permit::Allowed };
        let Attempt { class, verb, target, detail } = attempt;
        let levels = self.inner.levels.now();
        let interface = who.interface.word();
        let paths = (target.path.as_deref(), target.kind.as_deref());
        let level = levels.level(interface, class, verb, permit, fault.is_none(), paths)?;
        let now = self.inner.clock.now();
        let options = &self.inner.options;
        // A command says `NAME as USER`.
        let (name, user) = match who.exec.as_deref() {
            Some(exec) => exec.split_once(" as ").unwrap_or((options.program.as_str(), exec)),
            None => (options.program.as_str(), options.os_user.as_str()),
        };
        Some(Entry {
            level,
            started: now,
            finished: now,
            exec: Exec {
                pid: self.inner.pid,
                name: name.to_owned(),
                user: user.to_owned(),
                remote: who.remote.as_deref().map(str::to_owned),
            },
            user: self.audit_name(who),
            interface: interface.to_owned(),
            class,
            target,
            verb,
            permit,
            succeeded: fault.is_none(),
            reason: fault.map(|fault| fault.told().key.to_owned()),
            detail,
        })
    }

    /// The login name; empty for who is nobody.
    fn audit_name(&self, who: &Caller) -> String {
        if who.user == UserId(0) { String::new() } else { self.user_name(who.user) }
    }

    /// Whether an operation that succeeded, or was denied, is written down at all.
    #[must_use]
    pub fn audits(
        &self,
        who: &Caller,
        class: Class,
        verb: Verb,
        target: &Target,
        denied: bool,
    ) -> bool {
        let permit = if denied { Permit::Denied } else { Permit::Allowed };
        let paths = (target.path.as_deref(), target.kind.as_deref());
        let levels = self.inner.levels.now();
        who.interface != Interface::Engine
            && levels.level(who.interface.word(), class, verb, permit, !denied, paths).is_some()
    }

    /// Whether an operation on this path can be written down, without a look at what is there.
    #[must_use]
    pub fn may_audit(
        &self,
        who: &Caller,
        class: Class,
        verb: Verb,
        path: Option<&str>,
        denied: bool,
    ) -> bool {
        let permit = if denied { Permit::Denied } else { Permit::Allowed };
        let levels = self.inner.levels.now();
        who.interface != Interface::Engine
            && levels.may_record(who.interface.word(), class, verb, permit, !denied, path)
    }

    /// The audit's target for an object.
    #[must_use]
    pub fn audit_target(&self, id: kompira_schema::id::ObjectId) -> Target {
        let Ok(Some(head)) = self.head_if(id) else { return Target::default() };
        Target { path: Some(self.path_text(&head)), kind: Some(self.type_path(head.type_id)) }
    }
}

impl Tree {
    /// Writes an entry for something that was no commit: a denied read, a login, an execution.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn audit(
        &self,
        who: &Caller,
        attempt: Attempt,
        fault: Option<&Fault>,
    ) -> Result<(), Fault> {
        let view = self.view();
        let Some(entry) = view.audit_entry(who, attempt, fault) else { return Ok(()) };
        self.put_audit(&entry)
    }

    pub(in crate::tree) fn put_audit(&self, entry: &Entry) -> Result<(), Fault> {
        let store = self.store();
        let mut batch = store.batch(&store.snapshot());
        let number = store.new_id(Counter::Audit)?;
        batch.put_row(Family::Audit, keys::number(number), entry)?;
        match store.commit(batch, crate::store::Durability::Lazy) {
            Ok(_) => {
                self.inner.audit_bell();
                Ok(())
            }
            Err(crate::store::CommitError::Fault(fault)) => Err(fault),
            Err(crate::store::CommitError::Conflict) => {
                Err(Fault::internal("an audit entry cannot conflict"))
            }
        }
    }
}
