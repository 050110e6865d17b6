//! What a file becomes: the creation rule with its type found (rule: `files/creation`).

use std::sync::Arc;

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names::{self, Made};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::record::Record;
use kompira_schema::tree::Caller;
use kompira_schema::types::{Container, TypeDef};
use kompira_schema::value::{Dict, Ref, Value};

use super::ask::{Ask, invalid};
use super::record::{is_record, record_text};
use crate::auth::User;
use crate::tree::EntryKind;

/// What a new file becomes, with its type found.
pub(super) enum Plan {
    /// An object with the bytes as its file.
    Content { type_id: ObjectId, fields: Dict },
    /// An object whose file is this record.
    Yaml(Box<Record>),
}

impl Ask<'_> {
    /// For a bare object whose new content makes it something else: what.
    pub(super) fn other_plan(
        &self,
        id: ObjectId,
        bytes: Option<&Bytes>,
    ) -> Result<Option<Plan>, Fault> {
        let Some(entry) = self.view.entry(id)? else { return Ok(None) };
        if entry.kind != EntryKind::Bare {
            return Ok(None);
        }
        let dir = self.view.head(id)?.parent;
        if self.table_type(dir)?.is_some() {
            return Ok(None);
        }
        let plan = self.plan(dir, entry.suffix.as_deref(), bytes)?;
        Ok(match &plan {
            Plan::Content { type_id, .. } if *type_id == entry.type_id => None,
            _ => Some(plan),
        })
    }

    /// The type that a Table prescribes; `None` for another directory.
    pub(super) fn table_type(&self, dir: ObjectId) -> Result<Option<ObjectId>, Fault> {
        let def = self.view.type_of(dir)?;
        let Container::OfTypeIn(field) = &def.container else { return Ok(None) };
        let root = Caller { user: User::ROOT, ..self.who.clone() };
        let table = self.view.get(&root, dir)?;
        match self.view.field(&table, field).as_deref() {
            Some(Value::Object(Ref::Object(id))) => Ok(Some(*id)),
            _ => Err(Fault::new(Kind::WrongType, message!("files.table_without_type"))),
        }
    }

    /// The creation rule with its type found (rule: `files/creation`).
    pub(super) fn plan(
        &self,
        dir: ObjectId,
        suffix: Option<&str>,
        bytes: Option<&Bytes>,
    ) -> Result<Plan, Fault> {
        if let Some(type_id) = self.table_type(dir)? {
            let def = self.view.type_def(type_id)?;
            if def.file.representative.is_some() || def.file.made_from_file.is_some() {
                return Ok(Plan::Content { type_id, fields: given_fields(&def, suffix) });
            }
            let bytes = bytes.ok_or_else(invalid)?;
            let path = self.view.path_of(type_id).ok_or_else(invalid)?;
            return Ok(Plan::Yaml(Box::new(record_text(bytes, Some(path.as_str()))?)));
        }
        let made = match bytes {
            None => Made::Attached,
            Some(bytes) => names::rule(false, suffix, &self.files.suffixes, bytes, |bytes| {
                is_record(bytes, suffix)
            }),
        };
        let name = match made {
            Made::Record => {
                let bytes = bytes.ok_or_else(invalid)?;
                return Ok(Plan::Yaml(Box::new(record_text(bytes, None)?)));
            }
            Made::Type(name) => name,
            Made::Attached | Made::TableType => "AttachedFile".to_owned(),
        };
        let type_id = self.view.builtin(&name).ok_or_else(|| Fault::internal("a type is gone"))?;
        let def = self.view.type_def(type_id)?;
        Ok(Plan::Content { type_id, fields: given_fields(&def, suffix) })
    }

    /// The type that a record names.
    pub(super) fn typed(&self, record: &Record) -> Result<(ObjectId, Arc<TypeDef>), Fault> {
        self.view.type_by_path(&ObjectPath::parse(&record.type_object)?)
    }
}

/// Fields that follow from the suffix of the file.
fn given_fields(def: &TypeDef, suffix: Option<&str>) -> Dict {
    let mut fields = Dict::new();
    let Some(suffix) = suffix else { return fields };
    if let Some(field) = &def.file.suffix_from {
        fields.insert(field.clone(), Value::from(suffix));
    }
    if def.is_builtin("Wiki") {
        let style = match suffix.to_ascii_lowercase().as_str() {
            "md" => Some("Markdown"),
            "textile" => Some("Textile"),
            "creole" => Some("Creole"),
            _ => None,
        };
        if let Some(style) = style {
            fields.insert("style".to_owned(), Value::from(style));
        }
    }
    fields
}
