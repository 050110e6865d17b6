//! YAML: one canonical way to write it, one safe way to read it.

use indexmap::IndexMap;
use num_bigint::BigInt;

use crate::error::Fault;
use crate::record::base64_text;
use crate::validate::time;
use crate::value::Value;

mod emit;
mod parse;
mod scalar;
#[cfg(test)]
mod tests;

/// A YAML node. Keys are texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Node {
    /// `null`.
    #[default]
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer past 64 bits.
    Big(BigInt),
    /// A number with a point.
    Float(f64),
    /// Text.
    Str(String),
    /// A sequence.
    Seq(Vec<Self>),
    /// A mapping, in the order written.
    Map(IndexMap<String, Self>),
}

/// Writes a document (rule: `files/yaml`): block style, two spaces, no tags, no anchors, LF, a
/// final newline. Equal nodes give equal bytes.
#[must_use]
pub fn emit(node: &Node) -> String {
    emit::document(node)
}

/// Reads one document, bounded in size, depth and alias expansion; a byte order mark is accepted,
/// a second equal key is not.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] with line and column, [`crate::error::Kind::TooLarge`].
pub fn parse(text: &str) -> Result<Node, Fault> {
    parse::document(text)
}

impl From<&Value> for Node {
    /// As records write values. What a record must not hold (a reference, a sealed Password) is
    /// null: [`crate::record::render`] replaces it before.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null | Value::Object(_) | Value::Sealed(_) => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(number) => Self::Int(*number),
            Value::Big(number) => Self::Big(number.clone()),
            Value::Float(number) => Self::Float(*number),
            Value::Str(text) => Self::Str(text.clone()),
            Value::Bytes(bytes) => Self::Str(base64_text(bytes)),
            Value::Datetime(at) => Self::Str(time::datetime_text(*at)),
            Value::Date(date) => Self::Str(time::date_text(*date)),
            Value::Time(at) => Self::Str(time::time_text(*at)),
            Value::Timedelta(span) => Self::Float(span.as_secs_f64()),
            Value::File(file) => {
                use crate::record::{Attachment, Carrier};
                Self::from(&Attachment::of(file, Carrier::Here).to_value())
            }
            Value::Array(list) => Self::Seq(list.iter().map(Self::from).collect()),
            Value::Dict(dict) => {
                Self::Map(dict.iter().map(|(key, item)| (key.clone(), Self::from(item))).collect())
            }
        }
    }
}

impl From<Node> for Value {
    fn from(node: Node) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(truth) => Self::Bool(truth),
            Node::Int(number) => Self::Int(number),
            Node::Big(number) => Self::Big(number),
            Node::Float(number) => Self::Float(number),
            Node::Str(text) => Self::Str(text),
            Node::Seq(list) => Self::Array(list.into_iter().map(Self::from).collect()),
            Node::Map(map) => {
                Self::Dict(map.into_iter().map(|(key, item)| (key, Self::from(item))).collect())
            }
        }
    }
}
