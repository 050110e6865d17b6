//! A commit in the making: what it writes, what it relied on, what it tells the feed.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId, Rev, UserId};
use kompira_schema::message;
use serde::Serialize;

use super::blob::{BlobRow, INLINE_MAX};
use super::codec::{Body, Changed, Dirent, Head, pack};
use super::keys;
use super::kv::{Family, StoreError};

/// A key of the conflict table: a stored key, the children of a container, or a named lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    fn of(tag: u8, key: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        tag.hash(&mut hasher);
        hasher.write(key);
        Self(hasher.finish())
    }

    pub(super) fn key(family: Family, key: &[u8]) -> Self {
        Self::of(u8::try_from(family.index()).expect("few families"), key)
    }

    pub(super) fn children(parent: &[u8]) -> Self {
        Self::of(0xf0, parent)
    }

    fn named(name: &str) -> Self {
        Self::of(0xf1, name.as_bytes())
    }
}

/// One write of a batch.
#[derive(Debug)]
pub(super) struct BatchWrite {
    pub(super) family: Family,
    pub(super) key: Vec<u8>,
    /// `None` deletes.
    pub(super) value: Option<Vec<u8>>,
    /// Where the revision goes.
    pub(super) stamp: Option<usize>,
}

/// Writes that are committed together or not at all.
///
/// A later write of the same key wins. What was read to decide them is named with
/// [`Batch::expect`]: if another commit wrote it meanwhile, the commit answers `Conflict`.
#[derive(Debug)]
pub struct Batch {
    pub(super) base: Rev,
    pub(super) reads: Vec<Mark>,
    pub(super) locks: Vec<Mark>,
    pub(super) writes: Vec<BatchWrite>,
    pub(super) touches: Vec<(ObjectId, Timestamp)>,
    pub(super) needs: Vec<BlobHash>,
    pub(super) changes: Vec<Changed>,
    pub(super) origin: Option<u64>,
    pub(super) by: Option<UserId>,
    pub(super) time: Option<Timestamp>,
    pub(super) bytes: usize,
}

impl Batch {
    pub(super) fn new(base: Rev) -> Self {
        Self {
            base,
            reads: Vec::new(),
            locks: Vec::new(),
            writes: Vec::new(),
            touches: Vec::new(),
            needs: Vec::new(),
            changes: Vec::new(),
            origin: None,
            by: None,
            time: None,
            bytes: 0,
        }
    }

    /// The revision of the snapshot this batch was decided on.
    #[must_use]
    pub fn base(&self) -> Rev {
        self.base
    }

    /// Whether it writes nothing and tells nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.touches.is_empty() && self.changes.is_empty()
    }

    fn write(&mut self, write: BatchWrite) {
        self.bytes += write.key.len() + write.value.as_ref().map_or(0, Vec::len);
        self.writes.push(write);
    }

    /// Sets a value.
    pub fn put(&mut self, family: Family, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), Some(value.into()));
        self.write(BatchWrite { family, key, value, stamp: None });
    }

    /// Sets a value in which the committer writes the assigned revision, big-endian, at `offset`.
    pub fn put_stamped(
        &mut self,
        family: Family,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        offset: usize,
    ) {
        let (key, value) = (key.into(), value.into());
        debug_assert!(value.len() >= offset + 8, "the stamp lies inside the value");
        self.write(BatchWrite { family, key, value: Some(value), stamp: Some(offset) });
    }

    /// Sets a packed row (version, checksum, MessagePack).
    ///
    /// # Errors
    /// [`Kind::Internal`] when the row cannot be encoded.
    pub fn put_row<T: Serialize + ?Sized>(
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

    /// Removes a key.
    pub fn delete(&mut self, family: Family, key: impl Into<Vec<u8>>) {
        self.write(BatchWrite { family, key: key.into(), value: None, stamp: None });
    }

    /// Relies on this key being as the snapshot shows it, also on its absence.
    pub fn expect(&mut self, family: Family, key: &[u8]) {
        self.reads.push(Mark::key(family, key));
    }

    /// Relies on the set of children of `parent` (for "it is empty").
    pub fn expect_children(&mut self, parent: ObjectId) {
        self.reads.push(Mark::children(&keys::object(parent)));
    }

    /// Relies on no other commit having taken the lock `name` since the snapshot, and takes it:
    /// of two commits with the same lock, one is retried (moves of directories).
    pub fn serialise(&mut self, name: &str) {
        let mark = Mark::named(name);
        self.reads.push(mark);
        self.locks.push(mark);
    }

    /// Moves the times of a container forward to `time`; never a conflict. A container that is
    /// gone is left out.
    pub fn touch(&mut self, container: ObjectId, time: Timestamp) {
        self.touches.push((container, time));
    }

    /// Sets an entry; its `since` is stamped.
    pub fn put_dirent(&mut self, parent: ObjectId, name: &str, entry: &Dirent) {
        let key = keys::dirent(parent, name);
        self.put_stamped(Family::Dirent, key, entry.encode(), Dirent::SINCE_OFFSET);
    }

    /// Removes an entry.
    pub fn delete_dirent(&mut self, parent: ObjectId, name: &str) {
        self.delete(Family::Dirent, keys::dirent(parent, name));
    }

    /// Sets a header; its `rev` is stamped.
    pub fn put_head(&mut self, id: ObjectId, head: &Head) {
        self.put_stamped(Family::Head, keys::object(id), head.encode(), Head::REV_OFFSET);
    }

    /// Sets a header and keeps the `rev` it has (times or mode alone changed).
    pub fn put_head_unstamped(&mut self, id: ObjectId, head: &Head) {
        self.put(Family::Head, keys::object(id), head.encode());
    }

    /// Sets a body (alone; blob references are [`Batch::hold_blob`]).
    ///
    /// # Errors
    /// [`Kind::Internal`] when it cannot be encoded.
    pub fn put_body(&mut self, id: ObjectId, body: &Body) -> Result<(), Fault> {
        self.put_row(Family::Body, keys::object(id), body)
    }

    /// Stores small content (at most [`INLINE_MAX`] bytes) in this very commit.
    ///
    /// # Errors
    /// [`Kind::TooLarge`] for larger content, which goes through `blobs().put` first.
    pub fn put_blob(&mut self, content: &[u8]) -> Result<BlobHash, Fault> {
        if content.len() > INLINE_MAX {
            return Err(Fault::new(Kind::TooLarge, message!("store.too_large")));
        }
        let hash = BlobHash::of(content);
        let row = BlobRow::inline(content.to_vec());
        self.put_row(Family::Blob, hash.0, &row)?;
        Ok(hash)
    }

    /// Says that `id` holds the blob: `version` 0 for the object as it is, the row's revision for
    /// an earlier body in `history`. The commit fails if the blob is not stored.
    pub fn hold_blob(&mut self, hash: BlobHash, id: ObjectId, version: Rev) {
        self.needs.push(hash);
        self.put(Family::Blobref, keys::blobref(&hash, id, version), Vec::new());
    }

    /// Takes [`Batch::hold_blob`] back.
    pub fn release_blob(&mut self, hash: BlobHash, id: ObjectId, version: Rev) {
        self.delete(Family::Blobref, keys::blobref(&hash, id, version));
    }

    /// Tells the feed.
    pub fn changed(&mut self, changed: Changed) {
        self.changes.push(changed);
    }

    /// Names the session that does this, so that it can tell its own changes in the feed.
    pub fn origin(&mut self, origin: u64) {
        self.origin = Some(origin);
    }

    /// Names the user on whose behalf.
    pub fn by(&mut self, user: UserId) {
        self.by = Some(user);
    }

    /// The time of the commit by the caller's clock; otherwise the system's.
    pub fn at(&mut self, time: Timestamp) {
        self.time = Some(time);
    }
}

/// Why a commit did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// Something it relied on was written since its snapshot: decide again on a new one.
    Conflict,
    /// It cannot be done.
    Fault(Fault),
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}
