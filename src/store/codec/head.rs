//! The header of an object: what `stat` and a listing need, without its body.

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::tree::NodeKind;

use super::dirent::{node_byte, node_from};
use crate::store::kv::StoreError;

const VERSION: u8 = 1;
const FIXED: usize = 104;

/// The size of something that has to be rendered to be known.
pub const DERIVED: u64 = u64::MAX;

/// Bits of [`Head::flags`]; the door gives them meaning.
pub type HeadFlags = u32;

/// The header row: 104 bytes, then the name (so that a path is built from headers alone).
///
/// Layout: version, node, mode (2), flags (4), rev (8), parent (8), type (8), owner (8), created,
/// updated (microseconds, 8 each), mtime, ctime (nanoseconds, 8 each), content size (8), record
/// size (8), permission set (16), name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The commit that last changed the object; stamped.
    pub rev: Rev,
    /// The container; 0 for the root.
    pub parent: ObjectId,
    /// The type; 0 for scratch.
    pub type_id: ObjectId,
    /// The owner.
    pub owner: UserId,
    /// When it was made, to the microsecond.
    pub created: Timestamp,
    /// The property `updated`, to the microsecond.
    pub updated: Timestamp,
    /// When the content (of a container: its children) changed, for `stat`; to the nanosecond.
    pub mtime: Timestamp,
    /// When anything changed, for `stat`; to the nanosecond.
    pub ctime: Timestamp,
    /// Permission bits a `chmod` gave; 0: never set.
    pub mode: u16,
    /// File, directory or symbolic link in the file view.
    pub node: NodeKind,
    /// See [`HeadFlags`].
    pub flags: HeadFlags,
    /// Bytes of the content file; [`DERIVED`] if it has to be rendered.
    pub content_size: u64,
    /// Bytes of the record; [`DERIVED`] if it has to be rendered.
    pub record_size: u64,
    /// Names the permission set in the family `auth`; all zero: no entries.
    pub acl: [u8; 16],
    /// The name in its parent; empty for the root.
    pub name: String,
}

impl Head {
    /// Where the committer writes `rev`.
    pub const REV_OFFSET: usize = 8;
    const MTIME_OFFSET: usize = 56;
    const CTIME_OFFSET: usize = 64;

    /// The bytes of the row.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED + self.name.len());
        bytes.push(VERSION);
        bytes.push(node_byte(self.node));
        bytes.extend_from_slice(&self.mode.to_be_bytes());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        for number in [
            self.rev.0,
            self.parent.0,
            self.type_id.0,
            self.owner.0,
            self.created.as_microsecond().cast_unsigned(),
            self.updated.as_microsecond().cast_unsigned(),
            nanos(self.mtime).cast_unsigned(),
            nanos(self.ctime).cast_unsigned(),
            self.content_size,
            self.record_size,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.acl);
        bytes.extend_from_slice(self.name.as_bytes());
        debug_assert_eq!(bytes.len(), FIXED + self.name.len());
        bytes
    }

    /// The container and the name in it, of an encoded header: all that a path needs.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn place(bytes: &[u8]) -> Result<(ObjectId, &str), StoreError> {
        let read = || {
            let (fixed, name) = bytes.split_first_chunk::<FIXED>()?;
            (fixed.first() == Some(&VERSION)).then_some(())?;
            let parent = u64::from_be_bytes(*fixed.get(16..)?.first_chunk()?);
            Some((ObjectId(parent), std::str::from_utf8(name).ok()?))
        };
        read().ok_or_else(|| StoreError::corrupt(format!("head {}", bytes.escape_ascii())))
    }

    /// Whether a row is the header of a directory.
    pub(in crate::store) fn is_dir_row(bytes: &[u8]) -> bool {
        bytes.get(1) == Some(&node_byte(NodeKind::Dir))
    }

    /// Reads a row.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        read(bytes).ok_or_else(|| StoreError::corrupt(format!("head {}", bytes.escape_ascii())))
    }

    /// Moves both times of an encoded header forward to `time` (never back).
    pub(in crate::store) fn touch(bytes: &mut [u8], time: Timestamp) {
        let time = nanos(time);
        for at in [Self::MTIME_OFFSET, Self::CTIME_OFFSET] {
            if let Some(place) = bytes.get_mut(at..).and_then(|b| b.first_chunk_mut::<8>())
                && i64::from_be_bytes(*place) < time
            {
                *place = time.to_be_bytes();
            }
        }
    }
}

/// Nanoseconds of the epoch, held within what 64 bits can say (the years 1677 to 2262).
fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_second() < 0 {
        i64::MIN
    } else {
        i64::MAX
    })
}

fn read(bytes: &[u8]) -> Option<Head> {
    let (fixed, name) = bytes.split_first_chunk::<FIXED>()?;
    let [version, node, mode_high, mode_low, f0, f1, f2, f3, ..] = *fixed;
    (version == VERSION).then_some(())?;
    let number = |at: usize| -> Option<u64> {
        Some(u64::from_be_bytes(*fixed.get(at..)?.first_chunk::<8>()?))
    };
    let micros = |at| Timestamp::from_microsecond(number(at)?.cast_signed()).ok();
    let nanos = |at| Timestamp::from_nanosecond(i128::from(number(at)?.cast_signed())).ok();
    Some(Head {
        node: node_from(node)?,
        mode: u16::from_be_bytes([mode_high, mode_low]),
        flags: u32::from_be_bytes([f0, f1, f2, f3]),
        rev: Rev(number(8)?),
        parent: ObjectId(number(16)?),
        type_id: ObjectId(number(24)?),
        owner: UserId(number(32)?),
        created: micros(40)?,
        updated: micros(48)?,
        mtime: nanos(56)?,
        ctime: nanos(64)?,
        content_size: number(72)?,
        record_size: number(80)?,
        acl: *fixed.get(88..)?.first_chunk()?,
        name: std::str::from_utf8(name).ok()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        let time = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
        let micros = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        Head {
            rev: Rev(5),
            parent: ObjectId(1),
            type_id: ObjectId(3),
            owner: UserId(2),
            created: micros,
            updated: micros,
            mtime: time,
            ctime: time,
            mode: 0o644,
            node: NodeKind::Dir,
            flags: 6,
            content_size: DERIVED,
            record_size: 12,
            acl: [7; 16],
            name: "日本".into(),
        }
    }

    #[test]
    fn a_header_reads_back_and_torn_ones_do_not() {
        let bytes = sample().encode();
        assert_eq!(Head::decode(&bytes), Ok(sample()));
        assert_eq!(Head::place(&bytes), Ok((sample().parent, sample().name.as_str())));
        for len in 0..FIXED {
            assert!(Head::decode(&bytes[..len]).is_err());
            assert!(Head::place(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_touch_never_moves_time_back() {
        let mut bytes = sample().encode();
        let later = Timestamp::from_second(1_800_000_000).unwrap();
        Head::touch(&mut bytes, later);
        Head::touch(&mut bytes, Timestamp::UNIX_EPOCH);
        assert_eq!(Head::decode(&bytes), Ok(Head { mtime: later, ctime: later, ..sample() }));
    }
}
