//! What a URL path names: an object path, a dotted method, what follows it.
//!
//! A path is decoded exactly once and then judged as names; nothing that is not a legal name can
//! reach the tree, so no spelling of `..` means anything (rule: http/paths).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath, PATH_CHARS_MAX};
use percent_encoding::percent_decode_str;

/// A URL path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The object.
    pub path: ObjectPath,
    /// What follows the first dot of the last name: `execute` of `/app/flow.execute`.
    pub method: Option<String>,
    /// Segments after the method; only `.attachments` takes any.
    pub rest: Vec<String>,
}

/// Most bytes of a raw URL path: each character of the longest object path as four
/// percent-encoded bytes, and as much again for an attachment's field and key.
pub const RAW_BYTES_MAX: usize = PATH_CHARS_MAX * 12 * 2;

/// The one method whose name has a dot (rule: http/phrases).
const PHRASES: &str = "jsi18n.js";

impl Target {
    /// The root object.
    #[must_use]
    pub fn root() -> Self {
        Self { path: ObjectPath::root(), method: None, rest: Vec::new() }
    }

    /// Takes apart the raw (still percent-encoded) path of a URL.
    ///
    /// # Errors
    /// [`Kind::BadRequest`] for a broken escape or bytes that are not UTF-8, [`Kind::NotFound`]
    /// for anything that can be no object, [`Kind::NameTooLong`] over the length limits.
    pub fn parse(raw: &str) -> Result<Self, Fault> {
        if raw.len() > RAW_BYTES_MAX {
            return Err(Fault::new(Kind::NameTooLong, message!("http.path_too_long")));
        }
        let mut path = ObjectPath::root();
        let mut segments = raw.split('/').filter(|segment| !segment.is_empty());
        while let Some(raw) = segments.next() {
            let segment = decode(raw)?;
            let (name, method) = match segment.split_once('.') {
                None => (segment.as_str(), None),
                Some((name, method)) => (name, Some(method.to_owned())),
            };
            let root_method = name.is_empty() && method.is_some() && path.is_root();
            if !root_method {
                path = path.join(&legal(name)?)?;
            }
            let Some(method) = method else { continue };
            let rest = segments.map(decode).collect::<Result<Vec<_>, _>>()?;
            let word = !method.is_empty() && method.chars().all(|c| c.is_alphanumeric())
                || root_method && method == PHRASES;
            if !word || (!rest.is_empty() && method != "attachments") {
                return Err(nothing());
            }
            return Ok(Self { path, method: Some(method), rest });
        }
        Ok(Self { path, method: None, rest: Vec::new() })
    }

    /// The names of the path, for a look at the virtual roots.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.path.names().collect()
    }
}

fn nothing() -> Fault {
    Fault::new(Kind::NotFound, message!("http.nothing_there"))
}

fn legal(text: &str) -> Result<Name, Fault> {
    Name::new(text).map_err(|fault| match fault.kind() {
        Kind::NameTooLong => fault,
        _ => nothing(),
    })
}

/// Decodes one segment once.
fn decode(raw: &str) -> Result<String, Fault> {
    let bad = || Fault::new(Kind::BadRequest, message!("http.bad_escape", segment = raw));
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let two = rest.get(at + 1..at + 3).ok_or_else(bad)?;
        if !two.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad());
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| bad())?;
    if text.contains(['/', '\0', '\\']) || text.chars().any(char::is_control) {
        return Err(nothing());
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests;
