//! What the built-in types do beyond holding fields: one file each, behind one trait.

use kompira_schema::error::{Fault, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::types::TypeDef;
use kompira_schema::value::Dict;

use super::handle::Inner;
use super::model::{Object, Stub};
use super::txn::Txn;
use super::view::View;

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

    /// Refuses a deletion.
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
}

struct Plain;

impl Behaviour for Plain {}

/// A record without behaviour.
pub(super) fn plain() -> &'static dyn Behaviour {
    &Plain
}

/// The behaviour of a built-in type.
pub(super) fn of(_def: &TypeDef) -> &'static dyn Behaviour {
    &Plain
}
