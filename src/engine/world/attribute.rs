//! Properties, fields and methods behind a dot (rule: `operations/objects-in-jobflows`).

use kompira_schema::error::Kind;
use kompira_schema::id::ObjectId;
use kompira_schema::path::ObjectPath;
use kompira_schema::value::{Dict, Ref, Value as Plain};

use super::{World, handles};
use crate::engine::vm::heap::{File, Function, Receiver};
use crate::engine::vm::{Handle, Heap, Raise, RefKind, Value};
use crate::tree::Patch;

impl World<'_> {
    /// Finds an object by a path as the language writes it; special objects too.
    pub(super) fn find(&mut self, base: ObjectId, path: &str) -> Result<Handle, Raise> {
        let missing = || Raise::new(format!("object not found: {path}"));
        if let Some(special) = self.find_special(path) {
            return special.ok_or_else(missing);
        }
        let from = self.txn.head(base).map_or(ObjectId::ROOT, |head| head.parent);
        let from = if from.0 == 0 { ObjectId::ROOT } else { from };
        let (from, rest) = match path.strip_prefix('~') {
            None => (from, path),
            Some(rest) => {
                let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
                let name = name.trim_start_matches('(').trim_end_matches(')');
                let user = if name.is_empty() {
                    self.txn.user(self.who.user)
                } else {
                    self.txn.user_by_name(name)
                };
                let home = user
                    .and_then(|user| ObjectPath::parse(&format!("/home/{}", user.username)).ok())
                    .and_then(|path| self.txn.resolve(&path).ok());
                (home.ok_or_else(missing)?, rest)
            }
        };
        match self.txn.resolve_from(from, rest) {
            Ok(id) => Ok(Handle { kind: RefKind::Object, id: id.0 }),
            Err(fault) if matches!(fault.kind(), Kind::NotFound | Kind::BadName) => Err(missing()),
            Err(fault) => Err(self.raise(&fault, path)),
        }
    }

    /// `object.name`: property, then method, then field.
    pub(super) fn get_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
    ) -> Result<Value, Raise> {
        if target.kind == RefKind::Queue {
            return self.memory_attribute(heap, target, name);
        }
        let Some(id) = target.object() else { return self.special(heap, target, name) };
        if let Some(value) = self.property(heap, id, name)? {
            return Ok(value);
        }
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        if self.is_method(&def, name) || super::special::methods::of_root(&path, name).is_some() {
            let method = Function::Method(Receiver(target.into()), name.into());
            return Ok(heap.function(method));
        }
        match self.read_field(heap, id, name)? {
            Some(value) => Ok(value),
            // Whether there is such a function is found out by the call.
            None if def.is_builtin("Library") => {
                Ok(heap.function(Function::Library(target, name.into())))
            }
            None => Err(Raise::attribute(name)),
        }
    }

    pub(super) fn property(
        &mut self,
        heap: &mut Heap,
        id: ObjectId,
        name: &str,
    ) -> Result<Option<Value>, Raise> {
        let path = self.path(id);
        let stub = self.txn.stub(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        let object = |id: ObjectId| Value::from(id);
        Ok(Some(match name {
            "id" => Value::Int(i64::try_from(id.0).unwrap_or(i64::MAX)),
            "abspath" => heap.str(stub.path.as_str()),
            "name" => heap.str(stub.head.name.as_str()),
            "description" => heap.str(stub.description.as_str()),
            "display_name" => heap.str(stub.display_name.as_str()),
            "field_names" => {
                let names = stub.def.fields().map(|field| heap.str(field.name.as_str())).collect();
                heap.array(names)
            }
            "owner" => Ref::User(stub.head.owner).into(),
            "created" => heap.import(&Plain::Datetime(stub.head.created)),
            "updated" => heap.import(&Plain::Datetime(stub.head.updated)),
            "parent_object" if stub.head.parent.0 == 0 => Value::Null,
            "parent_object" => object(stub.head.parent),
            "children" => heap.lazy(super::query::children(id)),
            "type_object" => object(stub.head.type_id),
            "type_name" => heap.str(stub.def.name.as_str()),
            "user_permissions" | "group_permissions" => {
                let entries = self.permissions(&stub.acl, name == "group_permissions");
                heap.import(&Plain::Dict(entries))
            }
            "data" if self.has_data(id) => {
                let object =
                    self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
                let dict = heap.dict(crate::engine::vm::dict::Dict::new());
                for (key, value) in object.data.iter().flatten() {
                    let value = self.open(heap, id, &format!("data.{key}"), None, value)?;
                    heap.dict_set_str(dict, key, value);
                }
                dict
            }
            _ => {
                if stub.def.property(name).is_none() {
                    return Ok(None);
                }
                let mut extra = self.txn.extra(&stub).map_err(|fault| self.raise(&fault, &path))?;
                return Ok(extra.shift_remove(name).map(|value| heap.import(&value)));
            }
        }))
    }

    fn permissions(&self, acl: &crate::auth::Acl, groups: bool) -> Dict {
        let rights = |rights: &crate::auth::Rights, priority: Option<i64>| {
            let mut entry = Dict::new();
            entry.insert("writable".into(), rights.write.into());
            entry.insert("readable".into(), rights.read.into());
            entry.insert("executable".into(), rights.execute.into());
            if let Some(priority) = priority {
                entry.insert("priority".into(), priority.into());
            }
            Plain::Dict(entry)
        };
        if groups {
            acl.groups
                .iter()
                .map(|entry| {
                    let name = self.txn.group_name(entry.group);
                    (name, rights(&entry.rights, Some(entry.priority)))
                })
                .collect()
        } else {
            acl.users
                .iter()
                .map(|entry| (self.txn.user_name(entry.user), rights(&entry.rights, None)))
                .collect()
        }
    }

    /// A field's value; `None` when the type has none of that name.
    pub(super) fn read_field(
        &mut self,
        heap: &mut Heap,
        id: ObjectId,
        name: &str,
    ) -> Result<Option<Value>, Raise> {
        let path = self.path(id);
        let object = self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        let Some(value) = self.txn.field(&object, name) else { return Ok(None) };
        let value = value.into_owned();
        Ok(Some(self.open(heap, id, name, None, &value)?))
    }

    /// The setting of a Config, where no field has the name (rule: `language/subscripts`).
    pub(super) fn read_setting(
        &mut self,
        heap: &mut Heap,
        id: ObjectId,
        name: &str,
    ) -> Result<Option<Value>, Raise> {
        if !self.has_data(id) {
            return Ok(None);
        }
        let path = self.path(id);
        let object = self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        match object.data.as_ref().and_then(|data| data.get(name)) {
            Some(value) => self.open(heap, id, &format!("data.{name}"), None, value).map(Some),
            None => Ok(None),
        }
    }

    /// Takes a field's value in: passwords are opened for those who may write, attachments know
    /// where they belong.
    fn open(
        &mut self,
        heap: &mut Heap,
        id: ObjectId,
        field: &str,
        element: Option<&str>,
        value: &Plain,
    ) -> Result<Value, Raise> {
        Ok(match value {
            Plain::Sealed(_) => {
                let path = self.path(id);
                let clear = self
                    .txn
                    .password(&self.who, id, field, element)
                    .map_err(|fault| self.raise(&fault, &path))?;
                heap.str(clear.as_str())
            }
            Plain::File(file) => {
                let handle = Handle { kind: RefKind::Object, id: id.0 };
                let origin = Some((handle, field.into(), element.map(Into::into)));
                heap.file(File { value: file.clone(), origin })
            }
            Plain::Array(items) if items.iter().any(is_owned) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    values.push(self.open(heap, id, field, Some(&index.to_string()), item)?);
                }
                heap.array(values)
            }
            Plain::Dict(items) if items.values().any(is_owned) => {
                let dict = heap.dict(crate::engine::vm::dict::Dict::new());
                for (key, item) in items {
                    let value = self.open(heap, id, field, Some(key), item)?;
                    heap.dict_set_str(dict, key, value);
                }
                dict
            }
            plain => heap.import(plain),
        })
    }

    /// `[value >> object.name]`: writable property, else field.
    pub(super) fn put_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        value: Value,
    ) -> Result<(), Raise> {
        let Some(id) = target.object() else {
            let value = heap.export(self, value)?;
            let unknown = Raise::attribute(name);
            return match self.put_special(target, name, &value) {
                Err(raise) if raise.message() == unknown.message() => {
                    Err(self.special(heap, target, name).map_or(unknown, |_| read_only(name)))
                }
                done => done,
            };
        };
        if matches!(name, "description" | "display_name") {
            // As in a field of Strings, every value becomes text.
            let text = Some(heap.text(self, value)?);
            let patch = match name {
                "description" => Patch { description: text, ..Patch::default() },
                _ => Patch { display_name: text, ..Patch::default() },
            };
            return self.change(id, |txn| txn.update(id, None, patch));
        }
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        let is_property = match name {
            "owner" | "user_permissions" | "group_permissions" => true,
            _ => name == "data" && self.has_data(id),
        };
        let value = match is_property {
            true => heap.export(self, value)?,
            false => self.for_field(heap, &def, name, value)?,
        };
        let patch = match name {
            "owner" => match value {
                Plain::Object(Ref::User(user)) => Patch { owner: Some(user), ..Patch::default() },
                other => {
                    let type_name = other.type_name();
                    return Err(Raise::new(format!("owner cannot be of type {type_name}")));
                }
            },
            "user_permissions" | "group_permissions" => {
                let acl = self.new_permissions(id, name == "group_permissions", &value)?;
                Patch { acl: Some(acl), ..Patch::default() }
            }
            "data" if self.has_data(id) => match value {
                Plain::Dict(data) => Patch { data: Some(data), ..Patch::default() },
                other => {
                    let type_name = other.type_name();
                    return Err(Raise::new(format!("data cannot be of type {type_name}")));
                }
            },
            _ => {
                let known = self.field_exists(id, name)?;
                if !known {
                    return Err(match self.property(heap, id, name)? {
                        Some(_) => read_only(name),
                        None => Raise::attribute(name),
                    });
                }
                let fields = Dict::from_iter([(name.to_owned(), value)]);
                Patch { fields, ..Patch::default() }
            }
        };
        self.change(id, |txn| txn.update(id, None, patch))
    }

    fn has_data(&self, id: ObjectId) -> bool {
        self.txn.type_of(id).is_ok_and(|def| def.is_builtin("Config"))
    }

    pub(super) fn field_exists(&mut self, id: ObjectId, name: &str) -> Result<bool, Raise> {
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        Ok(def.field(name).is_some())
    }

    fn new_permissions(
        &mut self,
        id: ObjectId,
        groups: bool,
        value: &Plain,
    ) -> Result<crate::auth::Acl, Raise> {
        let path = self.path(id);
        let stub = self.txn.stub(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        let mut acl = (*stub.acl).clone();
        let Plain::Dict(entries) = value else {
            return Err(Raise::new("permissions are a Dictionary of names"));
        };
        if groups {
            acl.groups.clear();
        } else {
            acl.users.clear();
        }
        for (name, entry) in entries {
            let Plain::Dict(entry) = entry else {
                return Err(Raise::new("a permission is a Dictionary"));
            };
            let mut rights = crate::auth::Rights::default();
            let mut priority = 0;
            for (key, value) in entry {
                // A right that is misread would be one that is lost, or given away.
                let on = || match value {
                    Plain::Bool(on) => Ok(*on),
                    other => {
                        Err(Raise::new(format!("{key} cannot be of type {}", other.type_name())))
                    }
                };
                match (key.as_str(), value) {
                    ("readable", _) => rights.read = on()?,
                    ("writable", _) => rights.write = on()?,
                    ("executable", _) => rights.execute = on()?,
                    ("priority", Plain::Int(number)) if groups => priority = *number,
                    _ => return Err(Raise::new(format!("unknown permission: {key}"))),
                }
            }
            if groups {
                let group = self.txn.group_by_name(name);
                let group = group.ok_or_else(|| Raise::new(format!("no such group: {name}")))?.id;
                acl.groups.push(crate::auth::GroupEntry { group, rights, priority });
            } else {
                let user = self.txn.user_by_name(name);
                let user = user.ok_or_else(|| Raise::new(format!("no such user: {name}")))?.id;
                acl.users.push(crate::auth::UserEntry { user, rights });
            }
        }
        Ok(acl)
    }

    /// `[value >> object['field'][key]…]`: the stored field is read, changed and written.
    pub(super) fn put_field(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        field: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        let unknown = || Raise::new(format!("field not found: {field}"));
        let id = target.object().ok_or_else(unknown)?;
        if !self.field_exists(id, field)? {
            if self.read_setting(heap, id, field)?.is_none() {
                return Err(unknown());
            }
            let keys: Vec<_> =
                std::iter::once(heap.str(field)).chain(keys.iter().copied()).collect();
            return self.put_property(heap, target, "data", &keys, value);
        }
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        let new = if keys.is_empty() {
            self.for_field(heap, &def, field, value)?
        } else {
            let object = self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
            let whole = self
                .txn
                .field(&object, field)
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default();
            let value = self.for_element(heap, &def, field, value)?;
            self.changed(heap, whole, keys, value)?
        };
        let patch =
            Patch { fields: Dict::from_iter([(field.to_owned(), new)]), ..Patch::default() };
        self.change(id, |txn| txn.update(id, None, patch))
    }

    /// `[value >> object.property.key…]`: a property that is a Dictionary is read, changed and
    /// written, as a field is.
    pub(super) fn put_property(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        let held = self.get_attribute(heap, target, name)?;
        let whole = heap.export(self, held)?;
        let value = heap.export(self, value)?;
        let whole = self.changed(heap, whole, keys, value)?;
        let whole = heap.import(&whole);
        self.put_attribute(heap, target, name, whole)
    }

    /// A value with another element deep inside.
    fn changed(
        &mut self,
        heap: &mut Heap,
        mut whole: Plain,
        keys: &[Value],
        value: Plain,
    ) -> Result<Plain, Raise> {
        let mut keys =
            keys.iter().map(|&key| heap.export(self, key)).collect::<Result<Vec<_>, _>>()?;
        let last = keys.pop();
        let mut place = &mut whole;
        for key in &keys {
            place = element(place, key)?;
        }
        if let Some(last) = last {
            set_element(place, &last, value)?;
        }
        Ok(whole)
    }
}

/// What is said of a property that only the server sets.
pub(super) fn read_only(name: &str) -> Raise {
    Raise::new(format!("attribute is read-only: {name}"))
}

/// Whether a value belongs to the place it is stored in.
fn is_owned(value: &Plain) -> bool {
    matches!(value, Plain::Sealed(_) | Plain::File(_))
}

fn index_of(length: usize, key: &Plain) -> Result<usize, Raise> {
    let Plain::Int(index) = key else {
        return Err(Raise::new("an Array is indexed by Integers"));
    };
    let place = if *index < 0 { index + i64::try_from(length).unwrap_or(0) } else { *index };
    usize::try_from(place)
        .ok()
        .filter(|&place| place < length)
        .ok_or_else(|| Raise::new(format!("array index out of range: {index}")))
}

fn element<'a>(of: &'a mut Plain, key: &Plain) -> Result<&'a mut Plain, Raise> {
    match of {
        Plain::Array(items) => {
            let index = index_of(items.len(), key)?;
            items.get_mut(index).ok_or_else(|| Raise::new("array index out of range"))
        }
        Plain::Dict(entries) => {
            let Plain::Str(key) = key else {
                return Err(Raise::new("keys of a field are Strings"));
            };
            entries.get_mut(key).ok_or_else(|| Raise::new(format!("key not found: {key}")))
        }
        other => Err(Raise::new(format!("'{}' is not subscriptable", other.type_name()))),
    }
}

fn set_element(of: &mut Plain, key: &Plain, value: Plain) -> Result<(), Raise> {
    if let (Plain::Dict(entries), Plain::Str(key)) = (&mut *of, key) {
        entries.insert(key.clone(), value);
        return Ok(());
    }
    *element(of, key)? = value;
    Ok(())
}

impl World<'_> {
    /// The readable children of a container, in its order.
    pub(super) fn list(&mut self, target: Handle) -> Result<Option<Vec<Handle>>, Raise> {
        /// Entries of one read.
        const PAGE: usize = 1_000;
        let Some(dir) = target.object() else { return Ok(None) };
        let path = self.path(dir);
        if let Some(special) = self.list_special(&path)? {
            return Ok(Some(special));
        }
        let def = self.txn.type_of(dir).map_err(|fault| self.raise(&fault, &path))?;
        if !def.is_container() {
            return Ok(None);
        }
        if let Some(ids) = self.ordered(dir)? {
            return Ok(Some(ids));
        }
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .txn
                .children(&self.who, dir, after.as_deref(), PAGE)
                .map_err(|fault| self.raise(&fault, &path))?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            let full = page.len() == PAGE;
            for handle in handles(page) {
                if self.txn.access(&self.who, ObjectId(handle.id)).is_ok_and(|access| access.read) {
                    found.push(handle);
                }
            }
            if !full {
                break;
            }
        }
        Ok(Some(found))
    }
}
