//! What the store asks of an ordered key-value engine.

use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

macro_rules! families {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// One ordered key space. The keys of each are described in [`crate::store::keys`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Family { $($(#[$doc])* $name,)* }

        impl Family {
            /// Every family, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on disk.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

families! {
    /// Parent and name to child.
    Dirent = "dirent";
    /// Object to its fixed-size header.
    Head = "head";
    /// Object to fields, texts and permissions.
    Body = "body";
    /// Hash to small content, or to the description of a blob file.
    Blob = "blob";
    /// Who holds a blob.
    Blobref = "blobref";
    /// Type, owner or field value to objects.
    Index = "index";
    /// Target to the objects that refer to it.
    Backref = "backref";
    /// Revision to what changed.
    Change = "change";
    /// Earlier bodies and entries.
    History = "history";
    /// Channel and sequence to message.
    Queue = "queue";
    /// Process to status record.
    Process = "process";
    /// Process to checkpoint.
    Frame = "frame";
    /// Process and sequence to a chunk of console.
    Console = "console";
    /// Process and sequence to a finished step.
    Journal = "journal";
    /// Time and owner to what is due.
    Timer = "timer";
    /// Sequence to what is still to be carried out.
    Effect = "effect";
    /// Sequence to an audit entry not yet in its file.
    Audit = "audit";
    /// Users, groups, tokens, logins.
    Auth = "auth";
    /// Kind and number to a schedule, incident or task.
    Special = "special";
    /// Format version, counters, check values.
    Meta = "meta";
}

impl Family {
    /// The place in [`Family::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Why a storage operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// `Full`, `Corrupt`, `Io`, `Unavailable`, …
    pub kind: Kind,
    /// For the log: what the engine said.
    pub what: String,
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Self { kind, what: what.to_string() }
    }

    /// Stored bytes that are not what was written.
    pub fn corrupt(what: impl fmt::Display) -> Self {
        Self::new(Kind::Corrupt, what)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.what)
    }
}

impl std::error::Error for StoreError {}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Kind::Full,
            _ => Kind::Io,
        };
        Self::new(kind, error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let told = match error.kind {
            Kind::Full => message!("store.full"),
            Kind::Corrupt => message!("store.corrupt"),
            Kind::TooLarge => message!("store.too_large"),
            Kind::NotFound => message!("store.blob_missing"),
            Kind::Unavailable => message!("store.unavailable"),
            Kind::Version => message!("store.version"),
            _ => message!("store.io"),
        };
        Self::new(error.kind, told).because(error.what)
    }
}

/// The order of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Reverse,
}

/// A range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// Every key that begins with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        let end = successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(prefix.to_vec()), end }
    }

    /// Every key that begins with `prefix` and stands after `prefix` + `last`.
    #[must_use]
    pub fn prefix_after(prefix: &[u8], last: &[u8]) -> Self {
        let mut start = prefix.to_vec();
        start.extend_from_slice(last);
        Self { start: Bound::Excluded(start), ..Self::prefix(prefix) }
    }

    /// From `start`, which is part of it, up to `end`, which is not.
    #[must_use]
    pub fn half_open(start: &[u8], end: &[u8]) -> Self {
        Self { start: Bound::Included(start.to_vec()), end: Bound::Excluded(end.to_vec()) }
    }

    /// Whether no key can be in it (an engine's range call may panic on such a range).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Included(a), Bound::Included(b)) => a > b,
            (Bound::Included(a) | Bound::Excluded(a), Bound::Excluded(b))
            | (Bound::Excluded(a), Bound::Included(b)) => a >= b,
            _ => false,
        }
    }
}

/// The least key greater than all keys with this prefix; `None` if there is none.
#[must_use]
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

/// Takes rows until it answers `Break`.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A state of the engine that does not change any more.
pub trait KvRead: Send + Sync {
    /// The value at `key`.
    ///
    /// # Errors
    /// The engine's failure.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The values at `keys`, in the order of `keys`.
    ///
    /// # Errors
    /// The engine's failure.
    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError>;

    /// Shows the rows of `range` in order.
    ///
    /// # Errors
    /// The engine's failure.
    fn scan(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// One change of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a value.
    Put(Family, Vec<u8>, Vec<u8>),
    /// Removes a key.
    Delete(Family, Vec<u8>),
    /// Removes the keys from the first, included, to the second, excluded.
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

/// Changes that are applied together or not at all, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// The changes.
    pub writes: Vec<Write>,
}

impl WriteSet {
    /// Adds a put.
    pub fn put(&mut self, family: Family, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push(Write::Put(family, key.into(), value.into()));
    }

    /// Adds a delete.
    pub fn delete(&mut self, family: Family, key: impl Into<Vec<u8>>) {
        self.writes.push(Write::Delete(family, key.into()));
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// An ordered, atomic, snapshot-reading engine: RocksDB and the memory twin.
pub trait Kv: Send + Sync {
    /// The present state.
    fn snapshot(&self) -> Arc<dyn KvRead>;

    /// Applies `set` as one. `durable`: safe from power loss when this returns.
    ///
    /// # Errors
    /// [`Kind::Full`], or the engine's failure; then nothing of `set` is visible.
    fn write(&self, set: &WriteSet, durable: bool) -> Result<(), StoreError>;

    /// Makes everything written durable against power loss.
    ///
    /// # Errors
    /// The engine's failure; the caller must not trust anything written since the last success.
    fn sync(&self) -> Result<(), StoreError>;

    /// Makes a copy of the present state in the new directory `dir`.
    ///
    /// # Errors
    /// The engine's failure.
    fn checkpoint(&self, dir: &Path) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xff\xff"), None);
        assert_eq!(successor(b""), None);
    }
}
