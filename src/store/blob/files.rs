//! Larger content: one file each, `blobs/ab/cdef…`, named by its hash and never changed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kompira_schema::error::Kind;
use kompira_schema::id::BlobHash;

use crate::base::durable::sync_dir;
use crate::store::kv::StoreError;
use crate::store::room::Room;
use crate::{fail_point, fail_point_io};

/// A file is verified in pieces of this size: what a kernel asks for at once.
pub(super) const PIECE: usize = 128 << 10;

/// Where files are written before they have their name.
const NURSERY: &str = "new";

/// The blob files of a data directory.
#[derive(Debug)]
pub(in crate::store) struct BlobFiles {
    root: PathBuf,
    room: Arc<Room>,
    next: AtomicU64,
    /// Held while a file gets its name and row, or loses them; a checkpoint holds it too.
    names: Mutex<()>,
}

/// A file that is written and synced but has no name yet.
pub(super) struct Unnamed {
    path: PathBuf,
    pub(super) hash: BlobHash,
    pub(super) size: u64,
    pub(super) pieces: Vec<u8>,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // After naming there is nothing here any more.
        let _ = fs::remove_file(&self.path);
    }
}

impl BlobFiles {
    /// Uses `root`, makes it if need be, and clears what a killed server left half written.
    pub(in crate::store) fn open(root: PathBuf, room: Arc<Room>) -> Result<Self, StoreError> {
        let nursery = root.join(NURSERY);
        fs::create_dir_all(&nursery)?;
        for entry in fs::read_dir(&nursery)? {
            fs::remove_file(entry?.path())?;
        }
        sync_dir(&root)?;
        Ok(Self { root, room, next: AtomicU64::new(0), names: Mutex::new(()) })
    }

    pub(in crate::store) fn names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        let hex = hash.to_string();
        let (folder, name) = hex.split_at(2);
        self.root.join(folder).join(name)
    }

    /// Writes `start` and then what `rest` yields, and syncs it.
    pub(super) fn write(
        &self,
        start: &[u8],
        rest: &mut dyn Read,
        limit: u64,
    ) -> Result<Unnamed, StoreError> {
        fail_point_io!("store.blob.before_write")?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(NURSERY).join(number.to_string());
        let mut file = File::create_new(&path)?;
        let mut unnamed = Unnamed { path, hash: BlobHash([0; 32]), size: 0, pieces: Vec::new() };
        let mut all = blake3::Hasher::new();
        let mut content = start.chain(rest);
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            (&mut content).take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            unnamed.size += piece.len() as u64;
            if unnamed.size > limit {
                return Err(StoreError::new(Kind::TooLarge, format!("over {limit} bytes")));
            }
            self.room.check(piece.len() as u64)?;
            file.write_all(&piece)?;
            all.update(&piece);
            unnamed.pieces.extend_from_slice(blake3::hash(&piece).as_bytes());
        }
        fail_point_io!("store.blob.before_sync")?;
        file.sync_all()?;
        fail_point!("store.blob.after_sync");
        unnamed.hash = BlobHash(*all.finalize().as_bytes());
        Ok(unnamed)
    }

    /// Gives a written file its name. The caller holds [`BlobFiles::names`].
    pub(super) fn name(&self, unnamed: &Unnamed) -> Result<(), StoreError> {
        let path = self.path(&unnamed.hash);
        let folder = path.parent().unwrap_or(&self.root);
        fail_point_io!("store.blob.before_link")?;
        if !folder.exists() {
            fs::create_dir_all(folder)?;
            sync_dir(&self.root)?;
        }
        // An old file of this name is replaced: it may be damaged, this one is not.
        fs::rename(&unnamed.path, &path)?;
        sync_dir(folder)?;
        fail_point!("store.blob.after_link");
        Ok(())
    }

    /// Fills `piece` with the piece that begins at `offset`; short at the end of the file.
    pub(super) fn read_piece(
        &self,
        hash: &BlobHash,
        offset: u64,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let file = File::open(self.path(hash)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::corrupt(format!("the file of blob {hash} is gone")),
            _ => StoreError::from(error),
        })?;
        piece.resize(PIECE, 0);
        let mut filled = 0;
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        piece.truncate(filled);
        Ok(())
    }

    /// The size of a file; `None` if it is not there.
    pub(in crate::store) fn size(&self, hash: &BlobHash) -> Result<Option<u64>, StoreError> {
        match fs::metadata(self.path(hash)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file. The caller holds [`BlobFiles::names`].
    pub(super) fn remove(&self, hash: &BlobHash) -> Result<(), StoreError> {
        fail_point_io!("store.blob.before_unlink")?;
        match fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Every named file with its age, and files whose names are no hash.
    pub(in crate::store) fn list(
        &self,
        visit: &mut dyn FnMut(Listed<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if folder.file_name() == NURSERY || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                let hex = [folder.file_name(), file.file_name()]
                    .map(|name| name.to_string_lossy().into_owned())
                    .concat();
                match BlobHash::from_hex(&hex) {
                    Some(hash) => {
                        let since = file.metadata()?.modified()?;
                        // The file system's clock wrote it: no other one may judge it.
                        let age = since.elapsed().unwrap_or_default();
                        visit(Listed::Blob(hash, age))?;
                    }
                    None => visit(Listed::Stranger(&file.path()))?,
                }
            }
        }
        Ok(())
    }

    /// Links every named file into the new directory `to`. The caller holds [`BlobFiles::names`].
    pub(in crate::store) fn link_all(&self, to: &Path) -> Result<(), StoreError> {
        fs::create_dir(to)?;
        let mut folders = std::collections::BTreeSet::new();
        self.list(&mut |listed| {
            if let Listed::Blob(hash, _) = listed {
                let from = self.path(&hash);
                let path = to.join(from.strip_prefix(&self.root).unwrap_or(&from));
                if let Some(folder) = path.parent()
                    && folders.insert(folder.to_owned())
                {
                    fs::create_dir_all(folder)?;
                }
                fs::hard_link(from, path)?;
            }
            Ok(())
        })?;
        for folder in folders.iter().map(PathBuf::as_path).chain([to]) {
            sync_dir(folder)?;
        }
        Ok(())
    }
}

/// What lies among the blob files.
pub(in crate::store) enum Listed<'a> {
    /// A blob, and how long ago it was written.
    Blob(BlobHash, std::time::Duration),
    /// Something that is not ours.
    Stranger(&'a Path),
}
