//! Earlier bodies and entries: together, the whole tree at a revision.
//!
//! A row is kept when the present one is replaced. Its key ends with the revision that wrote it
//! (`from`), its value begins with the one that replaced it (`until`, stamped by the committer):
//! it was the truth for `from <= revision < until`.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::codec::{Body, Dirent, Head, blobs_of, pack, unpack};
use super::keys::{self, HistoryKey};
use super::kv::{Direction, Family, KeyRange, KvRead, StoreError};
use super::snapshot::Snapshot;

/// `meta`: revisions before this one are no longer whole.
pub(super) const META_HORIZON: &[u8] = b"history/from";

const UNTIL: usize = 8;

#[derive(Serialize, Deserialize)]
struct Earlier {
    #[serde(with = "serde_bytes")]
    head: Vec<u8>,
    body: Body,
}

/// An object as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Its header then.
    pub head: Head,
    /// Its body then.
    pub body: Body,
    /// The commit that made it so.
    pub from: Rev,
    /// The commit that changed it; `None` if it still is so.
    pub until: Option<Rev>,
}

impl Batch {
    /// Keeps the body that this commit replaces or deletes, with the blobs it holds.
    ///
    /// # Errors
    /// `Internal` when it cannot be encoded.
    pub fn keep_body(&mut self, id: ObjectId, head: &Head, body: &Body) -> Result<(), Fault> {
        let key = keys::history_body(id, head.rev);
        let row = Earlier { head: head.encode(), body: body.clone() };
        let mut value = vec![0; UNTIL];
        value.extend_from_slice(&pack(Family::History, &key, &row)?);
        self.put_stamped(Family::History, key, value, 0);
        for hash in blobs_of(body.fields.iter().map(|(_, value)| value)) {
            self.hold_blob(hash, id, head.rev);
        }
        Ok(())
    }

    /// Keeps the entry that this commit replaces or deletes.
    pub fn keep_entry(&mut self, parent: ObjectId, name: &str, entry: &Dirent) {
        let mut value = vec![0; UNTIL];
        value.extend_from_slice(&entry.encode());
        let key = keys::history_entry(parent, name, entry.since);
        self.put_stamped(Family::History, key, value, 0);
    }
}

pub(super) fn split_until(value: &[u8]) -> Result<(Rev, &[u8]), StoreError> {
    let (until, row) =
        keys::split_u64(value).ok_or_else(|| StoreError::corrupt("a torn row of history"))?;
    Ok((Rev(until), row))
}

pub(super) fn read_body(key: &[u8], value: &[u8]) -> Result<Version, StoreError> {
    let Some(HistoryKey::Body(_, from)) = keys::read_history(key) else {
        return Err(StoreError::corrupt("history key"));
    };
    let (until, row) = split_until(value)?;
    let Earlier { head, body } = unpack(Family::History, key, row)?;
    Ok(Version { head: Head::decode(&head)?, body, from, until: Some(until) })
}

#[allow(clippy::missing_errors_doc)] // `Corrupt` or `Io`
impl Snapshot {
    /// The first revision that is still whole in the history.
    pub fn history_from(&self) -> Result<Rev, Fault> {
        Ok(horizon(self.kv())?)
    }

    /// The object as it was at `rev`; `None` if it did not exist.
    pub fn body_at(&self, id: ObjectId, rev: Rev) -> Result<Option<Version>, Fault> {
        if let Some(version) = self.live(id)?.filter(|version| version.from <= rev) {
            return Ok(Some(version));
        }
        let prefix = keys::history_body_prefix(id);
        let range = KeyRange {
            start: Bound::Included(prefix),
            end: Bound::Included(keys::history_body(id, rev)),
        };
        let mut found = None;
        self.try_scan::<Fault>(Family::History, &range, Direction::Reverse, |key, value| {
            let version = read_body(key, value)?;
            if version.until.is_some_and(|until| until > rev) {
                found = Some(version);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// All kept versions of an object, the present one last, at most `limit` of the newest.
    pub fn versions(&self, id: ObjectId, limit: usize) -> Result<Vec<Version>, Fault> {
        let mut found: Vec<Version> = self.live(id)?.into_iter().collect();
        let range = KeyRange::prefix(&keys::history_body_prefix(id));
        self.try_scan::<Fault>(Family::History, &range, Direction::Reverse, |key, value| {
            if found.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            found.push(read_body(key, value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        found.truncate(limit);
        found.reverse();
        Ok(found)
    }

    fn live(&self, id: ObjectId) -> Result<Option<Version>, Fault> {
        let (Some(head), Some(body)) = (self.head(id)?, self.body(id)?) else { return Ok(None) };
        Ok(Some(Version { from: head.rev, head, body, until: None }))
    }

    /// What `name` meant in `parent` at `rev`.
    pub fn entry_at(
        &self,
        parent: ObjectId,
        name: &str,
        rev: Rev,
    ) -> Result<Option<Dirent>, Fault> {
        if let Some(entry) = self.dirent(parent, name)?.filter(|entry| entry.since <= rev) {
            return Ok(Some(entry));
        }
        let range = KeyRange {
            start: Bound::Included(keys::history_entry(parent, name, Rev(0))),
            end: Bound::Included(keys::history_entry(parent, name, rev)),
        };
        let mut found = None;
        self.try_scan::<Fault>(Family::History, &range, Direction::Reverse, |_, value| {
            let (until, row) = split_until(value)?;
            if until > rev {
                found = Some(Dirent::decode(row)?);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// The entries of `parent` at `rev` after the name `after`, by name, at most `limit`.
    pub fn entries_at(
        &self,
        parent: ObjectId,
        rev: Rev,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Dirent)>, Fault> {
        let mut found = BTreeMap::new();
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.live_entries(parent, rev, after, limit, &mut found)?;
        self.earlier_entries(parent, rev, after, limit, &mut found)?;
        Ok(found.into_iter().take(limit).collect())
    }

    fn live_entries(
        &self,
        parent: ObjectId,
        rev: Rev,
        after: Option<&str>,
        limit: usize,
        found: &mut BTreeMap<String, Dirent>,
    ) -> Result<(), Fault> {
        let prefix = keys::object(parent);
        let range = match after {
            None => KeyRange::prefix(&prefix),
            Some(name) => KeyRange::prefix_after(&prefix, name.as_bytes()),
        };
        self.try_scan::<Fault>(Family::Dirent, &range, Direction::Forward, |key, value| {
            let entry = Dirent::decode(value)?;
            let (_, name) =
                keys::read_dirent(key).ok_or_else(|| StoreError::corrupt("dirent key"))?;
            if entry.since <= rev {
                found.insert(name.to_owned(), entry);
            }
            Ok(go_on(found.len() < limit))
        })
    }

    fn earlier_entries(
        &self,
        parent: ObjectId,
        rev: Rev,
        after: Option<&str>,
        limit: usize,
        found: &mut BTreeMap<String, Dirent>,
    ) -> Result<(), Fault> {
        let prefix = keys::history_entry_prefix(parent);
        let range = match after {
            None => KeyRange::prefix(&prefix),
            Some(name) => KeyRange {
                start: Bound::Excluded(keys::history_entry(parent, name, Rev(u64::MAX))),
                ..KeyRange::prefix(&prefix)
            },
        };
        let mut count = 0;
        self.try_scan::<Fault>(Family::History, &range, Direction::Forward, |key, value| {
            let Some(HistoryKey::Entry(_, name, from)) = keys::read_history(key) else {
                return Err(StoreError::corrupt("history key").into());
            };
            let (until, row) = split_until(value)?;
            if from <= rev && rev < until {
                found.insert(name.to_owned(), Dirent::decode(row)?);
                count += 1;
            }
            Ok(go_on(count < limit))
        })
    }
}

fn go_on(more: bool) -> ControlFlow<()> {
    if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

pub(super) fn horizon(read: &dyn KvRead) -> Result<Rev, StoreError> {
    let Some(bytes) = read.get(Family::Meta, META_HORIZON)? else { return Ok(Rev(0)) };
    let number = bytes.as_ref().try_into().map(u64::from_be_bytes);
    number.map(Rev).map_err(|_| StoreError::corrupt("history horizon"))
}
