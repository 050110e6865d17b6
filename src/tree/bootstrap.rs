//! The factory tree: what an empty store gets at its first start (rule: `tree/first-start`), and
//! type objects that a newer version of the product adds.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::catalogue::Lang;
use kompira_schema::error::Fault;
use kompira_schema::id::{GroupId, ObjectId, Rev, UserId};
use kompira_schema::tree::NodeKind;
use kompira_schema::types::{
    Executable, InitialObject, TYPES_DIRECTORY, TypeDef, builtin, builtins, factory,
};
use kompira_schema::value::{Dict, Ref, Value};
use zeroize::Zeroizing;

use super::behaviour::{self, Saving};
use super::handle::Tree;
use super::model::flag;
use super::view::View;
use crate::auth::{Acl, AclId, Group, GroupEntry, Rights, User, rows};
use crate::secrets::{password, token};
use crate::store::{
    Batch, Body, CommitError, Counter, DERIVED, Dirent, Durability, EntryKind, Family, Head, Store,
    keys,
};

/// Fixed numbers: the root is 1, `/system` 2, the directory of the types 3; type objects follow in
/// the order of the manual.
const TYPES: ObjectId = ObjectId(3);
const FIRST_TYPE: u64 = 4;
/// Number of the first object that the factory did not bring.
const FIRST_OWN: u64 = 1000;

/// Numbers of the built-in type objects: those of the store, and for an empty store those that
/// they are going to have.
pub(super) fn type_ids(store: &Store) -> Result<Vec<(String, ObjectId)>, Fault> {
    let snapshot = store.snapshot();
    if snapshot.head(ObjectId::ROOT)?.is_none() {
        return Ok(planned().map(|(def, id)| (def.name.clone(), id)).collect());
    }
    let mut found = Vec::new();
    for (name, entry) in snapshot.dirents(TYPES, None, usize::MAX)? {
        let head = snapshot.head(entry.child)?;
        if head.is_some_and(|head| head.flags & flag::FACTORY != 0) {
            found.push((name, entry.child));
        }
    }
    Ok(found)
}

fn planned() -> impl Iterator<Item = (&'static Arc<TypeDef>, ObjectId)> {
    builtins().iter().zip(FIRST_TYPE..).map(|(def, id)| (def, ObjectId(id)))
}

impl Tree {
    /// Fills an empty store; answers a generated password of `root`.
    pub(super) fn bootstrap(&self) -> Result<Option<String>, Fault> {
        let snapshot = self.store().snapshot();
        if snapshot.head(ObjectId::ROOT)?.is_some() {
            self.add_types()?;
            return Ok(None);
        }
        let (clear, generated) = match &self.inner.options.initial_password {
            Some(clear) => (Zeroizing::new(clear.clone()), false),
            None => (token::generate_password()?, true),
        };
        let mut first = First::new(self.inner.clock.now(), self.store().batch(&snapshot));
        first.principals(&clear)?;
        first.objects(&self.view())?;
        let users = factory().users.len() as u64;
        let groups = factory().groups.len() as u64;
        let (batch, last) = (first.batch, first.next - 1);
        // Numbers first: a crash in between leaves an empty store and unused numbers.
        self.store().raise_counter(Counter::Object, last.max(FIRST_OWN - 1))?;
        self.store().raise_counter(Counter::User, users)?;
        self.store().raise_counter(Counter::Group, groups)?;
        commit(self.store(), batch)?;
        Ok(generated.then(|| clear.to_string()))
    }

    /// Type objects that this version of the product brings and the store does not have yet.
    fn add_types(&self) -> Result<(), Fault> {
        let missing: Vec<_> = self.inner.types.missing().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|def| def.name.as_str()).collect();
        let told = kompira_schema::message!("tree.types_missing", names = names.join(", "));
        Err(Fault::new(kompira_schema::error::Kind::Version, told))
    }
}

fn commit(store: &Store, batch: Batch) -> Result<(), Fault> {
    match store.commit(batch, Durability::Synced) {
        Ok(_) => Ok(()),
        Err(CommitError::Fault(fault)) => Err(fault),
        Err(CommitError::Conflict) => Err(Fault::internal("the first commit conflicts")),
    }
}

/// The first commit in the making.
struct First {
    batch: Batch,
    now: Timestamp,
    next: u64,
    ids: HashMap<String, ObjectId>,
}

impl First {
    fn new(now: Timestamp, mut batch: Batch) -> Self {
        batch.at(now);
        let next = FIRST_TYPE + builtins().len() as u64;
        let mut ids = HashMap::from([
            ("/".to_owned(), ObjectId::ROOT),
            ("/system".to_owned(), ObjectId(2)),
            (TYPES_DIRECTORY.to_owned(), TYPES),
        ]);
        for (def, id) in planned() {
            ids.insert(format!("{TYPES_DIRECTORY}/{}", def.name), id);
        }
        Self { batch, now, next, ids }
    }

    fn id_of(&mut self, path: &str) -> ObjectId {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        let id = ObjectId(self.next);
        self.next += 1;
        self.ids.insert(path.to_owned(), id);
        id
    }

    fn principals(&mut self, root_password: &str) -> Result<(), Fault> {
        let groups: HashMap<&str, GroupId> = factory()
            .groups
            .iter()
            .zip(1..)
            .map(|(group, id)| (group.name.as_str(), GroupId(id)))
            .collect();
        for (group, id) in factory().groups.iter().zip(1..) {
            let id = GroupId(id);
            let row = Group { id, name: group.name.clone(), ldap: false, factory: true };
            self.batch.put_row(Family::Auth, rows::group(id), &row)?;
            self.batch.put(Family::Auth, rows::group_name(&group.name), id.0.to_be_bytes());
        }
        for (user, id) in factory().users.iter().zip(1..) {
            let id = UserId(id);
            let password = user.password_generated().then(|| password::hash(root_password));
            let row = User {
                id,
                username: user.username.clone(),
                password: password.transpose()?,
                first_name: String::new(),
                last_name: String::new(),
                email: String::new(),
                environment: None,
                home: Some(self.id_of(&user.home_directory)),
                groups: user
                    .groups
                    .iter()
                    .filter_map(|name| groups.get(name.as_str()).copied())
                    .collect(),
                active: user.is_active,
                ldap: false,
                token_hash: None,
                token_sealed: None,
                last_login: None,
                factory: true,
            };
            self.batch.put_row(Family::Auth, rows::user(id), &row)?;
            self.batch.put(Family::Auth, rows::user_name(&user.username), id.0.to_be_bytes());
        }
        self.batch.put_stamped(Family::Auth, rows::VERSION, vec![0; 8], 0);
        Ok(())
    }

    fn objects(&mut self, view: &View) -> Result<(), Fault> {
        for object in &factory().objects {
            self.object(view, object)?;
            if object.path.as_str() == TYPES_DIRECTORY {
                for (def, id) in planned() {
                    self.type_object(def, id)?;
                }
            }
        }
        Ok(())
    }

    fn type_object(&mut self, def: &TypeDef, id: ObjectId) -> Result<(), Fault> {
        let fields = def.type_object_fields(Lang::En);
        let kind = builtin("TypeObject").expect("a type of the product");
        let acl = self.acl(&format!("{TYPES_DIRECTORY}/{}", def.name))?;
        let label = def.display_name.en.as_str();
        let place = Spot { id, parent: TYPES, name: &def.name, owner: User::ROOT, factory: true };
        self.put(&place, kind, acl, label, fields)
    }

    fn object(&mut self, view: &View, object: &InitialObject) -> Result<(), Fault> {
        let path = object.path.as_str();
        let id = self.id_of(path);
        let parent = match object.path.parent() {
            Some(parent) => self.id_of(parent.as_str()),
            None => ObjectId(0),
        };
        let def = builtin(&object.type_name).expect("a type of the product");
        let mut fields = Dict::new();
        for (name, value) in &object.fields {
            fields.insert(name.clone(), self.with_references(def, name, value));
        }
        if def.executable == Executable::Yes {
            // As with any save: a jobflow is compiled.
            let fields = &mut fields;
            let mut saving = Saving { view, id, old: None, fields, lenient: false, suffix: None };
            let saved = behaviour::of(def).before_write(&mut saving);
            saved.map_err(|problems| Fault::internal(format!("{path}: {problems:?}")))?;
        }
        let owner = match &object.owner {
            Some(name) => factory().users.iter().zip(1..).find(|(user, _)| user.username == *name),
            None => None,
        };
        let owner = owner.map_or(User::ROOT, |(_, id)| UserId(id));
        let name = object.path.name().unwrap_or_default();
        let acl = self.acl(path)?;
        let place = Spot { id, parent, name, owner, factory: object.protected };
        let label = object.display_name.en.as_str();
        self.put(&place, def, acl, label, fields)
    }

    /// References of the factory tree are written as paths.
    fn with_references(&mut self, def: &TypeDef, name: &str, value: &Value) -> Value {
        use kompira_schema::field::Elem;
        let is_reference =
            def.field(name).is_some_and(|field| field.field_type.shape.elem() == Elem::Object);
        match value {
            Value::Str(path) if is_reference => Value::Object(Ref::Object(self.id_of(path))),
            other => other.clone(),
        }
    }

    /// The initial permissions (rule: `tree/initial-permissions`).
    fn acl(&mut self, path: &str) -> Result<AclId, Fault> {
        let within = |top: &str| {
            path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
        };
        let rw = Rights { read: true, write: true, execute: false };
        let acl = if within("/user") {
            Acl::of_group(Group::OTHER, Rights::ALL)
        } else if path.starts_with("/system/channels/") {
            Acl::of_group(Group::OTHER, rw)
        } else if let Some(home) = path.strip_prefix("/home/") {
            self.home(home)
        } else if path == "/root" {
            self.home("root")
        } else {
            Acl {
                users: vec![],
                groups: vec![GroupEntry { group: Group::OTHER, rights: Rights::READ, priority: 0 }],
            }
        };
        let id = acl.id();
        if id != AclId::EMPTY {
            self.batch.put(Family::Auth, rows::acl(id), acl.encode());
        }
        Ok(id)
    }

    fn home(&self, name: &str) -> Acl {
        let users = factory().users.iter().zip(1..);
        let user = users.into_iter().find(|(user, _)| user.username == name);
        user.map_or_else(Acl::default, |(_, id)| Acl::of_user(UserId(id), Rights::ALL))
    }

    fn put(
        &mut self,
        spot: &Spot<'_>,
        def: &TypeDef,
        acl: AclId,
        label: &str,
        fields: Dict,
    ) -> Result<(), Fault> {
        let type_id = self.id_of(&format!("{TYPES_DIRECTORY}/{}", def.name));
        let node = if def.is_container() { NodeKind::Dir } else { NodeKind::File };
        let content = def.file.representative.as_deref().map(|field| fields.get(field));
        let head = Head {
            rev: Rev(0),
            parent: spot.parent,
            type_id,
            owner: spot.owner,
            created: self.now,
            updated: self.now,
            mtime: self.now,
            ctime: self.now,
            mode: 0,
            node,
            flags: flags(spot, &fields),
            content_size: match content {
                None => DERIVED,
                Some(Some(Value::Str(text))) => text.len() as u64,
                Some(_) => 0,
            },
            record_size: DERIVED,
            acl: acl.0,
            name: spot.name.to_owned(),
        };
        let display_name = if label == spot.name { String::new() } else { label.to_owned() };
        let body =
            Body { display_name, description: String::new(), fields: fields.into_iter().collect() };
        for (target, field) in super::value::references(&body) {
            let key = keys::backref(target, spot.id, &field);
            self.batch.put(Family::Backref, key, Vec::new());
        }
        self.batch.put_head(spot.id, &head);
        self.batch.put_body(spot.id, &body)?;
        self.batch.put(Family::Index, keys::index_type(type_id, spot.id), Vec::new());
        self.batch.put(Family::Index, keys::index_owner(spot.owner, spot.id), Vec::new());
        if spot.id != ObjectId::ROOT {
            let entry = Dirent {
                since: Rev(0),
                child: spot.id,
                type_id,
                kind: EntryKind::Object,
                node,
                container: def.is_container(),
                suffix: String::new(),
            };
            self.batch.put_dirent(spot.parent, spot.name, &entry);
        }
        Ok(())
    }
}

fn flags(spot: &Spot<'_>, fields: &Dict) -> u32 {
    let protected = spot.factory || spot.id == ObjectId::ROOT;
    let runnable = fields.get("executable") == Some(&Value::Bool(true));
    let set = [(flag::FACTORY, protected), (flag::RUNNABLE, runnable)];
    set.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum()
}

struct Spot<'a> {
    id: ObjectId,
    parent: ObjectId,
    name: &'a str,
    owner: UserId,
    factory: bool,
}
