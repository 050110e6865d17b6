//! Which type object stands for which type.

use std::collections::HashMap;
use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::path::ObjectPath;
use kompira_schema::types::{TypeDef, builtin, builtin_path, builtins};
use kompira_schema::value::Dict;
use quick_cache::sync::Cache;

use super::behaviour::{self, Behaviour};
use super::view::View;

/// Users' types kept decoded. Each is a few kilobytes.
const KEPT: usize = 1000;

/// The built-in types by their objects, and a cache of users' types.
///
/// Behaviour is bound to the identity of a built-in type's object, never to a name: a user's type
/// called `Jobflow` is another type.
pub(super) struct Types {
    by_id: HashMap<ObjectId, Known>,
    by_name: HashMap<&'static str, ObjectId>,
    users: Cache<(ObjectId, Rev), Arc<TypeDef>>,
}

#[derive(Clone)]
struct Known {
    def: Arc<TypeDef>,
    path: Arc<str>,
    behaviour: &'static dyn Behaviour,
}

impl Types {
    /// Binds built-in types to the numbers of their objects.
    pub(super) fn new(ids: impl IntoIterator<Item = (String, ObjectId)>) -> Self {
        let mut by_id = HashMap::new();
        let mut by_name = HashMap::new();
        for (name, id) in ids {
            let Some(def) = builtin(&name) else { continue };
            let known = Known {
                def: Arc::clone(def),
                path: builtin_path(def).into(),
                behaviour: behaviour::of(def),
            };
            by_id.insert(id, known);
            by_name.insert(def.name.as_str(), id);
        }
        Self { by_id, by_name, users: Cache::new(KEPT) }
    }

    pub(super) fn builtin(&self, name: &str) -> Option<ObjectId> {
        self.by_name.get(name).copied()
    }

    /// Built-in types that have no object yet.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static Arc<TypeDef>> {
        builtins().iter().filter(|def| !self.by_name.contains_key(def.name.as_str()))
    }

    pub(super) fn behaviour(&self, type_id: ObjectId) -> &'static dyn Behaviour {
        self.by_id.get(&type_id).map_or_else(behaviour::plain, |known| known.behaviour)
    }

    pub(super) fn is_builtin(&self, type_id: ObjectId) -> bool {
        self.by_id.contains_key(&type_id)
    }

    fn known(&self, type_id: ObjectId) -> Option<&Known> {
        self.by_id.get(&type_id)
    }
}

impl View {
    /// The definition that a type object gives. A type object that is gone gives a type without
    /// fields, so that its objects can still be opened.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn type_def(&self, type_id: ObjectId) -> Result<Arc<TypeDef>, Fault> {
        let types = &self.inner.types;
        if let Some(known) = types.known(type_id) {
            return Ok(Arc::clone(&known.def));
        }
        let Some(head) = self.head_if(type_id)?.filter(|head| !head.demoted) else {
            return Ok(Arc::new(TypeDef::from_type_object("", &Dict::new())));
        };
        let own = self.has_own_body(type_id);
        if !own && let Some(def) = types.users.get(&(type_id, head.rev)) {
            return Ok(def);
        }
        let body = self.body(type_id)?.unwrap_or_default();
        let fields: Dict = body.fields.into_iter().collect();
        let def = Arc::new(TypeDef::from_type_object(&head.name, &fields));
        if !own {
            types.users.insert((type_id, head.rev), Arc::clone(&def));
        }
        Ok(def)
    }

    /// The type of an object.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    pub fn type_of(&self, id: ObjectId) -> Result<Arc<TypeDef>, Fault> {
        self.type_def(self.head(id)?.type_id)
    }

    /// The type object at a path and its definition.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`] when it is missing or no type object.
    pub fn type_by_path(&self, path: &ObjectPath) -> Result<(ObjectId, Arc<TypeDef>), Fault> {
        let id = self.resolve(path)?;
        if !self.is_type(id)? {
            return Err(super::fault::no_type(path.as_str()));
        }
        Ok((id, self.type_def(id)?))
    }

    /// Whether the object is a type object.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn is_type(&self, id: ObjectId) -> Result<bool, Fault> {
        if self.inner.types.is_builtin(id) {
            return Ok(true);
        }
        let type_object = self.inner.types.builtin("TypeObject");
        Ok(self.head_if(id)?.is_some_and(|head| Some(head.type_id) == type_object))
    }

    /// The type object of a built-in type, by the type's name.
    #[must_use]
    pub fn builtin(&self, name: &str) -> Option<ObjectId> {
        self.inner.types.builtin(name)
    }

    /// The path of a type object; empty when it is gone.
    #[must_use]
    pub fn type_path(&self, type_id: ObjectId) -> String {
        match self.inner.types.known(type_id) {
            Some(known) => known.path.to_string(),
            None => self.path_of(type_id).map(|path| path.to_string()).unwrap_or_default(),
        }
    }
}
