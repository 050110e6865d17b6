//! How the management command shows processes.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use super::select::Selected;
use crate::cli::trouble::Trouble;

const TIMES: [&str; 2] = ["started_time", "finished_time"];

/// Properties to sort by.
const KEYS: [&str; 17] = [
    "id",
    "pid",
    "status",
    "suspended",
    "user",
    "job",
    "current_job",
    "lineno",
    "started_time",
    "finished_time",
    "elapsed_time",
    "exit_status",
    "schedule",
    "invoker",
    "parent",
    "step_mode",
    "checkpoint_mode",
];

/// Refuses an order by something that a process does not have.
pub(super) fn check_order(order: &[String]) -> Result<(), Trouble> {
    match order.iter().find(|key| !KEYS.contains(&key.trim_start_matches('-'))) {
        None => Ok(()),
        Some(key) => Err(Trouble::usage(format!("cannot sort by `{key}`"))
            .advise(format!("one of {}", KEYS.join(" ")))),
    }
}

/// Sorts by properties, the first of them first.
pub(super) fn sort(found: &mut [Selected], order: &[String]) {
    found.sort_by(|a, b| {
        let ways = order.iter().map(|key| {
            let name = key.trim_start_matches('-');
            let name = if name == "pid" { "id" } else { name };
            let way = compare(&a.json[name], &b.json[name]);
            if key.starts_with('-') { way.reverse() } else { way }
        });
        ways.fold(Ordering::Equal, Ordering::then)
    });
}

fn compare(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Json::String(a), Json::String(b)) => match (seconds(a), seconds(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        },
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        // What is not there comes first.
        _ => (!a.is_null()).cmp(&!b.is_null()),
    }
}

/// Seconds of `[D ]HH:MM:SS[.f]`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (days, clock) = match text.split_once([' ', 'T']) {
        Some((days, clock)) => (days.parse::<f64>().ok()?, clock),
        None => (0.0, text),
    };
    let mut parts = clock.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    Some(days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds)
}

/// A process with its times in another form.
pub(super) fn with_times(json: &Json, format: Option<&str>) -> Result<Json, Trouble> {
    let mut json = json.clone();
    let Some(format) = format else { return Ok(json) };
    for key in TIMES {
        let at = json[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        if let Some(at) = at {
            let shown = jiff::fmt::strtime::format(format, &at.to_zoned(TimeZone::system()))
                .map_err(|error| Trouble::usage(format!("--datetime-format: {error}")))?;
            json[key] = shown.into();
        }
    }
    Ok(json)
}

/// Processes as records of an export: path, type, and the rest as properties.
pub(super) fn export(rows: &[Json]) -> String {
    let records: Vec<Json> = rows
        .iter()
        .map(|row| {
            let mut fields = row.as_object().cloned().unwrap_or_default();
            let mut record = Map::new();
            for key in ["id", "abspath"] {
                record.insert(key.to_owned(), fields.remove(key).unwrap_or_default());
            }
            record.insert("type_object".to_owned(), "/system/types/Process".into());
            record.insert("properties".to_owned(), Json::Object(fields));
            Json::Object(record)
        })
        .collect();
    serde_yaml::to_string(&records).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_times_are_read() {
        assert_eq!(seconds("00:01:02.5"), Some(62.5));
        assert_eq!(seconds("1 00:00:01"), Some(86_401.0));
        assert_eq!(seconds("soon"), None);
    }
}
