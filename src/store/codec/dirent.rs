//! A directory entry.

use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::tree::NodeKind;

use super::change::EntryKind;
use crate::store::kv::StoreError;

const VERSION: u8 = 1;
const FIXED: usize = 32;

/// What a name in a container means.
///
/// Layout: version, kind, container, node, four bytes zero, since (8), child (8), type (8), suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirent {
    /// The commit that wrote this entry; stamped.
    pub since: Rev,
    /// Who it is.
    pub child: ObjectId,
    /// Its type; 0 for scratch.
    pub type_id: ObjectId,
    /// Object, bare object or scratch.
    pub kind: EntryKind,
    /// How it shows in a file view when its type does not say (scratch); for objects of a type
    /// that may hold children, `Dir`.
    pub node: NodeKind,
    /// Whether it may have children.
    pub container: bool,
    /// The file suffix with its dot; empty for none.
    pub suffix: String,
}

impl Dirent {
    /// Where the committer writes `since`.
    pub const SINCE_OFFSET: usize = 8;

    /// The bytes of the row.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.suffix.len());
        bytes.extend_from_slice(&[
            VERSION,
            self.kind.byte(),
            u8::from(self.container),
            node_byte(self.node),
            0,
            0,
            0,
            0,
        ]);
        bytes.extend_from_slice(&self.since.0.to_be_bytes());
        bytes.extend_from_slice(&self.child.0.to_be_bytes());
        bytes.extend_from_slice(&self.type_id.0.to_be_bytes());
        bytes.extend_from_slice(self.suffix.as_bytes());
        debug_assert_eq!(Self::decode(&bytes).as_ref(), Ok(self), "a row reads back as written");
        bytes
    }

    /// Whether a row stands for an object and not for scratch, from its kind alone.
    pub(in crate::store) fn is_object_row(bytes: &[u8]) -> bool {
        let kind = bytes.get(1).copied().and_then(EntryKind::from_byte);
        kind.is_some_and(|kind| kind != EntryKind::Scratch)
    }

    /// Whether a row stands for something that may have children.
    pub(in crate::store) fn is_container_row(bytes: &[u8]) -> bool {
        bytes.get(2) == Some(&1)
    }

    /// Reads a row.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        read(bytes).ok_or_else(|| StoreError::corrupt(format!("dirent {}", bytes.escape_ascii())))
    }
}

fn read(bytes: &[u8]) -> Option<Dirent> {
    let (fixed, suffix) = bytes.split_first_chunk::<FIXED>()?;
    let [version, kind, container, node, 0, 0, 0, 0, ..] = *fixed else { return None };
    let number = |at: usize| -> Option<u64> {
        Some(u64::from_be_bytes(*fixed.get(at..)?.first_chunk::<8>()?))
    };
    (version == VERSION).then_some(())?;
    Some(Dirent {
        since: Rev(number(8)?),
        child: ObjectId(number(16)?),
        type_id: ObjectId(number(24)?),
        kind: EntryKind::from_byte(kind)?,
        node: node_from(node)?,
        container: match container {
            0 => false,
            1 => true,
            _ => return None,
        },
        suffix: std::str::from_utf8(suffix).ok()?.to_owned(),
    })
}

pub(super) const fn node_byte(node: NodeKind) -> u8 {
    match node {
        NodeKind::File => 0,
        NodeKind::Dir => 1,
        NodeKind::Symlink => 2,
    }
}

pub(super) const fn node_from(byte: u8) -> Option<NodeKind> {
    Some(match byte {
        0 => NodeKind::File,
        1 => NodeKind::Dir,
        2 => NodeKind::Symlink,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_torn_ones_do_not() {
        let entry = Dirent {
            since: Rev(3),
            child: ObjectId(9),
            type_id: ObjectId(4),
            kind: EntryKind::Bare,
            node: NodeKind::File,
            container: false,
            suffix: ".jobflow".into(),
        };
        let bytes = entry.encode();
        assert!(Dirent::is_object_row(&bytes));
        let scratch = Dirent { kind: EntryKind::Scratch, ..entry.clone() };
        assert!(!Dirent::is_object_row(&scratch.encode()));
        assert!(!Dirent::is_object_row(b""));
        assert_eq!(Dirent::decode(&bytes), Ok(entry));
        for len in 0..FIXED {
            assert!(Dirent::decode(&bytes[..len]).is_err());
        }
    }
}
