//! Conversion of single values, one function per kind of field (rule: `objects/conversion`).

use jiff::{Timestamp, Zoned};
use num_bigint::BigInt;

use super::super::check::brief;
use super::super::{Context, Source, check, time};
use crate::error::Message;
use crate::field::{Elem, Qualifiers};
use crate::message;
use crate::record::{Attachment, Carrier, base64_bytes};
use crate::value::Value;

fn wrong(wanted: Elem, found: &Value) -> Message {
    message!("field.wrong_kind", wanted = wanted.name(), found = found.type_name())
}

/// The text that stands for a plain value (rule: `objects/conversion`); none for containers,
/// references, attachments and bytes.
fn string_form(value: &Value, now: &Zoned) -> Option<String> {
    Some(match value {
        Value::Str(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Big(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Datetime(at) => local_text(*at, now),
        Value::Date(date) => time::date_text(*date),
        Value::Time(at) => time::time_text(*at),
        _ => return None,
    })
}

/// `2031-07-04T09:05:00+09:00`, in the zone of the server.
fn local_text(at: Timestamp, now: &Zoned) -> String {
    let here = at.to_zoned(now.time_zone().clone());
    let offset = here.offset().seconds();
    let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    let (date, clock) = (time::date_text(here.date()), time::time_text(here.time()));
    format!("{date}T{clock}{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60)
}

pub(super) fn text(value: Value, said: &Qualifiers, now: &Zoned) -> Result<String, Message> {
    let text = match value {
        Value::Str(text) => text,
        other => string_form(&other, now).ok_or_else(|| wrong(Elem::String, &other))?,
    };
    Ok(if said.strip && text.trim().len() < text.len() { text.trim().to_owned() } else { text })
}

pub(super) fn lower_scheme(text: String) -> String {
    match check::scheme(&text) {
        Some(scheme) if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            let rest = text.get(scheme.len()..).unwrap_or_default();
            format!("{}{rest}", scheme.to_ascii_lowercase())
        }
        _ => text,
    }
}

pub(super) fn password(
    at: &str,
    value: Value,
    said: &Qualifiers,
    ctx: &mut Context<'_>,
) -> Result<Value, Message> {
    let (clear, verbatim) = match value {
        sealed @ Value::Sealed(_) => return Ok(sealed),
        Value::Dict(dict) if ctx.source == Source::Record => match dict.get("plain") {
            Some(Value::Str(plain)) => (plain.clone(), true),
            _ => return Err(wrong(Elem::Password, &Value::Dict(dict))),
        },
        other => (text(other, said, ctx.now)?, ctx.source != Source::Record),
    };
    if clear.is_empty() {
        return Ok(Value::Str(clear));
    }
    ctx.outside.password(at, &clear, verbatim)
}

pub(super) fn binary(value: Value, source: Source) -> Result<Value, Message> {
    match (value, source) {
        (bytes @ Value::Bytes(_), _) => Ok(bytes),
        (Value::Str(text), Source::Language) => Ok(Value::Bytes(text.into_bytes())),
        (Value::Str(text), Source::Json | Source::Record) => {
            let not = || message!("field.not_base64", text = brief(&text));
            base64_bytes(&text).map(Value::Bytes).ok_or_else(not)
        }
        (Value::Str(text), Source::Form) => {
            let not = || message!("field.not_hex", text = brief(&text));
            hex(&text).map(Value::Bytes).ok_or_else(not)
        }
        (other, _) => Err(wrong(Elem::Binary, &other)),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}

/// One past the largest 64-bit integer.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

pub(super) fn integer(value: Value) -> Result<Value, Message> {
    let not = |text: &str| message!("field.not_an_integer", text = brief(text));
    let beyond = |text: String| message!("field.out_of_range", number = brief(&text));
    let fit = |number: &BigInt| {
        i64::try_from(number).map(Value::Int).map_err(|_| beyond(number.to_string()))
    };
    match value {
        Value::Int(number) => Ok(Value::Int(number)),
        Value::Bool(truth) => Ok(Value::Int(i64::from(truth))),
        Value::Big(number) => fit(&number),
        Value::Float(number) => {
            // 2^63 and beyond do not fit, and every float past 2^53 has no fraction. -2^63 as a float
            // may be a smaller integer that a reader of JSON has rounded.
            if number.fract() != 0.0 || !number.is_finite() {
                Err(not(&number.to_string()))
            } else if number.abs() < TWO_TO_63 {
                Ok(Value::Int(number as i64))
            } else {
                Err(beyond(format!("{number:e}")))
            }
        }
        Value::Str(text) => match text.trim() {
            "" => Ok(Value::Null),
            // Longer than any 64-bit number: do not build a big one to find out.
            digits if digits.len() > 40 => Err(not(digits)),
            digits => fit(&digits.parse::<BigInt>().map_err(|_| not(digits))?),
        },
        other => Err(wrong(Elem::Integer, &other)),
    }
}

pub(super) fn float(value: Value) -> Result<Value, Message> {
    let not = |text: &str| message!("field.not_a_number", text = brief(text));
    let number = match value {
        Value::Float(number) => number,
        Value::Int(number) => number as f64,
        Value::Bool(truth) => f64::from(u8::from(truth)),
        Value::Big(number) => {
            let text = number.to_string();
            text.parse().map_err(|_| not(&text))?
        }
        Value::Str(text) => match text.trim() {
            "" => return Ok(Value::Null),
            digits if digits.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                digits.parse().map_err(|_| not(digits))?
            }
            other => return Err(not(other)),
        },
        other => return Err(wrong(Elem::Float, &other)),
    };
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(message!("field.not_finite")) }
}

/// Whether a value counts as true (rule: `objects/conversion`).
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Int(number) => *number != 0,
        Value::Big(number) => *number != BigInt::ZERO,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Dict(dict) => !dict.is_empty(),
        Value::Timedelta(span) => !span.is_zero(),
        Value::Sealed(_)
        | Value::Datetime(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Object(_)
        | Value::File(_) => true,
    }
}

pub(super) fn file(at: &str, value: Value, ctx: &mut Context<'_>) -> Result<Value, Message> {
    if matches!(value, Value::File(_)) {
        return Ok(value);
    }
    let mut value = value;
    if let (Source::Language, Value::Dict(dict)) = (ctx.source, &mut value) {
        // In the language text is content, not BASE64.
        if let Some(data) = dict.get_mut("data")
            && let Value::Str(text) = data
        {
            *data = Value::Bytes(std::mem::take(text).into_bytes());
        }
    }
    if let (Source::Json, Value::Dict(dict)) = (ctx.source, &mut value)
        && !dict.contains_key("name")
        && dict.contains_key("data")
        && let Some(name) = ctx.outside.attached_name(at)
    {
        // Data alone replaces the content of what is there.
        dict.insert("name".to_owned(), Value::Str(name));
    }
    let file = Attachment::from_value(&value)?;
    match (&file.carrier, ctx.source) {
        (Carrier::Data(_), _) | (_, Source::Record) => ctx.outside.attachment(at, file),
        // A name alone renames what is there.
        (Carrier::Here, Source::Json) if file.blake3.is_none() => {
            match ctx.outside.attachment(at, file)? {
                Value::Null => Err(message!("file.no_data")),
                renamed => Ok(renamed),
            }
        }
        _ => Err(message!("file.no_data")),
    }
}

pub(super) fn object(value: Value, ctx: &mut Context<'_>) -> Result<Value, Message> {
    match value {
        Value::Object(target) => Ok(Value::Object(target)),
        Value::Str(text) if text.is_empty() => Ok(Value::Null),
        Value::Str(text) => match ctx.outside.reference(&text) {
            Some(target) => Ok(Value::Object(target)),
            None => Err(message!("field.no_such_object", path = text)),
        },
        other => Err(wrong(Elem::Object, &other)),
    }
}

pub(super) fn datetime(value: Value, now: &Zoned) -> Result<Value, Message> {
    match value {
        Value::Datetime(at) => Ok(Value::Datetime(time::to_micros(at))),
        Value::Date(date) => {
            time::instant(date.to_datetime(jiff::civil::Time::midnight()), now.time_zone())
                .map(Value::Datetime)
                .ok_or_else(|| message!("field.not_a_datetime", text = time::date_text(date)))
        }
        Value::Str(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::Str(text) => time::parse_datetime(&text, now.time_zone())
            .map(Value::Datetime)
            .ok_or_else(|| message!("field.not_a_datetime", text = text)),
        other => Err(wrong(Elem::Datetime, &other)),
    }
}

pub(super) fn date(value: Value, now: &Zoned) -> Result<Value, Message> {
    match value {
        Value::Date(date) => Ok(Value::Date(date)),
        Value::Datetime(at) => Ok(Value::Date(at.to_zoned(now.time_zone().clone()).date())),
        Value::Str(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::Str(text) => time::parse_date(&text)
            .map(Value::Date)
            .ok_or_else(|| message!("field.not_a_date", text = text)),
        other => Err(wrong(Elem::Date, &other)),
    }
}

pub(super) fn daytime(value: Value, now: &Zoned) -> Result<Value, Message> {
    match value {
        Value::Time(at) => Ok(Value::Time(at)),
        Value::Datetime(at) => Ok(Value::Time(at.to_zoned(now.time_zone().clone()).time())),
        Value::Str(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::Str(text) => time::parse_time(&text)
            .map(Value::Time)
            .ok_or_else(|| message!("field.not_a_time", text = text)),
        other => Err(wrong(Elem::Time, &other)),
    }
}
