//! JSON form of values.

use num_bigint::BigInt;
use serde_json::{Map, Number, Value as Json};

use crate::record::base64_text;
use crate::validate::time;
use crate::value::{Dict, Ref, Value};

/// A value as plain JSON can say it (rule: `objects/json-form`). Numbers past 64 bits become
/// big integers.
#[must_use]
pub fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => number_value(number),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(list) => Value::Array(list.iter().map(to_value).collect()),
        Json::Object(map) => Value::Dict(dict(map)),
    }
}

/// The members of a JSON object as values.
#[must_use]
pub fn dict(map: &Map<String, Json>) -> Dict {
    map.iter().map(|(key, value)| (key.clone(), to_value(value))).collect()
}

fn number_value(number: &Number) -> Value {
    if let Some(int) = number.as_i64() {
        Value::Int(int)
    } else if let Some(int) = number.as_u64() {
        Value::Big(BigInt::from(int))
    } else {
        number.as_f64().map_or(Value::Null, Value::Float)
    }
}

/// JSON of a value (rule: `objects/json-form`): bytes as BASE64, instants in UTC, references as
/// `reference` renders them (null when it answers `None`), sealed Passwords as null, attachments
/// as `{"name", "size", "blake3"}`.
#[must_use]
pub fn from_value(value: &Value, reference: &mut dyn FnMut(Ref) -> Option<String>) -> Json {
    match value {
        Value::Null | Value::Sealed(_) => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        Value::Big(number) => {
            u64::try_from(number).map_or_else(|_| Json::String(number.to_string()), Json::from)
        }
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Str(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(base64_text(bytes)),
        Value::Datetime(at) => Json::String(time::datetime_text(*at)),
        Value::Date(date) => Json::String(time::date_text(*date)),
        Value::Time(at) => Json::String(time::time_text(*at)),
        Value::Timedelta(span) => {
            Number::from_f64(span.as_secs_f64()).map_or(Json::Null, Json::Number)
        }
        Value::Object(target) => reference(*target).map_or(Json::Null, Json::String),
        Value::File(file) => {
            let mut map = Map::new();
            map.insert("name".to_owned(), Json::String(file.name.clone()));
            map.insert("size".to_owned(), Json::from(file.size));
            map.insert("blake3".to_owned(), Json::String(file.hash.to_string()));
            Json::Object(map)
        }
        Value::Array(list) => {
            Json::Array(list.iter().map(|item| from_value(item, reference)).collect())
        }
        Value::Dict(dict) => Json::Object(
            dict.iter().map(|(key, item)| (key.clone(), from_value(item, reference))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BlobHash, ObjectId};
    use crate::value::FileValue;

    // rule: objects/json-form
    #[test]
    fn every_value_has_a_json_form() {
        let file = FileValue { name: "a.bin".to_owned(), size: 0, hash: BlobHash::of(b"") };
        let list = Value::Array(vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(-1),
            Value::Float(1.5),
            Value::Bytes(vec![0, 255]),
            Value::Sealed(vec![1]),
            Value::Datetime("2031-03-05T09:40:12.5Z".parse().unwrap()),
            Value::Date("2031-03-05".parse().unwrap()),
            Value::Time("09:40:12".parse().unwrap()),
            Value::Object(Ref::Object(ObjectId(7))),
            Value::Object(Ref::Object(ObjectId(8))),
            Value::File(file),
            Value::Big("18446744073709551615".parse().unwrap()),
            Value::Big("18446744073709551616".parse().unwrap()),
        ]);
        let mut reference =
            |target| (target == Ref::Object(ObjectId(7))).then(|| "/a/b".to_owned());
        let hash = BlobHash::of(b"").to_string();
        assert_eq!(
            from_value(&list, &mut reference),
            serde_json::json!([
                null, true, -1, 1.5, "AP8=", null, "2031-03-05T09:40:12.500000Z", "2031-03-05",
                "09:40:12", "/a/b", null, {"name": "a.bin", "size": 0, "blake3": hash},
                18_446_744_073_709_551_615_u64, "18446744073709551616",
            ])
        );
    }

    // rule: objects/json-form
    #[test]
    fn json_reads_as_plain_values_in_order() {
        let json = serde_json::json!({"b": [1, 1.5, u64::MAX], "a": {"k": null}});
        let value = to_value(&json);
        let Value::Dict(dict) = &value else { panic!("{value:?}") };
        assert_eq!(dict.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(
            dict["b"],
            Value::Array(vec![1.into(), Value::Float(1.5), Value::Big(u64::MAX.into())])
        );
        assert_eq!(from_value(&value, &mut |_| None), json);
    }
}
