//! JSON (rule: language/json).

use std::fmt::Write as _;

use super::argument::{At, shown};
use super::{Functions, raise};
use crate::engine::vm::{Context, Raise, Value};

mod read;

pub(super) const FUNCTIONS: Functions = &[("json_parse", parse), ("json_dump", dump)];

/// Deepest nesting that is read or written.
const NESTING_MAX: usize = 500;
/// Widest indentation of one level.
const INDENT_MAX: usize = 1_000;

fn parse(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let at = At("json_parse", "data");
    let text = match args[0] {
        Value::Str(_) => ctx.heap.as_str(args[0]).unwrap_or_default().to_owned(),
        Value::Bytes(_) => {
            let bytes = ctx.heap.as_bytes(args[0]).unwrap_or_default();
            match std::str::from_utf8(bytes) {
                Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
                Err(_) => return raise("invalid JSON: the data is not UTF-8"),
            }
        }
        other => return at.wrong(other),
    };
    let strict = ctx.heap.truth(args[1]);
    read::read(ctx, &text, strict)
}

/// How a value is written.
struct Writer {
    out: String,
    ascii: bool,
    /// What one level is indented by; `None` for all in one line.
    indent: Option<String>,
}

fn dump(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let indent = match args[2] {
        Value::Null | Value::Absent => None,
        Value::Int(count) => Some(" ".repeat(usize::try_from(count).unwrap_or(0).min(INDENT_MAX))),
        Value::Str(_) => {
            let text = ctx.heap.as_str(args[2]).unwrap_or_default();
            Some(text.chars().take(INDENT_MAX).collect())
        }
        other => return At("json_dump", "indent").wrong(other),
    };
    let mut writer = Writer { out: String::new(), ascii: ctx.heap.truth(args[1]), indent };
    writer.value(ctx, args[0], 0)?;
    Ok(ctx.heap.str(writer.out))
}

impl Writer {
    fn value(&mut self, ctx: &mut Context<'_>, value: Value, depth: usize) -> Result<(), Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        ctx.heap.reserve(self.out.len())?;
        match value {
            Value::Null | Value::Absent => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if truth { "true" } else { "false" }),
            Value::Int(number) => {
                let _ = write!(self.out, "{number}");
            }
            Value::Big(_) => {
                let _ = write!(self.out, "{}", ctx.heap.as_integer(value).unwrap_or_default());
            }
            Value::Float(number) if number.is_nan() => self.out.push_str("NaN"),
            Value::Float(number) if number.is_infinite() => {
                self.out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Value::Float(number) => self.out.push_str(&crate::engine::vm::text::float(number)),
            Value::Str(_) => {
                let text = ctx.heap.as_str(value).unwrap_or_default();
                self.quote(text);
            }
            Value::Datetime(_) => {
                let text = ctx
                    .heap
                    .as_datetime(value)
                    .map(super::date::iso_with_offset)
                    .unwrap_or_default();
                self.quote(&text);
            }
            Value::Date(_) | Value::Time(_) | Value::Ref(..) => {
                let text = shown(ctx, value);
                self.quote(&text);
            }
            #[expect(clippy::cast_precision_loss, reason = "seconds as a Float are meant")]
            Value::Timedelta(micros) => {
                self.out.push_str(&crate::engine::vm::text::float(micros as f64 / 1e6));
            }
            Value::Lazy(_) => {
                let all = ctx.heap.elements(ctx.host, value)?;
                self.value(ctx, all, depth + 1)?;
            }
            Value::Array(_) => {
                let items = ctx.heap.as_array(value).unwrap_or_default().to_vec();
                self.list('[', ']', items.len(), depth, |writer, index| {
                    writer.value(ctx, items[index], depth + 1)
                })?;
            }
            Value::Dict(_) => {
                let entries: Vec<_> =
                    ctx.heap.as_dict(value).map(|dict| dict.iter().collect()).unwrap_or_default();
                self.list('{', '}', entries.len(), depth, |writer, index| {
                    let (key, value) = entries[index];
                    let key = shown(ctx, key);
                    writer.quote(&key);
                    writer.out.push_str(": ");
                    writer.value(ctx, value, depth + 1)
                })?;
            }
            Value::Bytes(_) | Value::Pattern(_) | Value::File(_) | Value::Function(_) => {
                return raise(format!("'{}' cannot be written as JSON", value.kind().name()));
            }
        }
        Ok(())
    }

    fn list(
        &mut self,
        open: char,
        close: char,
        count: usize,
        depth: usize,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), Raise>,
    ) -> Result<(), Raise> {
        self.out.push(open);
        for index in 0..count {
            if index > 0 {
                self.out.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            self.line(depth + 1);
            item(self, index)?;
        }
        if count > 0 {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            for _ in 0..depth {
                self.out.push_str(indent);
            }
        }
    }

    fn quote(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) => {
                    for word in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.out, "\\u{word:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}
