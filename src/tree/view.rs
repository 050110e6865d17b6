//! Reading the tree as it is at one moment.

mod history;
mod library;
mod object;
mod people;
mod place;
mod record;

use std::sync::{Arc, OnceLock};

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::tree::Caller;
use serde::de::DeserializeOwned;

use super::fault;
use super::handle::Inner;
use super::model::{Entry, Head};
use super::read::Reads;
use crate::auth::{Access, Acl, AclId, Principals, rows};
use crate::store::codec::unpack;
use crate::store::{Basis, Body, Direction, Dirent, Family, KeyRange, Snapshot, StoreError, keys};

pub use history::{Difference, Revision};
pub use library::{Importable, LibraryText};
pub use record::{Attach, Passwords, RecordOptions};

/// The tree at one moment. Cheap to make; hold it for one request, not for long.
pub struct View {
    pub(super) inner: Arc<Inner>,
    pub(super) reads: Reads,
    pub(super) principals: OnceLock<Arc<Principals>>,
}

impl View {
    pub(super) fn new(inner: Arc<Inner>, snapshot: Snapshot) -> Self {
        Self { inner, reads: Reads::new(snapshot), principals: OnceLock::new() }
    }

    /// A view that notes what is read of it.
    pub(super) fn watched(inner: Arc<Inner>, snapshot: Snapshot) -> Self {
        Self { inner, reads: Reads::watched(snapshot), principals: OnceLock::new() }
    }

    /// What was made of a watched view holds as long as this does; `None`: it is for now alone.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        self.reads.watch()?.basis()
    }

    /// What is made of this view depends on more than rows: it is not to be kept.
    pub(super) fn not_to_be_kept(&self) {
        if let Some(watch) = self.reads.watch() {
            watch.more();
        }
    }

    /// The revision of the moment.
    #[must_use]
    pub fn rev(&self) -> Rev {
        self.reads.snapshot().rev()
    }

    /// The snapshot below: for parts of the product that keep rows of their own.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        self.not_to_be_kept();
        self.reads.snapshot()
    }

    pub(super) fn head_if(&self, id: ObjectId) -> Result<Option<Head>, Fault> {
        let bytes = self.reads.get(Family::Head, &keys::object(id))?;
        let row = bytes.map(|bytes| crate::store::Head::decode(&bytes)).transpose()?;
        Ok(row.map(|row| Head::new(id, row)))
    }

    /// The header of a node.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    pub fn head(&self, id: ObjectId) -> Result<Head, Fault> {
        self.head_if(id)?.ok_or_else(|| fault::gone(id))
    }

    /// Headers of many nodes in one read, in the order of `ids`.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn heads(&self, ids: &[ObjectId]) -> Result<Vec<Option<Head>>, Fault> {
        let keys: Vec<[u8; 8]> = ids.iter().map(|&id| keys::object(id)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 8]>::as_slice).collect();
        let found = self.reads.multi_get(Family::Head, &keys)?;
        let heads = found.into_iter().zip(ids).map(|(bytes, &id)| {
            let row = bytes.map(|bytes| crate::store::Head::decode(&bytes)).transpose()?;
            Ok(row.map(|row| Head::new(id, row)))
        });
        Ok(heads.collect::<Result<_, StoreError>>()?)
    }

    pub(super) fn dirent(&self, dir: ObjectId, name: &str) -> Result<Option<Dirent>, Fault> {
        let bytes = self.reads.get(Family::Dirent, &keys::dirent(dir, name))?;
        Ok(bytes.map(|bytes| Dirent::decode(&bytes)).transpose()?)
    }

    pub(super) fn body(&self, id: ObjectId) -> Result<Option<Body>, Fault> {
        let key = keys::object(id);
        let Some(bytes) = self.reads.get(Family::Body, &key)? else { return Ok(None) };
        Ok(Some(unpack(Family::Body, &key, &bytes)?))
    }

    pub(super) fn has_own_body(&self, id: ObjectId) -> bool {
        self.reads.is_dirty() && self.reads.own(Family::Body, &keys::object(id)).is_some()
    }

    /// A child, scratch included; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn child(&self, dir: ObjectId, name: &str) -> Result<Option<Entry>, Fault> {
        Ok(self.dirent(dir, name)?.map(|row| Entry::new(name, row)))
    }

    /// Children by name after `after`, scratch included; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn entries(
        &self,
        dir: ObjectId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        let mut found = Vec::new();
        self.each_entry(dir, after, |entry| {
            found.push(entry);
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Child objects by name after `after`; the caller needs read on the container.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Denied`].
    pub fn children(
        &self,
        who: &Caller,
        dir: ObjectId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        self.need(who, dir, |access| access.read, "read")?;
        let mut found = Vec::new();
        self.each_entry(dir, after, |entry| {
            if entry.is_object() {
                found.push(entry);
            }
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Visits the entries of a directory by name until `visit` answers `false`.
    pub(super) fn each_entry(
        &self,
        dir: ObjectId,
        after: Option<&str>,
        visit: impl FnMut(Entry) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        self.each_entry_from(dir, after, false, visit)
    }

    /// As [`View::each_entry`], from the last name to the first if `down`.
    pub(super) fn each_entry_from(
        &self,
        dir: ObjectId,
        after: Option<&str>,
        down: bool,
        mut visit: impl FnMut(Entry) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let prefix = keys::object(dir);
        let range = match after {
            None => KeyRange::prefix(&prefix),
            Some(name) if down => KeyRange {
                end: std::ops::Bound::Excluded(keys::dirent(dir, name)),
                ..KeyRange::prefix(&prefix)
            },
            Some(name) => KeyRange::prefix_after(&prefix, name.as_bytes()),
        };
        let direction = if down { Direction::Reverse } else { Direction::Forward };
        let mut failed = Ok(());
        let mut one = |key: &[u8], value: &[u8]| -> Result<bool, Fault> {
            let name = keys::read_dirent(key).map(|(_, name)| name);
            let name = name.ok_or_else(|| StoreError::corrupt("dirent key"))?;
            visit(Entry::new(name, Dirent::decode(value)?))
        };
        self.reads.scan(
            Family::Dirent,
            &range,
            direction,
            &mut |key, value| match one(key, value) {
                Ok(true) => std::ops::ControlFlow::Continue(()),
                Ok(false) => std::ops::ControlFlow::Break(()),
                Err(fault) => {
                    failed = Err(fault);
                    std::ops::ControlFlow::Break(())
                }
            },
        )?;
        failed
    }

    /// All packed rows of a family whose keys begin with `prefix`.
    pub(super) fn rows<T: DeserializeOwned>(
        &self,
        family: Family,
        prefix: &[u8],
    ) -> Result<Vec<T>, Fault> {
        let mut found = Vec::new();
        let mut failed = Ok(());
        let range = KeyRange::prefix(prefix);
        self.reads.scan(family, &range, Direction::Forward, &mut |key, value| {
            match unpack(family, key, value) {
                Ok(row) => found.push(row),
                Err(error) => {
                    failed = Err(error.into());
                    return std::ops::ControlFlow::Break(());
                }
            }
            std::ops::ControlFlow::Continue(())
        })?;
        failed.map(|()| found)
    }

    /// The objects of a type, by number.
    pub(super) fn of_type(&self, type_id: ObjectId) -> Result<Vec<ObjectId>, Fault> {
        self.indexed(&keys::index_type_prefix(type_id))
    }

    /// The objects of an index row's prefix, by number.
    pub(super) fn indexed(&self, prefix: &[u8]) -> Result<Vec<ObjectId>, Fault> {
        let mut found = Vec::new();
        let range = KeyRange::prefix(prefix);
        self.reads.scan(Family::Index, &range, Direction::Forward, &mut |key, _| {
            if let Some((_, _, id)) = keys::read_index(key) {
                found.push(id);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// The permission entries named by a header.
    pub(super) fn acl(&self, id: AclId) -> Result<Arc<Acl>, Fault> {
        if id == AclId::EMPTY {
            return Ok(Arc::default());
        }
        if let Some(acl) = self.inner.acls.get(&id) {
            return Ok(acl);
        }
        let bytes = self.reads.get(Family::Auth, &rows::acl(id))?;
        let acl = bytes.and_then(|bytes| Acl::decode(&bytes));
        let acl = Arc::new(acl.ok_or_else(|| StoreError::corrupt("permission set"))?);
        // A set never changes: it is named by its hash.
        self.inner.acls.insert(id, Arc::clone(&acl));
        Ok(acl)
    }

    /// What the caller may do with a node; for scratch, with the container around it.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    pub fn access(&self, who: &Caller, id: ObjectId) -> Result<Access, Fault> {
        self.access_of(who, &self.head(id)?)
    }

    /// As [`View::access`], for a header at hand.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn access_of(&self, who: &Caller, head: &Head) -> Result<Access, Fault> {
        let mut around;
        let mut head = head;
        while !head.is_object() {
            around = self.head(head.parent)?;
            head = &around;
        }
        let people = self.principals()?;
        if head.owner == who.user || people.privileged(who.user) {
            return Ok(people.access(who.user, head.owner, &Acl::default()));
        }
        Ok(people.access(who.user, head.owner, &*self.acl(head.acl)?))
    }

    pub(super) fn need(
        &self,
        who: &Caller,
        id: ObjectId,
        has: impl Fn(Access) -> bool,
        right: &'static str,
    ) -> Result<Head, Fault> {
        let head = self.head(id)?;
        self.need_of(who, &head, has, right)?;
        Ok(head)
    }

    pub(super) fn need_of(
        &self,
        who: &Caller,
        head: &Head,
        has: impl Fn(Access) -> bool,
        right: &'static str,
    ) -> Result<(), Fault> {
        if has(self.access_of(who, head)?) {
            return Ok(());
        }
        let path = self.path_of(head.id).map(|path| path.to_string()).unwrap_or_default();
        Err(fault::denied(right, &path))
    }
}
