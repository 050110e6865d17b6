//! Which type a new file becomes.

use std::collections::HashMap;

/// Which type claims which file suffix.
#[derive(Debug, Clone, Default)]
pub struct Suffixes(HashMap<String, String>);

impl Suffixes {
    /// From pairs of suffix (without its dot) and type name.
    pub fn new<S: Into<String>, T: Into<String>>(pairs: impl IntoIterator<Item = (S, T)>) -> Self {
        Self(pairs.into_iter().map(|(suffix, name)| (suffix.into(), name.into())).collect())
    }

    /// The type that claims `suffix`, whatever its case.
    #[must_use]
    pub fn type_of(&self, suffix: &str) -> Option<&str> {
        match self.0.get(suffix) {
            Some(name) => Some(name),
            None => self.0.get(&suffix.to_ascii_lowercase()).map(String::as_str),
        }
    }
}

/// What a file without a record becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// An object of this built-in type, with the content as its file.
    Type(String),
    /// An object of the type that the directory, a Table, prescribes.
    TableType,
    /// The content is itself the full record, with a `type_object`.
    Record,
    /// An AttachedFile that is this file.
    Attached,
}

/// Suffix of a file whose content may be a full record.
const RECORD_SUFFIX: &str = "yaml";
/// Suffix that means a Library, unless the content is a script.
const LIBRARY_SUFFIX: &str = "py";

/// The creation rule (rule: `files/creation`): Table, suffix, `#!`, record, text, anything else.
///
/// `is_record` tells whether the content is a YAML map with a `type_object`; it is asked only when
/// that matters.
#[must_use]
pub fn rule(
    in_table: bool,
    suffix: Option<&str>,
    suffixes: &Suffixes,
    content: &[u8],
    is_record: impl FnOnce(&[u8]) -> bool,
) -> Made {
    if in_table {
        return Made::TableType;
    }
    let script = content.starts_with(b"#!");
    match suffix {
        Some(suffix) if !suffix.eq_ignore_ascii_case(RECORD_SUFFIX) => {
            let Some(name) = suffixes.type_of(suffix) else { return Made::Attached };
            if !is_text(content) {
                return Made::Attached;
            }
            if script && suffix.eq_ignore_ascii_case(LIBRARY_SUFFIX) {
                return Made::Type("ScriptJob".to_owned());
            }
            Made::Type(name.to_owned())
        }
        _ if !is_text(content) => Made::Attached,
        _ if script => Made::Type("ScriptJob".to_owned()),
        _ if may_be_record(content) && is_record(content) => Made::Record,
        _ => Made::Type("Text".to_owned()),
    }
}

/// Whether a text field can hold `content`: UTF-8 without NUL.
#[must_use]
pub fn is_text(content: &[u8]) -> bool {
    std::str::from_utf8(content).is_ok_and(|text| !text.contains('\0'))
}

/// A cheap first look, so that not every text goes through the YAML parser.
fn may_be_record(content: &[u8]) -> bool {
    const KEY: &[u8] = b"type_object";
    content.windows(KEY.len()).any(|window| window == KEY)
}
