//! A place in an ordered result that stays right while others write (rule: `tree/paging`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::message;

use super::order::Keys;
use super::test::bad;

/// Characters of a place as text.
const LENGTH_MAX: usize = 16 * 1024;
/// Bytes of one key that are kept.
const KEY_MAX: usize = 2048;

/// What the last object of a page was sorted by, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) keys: Vec<Option<Vec<u8>>>,
    pub(super) id: ObjectId,
}

impl Cursor {
    pub(super) fn new(keys: &Keys, id: ObjectId) -> Self {
        let bytes = |key: &super::Scalar| {
            let mut bytes = key.sort_bytes();
            bytes.truncate(KEY_MAX);
            bytes
        };
        Self { keys: keys.iter().map(|key| key.as_ref().map(bytes)).collect(), id }
    }

    /// Reads what `Display` wrote for an order of `count` keys.
    pub(super) fn parse(text: &str, count: usize) -> Result<Self, Fault> {
        let wrong = || bad(message!("find.bad_after"));
        if text.len() > LENGTH_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let (id, mut rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let mut keys = Vec::new();
        while let Some((&there, after)) = rest.split_first() {
            if there == 0 {
                keys.push(None);
                rest = after;
                continue;
            }
            let (length, after) = after.split_first_chunk::<2>().ok_or_else(wrong)?;
            let length = usize::from(u16::from_be_bytes(*length));
            keys.push(Some(after.get(..length).ok_or_else(wrong)?.to_vec()));
            rest = after.get(length..).ok_or_else(wrong)?;
        }
        if keys.len() != count {
            return Err(wrong());
        }
        Ok(Self { keys, id: ObjectId(u64::from_be_bytes(*id)) })
    }

    /// The name at the end of a place whose only key is a path.
    pub(super) fn name(&self) -> Option<String> {
        let path = self.keys.first()?.as_deref()?;
        let path = std::str::from_utf8(path).ok()?;
        path.rsplit('/').next().map(str::to_owned)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.0.to_be_bytes().to_vec();
        for key in &self.keys {
            match key {
                None => bytes.push(0),
                Some(key) => {
                    bytes.push(1);
                    let length = u16::try_from(key.len()).map_err(|_| fmt::Error)?;
                    bytes.extend(length.to_be_bytes());
                    bytes.extend(key);
                }
            }
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_reads_back_as_written(
            keys in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)), 0..4),
            id in any::<u64>(),
        ) {
            let place = Cursor { keys, id: ObjectId(id) };
            prop_assert_eq!(Cursor::parse(&place.to_string(), place.keys.len()).unwrap(), place);
        }

        #[test]
        fn no_text_is_a_trap(text in ".{0,60}", count in 0_usize..4) {
            let _ = Cursor::parse(&text, count);
        }
    }
}
