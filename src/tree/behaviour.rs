//! What the built-in types do beyond holding fields: one file each, behind one trait.

use kompira_schema::error::{Fault, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::types::TypeDef;
use kompira_schema::value::{Dict, Value};

use super::handle::Inner;
use super::model::{Object, Stub};
use super::txn::Txn;
use super::view::View;

mod channel;
mod config;
mod jobflow;
mod library;
mod mail;
mod render;
mod script_job;
mod system;
mod table;
mod text;
mod type_object;
mod wiki;

pub use system::DEFAULT_REALM;

/// An object that is about to be stored.
pub(super) struct Saving<'a> {
    pub(super) view: &'a View,
    pub(super) id: ObjectId,
    /// Fields as they were; `None` for a new object.
    pub(super) old: Option<&'a Dict>,
    /// Fields as they will be, system fields included.
    pub(super) fields: &'a mut Dict,
    /// Restored by an import, which forgives what an edit does not.
    pub(super) lenient: bool,
    /// File suffix of an object that is made from a file.
    pub(super) suffix: Option<&'a str>,
}

impl Saving<'_> {
    /// Whether the field is another than before.
    pub(super) fn changed(&self, field: &str) -> bool {
        self.old.is_none_or(|old| old.get(field) != self.fields.get(field))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.view.inner
    }
}

/// What a type does.
pub(super) trait Behaviour: Send + Sync {
    /// Checks the rules of the type and computes its system fields.
    fn before_write(&self, _saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    /// What a field gets when the object is made from a file with this suffix.
    fn given(&self, _field: &str, _suffix: Option<&str>) -> Option<Value> {
        None
    }

    /// Permission bits of an object that is made without any.
    fn mode(&self, _fields: &Dict) -> u16 {
        0
    }

    /// Refuses a deletion of `_id` with all that is below `_top`.
    fn before_delete(&self, _view: &View, _id: ObjectId, _top: ObjectId) -> Result<(), Fault> {
        Ok(())
    }

    /// Fills fields that live elsewhere.
    fn after_read(&self, _view: &View, _object: &mut Object) -> Result<(), Fault> {
        Ok(())
    }

    /// Properties besides the common ones.
    fn properties(&self, _view: &View, _stub: &Stub) -> Result<Dict, Fault> {
        Ok(Dict::new())
    }

    /// Copies what lives outside the record.
    fn after_copy(&self, _txn: &mut Txn, _from: ObjectId, _to: ObjectId) -> Result<(), Fault> {
        Ok(())
    }

    /// Removes what lives outside the record.
    fn after_delete(&self, _txn: &mut Txn, _id: ObjectId) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether objects hold values by their own definition (Config).
    fn has_data(&self) -> bool {
        false
    }

    /// Whether what is shown of an object follows from single rows of the store: neither from the
    /// time of day nor from the machine nor from how many of something there are.
    fn shows_rows_alone(&self) -> bool {
        false
    }
}

struct Plain;

impl Behaviour for Plain {
    fn shows_rows_alone(&self) -> bool {
        true
    }
}

/// A record without behaviour.
pub(super) fn plain() -> &'static dyn Behaviour {
    &Plain
}

/// The behaviour of a built-in type. This table is the one place that knows types by name.
pub(super) fn of(def: &TypeDef) -> &'static dyn Behaviour {
    match def.name.as_str() {
        "TypeObject" => &type_object::TypeObject,
        "Jobflow" => &jobflow::Jobflow,
        "Library" => &library::Library,
        "ScriptJob" => &script_job::ScriptJob,
        "Channel" => &channel::Channel,
        "MailChannel" => &mail::MailChannel,
        "SmtpServer" => &mail::SmtpServer,
        "Wiki" => &wiki::Wiki,
        "Table" => &table::Table,
        "Text" => &text::Text,
        "Config" => &config::Config,
        "Form" => &config::Form,
        "License" => &system::License,
        "SystemInfo" => &system::SystemInfo,
        "Realm" => &system::Realm,
        _ => &Plain,
    }
}
