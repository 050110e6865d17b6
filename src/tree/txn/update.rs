//! Changes of fields and properties (rule: `tree/update`).

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::layout::names;
use kompira_schema::limits::{DESCRIPTION_MAX, DISPLAY_NAME_CHARS_MAX, PERMISSIONS_MAX};
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::types::{Access, TypeDef};
use kompira_schema::value::{Dict, Value};

use super::create::in_order;
use super::delete::NODES_MAX;
use super::fields::{Intake, writable};
use super::{Txn, entry_for, place_of};
use crate::audit::{Class, Verb};
use crate::auth::Acl;
use crate::store::{Body, EntryKind, What};
use crate::tree::behaviour::Saving;
use crate::tree::draft::{Descend, Patch, Replace};
use crate::tree::fault;
use crate::tree::model::{Entry, Head};
use crate::tree::value::DATA;

impl Txn {
    /// Changes an object; with a base revision only if nobody changed it since.
    ///
    /// # Errors
    /// [`Kind::Stale`], [`Kind::Denied`], [`Kind::Protected`] for system fields and built-in
    /// types, [`Kind::Invalid`] with all problems.
    pub fn update(&mut self, id: ObjectId, base: Option<Rev>, patch: Patch) -> Result<(), Fault> {
        let parent = self.view.object_head(id)?.parent;
        let intake = Intake::new(patch.source, parent);
        self.update_with(id, base, patch, intake)
    }

    pub(super) fn update_with(
        &mut self,
        id: ObjectId,
        base: Option<Rev>,
        patch: Patch,
        intake: Intake,
    ) -> Result<(), Fault> {
        let before = self.view.object_head(id)?;
        self.trying(Class::Object, Verb::Update, |view| view.audit_target(id));
        if base.is_some_and(|base| base != before.rev) {
            return Err(fault::stale());
        }
        self.check_rights(&before, &patch)?;
        let def = self.view.type_def(before.type_id)?;
        let entry = self.view.entry_of(&before)?.ok_or_else(|| fault::gone(id))?;
        let old = self.view.body_of(id)?;
        let (mut head, mut body) = (before.clone(), old.clone());
        let mut visible = patch.updated.is_some();
        if has_fields(&patch) {
            visible |= self.change_fields(&mut head, &mut body, &def, &entry, &patch, intake)?;
        }
        if let Some(data) = patch.data.clone() {
            if !self.has_data(head.type_id) {
                return Err(Fault::new(Kind::NoMethod, message!("tree.no_data")));
            }
            let data = self.config_data(id, &head.name, &body, data, patch.replace_data, intake)?;
            body.set_field(DATA, Value::Dict(data));
            visible = true;
        }
        visible |= self.change_properties(&mut head, &mut body, &patch)?;
        if visible {
            head.updated = patch.updated.unwrap_or(self.now);
            head.mtime = head.updated;
        }
        head.ctime = self.now;
        head.says_more = self.says_more(&head, &body, &def, entry.suffix.as_deref())?;
        self.save(Some((&before, &old)), &mut head, &body, &def)?;
        self.change_entry(&head, &entry, patch.bare)?;
        let what = if patch.content.is_some() { What::Content } else { What::Record };
        self.tell_at(&head, what)?;
        if patch.descend != Descend::default() {
            self.descend(id, &def, patch.descend, patch.owner, patch.acl.as_ref())?;
        }
        self.tried();
        Ok(())
    }

    fn check_rights(&self, head: &Head, patch: &Patch) -> Result<(), Fault> {
        let access = self.view.access_of(&self.who, head)?;
        let denied = |right| Err(fault::denied(right, &self.view.path_text(head)));
        let properties = patch.display_name.is_some()
            || patch.description.is_some()
            || patch.owner.is_some()
            || patch.acl.is_some();
        if properties && !access.own {
            return denied("owner");
        }
        if patch.data.is_some() && !access.execute {
            return denied("execute");
        }
        let writes = has_fields(patch) || patch.bare.is_some() || patch.updated.is_some();
        let may_write = access.write || access.own && !has_fields(patch);
        if writes && !may_write {
            return denied("write");
        }
        // A patch that changes nothing asks for write, as saving an unchanged form does.
        if !properties && patch.data.is_none() && !access.write {
            return denied("write");
        }
        if has_fields(patch) && self.view.inner.types.is_builtin(head.id) {
            return Err(fault::protected(&self.view.path_text(head)));
        }
        Ok(())
    }

    /// Changes fields; answers whether that counts as an update of the object.
    fn change_fields(
        &mut self,
        head: &mut Head,
        body: &mut Body,
        def: &Arc<TypeDef>,
        entry: &Entry,
        patch: &Patch,
        intake: Intake,
    ) -> Result<bool, Fault> {
        let given = writable(def, &patch.fields, intake.source)?;
        let hidden: Vec<(String, Value)> =
            body.fields.iter().filter(|(name, _)| name.starts_with('.')).cloned().collect();
        let old: Dict =
            body.fields.iter().filter(|(name, _)| !name.starts_with('.')).cloned().collect();
        // Values that fit no more are kept until the object is next written: that is now.
        let mut fields: Dict = old
            .iter()
            .filter(|(name, _)| def.field(name).is_some())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let converted = self.convert(def, head.id, given, &old, intake, "")?;
        let invisible =
            |name: &str| def.field(name).is_some_and(|field| field.field_type.qualifiers.invisible);
        let mut visible = patch.fields.is_empty() && patch.content.is_none()
            || converted.keys().any(|name| !invisible(name));
        if patch.replace == Replace::All {
            fields.retain(|name, _| {
                converted.contains_key(name)
                    || invisible(name)
                    || def.field(name).is_some_and(|field| field.access == Access::System)
            });
        }
        fields.extend(converted);
        if let Some(content) = patch.content.clone() {
            let name = Name::new(&head.name)?;
            let file = names::file_name(&name, entry.suffix.as_deref());
            let (field, value) = self.content_value(def, content, &file)?;
            let kept = match fields.get(&field) {
                Some(Value::File(old)) => Some(old.name.clone()),
                _ => None,
            };
            let value = match (value, kept) {
                (Value::File(new), Some(name)) => {
                    Value::File(kompira_schema::value::FileValue { name, ..new })
                }
                (value, _) => value,
            };
            head.as_file = def.representative().is_none();
            fields.insert(field, value);
            visible = true;
        }
        let behaviour = self.view.inner.types.behaviour(head.type_id);
        let mut saving = Saving {
            view: &self.view,
            id: head.id,
            old: Some(&old),
            fields: &mut fields,
            lenient: intake.lenient,
            suffix: None,
        };
        behaviour.before_write(&mut saving).map_err(Fault::invalid)?;
        body.fields = in_order(def, fields);
        body.fields.extend(hidden);
        Ok(visible)
    }

    fn change_properties(
        &mut self,
        head: &mut Head,
        body: &mut Body,
        patch: &Patch,
    ) -> Result<bool, Fault> {
        let mut changed = false;
        if let Some(text) = &patch.display_name {
            body.display_name = if *text == head.name { String::new() } else { text.clone() };
            changed = true;
        }
        if let Some(text) = &patch.description {
            body.description.clone_from(text);
            changed = true;
        }
        check_texts(&body.display_name, &body.description)?;
        if let Some(owner) = patch.owner {
            if self.view.user(owner).is_none() {
                return Err(Fault::new(Kind::Invalid, message!("tree.no_user", name = owner)));
            }
            head.owner = owner;
            changed = true;
        }
        if let Some(acl) = &patch.acl {
            if acl.users.len() + acl.groups.len() > PERMISSIONS_MAX {
                let told = message!("tree.too_many_permissions", max = PERMISSIONS_MAX);
                return Err(Fault::new(Kind::Invalid, told));
            }
            head.acl = self.intern(acl.clone())?;
            changed = true;
        }
        Ok(changed)
    }

    /// Makes the object bare, or ends it.
    pub(super) fn change_entry(
        &mut self,
        head: &Head,
        entry: &Entry,
        bare: Option<bool>,
    ) -> Result<(), Fault> {
        let kind = match bare {
            Some(true) => EntryKind::Bare,
            Some(false) => EntryKind::Object,
            None => return Ok(()),
        };
        if head.id == ObjectId::ROOT || (entry.kind == kind && entry.type_id == head.type_id) {
            return Ok(());
        }
        let new = entry_for(head, kind, entry.container, entry.suffix.clone());
        self.put_entry(head.parent, &new)?;
        let (place, old) = (place_of(head.parent, &new), place_of(head.parent, entry));
        self.tell(head.id, What::Moved, Some(place), Some(old));
        Ok(())
    }

    /// Applies owner and entries to all descendants whose properties the caller may edit.
    fn descend(
        &mut self,
        top: ObjectId,
        def: &TypeDef,
        which: Descend,
        owner: Option<UserId>,
        acl: Option<&Acl>,
    ) -> Result<(), Fault> {
        if !def.is_container() {
            return Ok(());
        }
        let mut open = vec![top];
        let mut count = 0;
        while let Some(dir) = open.pop() {
            let mut entries = Vec::new();
            self.view.each_entry(dir, None, |entry| {
                entries.push(entry);
                Ok(true)
            })?;
            for entry in entries.into_iter().filter(Entry::is_object) {
                if entry.container {
                    open.push(entry.id);
                }
                count += 1;
                if count > NODES_MAX {
                    let told = message!("tree.too_many_nodes", max = NODES_MAX);
                    return Err(Fault::new(Kind::TooLarge, told));
                }
                let head = self.view.head(entry.id)?;
                if self.view.access_of(&self.who, &head)?.own {
                    self.descend_to(head, which, owner, acl)?;
                }
            }
        }
        Ok(())
    }

    fn descend_to(
        &mut self,
        before: Head,
        which: Descend,
        owner: Option<UserId>,
        acl: Option<&Acl>,
    ) -> Result<(), Fault> {
        let mut head = before.clone();
        if let Some(owner) = owner.filter(|_| which.owner) {
            head.owner = owner;
        }
        if let Some(acl) = acl.filter(|_| which.users || which.groups) {
            let mut own = Acl::clone(&*self.view.acl(head.acl)?);
            if which.users {
                own.users.clone_from(&acl.users);
            }
            if which.groups {
                own.groups.clone_from(&acl.groups);
            }
            head.acl = self.intern(own)?;
        }
        if head.owner == before.owner && head.acl == before.acl {
            return Ok(());
        }
        (head.updated, head.ctime) = (self.now, self.now);
        let body = self.view.body_of(head.id)?;
        let def = self.view.type_def(head.type_id)?;
        self.save(Some((&before, &body)), &mut head, &body, &def)?;
        self.tell_at(&head, What::Record)
    }
}

fn has_fields(patch: &Patch) -> bool {
    !patch.fields.is_empty() || patch.content.is_some() || patch.replace == Replace::All
}

/// Limits of the free texts.
pub(super) fn check_texts(display_name: &str, description: &str) -> Result<(), Fault> {
    let mut problems = Vec::new();
    if display_name.chars().count() > DISPLAY_NAME_CHARS_MAX {
        let message = message!("tree.text_too_long", max = DISPLAY_NAME_CHARS_MAX);
        problems.push(Problem { at: "display_name".into(), message });
    }
    if description.len() > DESCRIPTION_MAX {
        let message = message!("tree.text_too_long", max = DESCRIPTION_MAX);
        problems.push(Problem { at: "description".into(), message });
    }
    if problems.is_empty() { Ok(()) } else { Err(Fault::invalid(problems)) }
}
