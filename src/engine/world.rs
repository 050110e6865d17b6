//! The world of one process: its machine's [`Host`], on one open transaction.

mod attribute;
mod convert;
mod events;
mod file;
mod memory;
mod method;
mod query;
mod special;

use std::sync::Arc;

use jiff::Timestamp;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::tree::Caller;
use kompira_schema::value::{Ref, Value as Plain};

use super::console::Tail;
use super::control;
use super::inner::{Inner, caller, myself};
use super::row::Row;
use super::slot::Slot;
use super::vm::{Callable, Given, Handle, Heap, Host, Jobflow, Raise, RefKind, Value};
use crate::tree::{Entry, Object, Patch, Txn, View};

/// The world of one process during one part of a turn.
pub(super) struct World<'a> {
    inner: &'a Arc<Inner>,
    txn: &'a mut Txn,
    who: Caller,
    slot: &'a Arc<Slot>,
    /// The process itself as it is in this turn: what is stored of it is a turn old.
    own: &'a mut Row,
    /// What this turn wrote to its console before.
    written: &'a Tail,
    /// Jobflow and line that ask for a property of a process.
    here: Option<(ObjectId, u32)>,
    acquired: &'a mut Vec<ObjectId>,
    said: Said,
}

/// What the machine did besides running.
#[derive(Default)]
pub(super) struct Said {
    pub(super) console: Tail,
    /// How much it wrote to the tree.
    pub(super) writes: usize,
    /// Multiplicity places it gave back.
    pub(super) released: Vec<ObjectId>,
    pub(super) detached: bool,
    /// Channels in memory it made, that got messages, sessions that were left, and what was typed
    /// into sessions.
    pub(super) queues: Vec<u64>,
    pub(super) sent: Vec<u64>,
    pub(super) closed: Vec<u64>,
    pub(super) typed: Vec<(u64, Vec<u8>)>,
    /// The storage failed: the turn is to be run again, whatever the machine made of it.
    pub(super) fault: Option<Fault>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        inner: &'a Arc<Inner>,
        txn: &'a mut Txn,
        slot: &'a Arc<Slot>,
        (own, written): (&'a mut Row, &'a Tail),
        acquired: &'a mut Vec<ObjectId>,
    ) -> Self {
        let who = caller(own.user, slot.id);
        Self { inner, txn, who, slot, own, written, here: None, acquired, said: Said::default() }
    }

    pub(super) fn leave(self) -> Said {
        self.said
    }

    /// A fault as the jobflow sees it; one of the storage stops the turn.
    fn raise(&mut self, fault: &Fault, what: &str) -> Raise {
        if matches!(fault.kind(), Kind::Full | Kind::Unavailable | Kind::Io | Kind::Locked) {
            self.said.fault.get_or_insert_with(|| fault.clone());
        }
        Raise::new(explain(fault, what))
    }

    fn path(&self, id: ObjectId) -> String {
        self.txn.path_of(id).map_or_else(|| format!("#{id}"), |path| path.to_string())
    }

    /// Does something that may write, and counts it.
    fn change<T>(
        &mut self,
        id: ObjectId,
        work: impl FnOnce(&mut Txn) -> Result<T, Fault>,
    ) -> Result<T, Raise> {
        self.said.writes += 1;
        work(self.txn).map_err(|fault| {
            let path = self.path(id);
            self.raise(&fault, &path)
        })
    }
}

/// A fault in the words of the language's standard errors.
pub(super) fn explain(fault: &Fault, what: &str) -> String {
    match fault.kind() {
        Kind::Denied => format!("permission denied: {what}"),
        Kind::NotFound => format!("object not found: {what}"),
        Kind::Internal => "internal error".to_owned(),
        _ => {
            let mut text = kompira_schema::catalogue::render(
                fault.told(),
                kompira_schema::catalogue::Lang::En,
            );
            for problem in fault.problems() {
                let told = kompira_schema::catalogue::render(
                    &problem.message,
                    kompira_schema::catalogue::Lang::En,
                );
                text.push_str(&format!("\n{}: {told}", problem.at));
            }
            text
        }
    }
}

/// The jobflow that an object holds.
///
/// # Errors
/// It does not compile.
pub(super) fn jobflow_of(inner: &Inner, view: &View, object: &Object) -> Result<Jobflow, Raise> {
    let source = match object.fields.get("source") {
        Some(Plain::Str(source)) => source.as_str(),
        _ => "",
    };
    let path = &object.stub.path;
    let code = inner.codes.compile(source);
    let code = code.ok_or_else(|| Raise::new(format!("jobflow is not executable: {path}")))?;
    Ok(Jobflow {
        object: object.stub.head.id,
        path: path.as_str().into(),
        program: code.program,
        multiplicity: control::multiplicity_of(view, object),
    })
}

impl Host for World<'_> {
    fn epoch(&self) -> u64 {
        // Own writes count, too.
        self.txn.rev().0.wrapping_mul(1 << 20).wrapping_add(self.said.writes as u64)
    }

    fn resolve(&mut self, base: ObjectId, path: &str) -> Result<Handle, Raise> {
        self.find(base, path)
    }

    fn callable(&mut self, target: Handle) -> Result<Callable, Raise> {
        let Some(id) = target.object() else { return Ok(Callable::No) };
        let path = self.path(id);
        let def = self.txn.type_of(id).map_err(|fault| self.raise(&fault, &path))?;
        let jobflow = match def.name.as_str() {
            _ if !def.builtin => return Ok(Callable::No),
            "Jobflow" => true,
            "ScriptJob" => false,
            _ => return Ok(Callable::No),
        };
        let access = self.txn.access(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        if !access.execute {
            return Err(Raise::new(format!("permission denied: {path}")));
        }
        if !jobflow {
            return Ok(Callable::Script(id));
        }
        let object = self.txn.get(&myself(), id).map_err(|fault| self.raise(&fault, &path))?;
        jobflow_of(self.inner, self.txn, &object).map(Callable::Jobflow)
    }

    fn multiplicity(&mut self, script: ObjectId) -> Result<Option<u32>, Raise> {
        let path = self.path(script);
        control::multiplicity(self.txn, script).map_err(|fault| self.raise(&fault, &path))
    }

    fn acquire(&mut self, jobflow: ObjectId, multiplicity: u32) -> Result<bool, Raise> {
        // A place that was just given up is taken back, but not from those who wait for it.
        if let Some(at) = self.said.released.iter().position(|&held| held == jobflow)
            && !self.inner.locks.is_wanted(jobflow)
        {
            self.said.released.swap_remove(at);
            return Ok(true);
        }
        let taken = self.inner.locks.acquire(jobflow, self.slot.id, multiplicity);
        if taken {
            self.acquired.push(jobflow);
        }
        Ok(taken)
    }

    fn release(&mut self, jobflow: ObjectId) {
        // Given back to others when this turn is committed.
        self.said.released.push(jobflow);
    }

    fn text(&mut self, target: Handle) -> String {
        match target.reference() {
            None => format!("<channel {}>", target.id),
            Some(Ref::User(id)) => self.txn.user_name(id),
            Some(Ref::Group(id)) => self.txn.group_name(id),
            Some(reference) => {
                self.txn.reference_path(reference).unwrap_or_else(|| "<deleted>".to_owned())
            }
        }
    }

    fn attribute(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise> {
        self.get_attribute(heap, target, name)
    }

    fn field(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise> {
        let id = target.object().ok_or_else(|| Raise::new(format!("field not found: {name}")))?;
        if let Some(value) = self.read_field(heap, id, name)? {
            return Ok(value);
        }
        let setting = self.read_setting(heap, id, name)?;
        setting.ok_or_else(|| Raise::new(format!("field not found: {name}")))
    }

    fn set_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        value: Value,
    ) -> Result<(), Raise> {
        self.put_attribute(heap, target, name, value)
    }

    fn set_field(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        field: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        self.put_field(heap, target, field, keys, value)
    }

    fn set_inside(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        // A property stands before a field of its name.
        let is_property = match target.object() {
            Some(id) => self.property(heap, id, name)?.is_some(),
            None => true,
        };
        if is_property {
            return self.put_property(heap, target, name, keys, value);
        }
        self.put_field(heap, target, name, keys, value)
    }

    fn set_file(
        &mut self,
        heap: &mut Heap,
        file: Value,
        part: &str,
        value: Value,
    ) -> Result<(), Raise> {
        self.put_file(heap, file, part, value)
    }

    fn file_data(&mut self, heap: &Heap, file: Value) -> Result<Vec<u8>, Raise> {
        self.read_file(heap, file)
    }

    fn update(&mut self, heap: &mut Heap, target: Handle, fields: Value) -> Result<(), Raise> {
        let Some(id) = target.object() else {
            return Err(Raise::attribute("update"));
        };
        let path = self.path(id);
        let kind = self.txn.head(id).map_err(|fault| self.raise(&fault, &path))?.type_id;
        let fields = self.data(heap, kind, Some(fields))?;
        let patch = Patch { fields, ..Patch::default() };
        self.change(id, |txn| txn.update(id, None, patch))
    }

    fn call(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        self.method(heap, target, name, given)
    }

    fn children(&mut self, target: Handle) -> Result<Option<Vec<Handle>>, Raise> {
        self.list(target)
    }

    fn is_child(&mut self, container: Handle, child: Handle) -> Result<Option<bool>, Raise> {
        let Some(dir) = container.object() else { return Ok(None) };
        let path = self.path(dir);
        let def = self.txn.type_of(dir).map_err(|fault| self.raise(&fault, &path))?;
        if !def.is_container() {
            return Ok(None);
        }
        if let Some(place) = special::methods::below(&path) {
            let reference = child.reference().filter(|&of| special::methods::lives_in(of, place));
            let there = match reference {
                Some(reference) => self.sees_special(reference)?,
                None => false,
            };
            return Ok(Some(there));
        }
        let Some(child) = child.object() else { return Ok(Some(false)) };
        match self.txn.head(child) {
            Ok(head) => Ok(Some(head.parent == dir)),
            Err(fault) if fault.kind() == Kind::NotFound => Ok(Some(false)),
            Err(fault) => Err(self.raise(&fault, &path)),
        }
    }

    fn exists(&mut self, target: Handle) -> Result<bool, Raise> {
        let there = match target.reference() {
            Some(Ref::Object(id)) => match self.txn.head(id) {
                Ok(_) => Ok(true),
                Err(fault) if fault.kind() == Kind::NotFound => Ok(false),
                Err(fault) => Err(fault),
            },
            Some(Ref::Process(id)) => self.stored_row(id).map(|row| row.is_some()),
            _ => Ok(true),
        };
        there.map_err(|fault| self.raise(&fault, "an object"))
    }

    fn query(
        &mut self,
        heap: &mut Heap,
        query: &Plain,
        ask: super::vm::host::Ask,
    ) -> Result<Value, Raise> {
        self.answer(heap, query, ask)
    }

    fn print(&mut self, text: &str) {
        self.said.console.push(text);
    }

    fn now(&mut self) -> Timestamp {
        self.inner.now()
    }

    fn here(&mut self, jobflow: ObjectId, line: u32) {
        self.here = Some((jobflow, line));
    }

    fn process(&self) -> ProcessId {
        self.slot.id
    }

    fn environment(&mut self, heap: &mut Heap) -> Value {
        let environment = self.txn.user(self.who.user).and_then(|user| user.environment);
        let read = environment.and_then(|id| {
            let object = self.txn.get(&self.who, id).ok()?;
            self.txn.field(&object, "environment").map(std::borrow::Cow::into_owned)
        });
        match read {
            Some(dict @ Plain::Dict(_)) => heap.import(&dict),
            _ => heap.import(&Plain::Dict(kompira_schema::value::Dict::new())),
        }
    }

    fn new_queue(&mut self) -> Result<Handle, Raise> {
        self.make_queue()
    }

    fn detach(&mut self) {
        self.said.detached = true;
    }

    fn close_session(&mut self, session: Handle) {
        self.leave_session(session.id);
    }
}

/// Entries that are objects, as handles.
fn handles(entries: impl IntoIterator<Item = Entry>) -> Vec<Handle> {
    entries
        .into_iter()
        .filter(Entry::is_object)
        .map(|entry| Handle { kind: RefKind::Object, id: entry.id.0 })
        .collect()
}
