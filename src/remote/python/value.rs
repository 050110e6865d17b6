//! Values on their way to Python and back: JSON, with a mark where JSON has no such value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};
use kompira_schema::value::Value;
use num_bigint::BigInt;
use serde_json::{Map, Value as Json, json};

use super::{Call, Failure, MESSAGE_BYTES_MAX};

/// Under which a value that JSON lacks says what it is.
const KIND: &str = "$";

/// The order that a call is.
pub(super) fn order(call: &Call) -> Result<Vec<u8>, Failure> {
    let bytes = order_of(call)
        .and_then(|order| serde_json::to_vec(&order).map_err(|error| error.to_string()))
        .map_err(Failure::Value)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        let told = format!("the arguments are too large: at most {MESSAGE_BYTES_MAX} bytes");
        return Err(Failure::Value(told));
    }
    Ok(bytes)
}

fn order_of(call: &Call) -> Result<Json, String> {
    let positional = call.positional.iter().map(write).collect::<Result<Vec<_>, _>>()?;
    let mut named = Map::new();
    for (name, value) in &call.named {
        named.insert(name.clone(), write(value)?);
    }
    Ok(json!({
        "do": "call",
        "module": call.module,
        "function": call.function,
        "positional": positional,
        "named": marked("dict", Json::Object(named)),
    }))
}

fn marked(kind: &str, value: impl Into<Json>) -> Json {
    json!({KIND: kind, "v": value.into()})
}

fn write(value: &Value) -> Result<Json, String> {
    let unfit = |kind: &str| format!("'{kind}' cannot be given to a library");
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Big(number) => marked("int", number.to_string()),
        Value::Float(number) if number.is_finite() => Json::from(*number),
        Value::Float(number) => marked("float", number.to_string()),
        Value::Str(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => marked("bytes", STANDARD.encode(bytes)),
        Value::Datetime(at) => marked("datetime", at.as_microsecond()),
        Value::Date(date) => marked("date", date.to_string()),
        Value::Time(time) => marked("time", time.to_string()),
        Value::Timedelta(span) => {
            let micros = i64::try_from(span.as_micros()).map_err(|_| unfit("Timedelta"))?;
            marked("timedelta", micros)
        }
        Value::Array(items) => Json::Array(items.iter().map(write).collect::<Result<_, _>>()?),
        Value::Dict(items) => {
            let mut map = Map::new();
            for (key, item) in items {
                map.insert(key.clone(), write(item)?);
            }
            let map = Json::Object(map);
            if items.contains_key(KIND) { marked("dict", map) } else { map }
        }
        Value::Object(_) => return Err(unfit("Object")),
        Value::File(_) => return Err(unfit("File")),
        Value::Sealed(_) => return Err(unfit("Password")),
    })
}

/// The value that Python wrote; a date with a time of day that names no zone is of `zone`.
pub(super) fn read(json: Json, zone: &TimeZone) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Float(number),
            (None, None) => return Err(unfit()),
        },
        Json::String(text) => Value::Str(text),
        Json::Array(items) => {
            let items = items.into_iter().map(|item| read(item, zone));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(mut map) => match map.remove(KIND) {
            None => dict(map, zone)?,
            Some(kind) => special(kind.as_str().unwrap_or_default(), map.remove("v"), zone)?,
        },
    })
}

fn dict(map: Map<String, Json>, zone: &TimeZone) -> Result<Value, String> {
    let items = map.into_iter().map(|(key, item)| Ok((key, read(item, zone)?)));
    items.collect::<Result<_, String>>().map(Value::Dict)
}

/// Digits of an integer, its sign among them.
const INT_DIGITS_MAX: usize = 4300;

fn unfit() -> String {
    "the result is no value of the language".to_owned()
}

fn special(kind: &str, value: Option<Json>, zone: &TimeZone) -> Result<Value, String> {
    let value = value.unwrap_or_default();
    let text = || value.as_str().ok_or_else(unfit);
    let micros = || value.as_i64().ok_or_else(unfit);
    Ok(match kind {
        // To read one takes time by the square of its length; Python has the same bound.
        "int" if text()?.len() > INT_DIGITS_MAX => {
            return Err(format!(
                "an integer of more than {INT_DIGITS_MAX} digits cannot be returned"
            ));
        }
        "int" => Value::Big(text()?.parse::<BigInt>().map_err(|_| unfit())?),
        "float" => Value::Float(text()?.parse().map_err(|_| unfit())?),
        "bytes" => Value::Bytes(STANDARD.decode(text()?).map_err(|_| unfit())?),
        "datetime" => Value::Datetime(Timestamp::from_microsecond(micros()?).map_err(|_| unfit())?),
        "naive" => {
            let at = text()?.parse::<civil::DateTime>().map_err(|_| unfit())?;
            let at = at.to_zoned(zone.clone()).map_err(|_| unfit())?;
            Value::Datetime(at.timestamp())
        }
        "date" => Value::Date(text()?.parse::<civil::Date>().map_err(|_| unfit())?),
        "time" => Value::Time(text()?.parse::<civil::Time>().map_err(|_| unfit())?),
        "timedelta" => Value::Timedelta(SignedDuration::from_micros(micros()?)),
        "dict" => match value {
            Json::Object(map) => dict(map, zone)?,
            _ => return Err(unfit()),
        },
        _ => return Err(unfit()),
    })
}
