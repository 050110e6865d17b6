//! `'…{name}…'.format(…)` (rule: language/format-method).

use super::super::argument::shown;
use super::super::raise;
use super::number;
use super::spec::{Align, Spec, invalid};
use crate::engine::vm::builtin::missing;
use crate::engine::vm::{Context, Raise, Value};

/// Blanks inside the format of a blank; deeper ones are errors.
const DEPTH_MAX: usize = 1;

pub(super) fn format(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let template = ctx.heap.as_str(args[0]).unwrap_or_default().to_owned();
    let mut filler = Filler { positional: args[1], named: args[2], next: Next::Unknown };
    let made = filler.fill(ctx, &template, 0)?;
    Ok(ctx.heap.str(made))
}

/// Whether blanks are numbered by their order or by the author.
#[derive(Debug, Clone, Copy)]
enum Next {
    Unknown,
    Order(usize),
    Author,
}

struct Filler {
    positional: Value,
    named: Value,
    next: Next,
}

impl Filler {
    fn fill(
        &mut self,
        ctx: &mut Context<'_>,
        template: &str,
        depth: usize,
    ) -> Result<String, Raise> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, behind) = rest.split_at(at);
            out.push_str(before);
            if let Some(tail) = behind.strip_prefix("{{") {
                out.push('{');
                rest = tail;
            } else if let Some(tail) = behind.strip_prefix("}}") {
                out.push('}');
                rest = tail;
            } else if let Some(inner) = behind.strip_prefix('{') {
                let end = closing(inner).ok_or_else(|| Raise::new("unclosed '{' in format"))?;
                let (blank, tail) = inner.split_at(end);
                out.push_str(&self.blank(ctx, blank, depth)?);
                rest = tail.strip_prefix('}').unwrap_or_default();
            } else {
                return raise("single '}' in format");
            }
            ctx.heap.reserve(out.len())?;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn blank(&mut self, ctx: &mut Context<'_>, blank: &str, depth: usize) -> Result<String, Raise> {
        let (name, spec) = blank.split_once(':').unwrap_or((blank, ""));
        let value = self.value(ctx, name)?;
        let spec = if spec.contains(['{', '}']) {
            if depth >= DEPTH_MAX {
                return invalid(blank);
            }
            self.fill(ctx, spec, depth + 1)?
        } else {
            spec.to_owned()
        };
        set(ctx, value, &spec)
    }

    /// The value of `0`, `name`, `0.attribute`, `name[key]`, or of the next one.
    fn value(&mut self, ctx: &mut Context<'_>, path: &str) -> Result<Value, Raise> {
        let (head, mut rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
        let number = match (head, self.next) {
            ("", Next::Author) => return raise("format mixes numbered and plain blanks"),
            ("", Next::Unknown) => Some(0),
            ("", Next::Order(next)) => Some(next),
            (digits, next) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                if matches!(next, Next::Order(_)) {
                    return raise("format mixes numbered and plain blanks");
                }
                self.next = Next::Author;
                Some(digits.parse().unwrap_or(usize::MAX))
            }
            _ => None,
        };
        if head.is_empty() {
            self.next = Next::Order(number.unwrap_or(0) + 1);
        }
        let found = match number {
            Some(index) => {
                ctx.heap.as_array(self.positional).and_then(|all| all.get(index)).copied()
            }
            None => ctx.heap.dict_get_str(self.named, head),
        };
        let name = number.map_or_else(|| head.to_owned(), |index| index.to_string());
        let mut value = found.ok_or_else(|| missing("format", &name))?;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let Some((key, tail)) = inner.split_once(']') else { return invalid(path) };
                value = element(ctx, value, key)?;
                rest = tail;
            } else {
                let inner = rest
                    .strip_prefix('.')
                    .ok_or_else(|| Raise::new(format!("invalid format: {path}")))?;
                let (name, tail) = inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()));
                value = attribute(ctx, value, name)?;
                rest = tail;
            }
        }
        Ok(value)
    }
}

/// Where the brace that is open closes, braces inside apart.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn element(ctx: &mut Context<'_>, of: Value, key: &str) -> Result<Value, Raise> {
    let number = key.parse::<i64>().ok().filter(|_| key.bytes().all(|byte| byte.is_ascii_digit()));
    let found = match of {
        Value::Array(_) => {
            let Some(index) = number else { return invalid(key) };
            let found = ctx
                .heap
                .as_array(of)
                .and_then(|all| all.get(usize::try_from(index).ok()?))
                .copied();
            return found.ok_or_else(|| Raise::new(format!("array index out of range: {index}")));
        }
        Value::Dict(_) => match number.map(|number| ctx.heap.dict_get(of, Value::Int(number))) {
            Some(Ok(Some(found))) => Some(found),
            _ => ctx.heap.dict_get_str(of, key),
        },
        Value::Ref(..) => match of.handle() {
            Some(handle) => Some(ctx.host.field(ctx.heap, handle, key)?),
            None => None,
        },
        other => return raise(format!("'{}' is not subscriptable", other.kind().name())),
    };
    found.ok_or_else(|| Raise::new(format!("key not found: {key}")))
}

fn attribute(ctx: &mut Context<'_>, of: Value, name: &str) -> Result<Value, Raise> {
    if let Some(handle) = of.handle() {
        return ctx.host.attribute(ctx.heap, handle, name);
    }
    if let Some(found) = ctx.heap.dict_get_str(of, name) {
        return Ok(found);
    }
    match ctx.builtins.find_property(of.kind(), name) {
        Some(property) => property(ctx, of),
        None => Err(Raise::attribute(name)),
    }
}

/// One value as its format says.
fn set(ctx: &mut Context<'_>, value: Value, format: &str) -> Result<String, Raise> {
    if format.is_empty() {
        return Ok(match value {
            Value::Str(_) => ctx.heap.as_str(value).unwrap_or_default().to_owned(),
            _ => shown(ctx, value),
        });
    }
    let spec = Spec::parse(format)?;
    match value {
        Value::Int(_) | Value::Big(_) => {
            let number = ctx.heap.as_integer(value).unwrap_or_default();
            number::integer(&number, &spec, format)
        }
        Value::Float(number) => number::float(number, &spec, format),
        _ => {
            if !matches!(spec.kind, None | Some('s'))
                || spec.group.is_some()
                || spec.other_form
                || spec.align == Some(Align::Sign) && spec.fill != Some('0')
            {
                return invalid(format);
            }
            let text = shown(ctx, value);
            let text: String = match spec.precision {
                Some(most) => text.chars().take(most).collect(),
                None => text,
            };
            let spec = Spec { align: spec.align.filter(|align| *align != Align::Sign), ..spec };
            Ok(spec.pad(&text, 0, Align::Left))
        }
    }
}
