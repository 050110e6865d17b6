//! Schedules (rule: http/schedules).

use kompira_schema::id::ScheduleId;
use kompira_schema::value::Ref;
use serde_json::{Map, Value as Json};

use super::{job, user};
use crate::http::answer::Failure;
use crate::http::body::{required, text, truth};
use crate::http::filter::Attribute;
use crate::tree::Txn;
use crate::tree::special::{ScheduleDraft, SchedulePatch, Unit};

pub(super) const SHOWN: &[&str] = &[
    "id",
    "abspath",
    "user",
    "scheduled_datetimes",
    "parameters",
    "name",
    "description",
    "year",
    "month",
    "day",
    "week",
    "day_of_week",
    "hour",
    "minute",
    "disabled",
    "job",
    "next_run_time",
];

pub(super) const TABLE: &[(&str, Attribute)] = &[
    ("name", Attribute::Text),
    ("description", Attribute::Text),
    ("user", Attribute::Exact),
    ("job", Attribute::Exact),
    ("year", Attribute::Part),
    ("month", Attribute::Part),
    ("day", Attribute::Part),
    ("week", Attribute::Part),
    ("day_of_week", Attribute::Part),
    ("hour", Attribute::Part),
    ("minute", Attribute::Part),
    ("disabled", Attribute::Truth),
];

fn patch(txn: &Txn, body: &Map<String, Json>, whole: bool) -> Result<SchedulePatch, Failure> {
    // What a replacement does not name is as in a new one.
    let or_empty = |found: Option<String>| found.or_else(|| whole.then(String::new));
    let mut times = Vec::new();
    for unit in Unit::ALL {
        let given = match body.get(unit.name()) {
            Some(Json::Null) => Some(String::new()),
            Some(Json::Number(number)) => Some(number.to_string()),
            _ => text(body, unit.name())?,
        };
        times.extend(or_empty(given).map(|text| (unit, text)));
    }
    let parameters = match body.get("parameters") {
        None | Some(Json::Null) => whole.then(Vec::new),
        Some(Json::Array(list)) => {
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            let bad = || Failure::field("parameters", "Not a list of strings.");
            Some(Option::ok_or_else(texts, bad)?)
        }
        Some(_) => return Err(Failure::field("parameters", "Not a list of strings.")),
    };
    Ok(SchedulePatch {
        name: text(body, "name")?,
        description: or_empty(text(body, "description")?),
        user: user(txn, body, "user")?,
        job: job(txn, body, "job")?,
        parameters,
        times,
        disabled: truth(body, "disabled")?.or_else(|| whole.then_some(false)),
    })
}

pub(super) fn create(txn: &mut Txn, body: &Map<String, Json>) -> Result<Ref, Failure> {
    let name = required(body, "name")?;
    required(body, "job")?;
    let rest = patch(txn, body, false)?;
    let draft = ScheduleDraft { name, job: rest.job, once: None, times_later: false, rest };
    Ok(Ref::Schedule(txn.create_schedule(draft)?))
}

pub(super) fn update(
    txn: &mut Txn,
    id: ScheduleId,
    body: &Map<String, Json>,
    put: bool,
) -> Result<(), Failure> {
    if put {
        required(body, "name")?;
        required(body, "job")?;
    }
    let patch = patch(txn, body, put)?;
    Ok(txn.update_schedule(id, patch)?)
}
