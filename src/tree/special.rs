//! Schedules, incidents and tasks: special objects with rows of their own (rules:
//! `tree/schedules`, `tree/incidents`, `tree/tasks`).

pub mod calendar;
mod incident;
mod list;
mod property;
mod row;
mod schedule;
mod task;

use jiff::Timestamp;
use kompira_schema::id::{GroupId, ObjectId, UserId};
use kompira_schema::value::Value;

pub use calendar::{Calendar, Times, Unit};
pub use list::{Conditions, Family, Listed, SpecialQuery};
pub use row::{Incident, IncidentStatus, Schedule, Task, TaskStatus, WorkLog};

/// A new schedule.
#[derive(Debug, Clone, Default)]
pub struct ScheduleDraft {
    /// Name.
    pub name: String,
    /// The jobflow or script job that it runs.
    pub job: Option<ObjectId>,
    /// Runs once, in this minute: the times of the rest are not looked at.
    pub once: Option<Timestamp>,
    /// Its times may be given afterwards; until then it never runs.
    pub times_later: bool,
    /// The rest.
    pub rest: SchedulePatch,
}

/// A change of a schedule; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct SchedulePatch {
    /// Name.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Who runs the job. Another than the caller: privileged callers.
    pub user: Option<UserId>,
    /// The jobflow or script job that it runs.
    pub job: Option<ObjectId>,
    /// Parameters of the job, as texts.
    pub parameters: Option<Vec<String>>,
    /// Parts of the expression.
    pub times: Vec<(Unit, String)>,
    /// Switched off.
    pub disabled: Option<bool>,
}

/// A new incident.
#[derive(Debug, Clone, Default)]
pub struct IncidentDraft {
    /// Title.
    pub name: String,
    /// The events that led to it.
    pub alerts: Vec<Value>,
    /// The rest.
    pub rest: IncidentPatch,
}

/// A change of an incident; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct IncidentPatch {
    /// Title.
    pub name: Option<String>,
    /// Device.
    pub device: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Owner; of a new incident without one: the caller.
    pub owner: Option<UserId>,
    /// State.
    pub status: Option<IncidentStatus>,
}

/// A new task.
#[derive(Debug, Clone, Default)]
pub struct TaskDraft {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Text for the assignees.
    pub message: String,
    /// Label of the answer; `None`: `OK`.
    pub action_text: Option<String>,
    /// Who may answer.
    pub assigned_users: Vec<UserId>,
    /// Whose members may answer.
    pub assigned_groups: Vec<GroupId>,
}
