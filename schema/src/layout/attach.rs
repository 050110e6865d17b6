//! Names of companion files: where the attachments of an object lie beside it.

use crate::limits::ATTACHMENT_FILE_MAX;
use crate::record::Element;

/// Name of an object's companion directory.
#[must_use]
pub fn companion(stem: &str) -> String {
    format!(".{stem}.files")
}

/// Path of an attachment's file below the directory that holds the record
/// (rule: `files/companions`).
#[must_use]
pub fn path(stem: &str, field: &str, element: Option<Element<'_>>, name: &str) -> String {
    format!("{}/{}", companion(stem), inside(field, element, name))
}

/// Path of an attachment's file inside the companion directory: `FIELD/FILE`,
/// `FIELD/NNNN/FILE` or `FIELD/KEY/FILE`.
#[must_use]
pub fn inside(field: &str, element: Option<Element<'_>>, name: &str) -> String {
    let file = file_name(name);
    match element {
        None => format!("{field}/{file}"),
        Some(Element::Index(index)) => format!("{field}/{index:04}/{file}"),
        Some(Element::Key(key)) => format!("{field}/{}/{file}", file_name(key)),
    }
}

/// A file name or key as a file name: `/`, `%`, control bytes and a leading `.` percent-escaped,
/// cut to 200 bytes with a hash before the last extension (rule: `files/companions`). An empty
/// one is `%`, which nothing else escapes to.
#[must_use]
pub fn file_name(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.char_indices() {
        let escape = matches!(c, '/' | '%' | '\u{0}'..='\u{1f}' | '\u{7f}') || (index == 0 && c == '.');
        if escape {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    if out.len() <= ATTACHMENT_FILE_MAX {
        return out;
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let mark = format!("~{}", hash.get(..16).unwrap_or_default());
    // An extension longer than this is no extension but text after a dot.
    let extension = out
        .rfind('.')
        .filter(|&at| at > 0 && out.len() - at <= 33)
        .map(|at| out.split_off(at))
        .unwrap_or_default();
    let room = ATTACHMENT_FILE_MAX - mark.len() - extension.len();
    let mut cut = room.min(out.len());
    while !out.is_char_boundary(cut) {
        cut -= 1;
    }
    // Never through the middle of an escape.
    if let Some(at) = out.get(cut.saturating_sub(2)..cut).and_then(|tail| tail.find('%')) {
        cut = cut.saturating_sub(2) + at;
    }
    out.truncate(cut);
    format!("{out}{mark}{extension}")
}

/// The text that [`file_name`] escaped, when it was not cut. Broken escapes stay as they are.
#[must_use]
pub fn unescape(name: &str) -> String {
    if name == "%" {
        return String::new();
    }
    let mut out = Vec::with_capacity(name.len());
    let bytes = name.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = (byte == b'%')
            .then(|| name.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| name.to_owned())
}

/// Whether the `path` of a record stays inside its companion directory: relative, no `..`, no
/// empty element.
#[must_use]
pub fn is_inside(stem: &str, path: &str) -> bool {
    path.strip_prefix(&companion(stem)).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| {
        rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
    })
}
