//! The format version of a store, and the steps from one to the next.
//!
//! Two marks: the file `format` in the data directory holds the newest version that may have
//! written here, and is read before anything is opened; the row `meta/format` holds the version
//! whose steps are finished. A step works in chunks; each chunk and the cursor behind it are one
//! synced write, so that a killed step goes on where it was.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::file::replace_file;
use super::keys::{META_FORMAT, META_MIGRATE};
use super::kv::{Family, Kv, KvRead, StoreError, WriteSet};
use crate::fail_point;

/// The version this binary writes.
pub const FORMAT: u32 = 2;

type RunStep = fn(&dyn KvRead, cursor: Option<&[u8]>) -> Result<Chunk, StoreError>;

/// From the version before to `to`.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// The version the store has afterwards.
    pub(super) to: u32,
    /// Names its cursor; never changed.
    pub(super) name: &'static str,
    /// Plans the next chunk after `cursor`.
    pub(super) run: RunStep,
}

/// A part of a step.
pub(super) struct Chunk {
    /// What it writes.
    pub(super) set: WriteSet,
    /// Where the next chunk goes on; `None` when the step is finished.
    pub(super) cursor: Option<Vec<u8>>,
}

/// The steps, ascending; the last leads to [`FORMAT`].
pub(super) const STEPS: &[Step] =
    &[Step { to: 2, name: "child-counts", run: super::children::count }];

const NAME: &str = "format";

/// Reads the file `format`; `None` if there is none.
///
/// # Errors
/// [`Kind::Version`] if it is newer than `known`; [`Kind::Corrupt`]; [`Kind::Io`].
pub(super) fn read_mark(dir: &Path, known: u32) -> Result<Option<u32>, Fault> {
    let text = match fs::read_to_string(dir.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::from(error).into()),
    };
    let Ok(found) = text.trim_end().parse::<u32>() else {
        return Err(StoreError::corrupt("the file `format` is not a number").into());
    };
    refuse_newer(found, known)?;
    Ok(Some(found))
}

fn refuse_newer(found: u32, known: u32) -> Result<(), Fault> {
    if found <= known {
        return Ok(());
    }
    Err(Fault::new(Kind::Version, message!("store.newer", found = found, known = known)))
}

/// Brings the store to the version of the last of `steps` (of a new one, at once).
///
/// # Errors
/// [`Kind::Version`], [`Kind::Corrupt`], or the engine's failure.
pub(super) fn run(
    dir: Option<&Path>,
    mark: Option<u32>,
    kv: &dyn Kv,
    steps: &[Step],
    target: u32,
) -> Result<(), Fault> {
    let present = match version(&*kv.snapshot())? {
        Some(present) => present,
        None if mark.is_some() => {
            return Err(StoreError::corrupt("the format row is gone").into());
        }
        None => {
            fail_point!("store.open.before_format");
            kv.write(&version_row(target), true)?;
            target
        }
    };
    refuse_newer(present, target)?;
    if let Some(dir) = dir
        && mark != Some(target)
    {
        // Before the first change: from here on an older binary refuses the store.
        replace_file(&dir.join(NAME), mark_text(target).as_bytes())?;
        fail_point!("store.open.after_format");
    }
    for step in steps.iter().filter(|step| step.to > present) {
        run_step(kv, step)?;
    }
    Ok(())
}

fn mark_text(version: u32) -> String {
    format!("{version}\n")
}

/// Writes the file `format` of a copy made by this binary: the last step, which makes it whole.
pub(super) fn write_mark(dir: &Path) -> Result<(), StoreError> {
    replace_file(&dir.join(NAME), mark_text(FORMAT).as_bytes())
}

fn run_step(kv: &dyn Kv, step: &Step) -> Result<(), StoreError> {
    tracing::info!(step = step.name, to = step.to, "the store is brought to a newer format");
    let key = [META_MIGRATE, step.name.as_bytes()].concat();
    loop {
        let read = kv.snapshot();
        let cursor = read.get(Family::Meta, &key)?;
        let Chunk { mut set, cursor } = (step.run)(&*read, cursor.as_deref())?;
        match cursor {
            Some(cursor) => {
                set.put(Family::Meta, key.as_slice(), cursor);
                fail_point!("store.migrate.before_chunk");
                kv.write(&set, true)?;
                fail_point!("store.migrate.after_chunk");
            }
            None => {
                set.delete(Family::Meta, key);
                set.writes.extend(version_row(step.to).writes);
                fail_point!("store.migrate.before_version");
                kv.write(&set, true)?;
                fail_point!("store.migrate.after_version");
                return Ok(());
            }
        }
    }
}

fn version_row(version: u32) -> WriteSet {
    let mut set = WriteSet::default();
    set.put(Family::Meta, META_FORMAT, version.to_be_bytes());
    set
}

/// The version whose steps are finished.
pub(super) fn version(read: &dyn KvRead) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = read.get(Family::Meta, META_FORMAT)? else { return Ok(None) };
    let number = bytes.as_ref().try_into().map(u32::from_be_bytes);
    number.map(Some).map_err(|_| StoreError::corrupt("format row"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    /// Rewrites the keys a, b, c of `auth` in upper case, one a chunk.
    const UPPER: Step = Step { to: 2, name: "upper", run: upper };

    fn upper(read: &dyn KvRead, cursor: Option<&[u8]>) -> Result<Chunk, StoreError> {
        let at = cursor.map_or(b'a', |cursor| cursor[0]);
        let mut set = WriteSet::default();
        if let Some(value) = read.get(Family::Auth, &[at])? {
            set.delete(Family::Auth, [at]);
            set.put(Family::Auth, [at.to_ascii_uppercase()], value);
        }
        Ok(Chunk { set, cursor: (at < b'c').then(|| vec![at + 1]) })
    }

    #[test]
    fn steps_run_once_and_a_broken_one_goes_on_where_it_was() {
        let kv = Memory::default();
        let mut old = version_row(1);
        for key in *b"abc" {
            old.put(Family::Auth, [key], b"v".as_slice());
        }
        kv.write(&old, true).unwrap();
        // As a kill after the first chunk leaves it.
        let Chunk { mut set, cursor } = upper(&*kv.snapshot(), None).unwrap();
        set.put(Family::Meta, b"migrate/upper".as_slice(), cursor.unwrap());
        kv.write(&set, true).unwrap();
        for _ in 0..2 {
            run(None, Some(1), &kv, &[UPPER], 2).unwrap();
            let read = kv.snapshot();
            assert_eq!(version(&*read).unwrap(), Some(2));
            assert_eq!(read.get(Family::Meta, b"migrate/upper").unwrap(), None);
            for key in *b"ABC" {
                assert!(read.get(Family::Auth, &[key]).unwrap().is_some());
                assert!(read.get(Family::Auth, &[key + 32]).unwrap().is_none());
            }
        }
    }

    // rule: operations/format
    #[test]
    fn a_newer_store_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_mark(dir.path(), 1).unwrap(), None);
        fs::write(dir.path().join(NAME), "2\n").unwrap();
        assert_eq!(read_mark(dir.path(), 1).unwrap_err().kind(), Kind::Version);
        assert_eq!(read_mark(dir.path(), 2).unwrap(), Some(2));
        fs::write(dir.path().join(NAME), "x").unwrap();
        assert_eq!(read_mark(dir.path(), 2).unwrap_err().kind(), Kind::Corrupt);
        let kv = Memory::default();
        kv.write(&version_row(3), true).unwrap();
        assert_eq!(run(None, None, &kv, &[], 2).unwrap_err().kind(), Kind::Version);
    }
}
