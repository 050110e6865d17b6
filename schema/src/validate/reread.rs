//! Stored values seen through a type that has changed since.

use jiff::Zoned;

use super::convert::{Nowhere, element};
use super::{Context, Source, cleared_value};
use crate::field::{Elem, FieldType, Shape};
use crate::value::Value;

/// Whether a stored value is already what an element type holds.
fn fits(elem: Elem, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Str(_) => elem.is_text(),
        Value::Sealed(_) => elem == Elem::Password,
        Value::Bytes(_) => elem == Elem::Binary,
        Value::Int(_) => elem == Elem::Integer,
        Value::Float(_) => elem == Elem::Float,
        Value::Bool(_) => elem == Elem::Boolean,
        Value::File(_) => elem == Elem::File,
        Value::Object(_) => elem == Elem::Object,
        Value::Datetime(_) => elem == Elem::Datetime,
        Value::Date(_) => elem == Elem::Date,
        Value::Time(_) => elem == Elem::Time,
        Value::Big(_) | Value::Timedelta(_) | Value::Array(_) | Value::Dict(_) => false,
    }
}

pub(super) fn fits_type(field_type: &FieldType, value: &Value) -> bool {
    let elem = field_type.elem();
    let one = |value: &Value| {
        fits(elem, value) && !(elem == Elem::Boolean && matches!(value, Value::Null))
    };
    match (field_type.shape, value) {
        (Shape::One(_), value) => one(value),
        (Shape::Array(_), Value::Array(list)) => list.iter().all(one),
        (Shape::Dictionary(_), Value::Dict(dict)) => dict.values().all(one),
        _ => false,
    }
}

pub(super) fn value(field_type: &FieldType, value: &Value, now: &Zoned) -> Value {
    if fits_type(field_type, value) {
        return value.clone();
    }
    let elem = field_type.elem();
    let one = |value: &Value| {
        if fits(elem, value) && !(elem == Elem::Boolean && *value == Value::Null) {
            return value.clone();
        }
        let mut nowhere = Nowhere;
        let mut ctx = Context::new(Source::Language, now, &mut nowhere);
        element(field_type, "", value.clone(), &mut ctx).unwrap_or_default()
    };
    match (field_type.shape, value) {
        (shape, Value::Null) => cleared_value(shape),
        (Shape::One(_), Value::Array(list)) if elem != Elem::Boolean => match list.as_slice() {
            // `Array<T>` became `T`: a single element is that value.
            [single] => one(single),
            _ => Value::Null,
        },
        (Shape::One(_), value) => one(value),
        (Shape::Array(_), Value::Array(list)) => Value::Array(list.iter().map(one).collect()),
        (Shape::Dictionary(_), Value::Dict(dict)) => {
            Value::Dict(dict.iter().map(|(key, item)| (key.clone(), one(item))).collect())
        }
        // `T` became `Array<T>`.
        (Shape::Array(_), value) => match one(value) {
            Value::Null => Value::Array(Vec::new()),
            value => Value::Array(vec![value]),
        },
        (shape, _) => cleared_value(shape),
    }
}
