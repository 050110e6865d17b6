//! What a machine asks of the world: the tree, the console, the clock.

use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::Value as Plain;

use super::heap::Heap;
use super::raise::Raise;
use super::value::{Handle, Value};
use crate::lang::program::{CodeHash, Program};

/// What an execution job found behind an Object.
#[derive(Debug, Clone)]
pub enum Callable {
    /// A jobflow that may be called.
    Jobflow(Jobflow),
    /// A script that may be run.
    Script(ObjectId),
    /// Nothing that can be executed.
    No,
}

/// A jobflow as it is at the moment of a call.
#[derive(Debug, Clone)]
pub struct Jobflow {
    /// The jobflow object.
    pub object: ObjectId,
    /// Its path, for messages and as name of the "function".
    pub path: Arc<str>,
    /// Its byte code; the frame keeps it.
    pub program: Arc<Program>,
    /// How many processes may be inside at once; `None`: any number.
    pub multiplicity: Option<u32>,
}

/// Arguments as they were given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// By position.
    pub positional: Vec<Value>,
    /// By name, in order; no name twice.
    pub named: Vec<(Arc<str>, Value)>,
}

/// What is asked of the query behind a LazyArray.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// All objects, in order.
    All,
    /// How many.
    Count,
    /// The one at this place; negative counts from the end.
    At(i64),
}

/// Found by finding byte code: of pinned sources when a process is loaded again.
pub trait Programs {
    /// The byte code of that name.
    ///
    /// # Errors
    /// Why it cannot be had: the pinned source is lost or no longer compiles.
    fn program(&self, hash: CodeHash) -> Result<Arc<Program>, String>;
}

/// The world of one process. All calls act as the process's user; what they refuse is a runtime
/// error of the jobflow. Writes become durable together with the machine's state.
pub trait Host {
    /// Changes whenever an answer of [`Host::resolve`] or [`Host::callable`] may have changed; the
    /// machine keeps answers as long as this stays the same.
    fn epoch(&self) -> u64;

    /// Finds the object of `path`, relative to the container of the jobflow `base`.
    ///
    /// # Errors
    /// `object not found: PATH`.
    fn resolve(&mut self, base: ObjectId, path: &str) -> Result<Handle, Raise>;

    /// What an execution job does with an Object; checks the permission to execute.
    ///
    /// # Errors
    /// `permission denied: PATH`, `jobflow is not executable: PATH`.
    fn callable(&mut self, target: Handle) -> Result<Callable, Raise>;

    /// How many processes may run a script at once; `None`: any number.
    ///
    /// # Errors
    /// Storage.
    fn multiplicity(&mut self, script: ObjectId) -> Result<Option<u32>, Raise>;

    /// Takes a place inside a jobflow of limited multiplicity; `false` if all are taken. The process
    /// holds none of this jobflow yet.
    ///
    /// # Errors
    /// Storage.
    fn acquire(&mut self, jobflow: ObjectId, multiplicity: u32) -> Result<bool, Raise>;

    /// Gives a place back.
    fn release(&mut self, jobflow: ObjectId);

    /// The text of an Object: path, user name, group name.
    fn text(&mut self, target: Handle) -> String;

    /// `object.name`: property, then method (as bound [`Function`](super::heap::Function)), then
    /// field, then library function.
    ///
    /// # Errors
    /// `attribute not found: NAME`, `permission denied: PATH`.
    fn attribute(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise>;

    /// `object['field']`; fields only.
    ///
    /// # Errors
    /// `field not found: NAME`, `permission denied: PATH`.
    fn field(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise>;

    /// `[value >> object.name]`: writable property, else field.
    ///
    /// # Errors
    /// Unknown, read-only, not allowed, or the value does not fit.
    fn set_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        value: Value,
    ) -> Result<(), Raise>;

    /// `[value >> object['field'][key]…]`: reads, modifies and writes the field in one
    /// transaction; without keys it is replaced.
    ///
    /// # Errors
    /// Unknown, not allowed, or the value does not fit.
    fn set_field(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        field: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise>;

    /// `[value >> object.name.key…]`: as [`Host::set_field`], of a property if there is one of
    /// that name.
    ///
    /// # Errors
    /// Those of [`Host::set_field`]; the property is read-only.
    fn set_inside(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise>;

    /// `[value >> file.name]` or `['data']`: changes one part of an attachment in its field.
    ///
    /// # Errors
    /// Not allowed, or the file stands alone.
    fn set_file(
        &mut self,
        heap: &mut Heap,
        file: Value,
        part: &str,
        value: Value,
    ) -> Result<(), Raise>;

    /// Reads the content of an attachment.
    ///
    /// # Errors
    /// The content is lost or too large.
    fn file_data(&mut self, heap: &Heap, file: Value) -> Result<Vec<u8>, Raise>;

    /// Updates the named fields of an object, as its method `update` does; `fields` is a Dictionary.
    ///
    /// # Errors
    /// Unknown, not allowed, or a value does not fit.
    fn update(&mut self, heap: &mut Heap, target: Handle, fields: Value) -> Result<(), Raise>;

    /// Calls a method of an object.
    ///
    /// # Errors
    /// Whatever the method refuses.
    fn call(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise>;

    /// The children of a container in its order, readable ones only; `None` if it is none.
    ///
    /// # Errors
    /// `permission denied: PATH`.
    fn children(&mut self, target: Handle) -> Result<Option<Vec<Handle>>, Raise>;

    /// Whether `child` is a direct child of the container; `None` if that is none.
    ///
    /// # Errors
    /// `permission denied: PATH`.
    fn is_child(&mut self, container: Handle, child: Handle) -> Result<Option<bool>, Raise>;

    /// Whether an object is (still) there.
    ///
    /// # Errors
    /// Storage.
    fn exists(&mut self, target: Handle) -> Result<bool, Raise>;

    /// Answers the query of a LazyArray: an Array for [`Ask::All`], an Integer for [`Ask::Count`],
    /// an Object or `null` for [`Ask::At`].
    ///
    /// # Errors
    /// The query fails.
    fn query(&mut self, heap: &mut Heap, query: &Plain, ask: Ask) -> Result<Value, Raise>;

    /// Appends to the console.
    fn print(&mut self, text: &str);

    /// The time.
    fn now(&mut self) -> Timestamp;

    /// Says where the machine stands, before a property of a process is asked for.
    fn here(&mut self, jobflow: ObjectId, line: u32);

    /// The process itself.
    fn process(&self) -> ProcessId;

    /// `$ENV`: a Dictionary.
    fn environment(&mut self, heap: &mut Heap) -> Value;

    /// A new in-memory channel for `channel()`.
    ///
    /// # Errors
    /// Too many; storage.
    fn new_queue(&mut self) -> Result<Handle, Raise>;

    /// Parts from the parent process, if there is one.
    fn detach(&mut self);

    /// Closes a session; what it still receives stays readable.
    fn close_session(&mut self, session: Handle);
}
