//! A world of one process in memory: what tests, benches and the check of parameter expressions run
//! machines in. It knows jobflows, scripts, channels and plain records, and lets everybody do all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::{Dict as PlainDict, Value as Plain};

use super::dict::Dict;
use super::heap::{Function, Heap, Receiver};
use super::host::{Ask, Callable, Given, Host, Jobflow, Programs};
use super::raise::Raise;
use super::value::{Handle, RefKind, Value};
use crate::lang::program::{CodeHash, Program};

/// An object of the sandbox.
#[derive(Debug)]
pub enum Node {
    /// Has children: those whose paths say so.
    Directory,
    /// A jobflow; `None` if it does not compile.
    Jobflow(Option<Arc<Program>>, Option<u32>),
    /// A script: its source.
    Script(String),
    /// A channel: number of its queue.
    Channel(u64),
    /// Type and fields.
    Record(String, PlainDict),
}

/// A queue of messages with their numbers.
#[derive(Debug, Default)]
pub struct Queue {
    /// Waiting messages.
    pub messages: VecDeque<(u64, Plain)>,
    next: u64,
}

impl Queue {
    /// Appends a message.
    pub fn send(&mut self, message: Plain) {
        self.next += 1;
        self.messages.push_back((self.next, message));
    }
}

/// The world.
#[derive(Debug, Default)]
pub struct Sandbox {
    nodes: Vec<(String, Node)>,
    by_path: BTreeMap<String, usize>,
    programs: BTreeMap<CodeHash, Arc<Program>>,
    /// Queues of channels and of `channel()`.
    pub queues: Vec<Queue>,
    /// What was printed.
    pub console: String,
    /// The clock.
    pub now: Timestamp,
    /// The process's number.
    pub process: ProcessId,
    /// Places taken in jobflows of limited multiplicity.
    pub taken: BTreeMap<ObjectId, u32>,
    /// Properties of processes, by number.
    pub processes: BTreeMap<u64, PlainDict>,
    changes: u64,
}

/// Objects are numbered from here, to be told from their indices.
const FIRST: u64 = 100;

impl Sandbox {
    /// A world with the directories `/` and `/t`.
    #[must_use]
    pub fn new() -> Self {
        let mut world =
            Self { process: ProcessId(1), now: Timestamp::UNIX_EPOCH, ..Self::default() };
        world.add("/", Node::Directory);
        world.add("/t", Node::Directory);
        world
    }

    /// Adds or replaces an object.
    pub fn add(&mut self, path: &str, node: Node) -> ObjectId {
        self.changes += 1;
        if let Node::Jobflow(Some(program), _) = &node {
            self.programs.insert(program.hash, Arc::clone(program));
        }
        let index = *self.by_path.entry(path.to_owned()).or_insert(self.nodes.len());
        match self.nodes.get_mut(index) {
            Some(held) => held.1 = node,
            None => self.nodes.push((path.to_owned(), node)),
        }
        ObjectId(index as u64 + FIRST)
    }

    /// Adds a channel.
    pub fn add_channel(&mut self, path: &str) -> ObjectId {
        self.queues.push(Queue::default());
        self.add(path, Node::Channel(self.queues.len() as u64 - 1))
    }

    /// A jobflow as it is called; `None` if there is none that can be.
    #[must_use]
    pub fn jobflow(&self, path: &str) -> Option<Jobflow> {
        let index = *self.by_path.get(path)?;
        match self.nodes.get(index) {
            Some((path, Node::Jobflow(Some(program), multiplicity))) => Some(Jobflow {
                object: ObjectId(index as u64 + FIRST),
                path: path.as_str().into(),
                program: Arc::clone(program),
                multiplicity: *multiplicity,
            }),
            _ => None,
        }
    }

    fn node(&self, target: Handle) -> Option<&(String, Node)> {
        let id = target.object()?;
        self.nodes.get(usize::try_from(id.0.checked_sub(FIRST)?).ok()?)
    }

    fn node_mut(&mut self, target: Handle) -> Option<&mut (String, Node)> {
        let id = target.object()?;
        self.nodes.get_mut(usize::try_from(id.0.checked_sub(FIRST)?).ok()?)
    }

    fn find(&self, path: &str) -> Option<Handle> {
        self.by_path
            .get(path)
            .map(|index| Handle { kind: RefKind::Object, id: *index as u64 + FIRST })
    }

    /// The source of a script.
    #[must_use]
    pub fn script(&self, script: ObjectId) -> Option<&str> {
        match self.node(Handle { kind: RefKind::Object, id: script.0 }) {
            Some((_, Node::Script(source))) => Some(source),
            _ => None,
        }
    }

    /// The queue behind a channel object or a queue's number.
    #[must_use]
    pub fn queue(&self, target: Handle) -> Option<usize> {
        let number = match target.kind {
            RefKind::Queue => target.id,
            _ => match self.node(target) {
                Some((_, Node::Channel(queue))) => *queue,
                _ => return None,
            },
        };
        usize::try_from(number).ok().filter(|number| *number < self.queues.len())
    }

    fn children_of(&self, path: &str) -> Vec<Handle> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        self.by_path
            .keys()
            .filter(|held| {
                held.strip_prefix(&prefix)
                    .is_some_and(|name| !name.is_empty() && !name.contains('/'))
            })
            .filter_map(|held| self.find(held))
            .collect()
    }
}

/// Puts a path together; `..` above the root is the root.
fn join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> =
        if path.starts_with('/') { Vec::new() } else { base.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.retain(|part| !part.is_empty());
    format!("/{}", parts.join("/"))
}

impl Programs for Sandbox {
    fn program(&self, hash: CodeHash) -> Result<Arc<Program>, String> {
        self.programs.get(&hash).cloned().ok_or_else(|| "unknown source".to_owned())
    }
}

impl Host for Sandbox {
    fn here(&mut self, _: ObjectId, _: u32) {}

    fn multiplicity(&mut self, _: ObjectId) -> Result<Option<u32>, Raise> {
        Ok(None)
    }

    fn exists(&mut self, _: Handle) -> Result<bool, Raise> {
        Ok(true)
    }

    fn epoch(&self) -> u64 {
        self.changes
    }

    fn resolve(&mut self, base: ObjectId, path: &str) -> Result<Handle, Raise> {
        let base = self.text(Handle { kind: RefKind::Object, id: base.0 });
        let directory = base.rsplit_once('/').map_or("", |(directory, _)| directory);
        let path = join(directory, path);
        self.find(&path).ok_or_else(|| Raise::new(format!("object not found: {path}")))
    }

    fn callable(&mut self, target: Handle) -> Result<Callable, Raise> {
        let path = match self.node(target) {
            Some((path, Node::Jobflow(..))) => path.clone(),
            Some((_, Node::Script(_))) => {
                return Ok(target.object().map_or(Callable::No, Callable::Script));
            }
            _ => return Ok(Callable::No),
        };
        let jobflow = self.jobflow(&path);
        jobflow
            .map(Callable::Jobflow)
            .ok_or_else(|| Raise::new(format!("jobflow is not executable: {path}")))
    }

    fn acquire(&mut self, jobflow: ObjectId, multiplicity: u32) -> Result<bool, Raise> {
        let taken = self.taken.entry(jobflow).or_default();
        if *taken >= multiplicity {
            return Ok(false);
        }
        *taken += 1;
        Ok(true)
    }

    fn release(&mut self, jobflow: ObjectId) {
        if let Some(taken) = self.taken.get_mut(&jobflow) {
            *taken = taken.saturating_sub(1);
        }
    }

    fn text(&mut self, target: Handle) -> String {
        match target.kind {
            RefKind::Object => {
                self.node(target).map_or_else(|| "?".to_owned(), |(path, _)| path.clone())
            }
            RefKind::Process => format!("/process/id_{}", target.id),
            _ => format!("id_{}", target.id),
        }
    }

    fn attribute(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise> {
        if let Some(queue) = self.queue(target) {
            let count = self.queues.get(queue).map_or(0, |queue| queue.messages.len());
            return match name {
                "message_count" => Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX))),
                "send" | "delete_message" => {
                    Ok(heap.function(Function::Method(Receiver(target.into()), name.into())))
                }
                _ => Err(Raise::attribute(name)),
            };
        }
        if target.kind == RefKind::Process {
            let value = self.processes.get(&target.id).and_then(|held| held.get(name)).cloned();
            return value.map(|value| heap.import(&value)).ok_or_else(|| Raise::attribute(name));
        }
        let Some((path, node)) = self.node(target) else {
            return Err(Raise::new("object not found"));
        };
        let (path, kind) = (
            path.clone(),
            match node {
                Node::Record(kind, _) => kind.clone(),
                Node::Directory => "Directory".to_owned(),
                Node::Jobflow(..) => "Jobflow".to_owned(),
                Node::Script(_) => "ScriptJob".to_owned(),
                Node::Channel(_) => "Channel".to_owned(),
            },
        );
        match name {
            "name" => Ok(heap.str(path.rsplit('/').next().unwrap_or_default())),
            "abspath" => Ok(heap.str(path)),
            "type_name" => Ok(heap.str(kind)),
            _ => self.field(heap, target, name).map_err(|_| Raise::attribute(name)),
        }
    }

    fn field(&mut self, heap: &mut Heap, target: Handle, name: &str) -> Result<Value, Raise> {
        match self.node(target) {
            Some((_, Node::Record(_, fields))) => match fields.get(name).cloned() {
                Some(value) => Ok(heap.import(&value)),
                None => Err(Raise::new(format!("field not found: {name}"))),
            },
            _ => Err(Raise::new(format!("field not found: {name}"))),
        }
    }

    fn set_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        value: Value,
    ) -> Result<(), Raise> {
        self.set_field(heap, target, name, &[], value)
    }

    fn set_field(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        field: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        let plain = shallow(heap, value);
        let names: Vec<String> =
            keys.iter().map(|key| heap.as_str(*key).unwrap_or_default().to_owned()).collect();
        let Some((_, Node::Record(_, fields))) = self.node_mut(target) else {
            return Err(Raise::attribute(field));
        };
        let mut place = fields.entry(field.to_owned()).or_default();
        for name in names {
            let Plain::Dict(inner) = place else {
                return Err(Raise::new(format!("key not found: {name}")));
            };
            place = inner.entry(name).or_default();
        }
        *place = plain;
        Ok(())
    }

    fn set_inside(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        keys: &[Value],
        value: Value,
    ) -> Result<(), Raise> {
        self.set_field(heap, target, name, keys, value)
    }

    fn set_file(
        &mut self,
        _heap: &mut Heap,
        _file: Value,
        part: &str,
        _value: Value,
    ) -> Result<(), Raise> {
        Err(Raise::attribute(part))
    }

    fn file_data(&mut self, _heap: &Heap, _file: Value) -> Result<Vec<u8>, Raise> {
        Err(Raise::attribute("data"))
    }

    fn update(&mut self, heap: &mut Heap, target: Handle, fields: Value) -> Result<(), Raise> {
        let entries: Vec<(String, Value)> = heap
            .as_dict(fields)
            .map(|dict| {
                dict.iter()
                    .map(|(key, value)| (heap.as_str(key).unwrap_or_default().to_owned(), value))
                    .collect()
            })
            .unwrap_or_default();
        entries
            .into_iter()
            .try_for_each(|(name, value)| self.set_field(heap, target, &name, &[], value))
    }

    fn call(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        let Some(queue) = self.queue(target) else { return Err(Raise::attribute(name)) };
        let first = given.positional.first().copied().unwrap_or_default();
        match name {
            "send" => {
                let message = heap.export(self, first)?;
                if let Some(queue) = self.queues.get_mut(queue) {
                    queue.send(message);
                }
                Ok(Value::Null)
            }
            "delete_message" => {
                let Value::Int(number) = first else {
                    return Err(Raise::argument(name, "msgid", first));
                };
                let number = number.unsigned_abs();
                if let Some(queue) = self.queues.get_mut(queue) {
                    queue.messages.retain(|(held, _)| *held != number);
                }
                Ok(Value::Null)
            }
            _ => Err(Raise::attribute(name)),
        }
    }

    fn children(&mut self, target: Handle) -> Result<Option<Vec<Handle>>, Raise> {
        Ok(match self.node(target) {
            Some((path, Node::Directory)) => Some(self.children_of(path)),
            _ => None,
        })
    }

    fn is_child(&mut self, container: Handle, child: Handle) -> Result<Option<bool>, Raise> {
        Ok(self.children(container)?.map(|children| children.contains(&child)))
    }

    fn query(&mut self, heap: &mut Heap, query: &Plain, ask: Ask) -> Result<Value, Raise> {
        // A query of this world is the list of its answers.
        let all = heap.import(query);
        let items = heap.as_array(all).unwrap_or_default();
        Ok(match ask {
            Ask::All => all,
            Ask::Count => Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX)),
            Ask::At(at) => usize::try_from(at)
                .ok()
                .and_then(|at| items.get(at))
                .copied()
                .unwrap_or(Value::Null),
        })
    }

    fn print(&mut self, text: &str) {
        self.console.push_str(text);
    }

    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn process(&self) -> ProcessId {
        self.process
    }

    fn environment(&mut self, heap: &mut Heap) -> Value {
        heap.dict(Dict::new())
    }

    fn new_queue(&mut self) -> Result<Handle, Raise> {
        self.queues.push(Queue::default());
        Ok(Handle { kind: RefKind::Queue, id: self.queues.len() as u64 - 1 })
    }

    fn detach(&mut self) {}

    fn close_session(&mut self, _session: Handle) {}
}

/// Plain data of a value without queries in it.
fn shallow(heap: &Heap, value: Value) -> Plain {
    match value {
        Value::Bool(truth) => Plain::Bool(truth),
        Value::Int(number) => Plain::Int(number),
        Value::Float(number) => Plain::Float(number),
        Value::Str(_) => Plain::Str(heap.as_str(value).unwrap_or_default().to_owned()),
        Value::Array(_) => Plain::Array(
            heap.as_array(value)
                .unwrap_or_default()
                .iter()
                .map(|item| shallow(heap, *item))
                .collect(),
        ),
        Value::Dict(_) => {
            let entries =
                heap.as_dict(value).map(|dict| dict.iter().collect::<Vec<_>>()).unwrap_or_default();
            let name = |key| heap.as_str(key).unwrap_or_default().to_owned();
            Plain::Dict(
                entries.into_iter().map(|(key, value)| (name(key), shallow(heap, value))).collect(),
            )
        }
        _ => Plain::Null,
    }
}
