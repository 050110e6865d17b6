//! Writing an object's rows: header, body, references, blobs, indexes, history.

use std::collections::BTreeSet;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::limits::OBJECT_MAX;
use kompira_schema::message;
use kompira_schema::types::{Format, TypeDef};
use kompira_schema::value::{Ref, Value};

use super::Txn;
use crate::store::{Body, DERIVED, Family, keys};
use crate::tree::model::Head;
use crate::tree::value;

impl Txn {
    /// Writes an object: `old` is what it was, `None` if it is new. Fills what the header tells
    /// of the body.
    pub(super) fn save(
        &mut self,
        old: Option<(&Head, &Body)>,
        head: &mut Head,
        body: &Body,
        def: &TypeDef,
    ) -> Result<(), Fault> {
        describe(head, body, def);
        if let Some((before, _)) = old {
            self.expect_head(before.id);
            self.keep(before)?;
        }
        let was = old.filter(|(before, _)| before.is_object());
        self.reindex(was.map(|(before, _)| before), Some(&*head).filter(|head| head.is_object()));
        self.relate(head.id, old.map(|(_, body)| body), Some(body));
        self.put_head(head);
        if old.is_none_or(|(_, before)| before != body) {
            self.put_body(head.id, body)?;
            let key = keys::object(head.id);
            let stored = self.view().reads.own(Family::Body, &key);
            let size = stored.and_then(|own| own.value.as_ref()).map_or(0, bytes::Bytes::len);
            if size > OBJECT_MAX {
                let told = message!("tree.object_too_large", size = size, max = OBJECT_MAX);
                return Err(Fault::new(Kind::TooLarge, told));
            }
        }
        Ok(())
    }

    /// Removes an object's rows, its entry apart.
    pub(super) fn erase(&mut self, head: &Head, body: &Body) -> Result<(), Fault> {
        self.expect_head(head.id);
        if head.type_id.0 != 0 {
            self.keep(head)?;
        }
        self.reindex(Some(head).filter(|head| head.is_object()), None);
        self.relate(head.id, Some(body), None);
        self.remove(Family::Head, keys::object(head.id));
        self.remove(Family::Body, keys::object(head.id));
        Ok(())
    }

    /// Puts the state before this commit into the history, once.
    fn keep(&mut self, before: &Head) -> Result<(), Fault> {
        if !self.kept.insert(before.id) {
            return Ok(());
        }
        let snapshot = self.view().snapshot().clone();
        if let (Some(head), Some(body)) = (snapshot.head(before.id)?, snapshot.body(before.id)?) {
            self.earlier.push((before.id, head, body));
        }
        Ok(())
    }

    /// Puts the entry before this commit into the history, once.
    pub(super) fn keep_entry(&mut self, parent: ObjectId, name: &str) -> Result<(), Fault> {
        if let Some(entry) = self.view().snapshot().dirent(parent, name)?
            && entry.kind != crate::store::EntryKind::Scratch
        {
            self.earlier_entries.insert((parent, name.to_owned()), entry);
        }
        Ok(())
    }

    fn reindex(&mut self, old: Option<&Head>, new: Option<&Head>) {
        let rows = |head: Option<&Head>| {
            head.map(|head| {
                [keys::index_type(head.type_id, head.id), keys::index_owner(head.owner, head.id)]
            })
        };
        let (old, new) = (rows(old), rows(new));
        if old == new {
            return;
        }
        for key in old.into_iter().flatten() {
            self.remove(Family::Index, key);
        }
        for key in new.into_iter().flatten() {
            self.put(Family::Index, key, Vec::new());
        }
    }

    /// As for objects, for a node without fields.
    pub(super) fn hold_scratch(&mut self, id: ObjectId, old: Option<&Body>, new: Option<&Body>) {
        self.relate(id, old, new);
    }

    /// Keeps references and blob holders in step with the body.
    fn relate(&mut self, id: ObjectId, old: Option<&Body>, new: Option<&Body>) {
        let refs = |body: Option<&Body>| body.map(value::references).unwrap_or_default();
        let (before, after): (BTreeSet<(Ref, String)>, _) = (refs(old), refs(new));
        for (target, field) in before.difference(&after) {
            self.remove(Family::Backref, keys::backref(*target, id, field));
        }
        for (target, field) in after.difference(&before) {
            self.put(Family::Backref, keys::backref(*target, id, field), Vec::new());
        }
        let blobs = |body: Option<&Body>| body.map(value::blobs).unwrap_or_default();
        let (before, after): (BTreeSet<BlobHash>, _) = (blobs(old), blobs(new));
        for hash in before.difference(&after) {
            self.holds.insert((*hash, id), false);
        }
        for hash in after.difference(&before) {
            self.holds.insert((*hash, id), true);
        }
    }
}

/// Fills what the header tells of the body: size of the content, attachments, runnable.
fn describe(head: &mut Head, body: &Body, def: &TypeDef) {
    let own = def.file.made_from_file.as_deref().filter(|_| head.as_file);
    head.attachments = value::holds_files(&body.fields, own);
    let runnable = matches!(body.field("executable"), Some(Value::Bool(true)));
    head.runnable = def.builtin && runnable;
    let field = own.or(def.file.representative.as_deref());
    head.content_size = match (field.and_then(|field| body.field(field)), def.file.format) {
        (None, _) if field.is_none() => DERIVED,
        (Some(Value::File(file)), _) => file.size,
        (Some(Value::Dict(map)), Format::Yaml) if !map.is_empty() => DERIVED,
        (stored, _) => content_len(stored),
    };
}

/// Bytes of a value as file content.
pub(super) fn content_len(stored: Option<&Value>) -> u64 {
    match stored {
        Some(Value::Str(text)) => text.len() as u64,
        Some(Value::Bytes(bytes)) => bytes.len() as u64,
        Some(Value::File(file)) => file.size,
        _ => 0,
    }
}
