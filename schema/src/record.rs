//! The export record: an object as every exported form carries it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use jiff::Timestamp;

use crate::error::Message;
use crate::id::BlobHash;
use crate::message;
use crate::value::{Dict, FileValue, Ref, Value};

#[cfg(test)]
mod tests;

/// A user's entry.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(default)]
pub struct UserPermission {
    /// May read.
    pub readable: bool,
    /// May write.
    pub writable: bool,
    /// May execute.
    pub executable: bool,
}

/// A group's entry.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(default)]
pub struct GroupPermission {
    /// May read.
    pub readable: bool,
    /// May write.
    pub writable: bool,
    /// May execute.
    pub executable: bool,
    /// Of a user's groups, those with the highest priority count.
    pub priority: i64,
}

/// An object as exports, the mount and archives carry it (rule: `files/records`).
///
/// In `fields` and `data` a reference is its path as text, a Password its export text, and a File
/// the dictionary of [`Attachment::to_value`]: a record holds no identity of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Path relative to the export's origin, without leading `/`; JSON form only.
    pub path: Option<String>,
    /// The full name, when the file's stem is not it; directory form only.
    pub name: Option<String>,
    /// Path of the type object.
    pub type_object: String,
    /// Label; `None`: not recorded.
    pub display_name: Option<String>,
    /// Free text; `None`: not recorded.
    pub description: Option<String>,
    /// Name of the owner; `None`: not recorded.
    pub owner: Option<String>,
    /// By user name; `None`: not recorded, the container's are inherited.
    pub user_permissions: Option<IndexMap<String, UserPermission>>,
    /// By group name; `None`: not recorded, the container's are inherited.
    pub group_permissions: Option<IndexMap<String, GroupPermission>>,
    /// Time of creation.
    pub created: Option<Timestamp>,
    /// Time of the last update.
    pub updated: Option<Timestamp>,
    /// Fields in the order of the type; what is not here is absent.
    pub fields: Dict,
    /// Stored values of a Config.
    pub data: Option<Dict>,
    /// Properties of special objects; JSON form only.
    pub extra_properties: Option<Dict>,
    /// Keys that start with `x_`: kept, not understood.
    pub extensions: Dict,
}

impl Record {
    /// Puts permission entries into their order: users by name, groups by descending priority and
    /// name (rule: `files/records`).
    pub fn sort_permissions(&mut self) {
        if let Some(entries) = &mut self.user_permissions {
            entries.sort_keys();
        }
        if let Some(entries) = &mut self.group_permissions {
            entries.sort_by(|a, left, b, right| {
                right.priority.cmp(&left.priority).then_with(|| a.cmp(b))
            });
        }
    }
}

/// Where the bytes of an attachment are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// A file, relative to the directory that holds the record.
    Path(String),
    /// Here.
    Data(Vec<u8>),
    /// A member of the archive.
    Ref(String),
    /// Left out of the export.
    Omitted,
    /// The object's own file (made from a file), or what is already stored.
    Here,
}

/// A File value in a record (rule: `files/attachments`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name it was given.
    pub name: String,
    /// Bytes; optional on input.
    pub size: Option<u64>,
    /// Hash of the bytes; optional on input.
    pub blake3: Option<BlobHash>,
    /// Where the bytes are.
    pub carrier: Carrier,
}

impl Attachment {
    /// A stored file with its carrier.
    #[must_use]
    pub fn of(file: &FileValue, carrier: Carrier) -> Self {
        Self { name: file.name.clone(), size: Some(file.size), blake3: Some(file.hash), carrier }
    }

    /// `{name, size, blake3, path|data|ref|omitted}`, what is unknown left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut dict = Dict::new();
        dict.insert("name".to_owned(), Value::from(self.name.as_str()));
        if let Some(size) = self.size.and_then(|size| i64::try_from(size).ok()) {
            dict.insert("size".to_owned(), Value::Int(size));
        }
        if let Some(hash) = &self.blake3 {
            dict.insert("blake3".to_owned(), Value::from(hash.to_string()));
        }
        match &self.carrier {
            Carrier::Path(path) => dict.insert("path".to_owned(), Value::from(path.as_str())),
            Carrier::Data(data) => dict.insert("data".to_owned(), Value::Bytes(data.clone())),
            Carrier::Ref(member) => dict.insert("ref".to_owned(), Value::from(member.as_str())),
            Carrier::Omitted => dict.insert("omitted".to_owned(), Value::Bool(true)),
            Carrier::Here => None,
        };
        Value::Dict(dict)
    }

    /// Reads what [`Attachment::to_value`] wrote, or a client's `{"name", "data"}`; `data` is
    /// bytes or BASE64 text.
    ///
    /// # Errors
    /// What is wrong, as a message.
    pub fn from_value(value: &Value) -> Result<Self, Message> {
        let Value::Dict(dict) = value else {
            return Err(message!("file.not_a_file", found = value.type_name()));
        };
        let name = match dict.get("name") {
            Some(Value::Str(name)) => name.clone(),
            _ => return Err(message!("file.no_name")),
        };
        let size = match dict.get("size") {
            None | Some(Value::Null) => None,
            Some(Value::Int(size)) => {
                Some(u64::try_from(*size).map_err(|_| message!("file.bad_size"))?)
            }
            Some(_) => return Err(message!("file.bad_size")),
        };
        let blake3 = match dict.get("blake3") {
            None | Some(Value::Null) => None,
            Some(Value::Str(hash)) => {
                Some(BlobHash::from_hex(hash).ok_or_else(|| message!("file.bad_hash"))?)
            }
            Some(_) => return Err(message!("file.bad_hash")),
        };
        let mut carriers = Vec::new();
        for (key, value) in dict {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("path", Value::Str(path)) => carriers.push(Carrier::Path(path.clone())),
                ("ref", Value::Str(member)) => carriers.push(Carrier::Ref(member.clone())),
                ("omitted", Value::Bool(true)) => carriers.push(Carrier::Omitted),
                ("omitted", Value::Bool(false)) => {}
                ("data", Value::Bytes(data)) => carriers.push(Carrier::Data(data.clone())),
                ("data", Value::Str(text)) => {
                    carriers.push(Carrier::Data(base64_bytes(text).ok_or_else(|| {
                        message!(
                            "field.not_base64",
                            text = text.chars().take(80).collect::<String>()
                        )
                    })?))
                }
                ("path" | "ref" | "omitted" | "data", _) => {
                    return Err(message!("file.bad_carrier", key = key));
                }
                _ => {}
            }
        }
        let carrier = match carriers.len() {
            0 => Carrier::Here,
            1 => carriers.swap_remove(0),
            _ => return Err(message!("file.two_carriers")),
        };
        Ok(Self { name, size, blake3, carrier })
    }
}

/// BASE64 with padding; white space anywhere is ignored (YAML blocks have line breaks).
#[must_use]
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        STANDARD.decode(text).ok()
    } else {
        STANDARD.decode(text).ok()
    }
}

/// BASE64 with padding, in one line.
#[must_use]
pub fn base64_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What a record writes instead of what only the store knows.
pub trait Render {
    /// The path (or `user:NAME`) of a reference; `None` when its target is gone.
    fn reference(&mut self, target: Ref) -> Option<String>;
    /// The export text of a sealed Password; null to leave it out.
    fn password(&mut self, sealed: &[u8]) -> Value;
    /// An attachment at `at`: its field, then its index or key.
    fn file(&mut self, at: (&str, Option<Element<'_>>), file: &FileValue) -> Value;
}

/// Which element of an array or dictionary field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// Of an array, from 0.
    Index(usize),
    /// Of a dictionary.
    Key(&'a str),
}

/// The value of `field` as a record carries it.
#[must_use]
pub fn render(field: &str, value: &Value, with: &mut dyn Render) -> Value {
    match value {
        Value::Array(list) => Value::Array(
            list.iter()
                .enumerate()
                .map(|(index, item)| one(field, Some(Element::Index(index)), item, with))
                .collect(),
        ),
        Value::Dict(dict) => Value::Dict(
            dict.iter()
                .map(|(key, item)| (key.clone(), one(field, Some(Element::Key(key)), item, with)))
                .collect(),
        ),
        _ => one(field, None, value, with),
    }
}

fn one(field: &str, element: Option<Element<'_>>, value: &Value, with: &mut dyn Render) -> Value {
    match value {
        Value::Object(target) => with.reference(*target).map_or(Value::Null, Value::Str),
        Value::Sealed(sealed) => with.password(sealed),
        Value::File(file) => with.file((field, element), file),
        // Deeper values (settings data) hold no attachments of their own place.
        Value::Array(list) => {
            Value::Array(list.iter().map(|item| one(field, element, item, with)).collect())
        }
        Value::Dict(dict) => Value::Dict(
            dict.iter().map(|(key, item)| (key.clone(), one(field, element, item, with))).collect(),
        ),
        plain => plain.clone(),
    }
}
