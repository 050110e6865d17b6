//! Typed rows and their bytes. Each row begins with its codec version.

mod body;
mod change;
mod dirent;
mod head;

pub use body::{Body, blobs_of, references_of};
pub use change::{ChangeRow, Changed, EntryKind, Place, What};
pub use dirent::Dirent;
pub use head::{DERIVED, Head, HeadFlags};

use kompira_schema::error::Kind;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kv::{Family, StoreError};

/// Version byte of packed rows.
pub const PACKED: u8 = 1;
const CHECKSUM: usize = 8;
/// What most packed rows fit into.
const PACKED_BYTES: usize = 512;

/// Where the payload of a packed row begins.
const PAYLOAD: usize = 1 + CHECKSUM;

fn checksum(family: Family, key: &[u8], payload: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(family.name().as_bytes());
    hasher.update(&[0]);
    hasher.update(&(key.len() as u64).to_be_bytes());
    hasher.update(key);
    hasher.update(payload);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    sum
}

/// Packs a row: version, checksum over key and payload, MessagePack with field names.
///
/// # Errors
/// [`Kind::Internal`] when the value has no such form.
pub fn pack<T: Serialize + ?Sized>(
    family: Family,
    key: &[u8],
    row: &T,
) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(PACKED_BYTES);
    bytes.resize(PAYLOAD, 0);
    rmp_serde::encode::write_named(&mut bytes, row)
        .map_err(|error| StoreError::new(Kind::Internal, error))?;
    let (front, payload) = bytes.split_at_mut(PAYLOAD);
    front[0] = PACKED;
    front[1..].copy_from_slice(&checksum(family, key, payload));
    Ok(bytes)
}

/// Unpacks a row and checks that it is what [`pack`] made for this key.
///
/// # Errors
/// [`Kind::Corrupt`], or [`Kind::Version`] for a row of a later version.
pub fn unpack<T: DeserializeOwned>(
    family: Family,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    let damaged =
        |why: &str| StoreError::corrupt(format!("{} {}: {why}", family.name(), key.escape_ascii()));
    match bytes.first() {
        Some(&PACKED) => {}
        Some(&version) if version > PACKED => {
            return Err(StoreError::new(Kind::Version, format!("row version {version}")));
        }
        _ => return Err(damaged("no version")),
    }
    let (Some(sum), Some(payload)) = (bytes.get(1..PAYLOAD), bytes.get(PAYLOAD..)) else {
        return Err(damaged("torn"));
    };
    if sum != checksum(family, key, payload) {
        return Err(damaged("checksum"));
    }
    rmp_serde::from_slice(payload).map_err(|error| damaged(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_row_reads_back_and_damage_is_noticed() {
        let row = ("text".to_owned(), 7_u32);
        let bytes = pack(Family::Meta, b"k", &row).unwrap();
        assert_eq!(unpack::<(String, u32)>(Family::Meta, b"k", &bytes).unwrap(), row);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(unpack::<(String, u32)>(Family::Meta, b"k", &bad).is_err(), "byte {at}");
        }
        for len in 0..bytes.len() {
            assert!(unpack::<(String, u32)>(Family::Meta, b"k", &bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_row_under_another_key_is_damage() {
        let bytes = pack(Family::Body, b"a", &1_u8).unwrap();
        let error = unpack::<u8>(Family::Body, b"b", &bytes).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt);
        let mut later = bytes;
        later[0] = PACKED + 1;
        let error = unpack::<u8>(Family::Body, b"a", &later).unwrap_err();
        assert_eq!(error.kind, Kind::Version);
    }
}
