//! Changing the tree: everything one commit does.

use std::ops::Deref;

use jiff::Timestamp;
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, ProcessId, Rev};
use kompira_schema::path::Name;
use kompira_schema::record::Record;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use super::draft::{Draft, Patch};
use super::model::Content;
use kompira_schema::tree::NodeKind;
use super::view::View;
use crate::store::Family;

/// How a record is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportOptions {
    /// Problems of single fields are warnings: the field is skipped.
    pub lenient: bool,
    /// The recorded owner counts.
    pub owner: bool,
    /// `updated` becomes now instead of the recorded time.
    pub now_updated: bool,
    /// The data of a Config is overwritten.
    pub config_data: bool,
    /// Factory objects may be changed.
    pub restore: bool,
}

/// One commit in the making. Reads see its own writes (it derefs to [`View`]).
pub struct Txn {
    view: View,
}

impl Deref for Txn {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// Which part of an Array or Dictionary of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element<'a> {
    /// The field itself.
    Whole,
    /// An element of an array; its length appends.
    Index(usize),
    /// An entry of a dictionary.
    Key(&'a str),
}

#[allow(clippy::missing_errors_doc)] // every method: the rules of docs/reference/tree.md
impl Txn {
    /// Who asks.
    pub fn caller(&self) -> &Caller {
        unimplemented!()
    }
    /// The moment this commit is made.
    pub fn now(&self) -> Timestamp {
        unimplemented!()
    }
    /// Adds a detail to the audit entries of this commit.
    pub fn audit_detail(&mut self, _key: &'static str, _value: impl Into<serde_json::Value>) {
        unimplemented!()
    }

    /// Creates an object.
    pub fn create(
        &mut self,
        _parent: ObjectId,
        _name: &Name,
        _type_id: ObjectId,
        _draft: Draft,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }
    /// Changes an object; with a base revision only if nobody changed it since.
    pub fn update(&mut self, _id: ObjectId, _base: Option<Rev>, _patch: Patch) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Sets permission bits and time of the content: no update in the sense of the object model.
    pub fn set_attr(
        &mut self,
        _id: ObjectId,
        _mode: Option<u16>,
        _mtime: Option<Timestamp>,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Replaces an attachment; `None` removes it.
    pub fn set_attachment(
        &mut self,
        _id: ObjectId,
        _field: &str,
        _element: Element<'_>,
        _file: Option<(&str, Content)>,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Changes the name in the same container; `suffix`: `Some(x)` changes the file suffix too.
    pub fn rename(&mut self, _id: ObjectId, _name: &Name) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Moves into another container (or the same), perhaps under another name and suffix.
    pub fn move_to(
        &mut self,
        _id: ObjectId,
        _dest: ObjectId,
        _name: Option<&Name>,
        _suffix: Option<Option<&str>>,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Copies with all that is below.
    pub fn copy(
        &mut self,
        _id: ObjectId,
        _dest: ObjectId,
        _name: Option<&Name>,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }
    /// Deletes with all that is below.
    pub fn delete(&mut self, _id: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Deletes; a container only when it has no children (scratch counts).
    pub fn delete_empty(&mut self, _id: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Swaps the places of two nodes.
    pub fn exchange(&mut self, _a: ObjectId, _b: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Creates an object from an export record.
    pub fn create_record(
        &mut self,
        _parent: ObjectId,
        _name: &Name,
        _record: &Record,
        _draft: Draft,
        _options: ImportOptions,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }
    /// Applies an export record to an object; a bare object may be retyped by it.
    pub fn apply_record(
        &mut self,
        _id: ObjectId,
        _base: Option<Rev>,
        _record: &Record,
        _options: ImportOptions,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Gives a bare object another type by the creation rule: content goes to the new
    /// representative field, name and history stay.
    pub fn retype(
        &mut self,
        _id: ObjectId,
        _type_id: ObjectId,
        _content: Content,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Resets the record to what making the same file anew would give, and makes the object bare.
    pub fn reset_record(&mut self, _id: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }

    /// Creates a scratch node in a container or scratch directory.
    pub fn scratch_create(
        &mut self,
        _parent: ObjectId,
        _name: &str,
        _node: NodeKind,
        _id: Option<ObjectId>,
        _mode: u16,
        _content: Content,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }
    /// Replaces the content of a scratch file.
    pub fn scratch_write(
        &mut self,
        _id: ObjectId,
        _base: Option<Rev>,
        _content: Content,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Renames a scratch node to a scratch name; a target that exists is replaced.
    pub fn scratch_rename(
        &mut self,
        _id: ObjectId,
        _dest: ObjectId,
        _name: &str,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Deletes a scratch node; a directory only when it is empty.
    pub fn scratch_delete(&mut self, _id: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// The node `from` vanishes and its content becomes that of `target`, which keeps identity.
    pub fn replace(&mut self, _from: ObjectId, _target: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }
    /// An object's file is renamed to a scratch name: it is no object any more, but is remembered.
    pub fn object_to_scratch(
        &mut self,
        _id: ObjectId,
        _dest: ObjectId,
        _name: &str,
    ) -> Result<(), Fault> {
        unimplemented!()
    }
    /// A remembered object comes back at its old name with new content; the scratch file it was
    /// becomes a plain copy under a new number, which is returned.
    pub fn readopt(
        &mut self,
        _id: ObjectId,
        _suffix: Option<&str>,
        _content: Content,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }
    /// A scratch file becomes an object (a new number, which is returned).
    pub fn scratch_to_object(
        &mut self,
        _id: ObjectId,
        _dest: ObjectId,
        _name: &Name,
        _type_id: ObjectId,
        _draft: Draft,
    ) -> Result<ObjectId, Fault> {
        unimplemented!()
    }

    /// Appends to a channel's queue: the new message's number.
    pub fn queue_push(&mut self, _channel: ObjectId, _message: &Value) -> Result<u64, Fault> {
        unimplemented!()
    }
    /// Takes the message at a position (negative: from the end).
    pub fn queue_pop(&mut self, _channel: ObjectId, _index: i64) -> Result<(u64, Value), Fault> {
        unimplemented!()
    }
    /// Removes messages by number.
    pub fn queue_delete(&mut self, _channel: ObjectId, _ids: &[u64]) -> Result<(), Fault> {
        unimplemented!()
    }
    /// Empties the queue.
    pub fn queue_clear(&mut self, _channel: ObjectId) -> Result<(), Fault> {
        unimplemented!()
    }

    /// Reads a row of the engine as this commit would leave it.
    pub fn raw_get(&self, _family: Family, _key: &[u8]) -> Result<Option<bytes::Bytes>, Fault> {
        unimplemented!()
    }
    /// Writes a row of the engine (process, frame, console, journal, timer, effect).
    pub fn raw_put(&mut self, _family: Family, _key: &[u8], _value: Vec<u8>) {
        unimplemented!()
    }
    /// Deletes a row of the engine.
    pub fn raw_delete(&mut self, _family: Family, _key: &[u8]) {
        unimplemented!()
    }
    /// The commit fails with a conflict (and runs again) if the row was written meanwhile.
    pub fn raw_expect(&mut self, _family: Family, _key: &[u8]) {
        unimplemented!()
    }
    /// Tells the feed that a process changed.
    pub fn process_changed(&mut self, _process: ProcessId) {
        unimplemented!()
    }
}
