//! Bare objects that become objects of another type (rule: `tree/bare`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::Name;
use kompira_schema::value::Dict;

use super::{Txn, place_of};
use crate::store::{Body, EntryKind, What};
use crate::tree::fault;
use crate::tree::model::{Content, Entry, Head};
use crate::tree::value;

impl Txn {
    /// Gives a bare object another type by the creation rule: content goes to the new
    /// representative field; name, number and history stay.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::WrongType`] if it is not bare or the container does not take the type.
    pub fn retype(
        &mut self,
        id: ObjectId,
        type_id: ObjectId,
        content: Content,
    ) -> Result<(), Fault> {
        let head = self.view.object_head(id)?;
        let entry = self.view.entry_of(&head)?.ok_or_else(|| fault::gone(id))?;
        if entry.kind != EntryKind::Bare {
            let found = self.view.type_path(type_id);
            return Err(fault::wrong_type(&found, &self.view.path_text(&head)));
        }
        self.change_type(&head, &entry, type_id, Some(content))
    }

    pub(super) fn change_type(
        &mut self,
        before: &Head,
        entry: &Entry,
        type_id: ObjectId,
        content: Option<Content>,
    ) -> Result<(), Fault> {
        self.view.need_of(&self.who, before, |access| access.write, "write")?;
        let def = self.view.type_def(type_id)?;
        let around = self.view.object_head(before.parent)?;
        let place = self.view.path_text(&around);
        let around_def = self.container_def(&around, &place)?;
        self.check_creatable(type_id, &def)?;
        self.check_place(&around, &around_def, &place, type_id, &def)?;
        let old = self.view.body_of(before.id)?;
        if entry.container && !def.is_container() {
            if !self.view.entries(before.id, None, 1)?.is_empty() {
                return Err(fault::not_empty(&self.view.path_text(before)));
            }
            self.childless.insert(before.id);
        }
        let content = match content {
            Some(content) => Some(content),
            None if entry.container || def.is_container() => None,
            None => Some(self.view.content_of(before, &old)?),
        };
        let mut head = before.clone();
        head.type_id = type_id;
        head.as_file = false;
        head.node = if def.is_container() {
            kompira_schema::tree::NodeKind::Dir
        } else {
            kompira_schema::tree::NodeKind::File
        };
        let mut fields = Dict::new();
        let takes = def.representative().is_some() || def.file.made_from_file.is_some();
        if let Some(content) = content.filter(|_| takes) {
            let name = Name::new(&head.name)?;
            let file = kompira_schema::layout::names::file_name(&name, entry.suffix.as_deref());
            let (field, value) = self.content_value(&def, content, &file)?;
            head.as_file = def.representative().is_none();
            fields.insert(field, value);
        } else if entry.container {
            // A Directory that becomes a Table keeps what both have.
            fields = value::fields_of(old.clone());
            fields.retain(|name, _| def.field(name).is_some());
        }
        let behaviour = self.view.inner.types.behaviour(type_id);
        let mut saving = crate::tree::behaviour::Saving {
            view: &self.view,
            id: head.id,
            old: None,
            fields: &mut fields,
            // A Table gets its type from the record that follows.
            lenient: true,
            suffix: entry.suffix.as_deref(),
        };
        behaviour.before_write(&mut saving).map_err(Fault::invalid)?;
        (head.updated, head.mtime, head.ctime) = (self.now, self.now, self.now);
        let body = Body { fields: super::create::in_order(&def, fields), ..old.clone() };
        head.says_more = self.says_more(&head, &body, &def, entry.suffix.as_deref())?;
        self.save(Some((before, &old)), &mut head, &body, &def)?;
        let new = super::entry_for(&head, entry.kind, def.is_container(), entry.suffix.clone());
        self.put_entry(head.parent, &new)?;
        let (at, was) = (place_of(head.parent, &new), place_of(head.parent, entry));
        self.tell(head.id, What::Moved, Some(at), Some(was));
        self.tell_at(&head, What::Content)
    }
}
