//! Which files an object consists of, with their bytes: what the mount shows, what `export_dir`
//! writes and what an archive carries. One function, so that they cannot differ.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::{attach, names, record as layout};
use kompira_schema::path::Name;
use kompira_schema::record::Element;
use kompira_schema::tree::Caller;
use kompira_schema::types::Format;
use kompira_schema::value::{FileValue, Value};

use crate::tree::{Attach, Content, Object, Passwords, RecordOptions, Stub, View};

/// How attachments are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attachments {
    /// As files of the companion directory.
    #[default]
    Companion,
    /// Inside the record.
    Inline,
    /// Named, without their bytes.
    Omit,
}

/// What the records show. The default is the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Display name, description, owner and permissions.
    pub properties: bool,
    /// Times of creation and update.
    pub times: bool,
    /// Attachments.
    pub attachments: Attachments,
    /// Password values.
    pub passwords: Passwords,
    /// References to what lies below it are relative.
    pub origin: ObjectId,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            properties: true,
            times: false,
            attachments: Attachments::Companion,
            passwords: Passwords::Encrypted,
            origin: ObjectId::ROOT,
        }
    }
}

/// The main file of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Main {
    /// A container: a directory.
    Dir,
    /// The representative field, or the attachment it was made from.
    Content {
        /// The bytes.
        content: Content,
        /// Whether they are text whose line ends an export may rewrite.
        text: bool,
    },
    /// The record itself.
    Record(String),
}

/// An object as files. Names are relative to the directory of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Name of the main file or directory.
    pub name: String,
    /// The main file.
    pub main: Main,
    /// Name and text of the record beside it.
    pub sidecar: Option<(String, String)>,
    /// Attachments as paths (`.NAME.files/…`) with their content.
    pub attachments: Vec<(String, FileValue)>,
    /// Permission bits of the main file.
    pub mode: u16,
}

/// Permission bits of a file that nobody gave any.
pub const MODE_FILE: u16 = 0o644;

/// The files of an object (rule: `files/objects`); the caller needs read.
///
/// # Errors
/// [`kompira_schema::error::Kind::NotFound`], [`kompira_schema::error::Kind::Denied`].
pub fn shown(view: &View, who: &Caller, id: ObjectId, options: &Options) -> Result<Shown, Fault> {
    let object = view.get(who, id)?;
    let stub = &object.stub;
    let name = Name::new(&stub.head.name)?;
    let suffix = stub.suffix.as_deref();
    let stem = names::stem(&name, suffix);
    let main = if stub.def.is_container() {
        Main::Dir
    } else if has_content(stub) {
        let text = stub.def.representative().is_some() && stub.def.file.format == Format::Text;
        Main::Content { content: view.content(who, id)?, text }
    } else {
        Main::Record(record_text(view, who, &object, options)?)
    };
    let sidecar = match main {
        Main::Record(_) => None,
        _ if !shows_record(view, who, stub)? => None,
        _ => Some((format!(".{stem}"), record_text(view, who, &object, options)?)),
    };
    let attachments = match options.attachments {
        Attachments::Companion => attachments(&object, &stem),
        Attachments::Inline | Attachments::Omit => Vec::new(),
    };
    let mode = if stub.head.mode == 0 { MODE_FILE } else { stub.head.mode };
    Ok(Shown { name: names::file_name(&name, suffix), main, sidecar, attachments, mode })
}

/// Whether the object's file is its content, and its record stands beside it.
fn has_content(stub: &Stub) -> bool {
    stub.def.representative().is_some() || stub.head.as_file
}

/// Whether an object that has content (or children) shows its record: always, but for a bare one
/// whose record says no more than making it anew would give (rule: `files/bare`).
///
/// # Errors
/// Failures of the store.
pub fn shows_record(view: &View, who: &Caller, stub: &Stub) -> Result<bool, Fault> {
    if !stub.bare {
        return Ok(true);
    }
    let _ = who;
    Ok(view.shows_record(&stub.head, &view.head(stub.head.parent)?))
}

/// The YAML text of an object's record.
///
/// # Errors
/// As [`shown`].
pub fn record_text(
    view: &View,
    who: &Caller,
    object: &Object,
    options: &Options,
) -> Result<String, Fault> {
    let stub = &object.stub;
    let name = Name::new(&stub.head.name)?;
    let stem = names::stem(&name, stub.suffix.as_deref());
    let attach = match options.attachments {
        Attachments::Companion => Attach::Companion(&stem),
        Attachments::Inline => Attach::Inline,
        Attachments::Omit => Attach::Omit,
    };
    let mut record = view.record(
        who,
        object.id(),
        RecordOptions {
            attach,
            passwords: options.passwords,
            origin: options.origin,
            content: false,
        },
    )?;
    record.name = (*stem != *name.as_str()).then(|| name.as_str().to_owned());
    let representative = stub.def.representative().map(|field| field.name.as_str());
    Ok(layout::to_yaml(
        &record,
        &layout::Options {
            properties: options.properties,
            times: options.times,
            name: name.as_str(),
            representative,
        },
    ))
}

/// Every attachment but the one that is the object's own file.
fn attachments(object: &Object, stem: &str) -> Vec<(String, FileValue)> {
    let stub = &object.stub;
    let own = stub.def.file.made_from_file.as_deref().filter(|_| stub.head.as_file);
    let mut found = Vec::new();
    for (field, value) in object.fields.iter().filter(|(field, _)| Some(field.as_str()) != own) {
        let mut take = |element: Option<Element<'_>>, value: &Value| {
            if let Value::File(file) = value {
                found.push((attach::path(stem, field, element, &file.name), file.clone()));
            }
        };
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    take(Some(Element::Index(index)), item);
                }
            }
            Value::Dict(items) => {
                for (key, item) in items {
                    take(Some(Element::Key(key)), item);
                }
            }
            single => take(None, single),
        }
    }
    found
}
