//! Incidents (rule: http/incidents).

use kompira_schema::id::IncidentId;
use kompira_schema::value::Ref;
use serde_json::{Map, Value as Json};

use super::user;
use crate::http::answer::Failure;
use crate::http::body::{required, text};
use crate::http::filter::Attribute;
use crate::http::value::datetime;
use crate::tree::Txn;
use crate::tree::special::{IncidentDraft, IncidentPatch, IncidentStatus};

pub(super) const SHOWN: &[&str] = &[
    "id",
    "abspath",
    "owner",
    "worklogs",
    "alerts",
    "name",
    "device",
    "service",
    "created_date",
    "closed_date",
    "status",
];

pub(super) const TABLE: &[(&str, Attribute)] = &[
    ("name", Attribute::Text),
    ("device", Attribute::Text),
    ("service", Attribute::Text),
    ("created_date", Attribute::Time),
    ("closed_date", Attribute::Time),
    ("status", Attribute::AnyOf(&["OPENED", "WORKING", "CLOSED"])),
    ("owner", Attribute::Exact),
];

pub(super) const WORKLOG_TABLE: &[(&str, Attribute)] = &[
    ("user", Attribute::Exact),
    ("description", Attribute::Text),
    ("created_date", Attribute::Time),
];

fn patch(txn: &Txn, body: &Map<String, Json>, whole: bool) -> Result<IncidentPatch, Failure> {
    let or_empty = |found: Option<String>| found.or_else(|| whole.then(String::new));
    let status = match text(body, "status")? {
        None => None,
        Some(word) => {
            let bad = || Failure::field("status", "One of OPENED, WORKING, CLOSED.");
            Some(IncidentStatus::parse(&word).ok_or_else(bad)?)
        }
    };
    Ok(IncidentPatch {
        name: text(body, "name")?,
        device: or_empty(text(body, "device")?),
        service: or_empty(text(body, "service")?),
        owner: user(txn, body, "owner")?,
        status,
    })
}

pub(super) fn create(txn: &mut Txn, body: &Map<String, Json>) -> Result<Ref, Failure> {
    let name = required(body, "name")?;
    let rest = patch(txn, body, false)?;
    // What is attached to an incident comes from events, never from a request.
    Ok(Ref::Incident(txn.create_incident(IncidentDraft { name, alerts: Vec::new(), rest })?))
}

pub(super) fn update(
    txn: &mut Txn,
    id: IncidentId,
    body: &Map<String, Json>,
    put: bool,
) -> Result<(), Failure> {
    if put {
        required(body, "name")?;
    }
    let patch = patch(txn, body, put)?;
    Ok(txn.update_incident(id, patch)?)
}

/// Adds to the log; the entry.
pub(super) fn log(
    txn: &mut Txn,
    id: IncidentId,
    body: &Map<String, Json>,
) -> Result<Map<String, Json>, Failure> {
    let description = required(body, "description")?;
    let user = user(txn, body, "user")?;
    let entry = txn.add_worklog(id, user, &description)?;
    let pairs: [(&str, Json); 4] = [
        ("id", entry.id.into()),
        ("user", txn.user_name(entry.user).into()),
        ("description", entry.description.into()),
        ("created_date", datetime(entry.created).into()),
    ];
    Ok(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
