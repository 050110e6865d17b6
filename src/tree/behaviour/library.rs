//! Library: its text is kept here; whether it loads is known by whoever runs Python
//! (rule: `tree/libraries`).

use kompira_schema::catalogue::{Lang, render};
use kompira_schema::error::Fault;
use kompira_schema::message;
use kompira_schema::value::Value;

use super::Behaviour;
use crate::tree::handle::LibraryState;
use crate::tree::model::Object;
use crate::tree::view::View;

pub(super) struct Library;

impl Behaviour for Library {
    fn after_read(&self, view: &View, object: &mut Object) -> Result<(), Fault> {
        let state = view.inner.library_state(view, object).unwrap_or_else(|| LibraryState {
            executable: false,
            document: Some(render(&message!("library.not_run"), Lang::En)),
        });
        let document = state.document.map_or(Value::Null, Value::Str);
        object.fields.insert("document".to_owned(), document);
        object.fields.insert("executable".to_owned(), Value::Bool(state.executable));
        Ok(())
    }
}
