//! Mails taken apart (rule: language/mail).

use super::argument::At;
use super::codec;
use super::{Functions, raise};
use crate::engine::vm::dict::Dict;
use crate::engine::vm::{Context, Raise, Value};

mod header;
mod transfer;

pub(super) const FUNCTIONS: Functions = &[("mail_parse", mail_parse)];

/// Deepest nesting of parts, and most parts of one mail.
const NESTING_MAX: usize = 32;
const PARTS_MAX: usize = 1_000;

fn mail_parse(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let data = match args[0] {
        Value::Str(_) => ctx.heap.as_str(args[0]).unwrap_or_default().as_bytes().to_vec(),
        Value::Bytes(_) => ctx.heap.as_bytes(args[0]).unwrap_or_default().to_vec(),
        other => return At("mail_parse", "data").wrong(other),
    };
    // Parts, decoded, are no larger than the mail.
    ctx.heap.reserve(data.len().saturating_mul(2))?;
    let mut count = 0;
    part(ctx, &data, 0, &mut count)
}

fn part(
    ctx: &mut Context<'_>,
    data: &[u8],
    depth: usize,
    count: &mut usize,
) -> Result<Value, Raise> {
    *count += 1;
    if depth > NESTING_MAX || *count > PARTS_MAX {
        return raise("the mail has too many parts");
    }
    let (headers, body) = header::read(data);
    let get = |name: &str| {
        let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let kind = header::Parameters::read(get("Content-Type"));
    let disposition = header::Parameters::read(get("Content-Disposition"));
    let name = disposition.get("filename").or_else(|| kind.get("name"));
    let name = name.map(|name| header::decode_words(&name));
    let encoding = get("Content-Transfer-Encoding").trim().to_ascii_lowercase();
    let boundary = kind.get("boundary").filter(|_| kind.value.starts_with("multipart/"));

    let dict = ctx.heap.dict(Dict::new());
    for (name, value) in &headers {
        if ctx.heap.dict_get_str(dict, name).is_none() {
            let value = ctx.heap.str(header::decode_words(value));
            ctx.heap.dict_set_str(dict, name, value);
        }
    }
    let content = match &boundary {
        Some(boundary) => {
            let mut parts = Vec::new();
            for piece in transfer::pieces(body, boundary) {
                parts.push(part(ctx, piece, depth + 1, count)?);
            }
            ctx.heap.array(parts)
        }
        None => {
            let bytes = transfer::decode(body, &encoding);
            let plain = matches!(kind.value.as_str(), "" | "text/plain");
            let attached = disposition.value == "attachment";
            let charset = kind.get("charset").unwrap_or_else(|| "utf-8".to_owned());
            match codec::decode(&bytes, &charset) {
                Ok(text) if plain && !attached => ctx.heap.str(text),
                _ => ctx.heap.binary(bytes),
            }
        }
    };
    let name = name.map_or(Value::Null, |name| ctx.heap.str(name));
    ctx.heap.dict_set_str(dict, "Body", content);
    ctx.heap.dict_set_str(dict, "Filename", name);
    ctx.heap.dict_set_str(dict, "Is-Multipart", Value::Bool(boundary.is_some()));
    Ok(dict)
}
