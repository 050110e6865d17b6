//! Which processes a list holds, and in what order.

use kompira_schema::error::Fault;
use kompira_schema::path::ObjectPath;
use serde_json::{Map, Value as Json};

use super::render;
use crate::engine::{Filter, ProcessInfo, Status};
use crate::http::answer::Failure;
use crate::http::filter::{self, Attribute, Condition};
use crate::http::object::Want;
use crate::http::query::Query;
use crate::tree::View;

/// States of a process.
const STATUSES: &[&str] = &["NEW", "READY", "RUNNING", "WAITING", "ABORTED", "DONE"];

/// Attributes to filter and order by (documented table).
const TABLE: &[(&str, Attribute)] = &[
    ("job", Attribute::Exact),
    ("user", Attribute::Exact),
    ("started_time", Attribute::Time),
    ("finished_time", Attribute::Time),
    ("status", Attribute::AnyOf(STATUSES)),
    ("schedule", Attribute::Exact),
    ("parent", Attribute::Exact),
    ("current_job", Attribute::Exact),
    ("suspended", Attribute::Truth),
    ("lineno", Attribute::Number),
    ("console", Attribute::Text),
    ("invoker", Attribute::Nullable),
];

/// What a list asks for.
pub(super) struct Wish {
    /// What the engine can sort out by itself.
    pub(super) filter: Filter,
    conditions: Vec<Condition>,
    keys: Vec<(String, bool)>,
}

/// Reads the query of a list.
pub(super) fn read(view: &View, query: &Query, base: &Filter) -> Result<Wish, Failure> {
    let query = query.rewritten(|name, value| match name {
        // A process may be named by its bare number.
        "parent" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("/process/id_{value}")
        }
        _ => value.to_owned(),
    });
    let conditions = filter::conditions(&query, TABLE, &view.zone())?;
    let mut filter = base.clone();
    for word in query.all("status") {
        let status = Status::parse(word).ok_or_else(|| {
            Failure::field("status", "One of NEW, READY, RUNNING, WAITING, ABORTED, DONE.")
        })?;
        filter.status.push(status);
    }
    // What names nothing that exists is no error: it matches nothing, by its condition.
    filter.user = query.get("user").and_then(|name| view.user_by_name(name)).map(|user| user.id);
    filter.job = query
        .get("job")
        .and_then(|text| ObjectPath::parse(text).ok())
        .and_then(|path| view.resolve(&path).ok());
    let keys = filter::order(&query, TABLE)?;
    Ok(Wish { filter, conditions, keys })
}

impl Wish {
    /// Whether consoles must be read.
    pub(super) fn reads_console(&self) -> bool {
        self.conditions.iter().any(|condition| condition.attribute() == "console")
    }

    /// Whether a process is in the list.
    pub(super) fn matches(
        &self,
        view: &View,
        info: &ProcessInfo,
        console: &str,
    ) -> Result<bool, Fault> {
        if self.conditions.is_empty() {
            return Ok(true);
        }
        let row = row(view, info, console)?;
        Ok(self.conditions.iter().all(|condition| {
            condition.holds(row.get(condition.attribute()).unwrap_or(&Json::Null))
        }))
    }

    /// Puts the list in order; without keys the newest comes first.
    pub(super) fn order(&self, view: &View, found: &mut Vec<ProcessInfo>) -> Result<(), Fault> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(found.len());
        for (at, info) in found.iter().enumerate() {
            rows.push((Json::Object(row(view, info, "")?), at));
        }
        filter::sort(&mut rows, &self.keys);
        let sorted = rows.iter().filter_map(|(_, at)| found.get(*at).cloned()).collect();
        *found = sorted;
        Ok(())
    }
}

fn row(view: &View, info: &ProcessInfo, console: &str) -> Result<Map<String, Json>, Fault> {
    match render(view, info, console, &Want::default())? {
        Json::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}
