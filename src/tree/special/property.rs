//! The properties of special objects by name, as the manual lists them.

use kompira_schema::error::Fault;
use kompira_schema::value::{Dict, Ref, Value};

use super::{Incident, Schedule, Task, Unit};
use crate::auth::{Group, User};
use crate::tree::view::View;

/// Coming runs that `scheduled_datetimes` shows.
const RUNS_SHOWN: usize = 10;

impl View {
    /// Every property of a schedule, incident, task, user or group that may be read; `None` when
    /// there is no such object (or it is a process, whose rows are the engine's).
    ///
    /// # Errors
    /// Failures of the store.
    pub fn special_properties(&self, target: Ref) -> Result<Option<Dict>, Fault> {
        Ok(match target {
            Ref::Schedule(id) => self.schedule(id)?.map(|row| self.schedule_properties(&row)),
            Ref::Incident(id) => self.incident(id)?.map(|row| incident_properties(&row)),
            Ref::Task(id) => self.task(id)?.map(|row| task_properties(&row)),
            Ref::User(id) => self.user(id).map(|row| user_properties(&row)),
            Ref::Group(id) => self.group(id).map(|row| self.group_properties(&row)),
            Ref::Object(_) | Ref::Process(_) => None,
        })
    }

    /// The properties of a schedule.
    #[must_use]
    pub fn schedule_properties(&self, row: &Schedule) -> Dict {
        let runs = self.upcoming_runs(row, RUNS_SHOWN);
        let mut dict = dict([
            ("id", number(row.id.0)),
            ("abspath", format!("/scheduler/id_{}", row.id).into()),
            ("name", row.name.as_str().into()),
            ("description", row.description.as_str().into()),
            ("user", Value::Object(Ref::User(row.user))),
            ("job", Value::Object(Ref::Object(row.job))),
            (
                "parameters",
                Value::Array(row.parameters.iter().map(|text| text.as_str().into()).collect()),
            ),
        ]);
        for unit in Unit::ALL {
            dict.insert(unit.name().to_owned(), row.times.get(unit).into());
        }
        dict.insert("disabled".to_owned(), Value::Bool(row.disabled));
        let next = runs.first().copied();
        dict.insert("next_run_time".to_owned(), next.map_or(Value::Null, Value::Datetime));
        let runs = runs.into_iter().map(Value::Datetime).collect();
        dict.insert("scheduled_datetimes".to_owned(), Value::Array(runs));
        dict
    }

    fn group_properties(&self, row: &Group) -> Dict {
        let users =
            self.members(row.id).iter().map(|user| Value::Object(Ref::User(user.id))).collect();
        dict([
            ("id", number(row.id.0)),
            ("abspath", format!("/config/group/id_{}", row.id).into()),
            ("name", row.name.as_str().into()),
            ("users", Value::Array(users)),
            ("is_ldap_group", Value::Bool(row.ldap)),
        ])
    }
}

/// The properties of an incident.
#[must_use]
pub(super) fn incident_properties(row: &Incident) -> Dict {
    let worklogs = row.worklogs.iter().map(|entry| {
        Value::Dict(dict([
            ("id", number(entry.id)),
            ("user", Value::Object(Ref::User(entry.user))),
            ("description", entry.description.as_str().into()),
            ("created_date", Value::Datetime(entry.created)),
        ]))
    });
    dict([
        ("id", number(row.id.0)),
        ("abspath", format!("/incident/id_{}", row.id).into()),
        ("name", row.name.as_str().into()),
        ("device", row.device.as_str().into()),
        ("service", row.service.as_str().into()),
        ("owner", Value::Object(Ref::User(row.owner))),
        ("status", row.status.word().into()),
        ("created_date", Value::Datetime(row.created)),
        ("closed_date", row.closed.map_or(Value::Null, Value::Datetime)),
        ("worklogs", Value::Array(worklogs.collect())),
        ("alerts", Value::Array(row.alerts.clone())),
    ])
}

/// The properties of a task.
#[must_use]
pub(super) fn task_properties(row: &Task) -> Dict {
    let users = row.assigned_users.iter().map(|&id| Value::Object(Ref::User(id))).collect();
    let groups = row.assigned_groups.iter().map(|&id| Value::Object(Ref::Group(id))).collect();
    dict([
        ("id", number(row.id.0)),
        ("abspath", format!("/task/id_{}", row.id).into()),
        ("name", row.name.as_str().into()),
        ("title", row.title.as_str().into()),
        ("message", row.message.as_str().into()),
        ("action_text", row.action_text.as_str().into()),
        ("result", row.result.clone()),
        ("status", row.status.word().into()),
        ("owner", Value::Object(Ref::User(row.owner))),
        ("assigned_users", Value::Array(users)),
        ("assigned_groups", Value::Array(groups)),
        ("created_date", Value::Datetime(row.created)),
        ("closed_date", row.closed.map_or(Value::Null, Value::Datetime)),
    ])
}

/// The properties of a user that are no secret.
fn user_properties(row: &User) -> Dict {
    let object = |id: Option<_>| id.map_or(Value::Null, |id| Value::Object(Ref::Object(id)));
    let groups = row.groups.iter().map(|&id| Value::Object(Ref::Group(id))).collect();
    dict([
        ("id", number(row.id.0)),
        ("abspath", format!("/config/user/id_{}", row.id).into()),
        ("username", row.username.as_str().into()),
        ("first_name", row.first_name.as_str().into()),
        ("last_name", row.last_name.as_str().into()),
        ("full_name", row.full_name().into()),
        ("mailbox", row.mailbox().into()),
        ("email", row.email.as_str().into()),
        ("environment", object(row.environment)),
        ("home_directory", object(row.home)),
        ("groups", Value::Array(groups)),
        ("is_active", Value::Bool(row.active)),
        ("is_ldap_user", Value::Bool(row.ldap)),
        ("enable_restapi", Value::Bool(row.token_hash.is_some())),
        ("last_login", row.last_login.map_or(Value::Null, Value::Datetime)),
    ])
}

fn number(id: u64) -> Value {
    Value::Int(i64::try_from(id).unwrap_or(i64::MAX))
}

fn dict<const N: usize>(pairs: [(&str, Value); N]) -> Dict {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
