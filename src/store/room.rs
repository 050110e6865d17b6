//! Keeps some space free: a write is refused before the disk is full, so that what was accepted
//! can still be written out and writing resumes by itself when there is room.

use std::path::{Path, PathBuf};
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
    known: Mutex<Option<Known>>,
}

impl Room {
    pub(super) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve, known: Mutex::new(None) }
    }

    /// Whether `bytes` may be written.
    pub(super) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut()
            && known.asked.elapsed() < ASK_AFTER
            && let Some(left) = known.left.checked_sub(bytes)
        {
            known.left = left;
            return Ok(());
        }
        let space = nix::sys::statvfs::statvfs(&self.dir)
            .map_err(|errno| StoreError::from(std::io::Error::from(errno)))?;
        let unit = space.fragment_size();
        let (total, free) = (space.blocks() * unit, space.blocks_available() * unit);
        let reserve = self.reserve.min(total / SMALL_PART);
        let Some(left) = free.checked_sub(reserve).and_then(|room| room.checked_sub(bytes)) else {
            *known = None;
            let what = format!("{free} bytes free, {reserve} are kept in reserve");
            return Err(StoreError::new(Kind::Full, what));
        };
        *known = Some(Known { asked: Instant::now(), left: left.min(ASK_AFTER_BYTES) });
        Ok(())
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
}
