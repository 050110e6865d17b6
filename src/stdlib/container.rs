//! Methods of Array and Dictionary.

use super::Methods;
use super::argument::{At, place, shown, whole};
use super::raise;
use crate::engine::vm::{Context, Raise, Type, Value};

pub(super) const METHODS: Methods = &[
    (Type::Array, "add_item", add_item),
    (Type::Array, "del_item", del_index),
    (Type::Array, "pop_item", pop_index),
    (Type::Dictionary, "del_item", del_key),
    (Type::Dictionary, "get_item", get_key),
    (Type::Dictionary, "pop_item", pop_key),
    (Type::Dictionary, "get_keys", get_keys),
];

fn add_item(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    ctx.heap.reserve(size_of::<Value>())?;
    ctx.heap.push(args[0], args[1]);
    Ok(Value::Null)
}

fn take(ctx: &mut Context<'_>, at: At, array: Value, index: Value) -> Result<Value, Raise> {
    let wanted = whole(ctx, at, index)?;
    let length = ctx.heap.as_array(array).unwrap_or_default().len();
    match place(length, wanted).and_then(|place| ctx.heap.remove(array, place)) {
        Some(item) => Ok(item),
        None => raise(format!("array index out of range: {wanted}")),
    }
}

fn del_index(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    take(ctx, At("del_item", "index"), args[0], args[1]).map(|_| Value::Null)
}

fn pop_index(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    take(ctx, At("pop_item", "index"), args[0], args[1])
}

fn no_key<T>(ctx: &mut Context<'_>, key: Value) -> Result<T, Raise> {
    let key = shown(ctx, key);
    raise(format!("key not found: {key}"))
}

fn del_key(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    match ctx.heap.dict_remove(args[0], args[1])? {
        Some(_) => Ok(Value::Null),
        None => no_key(ctx, args[1]),
    }
}

fn get_key(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    Ok(ctx.heap.dict_get(args[0], args[1])?.unwrap_or(args[2]))
}

fn pop_key(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    match ctx.heap.dict_remove(args[0], args[1])? {
        Some(value) => Ok(value),
        None if args[2].is_absent() => no_key(ctx, args[1]),
        None => Ok(args[2]),
    }
}

fn get_keys(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let keys: Vec<Value> = ctx
        .heap
        .as_dict(args[0])
        .map(|dict| dict.iter().map(|(key, _)| key).collect())
        .unwrap_or_default();
    ctx.heap.reserve(keys.len() * size_of::<Value>())?;
    Ok(ctx.heap.array(keys))
}
