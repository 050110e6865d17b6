//! Content named by its BLAKE3 hash: small inside the store, larger as plain files.

use std::io::Read;

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::BlobHash;
use kompira_schema::message;
use serde::{Deserialize, Serialize};

use super::codec::{pack, unpack};
use super::commit::Durability;
use super::kv::{Family, StoreError, WriteSet};
use super::store::Store;

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
        Self::Inline { time: Timestamp::now().as_second(), data }
    }
}

/// The blobs of a store.
#[derive(Clone)]
pub struct Blobs(pub(super) Store);

#[allow(clippy::missing_errors_doc)] // said at each
impl Blobs {
    /// Stores what `content` yields. It stays for the grace period even if nobody holds it.
    ///
    /// # Errors
    /// `TooLarge` over `limit` bytes; `Full`; `Io`.
    pub fn put(&self, content: &mut dyn Read, limit: u64) -> Result<(BlobHash, u64), Fault> {
        let mut data = Vec::new();
        content
            .take(limit.saturating_add(1))
            .read_to_end(&mut data)
            .map_err(StoreError::from)?;
        if data.len() as u64 > limit {
            return Err(Fault::new(Kind::TooLarge, message!("store.too_large")));
        }
        Ok((self.put_bytes(&data)?, data.len() as u64))
    }

    /// Stores these bytes. In a commit of small content, `Batch::put_blob` is cheaper.
    ///
    /// # Errors
    /// `Full`; `Io`.
    pub fn put_bytes(&self, content: &[u8]) -> Result<BlobHash, Fault> {
        let hash = BlobHash::of(content);
        let row = BlobRow::inline(content.to_vec());
        self.0.apply(Durability::Lazy, move |_| {
            let mut set = WriteSet::default();
            set.put(Family::Blob, hash.0, pack(Family::Blob, &hash.0, &row)?);
            Ok(set)
        })?;
        Ok(hash)
    }

    /// Up to `len` bytes from `offset`, verified.
    ///
    /// # Errors
    /// `NotFound` for a blob that is not stored; `Corrupt` for one that is damaged.
    pub fn read(&self, hash: &BlobHash, offset: u64, len: usize) -> Result<Bytes, Fault> {
        let bytes = self.0.snapshot().get(Family::Blob, &hash.0)?.ok_or_else(|| {
            Fault::new(Kind::NotFound, message!("store.blob_missing"))
                .because(format!("blob {hash}"))
        })?;
        match unpack(Family::Blob, &hash.0, &bytes)? {
            BlobRow::Inline { data, .. } => {
                let data = Bytes::from(data);
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
                let end = start.saturating_add(len).min(data.len());
                Ok(data.slice(start..end))
            }
            BlobRow::File { .. } => Err(Fault::internal("blob files")),
        }
    }

    /// A reader of the whole content, verified piece by piece.
    ///
    /// # Errors
    /// As [`Blobs::read`].
    pub fn open_reader(&self, hash: &BlobHash) -> Result<Box<dyn Read + Send>, Fault> {
        Ok(Box::new(std::io::Cursor::new(self.read(hash, 0, usize::MAX)?)))
    }
}
