//! Binary values.

use super::argument::{At, text};
use super::codec::{self, Refused};
use super::raise;
use super::{Functions, Methods};
use crate::engine::vm::{Context, Raise, Type, Value};

pub(super) const FUNCTIONS: Functions = &[("bytes", bytes), ("decode", decode), ("encode", encode)];

pub(super) const METHODS: Methods = &[
    (Type::Binary, "decode", decode),
    (Type::Binary, "hex", hex),
    (Type::String, "encode", encode),
];

fn bytes(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let at = At("bytes", "b");
    match args[0] {
        Value::Absent => Ok(ctx.heap.binary(Vec::new())),
        Value::Bytes(_) => Ok(args[0]),
        Value::Str(_) => encode(ctx, args),
        Value::Int(count) => {
            let Ok(count) = usize::try_from(count) else {
                return raise(format!("cannot convert '{count}' to Binary"));
            };
            ctx.heap.reserve(count)?;
            Ok(ctx.heap.binary(vec![0; count]))
        }
        Value::Array(_) => {
            let items = ctx.heap.as_array(args[0]).unwrap_or_default();
            let made: Option<Vec<u8>> = items
                .iter()
                .map(|item| match item {
                    Value::Int(number) => u8::try_from(*number).ok(),
                    _ => None,
                })
                .collect();
            match made {
                Some(made) => Ok(ctx.heap.binary(made)),
                None => raise("bytes must be integers from 0 to 255"),
            }
        }
        other => at.wrong(other),
    }
}

fn refused<T>(what: Refused, name: &str) -> Result<T, Raise> {
    match what {
        Refused::Unknown => raise(format!("unknown encoding: {name}")),
        Refused::Data => raise(format!("the data does not fit encoding '{name}'")),
    }
}

fn decode(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let name = text(ctx, At("decode", "encoding"), args[1])?;
    let Some(data) = ctx.heap.as_bytes(args[0]) else { return At("decode", "data").wrong(args[0]) };
    match codec::decode(data, &name) {
        Ok(text) => Ok(ctx.heap.str(text)),
        Err(what) => refused(what, &name),
    }
}

fn encode(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let name = text(ctx, At("encode", "encoding"), args[1])?;
    let Some(message) = ctx.heap.as_str(args[0]) else {
        return At("encode", "message").wrong(args[0]);
    };
    match codec::encode(message, &name) {
        Ok(bytes) => Ok(ctx.heap.binary(bytes)),
        Err(what) => refused(what, &name),
    }
}

fn hex(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    use std::fmt::Write as _;
    let data = ctx.heap.as_bytes(args[0]).unwrap_or_default();
    ctx.heap.reserve(data.len() * 2)?;
    let mut out = String::with_capacity(data.len() * 2);
    for byte in data {
        let _ = write!(out, "{byte:02x}");
    }
    Ok(ctx.heap.str(out))
}
