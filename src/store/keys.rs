//! Keys of every family: big-endian numbers first, so that a prefix scan is the natural order.

use kompira_schema::id::{BlobHash, ObjectId, Rev, UserId};
use kompira_schema::value::Ref;

/// Splits the big-endian number off the front of `key`.
#[must_use]
pub fn split_u64(key: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*head), rest))
}

fn pair(first: u64, second: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(16);
    key.extend_from_slice(&first.to_be_bytes());
    key.extend_from_slice(&second.to_be_bytes());
    key
}

/// A key that is one number: head, body, change, process, …
#[must_use]
pub fn number(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// A key of two numbers: queue (channel, sequence), console and journal (process, sequence).
#[must_use]
pub fn numbers(first: u64, second: u64) -> Vec<u8> {
    pair(first, second)
}

/// `dirent`: parent, then the name in UTF-8, which needs no terminator.
#[must_use]
pub fn dirent(parent: ObjectId, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(8 + name.len());
    key.extend_from_slice(&parent.0.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    debug_assert_eq!(read_dirent(&key), Some((parent, name)), "a key reads back as written");
    key
}

/// Reads a `dirent` key.
#[must_use]
pub fn read_dirent(key: &[u8]) -> Option<(ObjectId, &str)> {
    let (parent, name) = split_u64(key)?;
    Some((ObjectId(parent), std::str::from_utf8(name).ok()?))
}

/// `head` and `body`: the id.
#[must_use]
pub fn object(id: ObjectId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// `blobref`: hash, holder, and the revision of the history row that holds it (0: the object).
#[must_use]
pub fn blobref(hash: &BlobHash, id: ObjectId, version: Rev) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.extend_from_slice(&hash.0);
    key.extend_from_slice(&id.0.to_be_bytes());
    key.extend_from_slice(&version.0.to_be_bytes());
    key
}

/// Reads a `blobref` key.
#[must_use]
pub fn read_blobref(key: &[u8]) -> Option<(BlobHash, ObjectId, Rev)> {
    let (hash, rest) = key.split_first_chunk::<32>()?;
    let (id, rest) = split_u64(rest)?;
    let (version, rest) = split_u64(rest)?;
    rest.is_empty().then_some((BlobHash(*hash), ObjectId(id), Rev(version)))
}

/// `change`: the revision.
#[must_use]
pub fn change(rev: Rev) -> [u8; 8] {
    rev.0.to_be_bytes()
}

const HISTORY_BODY: u8 = b'B';
const HISTORY_ENTRY: u8 = b'E';

/// `history`: an earlier body, by object and the revision that wrote it.
#[must_use]
pub fn history_body(id: ObjectId, rev: Rev) -> Vec<u8> {
    let mut key = history_body_prefix(id);
    key.extend_from_slice(&rev.0.to_be_bytes());
    key
}

/// The prefix of all earlier bodies of an object.
#[must_use]
pub fn history_body_prefix(id: ObjectId) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(HISTORY_BODY);
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// `history`: an earlier entry, by parent, name, NUL and the revision that wrote it.
#[must_use]
pub fn history_entry(parent: ObjectId, name: &str, rev: Rev) -> Vec<u8> {
    let mut key = history_entry_prefix(parent);
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    key.extend_from_slice(&rev.0.to_be_bytes());
    key
}

/// The prefix of all earlier entries of a parent.
#[must_use]
pub fn history_entry_prefix(parent: ObjectId) -> Vec<u8> {
    let mut key = Vec::with_capacity(32);
    key.push(HISTORY_ENTRY);
    key.extend_from_slice(&parent.0.to_be_bytes());
    key
}

/// A key of `history`, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryKey<'a> {
    /// An earlier body.
    Body(ObjectId, Rev),
    /// An earlier entry.
    Entry(ObjectId, &'a str, Rev),
}

/// Reads a `history` key.
#[must_use]
pub fn read_history(key: &[u8]) -> Option<HistoryKey<'_>> {
    let (&tag, rest) = key.split_first()?;
    let (id, rest) = split_u64(rest)?;
    match tag {
        HISTORY_BODY => {
            let (rev, rest) = split_u64(rest)?;
            rest.is_empty().then_some(HistoryKey::Body(ObjectId(id), Rev(rev)))
        }
        HISTORY_ENTRY => {
            let (name, rev) = rest.split_last_chunk::<8>()?;
            let (&zero, name) = name.split_last()?;
            let name = std::str::from_utf8(name).ok().filter(|_| zero == 0)?;
            Some(HistoryKey::Entry(ObjectId(id), name, Rev(u64::from_be_bytes(*rev))))
        }
        _ => None,
    }
}

/// `index`: objects of a type.
#[must_use]
pub fn index_type(type_id: ObjectId, id: ObjectId) -> Vec<u8> {
    let mut key = vec![b'T'];
    key.extend_from_slice(&pair(type_id.0, id.0));
    key
}

/// The prefix of [`index_type`].
#[must_use]
pub fn index_type_prefix(type_id: ObjectId) -> Vec<u8> {
    let mut key = vec![b'T'];
    key.extend_from_slice(&type_id.0.to_be_bytes());
    key
}

/// `index`: objects of an owner.
#[must_use]
pub fn index_owner(owner: UserId, id: ObjectId) -> Vec<u8> {
    let mut key = vec![b'O'];
    key.extend_from_slice(&pair(owner.0, id.0));
    key
}

/// The prefix of [`index_owner`].
#[must_use]
pub fn index_owner_prefix(owner: UserId) -> Vec<u8> {
    let mut key = vec![b'O'];
    key.extend_from_slice(&owner.0.to_be_bytes());
    key
}

/// `index`: how many objects a container holds.
#[must_use]
pub fn index_count(container: ObjectId) -> Vec<u8> {
    let mut key = vec![b'C'];
    key.extend_from_slice(&container.0.to_be_bytes());
    key
}

/// Reads a key of [`index_count`].
#[must_use]
pub fn read_index_count(key: &[u8]) -> Option<ObjectId> {
    let (id, rest) = split_u64(key.strip_prefix(b"C")?)?;
    rest.is_empty().then_some(ObjectId(id))
}

/// An `index` key, read: the tag `T` or `O`, the type or owner, the object.
#[must_use]
pub fn read_index(key: &[u8]) -> Option<(u8, u64, ObjectId)> {
    let (&tag, rest) = key.split_first()?;
    let (of, rest) = split_u64(rest)?;
    let (id, rest) = split_u64(rest)?;
    (rest.is_empty() && matches!(tag, b'T' | b'O')).then_some((tag, of, ObjectId(id)))
}

/// A reference as nine bytes: kind, number.
#[must_use]
pub fn reference(target: Ref) -> [u8; 9] {
    let (tag, id) = match target {
        Ref::Object(id) => (b'o', id.0),
        Ref::User(id) => (b'u', id.0),
        Ref::Group(id) => (b'g', id.0),
        Ref::Process(id) => (b'p', id.0),
        Ref::Schedule(id) => (b's', id.0),
        Ref::Task(id) => (b't', id.0),
        Ref::Incident(id) => (b'i', id.0),
    };
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

/// `backref`: target, the object that refers to it, the field.
#[must_use]
pub fn backref(target: Ref, source: ObjectId, field: &str) -> Vec<u8> {
    let mut key = reference(target).to_vec();
    key.extend_from_slice(&source.0.to_be_bytes());
    key.extend_from_slice(field.as_bytes());
    key
}

/// Reads a `backref` key: target bytes, source, field.
#[must_use]
pub fn read_backref(key: &[u8]) -> Option<(&[u8; 9], ObjectId, &str)> {
    let (target, rest) = key.split_first_chunk::<9>()?;
    let (source, field) = split_u64(rest)?;
    Some((target, ObjectId(source), std::str::from_utf8(field).ok()?))
}

/// `meta`: the format version of the store.
pub const META_FORMAT: &[u8] = b"format";
/// `meta`: prefix of the id counters.
pub const META_COUNTER: &[u8] = b"counter/";
/// `meta`: prefix of the cursors of unfinished migration steps.
pub const META_MIGRATE: &[u8] = b"migrate/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_as_written() {
        let hash = BlobHash::of(b"x");
        let key = blobref(&hash, ObjectId(7), Rev(3));
        assert_eq!(read_blobref(&key), Some((hash, ObjectId(7), Rev(3))));
        let key = history_entry(ObjectId(1), "日本", Rev(9));
        assert_eq!(read_history(&key), Some(HistoryKey::Entry(ObjectId(1), "日本", Rev(9))));
        let key = history_body(ObjectId(1), Rev(9));
        assert_eq!(read_history(&key), Some(HistoryKey::Body(ObjectId(1), Rev(9))));
        let key = index_owner(UserId(2), ObjectId(5));
        assert_eq!(read_index(&key), Some((b'O', 2, ObjectId(5))));
        let key = backref(Ref::User(UserId(2)), ObjectId(5), "f");
        let (target, source, field) = read_backref(&key).unwrap();
        assert_eq!((target, source, field), (&reference(Ref::User(UserId(2))), ObjectId(5), "f"));
    }

    #[test]
    fn a_short_or_torn_key_is_refused() {
        for bytes in [&b""[..], b"1234567", b"12345678\xff"] {
            assert_eq!(read_dirent(bytes), None, "{bytes:?}");
            assert_eq!(read_blobref(bytes), None, "{bytes:?}");
            assert_eq!(read_history(bytes), None, "{bytes:?}");
            assert_eq!(read_index(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn earlier_entries_of_one_name_do_not_mix_with_those_of_a_longer_name() {
        let a = history_entry(ObjectId(1), "a", Rev(u64::MAX));
        let ab = history_entry(ObjectId(1), "ab", Rev(0));
        assert!(a < ab);
    }
}
