//! Tests of the door on the memory twin.

mod basic;
mod earlier;
mod facts;
mod evolve;
mod finding;
mod forms;
mod fuzzed;
mod model;
mod offers;
mod paging;
mod people;
mod rules;
mod special;

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface, NodeKind};
use kompira_schema::value::{Dict, Value};
use parking_lot::Mutex;

use super::*;
use crate::auth::User;
use crate::base::clock::Fake;
use crate::secrets::Keys;
use crate::store::{Durability, Store};

pub(super) struct World {
    pub(super) tree: Tree,
    pub(super) clock: Arc<Fake>,
    pub(super) audit: Arc<Mutex<Vec<String>>>,
}

pub(super) fn caller(user: UserId) -> Caller {
    Caller {
        user,
        interface: Interface::Api,
        remote: Some("192.0.2.1".into()),
        process: None,
        request: "test".into(),
        exec: None,
    }
}

pub(super) fn root() -> Caller {
    caller(User::ROOT)
}

pub(super) fn guest() -> Caller {
    caller(User::GUEST)
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn world() -> World {
    world_over(Store::memory())
}

pub(super) fn world_over(store: Store) -> World {
    let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
    let audit = Arc::new(Mutex::new(Vec::new()));
    let options = Options {
        initial_password: Some("root-password".into()),
        audit: Some(Arc::clone(&audit) as Arc<dyn crate::audit::Sink>),
        ..Options::default()
    };
    let keys = Arc::new(Keys::from_text("a key of the tests"));
    let (tree, generated) = Tree::new(store, keys, Arc::clone(&clock) as _, options).unwrap();
    assert_eq!(generated, None);
    World { tree, clock, audit }
}

impl World {
    pub(super) fn id(&self, path: &str) -> ObjectId {
        self.tree.view().resolve(&ObjectPath::parse(path).unwrap()).unwrap()
    }

    pub(super) fn find(&self, path: &str) -> Option<ObjectId> {
        self.tree.view().find_path(&ObjectPath::parse(path).unwrap()).unwrap()
    }

    pub(super) fn kind(&self, name: &str) -> ObjectId {
        self.tree.view().builtin(name).unwrap()
    }

    pub(super) fn write<T>(
        &self,
        who: &Caller,
        work: impl FnMut(&mut Txn) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.tree.write(who, Durability::Lazy, work).map(|done| done.value)
    }

    pub(super) fn create(
        &self,
        who: &Caller,
        path: &str,
        kind: &str,
        fields: &[(&str, Value)],
    ) -> Result<ObjectId, Fault> {
        let path = ObjectPath::parse(path).unwrap();
        let parent = self.id(path.parent().unwrap().as_str());
        let fields: Dict =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let draft = Draft { fields, ..Draft::default() };
        self.write(who, |txn| {
            txn.create(parent, &name(path.name().unwrap()), self.kind(kind), draft.clone())
        })
    }

    pub(super) fn update(
        &self,
        who: &Caller,
        path: &str,
        fields: &[(&str, Value)],
    ) -> Result<(), Fault> {
        let id = self.id(path);
        let fields: Dict =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.write(who, |txn| {
            txn.update(id, None, Patch { fields: fields.clone(), ..Patch::default() })
        })
    }

    pub(super) fn field(&self, path: &str, field: &str) -> Value {
        let view = self.tree.view();
        let object = view.get(&root(), self.id(path)).unwrap();
        view.field(&object, field).unwrap().into_owned()
    }
}

pub(super) fn kind_of<T>(done: Result<T, Fault>) -> Option<Kind> {
    done.err().map(|fault| fault.kind())
}
