//! Objects as export records.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::attach;
use kompira_schema::layout::yaml::{Node, emit};
use kompira_schema::record::{
    Attachment, Carrier, Element, GroupPermission, Record, Render, UserPermission, render,
};
use kompira_schema::tree::Caller;
use kompira_schema::types::Access;
use kompira_schema::value::{Dict, FileValue, Ref, Value};

use super::View;
use crate::secrets::Place;
use crate::tree::model::Object;
use crate::tree::value::DATA;

/// Where a record says the bytes of attachments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attach<'a> {
    /// Nowhere.
    #[default]
    Omit,
    /// In the companion directory of this stem.
    Companion(&'a str),
    /// In the record.
    Inline,
    /// Archive members `attachments/HASH`.
    Ref,
}

/// How a record writes passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passwords {
    /// Encrypted with the key in use; the same value always gives the same text.
    #[default]
    Encrypted,
    /// Clear: the caller has made sure who asks.
    Plain,
    /// Null.
    Omit,
}

/// How a record is rendered. The layout decides which of its parts a file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOptions<'a> {
    /// Attachments.
    pub attach: Attach<'a>,
    /// Passwords.
    pub passwords: Passwords,
    /// References to what lies below are relative to it.
    pub origin: ObjectId,
    /// With the representative field.
    pub content: bool,
}

impl Default for RecordOptions<'_> {
    fn default() -> Self {
        Self {
            attach: Attach::Omit,
            passwords: Passwords::Encrypted,
            origin: ObjectId::ROOT,
            content: true,
        }
    }
}

impl View {
    /// The export record: references as paths, passwords as export text; the caller needs read
    /// (and write for passwords: without it they are null).
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Denied`].
    pub fn record(
        &self,
        who: &Caller,
        id: ObjectId,
        options: RecordOptions<'_>,
    ) -> Result<Record, Fault> {
        let head = self.object_head(id)?;
        self.need_of(who, &head, |access| access.read, "read")?;
        let object = self.stored_object(who, head)?;
        self.record_of(&object, options)
    }

    /// As [`View::get`], but with the values of a Config as they are stored.
    fn stored_object(&self, who: &Caller, head: crate::tree::Head) -> Result<Object, Fault> {
        let body = self.body_of(head.id)?;
        let data = body.field(DATA).cloned();
        let mut object = self.object(who, head)?;
        if let Some(shown) = &mut object.data {
            match data {
                Some(Value::Dict(stored)) => shown.retain(|key, _| stored.contains_key(key)),
                _ => shown.clear(),
            }
        }
        Ok(object)
    }

    /// As [`View::record`], for an object at hand.
    ///
    /// # Errors
    /// Failures of the store; a password of another key.
    pub fn record_of(&self, object: &Object, options: RecordOptions<'_>) -> Result<Record, Fault> {
        let stub = &object.stub;
        let mut with = Renderer {
            view: self,
            object,
            options,
            origin: if options.origin == ObjectId::ROOT {
                None
            } else {
                self.path_of(options.origin).map(|path| path.to_string())
            },
            at: String::new(),
            failed: Ok(()),
        };
        let representative = stub.def.representative().map(|field| field.name.as_str());
        let mut fields = Dict::new();
        for field in stub.def.fields() {
            let skipped = field.access == Access::System
                || (!options.content && representative == Some(field.name.as_str()));
            if let Some(value) = object.fields.get(&field.name).filter(|_| !skipped) {
                fields.insert(field.name.clone(), with.whole(&field.name, value));
            }
        }
        let data = object.data.as_ref().map(|data| {
            data.iter()
                .map(|(key, value)| {
                    let at = format!("data.{key}");
                    (key.clone(), with.whole(&at, value))
                })
                .collect()
        });
        let type_object = with.text_of(Ref::Object(stub.head.type_id)).unwrap_or_default();
        with.failed?;
        let mut record = Record {
            type_object,
            display_name: Some(stub.display_name.clone()),
            description: Some(stub.description.clone()),
            owner: Some(self.user_name(stub.head.owner)),
            user_permissions: Some(
                stub.acl
                    .users
                    .iter()
                    .filter_map(|entry| {
                        let permission = UserPermission {
                            readable: entry.rights.read,
                            writable: entry.rights.write,
                            executable: entry.rights.execute,
                        };
                        Some((self.user(entry.user)?.username.clone(), permission))
                    })
                    .collect(),
            ),
            group_permissions: Some(
                stub.acl
                    .groups
                    .iter()
                    .filter_map(|entry| {
                        let permission = GroupPermission {
                            readable: entry.rights.read,
                            writable: entry.rights.write,
                            executable: entry.rights.execute,
                            priority: entry.priority,
                        };
                        Some((self.group(entry.group)?.name.clone(), permission))
                    })
                    .collect(),
            ),
            created: Some(stub.head.created),
            updated: Some(stub.head.updated),
            fields,
            data,
            ..Record::default()
        };
        record.sort_permissions();
        Ok(record)
    }

    /// The text of a reference: a path, `user:NAME`, `group:NAME`; `None` when it is gone.
    #[must_use]
    pub fn reference_text(&self, target: Ref) -> Option<String> {
        match target {
            Ref::Object(id) => self.path_of(id).map(|path| path.to_string()),
            Ref::User(id) => self.user(id).map(|user| format!("user:{}", user.username)),
            Ref::Group(id) => self.group(id).map(|group| format!("group:{}", group.name)),
            Ref::Process(id) => Some(format!("/process/id_{id}")),
            Ref::Schedule(id) => Some(format!("/scheduler/id_{id}")),
            Ref::Task(id) => Some(format!("/task/id_{id}")),
            Ref::Incident(id) => Some(format!("/incident/id_{id}")),
        }
    }

    /// The path of a reference as HTTP and the language show it; `None` when it is gone.
    #[must_use]
    pub fn reference_path(&self, target: Ref) -> Option<String> {
        match target {
            Ref::User(id) => self.user(id).map(|_| format!("/config/user/id_{id}")),
            Ref::Group(id) => self.group(id).map(|_| format!("/config/group/id_{id}")),
            other => self.reference_text(other),
        }
    }
}

struct Renderer<'a> {
    view: &'a View,
    object: &'a Object,
    options: RecordOptions<'a>,
    origin: Option<String>,
    /// The field that is rendered.
    at: String,
    failed: Result<(), Fault>,
}

impl Renderer<'_> {
    /// A field, element by element, so that a password knows its place.
    fn whole(&mut self, field: &str, value: &Value) -> Value {
        let mut one = |at: String, value: &Value| {
            self.at = at;
            render(field, value, self)
        };
        match value {
            Value::Array(items) if has_secret(items.iter()) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| one(format!("{field}[{i}]"), item))
                    .collect(),
            ),
            Value::Dict(items) if has_secret(items.values()) => Value::Dict(
                items
                    .iter()
                    .map(|(key, item)| (key.clone(), one(format!("{field}[{key}]"), item)))
                    .collect(),
            ),
            value => one(field.to_owned(), value),
        }
    }

    fn text_of(&self, target: Ref) -> Option<String> {
        let text = self.view.reference_text(target)?;
        let below = self.origin.as_deref().and_then(|origin| text.strip_prefix(origin));
        match below.and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => Some(rest.to_owned()),
            None => Some(text),
        }
    }

    fn open(&self, sealed: &[u8]) -> Result<Value, Fault> {
        let place = Place { object: self.object.id(), field: &self.at };
        let keys = &self.view.inner.keys;
        let clear = keys.open(sealed, place)?;
        Ok(match self.options.passwords {
            Passwords::Omit => Value::Null,
            // A clear text that looks like an export text is marked as clear.
            Passwords::Plain if crate::secrets::Keys::is_exported(&clear) => {
                Value::Dict(Dict::from_iter([("plain".to_owned(), Value::from(clear.as_str()))]))
            }
            Passwords::Plain => Value::from(clear.as_str()),
            Passwords::Encrypted => {
                Value::from(keys.export(&clear, &self.object.stub.path, &self.at)?)
            }
        })
    }
}

fn has_secret<'a>(mut values: impl Iterator<Item = &'a Value>) -> bool {
    values.any(|value| matches!(value, Value::Sealed(_)))
}

impl Render for Renderer<'_> {
    fn reference(&mut self, target: Ref) -> Option<String> {
        self.text_of(target)
    }

    fn password(&mut self, sealed: &[u8]) -> Value {
        if !self.object.stub.access.write || self.options.passwords == Passwords::Omit {
            return Value::Null;
        }
        self.open(sealed).unwrap_or_else(|fault| {
            if self.failed.is_ok() {
                self.failed = Err(fault);
            }
            Value::Null
        })
    }

    fn file(&mut self, at: (&str, Option<Element<'_>>), file: &FileValue) -> Value {
        let own = self.object.stub.def.file.made_from_file.as_deref() == Some(at.0);
        if own
            && self.object.stub.head.as_file
            && matches!(self.options.attach, Attach::Companion(_))
        {
            let name = Dict::from_iter([("name".to_owned(), Value::from(file.name.as_str()))]);
            return Value::Dict(name);
        }
        let carrier = match self.options.attach {
            Attach::Omit => Carrier::Omitted,
            Attach::Companion(stem) => Carrier::Path(attach::path(stem, at.0, at.1, &file.name)),
            Attach::Ref => Carrier::Ref(format!("attachments/{}", file.hash)),
            Attach::Inline => {
                let size = usize::try_from(file.size).unwrap_or(usize::MAX);
                match self.view.blob_read(file.hash, 0, size) {
                    Ok(bytes) => Carrier::Data(bytes.to_vec()),
                    Err(fault) => {
                        self.failed = Err(fault);
                        Carrier::Omitted
                    }
                }
            }
        };
        Attachment::of(file, carrier).to_value()
    }
}

/// A representative dictionary as its YAML file.
pub(super) fn map_text(view: &View, map: &Dict) -> Result<String, Fault> {
    let shown = map.iter().map(|(key, value)| {
        let shown = match value {
            Value::Object(target) => view.reference_text(*target).map_or(Value::Null, Value::Str),
            other => other.clone(),
        };
        (key.clone(), shown)
    });
    Ok(emit(&Node::from(&Value::Dict(shown.collect()))))
}
