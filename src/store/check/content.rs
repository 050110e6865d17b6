//! Every body can be read and every blob is what its name says.

use std::io::Read;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::message;

use super::{Check, Depth};
use crate::store::blob::files::Listed;
use crate::store::blob::{BlobRow, read_hash};
use crate::store::codec::{Body, unpack};
use crate::store::keys;
use crate::store::kv::{Family, KeyRange};

/// Bytes of a blob read at once.
const BUFFER: usize = 256 << 10;

impl Check<'_> {
    pub(super) fn content(&mut self) -> Result<(), Fault> {
        self.each(Family::Body, &KeyRange::all(), |check, key, value| check.body(key, value))?;
        self.each(Family::Blob, &KeyRange::all(), |check, key, value| check.blob(key, value))?;
        self.strangers()
    }

    fn body(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some((id, [])) = keys::split_u64(key) else {
            self.find(message!("check.bad_key", family = "body", key = key.escape_ascii()));
            return Ok(());
        };
        let id = ObjectId(id);
        if self.snapshot.get(Family::Head, key)?.is_none() {
            self.find(message!("check.body_without_node", id = id));
        }
        match unpack::<Body>(Family::Body, key, value) {
            Ok(body) => self.body_derives(id, &body),
            Err(error) => {
                self.unreadable(Family::Body, key, &error);
                Ok(())
            }
        }
    }

    fn blob(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.report.blobs += 1;
        let row = read_hash(key)
            .and_then(|hash| Ok((hash, unpack::<BlobRow>(Family::Blob, key, value)?)));
        let (hash, row) = match row {
            Ok(found) => found,
            Err(error) => {
                self.unreadable(Family::Blob, key, &error);
                return Ok(());
            }
        };
        let sound = match &row {
            BlobRow::Inline { data, .. } => BlobHash::of(data) == hash,
            BlobRow::File { size, .. } => self.file_is_sound(&hash, *size)?,
        };
        if !sound {
            self.find(message!("check.blob_damaged", hash = hash));
        }
        Ok(())
    }

    fn file_is_sound(&self, hash: &BlobHash, size: u64) -> Result<bool, Fault> {
        let Some(files) = self.store.blob_files() else { return Ok(false) };
        if files.size(hash)? != Some(size) {
            return Ok(false);
        }
        if self.depth == Depth::Rows {
            return Ok(true);
        }
        let mut reader = match self.store.blobs().open_reader(hash) {
            Ok(reader) => reader,
            // Swept since the snapshot.
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(true),
            Err(fault) => return Err(fault),
        };
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finalize().as_bytes() == &hash.0),
                Ok(count) => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                }
                Err(_) => return Ok(false),
            }
        }
    }

    fn strangers(&mut self) -> Result<(), Fault> {
        let Some(files) = self.store.blob_files() else { return Ok(()) };
        let mut found = Vec::new();
        files.list(&mut |listed| {
            if let Listed::Stranger(path) = listed {
                found.push(path.display().to_string());
            }
            Ok(())
        })?;
        for path in found {
            self.find(message!("check.stranger", path = path));
        }
        Ok(())
    }
}
