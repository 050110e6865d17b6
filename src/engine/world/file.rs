//! Attachments in the hands of a jobflow.

use kompira_schema::limits::STRING_MAX;
use kompira_schema::value::Value as Plain;

use super::World;
use crate::engine::vm::{Heap, Raise, Value};
use crate::tree::{Content, Element};

impl World<'_> {
    /// The content of an attachment.
    pub(super) fn read_file(&mut self, heap: &Heap, file: Value) -> Result<Vec<u8>, Raise> {
        let file = heap.as_file(file).ok_or_else(|| Raise::new("no File"))?.clone();
        let size = usize::try_from(file.value.size).unwrap_or(usize::MAX);
        if size > STRING_MAX {
            return Err(Raise::new(format!(
                "the file is too large for a Binary: {size} bytes, at most {STRING_MAX}"
            )));
        }
        if let Some(bytes) = self.txn.added_blob(file.value.hash) {
            return Ok(bytes.to_vec());
        }
        let bytes = self
            .txn
            .blob_read(file.value.hash, 0, size)
            .map_err(|fault| self.raise(&fault, &file.value.name))?;
        Ok(bytes.to_vec())
    }

    /// `[value >> file.name]` or `['data']`.
    pub(super) fn put_file(
        &mut self,
        heap: &mut Heap,
        file: Value,
        part: &str,
        value: Value,
    ) -> Result<(), Raise> {
        let held = heap.as_file(file).ok_or_else(|| Raise::new("no File"))?.clone();
        let Some((object, field, place)) = held.origin else {
            return Err(Raise::new("the file belongs to no object"));
        };
        let Some(id) = object.object() else {
            return Err(Raise::new("the file belongs to no object"));
        };
        let new = heap.export(self, value)?;
        let (name, content) = match (part, new) {
            ("name", Plain::Str(name)) => {
                let blob = Content::Blob { hash: held.value.hash, size: held.value.size };
                (name, blob)
            }
            ("data", Plain::Bytes(bytes)) => (held.value.name, Content::Inline(bytes.into())),
            ("data", Plain::Str(text)) => {
                (held.value.name, Content::Inline(text.into_bytes().into()))
            }
            ("name" | "data", other) => {
                return Err(Raise::new(format!("{part} cannot be of type {}", other.type_name())));
            }
            _ => return Err(Raise::attribute(part)),
        };
        let place = place.as_deref();
        let is_array = self.txn.type_of(id).ok().and_then(|def| {
            let field = def.field(&field)?;
            Some(matches!(field.field_type.shape, kompira_schema::field::Shape::Array(_)))
        });
        let element = match place {
            None => Element::Whole,
            Some(index) if is_array == Some(true) => {
                Element::Index(index.parse().unwrap_or(usize::MAX))
            }
            Some(key) => Element::Key(key),
        };
        self.change(id, |txn| txn.set_attachment(id, &field, element, Some((&name, content))))
    }
}
