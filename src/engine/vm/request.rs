//! Why a machine stopped, and what it is given to go on.

use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::Value as Plain;
use serde::{Deserialize, Serialize};

use crate::lang::ast::PatternKind;
use crate::lang::pattern;

/// Why [`Machine::run`](super::machine::Machine::run) came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Pause {
    /// The step budget is used up; run again when it is this process's turn.
    Budget,
    /// Nothing goes on before the request is answered by [`Machine::resume`](super::machine::Machine::resume).
    Blocked(Request),
    /// The process has ended.
    Ended(End),
}

/// The name under which a call of a library's function is asked for; no job can be called so. Its
/// arguments are the library, the name of the function, and an Array of those by position.
pub const LIBRARY_CALL: &str = "library.call";

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// A command; answered by [`Answer::Job`].
    Command {
        /// The command line.
        command: String,
        /// Standard input: text or bytes.
        input: Option<Plain>,
        /// Where and how.
        control: Control,
    },
    /// A script; answered by [`Answer::Job`].
    Script {
        /// The ScriptJob object.
        script: ObjectId,
        /// Command-line arguments.
        arguments: Vec<String>,
        /// Standard input: text or bytes.
        input: Option<Plain>,
        /// Where and how.
        control: Control,
        /// Holds a place of the script's multiplicity while it runs.
        #[serde(default)]
        placed: bool,
    },
    /// A built-in job that reaches outside (`urlopen`, `put` …); answered by [`Answer::Job`].
    Builtin {
        /// Its name.
        name: String,
        /// Positional arguments.
        positional: Vec<Plain>,
        /// Named arguments.
        named: Vec<(String, Plain)>,
        /// Where and how.
        control: Control,
    },
    /// Time; answered by [`Answer::Done`] once it has come.
    Sleep(Timestamp),
    /// The first of several events; answered by [`Answer::Event`].
    Events(Vec<Awaited>),
    /// Children: make each with [`Machine::child`](super::machine::Machine::child), run them, wait for
    /// their ends; answered by [`Answer::Children`]. For `pfor` over nothing it is never asked.
    Children {
        /// How many.
        count: usize,
    },
    /// A place inside a jobflow of limited multiplicity; answered by [`Answer::Done`] when
    /// [`Host::acquire`](super::host::Host::acquire) would succeed; the machine asks that again.
    Lock {
        /// The jobflow.
        jobflow: ObjectId,
        /// Its places.
        multiplicity: u32,
    },
    /// A session; answered by [`Answer::Session`].
    Session {
        /// Where and how.
        control: Control,
    },
    /// The process asked to be suspended; answered by [`Answer::Done`].
    Suspend,
}

impl Request {
    /// Whether something outside is being done while this waits, so that a crash leaves open
    /// whether it was done.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        matches!(
            self,
            Self::Command { .. }
                | Self::Script { .. }
                | Self::Builtin { .. }
                | Self::Session { .. }
        )
    }
}

/// The control variables that are set, as a job saw them when it started
/// (rule: `language/control-variables`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Control(pub Vec<(String, Plain)>);

impl Control {
    /// The value of a control variable, as in `get("__host__")`; `None` if it is not set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Plain> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }
}

/// One event a process waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Awaited {
    /// What may bring it; several if an Array was given, none for `<>`, which is ready at once.
    pub sources: Vec<Source>,
    /// Which messages are wanted.
    pub guard: Option<Guard>,
    /// When it gives up; a time that is past means: look once.
    pub deadline: Option<Timestamp>,
    /// Messages stay queued.
    pub peek: bool,
    /// A mail channel's fetch failures end the wait.
    pub detect_error: bool,
    /// Nothing to wait for: `<>`.
    pub always: bool,
}

/// Something that events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A Channel or MailChannel, or whatever else the engine knows to wait for.
    Reference(kompira_schema::value::Ref),
    /// An in-memory channel or a session.
    Queue(u64),
}

/// Which messages an event job wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Looks through the queue and drops what stands before the match; else only at its head.
    pub scan: bool,
    /// What a message must be.
    pub wanted: Wanted,
}

/// A "value used as a pattern" (rule: `language/patterns`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Wanted {
    /// A Pattern: its letter, its text, whether case is ignored.
    Pattern(char, String, bool),
    /// A String: a glob.
    Glob(String),
    /// Anything else: equal to it.
    Equal(Plain),
}

/// What a waiting machine is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The wait is over and has no result.
    Done,
    /// A command, script or built-in job ended, or could not be done (`status < 0`).
    Job(Outcome),
    /// An event came, or its time ran out, or its source is gone.
    Event(Received),
    /// All awaited children have ended.
    Children {
        /// All of them, in order.
        children: Vec<ProcessId>,
        /// How many awaited ones ended ABORTED.
        aborted: u32,
    },
    /// A session was opened; the number of its queue.
    Session(u64),
    /// What was asked is refused: a runtime error with this message.
    Refused(String),
}

/// What a job left: the three status variables.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// `$STATUS`
    pub status: i64,
    /// `$RESULT`
    pub result: Plain,
    /// `$ERROR`
    pub error: Plain,
}

/// How a wait for events ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Which of [`Request::Events`].
    pub alternative: usize,
    /// Which source of it.
    pub source: usize,
    /// 0: a message; 1: out of time; −1: the source is gone.
    pub status: i64,
    /// The message; the process for a process.
    pub message: Plain,
    /// With `peek_mode`: the number of the message (or process, or task).
    pub id: Option<u64>,
    /// Why, for −1.
    pub error: String,
}

/// How a process ended (rule: `language/end-of-process`).
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// DONE; else ABORTED.
    pub done: bool,
    /// `exit_status`
    pub status: i64,
    /// `result`
    pub result: Plain,
    /// `error`
    pub error: Plain,
}

/// Where a process stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The jobflow being run.
    pub jobflow: ObjectId,
    /// Its path when it was called.
    pub path: Arc<str>,
    /// The line of the job being run.
    pub line: u32,
}

impl Wanted {
    /// Whether a message fits; what is no text never fits a glob or a regular expression. A pattern
    /// that fails on a message does not fit it.
    #[must_use]
    pub fn fits(&self, message: &Plain) -> bool {
        match self {
            Self::Equal(wanted) => same(wanted, message),
            Self::Glob(glob) => {
                matches!(message, Plain::Str(text) if pattern::glob(glob, text, false))
            }
            Self::Pattern(letter, text, ignore_case) => {
                let kind = match letter {
                    'r' => PatternKind::Regex,
                    'g' => PatternKind::Glob,
                    _ => PatternKind::Exact,
                };
                let held = pattern::Pattern::new(kind, text.as_str(), *ignore_case);
                match (message, kind) {
                    (Plain::Str(text), _) => held.fits(text).unwrap_or(false),
                    (Plain::Int(number), PatternKind::Exact) => {
                        held.fits(&number.to_string()).unwrap_or(false)
                    }
                    (Plain::Float(number), PatternKind::Exact) => {
                        held.fits(&super::text::float(*number)).unwrap_or(false)
                    }
                    (Plain::Bool(truth), PatternKind::Exact) => {
                        held.fits(&truth.to_string()).unwrap_or(false)
                    }
                    (Plain::Null, PatternKind::Exact) => held.fits("null").unwrap_or(false),
                    _ => false,
                }
            }
        }
    }
}

/// `==` of the language for plain data: 1 equals 1.0.
fn same(left: &Plain, right: &Plain) -> bool {
    match (left, right) {
        #[expect(clippy::cast_precision_loss, reason = "as the language compares")]
        (Plain::Int(a), Plain::Float(b)) | (Plain::Float(b), Plain::Int(a)) => *a as f64 == *b,
        (Plain::Array(a), Plain::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Plain::Dict(a), Plain::Dict(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((key, a), (other, b))| key == other && same(a, b))
        }
        _ => left == right,
    }
}
