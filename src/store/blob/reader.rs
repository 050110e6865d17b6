//! Reads a blob from its beginning to its end.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use kompira_schema::error::Fault;
use kompira_schema::id::BlobHash;

use super::{BlobRow, Blobs, PIECE, inline_part};

/// The content of a blob as a stream; what it yields is verified.
#[derive(Debug)]
pub struct BlobReader {
    blobs: Blobs,
    hash: BlobHash,
    size: u64,
    /// Hashes of the pieces; empty for content that was inside the store.
    pieces: Vec<u8>,
    next: u64,
    present: Bytes,
}

impl BlobReader {
    pub(super) fn new(blobs: Blobs, hash: BlobHash, row: BlobRow) -> Result<Self, Fault> {
        let size = row.size();
        let (pieces, present) = match row {
            BlobRow::Inline { data, .. } => (Vec::new(), inline_part(data, &hash, 0, usize::MAX)?),
            BlobRow::File { pieces, .. } => (pieces, Bytes::new()),
        };
        Ok(Self { blobs, hash, size, pieces, next: 0, present })
    }

    /// Bytes of the whole content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let mut piece = Vec::new();
        self.blobs
            .verified_piece(&self.hash, &self.pieces, self.next, &mut piece)
            .map_err(io::Error::other)?;
        self.next += 1;
        self.present = Bytes::from(piece);
        Ok(())
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let more = !self.pieces.is_empty() && self.next * (PIECE as u64) < self.size;
        if self.present.is_empty() && more {
            self.next_piece()?;
        }
        let count = buffer.len().min(self.present.len());
        if let Some(place) = buffer.get_mut(..count) {
            self.present.copy_to_slice(place);
        }
        Ok(count)
    }
}
