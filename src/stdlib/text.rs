//! Methods of String. Positions are code points.

use super::Methods;
use super::argument::{At, part, strings, text, text_or_null, whole_or_null};
use super::raise;
use crate::engine::vm::{Context, Raise, Type, Value};

mod fill;
mod number;
mod spec;

pub(super) const METHODS: Methods = &[
    (Type::String, "format", fill::format),
    (Type::String, "join", join),
    (Type::String, "find", find),
    (Type::String, "rfind", rfind),
    (Type::String, "startswith", startswith),
    (Type::String, "endswith", endswith),
    (Type::String, "lower", lower),
    (Type::String, "upper", upper),
    (Type::String, "replace", replace),
    (Type::String, "split", split),
    (Type::String, "rsplit", rsplit),
    (Type::String, "splitlines", splitlines),
    (Type::String, "strip", strip),
];

/// What one piece of a split text takes in the heap besides its bytes, roughly.
const PIECE_COST: usize = 80;

fn receiver<'h>(ctx: &'h Context<'_>, args: &[Value]) -> &'h str {
    ctx.heap.as_str(args[0]).unwrap_or_default()
}

fn join(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let list = ctx.heap.elements(ctx.host, args[1])?;
    let Some(items) = ctx.heap.as_array(list) else { return At("join", "list").wrong(list) };
    let between = receiver(ctx, args);
    let mut length = between.len().saturating_mul(items.len());
    for item in items {
        let Some(text) = ctx.heap.as_str(*item) else { return At("join", "list").wrong(*item) };
        length = length.saturating_add(text.len());
    }
    ctx.heap.reserve(length)?;
    let mut joined = String::with_capacity(length);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(between);
        }
        joined.push_str(ctx.heap.as_str(*item).unwrap_or_default());
    }
    Ok(ctx.heap.str(joined))
}

/// The part of the receiver that `start` and `end` (the third and fourth argument) mean, with the
/// code points before it; `None` if it begins behind its end.
fn region<'h>(
    ctx: &'h Context<'_>,
    name: &'static str,
    args: &[Value],
) -> Result<Option<(&'h str, usize)>, Raise> {
    let start = whole_or_null(ctx, At(name, "start"), args[2])?;
    let end = whole_or_null(ctx, At(name, "end"), args[3])?;
    let Some(held) = ctx.heap.as_text(args[0]) else { return Ok(None) };
    Ok(part(held.chars(), start, end).map(|(start, end)| {
        let text = held.as_str().get(held.byte_of(start)..held.byte_of(end)).unwrap_or_default();
        (text, start)
    }))
}

fn position(before: usize, text: &str, byte: Option<usize>) -> Value {
    let chars = byte.and_then(|byte| text.get(..byte)).map(|text| before + text.chars().count());
    Value::Int(chars.and_then(|chars| i64::try_from(chars).ok()).unwrap_or(-1))
}

fn find(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let wanted = text(ctx, At("find", "sub"), args[1])?;
    Ok(match region(ctx, "find", args)? {
        Some((text, before)) => position(before, text, text.find(&wanted)),
        None => Value::Int(-1),
    })
}

fn rfind(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let wanted = text(ctx, At("rfind", "sub"), args[1])?;
    Ok(match region(ctx, "rfind", args)? {
        Some((text, before)) => position(before, text, text.rfind(&wanted)),
        None => Value::Int(-1),
    })
}

/// One text or an Array of them.
fn choices(ctx: &Context<'_>, at: At, value: Value) -> Result<Vec<String>, Raise> {
    match ctx.heap.as_array(value) {
        Some(items) => items.iter().map(|item| text(ctx, at, *item)).collect(),
        None => text(ctx, at, value).map(|one| vec![one]),
    }
}

fn startswith(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let choices = choices(ctx, At("startswith", "prefix"), args[1])?;
    let found = region(ctx, "startswith", args)?;
    let fits = |text: &str| choices.iter().any(|choice| text.starts_with(choice.as_str()));
    Ok(Value::Bool(found.is_some_and(|(text, _)| fits(text))))
}

fn endswith(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let choices = choices(ctx, At("endswith", "suffix"), args[1])?;
    let found = region(ctx, "endswith", args)?;
    let fits = |text: &str| choices.iter().any(|choice| text.ends_with(choice.as_str()));
    Ok(Value::Bool(found.is_some_and(|(text, _)| fits(text))))
}

fn lower(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let made = receiver(ctx, args).to_lowercase();
    Ok(ctx.heap.str(made))
}

fn upper(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let made = receiver(ctx, args).to_uppercase();
    Ok(ctx.heap.str(made))
}

fn replace(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let old = text(ctx, At("replace", "old"), args[1])?;
    let new = text(ctx, At("replace", "new"), args[2])?;
    let count = whole_or_null(ctx, At("replace", "count"), args[3])?;
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let held = receiver(ctx, args);
    let found = held.matches(old.as_str()).take(most).count();
    ctx.heap.reserve(held.len().saturating_add(found.saturating_mul(new.len())))?;
    let made = held.replacen(old.as_str(), &new, most);
    Ok(ctx.heap.str(made))
}

/// What separates words: white space as Python counts it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Separator and greatest number of cuts.
fn cuts(
    ctx: &Context<'_>,
    name: &'static str,
    args: &[Value],
) -> Result<(Option<String>, usize), Raise> {
    let separator = text_or_null(ctx, At(name, "sep"), args[1])?;
    if separator.as_deref() == Some("") {
        return raise("empty separator");
    }
    let most = whole_or_null(ctx, At(name, "maxsplit"), args[2])?;
    Ok((separator, most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)))
}

fn pieces(ctx: &mut Context<'_>, pieces: Vec<String>) -> Result<Value, Raise> {
    ctx.heap.reserve(pieces.len().saturating_mul(PIECE_COST))?;
    Ok(strings(ctx, pieces))
}

fn split(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let (separator, most) = cuts(ctx, "split", args)?;
    let held = receiver(ctx, args);
    let made = match separator {
        Some(separator) => {
            held.splitn(most.saturating_add(1), separator.as_str()).map(str::to_owned).collect()
        }
        None => {
            let mut made = Vec::new();
            let mut rest = held.trim_start_matches(is_space);
            while !rest.is_empty() {
                if made.len() == most {
                    made.push(rest.to_owned());
                    break;
                }
                let (word, behind) = rest.split_at(rest.find(is_space).unwrap_or(rest.len()));
                made.push(word.to_owned());
                rest = behind.trim_start_matches(is_space);
            }
            made
        }
    };
    pieces(ctx, made)
}

fn rsplit(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let (separator, most) = cuts(ctx, "rsplit", args)?;
    let held = receiver(ctx, args);
    let mut made: Vec<String> = match separator {
        Some(separator) => {
            held.rsplitn(most.saturating_add(1), separator.as_str()).map(str::to_owned).collect()
        }
        None => {
            let mut made = Vec::new();
            let mut rest = held.trim_end_matches(is_space);
            while !rest.is_empty() {
                if made.len() == most {
                    made.push(rest.to_owned());
                    break;
                }
                let start = rest.char_indices().rev().find(|(_, c)| is_space(*c));
                let (before, word) = rest.split_at(start.map_or(0, |(at, c)| at + c.len_utf8()));
                made.push(word.to_owned());
                rest = before.trim_end_matches(is_space);
            }
            made
        }
    };
    made.reverse();
    pieces(ctx, made)
}

fn splitlines(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let keep = ctx.heap.truth(args[1]);
    let mut made = Vec::new();
    let mut rest = receiver(ctx, args);
    while !rest.is_empty() {
        let end = rest.find(is_line_end).unwrap_or(rest.len());
        let behind = rest.get(end..).unwrap_or_default();
        let mark = if behind.starts_with("\r\n") {
            2
        } else {
            behind.chars().next().map_or(0, char::len_utf8)
        };
        let (line, next) = rest.split_at(end + mark);
        made.push(if keep { line } else { rest.get(..end).unwrap_or_default() }.to_owned());
        rest = next;
    }
    pieces(ctx, made)
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn strip(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let chars = text_or_null(ctx, At("strip", "chars"), args[1])?;
    let held = receiver(ctx, args);
    let made = match chars {
        Some(chars) => held.trim_matches(|c| chars.contains(c)).to_owned(),
        None => held.trim_matches(is_space).to_owned(),
    };
    Ok(ctx.heap.str(made))
}
