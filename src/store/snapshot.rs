//! One moment of the store, and the typed reads on it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

use super::basis::Watch;
use super::children;
use super::codec::{Body, ChangeRow, Dirent, Head, unpack};
use super::feed::CommitInfo;
use super::keys;
use super::kv::{Direction, Family, KeyRange, KvRead, StoreError, Visit};

/// What the committer publishes: a state and its revision.
pub(super) struct Published {
    pub(super) rev: Rev,
    /// Counts what was written, rows of the store's own among it.
    pub(super) state: u64,
    pub(super) read: Arc<dyn KvRead>,
}

/// The newest state that was published.
///
/// A lock held for a moment, and not an exchange without one: that would have to look at every
/// thread there is at each commit.
pub(super) struct Newest(RwLock<Arc<Published>>);

impl Newest {
    pub(super) fn new(first: Published) -> Self {
        Self(RwLock::new(Arc::new(first)))
    }

    pub(super) fn load(&self) -> Arc<Published> {
        Arc::clone(&self.0.read())
    }

    pub(super) fn store(&self, next: Published) {
        let last = std::mem::replace(&mut *self.0.write(), Arc::new(next));
        // It may be the last handle of a state of the engine: not under the lock.
        drop(last);
    }
}

/// One moment of the store: never changes, costs nothing to take or clone.
#[derive(Clone)]
pub struct Snapshot(pub(super) Arc<Published>);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({})", self.0.rev)
    }
}

#[allow(clippy::missing_errors_doc)] // every read: `Corrupt` or `Io`
impl Snapshot {
    /// The last commit that it shows.
    #[must_use]
    pub fn rev(&self) -> Rev {
        self.0.rev
    }

    /// The engine's state beneath.
    #[must_use]
    pub fn kv(&self) -> &dyn KvRead {
        &*self.0.read
    }

    /// Begins to note which rows are read of this moment.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.0.state)
    }

    /// The bytes at `key`.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.0.read.get(family, key)?)
    }

    /// The bytes at `keys`, in their order.
    pub fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Fault> {
        Ok(self.0.read.multi_get(family, keys)?)
    }

    /// Shows rows in order until `visit` answers `Break`.
    pub fn scan(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        Ok(self.0.read.scan(family, range, direction, visit)?)
    }

    /// As [`Snapshot::scan`], for a visitor that may fail.
    pub fn try_scan<E: From<Fault>>(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut failed = None;
        self.scan(family, range, direction, &mut |key, value| match visit(key, value) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// A packed row.
    pub fn row<T: DeserializeOwned>(&self, family: Family, key: &[u8]) -> Result<Option<T>, Fault> {
        let Some(bytes) = self.get(family, key)? else { return Ok(None) };
        Ok(Some(unpack(family, key, &bytes)?))
    }

    /// What `name` means in `parent`.
    pub fn dirent(&self, parent: ObjectId, name: &str) -> Result<Option<Dirent>, Fault> {
        let bytes = self.get(Family::Dirent, &keys::dirent(parent, name))?;
        Ok(bytes.map(|bytes| Dirent::decode(&bytes)).transpose()?)
    }

    /// How many objects `container` holds: read, not counted. Scratch does not count.
    pub fn child_count(&self, container: ObjectId) -> Result<u64, Fault> {
        Ok(children::stored(&*self.0.read, container)?)
    }

    /// The entries of `parent` after the name `after`, by name, at most `limit`.
    pub fn dirents(
        &self,
        parent: ObjectId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Dirent)>, Fault> {
        let prefix = keys::object(parent);
        let range = match after {
            None => KeyRange::prefix(&prefix),
            Some(name) => KeyRange::prefix_after(&prefix, name.as_bytes()),
        };
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.try_scan::<Fault>(Family::Dirent, &range, Direction::Forward, |key, value| {
            let (_, name) = keys::read_dirent(key)
                .ok_or_else(|| StoreError::corrupt(format!("dirent key {}", key.escape_ascii())))?;
            found.push((name.to_owned(), Dirent::decode(value)?));
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }

    /// The header of an object.
    pub fn head(&self, id: ObjectId) -> Result<Option<Head>, Fault> {
        let bytes = self.get(Family::Head, &keys::object(id))?;
        Ok(bytes.map(|bytes| Head::decode(&bytes)).transpose()?)
    }

    /// The headers of objects, in the order of `ids`.
    pub fn heads(&self, ids: &[ObjectId]) -> Result<Vec<Option<Head>>, Fault> {
        let keys: Vec<[u8; 8]> = ids.iter().map(|&id| keys::object(id)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 8]>::as_slice).collect();
        let rows = self.multi_get(Family::Head, &keys)?;
        let heads = rows.into_iter().map(|row| row.map(|row| Head::decode(&row)).transpose());
        Ok(heads.collect::<Result<_, StoreError>>()?)
    }

    /// The body of an object; its checksum is compared.
    pub fn body(&self, id: ObjectId) -> Result<Option<Body>, Fault> {
        self.row(Family::Body, &keys::object(id))
    }

    /// The commits after `rev`, at most `limit`; `None` if some of them are no longer kept and
    /// the reader has to start anew.
    pub fn changes_since(&self, rev: Rev, limit: usize) -> Result<Option<Vec<CommitInfo>>, Fault> {
        let mut found = Vec::new();
        if rev >= self.rev() || limit == 0 {
            return Ok(Some(found));
        }
        let range = KeyRange {
            start: std::ops::Bound::Excluded(keys::change(rev).to_vec()),
            ..KeyRange::all()
        };
        self.try_scan::<Fault>(Family::Change, &range, Direction::Forward, |key, value| {
            let (number, _) =
                keys::split_u64(key).ok_or_else(|| StoreError::corrupt("change key"))?;
            let row: ChangeRow = unpack(Family::Change, key, value)?;
            found.push(CommitInfo::new(Rev(number), row));
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let complete = found.first().is_some_and(|info| info.rev.0 == rev.0 + 1);
        Ok(complete.then_some(found))
    }
}
