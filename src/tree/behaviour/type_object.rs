//! TypeObject: a definition must make sense, and a type in use stays (rule: `tree/types`).

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::types::{TypeObjectFields, check_type_object};
use kompira_schema::value::Value;

use super::{Behaviour, Saving};
use crate::tree::view::View;

pub(super) struct TypeObject;

impl Behaviour for TypeObject {
    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        let problems = check_type_object(saving.fields);
        if !problems.is_empty() && !saving.lenient {
            return Err(problems);
        }
        fill_labels(saving);
        Ok(())
    }

    fn before_delete(&self, view: &View, id: ObjectId, top: ObjectId) -> Result<(), Fault> {
        let mut count = 0_usize;
        for object in view.of_type(id)? {
            // Objects that go with it do not hold it.
            if !view.is_within(object, top)? {
                count += 1;
            }
        }
        if count == 0 {
            return Ok(());
        }
        Err(Fault::new(Kind::Busy, message!("tree.type_in_use", count = count)))
    }
}

/// A shorter list of labels is filled with the names.
pub(super) fn fill_labels(saving: &mut Saving<'_>) {
    let Some(Value::Array(names)) = saving.fields.get(TypeObjectFields::NAMES).cloned() else {
        return;
    };
    let labels = saving.fields.entry(TypeObjectFields::LABELS.to_owned()).or_default();
    let mut filled = match labels {
        Value::Array(labels) => std::mem::take(labels),
        _ => Vec::new(),
    };
    if filled.len() < names.len() {
        filled.extend(names.into_iter().skip(filled.len()));
    }
    *labels = Value::Array(filled);
}
