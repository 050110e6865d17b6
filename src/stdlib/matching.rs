//! Patterns.

use super::Methods;
use crate::engine::vm::dict::Dict;
use crate::engine::vm::{Context, Raise, Type, Value};
use crate::lang::ast::PatternKind;
use crate::lang::pattern::Match;

pub(super) const METHODS: Methods = &[(Type::Pattern, "match", find)];

/// False, true, or what a regular expression found; an exact pattern compares the text of any value.
fn find(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let Some(pattern) = ctx.heap.as_pattern(args[0]).cloned() else {
        return Ok(Value::Bool(false));
    };
    let subject = match (ctx.heap.as_str(args[1]), pattern.kind()) {
        (Some(text), _) => text.to_owned(),
        (None, PatternKind::Exact) => ctx.heap.text(ctx.host, args[1])?,
        (None, PatternKind::Regex | PatternKind::Glob) => return Ok(Value::Bool(false)),
    };
    let found = match pattern
        .find(&subject)
        .map_err(|reason| Raise::new(format!("invalid pattern: {reason}")))?
    {
        Match::No => return Ok(Value::Bool(false)),
        Match::Yes => return Ok(Value::Bool(true)),
        Match::Found(found) => found,
    };
    let part = |span: Option<(usize, usize)>| span.and_then(|(start, end)| subject.get(start..end));
    let position = |byte: usize| {
        let before = subject.get(..byte).unwrap_or_default();
        Value::Int(i64::try_from(before.chars().count()).unwrap_or(i64::MAX))
    };
    let text =
        |ctx: &mut Context<'_>, span| part(span).map_or(Value::Null, |text| ctx.heap.str(text));
    let groups: Vec<Value> = found.groups.iter().map(|span| text(ctx, *span)).collect();
    let names = ctx.heap.dict(Dict::new());
    for (name, index) in &found.names {
        let span =
            index.checked_sub(1).and_then(|index| found.groups.get(index)).copied().flatten();
        let value = text(ctx, span);
        ctx.heap.dict_set_str(names, name, value);
    }
    let (start, end) = (position(found.start), position(found.end));
    let whole = text(ctx, Some((found.start, found.end)));
    let groups = ctx.heap.array(groups);
    let result = ctx.heap.dict(Dict::new());
    for (name, value) in
        [("group", whole), ("groups", groups), ("groupdict", names), ("start", start), ("end", end)]
    {
        ctx.heap.dict_set_str(result, name, value);
    }
    Ok(result)
}
