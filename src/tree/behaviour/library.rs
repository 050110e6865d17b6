//! Library: Python that this version keeps and does not run (rule: `tree/libraries`).

use kompira_schema::catalogue::{Lang, render};
use kompira_schema::error::Fault;
use kompira_schema::message;
use kompira_schema::value::Value;

use super::Behaviour;
use crate::tree::model::Object;
use crate::tree::view::View;

pub(super) struct Library;

impl Behaviour for Library {
    fn after_read(&self, _view: &View, object: &mut Object) -> Result<(), Fault> {
        let why = render(&message!("library.not_run"), Lang::En);
        object.fields.insert("document".to_owned(), Value::Str(why));
        object.fields.insert("executable".to_owned(), Value::Bool(false));
        Ok(())
    }

    fn shows_rows_alone(&self) -> bool {
        true
    }
}
