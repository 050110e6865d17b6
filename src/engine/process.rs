//! What a process is: its states, modes and properties.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use kompira_schema::id::{ObjectId, ProcessId, ScheduleId, UserId};
use kompira_schema::value::{Dict, Value};

/// The state of a process (rule: `operations/process-states`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Created, not started.
    New,
    /// Can run, waits for a worker.
    Ready,
    /// Runs.
    Running,
    /// Waits for a command, an event, a time, children, a lock.
    Waiting,
    /// Ended with exit status 0.
    Done,
    /// Ended otherwise.
    Aborted,
}

impl Status {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Ready, Self::Running, Self::Waiting, Self::Done, Self::Aborted];

    /// The word of the documented interface.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Ready => "READY",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Done => "DONE",
            Self::Aborted => "ABORTED",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether the process has not ended.
    #[must_use]
    pub const fn is_active(self) -> bool {
        !matches!(self, Self::Done | Self::Aborted)
    }
}

/// When a mail is sent at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Monitoring {
    /// Never.
    #[default]
    Nothing,
    /// Always.
    Mail,
    /// When it is ABORTED.
    AbortMail,
}

impl Monitoring {
    /// The word of the documented interface.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "NOTHING",
            Self::Mail => "MAIL",
            Self::AbortMail => "ABORT_MAIL",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Nothing, Self::Mail, Self::AbortMail].into_iter().find(|mode| mode.word() == word)
    }
}

/// Modes to be set; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// Suspend before each command.
    pub step: Option<bool>,
    /// Repeat a command that was in flight at a crash.
    pub checkpoint: Option<bool>,
    /// Mail at the end.
    pub monitoring: Option<Monitoring>,
    /// Record its steps.
    pub trace: Option<bool>,
}

/// The parameters of a start.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// By name, plain values (REST).
    Values(Dict),
    /// By name, expressions of the language (forms, URL queries), read with the jobflow's
    /// directory as base.
    Expressions(IndexMap<String, String>),
    /// By position (channel actions, tables).
    Positional(Vec<Value>),
    /// The argument line of a script job; split at blanks, quotes group words.
    CommandLine(String),
}

impl Default for Params {
    fn default() -> Self {
        Self::Values(Dict::new())
    }
}

/// The properties of a process (object model, Process), its console apart.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessInfo {
    /// Number; the path is `/process/id_N`.
    pub id: ProcessId,
    /// Jobflow or script job that was started.
    pub job: ObjectId,
    /// The one being executed now; `None` at the end.
    pub current_job: Option<ObjectId>,
    /// Executing user.
    pub user: UserId,
    /// State.
    pub status: Status,
    /// Paused.
    pub suspended: bool,
    /// Start.
    pub started: Option<Timestamp>,
    /// End.
    pub finished: Option<Timestamp>,
    /// Running time so far or in all.
    pub elapsed: SignedDuration,
    /// Final status code.
    pub exit_status: Option<i64>,
    /// Final `$RESULT`.
    pub result: Value,
    /// Final `$ERROR`.
    pub error: Value,
    /// Line of `current_job` being executed; 0 before the first.
    pub line: u32,
    /// The schedule that started it.
    pub schedule: Option<ScheduleId>,
    /// The object that started it.
    pub invoker: Option<ObjectId>,
    /// Parent process.
    pub parent: Option<ProcessId>,
    /// Suspends before each command.
    pub step_mode: bool,
    /// Repeats a command that was in flight at a crash.
    pub checkpoint_mode: bool,
    /// Mail at the end.
    pub monitoring_mode: Monitoring,
}

/// Which processes a list holds; all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// One of these states; empty: any.
    pub status: Vec<Status>,
    /// Has not ended, or has.
    pub active: Option<bool>,
    /// Paused or not.
    pub suspended: Option<bool>,
    /// Executing user.
    pub user: Option<UserId>,
    /// Started job.
    pub job: Option<ObjectId>,
    /// Parent process; `Some(None)`: has none.
    pub parent: Option<Option<ProcessId>>,
}

impl Filter {
    /// Whether a process is in the list.
    #[must_use]
    pub fn matches(&self, info: &ProcessInfo) -> bool {
        (self.status.is_empty() || self.status.contains(&info.status))
            && self.active.is_none_or(|active| info.status.is_active() == active)
            && self.suspended.is_none_or(|suspended| info.suspended == suspended)
            && self.user.is_none_or(|user| info.user == user)
            && self.job.is_none_or(|job| info.job == job)
            && self.parent.is_none_or(|parent| info.parent == parent)
    }
}
