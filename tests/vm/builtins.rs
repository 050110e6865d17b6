//! The few functions and methods these tests use, so that the machine is tested alone.

use kompira::engine::vm::builtin::{Default, Parameter};
use kompira::engine::vm::{Builtin, Builtins, Context, Raise, Type, Value};
use kompira::lang::pattern::Match;

macro_rules! required {
    ($name:literal) => {
        Parameter { name: $name, default: Default::Required }
    };
}

fn dict(context: &mut Context<'_>, entries: &[(&str, Value)]) -> Value {
    let dict = context.heap.dict(kompira::engine::vm::dict::Dict::new());
    for (name, value) in entries {
        context.heap.dict_set_str(dict, name, *value);
    }
    dict
}

fn matched(context: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let pattern = context.heap.as_pattern(args[0]).unwrap().clone();
    let Some(text) = context.heap.as_str(args[1]).map(str::to_owned) else {
        return Ok(Value::Bool(false));
    };
    Ok(match pattern.find(&text).map_err(Raise::new)? {
        Match::No => Value::Bool(false),
        Match::Yes => Value::Bool(true),
        Match::Found(found) => {
            let position = |byte: usize| Value::Int(text[..byte].chars().count() as i64);
            let group = context.heap.str(&text[found.start..found.end]);
            let groups: Vec<Value> = found
                .groups
                .iter()
                .map(|group| {
                    group.map_or(Value::Null, |(start, end)| context.heap.str(&text[start..end]))
                })
                .collect();
            let named: Vec<(&str, Value)> = found
                .names
                .iter()
                .map(|(name, index)| (name.as_str(), groups[index - 1]))
                .collect();
            let names = dict(context, &named);
            let groups = context.heap.array(groups);
            dict(
                context,
                &[
                    ("group", group),
                    ("groups", groups),
                    ("groupdict", names),
                    ("start", position(found.start)),
                    ("end", position(found.end)),
                ],
            )
        }
    })
}

pub(super) fn table() -> Builtins {
    let mut table = Builtins::new();
    table
        .function(Builtin {
            name: "length",
            parameters: &[required!("obj")],
            body: |context, args| {
                let heap = &context.heap;
                let count = heap
                    .as_array(args[0])
                    .map(<[Value]>::len)
                    .or_else(|| heap.as_text(args[0]).map(|text| text.chars()))
                    .or_else(|| heap.as_dict(args[0]).map(|dict| dict.len()));
                count
                    .map(|count| Value::Int(count as i64))
                    .ok_or_else(|| Raise::argument("length", "obj", args[0]))
            },
        })
        .function(Builtin {
            name: "string",
            parameters: &[required!("obj")],
            body: |context, args| {
                let text = context.heap.text(context.host, args[0])?;
                Ok(context.heap.str(text))
            },
        })
        .function(Builtin {
            name: "int",
            parameters: &[Parameter { name: "x", default: Default::Int(0) }],
            body: |context, args| match context.heap.as_str(args[0]) {
                Some(text) => Ok(Value::Int(
                    text.trim().parse().map_err(|_| Raise::convert(text, Type::Integer))?,
                )),
                None => Ok(args[0]),
            },
        })
        .function(Builtin {
            name: "channel",
            parameters: &[],
            body: |context, _| Ok(context.host.new_queue().into()),
        })
        .method(
            Type::Array,
            Builtin {
                name: "add_item",
                parameters: &[required!("value")],
                body: |context, args| {
                    context.heap.push(args[0], args[1]);
                    Ok(Value::Null)
                },
            },
        )
        .method(
            Type::Array,
            Builtin {
                name: "pop_item",
                parameters: &[],
                body: |context, args| {
                    let length = context.heap.as_array(args[0]).unwrap_or_default().len();
                    let last = length
                        .checked_sub(1)
                        .ok_or_else(|| Raise::new("array index out of range: -1"))?;
                    Ok(context.heap.remove(args[0], last).unwrap_or_default())
                },
            },
        )
        .method(
            Type::Dictionary,
            Builtin {
                name: "get_item",
                parameters: &[
                    required!("key"),
                    Parameter { name: "default", default: Default::Null },
                ],
                body: |context, args| {
                    Ok(context.heap.dict_get(args[0], args[1])?.unwrap_or(args[2]))
                },
            },
        )
        .method(
            Type::Dictionary,
            Builtin {
                name: "get_keys",
                parameters: &[],
                body: |context, args| {
                    let keys =
                        context.heap.as_dict(args[0]).unwrap().iter().map(|(key, _)| key).collect();
                    Ok(context.heap.array(keys))
                },
            },
        )
        .method(
            Type::Pattern,
            Builtin { name: "match", parameters: &[required!("s")], body: matched },
        );
    table
}
