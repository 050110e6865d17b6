//! Conversion: what a client offers becomes what the field holds.

use super::{Context, Outside, Source, check, cleared_value};
use crate::error::{Message, Problem};
use crate::field::{Elem, FieldType, Shape};
use crate::limits::{FIELDS_MAX, PROBLEMS_MAX};
use crate::message;
use crate::record::Attachment;
use crate::types::{FieldDef, TypeDef};
use crate::value::{Dict, Ref, Value};

mod scalar;

use scalar::{
    binary, date, datetime, daytime, file, float, integer, lower_scheme, object, password, text,
    truth,
};

pub(super) fn fields(
    def: &TypeDef,
    mut given: Dict,
    ctx: &mut Context<'_>,
) -> Result<Dict, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut out = Dict::with_capacity(given.len().min(FIELDS_MAX));
    for field in def.fields() {
        let Some(value) = given.get_mut(&field.name).map(std::mem::take) else { continue };
        match super::convert(field, value, ctx) {
            Ok(value) => {
                out.insert(field.name.clone(), value);
            }
            Err(more) => problems.extend(more),
        }
    }
    for name in given.keys().filter(|name| def.field(name).is_none()) {
        let problem = Problem {
            at: name.clone(),
            message: message!("field.unknown", name = name, type_name = def.name),
        };
        if ctx.lenient { &mut ctx.warnings } else { &mut problems }.push(problem);
    }
    problems.truncate(PROBLEMS_MAX);
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

pub(super) fn field(
    def: &FieldDef,
    value: Value,
    ctx: &mut Context<'_>,
) -> Result<Value, Vec<Problem>> {
    let lenient = ctx.lenient;
    let mut problems = Vec::new();
    let mut one = |at: String, value: Value, ctx: &mut Context<'_>| {
        element(&def.field_type, &at, value, ctx).unwrap_or_else(|message| {
            let list = if lenient { &mut ctx.warnings } else { &mut problems };
            if list.len() < PROBLEMS_MAX {
                list.push(Problem { at, message });
            }
            Value::Null
        })
    };
    let shape = def.field_type.shape;
    let value = match (shape, value) {
        (_, Value::Null) => cleared_value(shape),
        // Clients that know no media type say `false`.
        (Shape::One(Elem::String | Elem::Text | Elem::LargeText), Value::Bool(false))
            if ctx.source == Source::Json =>
        {
            Value::Str(String::new())
        }
        (Shape::One(_), value) => one(def.name.clone(), value, ctx),
        (Shape::Array(_), Value::Array(list)) => Value::Array(
            list.into_iter()
                .enumerate()
                .map(|(index, item)| one(format!("{}[{index}]", def.name), item, ctx))
                .collect(),
        ),
        (Shape::Dictionary(_), Value::Dict(dict)) => {
            let strip = def.field_type.qualifiers.key_strip;
            let pairs = dict.into_iter().map(|(key, item)| {
                let value = one(format!("{}[{key}]", def.name), item, ctx);
                (if strip { key.trim().to_owned() } else { key }, value)
            });
            Value::Dict(pairs.collect())
        }
        (_, other) => {
            let message = message!("field.wrong_kind", wanted = shape, found = other.type_name());
            let problem = Problem { at: def.name.clone(), message };
            if lenient { &mut ctx.warnings } else { &mut problems }.push(problem);
            cleared_value(shape)
        }
    };
    if problems.is_empty() {
        let found = check::field(def, &value);
        if lenient { &mut ctx.warnings } else { &mut problems }.extend(found);
    }
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

/// One value of the element type. Null stays null within containers.
pub(super) fn element(
    field_type: &FieldType,
    at: &str,
    value: Value,
    ctx: &mut Context<'_>,
) -> Result<Value, Message> {
    let said = &field_type.qualifiers;
    let elem = field_type.elem();
    if value == Value::Null {
        return Ok(if elem == Elem::Boolean { Value::Bool(false) } else { Value::Null });
    }
    match elem {
        Elem::Password => password(at, value, said, ctx),
        Elem::Binary => binary(value, ctx.source),
        Elem::Integer => integer(value),
        Elem::Float => float(value),
        Elem::Boolean => Ok(Value::Bool(truth(&value))),
        Elem::File => file(at, value, ctx),
        Elem::Object => object(value, ctx),
        Elem::Datetime => datetime(value, ctx.now),
        Elem::Date => date(value, ctx.now),
        Elem::Time => daytime(value, ctx.now),
        Elem::URL => text(value, said, ctx.now).map(|text| Value::Str(lower_scheme(text))),
        Elem::String
        | Elem::Text
        | Elem::LargeText
        | Elem::Enum
        | Elem::IPAddress
        | Elem::EMail => text(value, said, ctx.now).map(Value::Str),
    }
}

/// For what needs no outside: re-reading and defaults.
pub(super) struct Nowhere;

impl Outside for Nowhere {
    fn reference(&mut self, _text: &str) -> Option<Ref> {
        None
    }

    fn password(&mut self, _at: &str, _text: &str, _verbatim: bool) -> Result<Value, Message> {
        Err(message!("field.not_sealed"))
    }

    fn attachment(&mut self, _at: &str, _file: Attachment) -> Result<Value, Message> {
        Err(message!("file.no_data"))
    }
}
