//! What loops go through, and containers that are filled from others.

use super::super::host::Host;
use super::super::machine::Machine;
use super::super::raise::Raise;
use super::super::value::Value;

impl Machine {
    pub(super) fn extend(
        &mut self,
        host: &mut dyn Host,
        array: Value,
        value: Value,
    ) -> Result<(), Raise> {
        let all = self.heap.elements(host, value)?;
        let Some(items) = self.heap.as_array(all).map(<[Value]>::to_vec) else {
            return Err(Raise::new(format!(
                "argument after * cannot be '{}'",
                value.kind().name()
            )));
        };
        for item in items {
            self.heap.push(array, item);
        }
        Ok(())
    }

    pub(super) fn set_object(
        &mut self,
        host: &mut dyn Host,
        object: Value,
        value: Value,
    ) -> Result<(), Raise> {
        match (object.handle(), value) {
            (Some(target), Value::Dict(_)) => host.update(&mut self.heap, target, value),
            _ => Err(Raise::new(format!(
                "an object cannot be updated with '{}'",
                value.kind().name()
            ))),
        }
    }

    /// What `for` goes through: a count, an Array of its own, or a String.
    pub(in crate::engine::vm) fn iterate(
        &mut self,
        host: &mut dyn Host,
        value: Value,
    ) -> Result<Value, Raise> {
        let unfit = || Raise::new(format!("'{}' is not iterable", value.kind().name()));
        match value {
            Value::Int(_) | Value::Str(_) => Ok(value),
            Value::Big(_) => {
                let negative = self.heap.as_integer(value).is_some_and(|number| number < 0.into());
                Ok(Value::Int(if negative { 0 } else { i64::MAX }))
            }
            Value::Array(_) => {
                let items = self.heap.as_array(value).unwrap_or_default();
                self.heap.reserve(size_of_val(items))?;
                let items = items.to_vec();
                Ok(self.heap.array(items))
            }
            Value::Dict(_) => {
                let keys =
                    self.heap.as_dict(value).map(|dict| dict.iter().map(|(key, _)| key).collect());
                Ok(self.heap.array(keys.unwrap_or_default()))
            }
            Value::Lazy(_) => self.heap.elements(host, value),
            Value::Ref(..) => {
                let children =
                    value.handle().map(|handle| host.children(handle)).transpose()?.flatten();
                let children = children.ok_or_else(unfit)?;
                Ok(self.heap.array(children.into_iter().map(Value::from).collect()))
            }
            _ => Err(unfit()),
        }
    }

    /// The element at a position, and the position after it.
    pub(super) fn next_of(&mut self, source: Value, at: i64) -> Option<(Value, i64)> {
        let place = usize::try_from(at).ok()?;
        if let Some(items) = self.heap.as_array(source) {
            return items.get(place).map(|value| (*value, at + 1));
        }
        // Positions in a String are bytes.
        let char = self.heap.as_str(source)?.get(place..)?.chars().next()?;
        let after = at + i64::try_from(char.len_utf8()).ok()?;
        let value = self.heap.str(char.to_string());
        Some((value, after))
    }
}
