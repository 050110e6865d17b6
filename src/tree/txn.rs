//! Changing the tree: everything one commit does.

mod attributes;
mod copy;
mod create;
mod delete;
mod engine;
mod fields;
mod former;
mod import;
mod mail;
mod log;
mod place;
mod queue;
mod record_audit;
mod restore;
mod retype;
mod save;
mod says;
mod scratch;
mod submit;
mod tokens;
mod update;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Deref;

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::Fault;
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::Ref;
use serde::Serialize;

use super::handle::Tree;
use super::model::{Entry, EntryKind, Head};
use super::view::View;
use crate::audit;
use crate::auth::{Acl, AclId, rows};
use crate::store::codec::pack;
use crate::store::{Batch, Body, Changed, Counter, Dirent, Family, Place, What, keys};

pub use import::ImportOptions;
pub use mail::MailName;
pub use queue::Unsettled;
pub use submit::Submission;
pub use tokens::{NewTokens, TokenMark};

/// Which part of an Array or Dictionary of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// The field itself.
    Whole,
    /// An element of an array; its length appends.
    Index(usize),
    /// An entry of a dictionary.
    Key(&'a str),
}

/// One commit in the making. Reads see its own writes (it derefs to [`View`]).
pub struct Txn {
    view: View,
    who: Caller,
    origin: u64,
    now: Timestamp,
    expects: Vec<(Family, Vec<u8>)>,
    childless: BTreeSet<ObjectId>,
    moves: bool,
    touches: BTreeSet<ObjectId>,
    changes: Vec<Changed>,
    blobs: BTreeMap<BlobHash, Bytes>,
    /// Who holds which blob after this commit, where that changes.
    holds: BTreeMap<(BlobHash, ObjectId), bool>,
    /// What this commit replaces, for the history.
    earlier: Vec<(ObjectId, crate::store::Head, Body)>,
    earlier_entries: BTreeMap<(ObjectId, String), Dirent>,
    /// Objects whose state before this commit is already in the history, or that had none.
    kept: HashSet<ObjectId>,
    pub(super) audits: Vec<audit::Entry>,
    pub(super) attempt: Option<audit::Attempt>,
    detail: serde_json::Map<String, serde_json::Value>,
    /// What imports were forgiven.
    warnings: Vec<kompira_schema::error::Problem>,
}

impl Deref for Txn {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl Txn {
    pub(super) fn new(tree: &Tree, who: &Caller) -> Self {
        let view = tree.view();
        let now = view.inner.clock.now();
        Self {
            view,
            who: who.clone(),
            origin: tree.origin,
            now,
            expects: Vec::new(),
            childless: BTreeSet::new(),
            moves: false,
            touches: BTreeSet::new(),
            changes: Vec::new(),
            blobs: BTreeMap::new(),
            holds: BTreeMap::new(),
            earlier: Vec::new(),
            earlier_entries: BTreeMap::new(),
            kept: HashSet::new(),
            audits: Vec::new(),
            attempt: None,
            detail: serde_json::Map::new(),
            warnings: Vec::new(),
        }
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.who
    }

    /// The moment this commit is made.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the caller may do everything.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.view.privileged(self.who.user)
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Whether this commit writes nothing.
    pub(super) fn is_empty(&self) -> bool {
        !self.view.reads.is_dirty() && self.touches.is_empty() && self.changes.is_empty()
    }

    /// The batch for the committer.
    pub(super) fn into_batch(mut self) -> Result<Batch, Fault> {
        self.close_audit();
        let snapshot = self.view.snapshot().clone();
        let mut batch = self.view.inner.store.batch(&snapshot);
        for (family, key) in &self.expects {
            batch.expect(*family, key);
        }
        for &parent in &self.childless {
            batch.expect_children(parent);
        }
        if self.moves {
            batch.serialise("move");
        }
        for (hash, bytes) in std::mem::take(&mut self.blobs) {
            let kept = self.holds.iter().any(|((held, _), holds)| *held == hash && *holds);
            if kept {
                batch.put_blob(&bytes)?;
            }
        }
        for (id, head, body) in std::mem::take(&mut self.earlier) {
            batch.keep_body(id, &head, &body)?;
        }
        for ((parent, name), entry) in std::mem::take(&mut self.earlier_entries) {
            batch.keep_entry(parent, &name, &entry);
        }
        for ((hash, id), holds) in std::mem::take(&mut self.holds) {
            if holds {
                batch.hold_blob(hash, id, kompira_schema::id::Rev(0));
            } else {
                batch.release_blob(hash, id, kompira_schema::id::Rev(0));
            }
        }
        for (family, key, row) in self.view.reads.take_own() {
            match (row.value, row.stamp) {
                (None, _) => batch.delete(family, key),
                (Some(value), None) => batch.put(family, key, value),
                (Some(value), Some(at)) => batch.put_stamped(family, key, value, at),
            }
        }
        for container in std::mem::take(&mut self.touches) {
            batch.touch(container, self.now);
        }
        for changed in std::mem::take(&mut self.changes) {
            batch.changed(changed);
        }
        if self.origin != 0 {
            batch.origin(self.origin);
        }
        batch.by(self.who.user);
        batch.at(self.now);
        Ok(batch)
    }

    // --- rows ---------------------------------------------------------------------------------

    fn expect(&mut self, family: Family, key: impl Into<Vec<u8>>) {
        self.expects.push((family, key.into()));
    }

    fn expect_head(&mut self, id: ObjectId) {
        self.expect(Family::Head, keys::object(id));
    }

    fn put(&mut self, family: Family, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.view.reads.put(family, key.into(), value, None);
    }

    fn put_packed<T: Serialize>(
        &mut self,
        family: Family,
        key: impl Into<Vec<u8>>,
        row: &T,
    ) -> Result<(), Fault> {
        let key = key.into();
        let value = pack(family, &key, row)?;
        self.put(family, key, value);
        Ok(())
    }

    fn remove(&mut self, family: Family, key: impl Into<Vec<u8>>) {
        self.view.reads.delete(family, key.into());
    }

    fn put_head(&mut self, head: &Head) {
        let stamp = Some(crate::store::Head::REV_OFFSET);
        let value = head.row().encode();
        self.view.reads.put(Family::Head, keys::object(head.id).into(), value, stamp);
    }

    /// Writes a header that keeps its revision: times or mode bits alone changed.
    fn put_head_quietly(&mut self, head: &Head) {
        let key = keys::object(head.id);
        let stamp = self.view.reads.own(Family::Head, &key).and_then(|own| own.stamp);
        self.view.reads.put(Family::Head, key.into(), head.row().encode(), stamp);
    }

    fn put_body(&mut self, id: ObjectId, body: &Body) -> Result<(), Fault> {
        self.put_packed(Family::Body, keys::object(id), body)
    }

    /// Sets a directory entry and touches the container.
    fn put_entry(&mut self, parent: ObjectId, entry: &Entry) -> Result<(), Fault> {
        self.expect(Family::Dirent, keys::dirent(parent, &entry.name));
        self.keep_entry(parent, &entry.name)?;
        let row = Dirent {
            since: kompira_schema::id::Rev(0),
            child: entry.id,
            type_id: entry.type_id,
            kind: entry.kind,
            node: entry.node,
            container: entry.container,
            suffix: entry.suffix.clone().unwrap_or_default(),
        };
        let key = keys::dirent(parent, &entry.name);
        let stamp = Some(Dirent::SINCE_OFFSET);
        self.view.reads.put(Family::Dirent, key, row.encode(), stamp);
        self.touches.insert(parent);
        Ok(())
    }

    /// Removes a directory entry and touches the container.
    fn remove_entry(&mut self, parent: ObjectId, name: &str) -> Result<(), Fault> {
        self.expect(Family::Dirent, keys::dirent(parent, name));
        self.keep_entry(parent, name)?;
        self.remove(Family::Dirent, keys::dirent(parent, name));
        self.touches.insert(parent);
        Ok(())
    }

    /// Stores a permission set, if it is new, and names it.
    fn intern(&mut self, acl: Acl) -> Result<AclId, Fault> {
        let acl = acl.normalised();
        let id = acl.id();
        if id != AclId::EMPTY {
            let key = rows::acl(id);
            if self.view.reads.get(Family::Auth, &key)?.is_none() {
                self.put(Family::Auth, key, acl.encode());
            }
        }
        Ok(id)
    }

    // --- the feed -----------------------------------------------------------------------------

    fn tell(&mut self, id: ObjectId, what: What, place: Option<Place>, old: Option<Place>) {
        self.changes.push(Changed { subject: Ref::Object(id), what, place, old });
    }

    /// Tells the feed of a change that leaves the node in its place.
    fn tell_at(&mut self, head: &Head, what: What) -> Result<(), Fault> {
        let entry = self.view.entry_of(head)?;
        let place = entry.map(|entry| place_of(head.parent, &entry));
        self.tell(head.id, what, place, None);
        Ok(())
    }

    pub(super) fn tell_principal(&mut self, changed: Changed) {
        self.changes.push(changed);
    }

    /// Users or groups are others from here on: who read them before reads them again.
    pub(super) fn principals_changed(&mut self) {
        self.view.reads.put(Family::Auth, rows::VERSION.to_vec(), vec![0; 8], Some(0));
        self.view.principals = std::sync::OnceLock::new();
    }

    pub(super) fn store_id(&self, counter: Counter) -> Result<u64, Fault> {
        self.view.inner.store.new_id(counter)
    }

    /// Whether this caller's work is written to the audit.
    fn audited(&self) -> bool {
        self.who.interface != Interface::Engine
    }
}

/// The place of an entry, for the feed.
fn place_of(parent: ObjectId, entry: &Entry) -> Place {
    Place {
        parent,
        name: entry.name.clone(),
        suffix: entry.suffix.clone().unwrap_or_default(),
        kind: entry.kind,
        container: entry.container,
    }
}

/// The entry of an object or scratch node with this header.
fn entry_for(head: &Head, kind: EntryKind, container: bool, suffix: Option<String>) -> Entry {
    Entry {
        name: head.name.clone(),
        id: head.id,
        type_id: if kind == EntryKind::Scratch { ObjectId(0) } else { head.type_id },
        suffix,
        kind,
        container,
        node: head.node,
        since: head.rev,
    }
}
