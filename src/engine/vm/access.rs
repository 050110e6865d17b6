//! What stands behind dots and in brackets (rules: `language/attributes`, `language/subscripts`,
//! `language/update-jobs`).

use super::builtin::Context;
use super::heap::Function;
use super::host::{Ask, Host};
use super::machine::Machine;
use super::raise::Raise;
use super::value::{Type, Value};
use kompira_schema::id::ObjectId;

impl Machine {
    fn context<'a>(&'a mut self, host: &'a mut dyn Host, jobflow: ObjectId) -> Context<'a> {
        Context { heap: &mut self.heap, host, jobflow, builtins: &self.builtins }
    }

    /// `of.name`
    pub(super) fn attribute(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        of: Value,
        name: &str,
    ) -> Result<Value, Raise> {
        match of {
            Value::Ref(..) => match of.handle() {
                Some(object) => host.attribute(&mut self.heap, object, name),
                None => Err(Raise::attribute(name)),
            },
            Value::Dict(_) => match self.heap.dict_get_str(of, name) {
                Some(value) => Ok(value),
                None => self.method_of(of, name),
            },
            Value::File(_) => match self.file_part(host, of, name)? {
                Some(value) => Ok(value),
                None => self.property(host, jobflow, of, name),
            },
            _ => self.property(host, jobflow, of, name),
        }
    }

    fn property(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        of: Value,
        name: &str,
    ) -> Result<Value, Raise> {
        match self.builtins.find_property(of.kind(), name) {
            Some(property) => property(&mut self.context(host, jobflow), of),
            None => self.method_of(of, name),
        }
    }

    fn method_of(&mut self, of: Value, name: &str) -> Result<Value, Raise> {
        if self.builtins.find_method(of.kind(), name).is_none() {
            return Err(Raise::attribute(name));
        }
        Ok(self.heap.function(Function::Method(super::heap::Receiver(of), name.into())))
    }

    /// `of.name` as the head of a call: a Dictionary's methods come before its keys (decision C-30).
    pub(super) fn method(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        of: Value,
        name: &str,
    ) -> Result<Value, Raise> {
        if matches!(of, Value::Dict(_))
            && self.builtins.find_method(Type::Dictionary, name).is_some()
        {
            return self.method_of(of, name);
        }
        self.attribute(host, jobflow, of, name)
    }

    fn file_part(
        &mut self,
        host: &mut dyn Host,
        file: Value,
        name: &str,
    ) -> Result<Option<Value>, Raise> {
        let Some(held) = self.heap.as_file(file) else { return Ok(None) };
        Ok(Some(match name {
            "name" => {
                let text = held.value.name.clone();
                self.heap.str(text)
            }
            "size" => Value::Int(i64::try_from(held.value.size).unwrap_or(i64::MAX)),
            "data" => {
                self.heap.reserve(usize::try_from(held.value.size).unwrap_or(usize::MAX))?;
                let bytes = host.file_data(&self.heap, file)?;
                self.heap.binary(bytes)
            }
            _ => return Ok(None),
        }))
    }

    /// `of[index]`
    pub(super) fn index(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        of: Value,
        index: Value,
    ) -> Result<Value, Raise> {
        match of {
            Value::Array(_) => {
                let items = self.heap.as_array(of).unwrap_or_default();
                match place(items.len(), index) {
                    Some(at) => Ok(items.get(at).copied().unwrap_or_default()),
                    None => Err(self.out_of_range(host, index)),
                }
            }
            Value::Dict(_) => match self.heap.dict_get(of, index)? {
                Some(value) => Ok(value),
                None => Err(self.no_key(host, index)),
            },
            Value::Lazy(_) => {
                let Value::Int(at) = index else { return Err(self.out_of_range(host, index)) };
                let query = self.heap.as_lazy(of).cloned().unwrap_or_default();
                match host.query(&mut self.heap, &query, Ask::At(at))? {
                    Value::Null => Err(self.out_of_range(host, index)),
                    value => Ok(value),
                }
            }
            Value::Ref(..) => {
                let Some(object) = of.handle() else { return Err(Raise::attribute("")) };
                let Some(name) = self.heap.as_str(index).map(str::to_owned) else {
                    return Err(self.no_field(host, index));
                };
                host.field(&mut self.heap, object, &name)
            }
            Value::File(_) => {
                let Some(name) = self.heap.as_str(index).map(str::to_owned) else {
                    return Err(self.no_key(host, index));
                };
                match self.file_part(host, of, &name)? {
                    Some(value) => Ok(value),
                    None if name == "url" => self.property(host, jobflow, of, &name),
                    None => Err(self.no_key(host, index)),
                }
            }
            _ => Err(Raise::new(format!("'{}' is not subscriptable", of.kind().name()))),
        }
    }

    fn shown(&mut self, host: &mut dyn Host, value: Value) -> String {
        self.heap.text(host, value).unwrap_or_default()
    }

    fn out_of_range(&mut self, host: &mut dyn Host, index: Value) -> Raise {
        if !matches!(index, Value::Int(_) | Value::Big(_)) {
            return Raise::new(format!("array index cannot be '{}'", index.kind().name()));
        }
        Raise::new(format!("array index out of range: {}", self.shown(host, index)))
    }

    fn no_key(&mut self, host: &mut dyn Host, key: Value) -> Raise {
        Raise::new(format!("key not found: {}", self.shown(host, key)))
    }

    fn no_field(&mut self, host: &mut dyn Host, name: Value) -> Raise {
        Raise::new(format!("field not found: {}", self.shown(host, name)))
    }

    /// `[value >> of[index]]`
    pub(super) fn set_index(
        &mut self,
        host: &mut dyn Host,
        of: Value,
        index: Value,
        value: Value,
    ) -> Result<(), Raise> {
        match of {
            Value::Array(_) => {
                let length = self.heap.as_array(of).map_or(0, <[Value]>::len);
                let Some(at) = place(length, index) else {
                    return Err(self.out_of_range(host, index));
                };
                if let Some(item) = self.heap.array_mut(of).and_then(|items| items.get_mut(at)) {
                    *item = value;
                }
                Ok(())
            }
            Value::Dict(_) => self.heap.dict_set(of, index, value),
            Value::Ref(..) | Value::File(_) => self.update(host, value, of, &[(index, false)]),
            _ => Err(Raise::new(format!("'{}' is not subscriptable", of.kind().name()))),
        }
    }

    /// `[value >> start.a[b]…]`; each key with whether it stands behind a dot.
    pub(super) fn update(
        &mut self,
        host: &mut dyn Host,
        value: Value,
        start: Value,
        keys: &[(Value, bool)],
    ) -> Result<(), Raise> {
        let Some(((last, dotted), before)) = keys.split_last() else { return Ok(()) };
        let mut of = start;
        for (index, (key, dotted)) in before.iter().enumerate() {
            let next = match (of.handle(), self.heap.as_str(*key).map(str::to_owned)) {
                (Some(object), Some(name)) => {
                    let held = if *dotted {
                        host.attribute(&mut self.heap, object, &name)?
                    } else {
                        host.field(&mut self.heap, object, &name)?
                    };
                    // A field is a fresh copy: its inside is changed in the store.
                    if matches!(held, Value::Array(_) | Value::Dict(_)) {
                        let rest: Vec<Value> = keys
                            .get(index + 1..)
                            .unwrap_or_default()
                            .iter()
                            .map(|key| key.0)
                            .collect();
                        return if *dotted {
                            host.set_inside(&mut self.heap, object, &name, &rest, value)
                        } else {
                            host.set_field(&mut self.heap, object, &name, &rest, value)
                        };
                    }
                    held
                }
                (Some(_), None) => return Err(self.no_field(host, *key)),
                (None, name) => match name {
                    Some(name) if *dotted => self.attribute(host, ObjectId::ROOT, of, &name)?,
                    _ => self.index(host, ObjectId::ROOT, of, *key)?,
                },
            };
            of = next;
        }
        match of {
            Value::Ref(..) => {
                let (Some(object), Some(name)) =
                    (of.handle(), self.heap.as_str(*last).map(str::to_owned))
                else {
                    return Err(self.no_field(host, *last));
                };
                if *dotted {
                    host.set_attribute(&mut self.heap, object, &name, value)
                } else {
                    host.set_field(&mut self.heap, object, &name, &[], value)
                }
            }
            Value::File(_) => match self.heap.as_str(*last) {
                Some(part @ ("name" | "data")) => {
                    let part = part.to_owned();
                    host.set_file(&mut self.heap, of, &part, value)
                }
                Some(part @ ("size" | "url")) => {
                    Err(Raise::new(format!("attribute is read-only: {part}")))
                }
                _ => Err(self.no_key(host, *last)),
            },
            Value::Dict(_) => self.heap.dict_set(of, *last, value),
            Value::Array(_) if !*dotted => self.set_index(host, of, *last, value),
            _ if *dotted => {
                let name = self.shown(host, *last);
                Err(Raise::attribute(&name))
            }
            _ => Err(Raise::new(format!("'{}' is not subscriptable", of.kind().name()))),
        }
    }
}

/// The element that an index names; negative ones count from the end.
pub(super) fn place(length: usize, index: Value) -> Option<usize> {
    let Value::Int(index) = index else { return None };
    let at = if index < 0 { index.checked_add(i64::try_from(length).ok()?)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}
