//! Declared defaults.

use jiff::Zoned;
use serde_json::Value as Json;

use super::convert::Nowhere;
use super::{Context, Source, cleared_value, time};
use crate::field::{Elem, FieldType, Shape};
use crate::layout::json;
use crate::types::FieldDef;
use crate::value::Value;

pub(super) fn of(field_type: &FieldType, now: &Zoned) -> Option<Value> {
    let shape = field_type.shape;
    let written = field_type.qualifiers.default_json(shape)?;
    match (shape, written) {
        (_, Json::Null) => Some(cleared_value(shape)),
        (Shape::One(elem), one) => element(elem, one, now),
        (Shape::Array(elem), Json::Array(list)) => list
            .iter()
            .map(|item| element(elem, item, now))
            .collect::<Option<_>>()
            .map(Value::Array),
        (Shape::Dictionary(elem), Json::Object(map)) => map
            .iter()
            .map(|(key, item)| Some((key.clone(), element(elem, item, now)?)))
            .collect::<Option<_>>()
            .map(Value::Dict),
        _ => None,
    }
}

/// One default in the form of its type; another form is ignored (rule: `objects/defaults`).
fn element(elem: Elem, written: &Json, now: &Zoned) -> Option<Value> {
    match (elem, written) {
        (_, Json::Null) => Some(cleared_value(Shape::One(elem))),
        (Elem::Boolean, Json::Bool(truth)) => Some(Value::Bool(*truth)),
        (Elem::Float, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Elem::File, _) => None,
        (Elem::Datetime, Json::String(text)) => time::parse_datetime(text, now.time_zone())
            .or_else(|| time::parse_relative(text, now).map(|at| at.timestamp()))
            .map(|at| Value::Datetime(time::to_micros(at))),
        (Elem::Date, Json::String(text)) => time::parse_date(text)
            .or_else(|| time::parse_relative(text, now).map(|at| at.date()))
            .map(Value::Date),
        (Elem::Time, Json::String(text)) => time::parse_time(text)
            .or_else(|| time::parse_relative(text, now).map(|at| at.time()))
            .map(Value::Time),
        (Elem::Object | Elem::Password, Json::String(text)) => Some(Value::Str(text.clone())),
        (Elem::Integer, Json::Number(_)) => plain(elem, written, now),
        (elem, Json::String(_)) if elem.is_text() || elem == Elem::Binary => {
            plain(elem, written, now)
        }
        _ => None,
    }
}

fn plain(elem: Elem, written: &Json, now: &Zoned) -> Option<Value> {
    let def = FieldDef::new("", FieldType::plain(Shape::One(elem)));
    let mut nowhere = Nowhere;
    let mut ctx = Context::new(Source::Json, now, &mut nowhere);
    super::convert(&def, json::to_value(written), &mut ctx).ok()
}
