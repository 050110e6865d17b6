//! Names that belong to tools: backups, locks, temporary files.

/// Endings that make a name scratch. Source: spec/README, decision 19.
const ENDINGS: &[&str] = &[
    ".bak", ".orig", ".rej", ".tmp", ".temp", ".swp", ".swo", ".lock", ".part", ".old", ".new",
    ".git",
];

/// Whether a name without a leading dot is scratch (rule: `files/scratch`).
///
/// `NAME~`, `#NAME#`, all-digit names (vim's `4913`), a tool's ending, patch's `.oXXXXXX`.
#[must_use]
pub fn is_scratch(file: &str) -> bool {
    let bytes = file.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(_), Some(b'~')) if bytes.len() > 1 => return true,
        (Some(b'#'), Some(b'#')) if bytes.len() > 2 => return true,
        _ => {}
    }
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        return true;
    }
    ENDINGS.iter().any(|ending| bytes.len() > ending.len() && file.ends_with(ending))
        || is_patch_temporary(bytes)
}

/// `NAME.oXXXXXX`: `.o` and six letters or digits, as `mkstemp` makes them.
fn is_patch_temporary(bytes: &[u8]) -> bool {
    let Some(at) = bytes.len().checked_sub(8).filter(|at| *at > 0) else { return false };
    bytes[at..].starts_with(b".o") && bytes[at + 2..].iter().all(u8::is_ascii_alphanumeric)
}
