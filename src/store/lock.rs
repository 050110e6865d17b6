//! The lock on the data directory: one server at a time, and a second one is told which.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::kv::StoreError;

const NAME: &str = "lock";
/// Most bytes read of the holder's note.
const NOTE_MAX: u64 = 4096;

/// The data directory is ours until this is dropped or the process ends.
#[derive(Debug)]
pub(super) struct DataLock {
    _held: Flock<File>,
}

impl DataLock {
    /// Takes the lock of `dir` for `command`.
    ///
    /// # Errors
    /// [`Kind::Locked`] with the holder's process id and command; [`Kind::Io`].
    pub(super) fn take(dir: &Path, command: &str) -> Result<Self, Fault> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(NAME))
            .map_err(StoreError::from)?;
        let mut held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((file, Errno::EWOULDBLOCK)) => return Err(held_by(file)),
            Err((_, errno)) => return Err(StoreError::new(Kind::Io, errno).into()),
        };
        let note = format!("{} {}\n", std::process::id(), command.replace('\n', " "));
        held.set_len(0)
            .and_then(|()| held.seek(SeekFrom::Start(0)))
            .and_then(|_| held.write_all(note.as_bytes()))
            .map_err(StoreError::from)?;
        Ok(Self { _held: held })
    }
}

fn held_by(file: File) -> Fault {
    let mut note = String::new();
    let _ = file.take(NOTE_MAX).read_to_string(&mut note);
    let (pid, command) = note.trim_end().split_once(' ').unwrap_or(("?", "?"));
    Fault::new(Kind::Locked, message!("store.locked", pid = pid, command = command))
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/lock
    #[test]
    fn a_second_holder_is_told_who_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataLock::take(dir.path(), "kompira serve --data x").unwrap();
        let fault = DataLock::take(dir.path(), "kompira fsck").unwrap_err();
        assert_eq!(fault.kind(), Kind::Locked);
        assert_eq!(
            fault.told().args,
            [
                ("pid", std::process::id().to_string()),
                ("command", "kompira serve --data x".to_owned())
            ]
        );
        drop(first);
        DataLock::take(dir.path(), "short").unwrap();
        let note = std::fs::read_to_string(dir.path().join(NAME)).unwrap();
        assert_eq!(note, format!("{} short\n", std::process::id()));
    }
}
