//! Copies (rule: `tree/copy`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::value::Value;

use super::delete::NODES_MAX;
use super::{Txn, entry_for, place_of};
use crate::audit::{Class, Verb};
use crate::secrets::Place;
use crate::store::{Counter, What};
use crate::tree::fault;
use crate::tree::model::{Entry, Head};
use crate::tree::value::DATA;

impl Txn {
    /// Copies with all objects below; the copies belong to the caller and carry the permissions of
    /// their sources.
    ///
    /// # Errors
    /// [`Kind::Denied`] without read on object and container or write on the destination,
    /// [`Kind::Cycle`], [`Kind::Exists`], [`Kind::WrongType`], [`Kind::NameTooLong`].
    pub fn copy(
        &mut self,
        id: ObjectId,
        dest: ObjectId,
        name: Option<&Name>,
    ) -> Result<ObjectId, Fault> {
        let source = self.view.object_head(id)?;
        self.trying(Class::Object, Verb::Copy, |view| view.audit_target(dest));
        let from = self.view.path_text(&source);
        self.trying_with("copy_objects", || vec![from.as_str()].into());
        if let Some(name) = name {
            self.trying_with("copy_rename", || name.as_str().into());
        }
        if id == ObjectId::ROOT {
            return Err(fault::protected("/"));
        }
        self.view.need_of(&self.who, &source, |access| access.read, "read")?;
        self.view.need(&self.who, source.parent, |access| access.read, "read")?;
        let around = self.view.object_head(dest)?;
        let place = self.view.path_text(&around);
        let around_def = self.container_def(&around, &place)?;
        self.view.need_of(&self.who, &around, |access| access.write, "write")?;
        let def = self.view.type_def(source.type_id)?;
        self.check_copyable(&def)?;
        self.check_place(&around, &around_def, &place, source.type_id, &def)?;
        if def.is_container() && self.view.is_within(dest, id)? {
            return Err(fault::cycle());
        }
        let name = name.map_or(source.name.as_str(), Name::as_str).to_owned();
        if self.view.child(dest, &name)?.is_some() {
            return Err(fault::exists(&name));
        }
        self.expect_head(dest);
        self.check_subtree(&source, def.is_container(), &place, &name)?;
        let entry = self.view.entry_of(&source)?.ok_or_else(|| fault::gone(id))?;
        let made = self.copy_node(&source, &entry, dest, &name)?;
        let mut open = if entry.container { vec![(id, made)] } else { Vec::new() };
        let mut count = 1;
        while let Some((from, to)) = open.pop() {
            let mut entries = Vec::new();
            self.view.each_entry(from, None, |entry| {
                entries.push(entry);
                Ok(true)
            })?;
            count += entries.len();
            if count > NODES_MAX {
                let told = message!("tree.too_many_nodes", max = NODES_MAX);
                return Err(Fault::new(Kind::TooMany, told));
            }
            for entry in entries.into_iter().filter(Entry::is_object) {
                let head = self.view.head(entry.id)?;
                self.view.need_of(&self.who, &head, |access| access.read, "read")?;
                let made = self.copy_node(&head, &entry, to, &entry.name)?;
                if entry.container {
                    open.push((entry.id, made));
                }
            }
        }
        self.tried();
        Ok(made)
    }

    fn check_copyable(&self, def: &kompira_schema::types::TypeDef) -> Result<(), Fault> {
        use kompira_schema::types::Creatable;
        match def.creatable {
            Creatable::Any => Ok(()),
            Creatable::Root if self.is_privileged() => Ok(()),
            _ => Err(Fault::new(Kind::WrongType, message!("tree.internal_type", found = def.name))),
        }
    }

    fn copy_node(
        &mut self,
        source: &Head,
        entry: &Entry,
        dest: ObjectId,
        name: &str,
    ) -> Result<ObjectId, Fault> {
        let id = ObjectId(self.view.inner.store.new_id(Counter::Object)?);
        let mut body = self.view.body_of(source.id)?;
        if !self.view.access_of(&self.who, source)?.write {
            body.fields.retain_mut(|(_, value)| is_open(value));
        }
        for (field, value) in &mut body.fields {
            self.reseal(value, field, source.id, id)?;
        }
        if body.display_name == name {
            body.display_name.clear();
        }
        let def = self.view.type_def(source.type_id)?;
        super::tokens::forget(&def, &mut body);
        let mut head = Head {
            id,
            parent: dest,
            name: name.to_owned(),
            owner: self.who.user,
            created: self.now,
            updated: self.now,
            mtime: self.now,
            ctime: self.now,
            rev: Rev(0),
            ..source.clone()
        };
        head.factory = false;
        self.kept.insert(id);
        self.save(None, &mut head, &body, &def)?;
        let new = entry_for(&head, entry.kind, entry.container, entry.suffix.clone());
        self.put_entry(dest, &new)?;
        self.tell(id, What::Created, Some(place_of(dest, &new)), None);
        let behaviour = self.view.inner.types.behaviour(source.type_id);
        behaviour.after_copy(self, source.id, id)?;
        Ok(id)
    }

    /// A password is bound to its place: a copy is sealed anew.
    fn reseal(
        &self,
        value: &mut Value,
        at: &str,
        from: ObjectId,
        to: ObjectId,
    ) -> Result<(), Fault> {
        match value {
            Value::Sealed(sealed) => {
                let keys = &self.view.inner.keys;
                let clear = keys.open(sealed, Place { object: from, field: at })?;
                *sealed = keys.seal(&clear, Place { object: to, field: at })?;
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.reseal(item, &format!("{at}[{index}]"), from, to)?;
                }
            }
            Value::Dict(items) => {
                for (key, item) in items.iter_mut() {
                    let at =
                        if at == DATA { format!("data.{key}") } else { format!("{at}[{key}]") };
                    self.reseal(item, &at, from, to)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes the passwords out of a dictionary; whether there are none in what is left. Who may not read
/// a password does not come by it as the owner of a copy.
fn is_open(value: &mut Value) -> bool {
    match value {
        Value::Sealed(_) => false,
        Value::Array(items) => items.iter_mut().all(is_open),
        Value::Dict(items) => {
            items.retain(|_, item| is_open(item));
            true
        }
        _ => true,
    }
}
