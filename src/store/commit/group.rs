//! The commits that are written and synced together.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::message;

use super::queue::Answer;
use crate::store::batch::{Batch, CommitError, Mark};
use crate::store::children::Counts;
use crate::store::codec::{ChangeRow, Head, pack};
use crate::store::feed::CommitInfo;
use crate::store::keys;
use crate::store::kv::{Family, KvRead, Write, WriteSet};
use crate::store::window::Window;

pub(super) struct Group {
    pub(super) set: WriteSet,
    /// Where in `set` the last write of a header is, for `touch`.
    heads: HashMap<Vec<u8>, usize>,
    /// How many objects containers hold after the commits so far.
    counts: Counts,
    pub(super) infos: Vec<Arc<CommitInfo>>,
    pub(super) answers: Vec<(Answer<Rev>, Rev)>,
    pub(super) next: Rev,
    pub(super) synced: bool,
    pub(super) bytes: usize,
}

impl Group {
    /// An empty group whose first commit is revision `next`.
    pub(super) fn new(next: Rev) -> Self {
        Self {
            set: WriteSet::default(),
            heads: HashMap::new(),
            counts: Counts::default(),
            infos: Vec::new(),
            answers: Vec::new(),
            next,
            synced: false,
            bytes: 0,
        }
    }

    /// Checks one batch and adds it to the group; on error the group is as before.
    pub(super) fn admit(
        &mut self,
        window: &mut Window,
        read: &dyn KvRead,
        batch: Batch,
    ) -> Result<Rev, CommitError> {
        if window.conflicts(batch.base, &batch.reads) {
            return Err(CommitError::Conflict);
        }
        check_blobs(self, read, &batch)?;
        let rev = self.next;
        let row = ChangeRow {
            time: batch.time.unwrap_or_else(Timestamp::now),
            origin: batch.origin,
            by: batch.by,
            changes: batch.changes,
        };
        let change = pack(Family::Change, &keys::change(rev), &row)?;
        let mut touched = Vec::new();
        for (container, time) in batch.touches {
            let key = keys::object(container);
            touched.push((key, time, read.get(Family::Head, &key)?));
        }
        let counted = self.counts.after(read, &batch.writes)?;
        // From here on nothing fails.
        self.next = Rev(rev.0 + 1);
        self.bytes += batch.bytes;
        for mark in batch.locks {
            window.wrote(rev, mark);
        }
        for write in batch.writes {
            window.wrote(rev, Mark::key(write.family, &write.key));
            if write.family == Family::Dirent
                && let Some(parent) = write.key.get(..8)
            {
                window.wrote(rev, Mark::children(parent));
            }
            if write.family == Family::Head {
                self.heads.insert(write.key.clone(), self.set.writes.len());
            }
            match write.value {
                None => self.set.delete(write.family, write.key),
                Some(mut value) => {
                    if let Some(place) = write.stamp.and_then(|at| value.get_mut(at..at + 8)) {
                        place.copy_from_slice(&rev.0.to_be_bytes());
                    }
                    self.set.put(write.family, write.key, value);
                }
            }
        }
        for (key, time, stored) in touched {
            self.touch(&key, time, stored.as_deref());
        }
        self.counts.take(counted, &mut self.set);
        self.set.put(Family::Change, keys::change(rev), change);
        self.infos.push(Arc::new(CommitInfo::new(rev, row)));
        Ok(rev)
    }

    /// Moves the times of a container, in the group's own write of it or in the stored one.
    fn touch(&mut self, key: &[u8], time: Timestamp, stored: Option<&[u8]>) {
        if let Some(&at) = self.heads.get(key) {
            if let Some(Write::Put(_, _, value)) = self.set.writes.get_mut(at) {
                Head::touch(value, time);
            }
            return;
        }
        let Some(stored) = stored else { return };
        let mut value = stored.to_vec();
        Head::touch(&mut value, time);
        self.heads.insert(key.to_vec(), self.set.writes.len());
        self.set.put(Family::Head, key, value);
    }
}

/// A blob that is about to be held has to be stored, in this group or before it.
fn check_blobs(group: &Group, read: &dyn KvRead, batch: &Batch) -> Result<(), CommitError> {
    for hash in &batch.needs {
        let here = batch.writes.iter().any(|write| {
            write.family == Family::Blob && write.value.is_some() && write.key == hash.0
        });
        let in_group =
            || {
                group.set.writes.iter().any(
                    |write| matches!(write, Write::Put(Family::Blob, key, _) if *key == hash.0),
                )
            };
        if !here && read.get(Family::Blob, &hash.0)?.is_none() && !in_group() {
            let told = message!("store.blob_missing");
            let fault = Fault::new(Kind::NotFound, told).because(format!("blob {hash}"));
            return Err(CommitError::Fault(fault));
        }
    }
    Ok(())
}
