//! Arguments as the bodies of built-ins want them.

use crate::engine::vm::{Context, Raise, Value};

/// A built-in's name and the name of the parameter that is looked at; both for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub(super) &'static str, pub(super) &'static str);

impl At {
    pub(super) fn wrong<T>(self, value: Value) -> Result<T, Raise> {
        Err(Raise::argument(self.0, self.1, value))
    }
}

/// Text; a copy, because the heap is needed for the result.
pub(super) fn text(ctx: &Context<'_>, at: At, value: Value) -> Result<String, Raise> {
    match ctx.heap.as_str(value) {
        Some(text) => Ok(text.to_owned()),
        None => at.wrong(value),
    }
}

/// Text, or `None` for null and what was left out.
pub(super) fn text_or_null(
    ctx: &Context<'_>,
    at: At,
    value: Value,
) -> Result<Option<String>, Raise> {
    match value {
        Value::Null | Value::Absent => Ok(None),
        _ => text(ctx, at, value).map(Some),
    }
}

/// An Integer; one beyond 64 bits becomes the nearest that fits, which is as good for a position.
pub(super) fn whole(ctx: &Context<'_>, at: At, value: Value) -> Result<i64, Raise> {
    match value {
        Value::Int(number) => Ok(number),
        Value::Big(_) => {
            let negative = ctx.heap.as_integer(value).is_some_and(|number| number < 0.into());
            Ok(if negative { i64::MIN } else { i64::MAX })
        }
        _ => at.wrong(value),
    }
}

/// An Integer, or `None` for null and what was left out.
pub(super) fn whole_or_null(ctx: &Context<'_>, at: At, value: Value) -> Result<Option<i64>, Raise> {
    match value {
        Value::Null | Value::Absent => Ok(None),
        _ => whole(ctx, at, value).map(Some),
    }
}

/// The place an index means in a list of that length; negative ones count from the end.
pub(super) fn place(length: usize, index: i64) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let place = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(place).ok().filter(|_| place < length)
}

/// The part of a list of that length from `start` up to `end`, as slices count; `None` if the part
/// begins behind its end.
pub(super) fn part(length: usize, start: Option<i64>, end: Option<i64>) -> Option<(usize, usize)> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { index.saturating_add(length).max(0) } else { index };
    let (start, end) = (start.map_or(0, place), end.map_or(length, place).min(length));
    (start <= end).then(|| {
        (usize::try_from(start).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or(usize::MAX))
    })
}

/// An Array of Strings.
pub(super) fn strings(ctx: &mut Context<'_>, items: impl IntoIterator<Item = String>) -> Value {
    let items = items.into_iter().map(|item| ctx.heap.str(item)).collect();
    ctx.heap.array(items)
}

/// How a value is shown in a message.
pub(super) fn shown(ctx: &mut Context<'_>, value: Value) -> String {
    ctx.heap.text(ctx.host, value).unwrap_or_else(|_| value.kind().name().to_owned())
}
