//! New objects (rule: `tree/create`).

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::layout::names;
use kompira_schema::message;
use kompira_schema::path::{Name, PATH_CHARS_MAX};
use kompira_schema::tree::NodeKind;
use kompira_schema::types::{Container, Creatable, TypeDef};
use kompira_schema::value::{Dict, Ref, Value};

use super::fields::{Intake, refuse_system};
use super::{Txn, entry_for, place_of};
use crate::audit::{Class, Target, Verb};
use crate::store::{Body, Counter, EntryKind, What};
use crate::tree::behaviour::Saving;
use crate::tree::draft::{Draft, Replace};
use crate::tree::fault;
use crate::tree::model::Head;
use crate::tree::value::DATA;
use crate::tree::view::View;

/// Fields that a new container takes over from the one around it.
pub(super) const LISTING: [&str; 2] = ["orderBy", "pageSize"];

impl Txn {
    /// Creates an object (rule: `tree/create`).
    ///
    /// # Errors
    /// [`Kind::Denied`] without write on the container, [`Kind::Exists`], [`Kind::NameTooLong`],
    /// [`Kind::NotContainer`], [`Kind::WrongType`], [`Kind::Protected`] for a type that nobody may
    /// create, [`Kind::Invalid`] with all problems of the fields.
    pub fn create(
        &mut self,
        parent: ObjectId,
        name: &Name,
        type_id: ObjectId,
        draft: Draft,
    ) -> Result<ObjectId, Fault> {
        let intake = Intake::new(draft.source, parent);
        self.create_with(parent, name, type_id, draft, intake)
    }

    pub(super) fn create_with(
        &mut self,
        parent: ObjectId,
        name: &Name,
        type_id: ObjectId,
        draft: Draft,
        intake: Intake,
    ) -> Result<ObjectId, Fault> {
        let around = self.view.object_head(parent)?;
        let place = self.view.path_text(&around);
        self.trying(Class::Object, Verb::Create, |view| Target {
            path: Some(place.clone()),
            kind: Some(view.type_path(around.type_id)),
        });
        self.trying_with("create_name", || name.as_str().into());
        let type_path = self.view.type_path(type_id);
        self.trying_with("create_type", || type_path.as_str().into());
        self.view.need_of(&self.who, &around, |access| access.write, "write")?;
        let around_def = self.container_def(&around, &place)?;
        let def = self.view.type_def(type_id)?;
        self.check_creatable(type_id, &def)?;
        self.check_place(&around, &around_def, &place, type_id, &def)?;
        self.expect_head(parent);
        if !def.builtin {
            self.expect_head(type_id);
        }
        if self.view.child(parent, name.as_str())?.is_some() {
            return Err(fault::exists(name.as_str()));
        }
        self.check_path(&place, name.as_str())?;
        let id = match draft.id {
            Some(id) => id,
            None => ObjectId(self.view.inner.store.new_id(Counter::Object)?),
        };
        self.make(id, &around, name, (type_id, &def), draft, intake)?;
        self.tried();
        Ok(id)
    }

    /// Builds and stores a new object whose place is checked.
    fn make(
        &mut self,
        id: ObjectId,
        around: &Head,
        name: &Name,
        (type_id, def): (ObjectId, &TypeDef),
        draft: Draft,
        intake: Intake,
    ) -> Result<(), Fault> {
        refuse_system(def, &draft.fields)?;
        let mut fields = self.convert(def, id, draft.fields, &Dict::new(), intake, "")?;
        let mut as_file = false;
        let content = draft.content.is_some();
        if let Some(content) = draft.content {
            let file = names::file_name(name, draft.suffix.as_deref());
            let (field, value) = self.content_value(def, content, &file)?;
            if def.representative().is_none() {
                as_file = true;
            }
            fields.insert(field, value);
        }
        let behaviour = self.view.inner.types.behaviour(type_id);
        self.inherit_listing(around, def, &mut fields)?;
        if content && let (Some(field), Some(suffix)) = (&def.file.suffix_from, &draft.suffix) {
            fields.entry(field.clone()).or_insert_with(|| Value::from(suffix.as_str()));
        }
        let mut saving = Saving {
            view: &self.view,
            id,
            old: None,
            fields: &mut fields,
            lenient: intake.lenient,
            suffix: draft.suffix.as_deref().filter(|_| content),
        };
        behaviour.before_write(&mut saving).map_err(Fault::invalid)?;
        let mode = behaviour.mode(&fields);
        let mut body = Body {
            display_name: draft
                .display_name
                .filter(|text| text != name.as_str())
                .unwrap_or_default(),
            description: draft.description.unwrap_or_default(),
            fields: in_order(def, fields),
        };
        super::update::check_texts(&body.display_name, &body.description)?;
        if behaviour.has_data()
            && let Some(data) = draft.data
        {
            let stored =
                self.config_data(id, name.as_str(), &body, data, Replace::Given, intake)?;
            body.set_field(DATA, Value::Dict(stored));
        }
        let owner = self.new_owner(draft.owner)?;
        let acl = match draft.acl {
            Some(acl) => self.intern(acl)?,
            None => around.acl,
        };
        let now = self.now;
        let updated = draft.updated.unwrap_or(now);
        let mut head = Head {
            id,
            parent: around.id,
            name: name.as_str().to_owned(),
            type_id,
            owner,
            created: draft.created.unwrap_or(now),
            updated,
            mtime: updated,
            ctime: now,
            mode: draft.mode.unwrap_or(mode),
            rev: Rev(0),
            content_size: 0,
            node: if def.is_container() { NodeKind::Dir } else { NodeKind::File },
            factory: false,
            demoted: false,
            as_file,
            attachments: false,
            runnable: false,
            says_more: false,
            acl,
        };
        head.says_more = self.says_more(&head, &body, def, draft.suffix.as_deref())?;
        self.kept.insert(id);
        self.save(None, &mut head, &body, def)?;
        let kind = if draft.bare { EntryKind::Bare } else { EntryKind::Object };
        let entry = entry_for(&head, kind, def.is_container(), draft.suffix);
        self.put_entry(around.id, &entry)?;
        self.tell(id, What::Created, Some(place_of(around.id, &entry)), None);
        Ok(())
    }

    fn new_owner(
        &self,
        asked: Option<kompira_schema::id::UserId>,
    ) -> Result<kompira_schema::id::UserId, Fault> {
        let Some(owner) = asked.filter(|owner| *owner != self.who.user) else {
            return Ok(self.who.user);
        };
        if !self.is_privileged() {
            return Err(Fault::new(Kind::Denied, message!("tree.owner_denied")));
        }
        match self.view.user(owner) {
            Some(_) => Ok(owner),
            None => Err(Fault::new(Kind::Invalid, message!("tree.no_user", name = owner))),
        }
    }

    /// A new Directory or Table takes over `orderBy` and `pageSize` of its container.
    fn inherit_listing(
        &self,
        around: &Head,
        def: &TypeDef,
        fields: &mut Dict,
    ) -> Result<(), Fault> {
        if !matches!(def.container, Container::Any | Container::OfTypeIn(_)) {
            return Ok(());
        }
        let body = self.view.body_of(around.id)?;
        for name in LISTING {
            if let Some(value) = body.field(name)
                && def.field(name).is_some()
                && !fields.contains_key(name)
            {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    /// The type of something that is used as a container.
    pub(super) fn container_def(&self, head: &Head, place: &str) -> Result<Arc<TypeDef>, Fault> {
        let def = self.view.type_def(head.type_id)?;
        if def.is_container() { Ok(def) } else { Err(fault::not_container(place)) }
    }

    /// Whether the caller may create objects of the type at all.
    pub(super) fn check_creatable(&self, type_id: ObjectId, def: &TypeDef) -> Result<(), Fault> {
        if !self.view.is_type(type_id)? {
            return Err(fault::no_type(&self.view.type_path(type_id)));
        }
        match def.creatable {
            Creatable::Any => Ok(()),
            Creatable::Root if self.is_privileged() => Ok(()),
            Creatable::Root => Err(fault::denied("privilege", &def.name)),
            Creatable::No => {
                Err(Fault::new(Kind::WrongType, message!("tree.internal_type", found = def.name)))
            }
        }
    }

    /// Whether the container takes objects of the type (rule: `tree/containers`).
    pub(super) fn check_place(
        &self,
        around: &Head,
        around_def: &TypeDef,
        place: &str,
        type_id: ObjectId,
        def: &TypeDef,
    ) -> Result<(), Fault> {
        if let Some(only) = &def.only_under
            && only.as_str() != place
        {
            return Err(fault::wrong_type(&def.name, place));
        }
        match &around_def.container {
            Container::Any => Ok(()),
            Container::No => Err(fault::not_container(place)),
            Container::Virtual => Err(fault::wrong_type(&def.name, place)),
            Container::OfTypeIn(field) => {
                let body = self.view.body_of(around.id)?;
                match body.field(field) {
                    Some(Value::Object(Ref::Object(wanted))) if *wanted == type_id => Ok(()),
                    _ => Err(fault::wrong_type(&def.name, place)),
                }
            }
        }
    }

    /// Refuses a path over the limit, and remembers how long paths get.
    pub(super) fn check_path(&mut self, place: &str, name: &str) -> Result<(), Fault> {
        let count = path_chars(place, name);
        if count > PATH_CHARS_MAX {
            return Err(fault::path_too_long(count));
        }
        self.note_path(count)
    }

    /// Values of a Config, converted by its own definition.
    pub(super) fn config_data(
        &mut self,
        id: ObjectId,
        name: &str,
        body: &Body,
        data: Dict,
        replace: Replace,
        intake: Intake,
    ) -> Result<Dict, Fault> {
        let fields: Dict = body.fields.iter().cloned().collect();
        let def = crate::tree::value::definition(name, &fields);
        let mut stored = crate::tree::value::data_of(body);
        let given = self.convert(&def, id, data, &stored, intake, "data.")?;
        if replace == Replace::All {
            stored.clear();
        }
        stored.extend(given);
        Ok(stored)
    }
}

/// Fields in the order of the type.
pub(super) fn in_order(def: &TypeDef, fields: Dict) -> Vec<(String, Value)> {
    let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
    if fields.len() > 1 {
        fields.sort_by_key(|(name, _)| def.field_index(name).unwrap_or(usize::MAX));
    }
    fields
}

/// Characters of the path of `name` in `place`.
pub(super) fn path_chars(place: &str, name: &str) -> usize {
    let above = if place == "/" { 0 } else { place.chars().count() };
    above + 1 + name.chars().count()
}

impl View {
    /// Whether a name is free in a container: neither an object nor scratch has it.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn is_free(&self, dir: ObjectId, name: &str) -> Result<bool, Fault> {
        Ok(self.child(dir, name)?.is_none())
    }
}
