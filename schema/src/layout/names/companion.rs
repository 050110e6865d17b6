//! File names inside a companion directory: attachments may have any name, files may not.

use super::{FILE_NAME_BYTES_MAX, short};

/// Most bytes of an escaped name before it is cut. Source: operations, attachments.
const ESCAPED_BYTES_MAX: usize = 200;

/// The file name of an attachment named `name`, or the directory of a dictionary's key
/// (rule: `files/attachments`).
///
/// `/`, `%`, control characters and a leading dot become `%XX`; a longer text is cut and carries
/// 16 hexadecimal digits of its hash before the last extension. What the name really is stands in
/// the record.
#[must_use]
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        if c == '/' || c == '%' || c < ' ' || c == '\x7f' || (c == '.' && at == 0) {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    if out.is_empty() {
        return "%00".to_owned();
    }
    if out.len() > ESCAPED_BYTES_MAX { cut(&out, name) } else { out }
}

fn cut(escaped: &str, name: &str) -> String {
    let digits = short::digits(name);
    let (stem, ending) = match escaped.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 32 => {
            (stem, format!(".{ending}"))
        }
        _ => (escaped, String::new()),
    };
    let mut end = stem.len().min(ESCAPED_BYTES_MAX - digits.len() - 1 - ending.len());
    while !stem.is_char_boundary(end) || cuts_escape(stem, end) {
        end -= 1;
    }
    debug_assert!(end + digits.len() + 1 + ending.len() <= FILE_NAME_BYTES_MAX, "it fits");
    format!("{}~{digits}{ending}", &stem[..end])
}

/// Whether a cut at `end` would leave half of a `%XX`.
fn cuts_escape(text: &str, end: usize) -> bool {
    end < text.len() && text.as_bytes()[end.saturating_sub(2)..end].contains(&b'%')
}

/// The name a person gave when they wrote a file of this name: undoes `%XX`.
#[must_use]
pub fn unescape(file: &str) -> String {
    let mut out = Vec::with_capacity(file.len());
    let bytes = file.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| file.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(0) => at += 3,
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| file.to_owned())
}
