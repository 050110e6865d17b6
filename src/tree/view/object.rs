//! Objects with their fields, and nodes as bytes.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Zoned;
use jiff::tz::TimeZone;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::types::{Format, TypeDef};
use kompira_schema::validate::{fits, reread};
use kompira_schema::value::{Dict, Ref, Value};
use zeroize::Zeroizing;

use super::View;
use crate::secrets::Place;
use crate::store::{Body, Family, StoreError, keys};
use crate::tree::model::{Content, Entry, Head, Object, Stub};
use crate::tree::{fault, value};

impl View {
    /// An object with its fields; the caller needs read.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Denied`].
    pub fn get(&self, who: &Caller, id: ObjectId) -> Result<Object, Fault> {
        let head = self.object_head(id)?;
        self.need_of(who, &head, |access| access.read, "read")?;
        self.object(who, head)
    }

    /// What is wrong with a jobflow, as `kompira check` shows it, or why a library does not load;
    /// `None` for one that can be run and for other objects. The caller needs read (rules:
    /// `language/errors`, `tree/libraries`).
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Denied`].
    pub fn compile_report(&self, who: &Caller, id: ObjectId) -> Result<Option<String>, Fault> {
        let object = self.get(who, id)?;
        if self.library_of(&object).is_some() {
            return Ok(match (object.fields.get("executable"), object.fields.get("document")) {
                (Some(Value::Bool(false)), Some(Value::Str(why))) => Some(why.clone()),
                _ => None,
            });
        }
        let broken =
            matches!(object.fields.get("errors"), Some(Value::Dict(errors)) if !errors.is_empty());
        let Some(Value::Str(source)) = object.fields.get("source").filter(|_| broken) else {
            return Ok(None);
        };
        Ok(Some(self.inner.options.compiler.report(source, &object.stub.path)))
    }

    /// An object without its fields; anyone may see it.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub fn stub(&self, who: &Caller, id: ObjectId) -> Result<Stub, Fault> {
        let head = self.object_head(id)?;
        let body = self.body_of(id)?;
        self.stub_of(who, head, &body)
    }

    pub(in crate::tree) fn object_head(&self, id: ObjectId) -> Result<Head, Fault> {
        self.head_if(id)?.filter(Head::is_object).ok_or_else(|| fault::gone(id))
    }

    pub(in crate::tree) fn body_of(&self, id: ObjectId) -> Result<Body, Fault> {
        Ok(self.body(id)?.ok_or_else(|| StoreError::corrupt(format!("object {id} has no body")))?)
    }

    fn stub_of(&self, who: &Caller, head: Head, body: &Body) -> Result<Stub, Fault> {
        let entry = self.entry_of(&head)?;
        let access = self.access_of(who, &head)?;
        Ok(Stub {
            path: self.path_text(&head),
            def: self.type_def(head.type_id)?,
            type_path: self.type_path(head.type_id),
            // An empty one is the name, so that a rename need not write the body.
            display_name: if body.display_name.is_empty() {
                head.name.clone()
            } else {
                body.display_name.clone()
            },
            description: body.description.clone(),
            acl: self.acl(head.acl)?,
            access,
            suffix: entry.as_ref().and_then(|entry| entry.suffix.clone()),
            bare: entry.is_some_and(|entry| entry.kind == crate::store::EntryKind::Bare),
            head,
        })
    }

    /// An object for a header at hand; no permission is asked.
    pub(in crate::tree) fn object(&self, who: &Caller, head: Head) -> Result<Object, Fault> {
        let body = self.body_of(head.id)?;
        let mut object = self.object_of(who, head, body)?;
        let behaviour = self.inner.types.behaviour(object.stub.head.type_id);
        behaviour.after_read(self, &mut object)?;
        Ok(object)
    }

    /// An object of these rows, without what lives outside of them.
    pub(super) fn object_of(&self, who: &Caller, head: Head, body: Body) -> Result<Object, Fault> {
        let stub = self.stub_of(who, head, &body)?;
        let behaviour = self.inner.types.behaviour(stub.head.type_id);
        if !behaviour.shows_rows_alone() {
            self.not_to_be_kept();
        }
        let data = behaviour.has_data().then(|| self.data(&stub, &body));
        let fields = self.decode(&stub.def, body)?;
        Ok(Object { stub, fields, data })
    }

    /// Whether objects of a type hold values by their own definition, besides their fields.
    #[must_use]
    pub fn has_data(&self, type_id: ObjectId) -> bool {
        self.inner.types.behaviour(type_id).has_data()
    }

    /// Fields as the present type shows them (rule: `tree/type-changes`).
    pub(in crate::tree) fn decode(&self, def: &TypeDef, body: Body) -> Result<Dict, Fault> {
        let mut stored = value::fields_of(body);
        let mut fields = Dict::with_capacity(stored.len());
        for field in def.fields() {
            let Some(kept) = stored.swap_remove(&field.name) else { continue };
            let mut shown = if fits(&field.field_type, &kept) {
                kept
            } else {
                // Text such as "today" means another moment each time.
                self.not_to_be_kept();
                reread(&field.field_type, &kept, &self.zoned_now())
            };
            self.clear_dangling(&mut shown)?;
            fields.insert(field.name.clone(), shown);
        }
        Ok(fields)
    }

    pub(in crate::tree) fn clear_dangling(&self, shown: &mut Value) -> Result<(), Fault> {
        let mut failed = Ok(());
        value::clear_dangling(shown, &mut |target| match self.is_alive(target) {
            Ok(alive) => alive,
            Err(fault) => {
                failed = Err(fault);
                true
            }
        });
        failed
    }

    fn is_alive(&self, target: Ref) -> Result<bool, Fault> {
        let there = |family, id| Ok(self.reads.get(family, &keys::number(id))?.is_some());
        match target {
            Ref::Object(id) => Ok(self.head_if(id)?.is_some_and(|head| head.is_object())),
            Ref::User(id) => Ok(self.principals()?.user(id).is_some()),
            Ref::Group(id) => Ok(self.principals()?.group(id).is_some()),
            Ref::Process(id) => there(Family::Process, id.0),
            Ref::Schedule(_) | Ref::Task(_) | Ref::Incident(_) => {
                Ok(self.reads.get(Family::Special, &keys::reference(target))?.is_some())
            }
        }
    }

    /// The values of a Config: declared keys alone, with their defaults.
    fn data(&self, stub: &Stub, body: &Body) -> Dict {
        let now = self.zoned_now();
        let stored = value::data_of(body);
        let fields = value::fields_of(body.clone());
        let def = value::definition(&stub.head.name, &fields);
        let mut data = Dict::new();
        for field in def.fields() {
            let mut shown = match stored.get(&field.name) {
                Some(kept) => reread(&field.field_type, kept, &now),
                None => self.resolve_default(value::initial(field, &now), field),
            };
            if self.clear_dangling(&mut shown).is_err() {
                shown = Value::Null;
            }
            data.insert(field.name.clone(), shown);
        }
        data
    }

    /// A default of an Object field is path text: the reference it means.
    pub(in crate::tree) fn resolve_default(
        &self,
        default: Value,
        def: &kompira_schema::types::FieldDef,
    ) -> Value {
        if def.field_type.shape.elem() != kompira_schema::field::Elem::Object {
            return default;
        }
        match default {
            Value::Str(text) => self
                .resolve_from(ObjectId::ROOT, &text)
                .map_or(Value::Null, |id| Value::Object(Ref::Object(id))),
            Value::Array(items) => Value::Array(
                items.into_iter().map(|item| self.resolve_default(item, def)).collect(),
            ),
            Value::Dict(items) => Value::Dict(
                items
                    .into_iter()
                    .map(|(key, item)| (key, self.resolve_default(item, def)))
                    .collect(),
            ),
            other => other,
        }
    }

    /// The value of a field: stored, else its default, else the empty value of its type; `None`
    /// when the type has no such field.
    #[must_use]
    pub fn field<'a>(&self, object: &'a Object, name: &str) -> Option<Cow<'a, Value>> {
        if let Some(stored) = object.fields.get(name) {
            return Some(Cow::Borrowed(stored));
        }
        let def = object.stub.def.field(name)?;
        // Relative defaults ("today") are those of the object's creation.
        let then = object.stub.head.created.to_zoned(self.zone());
        Some(Cow::Owned(self.resolve_default(value::initial(def, &then), def)))
    }

    /// Bytes of the node as a file: representative field, the attachment it was made from, or
    /// scratch content; the caller needs read.
    ///
    /// # Errors
    /// [`Kind::NoMethod`] for an object that is shown as a whole record.
    pub fn content(&self, who: &Caller, id: ObjectId) -> Result<Content, Fault> {
        let head = self.head(id)?;
        self.need_of(who, &head, |access| access.read, "read")?;
        let body = self.body_of(id)?;
        self.content_of(&head, &body)
    }

    pub(in crate::tree) fn content_of(&self, head: &Head, body: &Body) -> Result<Content, Fault> {
        if head.type_id.0 == 0 {
            return Ok(bytes_of(body.field(value::CONTENT)));
        }
        let def = self.type_def(head.type_id)?;
        if head.as_file
            && let Some(field) = &def.file.made_from_file
        {
            return Ok(bytes_of(body.field(field)));
        }
        let Some(field) = def.representative() else {
            return Err(Fault::new(Kind::NoMethod, message!("tree.no_content")));
        };
        let stored = body.field(&field.name);
        Ok(match (def.file.format, stored) {
            (Format::Yaml, Some(Value::Dict(map))) => {
                let text = super::record::map_text(self, map)?;
                Content::Inline(text.into_bytes().into())
            }
            (Format::Yaml, _) => Content::Inline(Bytes::new()),
            (_, stored) => bytes_of(stored),
        })
    }

    /// Part of a blob.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Corrupt`].
    pub fn blob_read(&self, hash: BlobHash, offset: u64, len: usize) -> Result<Bytes, Fault> {
        self.inner.store.blobs().read(&hash, offset, len)
    }

    /// The clear text of a Password field (or element; `data.KEY` for a Config); the caller needs
    /// write.
    ///
    /// # Errors
    /// [`Kind::Denied`], [`Kind::NotFound`] when the field holds no password.
    pub fn password(
        &self,
        who: &Caller,
        id: ObjectId,
        field: &str,
        element: Option<&str>,
    ) -> Result<Zeroizing<String>, Fault> {
        self.not_to_be_kept();
        let head = self.object_head(id)?;
        self.need_of(who, &head, |access| access.write, "write")?;
        let body = self.body_of(id)?;
        let whole = match field.strip_prefix("data.") {
            Some(key) => value::data_of(&body).get(key).cloned(),
            None => body.field(field).cloned(),
        };
        let (found, place) = match (whole, element) {
            (Some(Value::Array(items)), Some(index)) => (
                index.parse::<usize>().ok().and_then(|index| items.get(index).cloned()),
                format!("{field}[{index}]"),
            ),
            (Some(Value::Dict(items)), Some(key)) => {
                (items.get(key).cloned(), format!("{field}[{key}]"))
            }
            (whole, _) => (whole, field.to_owned()),
        };
        match found {
            Some(Value::Sealed(sealed)) => {
                self.inner.keys.open(&sealed, Place { object: id, field: &place })
            }
            Some(Value::Str(text)) if text.is_empty() => Ok(Zeroizing::default()),
            Some(Value::Null) | None => Ok(Zeroizing::default()),
            Some(_) => Err(Fault::new(Kind::NotFound, message!("tree.no_password", field = field))),
        }
    }

    /// The zone of the server.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        self.inner.options.zone.clone()
    }

    pub(in crate::tree) fn zoned_now(&self) -> Zoned {
        self.inner.clock.now().to_zoned(self.zone())
    }

    /// The objects that refer to `target`, each with the field that does.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn referrers(&self, target: Ref) -> Result<Vec<(ObjectId, String)>, Fault> {
        let prefix = keys::reference(target);
        let mut found = Vec::new();
        self.reads.scan(
            Family::Backref,
            &crate::store::KeyRange::prefix(&prefix),
            crate::store::Direction::Forward,
            &mut |key, _| {
                if let Some((_, source, field)) = keys::read_backref(key) {
                    found.push((source, field.to_owned()));
                }
                std::ops::ControlFlow::Continue(())
            },
        )?;
        Ok(found)
    }

    /// The properties that the type adds (`extra_properties` of HTTP).
    ///
    /// # Errors
    /// Failures of the store.
    pub fn extra(&self, stub: &Stub) -> Result<Dict, Fault> {
        let behaviour = self.inner.types.behaviour(stub.head.type_id);
        if !behaviour.shows_rows_alone() {
            self.not_to_be_kept();
        }
        behaviour.properties(self, stub)
    }

    /// The entry of an object for listings with its header, skipping what is gone.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn with_heads(&self, entries: Vec<Entry>) -> Result<Vec<(Entry, Head)>, Fault> {
        let ids: Vec<ObjectId> = entries.iter().map(|entry| entry.id).collect();
        let heads = self.heads(&ids)?;
        Ok(entries
            .into_iter()
            .zip(heads)
            .filter_map(|(entry, head)| Some((entry, head?)))
            .collect())
    }
}

/// Bytes as a value holds them.
fn bytes_of(stored: Option<&Value>) -> Content {
    match stored {
        Some(Value::Str(text)) => Content::Inline(Bytes::copy_from_slice(text.as_bytes())),
        Some(Value::Bytes(bytes)) => Content::Inline(Bytes::copy_from_slice(bytes)),
        Some(Value::File(file)) => Content::Blob { hash: file.hash, size: file.size },
        _ => Content::Inline(Bytes::new()),
    }
}
