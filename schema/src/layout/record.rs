//! Records as YAML files.

use crate::error::{Fault, Problem};
use crate::layout::yaml::Node;
use crate::record::Record;

/// Which keys a record file shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// Display name, description, owner, permissions (the mount always has them).
    pub properties: bool,
    /// Times of creation and update.
    pub times: bool,
    /// The object's name: a display name equal to it is left out.
    pub name: &'a str,
    /// The representative field, which is a file of its own: left out of `fields`.
    pub representative: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// As the mount shows records: properties, no times.
    #[must_use]
    pub const fn mount(name: &'a str, representative: Option<&'a str>) -> Self {
        Self { properties: true, times: false, name, representative }
    }
}

/// The YAML text of a record (rule: `files/records`).
#[must_use]
pub fn to_yaml(record: &Record, options: &Options<'_>) -> String {
    let _ = (record, options);
    unimplemented!()
}

/// The record in a YAML text, and warnings (unknown keys).
///
/// # Errors
/// [`crate::error::Kind::Invalid`] with the place: line and column, or the key.
pub fn from_yaml(text: &str) -> Result<(Record, Vec<Problem>), Fault> {
    let _ = text;
    unimplemented!()
}

/// As [`from_yaml`], from a document that is already read.
///
/// # Errors
/// [`crate::error::Kind::Invalid`] with the key.
pub fn from_node(node: Node) -> Result<(Record, Vec<Problem>), Fault> {
    let _ = node;
    unimplemented!()
}
