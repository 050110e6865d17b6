//! Permission bits, times and attachments.

use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::value::{Dict, Value};

use super::{Element, Txn};
use crate::store::What;
use crate::tree::draft::Patch;
use crate::tree::model::Content;

impl Txn {
    /// Sets permission bits and the time of the content: no update in the sense of the object
    /// model, and not audited.
    ///
    /// # Errors
    /// [`Kind::Denied`] without write.
    pub fn set_attr(
        &mut self,
        id: ObjectId,
        mode: Option<u16>,
        mtime: Option<Timestamp>,
    ) -> Result<(), Fault> {
        let mut head =
            self.view.need(&self.who, id, |access| access.write || access.own, "write")?;
        self.expect_head(id);
        head.mode = mode.unwrap_or(head.mode);
        head.mtime = mtime.unwrap_or(head.mtime);
        head.ctime = self.now;
        self.put_head_quietly(&head);
        self.tell_at(&head, What::Attr)
    }

    /// Sets the times that a backup recorded; privileged callers only.
    ///
    /// # Errors
    /// [`Kind::Denied`], [`Kind::NotFound`].
    pub fn set_times(
        &mut self,
        id: ObjectId,
        created: Timestamp,
        updated: Timestamp,
        mtime: Timestamp,
    ) -> Result<(), Fault> {
        let mut head = self.view.object_head(id)?;
        if !self.is_privileged() {
            return Err(crate::tree::fault::denied("privilege", &self.view.path_text(&head)));
        }
        self.expect_head(id);
        (head.created, head.updated, head.mtime) = (created, updated, mtime);
        self.put_head_quietly(&head);
        self.tell_at(&head, What::Attr)
    }

    /// Replaces an attachment; `None` removes it. The index past an array's end appends.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when the field holds no files, [`Kind::Denied`], [`Kind::Invalid`].
    pub fn set_attachment(
        &mut self,
        id: ObjectId,
        field: &str,
        element: Element<'_>,
        file: Option<(&str, Content)>,
    ) -> Result<(), Fault> {
        let head = self.view.object_head(id)?;
        let def = self.view.type_def(head.type_id)?;
        let is_file = |field: &&kompira_schema::types::FieldDef| {
            field.field_type.shape.elem() == kompira_schema::field::Elem::File
        };
        def.field(field).filter(is_file).ok_or_else(|| {
            Fault::new(Kind::NotFound, message!("tree.no_attachment_field", field = field))
        })?;
        let value = match file {
            None => Value::Null,
            Some((name, content)) => {
                super::scratch::check_file_name(name)?;
                Value::File(self.file_value(name, content)?)
            }
        };
        let body = self.view.body_of(id)?;
        let whole = with_element(body.field(field), element, value)?;
        let fields = Dict::from_iter([(field.to_owned(), whole)]);
        self.update(id, None, Patch { fields, ..Patch::default() })
    }
}

/// The whole field with one element replaced; null removes it.
fn with_element(
    stored: Option<&Value>,
    element: Element<'_>,
    value: Value,
) -> Result<Value, Fault> {
    let missing = || Fault::new(Kind::NotFound, message!("tree.no_attachment"));
    match element {
        Element::Whole => Ok(value),
        Element::Index(index) => {
            let mut items = match stored {
                Some(Value::Array(items)) => items.clone(),
                _ => Vec::new(),
            };
            match (items.get_mut(index), value) {
                (Some(_), Value::Null) => {
                    items.remove(index);
                }
                (Some(place), value) => *place = value,
                (None, Value::Null) => return Err(missing()),
                (None, value) => items.push(value),
            }
            Ok(Value::Array(items))
        }
        Element::Key(key) => {
            let mut items = match stored {
                Some(Value::Dict(items)) => items.clone(),
                _ => Dict::new(),
            };
            if value == Value::Null {
                items.shift_remove(key).ok_or_else(missing)?;
            } else {
                items.insert(key.to_owned(), value);
            }
            Ok(Value::Dict(items))
        }
    }
}
