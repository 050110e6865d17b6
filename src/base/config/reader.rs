//! Reads the dialect of INI that `kompira.conf` is written in.
//!
//! `[section]`, `key = value` or `key: value`, `#` and `;` comments at the start of a line, an
//! indented line goes on with the value above it. Keys ignore case, sections do not.

use std::path::Path;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

/// Most bytes of a configuration file: far more than anybody writes, far less than hurts.
const FILE_BYTES_MAX: usize = 1 << 20;

/// One `key = value` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its section.
    pub section: String,
    /// Its key in lower case.
    pub key: String,
    /// Its value without the blanks around it.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// Reads all entries in order.
///
/// # Errors
/// [`Kind::Invalid`] naming file and line: no section yet, no `=`, a key given twice.
pub fn read(path: &Path, text: &str) -> Result<Vec<Entry>, Fault> {
    let wrong = |line: usize, why: &'static str| {
        Fault::new(
            Kind::Invalid,
            message!("config.bad_line", file = path.display(), line = line, why = why),
        )
    };
    if text.len() > FILE_BYTES_MAX {
        return Err(wrong(1, "the file is larger than 1 MiB"));
    }
    let mut section: Option<String> = None;
    let mut entries: Vec<Entry> = Vec::new();
    let mut open = false;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let trimmed = raw.trim();
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
        if trimmed.is_empty() {
            open = false;
            continue;
        }
        if raw.starts_with([' ', '\t'])
            && open
            && let Some(entry) = entries.last_mut()
        {
            if !entry.value.is_empty() {
                entry.value.push('\n');
            }
            entry.value.push_str(trimmed);
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let name = rest.strip_suffix(']').ok_or_else(|| wrong(line, "a `]` is missing"))?;
            if name.trim().is_empty() {
                return Err(wrong(line, "the section has no name"));
            }
            section = Some(name.trim().to_owned());
            open = false;
            continue;
        }
        let (key, value) =
            trimmed.split_once(['=', ':']).ok_or_else(|| wrong(line, "a `=` is missing"))?;
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return Err(wrong(line, "the key is missing"));
        }
        let section =
            section.clone().ok_or_else(|| wrong(line, "no `[section]` stands above this line"))?;
        if entries.iter().any(|entry| entry.section == section && entry.key == key) {
            return Err(wrong(line, "this key was already given in this section"));
        }
        entries.push(Entry { section, key, value: value.trim().to_owned(), line });
        open = true;
    }
    Ok(entries)
}
