//! A value as fields, parameters and results hold it: plain data, no sharing.
//!
//! The virtual machine has its own value with shared containers; this is what crosses its border.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp, civil};
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

use crate::id::{BlobHash, GroupId, IncidentId, ObjectId, ProcessId, ScheduleId, TaskId, UserId};

/// A dictionary keeps the order in which its keys were inserted.
pub type Dict = IndexMap<String, Value>;

/// A value of the object model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer that fits a field.
    Int(i64),
    /// An integer that only the language can hold.
    Big(BigInt),
    /// A finite number.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A Password as it is stored: sealed by `secrets`, never clear.
    Sealed(#[serde(with = "serde_bytes")] Vec<u8>),
    /// An instant, to the microsecond.
    Datetime(Timestamp),
    /// A calendar day.
    Date(civil::Date),
    /// A time of day, to the microsecond.
    Time(civil::Time),
    /// A span of time.
    Timedelta(SignedDuration),
    /// A reference by identity.
    Object(Ref),
    /// An attachment.
    File(FileValue),
    /// A list.
    Array(Vec<Self>),
    /// A map from text to values.
    Dict(Dict),
}

/// What a reference points at: an object of the tree or a special object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ref {
    /// An object of the tree.
    Object(ObjectId),
    /// A user.
    User(UserId),
    /// A group.
    Group(GroupId),
    /// A process.
    Process(ProcessId),
    /// A schedule.
    Schedule(ScheduleId),
    /// A task.
    Task(TaskId),
    /// An incident.
    Incident(IncidentId),
}

/// An attachment: its content lives among the blobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileValue {
    /// The file name it was given; any text without NUL.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Names the content.
    pub hash: BlobHash,
}

impl Value {
    /// The name that `type()` answers with and that messages use.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Bool(_) => "Boolean",
            Self::Int(_) | Self::Big(_) => "Integer",
            Self::Float(_) => "Float",
            Self::Str(_) | Self::Sealed(_) => "String",
            Self::Bytes(_) => "Binary",
            Self::Datetime(_) => "Datetime",
            Self::Date(_) => "Date",
            Self::Time(_) => "Time",
            Self::Timedelta(_) => "Timedelta",
            Self::Object(_) => "Object",
            Self::File(_) => "File",
            Self::Array(_) => "Array",
            Self::Dict(_) => "Dictionary",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
