//! From what a client offers to what a field stores: conversion, then qualifiers.

use jiff::Zoned;

use crate::error::{Message, Problem};
use crate::field::{Elem, FieldType, Shape};
use crate::record::Attachment;
use crate::types::{FieldDef, TypeDef};
use crate::value::{Dict, Ref, Value};

mod check;
mod convert;
mod default;
mod reread;
pub mod time;
#[cfg(test)]
mod tests;

/// Which conventions a value follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The jobflow language: bytes are bytes, text becomes UTF-8 bytes.
    Language,
    /// JSON of the HTTP API: bytes are BASE64 text.
    Json,
    /// A record (mount, import, archive): as JSON, and Password texts may be export texts.
    Record,
    /// A form: bytes are hexadecimal text, empty text is no number.
    Form,
}

/// What a conversion needs from where it runs.
pub trait Outside {
    /// The target of a reference written as text: an absolute path, `~/x`, `user:NAME` …
    fn reference(&mut self, text: &str) -> Option<Ref>;
    /// A Password as it is to be stored. `verbatim`: the text is clear whatever it looks like;
    /// otherwise it may be an export text. `at` is the field, or a path into it.
    ///
    /// # Errors
    /// What is wrong, as a message (an export text of another key).
    fn password(&mut self, at: &str, text: &str, verbatim: bool) -> Result<Value, Message>;
    /// Stores (or finds) the content of an attachment: a [`Value::File`], or null.
    ///
    /// # Errors
    /// What is wrong, as a message.
    fn attachment(&mut self, at: &str, file: Attachment) -> Result<Value, Message>;
    /// The name of the attachment that is stored at `at`.
    fn attached_name(&self, _at: &str) -> Option<String> {
        None
    }
}

/// Where and how a conversion runs.
pub struct Context<'a> {
    /// Conventions of the values.
    pub source: Source,
    /// An import: what breaks a qualifier stays, what cannot be converted becomes null, unknown
    /// fields are skipped; each is a warning.
    pub lenient: bool,
    /// The present time in the zone of the server: for times without zone and relative defaults.
    pub now: &'a Zoned,
    /// References, passwords, attachments.
    pub outside: &'a mut dyn Outside,
    /// What was reported and not refused.
    pub warnings: Vec<Problem>,
}

impl<'a> Context<'a> {
    /// A strict context.
    pub fn new(source: Source, now: &'a Zoned, outside: &'a mut dyn Outside) -> Self {
        Self { source, lenient: false, now, outside, warnings: Vec::new() }
    }
}

/// Converts and checks the value of one field (rules: `objects/conversion`, `objects/qualifiers`).
/// Null clears: it stays null, but false for Boolean and empty for containers.
///
/// # Errors
/// All problems of the value, at `field`, `field[2]` or `field[key]`.
pub fn convert(def: &FieldDef, value: Value, ctx: &mut Context<'_>) -> Result<Value, Vec<Problem>> {
    convert::field(def, value, ctx)
}

/// Converts and checks the given fields of an object; what is not given stays out. The result is
/// in the order of the type.
///
/// # Errors
/// The problems of all fields, unknown ones included.
pub fn convert_fields(
    def: &TypeDef,
    fields: Dict,
    ctx: &mut Context<'_>,
) -> Result<Dict, Vec<Problem>> {
    convert::fields(def, fields, ctx)
}

/// Whether a stored value (still) satisfies the qualifiers of its field.
#[must_use]
pub fn check(def: &FieldDef, value: &Value) -> Vec<Problem> {
    check::field(def, value)
}

/// A stored value seen through a type that has changed since: what does not fit reads as null
/// (rule: `objects/type-change`). Cheap when it fits.
#[must_use]
pub fn reread(field_type: &FieldType, value: &Value, now: &Zoned) -> Value {
    reread::value(field_type, value, now)
}

/// Whether a stored value is what the type holds, so that [`reread`] would only copy it.
#[must_use]
pub fn fits(field_type: &FieldType, value: &Value) -> bool {
    reread::fits_type(field_type, value)
}

/// The declared default of a field; `None` when there is none or it does not fit the type
/// (rule: `objects/defaults`). References come out as [`Value::Str`] path text. Relative times count
/// from `now`: for an object of the tree that is its creation.
#[must_use]
pub fn default_value(field_type: &FieldType, now: &Zoned) -> Option<Value> {
    default::of(field_type, now)
}

/// What a field reads as when nothing is stored: its default, else its empty value.
#[must_use]
pub fn absent_value(field_type: &FieldType, now: &Zoned) -> Value {
    default_value(field_type, now).unwrap_or_else(|| empty_value(field_type.shape))
}

/// The empty value of a field (rule: `objects/empty-values`).
#[must_use]
pub fn empty_value(shape: Shape) -> Value {
    match shape {
        Shape::Array(_) => Value::Array(Vec::new()),
        Shape::Dictionary(_) => Value::Dict(Dict::new()),
        Shape::One(Elem::Boolean) => Value::Bool(false),
        Shape::One(Elem::Binary) => Value::Bytes(Vec::new()),
        Shape::One(elem) if elem.is_text() => Value::Str(String::new()),
        Shape::One(_) => Value::Null,
    }
}

/// What null becomes when it is written to a field: it clears (rule: `objects/conversion`).
#[must_use]
pub fn cleared_value(shape: Shape) -> Value {
    match shape {
        Shape::Array(_) | Shape::Dictionary(_) | Shape::One(Elem::Boolean) => empty_value(shape),
        Shape::One(_) => Value::Null,
    }
}
