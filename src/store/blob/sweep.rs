//! Removes blobs that nobody has held for longer than the grace period.

use std::ops::ControlFlow;
use std::time::Duration;

use kompira_schema::error::Fault;
use kompira_schema::id::BlobHash;

use super::files::{BlobFiles, Listed};
use super::{BlobRow, Blobs, now};
use crate::store::codec::unpack;
use crate::store::commit::Durability;
use crate::store::keys;
use crate::store::kv::{Direction, Family, KeyRange, KvRead, StoreError, WriteSet};

/// Rows examined at once, between which writers get their turn.
const CHUNK: usize = 256;

impl Blobs {
    /// Removes what nobody holds and was stored more than `grace` ago; answers how many.
    ///
    /// # Errors
    /// `Corrupt`; `Io`; `Unavailable`.
    pub fn sweep(&self, grace: Duration) -> Result<u64, Fault> {
        let before = now().saturating_sub(i64::try_from(grace.as_secs()).unwrap_or(i64::MAX));
        let mut removed = 0;
        let mut after: Option<BlobHash> = None;
        loop {
            let (unheld, last) = self.unheld(before, after)?;
            removed += self.remove(unheld, before)?;
            after = last;
            if after.is_none() {
                break;
            }
        }
        if let Some(files) = self.0.blob_files() {
            removed += self.remove_nameless(files, grace)?;
        }
        Ok(removed)
    }

    /// The next old blobs without holder, and where to go on.
    fn unheld(
        &self,
        before: i64,
        after: Option<BlobHash>,
    ) -> Result<(Vec<BlobHash>, Option<BlobHash>), Fault> {
        let snapshot = self.0.snapshot();
        let range = match after {
            None => KeyRange::all(),
            Some(hash) => KeyRange::prefix_after(b"", &hash.0),
        };
        let (mut unheld, mut last, mut seen) = (Vec::new(), None, 0);
        snapshot.try_scan::<Fault>(Family::Blob, &range, Direction::Forward, |key, value| {
            let hash = read_hash(key)?;
            let row: BlobRow = unpack(Family::Blob, key, value)?;
            if row.time() < before && !held(snapshot.kv(), &hash)? {
                unheld.push(hash);
            }
            seen += 1;
            last = (seen == CHUNK).then_some(hash);
            Ok(if seen < CHUNK { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok((unheld, last))
    }

    /// Removes those of `unheld` that are still so: rows durably first, then files.
    fn remove(&self, unheld: Vec<BlobHash>, before: i64) -> Result<u64, Fault> {
        if unheld.is_empty() {
            return Ok(0);
        }
        let files = self.0.blob_files();
        let _names = files.map(BlobFiles::names);
        let (removed_is, removed) = crossbeam_channel::bounded(1);
        self.0.apply(Durability::Synced, move |read| {
            let mut set = WriteSet::default();
            let mut gone = Vec::new();
            for hash in unheld {
                match BlobRow::load(read, &hash)? {
                    Some(row) if row.time() < before && !held(read, &hash)? => {
                        set.delete(Family::Blob, hash.0);
                        gone.push((hash, matches!(row, BlobRow::File { .. })));
                    }
                    _ => {}
                }
            }
            let _ = removed_is.send(gone);
            Ok(set)
        })?;
        let gone = removed.recv().map_err(Fault::internal)?;
        for (hash, _) in gone.iter().filter(|(_, is_file)| *is_file) {
            if let Some(files) = files {
                files.remove(hash)?;
            }
        }
        Ok(gone.len() as u64)
    }

    /// Removes files without a row: what a kill between naming and row left.
    fn remove_nameless(&self, files: &BlobFiles, grace: Duration) -> Result<u64, Fault> {
        let mut old = Vec::new();
        files.list(&mut |listed| {
            if let Listed::Blob(hash, age) = listed
                && age > grace
            {
                old.push(hash);
            }
            Ok(())
        })?;
        let mut removed = 0;
        for hash in old {
            let _names = files.names();
            if BlobRow::load(self.0.snapshot().kv(), &hash)?.is_none() {
                files.remove(&hash)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

pub(in crate::store) fn read_hash(key: &[u8]) -> Result<BlobHash, StoreError> {
    let hash = key.try_into().map(BlobHash);
    hash.map_err(|_| StoreError::corrupt(format!("blob key {}", key.escape_ascii())))
}

fn held(read: &dyn KvRead, hash: &BlobHash) -> Result<bool, StoreError> {
    let mut held = false;
    let range = KeyRange::prefix(&hash.0);
    read.scan(Family::Blobref, &range, Direction::Forward, &mut |key, _| {
        held = keys::read_blobref(key).is_some();
        if held { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(held)
}
