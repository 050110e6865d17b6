//! Export records on their way in (rule: `tree/records`).

use indexmap::IndexMap;
use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::record::{GroupPermission, Record, UserPermission};
use kompira_schema::types::TypeDef;
use kompira_schema::validate::Source;
use kompira_schema::value::{Dict, Value};

use super::Txn;
use super::fields::Intake;
use crate::auth::{Acl, GroupEntry, Rights, UserEntry};
use crate::store::EntryKind;
use crate::tree::draft::{Draft, Patch, Replace};
use crate::tree::fault;
use crate::tree::model::Head;

/// How a record is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Problems of single fields are warnings: the field is skipped.
    pub lenient: bool,
    /// The recorded owner counts.
    pub owner: bool,
    /// `updated` becomes now instead of the recorded time.
    pub now_updated: bool,
    /// The data of a Config is written.
    pub config_data: bool,
    /// Factory objects may be changed.
    pub restore: bool,
    /// Fields and properties that the record does not name become defaults: the record is the
    /// whole of its object (the mount), not a part of it (an import).
    pub whole: bool,
    /// Where references without a leading `/` start; default: the container.
    pub origin: Option<ObjectId>,
}

impl ImportOptions {
    /// As the mount reads a record file: all of it counts, and it must be right.
    pub const MOUNT: Self = Self {
        lenient: false,
        owner: true,
        now_updated: false,
        config_data: true,
        restore: true,
        whole: true,
        origin: None,
    };
}

impl Txn {
    /// What records were forgiven so far in this commit.
    pub fn take_warnings(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.warnings)
    }

    /// Creates an object from an export record. What `draft` says (suffix, content, mode, number)
    /// counts besides.
    ///
    /// # Errors
    /// As [`Txn::create`]; unknown types are [`Kind::NotFound`].
    pub fn create_record(
        &mut self,
        parent: ObjectId,
        name: &Name,
        record: &Record,
        draft: Draft,
        options: ImportOptions,
    ) -> Result<ObjectId, Fault> {
        let intake = intake(parent, options);
        let type_id = self.record_type(record, intake.base)?;
        let mut warnings = Vec::new();
        let inherited = self.view.object_head(parent)?.acl;
        let acl = self.record_acl(record, &*self.view.acl(inherited)?, &mut warnings);
        let owner = self.record_owner(record, options, &mut warnings)?;
        let draft = Draft {
            fields: record.fields.clone(),
            source: Some(Source::Record),
            data: record.data.clone(),
            display_name: record.display_name.clone(),
            description: record.description.clone(),
            owner: owner.or(draft.owner),
            acl,
            created: record.created.or(draft.created),
            updated: record.updated.filter(|_| !options.now_updated).or(draft.updated),
            ..draft
        };
        self.warnings.extend(warnings);
        self.create_with(parent, name, type_id, draft, intake)
    }

    /// Applies an export record to an object. A record of another type retypes a bare object: its
    /// content moves to the new representative field.
    ///
    /// # Errors
    /// As [`Txn::update`]; [`Kind::WrongType`] for another type.
    pub fn apply_record(
        &mut self,
        id: ObjectId,
        base: Option<Rev>,
        record: &Record,
        options: ImportOptions,
    ) -> Result<(), Fault> {
        let head = self.view.object_head(id)?;
        if head.factory && !options.restore {
            return Err(fault::protected(&self.view.path_text(&head)));
        }
        if base.is_some_and(|base| base != head.rev) {
            return Err(fault::stale());
        }
        let intake = intake(head.parent, options);
        let type_id = self.record_type(record, intake.base)?;
        let entry = self.view.entry_of(&head)?.ok_or_else(|| fault::gone(id))?;
        if type_id != head.type_id {
            if entry.kind != EntryKind::Bare {
                return Err(fault::wrong_type(&record.type_object, &self.view.path_text(&head)));
            }
            self.change_type(&head, &entry, type_id, None)?;
        }
        let mut warnings = Vec::new();
        let head = self.view.object_head(id)?;
        let stub = self.view.stub(&self.who, id)?;
        let own = stub.access.own;
        let acl = self.record_acl(record, &stub.acl, &mut warnings);
        let owner = self.record_owner(record, options, &mut warnings)?;
        // The mount writes back what it read: what is unchanged needs no right to change it.
        let named = |text: Option<String>, default: &str| match text {
            None if options.whole && own => Some(default.to_owned()),
            text => text,
        };
        let patch = Patch {
            fields: self.record_fields(&head, &stub.def, record, options)?,
            replace: if options.whole { Replace::All } else { Replace::Given },
            source: Some(Source::Record),
            content: None,
            data: record.data.clone().filter(|_| options.config_data),
            display_name: named(record.display_name.clone(), &head.name)
                .filter(|text| *text != stub.display_name),
            description: named(record.description.clone(), "")
                .filter(|text| *text != stub.description),
            owner: owner.filter(|owner| *owner != head.owner),
            acl: acl.map(Acl::normalised).filter(|acl| *acl != *stub.acl),
            bare: Some(false),
            updated: record.updated.filter(|_| !options.now_updated),
            ..Patch::default()
        };
        self.warnings.extend(warnings);
        self.update_with(id, None, patch, intake)
    }

    /// Fields of a record for an object: the content that is a file of its own stays.
    fn record_fields(
        &self,
        head: &Head,
        def: &TypeDef,
        record: &Record,
        options: ImportOptions,
    ) -> Result<Dict, Fault> {
        let mut fields = record.fields.clone();
        let own = def.file.made_from_file.as_deref().filter(|_| head.as_file);
        let content = own.or(def.file.representative.as_deref());
        if options.whole
            && let Some(content) = content.filter(|content| !fields.contains_key(*content))
            && let Some(stored) = self.view.body_of(head.id)?.field(content)
        {
            fields.insert(content.to_owned(), stored.clone());
        }
        Ok(fields)
    }

    /// Resets the record to what making the same file anew would give, and makes the object bare.
    ///
    /// # Errors
    /// As [`Txn::update`].
    pub fn reset_record(&mut self, id: ObjectId) -> Result<(), Fault> {
        let head = self.view.object_head(id)?;
        let def = self.view.type_def(head.type_id)?;
        let access = self.view.access_of(&self.who, &head)?;
        let around = self.view.object_head(head.parent)?;
        let stub = self.view.stub(&self.who, id)?;
        let acl = Acl::clone(&*self.view.acl(around.acl)?);
        let empty = Record::default();
        let mut fields =
            self.record_fields(&head, &def, &empty, ImportOptions { ..ImportOptions::MOUNT })?;
        if let (Some(field), Some(suffix)) = (&def.file.suffix_from, &stub.suffix) {
            fields.insert(field.clone(), Value::from(suffix.as_str()));
        }
        let patch = Patch {
            fields,
            replace: Replace::All,
            display_name: access.own.then(|| head.name.clone()),
            description: access.own.then(String::new),
            acl: access.own.then_some(acl),
            bare: Some(true),
            ..Patch::default()
        };
        self.update(id, None, patch)
    }

    fn record_type(&self, record: &Record, base: ObjectId) -> Result<ObjectId, Fault> {
        let id = self.view.resolve_from(base, &record.type_object);
        let id = id.map_err(|_| fault::no_type(&record.type_object))?;
        if self.view.is_type(id)? { Ok(id) } else { Err(fault::no_type(&record.type_object)) }
    }

    /// The recorded entries over `present`; `None` when the record has none.
    fn record_acl(
        &self,
        record: &Record,
        present: &Acl,
        warnings: &mut Vec<Problem>,
    ) -> Option<Acl> {
        if record.user_permissions.is_none() && record.group_permissions.is_none() {
            return None;
        }
        let mut acl = present.clone();
        if let Some(entries) = &record.user_permissions {
            acl.users = self.user_entries(entries, warnings);
        }
        if let Some(entries) = &record.group_permissions {
            acl.groups = self.group_entries(entries, warnings);
        }
        Some(acl)
    }

    fn user_entries(
        &self,
        entries: &IndexMap<String, UserPermission>,
        warnings: &mut Vec<Problem>,
    ) -> Vec<UserEntry> {
        let mut found = Vec::new();
        for (name, entry) in entries {
            let rights =
                Rights { read: entry.readable, write: entry.writable, execute: entry.executable };
            match self.view.user_by_name(name) {
                Some(user) => found.push(UserEntry { user: user.id, rights }),
                None => warnings.push(unknown("user_permissions", name)),
            }
        }
        found
    }

    fn group_entries(
        &self,
        entries: &IndexMap<String, GroupPermission>,
        warnings: &mut Vec<Problem>,
    ) -> Vec<GroupEntry> {
        let mut found = Vec::new();
        for (name, entry) in entries {
            let rights =
                Rights { read: entry.readable, write: entry.writable, execute: entry.executable };
            match self.view.group_by_name(name) {
                Some(group) => {
                    found.push(GroupEntry { group: group.id, rights, priority: entry.priority });
                }
                None => warnings.push(unknown("group_permissions", name)),
            }
        }
        found
    }

    fn record_owner(
        &self,
        record: &Record,
        options: ImportOptions,
        warnings: &mut Vec<Problem>,
    ) -> Result<Option<kompira_schema::id::UserId>, Fault> {
        let Some(name) = record.owner.as_deref().filter(|_| options.owner) else { return Ok(None) };
        match self.view.user_by_name(name) {
            Some(user) => Ok(Some(user.id)),
            None if options.lenient => {
                warnings.push(unknown("owner", name));
                Ok(None)
            }
            None => Err(Fault::new(Kind::Invalid, message!("tree.no_user", name = name))
                .with_problems(vec![unknown("owner", name)])),
        }
    }
}

fn intake(parent: ObjectId, options: ImportOptions) -> Intake {
    Intake {
        source: Source::Record,
        lenient: options.lenient,
        base: options.origin.unwrap_or(parent),
    }
}

fn unknown(at: &str, name: &str) -> Problem {
    Problem { at: format!("{at}[{name}]"), message: message!("tree.no_user", name = name) }
}
