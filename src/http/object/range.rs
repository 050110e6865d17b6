//! Parts of an attachment (rule: http/ranges).

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use kompira_schema::id::{BlobHash, Rev};

use crate::store::Blobs;

/// Bytes read from the store at a time: one verified piece of it.
const PIECE: usize = 128 * 1024;

/// What of the content is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    All,
    /// Bytes from the first, up to and without the second.
    Part {
        /// First byte.
        from: u64,
        /// Byte after the last.
        to: u64,
    },
    /// A part that lies behind the end.
    Nothing,
}

impl Wanted {
    /// The header that says which part this is.
    pub(super) fn content_range(self, size: u64) -> Option<HeaderValue> {
        let text = match self {
            Self::All => return None,
            Self::Part { from, to } => format!("bytes {from}-{}/{size}", to.saturating_sub(1)),
            Self::Nothing => format!("bytes */{size}"),
        };
        HeaderValue::from_str(&text).ok()
    }
}

/// What `Range` asks for. Several parts at once, and what cannot be read, get all of it; so does
/// who has a part of another revision by `If-Range`.
pub(super) fn wanted(headers: &HeaderMap, size: u64, rev: Rev) -> Wanted {
    let word = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if word(header::IF_RANGE).is_some_and(|tag| tag.trim() != format!("\"{rev}\"")) {
        return Wanted::All;
    }
    let Some((first, last)) = word(header::RANGE)
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .filter(|text| !text.contains(','))
        .and_then(|text| text.trim().split_once('-'))
    else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (from, to) = match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => return Wanted::All,
        (true, false) => match number(last) {
            Some(count) => (size.saturating_sub(count), size),
            None => return Wanted::All,
        },
        (false, open) => match (number(first), number(last)) {
            (Some(from), _) if open => (from, size),
            (Some(from), Some(last)) if last >= from => (from, last.saturating_add(1).min(size)),
            _ => return Wanted::All,
        },
    };
    if from >= to { Wanted::Nothing } else { Wanted::Part { from, to } }
}

/// Reads a content from a byte on, verified piece by piece.
pub(super) struct Reader {
    blobs: Blobs,
    hash: BlobHash,
    at: u64,
    piece: Bytes,
}

impl Reader {
    pub(super) fn new(blobs: Blobs, hash: BlobHash, from: u64) -> Self {
        Self { blobs, hash, at: from, piece: Bytes::new() }
    }
}

impl std::io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            // To the next edge of a piece: none is verified twice.
            let into = usize::try_from(self.at % PIECE as u64).unwrap_or_default();
            let read = self.blobs.read(&self.hash, self.at, PIECE - into);
            self.piece = read.map_err(|fault| {
                tracing::error!(?fault, "an attachment cannot be read");
                std::io::Error::from(std::io::ErrorKind::InvalidData)
            })?;
            self.at += self.piece.len() as u64;
        }
        let len = buffer.len().min(self.piece.len());
        let head = self.piece.split_to(len);
        if let Some(target) = buffer.get_mut(..len) {
            target.copy_from_slice(&head);
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/ranges
    #[test]
    fn one_part_is_given_and_anything_odd_gets_all() {
        let part = |from, to| Wanted::Part { from, to };
        for (text, found) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-4", part(2, 5)),
            ("bytes=2-", part(2, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99", part(8, 10)),
            ("bytes=0-99999999999999999999", Wanted::All),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=x-y", Wanted::All),
            ("lines=0-1", Wanted::All),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            assert_eq!(wanted(&headers, 10, Rev(7)), found, "{text}");
            headers.insert(header::IF_RANGE, "\"6\"".parse().unwrap());
            assert_eq!(wanted(&headers, 10, Rev(7)), Wanted::All, "another revision");
        }
        assert_eq!(part(2, 5).content_range(10).unwrap(), "bytes 2-4/10");
        assert_eq!(Wanted::Nothing.content_range(10).unwrap(), "bytes */10");
    }
}
