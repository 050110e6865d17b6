//! Table: one type of children (rule: `tree/containers`).

use kompira_schema::error::Problem;
use kompira_schema::message;
use kompira_schema::value::{Ref, Value};

use super::{Behaviour, Saving};

const TYPE: &str = "typeObject";

pub(super) struct Table;

impl Behaviour for Table {
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        let problem = |message| vec![Problem { at: TYPE.to_owned(), message }];
        if !saving.lenient {
            let is_type = match saving.fields.get(TYPE) {
                Some(Value::Object(Ref::Object(id))) => saving.view.is_type(*id).unwrap_or(false),
                _ => false,
            };
            if !is_type {
                return Err(problem(message!("table.no_type")));
            }
        }
        if saving.old.is_some() && saving.changed(TYPE) && has_objects(saving) {
            return Err(problem(message!("table.not_empty")));
        }
        Ok(())
    }
}

fn has_objects(saving: &Saving<'_>) -> bool {
    let mut found = false;
    let scanned = saving.view.each_entry(saving.id, None, |entry| {
        found = entry.is_object();
        Ok(!found)
    });
    found || scanned.is_err()
}
