//! Housekeeping: what was kept long enough goes.

use std::ops::ControlFlow;

use jiff::Timestamp;
use kompira_schema::error::Fault;
use kompira_schema::id::Rev;

use super::codec::{ChangeRow, blobs_of, unpack};
use super::commit::Durability;
use super::history::{self, META_HORIZON, read_body, split_until};
use super::keys::{self, HistoryKey};
use super::kv::{Direction, Family, KeyRange, StoreError, Write, WriteSet};
use super::options::Options;
use super::snapshot::Snapshot;
use super::store::Store;
use crate::fail_point;

/// Rows of history examined at once, between which writers get their turn.
const CHUNK: usize = 1000;

/// What housekeeping removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Earlier bodies and entries.
    pub history: u64,
    /// Rows of the change feed.
    pub changes: u64,
    /// Blobs that nobody held.
    pub blobs: u64,
}

impl Store {
    /// Removes history, changes and blobs that were kept as long as `options` say at `now`. Meant
    /// to be called every few minutes; safe at any time and from any thread.
    ///
    /// # Errors
    /// `Corrupt`; `Io`; `Unavailable`.
    pub fn maintain(&self, options: &Options, now: Timestamp) -> Result<Maintained, Fault> {
        let cutoff = |keep| now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        let snapshot = self.snapshot();
        let history_to = rev_at(&snapshot, cutoff(options.history_keep))?;
        // The feed tells when a version was made, and by whom: it stays as long as they do.
        let changes_to = rev_at(&snapshot, cutoff(options.change_keep))?.min(history_to);
        Ok(Maintained {
            history: self.purge_history(history_to)?,
            changes: self.purge_changes(changes_to)?,
            blobs: self.blobs().sweep(options.blob_grace)?,
        })
    }

    /// Removes what only revisions before `to` need.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub fn purge_history(&self, to: Rev) -> Result<u64, Fault> {
        if to <= self.snapshot().history_from()? {
            return Ok(0);
        }
        // First the mark: from here on nobody asks for what is about to go.
        self.apply(Durability::Lazy, move |read| {
            let mut set = WriteSet::default();
            if history::horizon(read)? < to {
                set.put(Family::Meta, META_HORIZON, to.0.to_be_bytes());
            }
            Ok(set)
        })?;
        let mut removed = 0;
        let mut after = Vec::new();
        loop {
            let (set, rows, last) = plan_history(&self.snapshot(), to, &after)?;
            if !set.is_empty() {
                fail_point!("store.purge.before_delete");
                self.apply(Durability::Lazy, move |_| Ok(set))?;
                fail_point!("store.purge.after_delete");
            }
            removed += rows;
            match last {
                Some(last) => after = last,
                None => return Ok(removed),
            }
        }
    }

    /// Removes the rows of the change feed before `to`; the newest always stays.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub fn purge_changes(&self, to: Rev) -> Result<u64, Fault> {
        let snapshot = self.snapshot();
        let to = to.min(snapshot.rev());
        let Some(first) = first_change(&snapshot)?.filter(|first| *first < to) else {
            return Ok(0);
        };
        let (start, end) = (keys::change(first).to_vec(), keys::change(to).to_vec());
        self.apply(Durability::Lazy, move |_| {
            Ok(WriteSet { writes: vec![Write::DeleteRange(Family::Change, start, end)] })
        })?;
        Ok(to.0 - first.0)
    }
}

type Plan = (WriteSet, u64, Option<Vec<u8>>);

fn plan_history(snapshot: &Snapshot, to: Rev, after: &[u8]) -> Result<Plan, Fault> {
    let range = KeyRange { start: std::ops::Bound::Excluded(after.to_vec()), ..KeyRange::all() };
    let (mut set, mut rows, mut seen, mut last) = (WriteSet::default(), 0, 0, None);
    snapshot.try_scan::<Fault>(Family::History, &range, Direction::Forward, |key, value| {
        if split_until(value)?.0 <= to {
            if let Some(HistoryKey::Body(id, from)) = keys::read_history(key) {
                let body = read_body(key, value)?.body;
                for hash in blobs_of(body.fields.iter().map(|(_, value)| value)) {
                    set.delete(Family::Blobref, keys::blobref(&hash, id, from));
                }
            }
            set.delete(Family::History, key);
            rows += 1;
        }
        seen += 1;
        last = (seen == CHUNK).then(|| key.to_vec());
        Ok(if seen < CHUNK { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok((set, rows, last))
}

/// The first row of the feed.
fn first_change(snapshot: &Snapshot) -> Result<Option<Rev>, Fault> {
    let mut first = None;
    let all = KeyRange::all();
    snapshot.try_scan::<Fault>(Family::Change, &all, Direction::Forward, |key, _| {
        let (rev, _) = keys::split_u64(key).ok_or_else(|| StoreError::corrupt("change key"))?;
        first = Some(Rev(rev));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// The first revision that is not older than `time`; the newest if all are older, 0 if none that
/// is known is.
fn rev_at(snapshot: &Snapshot, time: Timestamp) -> Result<Rev, Fault> {
    let Some(first) = first_change(snapshot)? else { return Ok(snapshot.rev()) };
    let (mut low, mut high) = (first.0, snapshot.rev().0);
    while low < high {
        let middle = low + (high - low) / 2;
        let key = keys::change(Rev(middle));
        let older = match snapshot.get(Family::Change, &key)? {
            Some(bytes) => unpack::<ChangeRow>(Family::Change, &key, &bytes)?.time < time,
            None => return Err(StoreError::corrupt(format!("change {middle} is missing")).into()),
        };
        if older { low = middle + 1 } else { high = middle }
    }
    // Of revisions before the first that is kept nobody knows how old they are.
    Ok(if low == first.0 { Rev(0) } else { Rev(low) })
}
