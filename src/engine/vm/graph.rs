//! Copies of object graphs: sharing within the copy is as within the original.

use std::collections::HashMap;

use super::dict::Dict;
use super::heap::{Function, Heap, Obj, Receiver};
use super::raise::Raise;
use super::value::{Slot, Value};

/// Copies what can be reached from `roots` into another heap; the copies of the roots, in order.
pub(super) fn copy(from: &Heap, to: &mut Heap, roots: &[Value]) -> Result<Vec<Value>, Raise> {
    let mut copier = Copier { from, to, copies: HashMap::new(), pending: Vec::new() };
    let copies = roots.iter().map(|root| copier.shell(*root)).collect();
    while let Some((slot, copy)) = copier.pending.pop() {
        copier.content(slot, copy)?;
    }
    Ok(copies)
}

struct Copier<'a> {
    from: &'a Heap,
    to: &'a mut Heap,
    copies: HashMap<Slot, Value>,
    /// Containers whose content is still to be copied.
    pending: Vec<(Slot, Value)>,
}

impl Copier<'_> {
    /// The copy of a value; a container's is empty until its turn comes.
    fn shell(&mut self, value: Value) -> Value {
        let Some(slot) = value.slot() else { return value };
        if let Some(copy) = self.copies.get(&slot) {
            return *copy;
        }
        let copy = match self.from.object(slot) {
            Obj::Free => Value::Null,
            Obj::Str(text) => self.to.str(text.as_str()),
            Obj::Bytes(bytes) => self.to.binary(bytes.clone()),
            Obj::Big(number) => self.to.integer((**number).clone()),
            Obj::Pattern(pattern) => self.to.pattern((**pattern).clone()),
            Obj::Lazy(query) => self.to.lazy((**query).clone()),
            Obj::Datetime(at) => self.to.datetime((**at).clone()),
            Obj::File(file) => self.to.file((**file).clone()),
            Obj::Array(items) => {
                let copy = self.to.array(Vec::with_capacity(items.len()));
                self.pending.push((slot, copy));
                copy
            }
            Obj::Dict(_) => {
                let copy = self.to.dict(Dict::new());
                self.pending.push((slot, copy));
                copy
            }
            Obj::Function(function) => match &**function {
                Function::Method(..) => {
                    let copy = self.to.function((**function).clone());
                    self.pending.push((slot, copy));
                    copy
                }
                Function::Builtin(_) | Function::Library(..) => {
                    self.to.function((**function).clone())
                }
            },
        };
        self.copies.insert(slot, copy);
        copy
    }

    fn content(&mut self, slot: Slot, copy: Value) -> Result<(), Raise> {
        let from = self.from;
        self.to.reserve(0)?;
        match from.object(slot) {
            Obj::Array(items) => {
                for item in items {
                    let item = self.shell(*item);
                    self.to.push(copy, item);
                }
            }
            Obj::Dict(dict) => {
                for (key, value) in dict.iter() {
                    let key = self.shell(key);
                    let value = self.shell(value);
                    self.to.dict_set(copy, key, value)?;
                }
            }
            Obj::Function(function) => {
                if let (Function::Method(Receiver(receiver), name), Value::Function(place)) =
                    (&**function, copy)
                {
                    let receiver = self.shell(*receiver);
                    let bound = Function::Method(Receiver(receiver), name.clone());
                    self.to.replace(place, Obj::Function(Box::new(bound)));
                }
            }
            Obj::Free
            | Obj::Str(_)
            | Obj::Bytes(_)
            | Obj::Big(_)
            | Obj::Pattern(_)
            | Obj::Lazy(_)
            | Obj::Datetime(_)
            | Obj::File(_) => {}
        }
        Ok(())
    }
}
