//! Objects, the process, and lists of objects.

use super::argument::{At, shown};
use super::{Functions, Methods, Properties, raise};
use crate::engine::vm::host::Ask;
use crate::engine::vm::{Context, Given, Raise, RefKind, Type, Value};

pub(super) const FUNCTIONS: Functions = &[
    ("current", current),
    ("channel", channel),
    ("path", path),
    ("user", user),
    ("group", group),
    ("length", length),
    ("has_key", has_key),
];

pub(super) const METHODS: Methods = &[(Type::LazyArray, "delete", delete)];

pub(super) const PROPERTIES: Properties = &[(Type::File, "url", url)];

fn current(ctx: &mut Context<'_>, _: &[Value]) -> Result<Value, Raise> {
    Ok(Value::Ref(RefKind::Process, ctx.host.process().0))
}

fn channel(ctx: &mut Context<'_>, _: &[Value]) -> Result<Value, Raise> {
    Ok(ctx.host.new_queue()?.into())
}

/// Joins its arguments with `/`; an absolute part begins anew.
fn path(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let at = At("path", "parts");
    let given = ctx.heap.as_array(args[0]).unwrap_or_default().to_vec();
    if given.is_empty() {
        return Err(crate::engine::vm::builtin::missing("path", "str_or_obj"));
    }
    let mut joined = String::new();
    for part in given {
        let pieces = match part {
            Value::Array(_) => ctx.heap.as_array(part).unwrap_or_default().to_vec(),
            other => vec![other],
        };
        for piece in pieces {
            let text = match piece {
                Value::Str(_) => ctx.heap.as_str(piece).unwrap_or_default().to_owned(),
                Value::Ref(..) => shown(ctx, piece),
                other => return at.wrong(other),
            };
            if text.starts_with('/') || joined.is_empty() {
                joined = text;
            } else {
                if !joined.ends_with('/') {
                    joined.push('/');
                }
                joined.push_str(&text);
            }
            ctx.heap.reserve(joined.len())?;
        }
    }
    Ok(ctx.host.resolve(ctx.jobflow, &joined)?.into())
}

fn user(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    principal(ctx, At("user", "user"), RefKind::User, args[0])
}

fn group(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    principal(ctx, At("group", "group"), RefKind::Group, args[0])
}

/// A user or group: itself, by number, or by name.
fn principal(ctx: &mut Context<'_>, at: At, kind: RefKind, value: Value) -> Result<Value, Raise> {
    let name = match value {
        Value::Ref(found, _) if found == kind => return Ok(value),
        Value::Int(number) => format!("id_{number}"),
        Value::Str(_) => ctx.heap.as_str(value).unwrap_or_default().to_owned(),
        other => return at.wrong(other),
    };
    if name.contains('/') || name.is_empty() {
        return raise(format!("{} not found: {name}", at.0));
    }
    let found = ctx.host.resolve(ctx.jobflow, &format!("/config/{}/{name}", at.0));
    match found {
        Ok(handle) if handle.kind == kind => Ok(handle.into()),
        Ok(_) | Err(_) => raise(format!("{} not found: {name}", at.0)),
    }
}

fn length(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let value = args[0];
    let count = match value {
        Value::Str(_) => ctx.heap.as_text(value).map(|text| text.chars()),
        Value::Bytes(_) => ctx.heap.as_bytes(value).map(<[u8]>::len),
        Value::Array(_) => ctx.heap.as_array(value).map(<[Value]>::len),
        Value::Dict(_) => ctx.heap.as_dict(value).map(|dict| dict.len()),
        Value::Lazy(_) => {
            let query = ctx.heap.as_lazy(value).cloned().unwrap_or_default();
            return ctx.host.query(ctx.heap, &query, Ask::Count);
        }
        Value::Ref(..) => match value.handle() {
            Some(handle) => ctx.host.children(handle)?.map(|children| children.len()),
            None => None,
        },
        _ => None,
    };
    match count {
        Some(count) => Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX))),
        None => raise(format!("'{}' has no length", value.kind().name())),
    }
}

fn has_key(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let [holder, key] = [args[0], args[1]];
    let found = match holder {
        Value::Dict(_) => ctx.heap.dict_get(holder, key)?.is_some(),
        Value::Ref(..) => match (holder.handle(), ctx.heap.as_str(key).map(str::to_owned)) {
            (Some(handle), Some(name)) => ctx.host.field(ctx.heap, handle, &name).is_ok(),
            _ => false,
        },
        other => return At("has_key", "obj").wrong(other),
    };
    Ok(Value::Bool(found))
}

/// Deletes every object a query finds; answers with their number. One that went with its container
/// counts, too.
fn delete(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let all = ctx.heap.elements(ctx.host, args[0])?;
    let all = ctx.heap.as_array(all).unwrap_or_default().to_vec();
    let mut count = 0;
    for handle in all.iter().filter_map(|found| found.handle()) {
        if ctx.host.exists(handle)? {
            ctx.host.call(ctx.heap, handle, "delete", &Given::default())?;
        }
        count += 1;
    }
    Ok(Value::Int(count))
}

/// Where an attachment can be downloaded; null for one that no field owns.
fn url(ctx: &mut Context<'_>, file: Value) -> Result<Value, Raise> {
    let origin = ctx.heap.as_file(file).and_then(|file| file.origin.clone());
    let Some((owner, field, key)) = origin else { return Ok(Value::Null) };
    let mut url = format!("{}.attachments/{field}", ctx.host.text(owner));
    if let Some(key) = key {
        url.push('/');
        url.push_str(
            &percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC)
                .to_string(),
        );
    }
    Ok(ctx.heap.str(url))
}
