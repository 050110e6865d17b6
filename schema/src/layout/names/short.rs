//! Short stems: names that are too long for a file, or whose sidecar is reserved.

use crate::path::Name;

/// Most bytes of the name that a short stem keeps. Source: operations, file names.
const PREFIX_BYTES_MAX: usize = 180;
const DIGITS: usize = 16;

/// The first 16 hexadecimal digits of the BLAKE3 hash of `text`.
pub(super) fn digits(text: &str) -> String {
    let mut hex = blake3::hash(text.as_bytes()).to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}

/// A prefix of the name, `~` and 16 hexadecimal digits of its hash (rule: `files/short_stem`).
#[must_use]
pub fn short_stem(name: &Name) -> String {
    let text = name.as_str();
    let mut end = text.len().min(PREFIX_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{}", &text[..end], digits(text))
}

/// Whether `text` has the form of a short stem.
#[must_use]
pub fn is_short(text: &str) -> bool {
    prefix_of_short(text).is_some()
}

/// What a short stem keeps of its name: where to look for it in a directory.
#[must_use]
pub fn prefix_of_short(text: &str) -> Option<&str> {
    let at = text.len().checked_sub(DIGITS + 1)?;
    let hex = text.get(at + 1..)?;
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (at > 0 && text.as_bytes()[at] == b'~' && hex.bytes().all(lower_hex)).then(|| &text[..at])
}
