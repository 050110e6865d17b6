//! Keeps some space free: a write is refused before the disk is full, so that what was accepted
//! can still be written out and writing resumes by itself when there is room. What lies in memory
//! and the log alone will be written once more, so it counts as taken: a table that finds no room
//! stops the database until its own watcher, which looks every few seconds, lets it go on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use kompira_schema::error::Kind;

use super::kv::StoreError;

/// The file system is asked again after this time or so many bytes written.
const ASK_AFTER: Duration = Duration::from_millis(200);
const ASK_AFTER_BYTES: u64 = 4 << 20;
/// On a small file system the reserve is this part of it.
const SMALL_PART: u64 = 8;

#[derive(Debug)]
struct Known {
    asked: Instant,
    /// Bytes that may be written until it is asked again.
    left: u64,
}

#[derive(Debug)]
pub(super) struct Room {
    dir: PathBuf,
    reserve: u64,
    /// Bytes of the database's tables that lie in memory and the log alone, when last asked.
    buffered: AtomicU64,
    known: Mutex<Option<Known>>,
}

impl Room {
    pub(super) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve, buffered: AtomicU64::new(0), known: Mutex::new(None) }
    }

    /// Whether `bytes` may be written beside the database, of which nothing new is known.
    pub(super) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        self.check_beside(bytes, || self.buffered.load(Ordering::Relaxed))
    }

    /// Whether `bytes` may be written by the database, which has so many bytes `buffered`: asked
    /// only when the file system is.
    pub(super) fn check_beside(
        &self,
        bytes: u64,
        buffered: impl FnOnce() -> u64,
    ) -> Result<(), StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut()
            && known.asked.elapsed() < ASK_AFTER
            && let Some(left) = known.left.checked_sub(bytes)
        {
            known.left = left;
            return Ok(());
        }
        let (total, free) = self.space()?;
        let buffered = buffered();
        self.buffered.store(buffered, Ordering::Relaxed);
        let reserve = self.reserve.min(total / SMALL_PART).saturating_add(buffered);
        let Some(left) = free.checked_sub(reserve).and_then(|room| room.checked_sub(bytes)) else {
            *known = None;
            let what = format!("{free} bytes free, {reserve} are kept in reserve");
            return Err(StoreError::new(Kind::Full, what));
        };
        *known = Some(Known { asked: Instant::now(), left: left.min(ASK_AFTER_BYTES) });
        Ok(())
    }

    /// Whether the file system has so many bytes free, the reserve among them.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.space().is_ok_and(|(_, free)| free >= bytes)
    }

    /// All bytes of the file system, and those that are free.
    fn space(&self) -> Result<(u64, u64), StoreError> {
        let space = nix::sys::statvfs::statvfs(&self.dir)
            .map_err(|errno| StoreError::from(std::io::Error::from(errno)))?;
        let unit = space.fragment_size();
        Ok((space.blocks() * unit, space.blocks_available() * unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/disk-full
    #[test]
    fn more_than_there_is_is_refused_and_less_is_not() {
        let room = Room::new(Path::new("/"), 0);
        room.check(1).unwrap();
        assert_eq!(room.check(u64::MAX / 2).unwrap_err().kind, Kind::Full);
        room.check(1).unwrap();
    }

    // rule: operations/disk-full
    #[test]
    fn what_lies_in_memory_alone_counts_as_taken() {
        let room = Room::new(Path::new("/"), 0);
        assert_eq!(room.check_beside(1, || u64::MAX / 2).unwrap_err().kind, Kind::Full);
        assert_eq!(room.check(1).unwrap_err().kind, Kind::Full, "the last answer still counts");
        room.check_beside(1, || 0).unwrap();
        room.check(1).unwrap();
    }
}
