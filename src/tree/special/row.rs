//! The rows as they are stored.

use jiff::Timestamp;
use kompira_schema::id::{GroupId, IncidentId, ObjectId, ScheduleId, TaskId, UserId};
use kompira_schema::value::Value;
use serde::{Deserialize, Serialize};

use super::calendar::Times;

/// A schedule (rule: `tree/schedules`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// For life.
    pub id: ScheduleId,
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Who runs the job.
    pub user: UserId,
    /// The jobflow or script job.
    pub job: ObjectId,
    /// Parameters of the job: expressions for a jobflow, arguments for a script.
    pub parameters: Vec<String>,
    /// When it runs.
    pub times: Times,
    /// Switched off.
    pub disabled: bool,
    /// When it was made, or its times were changed: nothing before is due.
    pub since: Timestamp,
}

/// A record of a failure (rule: `tree/incidents`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// For life.
    pub id: IncidentId,
    /// Title.
    pub name: String,
    /// Device.
    pub device: String,
    /// Service.
    pub service: String,
    /// Owner.
    pub owner: UserId,
    /// State.
    pub status: IncidentStatus,
    /// Opened at.
    pub created: Timestamp,
    /// Closed at.
    pub closed: Option<Timestamp>,
    /// What was done, oldest first.
    pub worklogs: Vec<WorkLog>,
    /// The events that led to it.
    pub alerts: Vec<Value>,
}

/// An entry of an incident's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkLog {
    /// From 1, in its incident.
    pub id: u64,
    /// Who worked.
    pub user: UserId,
    /// What was done.
    pub description: String,
    /// When it was written.
    pub created: Timestamp,
}

/// A question put to users (rule: `tree/tasks`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// For life.
    pub id: TaskId,
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// Text for the assignees.
    pub message: String,
    /// Label of the answer.
    pub action_text: String,
    /// The answer.
    pub result: Value,
    /// State.
    pub status: TaskStatus,
    /// Owner.
    pub owner: UserId,
    /// Who may answer.
    pub assigned_users: Vec<UserId>,
    /// Whose members may answer.
    pub assigned_groups: Vec<GroupId>,
    /// Created at.
    pub created: Timestamp,
    /// Answered or cancelled at.
    pub closed: Option<Timestamp>,
}

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every state, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The documented word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The state of a word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|state| state.word() == word)
            }
        }
    };
}

states! {
    /// State of an incident.
    IncidentStatus {
        /// Nobody works on it yet.
        Opened = "OPENED",
        /// Somebody works on it.
        Working = "WORKING",
        /// Done.
        Closed = "CLOSED",
    }
}

states! {
    /// State of a task.
    TaskStatus {
        /// Nobody waits for it yet.
        Waiting = "WAITING",
        /// A process waits for the answer.
        Ongoing = "ONGOING",
        /// Answered.
        Done = "DONE",
        /// Given up.
        Canceled = "CANCELED",
    }
}

impl TaskStatus {
    /// Whether an answer is still possible.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Ongoing)
    }
}

impl Task {
    /// The channel value of a finished task: the answer, `None` when it was cancelled.
    #[must_use]
    pub fn answer(&self) -> Option<&Value> {
        (self.status == TaskStatus::Done).then_some(&self.result)
    }
}
