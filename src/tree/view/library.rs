//! Libraries as they are loaded (rule: `tree/libraries`).

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use super::View;
use crate::tree::model::Object;

/// What a library says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryText {
    /// Its path.
    pub path: String,
    /// How it is loaded: `source`, `safe_source`, `module`.
    pub kind: String,
    /// Its text.
    pub source: String,
    /// The module that stands for it, below `kompira.library`, if it is a `module`.
    pub module: String,
}

/// What an import finds at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Importable {
    /// A container, in which there may be libraries.
    Container,
    /// A library.
    Library(LibraryText),
}

impl View {
    /// The text of an object that is a library.
    #[must_use]
    pub fn library_of(&self, object: &Object) -> Option<LibraryText> {
        if !object.stub.def.is_builtin("Library") {
            return None;
        }
        let text = |name: &str| match self.field(object, name).as_deref() {
            Some(Value::Str(text)) => text.clone(),
            _ => String::new(),
        };
        Some(LibraryText {
            path: object.stub.path.clone(),
            kind: text("libraryType"),
            source: text("sourceText"),
            module: text("modulePath"),
        })
    }

    /// What an import finds at a path, whoever may read it: libraries are loaded for the server.
    ///
    /// # Errors
    /// Storage.
    pub fn importable(&self, who: &Caller, path: &ObjectPath) -> Result<Option<Importable>, Fault> {
        let Some(id) = self.find_path(path)? else { return Ok(None) };
        let Some(head) = self.head_if(id)?.filter(crate::tree::model::Head::is_object) else {
            return Ok(None);
        };
        if self.type_def(head.type_id)?.is_container() {
            return Ok(Some(Importable::Container));
        }
        Ok(self.library_text(who, id)?.map(Importable::Library))
    }

    /// The text of a library, whoever may read it; `None` for another object.
    ///
    /// # Errors
    /// [`Kind::NotFound`](kompira_schema::error::Kind::NotFound).
    pub fn library_text(&self, who: &Caller, id: ObjectId) -> Result<Option<LibraryText>, Fault> {
        let head = self.object_head(id)?;
        let def = self.type_def(head.type_id)?;
        if !def.is_builtin("Library") {
            return Ok(None);
        }
        // Without what is known of it: that may depend on this very answer.
        let body = self.body_of(id)?;
        let object = self.object_of(who, head, body)?;
        Ok(self.library_of(&object))
    }
}
