//! Content named by its BLAKE3 hash: small inside the store, larger as plain files.
//!
//! A blob is stored before anybody holds it and stays for a grace period; a commit that holds it
//! (`Batch::hold_blob`) keeps it. Every byte that is read was compared with a hash.

pub(super) mod files;
mod reader;
mod sweep;

use std::io::Read;

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::BlobHash;
use kompira_schema::message;
use serde::{Deserialize, Serialize};

use super::codec::{pack, unpack};
use super::commit::Durability;
use super::kv::{Family, KvRead, StoreError, WriteSet};
use super::store::Store;
use files::{BlobFiles, PIECE};
pub use reader::BlobReader;
pub(super) use sweep::read_hash;

/// Largest content that is kept inside the store: the size up to which a file of its own would
/// cost more than the bytes.
pub const INLINE_MAX: usize = 64 << 10;

/// The row of the family `blob`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum BlobRow {
    /// The content itself.
    Inline {
        /// Seconds of the epoch when it was last stored, for the sweep.
        time: i64,
        /// The content.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// Content in a file.
    File {
        /// As above.
        time: i64,
        /// Bytes.
        size: u64,
        /// The BLAKE3 hashes of the pieces, 32 bytes each, so that a part is verified alone.
        #[serde(with = "serde_bytes")]
        pieces: Vec<u8>,
    },
}

impl BlobRow {
    pub(super) fn inline(data: Vec<u8>) -> Self {
        Self::Inline { time: now(), data }
    }

    pub(super) const fn time(&self) -> i64 {
        match self {
            Self::Inline { time, .. } | Self::File { time, .. } => *time,
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Inline { data, .. } => data.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    pub(super) fn load(read: &dyn KvRead, hash: &BlobHash) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = read.get(Family::Blob, &hash.0)? else { return Ok(None) };
        Ok(Some(unpack(Family::Blob, &hash.0, &bytes)?))
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The blobs of a store.
#[derive(Debug, Clone)]
pub struct Blobs(pub(super) Store);

impl Blobs {
    /// Stores what `content` yields, and answers its hash and size. It stays for the grace period
    /// even if nobody holds it.
    ///
    /// # Errors
    /// `TooLarge` over `limit` bytes; `Full`; `Io`.
    pub fn put(&self, content: &mut dyn Read, limit: u64) -> Result<(BlobHash, u64), Fault> {
        let mut start = Vec::new();
        let front = (INLINE_MAX as u64 + 1).min(limit.saturating_add(1));
        Read::take(&mut *content, front).read_to_end(&mut start).map_err(StoreError::from)?;
        if start.len() as u64 > limit {
            return Err(Fault::new(Kind::TooLarge, message!("store.too_large")));
        }
        match self.0.blob_files() {
            Some(files) if start.len() > INLINE_MAX => self.put_file(files, &start, content, limit),
            _ => {
                // In memory, and small content: all of it in the row.
                let rest = limit.saturating_add(1).saturating_sub(start.len() as u64);
                Read::take(content, rest).read_to_end(&mut start).map_err(StoreError::from)?;
                if start.len() as u64 > limit {
                    return Err(Fault::new(Kind::TooLarge, message!("store.too_large")));
                }
                let size = start.len() as u64;
                let hash = BlobHash::of(&start);
                self.put_row(hash, BlobRow::inline(start))?;
                Ok((hash, size))
            }
        }
    }

    /// Stores these bytes. For small content, `Batch::put_blob` is cheaper.
    ///
    /// # Errors
    /// `Full`; `Io`.
    pub fn put_bytes(&self, content: &[u8]) -> Result<BlobHash, Fault> {
        Ok(self.put(&mut { content }, content.len() as u64)?.0)
    }

    fn put_file(
        &self,
        files: &BlobFiles,
        start: &[u8],
        rest: &mut dyn Read,
        limit: u64,
    ) -> Result<(BlobHash, u64), Fault> {
        self.0.health()?;
        let mut unnamed = files.write(start, rest, limit)?;
        let (hash, size) = (unnamed.hash, unnamed.size);
        let pieces = std::mem::take(&mut unnamed.pieces);
        let _names = files.names();
        files.name(&unnamed)?;
        // The row comes after the file is durable; the log keeps this order.
        self.put_row(hash, BlobRow::File { time: now(), size, pieces })?;
        Ok((hash, size))
    }

    fn put_row(&self, hash: BlobHash, row: BlobRow) -> Result<(), Fault> {
        let row = pack(Family::Blob, &hash.0, &row)?;
        self.0.apply(Durability::Lazy, move |_| {
            let mut set = WriteSet::default();
            set.put(Family::Blob, hash.0, row);
            Ok(set)
        })
    }

    fn row(&self, hash: &BlobHash) -> Result<BlobRow, Fault> {
        let snapshot = self.0.snapshot();
        BlobRow::load(snapshot.kv(), hash)?.ok_or_else(|| {
            Fault::new(Kind::NotFound, message!("store.blob_missing"))
                .because(format!("blob {hash}"))
        })
    }

    /// The size of a stored blob.
    ///
    /// # Errors
    /// `NotFound` for a blob that is not stored; `Corrupt`; `Io`.
    pub fn size(&self, hash: &BlobHash) -> Result<u64, Fault> {
        Ok(self.row(hash)?.size())
    }

    /// Up to `len` bytes from `offset`, verified; fewer only at the end of the content.
    ///
    /// # Errors
    /// `NotFound` for a blob that is not stored; `Corrupt` for one that is damaged; `Io`.
    pub fn read(&self, hash: &BlobHash, offset: u64, len: usize) -> Result<Bytes, Fault> {
        let (size, pieces) = match self.row(hash)? {
            BlobRow::Inline { data, .. } => return Ok(inline_part(data, hash, offset, len)?),
            BlobRow::File { size, pieces, .. } => (size, pieces),
        };
        let end = offset.saturating_add(len as u64).min(size);
        let mut found = Vec::new();
        let mut piece = Vec::new();
        let mut at = offset;
        while at < end {
            let index = at / PIECE as u64;
            self.verified_piece(hash, &pieces, index, &mut piece)?;
            let first = index * PIECE as u64;
            let (from, to) = (part(at - first), part(end - first).min(piece.len()));
            let Some(bytes) = piece.get(from..to).filter(|bytes| !bytes.is_empty()) else {
                return Err(StoreError::corrupt(format!("blob {hash} is short")).into());
            };
            found.extend_from_slice(bytes);
            at += bytes.len() as u64;
        }
        Ok(Bytes::from(found))
    }

    fn verified_piece(
        &self,
        hash: &BlobHash,
        pieces: &[u8],
        index: u64,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let files = self.0.blob_files().ok_or_else(|| {
            StoreError::corrupt(format!("blob {hash} is a file, and there are none"))
        })?;
        files.read_piece(hash, index * PIECE as u64, piece)?;
        let at = part(index).saturating_mul(32);
        let expected = pieces.get(at..).and_then(|rest| rest.first_chunk::<32>());
        if expected != Some(blake3::hash(piece).as_bytes()) {
            return Err(StoreError::corrupt(format!("blob {hash}: piece {index} is damaged")));
        }
        Ok(())
    }

    /// A reader of the whole content, verified piece by piece.
    ///
    /// # Errors
    /// As [`Blobs::read`].
    pub fn open_reader(&self, hash: &BlobHash) -> Result<BlobReader, Fault> {
        BlobReader::new(self.clone(), *hash, self.row(hash)?)
    }
}

fn part(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn inline_part(
    data: Vec<u8>,
    hash: &BlobHash,
    offset: u64,
    len: usize,
) -> Result<Bytes, StoreError> {
    if BlobHash::of(&data) != *hash {
        return Err(StoreError::corrupt(format!("blob {hash} is damaged")));
    }
    let start = part(offset).min(data.len());
    let end = start.saturating_add(len).min(data.len());
    Ok(Bytes::from(data).slice(start..end))
}
