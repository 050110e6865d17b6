//! Methods of objects (rule: `operations/objects-in-jobflows`).

use kompira_schema::error::Kind;
use kompira_schema::id::ObjectId;
use kompira_schema::path::Name;
use kompira_schema::types::{TypeDef, common_methods};
use kompira_schema::value::{Dict, Ref, Value as Plain};

use super::World;
use super::special::methods;
use crate::engine::vm::builtin::{missing, too_many, twice, unexpected};
use crate::engine::vm::{Given, Handle, Heap, Raise, RefKind, Value};
use crate::tree::{Draft, Patch};

/// Arguments in the order of the parameters; `None` where one was left out.
pub(super) struct Bound(Vec<Option<Value>>);

impl Bound {
    pub(super) fn new(
        given: &Given,
        method: &str,
        names: &[&str],
        required: usize,
    ) -> Result<Self, Raise> {
        if given.positional.len() > names.len() {
            return Err(too_many(method, names.len()));
        }
        let mut values: Vec<Option<Value>> = given.positional.iter().copied().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in &given.named {
            let place = names.iter().position(|other| **other == **name);
            let place = place.ok_or_else(|| unexpected(method, name))?;
            match values.get_mut(place) {
                Some(slot @ None) => *slot = Some(*value),
                _ => return Err(twice(method, name)),
            }
        }
        for (value, name) in values.iter().zip(names).take(required) {
            if value.is_none() {
                return Err(missing(method, name));
            }
        }
        Ok(Self(values))
    }

    /// The first argument as it was given, `null` too.
    pub(super) fn first(&self) -> Value {
        self.0.first().copied().flatten().unwrap_or(Value::Null)
    }

    pub(super) fn get(&self, place: usize) -> Option<Value> {
        self.0.get(place).copied().flatten().filter(|value| !value.is_null())
    }
}

impl World<'_> {
    pub(super) fn is_method(&self, def: &TypeDef, name: &str) -> bool {
        def.method(name).is_some() || common_methods().iter().any(|method| method.name == name)
    }

    /// Calls a method.
    pub(super) fn method(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        if target.kind == RefKind::Queue {
            return self.memory_method(heap, target.id, name, given);
        }
        let Some(id) = target.object() else {
            return self.special_method(target, name, given);
        };
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        if methods::of_root(&path, name).is_some() && name == "add" {
            return self.add_special(heap, id, &path, given);
        }
        if !self.is_method(&def, name) && methods::of_root(&path, name).is_none() {
            return Err(Raise::attribute(name));
        }
        let table = def.is_builtin("Table");
        match name {
            "delete" => {
                Bound::new(given, name, &[], 0)?;
                self.change(id, |txn| txn.delete(id))?;
            }
            "update" => {
                if !given.positional.is_empty() {
                    return Err(too_many(name, 0));
                }
                let mut fields = Dict::new();
                for (field, value) in &given.named {
                    let value = self.for_field(heap, &def, field, *value)?;
                    fields.insert(field.to_string(), value);
                }
                let patch = Patch { fields, ..Patch::default() };
                self.change(id, |txn| txn.update(id, None, patch))?;
            }
            "rename" => {
                let bound = Bound::new(given, name, &["name"], 1)?;
                let name = self.name(heap, bound.get(0))?;
                self.change(id, |txn| txn.rename(id, &name))?;
            }
            "has_child" => {
                let bound = Bound::new(given, name, &["name"], 1)?;
                let wanted = text(heap, bound.get(0), "name")?;
                let child =
                    self.txn.child(id, &wanted).map_err(|fault| self.raise(&fault, &path))?;
                return Ok(Value::Bool(child.is_some_and(|entry| entry.is_object())));
            }
            "add" => return self.add(heap, id, given, table),
            "move" | "copy" => {
                let bound = Bound::new(given, name, &["obj", "name"], 1)?;
                let object = bound.get(0).and_then(Value::handle).and_then(Handle::object);
                let object =
                    object.ok_or_else(|| Raise::new(format!("{name}() takes an object")))?;
                let new = match bound.get(1) {
                    None => None,
                    some => Some(self.name(heap, some)?),
                };
                if name == "copy" {
                    let copied = self.change(id, |txn| txn.copy(object, id, new.as_ref()))?;
                    return Ok(copied.into());
                }
                self.change(id, |txn| txn.move_to(object, id, new.as_ref(), None))?;
            }
            "find" => return self.find_query(heap, id, given),
            "glob" => return self.glob_query(heap, id, given),
            "render" => {
                Bound::new(given, name, &[], 0)?;
                let text = self
                    .txn
                    .render(&self.who, id, None)
                    .map_err(|fault| self.raise(&fault, &path))?;
                return Ok(heap.str(text));
            }
            "send" => {
                let bound = Bound::new(given, name, &["message"], 1)?;
                let message =
                    heap.export(self, bound.0.first().copied().flatten().unwrap_or(Value::Null))?;
                self.change(id, |txn| txn.queue_push(id, &message))?;
            }
            "pop_message" => {
                let bound = Bound::new(given, name, &["index"], 0)?;
                let index = index(bound.get(0))?;
                let (_, message) = self.pop(id, index)?;
                return Ok(heap.import(&message));
            }
            "peek_message" => {
                let bound = Bound::new(given, name, &["index"], 0)?;
                let index = index(bound.get(0))?;
                let (id, message) = self.txn.queue_peek(&self.who, id, index).map_err(|fault| {
                    match fault.kind() {
                        Kind::NoMessage => no_message(index),
                        _ => self.raise(&fault, &path),
                    }
                })?;
                let number = Value::Int(i64::try_from(id).unwrap_or(i64::MAX));
                let message = heap.import(&message);
                return Ok(heap.array(vec![number, message]));
            }
            "delete_message" => {
                let numbers = message_numbers(given)?;
                let mut ids = Vec::with_capacity(numbers.len());
                let access =
                    self.txn.access(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
                for number in numbers.into_iter().filter(|_| access.write) {
                    let found = u64::try_from(number).map_err(|_| no_message(number))?;
                    let there = self.txn.queue_holds(id, found);
                    if !there.map_err(|fault| self.raise(&fault, &path))? {
                        return Err(no_message(number));
                    }
                    ids.push(found);
                }
                self.change(id, |txn| txn.queue_delete(id, &ids))?;
            }
            "clear_messages" => {
                Bound::new(given, name, &[], 0)?;
                self.change(id, |txn| txn.queue_clear(id))?;
            }
            "conn_check" => {
                return Err(Raise::new("conn_check() waits: run it as a job, [server.conn_check]"));
            }
            "initialize" | "push" | "pull" => {
                let told = format!("{name}() waits: run it as a job, [repository.{name}]");
                return Err(Raise::new(told));
            }
            _ => return Err(Raise::new(format!("{name}() is not available yet"))),
        }
        Ok(Value::Null)
    }

    pub(super) fn pop(&mut self, id: ObjectId, index: i64) -> Result<(u64, Plain), Raise> {
        self.said.writes += 1;
        self.txn.queue_pop(id, index).map_err(|fault| match fault.kind() {
            Kind::NoMessage => no_message(index),
            _ => {
                let path = self.path(id);
                self.raise(&fault, &path)
            }
        })
    }

    fn name(&mut self, heap: &Heap, value: Option<Value>) -> Result<Name, Raise> {
        let text = text(heap, value, "name")?;
        Name::new(&text).map_err(|fault| Raise::new(super::explain(&fault, &text)))
    }

    fn add(
        &mut self,
        heap: &mut Heap,
        dir: ObjectId,
        given: &Given,
        table: bool,
    ) -> Result<Value, Raise> {
        let names = ["name", "type_obj", "data", "overwrite"];
        let bound = Bound::new(given, "add", &names, if table { 1 } else { 2 })?;
        let name = self.name(heap, bound.get(0))?;
        let overwrite = bound.get(3).is_some_and(|value| heap.truth(value));
        let path = self.path(dir);
        let there = self
            .txn
            .child(dir, name.as_str())
            .map_err(|fault| self.raise(&fault, &path))?
            .filter(crate::tree::Entry::is_object);
        let wanted = match bound.get(1).map(|value| value.handle().and_then(Handle::object)) {
            Some(None) => return Err(Raise::new("type_obj is a type object")),
            Some(some) => some,
            None => None,
        };
        if let (Some(entry), true) = (&there, overwrite) {
            let id = entry.id;
            let is = self.txn.head(id).map_err(|fault| self.raise(&fault, &path))?.type_id;
            if wanted.is_some_and(|wanted| wanted != is) {
                let at = self.path(id);
                let kind = self.path(is);
                return Err(Raise::new(format!("{at} is of another type: {kind}")));
            }
            let data = self.data(heap, is, bound.get(2))?;
            let patch = Patch { fields: data, ..Patch::default() };
            self.change(id, |txn| txn.update(id, None, patch))?;
            return Ok(id.into());
        }
        let type_id = match wanted {
            Some(wanted) => wanted,
            None => {
                let object =
                    self.txn.get(&self.who, dir).map_err(|fault| self.raise(&fault, &path))?;
                match object.fields.get("typeObject") {
                    Some(Plain::Object(Ref::Object(id))) => *id,
                    _ => return Err(Raise::new("the table has no type")),
                }
            }
        };
        let data = self.data(heap, type_id, bound.get(2))?;
        let draft = Draft { fields: data, ..Draft::default() };
        let id = self.change(dir, |txn| txn.create(dir, &name, type_id, draft))?;
        Ok(id.into())
    }
}

impl World<'_> {
    /// The fields of an object of this type, out of a Dictionary.
    pub(super) fn data(
        &mut self,
        heap: &mut Heap,
        type_id: ObjectId,
        value: Option<Value>,
    ) -> Result<Dict, Raise> {
        let Some(value) = value else { return Ok(Dict::new()) };
        let path = self.path(type_id);
        let def = self.txn.type_def(type_id).map_err(|fault| self.raise(&fault, &path))?;
        let entries: Vec<_> = match heap.as_dict(value) {
            Some(dict) => dict.iter().collect(),
            None => {
                let kind = value.kind().name();
                return Err(Raise::new(format!("data cannot be of type {kind}")));
            }
        };
        let mut fields = Dict::new();
        for (key, value) in entries {
            let Some(name) = heap.as_str(key).map(str::to_owned) else {
                return Err(Raise::new(format!(
                    "a field's name cannot be '{}'",
                    key.kind().name()
                )));
            };
            let value = self.for_field(heap, &def, &name, value)?;
            fields.insert(name, value);
        }
        Ok(fields)
    }
}

fn text(heap: &Heap, value: Option<Value>, what: &str) -> Result<String, Raise> {
    value
        .and_then(|value| heap.as_str(value).map(str::to_owned))
        .ok_or_else(|| Raise::new(format!("{what} is a String")))
}

pub(super) fn no_message(number: i64) -> Raise {
    Raise::new(format!("no such message: {number}"))
}

/// The arguments of `delete_message`.
pub(super) fn message_numbers(given: &Given) -> Result<Vec<i64>, Raise> {
    if let Some((name, _)) = given.named.first() {
        return Err(unexpected("delete_message", name));
    }
    given.positional.iter().map(|&value| index(Some(value))).collect()
}

pub(super) fn index(value: Option<Value>) -> Result<i64, Raise> {
    match value {
        None => Ok(0),
        Some(Value::Int(index)) => Ok(index),
        Some(other) => Err(Raise::new(format!("'{}' is no index", other.kind().name()))),
    }
}
