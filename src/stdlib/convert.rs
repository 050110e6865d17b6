//! Conversions between values.

use num_bigint::BigInt;
use num_traits::FromPrimitive as _;

use super::argument::{At, shown, text};
use super::{Functions, raise};
use crate::engine::vm::{Context, Raise, Type, Value};
use crate::lang::ast::PatternKind;
use crate::lang::pattern::Pattern;

pub(super) const FUNCTIONS: Functions =
    &[("int", int), ("float", float), ("string", string), ("type", type_of), ("pattern", pattern)];

/// Most digits of text that becomes an Integer: the work grows with their square.
const DIGITS_MAX: usize = 10_000;

fn int(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let made = match args[0] {
        Value::Int(_) | Value::Big(_) => return Ok(args[0]),
        Value::Float(number) => BigInt::from_f64(number.trunc()),
        Value::Str(_) => {
            let text = ctx.heap.as_str(args[0]).unwrap_or_default().trim();
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let plain = !digits.is_empty()
                && digits.len() <= DIGITS_MAX
                && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { text.parse().ok() } else { None }
        }
        _ => None,
    };
    match made {
        Some(number) => Ok(ctx.heap.integer(number)),
        None => refuse(ctx, args[0], Type::Integer),
    }
}

fn float(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    use num_traits::ToPrimitive as _;
    let made = match args[0] {
        Value::Float(number) => Some(number),
        #[expect(clippy::cast_precision_loss, reason = "the nearest Float is meant")]
        Value::Int(number) => Some(number as f64),
        Value::Big(_) => ctx.heap.as_integer(args[0]).and_then(|number| number.to_f64()),
        Value::Str(_) => parse_float(ctx.heap.as_str(args[0]).unwrap_or_default()),
        _ => None,
    };
    match made {
        Some(number) => Ok(Value::Float(number)),
        None => refuse(ctx, args[0], Type::Float),
    }
}

/// Decimal notation, or `inf`, `infinity`, `nan` in any case.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    text.parse().ok()
}

fn refuse<T>(ctx: &mut Context<'_>, value: Value, wanted: Type) -> Result<T, Raise> {
    let shown = shown(ctx, value);
    Err(Raise::convert(&shown, wanted))
}

fn string(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    if matches!(args[0], Value::Str(_)) {
        return Ok(args[0]);
    }
    let text = ctx.heap.text(ctx.host, args[0])?;
    Ok(ctx.heap.str(text))
}

fn type_of(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    Ok(ctx.heap.str(args[0].kind().name()))
}

fn pattern(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let source = text(ctx, At("pattern", "pattern"), args[0])?;
    let kind = match text(ctx, At("pattern", "typ"), args[1])?.as_str() {
        "r" => PatternKind::Regex,
        "g" => PatternKind::Glob,
        "e" => PatternKind::Exact,
        other => return raise(format!("unknown kind of pattern: {other}")),
    };
    let ignore_case = match text(ctx, At("pattern", "mode"), args[2])?.as_str() {
        "" => false,
        "i" => true,
        other => return raise(format!("unknown mode of pattern: {other}")),
    };
    let made = Pattern::new(kind, source, ignore_case);
    made.check().map_err(|reason| Raise::new(format!("invalid pattern: {reason}")))?;
    Ok(ctx.heap.pattern(made))
}
