//! The container of a backup: a ZIP whose last member is a manifest with every other member's size
//! and BLAKE3 hash. Without that member an archive is not complete (rule: `operations/archive`).

mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use read::Reader;
pub use write::Writer;

/// Name of the last member.
pub const MANIFEST: &str = "manifest.json";
/// The manifest's `format`.
const FORMAT: &str = "kompira-backup";
/// The manifest's `version`; a newer one is refused.
const VERSION: u32 = 1;

/// Most members: a tree of ten million files is beyond what one archive should hold.
pub const MEMBERS_MAX: usize = 10_000_000;
/// Most bytes that one byte of the archive may become: text compresses 20-fold, bombs a 1000-fold.
pub const RATIO_MAX: u64 = 200;
/// Bytes that may be expanded whatever the ratio: small archives of very regular text.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// Most bytes of the manifest itself.
const MANIFEST_BYTES_MAX: u64 = 2 << 30;

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `kompira-backup`.
    pub format: String,
    /// Format version.
    pub version: u32,
    /// Program and version that wrote it.
    pub generator: String,
    /// RFC 3339, UTC.
    pub created: String,
    /// The revision of the tree that it holds.
    pub revision: u64,
    /// Names the key under which its Password values are encrypted.
    pub key_id: String,
    /// Every other member, in the order of the archive.
    pub members: Vec<Member>,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path inside the archive.
    pub name: String,
    /// Bytes, expanded.
    pub size: u64,
    /// 64 hexadecimal digits.
    pub blake3: String,
}

/// Whether a member's name stays inside: relative, no empty, `.` or `..` parts, no backslash, no
/// drive. A directory ends in one slash.
fn is_safe(name: &str) -> bool {
    let name = name.strip_suffix('/').unwrap_or(name);
    !name.is_empty()
        && !name.contains(['\0', '\\'])
        && !name.split('/').next().is_some_and(|first| first.contains(':'))
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests;
