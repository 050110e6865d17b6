//! Values as JSON (rule: http/values).

use jiff::{SignedDuration, Timestamp};
use kompira_schema::error::Fault;
use kompira_schema::value::{FileValue, Ref, Value};
use serde_json::{Map, Number, Value as Json};

use crate::tree::View;

/// Renders a value: references as paths or names, bytes and files as base64. Passwords are the
/// caller's affair; here they are `null`.
///
/// # Errors
/// When an attachment cannot be read.
pub fn to_json(view: &View, value: &Value) -> Result<Json, Fault> {
    Ok(match value {
        Value::Null | Value::Sealed(_) => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Int(number) => Json::from(*number),
        // More digits than JSON readers keep: as text they stay exact.
        Value::Big(number) => Json::from(number.to_string()),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Str(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => Json::from(base64(bytes)),
        Value::Datetime(time) => Json::from(datetime(*time)),
        Value::Date(date) => Json::from(date.to_string()),
        Value::Time(time) => Json::from(clock_time(*time)),
        Value::Timedelta(span) => Json::from(timedelta(*span)),
        Value::Object(reference) => reference_json(view, *reference),
        Value::File(file) => file_json(view, file)?,
        Value::Array(list) => {
            Json::Array(list.iter().map(|value| to_json(view, value)).collect::<Result<_, _>>()?)
        }
        Value::Dict(dict) => {
            let mut map = Map::new();
            for (key, value) in dict {
                map.insert(key.clone(), to_json(view, value)?);
            }
            Json::Object(map)
        }
    })
}

/// As [`to_json`], for a field of references: users and groups stand by path, too, so that what was
/// read can be sent back.
///
/// # Errors
/// When an attachment cannot be read.
pub(super) fn field_json(view: &View, value: &Value) -> Result<Json, Fault> {
    let path = |root: &str, id: u64| Ok(Json::from(format!("{root}/id_{id}")));
    match value {
        Value::Object(Ref::User(id)) if view.user(*id).is_some() => path("/config/user", id.0),
        Value::Object(Ref::Group(id)) if view.group(*id).is_some() => path("/config/group", id.0),
        Value::Array(list) => list.iter().map(|item| field_json(view, item)).collect(),
        Value::Dict(dict) => dict
            .iter()
            .map(|(key, item)| Ok((key.clone(), field_json(view, item)?)))
            .collect::<Result<Map<_, _>, Fault>>()
            .map(Json::Object),
        other => to_json(view, other),
    }
}

fn reference_json(view: &View, reference: Ref) -> Json {
    let text = match reference {
        Ref::Object(id) => return view.path_of(id).map_or(Json::Null, |path| path.as_str().into()),
        Ref::User(id) => {
            return view.user(id).map_or(Json::Null, |user| user.username.clone().into());
        }
        Ref::Group(id) => {
            return view.group(id).map_or(Json::Null, |group| group.name.clone().into());
        }
        Ref::Process(id) => format!("/process/id_{id}"),
        Ref::Schedule(id) => format!("/scheduler/id_{id}"),
        Ref::Task(id) => format!("/task/id_{id}"),
        Ref::Incident(id) => format!("/incident/id_{id}"),
    };
    Json::from(text)
}

fn file_json(view: &View, file: &FileValue) -> Result<Json, Fault> {
    let len = usize::try_from(file.size).map_err(Fault::internal)?;
    let bytes = view.blob_read(file.hash, 0, len)?;
    Ok(serde_json::json!({"name": file.name, "data": base64(&bytes)}))
}

/// Bytes as base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; no fraction when it is zero.
#[must_use]
pub fn datetime(time: Timestamp) -> String {
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
    let micros = time.subsec_nanosecond() / 1000;
    if micros == 0 {
        zoned.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        format!("{}.{micros:06}Z", zoned.strftime("%Y-%m-%dT%H:%M:%S"))
    }
}

fn clock_time(time: jiff::civil::Time) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let text = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if micros == 0 { text } else { format!("{text}.{micros:06}") }
}

/// `[D ]HH:MM:SS[.ffffff]`.
#[must_use]
pub fn timedelta(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let span = span.unsigned_abs();
    let (seconds, micros) = (span.as_secs(), span.subsec_micros());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut text = sign.to_owned();
    if days > 0 {
        text.push_str(&format!("{days} "));
    }
    text.push_str(&format!("{:02}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60));
    if micros > 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/values
    #[test]
    fn times_have_the_documented_forms() {
        for (time, text) in [
            ("2025-02-11T05:20:30.418Z", "2025-02-11T05:20:30.418000Z"),
            ("2025-02-11T05:20:30Z", "2025-02-11T05:20:30Z"),
            ("2025-02-11T14:20:30.000001+09:00", "2025-02-11T05:20:30.000001Z"),
        ] {
            assert_eq!(datetime(time.parse().unwrap()), text);
        }
        assert_eq!(clock_time(jiff::civil::time(1, 2, 3, 0)), "01:02:03");
        assert_eq!(clock_time(jiff::civil::time(1, 2, 3, 500_000_000)), "01:02:03.500000");
        for (micros, text) in [
            (4_812_000, "00:00:04.812000"),
            (0, "00:00:00"),
            (90_061_000_000, "1 01:01:01"),
            (-1_000_000, "-00:00:01"),
        ] {
            assert_eq!(timedelta(SignedDuration::from_micros(micros)), text);
        }
    }
}
