//! What an object was before (rule: `tree/history-read`).

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::message;
use kompira_schema::record::Record;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Ref, Value};

use super::{RecordOptions, View};
use crate::store::Version;
use crate::tree::fault;
use crate::tree::model::{Head, Object};

/// A version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The commit that made it.
    pub rev: Rev,
    /// The commit that ended it; `None` for the present one.
    pub until: Option<Rev>,
    /// When; `None` when the commit is older than what the feed keeps.
    pub time: Option<Timestamp>,
    /// On whose behalf, as far as it is known.
    pub by: Option<UserId>,
}

/// A place in which two versions differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `name`, `display_name`, `description`, `owner`, `type_object`, `permissions`, a field, or
    /// `data.KEY`.
    pub at: String,
    /// In the earlier one; `None`: nothing stored.
    pub before: Option<Value>,
    /// In the later one; `None`: nothing stored.
    pub after: Option<Value>,
}

/// Versions listed at once.
const VERSIONS_MAX: usize = 10_000;

impl View {
    /// The kept versions of an object, newest first; the caller needs read.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Denied`].
    pub fn history(
        &self,
        who: &Caller,
        id: ObjectId,
        limit: usize,
    ) -> Result<Vec<Revision>, Fault> {
        self.need_history(who, id)?;
        let mut found = Vec::new();
        for version in self.snapshot().versions(id, limit.min(VERSIONS_MAX))?.into_iter().rev() {
            let commit = self.snapshot().changes_since(Rev(version.from.0.saturating_sub(1)), 1)?;
            let commit = commit.and_then(|commits| commits.into_iter().next());
            let commit = commit.filter(|commit| commit.rev == version.from);
            found.push(Revision {
                rev: version.from,
                until: version.until,
                time: commit.as_ref().map(|commit| commit.time),
                by: commit.as_ref().and_then(|commit| commit.by),
            });
        }
        Ok(found)
    }

    /// The object as it was at a revision, seen through the present type; passwords stay sealed.
    /// The caller needs read on the object as it is now; a deleted one is for privileged callers.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it did not exist then or is kept no more; [`Kind::Denied`].
    pub fn object_at(&self, who: &Caller, id: ObjectId, rev: Rev) -> Result<Object, Fault> {
        self.need_history(who, id)?;
        let version = self.version_at(id, rev)?;
        self.object_of(who, Head::new(id, version.head), version.body)
    }

    /// The record of an object as it was at a revision.
    ///
    /// # Errors
    /// As [`View::object_at`].
    pub fn record_at(
        &self,
        who: &Caller,
        id: ObjectId,
        rev: Rev,
        options: RecordOptions<'_>,
    ) -> Result<Record, Fault> {
        let object = self.object_at(who, id, rev)?;
        self.record_of(&object, options)
    }

    /// Where two versions differ, in the order: properties, fields, data. A password that differs
    /// is named without its values.
    ///
    /// # Errors
    /// As [`View::object_at`].
    pub fn differences(
        &self,
        who: &Caller,
        id: ObjectId,
        from: Rev,
        to: Rev,
    ) -> Result<Vec<Difference>, Fault> {
        let (before, after) = (self.object_at(who, id, from)?, self.object_at(who, id, to)?);
        let mut found = Vec::new();
        compare(&mut found, "", &properties(&before), &properties(&after));
        let rights = |object: &Object| object.stub.head.acl;
        if rights(&before) != rights(&after) {
            found.push(Difference { at: "permissions".into(), before: None, after: None });
        }
        compare(&mut found, "", &before.fields, &after.fields);
        let empty = Dict::new();
        let data = |object: &Object| object.data.clone();
        compare(
            &mut found,
            "data.",
            data(&before).as_ref().unwrap_or(&empty),
            data(&after).as_ref().unwrap_or(&empty),
        );
        Ok(found)
    }

    fn need_history(&self, who: &Caller, id: ObjectId) -> Result<(), Fault> {
        match self.head_if(id)?.filter(Head::is_object) {
            Some(head) => self.need_of(who, &head, |access| access.read, "read"),
            None if self.privileged(who.user) => Ok(()),
            None => Err(fault::gone(id)),
        }
    }

    pub(in crate::tree) fn version_at(&self, id: ObjectId, rev: Rev) -> Result<Version, Fault> {
        let missing =
            || Fault::new(Kind::NotFound, message!("history.missing", id = id, rev = rev.0));
        let found = self.snapshot().body_at(id, rev)?.ok_or_else(missing)?;
        // Scratch and demoted objects have headers too.
        Some(found).filter(|version| version.head.type_id.0 != 0).ok_or_else(missing)
    }
}

fn properties(object: &Object) -> Dict {
    let stub = &object.stub;
    Dict::from_iter([
        ("name".to_owned(), Value::from(stub.head.name.as_str())),
        ("parent_object".to_owned(), Value::Object(Ref::Object(stub.head.parent))),
        ("display_name".to_owned(), Value::from(stub.display_name.as_str())),
        ("description".to_owned(), Value::from(stub.description.as_str())),
        ("owner".to_owned(), Value::Object(Ref::User(stub.head.owner))),
        ("type_object".to_owned(), Value::Object(Ref::Object(stub.head.type_id))),
    ])
}

fn compare(found: &mut Vec<Difference>, prefix: &str, before: &Dict, after: &Dict) {
    let shown = |value: Option<&Value>| value.cloned().map(hide);
    for (name, old) in before {
        if after.get(name) != Some(old) {
            let at = format!("{prefix}{name}");
            let (before, after) = (shown(Some(old)), shown(after.get(name)));
            found.push(Difference { at, before, after });
        }
    }
    for (name, new) in after {
        if !before.contains_key(name) {
            let at = format!("{prefix}{name}");
            found.push(Difference { at, before: None, after: shown(Some(new)) });
        }
    }
}

/// A value without the passwords in it.
fn hide(value: Value) -> Value {
    match value {
        Value::Sealed(_) => Value::Null,
        Value::Array(items) => Value::Array(items.into_iter().map(hide).collect()),
        Value::Dict(items) => {
            Value::Dict(items.into_iter().map(|(key, value)| (key, hide(value))).collect())
        }
        other => other,
    }
}
