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
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        fit_labels(saving);
        let problems = check_type_object(saving.fields);
        if !problems.is_empty() && !saving.lenient {
            return Err(problems);
        }
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

/// Labels that are not given are the names; a shorter list is filled with them.
pub(super) fn fit_labels(saving: &mut Saving<'_>) {
    let Some(Value::Array(names)) = saving.fields.get(TypeObjectFields::NAMES).cloned() else {
        return;
    };
    let kept = !saving.changed(TypeObjectFields::LABELS);
    let labels = saving.fields.entry(TypeObjectFields::LABELS.to_owned()).or_default();
    let mut fitted = match labels {
        Value::Array(labels) => std::mem::take(labels),
        _ => Vec::new(),
    };
    if kept {
        fitted.truncate(names.len());
    }
    if fitted.len() < names.len() {
        fitted.extend(names.into_iter().skip(fitted.len()));
    }
    *labels = Value::Array(fitted);
}
