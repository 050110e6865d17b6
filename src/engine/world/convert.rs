//! What a jobflow writes to fields becomes what they hold (rule: `language/update-jobs`).

use kompira_schema::field::Shape;
use kompira_schema::types::TypeDef;
use kompira_schema::value::{Dict, Value as Plain};

use super::World;
use crate::engine::vm::{Heap, Raise, Value};

impl World<'_> {
    /// A value on its way into a field: where texts are held, everything but null becomes text.
    /// What fits no field is left to the door, which says so.
    pub(super) fn for_field(
        &mut self,
        heap: &mut Heap,
        def: &TypeDef,
        name: &str,
        value: Value,
    ) -> Result<Plain, Raise> {
        match def.field(name).map(|field| field.field_type.shape) {
            Some(Shape::One(elem)) if elem.is_text() => self.as_text(heap, value),
            Some(Shape::Array(elem)) if elem.is_text() => {
                let items = match heap.as_array(value) {
                    Some(items) => items.to_vec(),
                    None => return heap.export(self, value),
                };
                let texts = items.into_iter().map(|item| self.as_text(heap, item));
                texts.collect::<Result<_, _>>().map(Plain::Array)
            }
            Some(Shape::Dictionary(elem)) if elem.is_text() => {
                let entries: Vec<_> = match heap.as_dict(value) {
                    Some(dict) => dict.iter().collect(),
                    None => return heap.export(self, value),
                };
                let mut texts = Dict::new();
                for (key, item) in entries {
                    let Some(key) = heap.as_str(key).map(str::to_owned) else {
                        return heap.export(self, value);
                    };
                    texts.insert(key, self.as_text(heap, item)?);
                }
                Ok(Plain::Dict(texts))
            }
            _ => heap.export(self, value),
        }
    }

    /// A value on its way into an element of a field.
    pub(super) fn for_element(
        &mut self,
        heap: &mut Heap,
        def: &TypeDef,
        name: &str,
        value: Value,
    ) -> Result<Plain, Raise> {
        match def.field(name).map(|field| field.field_type.shape) {
            Some(Shape::Array(elem) | Shape::Dictionary(elem)) if elem.is_text() => {
                self.as_text(heap, value)
            }
            _ => heap.export(self, value),
        }
    }

    fn as_text(&mut self, heap: &mut Heap, value: Value) -> Result<Plain, Raise> {
        match value {
            Value::Str(_) | Value::Null | Value::Absent => heap.export(self, value),
            _ => heap.text(self, value).map(Plain::Str),
        }
    }
}
