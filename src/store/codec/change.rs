//! What a commit changed: the rows of the change feed.

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::value::Ref;
use serde::{Deserialize, Serialize};

/// What an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// An object that was made with a record.
    Object,
    /// An object that was made from a bare file or by `mkdir`.
    Bare,
    /// A file of tools: never an object.
    Scratch,
}

impl EntryKind {
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Object => 0,
            Self::Bare => 1,
            Self::Scratch => 2,
        }
    }

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Object,
            1 => Self::Bare,
            2 => Self::Scratch,
            _ => return None,
        })
    }
}

/// What happened to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum What {
    /// It is new.
    Created,
    /// It is gone.
    Removed,
    /// Its name, parent, suffix or kind is another.
    Moved,
    /// Its content (the representative field, an attachment, scratch bytes) is another.
    Content,
    /// Other fields, texts, permissions or the owner are others.
    Record,
    /// Times or mode bits alone.
    Attr,
    /// A message came or went in its queue.
    Queue,
}

/// Where an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The container.
    pub parent: ObjectId,
    /// The name there.
    pub name: String,
    /// The file suffix with its dot; empty for none.
    pub suffix: String,
    /// Object, bare or scratch.
    pub kind: EntryKind,
    /// Whether it may have children.
    pub container: bool,
}

/// One change of one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Who: an object or scratch node, a user, a process, …
    pub subject: Ref,
    /// What.
    pub what: What,
    /// Where it is now; before, if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Where it was, if it moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Place>,
}

/// The row of the family `change` under its revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// When it was committed.
    pub time: Timestamp,
    /// The session that did it, if it wishes to know its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<u64>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// What changed; empty for a commit of the engine alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Changed>,
}
