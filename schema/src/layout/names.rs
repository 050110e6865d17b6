//! How an object's name becomes file names, and what a file name says about an object.
//!
//! Pure: mount, export tree, import and archive all ask here, so that they cannot disagree.
//!
//! An object `deploy` that was made from `deploy.jobflow` owns up to three names in the directory
//! of its container: the file `deploy.jobflow` (or the directory `deploy`), the *sidecar*
//! `.deploy` with its record, and the *companion* directory `.deploy.files` with its attachments.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::path::Name;

mod companion;
mod reserved;
mod rule;
mod scratch;
mod short;

pub use companion::{escape, unescape};
pub use reserved::is_reserved;
pub use rule::{Made, Suffixes, is_text, rule};
pub use scratch::is_scratch;
pub use short::{is_short, prefix_of_short, short_stem};

/// Most bytes of a file name: the limit of Linux file systems.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Most bytes of a stem, so that `.STEM.files` is a legal file name.
pub const STEM_BYTES_MAX: usize = FILE_NAME_BYTES_MAX - COMPANION_ENDING.len() - 1;
/// Most bytes of a file suffix (without its dot). Longer endings are no suffix but a mistake.
pub const SUFFIX_BYTES_MAX: usize = 64;
/// Ends the name of a companion directory.
pub const COMPANION_ENDING: &str = ".files";
/// Ends the name of the scratch file that keeps a refused text.
pub const REJECTED_ENDING: &str = ".rejected";
/// The control directory at the root of the mount.
pub const CONTROL: &str = ".kompira";

/// The name's part of a file name: the name itself, or its short form
/// (rule: `files/stem`).
///
/// It is short when the name (with its suffix) would not fit a file name, or when its sidecar
/// would be a reserved dot name (`git` → `.git`).
#[must_use]
pub fn stem<'n>(name: &'n Name, suffix: Option<&str>) -> Cow<'n, str> {
    let text = name.as_str();
    let with_suffix = text.len() + suffix.map_or(0, |suffix| suffix.len() + 1);
    if text.len() > STEM_BYTES_MAX || with_suffix > FILE_NAME_BYTES_MAX || is_reserved_stem(text) {
        Cow::Owned(short_stem(name))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether `.STEM` is a reserved dot name. Cheap for the common case.
fn is_reserved_stem(text: &str) -> bool {
    reserved::may_be_reserved(text) && is_reserved(&format!(".{text}"))
}

/// The file (or directory) name of an object.
#[must_use]
pub fn file_name(name: &Name, suffix: Option<&str>) -> String {
    let stem = stem(name, suffix);
    suffix.map_or_else(|| stem.to_string(), |suffix| format!("{stem}.{suffix}"))
}

/// The name of the record's file.
#[must_use]
pub fn sidecar(name: &Name, suffix: Option<&str>) -> String {
    format!(".{}", stem(name, suffix))
}

/// The name of the directory of attachments.
#[must_use]
pub fn companion(name: &Name, suffix: Option<&str>) -> String {
    format!(".{}{COMPANION_ENDING}", stem(name, suffix))
}

/// The name of the scratch file that keeps the refused text of a file: `.deploy.rejected`.
///
/// Cut to fit; a sidecar's text and its object's share the name.
#[must_use]
pub fn rejected(file: &str) -> String {
    let base = file.strip_prefix('.').unwrap_or(file);
    let room = FILE_NAME_BYTES_MAX - REJECTED_ENDING.len() - 1;
    let mut end = base.len().min(room);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}{REJECTED_ENDING}", &base[..end])
}

/// The name's part of a file name, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stem {
    /// It is (or stands for) this name.
    Name(Name),
    /// A short stem: which name it stands for, only the directory or a record knows.
    Short(String),
}

impl Stem {
    /// Reads a stem: an identifier, or a short stem.
    ///
    /// A short stem that holds its whole name (`gitignore~c81ac631c8df859b`) is a [`Stem::Name`].
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if let Some(prefix) = prefix_of_short(text) {
            return Some(match Name::new(prefix) {
                Ok(name) if short_stem(&name) == text => Self::Name(name),
                _ => Self::Short(text.to_owned()),
            });
        }
        Name::new(text).ok().map(Self::Name)
    }
}

/// What a file name in a directory of objects is (rule: `files/names`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileName {
    /// An object's file or directory.
    Object {
        /// Whose.
        stem: Stem,
        /// What follows the dot.
        suffix: Option<String>,
    },
    /// An object's record.
    Sidecar(Stem),
    /// An object's directory of attachments.
    Companion(Stem),
    /// A name of tools: stored, but never an object.
    Scratch,
    /// No object can have it and no tool is known to use it.
    Illegal,
}

/// Reads a file name of a directory of objects. Below a scratch directory every name is scratch:
/// do not ask.
#[must_use]
pub fn classify(file: &str) -> FileName {
    if file.len() > FILE_NAME_BYTES_MAX || file.bytes().any(|b| b == b'/' || b == 0) {
        return FileName::Illegal;
    }
    if let Some(rest) = file.strip_prefix('.') {
        return classify_dot(file, rest);
    }
    if is_scratch(file) {
        return FileName::Scratch;
    }
    let (stem, suffix) = match file.split_once('.') {
        None => (file, None),
        Some((stem, suffix)) => match read_suffix(suffix) {
            Some(suffix) => (stem, Some(suffix)),
            None => return FileName::Illegal,
        },
    };
    // `git` is shown as `git~…`; the plain name stands for the same object.
    Stem::read(stem).map_or(FileName::Illegal, |stem| FileName::Object { stem, suffix })
}

fn classify_dot(file: &str, rest: &str) -> FileName {
    let (stem, is_companion) =
        rest.strip_suffix(COMPANION_ENDING).map_or((rest, false), |stem| (stem, true));
    // A short stem begins like its name, so `.nfsserver~…` comes before the reserved `.nfs*`.
    if is_reserved(file) && !is_short(stem) {
        return FileName::Scratch;
    }
    match Stem::read(stem) {
        None => FileName::Scratch,
        Some(stem) if is_companion => FileName::Companion(stem),
        Some(stem) => FileName::Sidecar(stem),
    }
}

fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Normalises a suffix; `None` if no file can be given it: empty, with a dot or a blank, too long.
#[must_use]
pub fn read_suffix(text: &str) -> Option<String> {
    let text = nfc(text);
    let legal = |c: char| crate::path::is_word_char(c) || matches!(c, '-' | '+');
    (!text.is_empty() && text.len() <= SUFFIX_BYTES_MAX && text.chars().all(legal))
        .then(|| text.into_owned())
}

#[cfg(test)]
mod tests;
