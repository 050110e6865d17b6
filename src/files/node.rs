//! The node table: numbers for what has no number of its own in the store.

use std::collections::HashMap;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::message;
use kompira_schema::tree::Ino;
use parking_lot::Mutex;

use super::place::Place;

/// Rows of the table. Reason: the kernel forgets nodes under memory pressure; a program that keeps
/// more than this many open is told to stop.
const NODES_MAX: usize = 1_000_000;

/// An element of an Array or Dictionary of files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Whole,
    Index(usize),
    Key(String),
}

/// An entry of the control directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Control {
    Root,
    Version,
    Status,
    Rejected,
    /// A refused text, by its scratch node.
    RejectedText(ObjectId),
    Processes,
    Process(ProcessId),
    ProcessFile(ProcessId, ProcessFile),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProcessFile {
    Status,
    Console,
    Result,
    Ctl,
}

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// `.NAME.files/FIELD`
    Field { id: ObjectId, field: String },
    /// `.NAME.files/FIELD/INDEX-OR-KEY`
    Element { id: ObjectId, field: String, part: Part },
    /// A file in one of those.
    Attachment { id: ObjectId, field: String, part: Part, file: String },
    /// Below `/.kompira`.
    Control(Control),
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    rows: HashMap<u64, Node>,
    numbers: HashMap<Node, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Nodes(Mutex<Table>);

impl Nodes {
    /// The number of a node; it is given one if it has none.
    pub(super) fn number(&self, node: &Node) -> Result<Place, Fault> {
        let mut table = self.0.lock();
        if let Some(number) = table.numbers.get(node) {
            return Ok(Place::Node(*number));
        }
        if table.rows.len() >= NODES_MAX {
            return Err(Fault::new(Kind::TooMany, message!("files.too_many_nodes")));
        }
        table.next += 1;
        let number = table.next;
        table.rows.insert(number, node.clone());
        table.numbers.insert(node.clone(), number);
        Ok(Place::Node(number))
    }

    /// The number of a node that has one.
    pub(super) fn known(&self, node: &Node) -> Option<Place> {
        self.0.lock().numbers.get(node).map(|number| Place::Node(*number))
    }

    pub(super) fn get(&self, number: u64) -> Option<Node> {
        self.0.lock().rows.get(&number).cloned()
    }

    /// A renamed attachment keeps its number.
    pub(super) fn rename(&self, number: u64, node: Node) {
        let mut table = self.0.lock();
        if let Some(old) = table.rows.insert(number, node.clone()) {
            table.numbers.remove(&old);
        }
        if let Some(other) = table.numbers.insert(node, number)
            && other != number
        {
            table.rows.remove(&other);
        }
    }

    pub(super) fn forget(&self, ino: Ino) {
        let Some(Place::Node(number)) = Place::of(ino) else { return };
        let mut table = self.0.lock();
        if let Some(node) = table.rows.remove(&number)
            && table.numbers.get(&node) == Some(&number)
        {
            table.numbers.remove(&node);
        }
    }
}
