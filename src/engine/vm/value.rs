//! A value of a running jobflow: sixteen bytes, copied freely.
//!
//! What does not fit lives in the [`Heap`](super::heap::Heap) of the process and is named by a
//! [`Slot`]; so an Array is shared by everyone who holds its slot (rule: `language/values`).

use jiff::civil;
use kompira_schema::id::{GroupId, IncidentId, ObjectId, ProcessId, ScheduleId, TaskId, UserId};
use kompira_schema::value::Ref;

/// A place in the heap of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(super) u32);

/// A value inside a process.
#[derive(Debug, Clone, Copy, Default)]
pub enum Value {
    /// A variable that was never assigned, an argument that was left out. No jobflow sees it.
    #[default]
    Absent,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An Integer that fits 64 bits. Larger ones are [`Value::Big`], never both.
    Int(i64),
    /// Float
    Float(f64),
    /// Date
    Date(civil::Date),
    /// Time
    Time(civil::Time),
    /// Timedelta, in microseconds
    Timedelta(i64),
    /// Object: something that is referred to by identity.
    Ref(RefKind, u64),
    /// An Integer beyond 64 bits.
    Big(Slot),
    /// String
    Str(Slot),
    /// Binary
    Bytes(Slot),
    /// Pattern
    Pattern(Slot),
    /// Array
    Array(Slot),
    /// Dictionary
    Dict(Slot),
    /// LazyArray
    Lazy(Slot),
    /// Datetime
    Datetime(Slot),
    /// File
    File(Slot),
    /// Function
    Function(Slot),
}

/// What an Object value refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefKind {
    /// An object of the tree.
    Object,
    /// A user.
    User,
    /// A group.
    Group,
    /// A process.
    Process,
    /// A schedule.
    Schedule,
    /// A task.
    Task,
    /// An incident.
    Incident,
    /// An in-memory channel or the channel of a session; the engine gives the number.
    Queue,
}

/// An Object value taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    /// What it refers to.
    pub kind: RefKind,
    /// Its identity among its kind.
    pub id: u64,
}

impl Handle {
    /// The reference as other parts of the system know it; `None` for a [`RefKind::Queue`].
    #[must_use]
    pub const fn reference(self) -> Option<Ref> {
        Some(match self.kind {
            RefKind::Object => Ref::Object(ObjectId(self.id)),
            RefKind::User => Ref::User(UserId(self.id)),
            RefKind::Group => Ref::Group(GroupId(self.id)),
            RefKind::Process => Ref::Process(ProcessId(self.id)),
            RefKind::Schedule => Ref::Schedule(ScheduleId(self.id)),
            RefKind::Task => Ref::Task(TaskId(self.id)),
            RefKind::Incident => Ref::Incident(IncidentId(self.id)),
            RefKind::Queue => return None,
        })
    }

    /// The object of the tree it refers to.
    #[must_use]
    pub const fn object(self) -> Option<ObjectId> {
        match self.kind {
            RefKind::Object => Some(ObjectId(self.id)),
            _ => None,
        }
    }
}

impl From<Ref> for Handle {
    fn from(reference: Ref) -> Self {
        let (kind, id) = match reference {
            Ref::Object(id) => (RefKind::Object, id.0),
            Ref::User(id) => (RefKind::User, id.0),
            Ref::Group(id) => (RefKind::Group, id.0),
            Ref::Process(id) => (RefKind::Process, id.0),
            Ref::Schedule(id) => (RefKind::Schedule, id.0),
            Ref::Task(id) => (RefKind::Task, id.0),
            Ref::Incident(id) => (RefKind::Incident, id.0),
        };
        Self { kind, id }
    }
}

impl From<Handle> for Value {
    fn from(handle: Handle) -> Self {
        Self::Ref(handle.kind, handle.id)
    }
}

impl From<Ref> for Value {
    fn from(reference: Ref) -> Self {
        Handle::from(reference).into()
    }
}

impl From<ObjectId> for Value {
    fn from(id: ObjectId) -> Self {
        Self::Ref(RefKind::Object, id.0)
    }
}

/// The types of the language, as `type()` names them (rule: `language/values`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// `null` and what is absent
    Null,
    /// `true`, `false`
    Boolean,
    /// whole numbers
    Integer,
    /// binary64
    Float,
    /// text
    String,
    /// bytes
    Binary,
    /// `r'…'`
    Pattern,
    /// list
    Array,
    /// map
    Dictionary,
    /// query
    LazyArray,
    /// reference
    Object,
    /// attachment
    File,
    /// instant with zone
    Datetime,
    /// day
    Date,
    /// time of day
    Time,
    /// span
    Timedelta,
    /// something callable
    Function,
}

impl Type {
    /// The name `type()` answers with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Boolean => "Boolean",
            Self::Integer => "Integer",
            Self::Float => "Float",
            Self::String => "String",
            Self::Binary => "Binary",
            Self::Pattern => "Pattern",
            Self::Array => "Array",
            Self::Dictionary => "Dictionary",
            Self::LazyArray => "LazyArray",
            Self::Object => "Object",
            Self::File => "File",
            Self::Datetime => "Datetime",
            Self::Date => "Date",
            Self::Time => "Time",
            Self::Timedelta => "Timedelta",
            Self::Function => "Function",
        }
    }
}

impl Value {
    /// Its type.
    #[must_use]
    pub const fn kind(self) -> Type {
        match self {
            Self::Absent | Self::Null => Type::Null,
            Self::Bool(_) => Type::Boolean,
            Self::Int(_) | Self::Big(_) => Type::Integer,
            Self::Float(_) => Type::Float,
            Self::Date(_) => Type::Date,
            Self::Time(_) => Type::Time,
            Self::Timedelta(_) => Type::Timedelta,
            Self::Ref(..) => Type::Object,
            Self::Str(_) => Type::String,
            Self::Bytes(_) => Type::Binary,
            Self::Pattern(_) => Type::Pattern,
            Self::Array(_) => Type::Array,
            Self::Dict(_) => Type::Dictionary,
            Self::Lazy(_) => Type::LazyArray,
            Self::Datetime(_) => Type::Datetime,
            Self::File(_) => Type::File,
            Self::Function(_) => Type::Function,
        }
    }

    /// Whether it is [`Value::Absent`].
    #[must_use]
    pub const fn is_absent(self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it is `null`.
    #[must_use]
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it refers to, if it is an Object.
    #[must_use]
    pub const fn handle(self) -> Option<Handle> {
        match self {
            Self::Ref(kind, id) => Some(Handle { kind, id }),
            _ => None,
        }
    }

    /// Where it lives in the heap, if it does.
    #[must_use]
    pub const fn slot(self) -> Option<Slot> {
        match self {
            Self::Big(slot)
            | Self::Str(slot)
            | Self::Bytes(slot)
            | Self::Pattern(slot)
            | Self::Array(slot)
            | Self::Dict(slot)
            | Self::Lazy(slot)
            | Self::Datetime(slot)
            | Self::File(slot)
            | Self::Function(slot) => Some(slot),
            Self::Absent
            | Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Timedelta(_)
            | Self::Ref(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_sixteen_bytes() {
        assert_eq!(size_of::<Value>(), 16);
    }
}
