//! How processes lie in the store.
//!
//! | family | key | value |
//! |---|---|---|
//! | process | process | [`Row`] |
//! | process | `A`, process | nothing: it is active; or [`Asleep`]: and it only sleeps |
//! | process | `C`, parent, process | nothing: it is a child |
//! | process | `M`, process | nothing: a mail about its end is due |
//! | frame | process | the machine, as it saves itself |
//! | frame | `P`, code hash | the source of a pinned program |
//! | console | process, offset | text |
//! | journal | process, sequence | [`Journal`]: a command that began, or has ended |

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, ProcessId, ScheduleId, UserId};
use kompira_schema::value::Value;

use super::console::Tail;
use super::process::{Modes, Monitoring, ProcessInfo, Status};
use crate::lang::program::CodeHash;
use crate::store::codec::{pack, unpack};
use crate::store::{Direction, Family, KeyRange, Snapshot, keys};

/// The status record of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) job: ObjectId,
    pub(super) current_job: Option<ObjectId>,
    pub(super) user: UserId,
    /// Never RUNNING: what runs is known to the engine alone.
    pub(super) status: Status,
    pub(super) suspended: bool,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) exit_status: Option<i64>,
    pub(super) result: Value,
    pub(super) error: Value,
    pub(super) line: u32,
    pub(super) schedule: Option<ScheduleId>,
    pub(super) invoker: Option<ObjectId>,
    pub(super) parent: Option<ProcessId>,
    pub(super) step_mode: bool,
    pub(super) checkpoint_mode: bool,
    pub(super) monitoring_mode: Monitoring,
    /// What it waits for.
    pub(super) wait: Option<Wait>,
    /// Sources its frames are pinned to.
    pub(super) programs: Vec<[u8; 32]>,
    /// Jobflows of limited multiplicity it is inside of.
    pub(super) locks: Vec<ObjectId>,
    /// Offset of the first console byte that is still stored, and of the end.
    pub(super) console: (u64, u64),
    /// The script, when it is no jobflow.
    pub(super) script: Option<Script>,
    /// Ended because the server did while a command was in flight; it can be taken up again.
    pub(super) interrupted: bool,
    /// Number of the last command.
    pub(super) sequence: u64,
    /// Channels in memory that it may know.
    #[serde(default)]
    pub(super) queues: Vec<u64>,
    /// Its steps are recorded.
    #[serde(default)]
    pub(super) traced: bool,
    /// How many ever were recorded.
    #[serde(default)]
    pub(super) recorded: u64,
    /// Steps it took, in whole strides.
    #[serde(default)]
    pub(super) steps: u64,
    /// Where on the console the output of its command in flight begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<u64>,
}

/// A script job that was started directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    pub(super) arguments: Vec<String>,
    pub(super) node: Option<ObjectId>,
    pub(super) account: Option<ObjectId>,
}

/// All that a start has to know of a process that only sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asleep {
    pub(super) until: Timestamp,
    /// Sources its frames are pinned to.
    pub(super) programs: Vec<serde_bytes::ByteArray<32>>,
}

/// What a process waits for. The machine's own request lies in its frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Wait {
    /// Its first turn, until there is room among the active ones.
    Room,
    /// A command. `begun` is false while step mode holds it back.
    Command { begun: bool, shown: String },
    /// A time.
    Until(Timestamp),
    /// Events, until a time.
    Events(Option<Timestamp>),
    /// Children: how many in all, and those that are there.
    Children { count: usize, children: Vec<ProcessId> },
    /// A place in a jobflow of limited multiplicity.
    Lock(ObjectId),
    /// Its own `suspend()`.
    Resume,
}

/// A command's line in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Journal {
    /// It may have been started.
    Begun { shown: String },
    /// It has ended, with what the jobflow gets, and with output that is not on the console yet.
    Ended {
        status: i64,
        result: Value,
        error: Value,
        #[serde(default, skip_serializing_if = "Tail::is_empty")]
        output: Tail,
    },
    /// It is a session, and open.
    Opened { queue: u64 },
}

impl Journal {
    /// A command has ended, and all it said is where it belongs.
    pub(super) fn ended(status: i64, result: Value, error: Value) -> Self {
        Self::Ended { status, result, error, output: Tail::default() }
    }
}

impl Row {
    /// A process that waits for its first turn.
    pub(super) fn new(job: ObjectId, user: UserId, now: Timestamp) -> Self {
        Self {
            job,
            current_job: Some(job),
            user,
            status: Status::New,
            suspended: false,
            created: now,
            started: None,
            finished: None,
            exit_status: None,
            result: Value::Null,
            error: Value::Null,
            line: 0,
            schedule: None,
            invoker: None,
            parent: None,
            step_mode: false,
            checkpoint_mode: false,
            monitoring_mode: Monitoring::Nothing,
            wait: Some(Wait::Room),
            programs: Vec::new(),
            locks: Vec::new(),
            console: (0, 0),
            script: None,
            interrupted: false,
            sequence: 0,
            traced: false,
            recorded: 0,
            steps: 0,
            output: None,
            queues: Vec::new(),
        }
    }

    /// What its marker says: that it only sleeps, holds nothing, and belongs to nobody.
    pub(super) fn asleep(&self) -> Option<Asleep> {
        let free = self.status == Status::Waiting
            && !self.suspended
            && self.parent.is_none()
            && self.locks.is_empty()
            && self.script.is_none();
        match self.wait {
            Some(Wait::Until(until)) if free => {
                let programs = self.programs.iter().copied();
                Some(Asleep {
                    until,
                    programs: programs.map(serde_bytes::ByteArray::new).collect(),
                })
            }
            _ => None,
        }
    }

    /// Sets modes; what is not given stays.
    pub(super) fn set(&mut self, modes: Modes) {
        self.step_mode = modes.step.unwrap_or(self.step_mode);
        self.checkpoint_mode = modes.checkpoint.unwrap_or(self.checkpoint_mode);
        self.monitoring_mode = modes.monitoring.unwrap_or(self.monitoring_mode);
        self.traced = modes.trace.unwrap_or(self.traced);
    }

    /// The command it waits for.
    pub(super) fn shown(&self) -> &str {
        match &self.wait {
            Some(Wait::Command { shown, .. }) => shown,
            _ => "",
        }
    }

    pub(super) fn info(&self, id: ProcessId, now: Timestamp) -> ProcessInfo {
        let elapsed = match self.started {
            Some(started) => self.finished.unwrap_or(now).duration_since(started),
            None => jiff::SignedDuration::ZERO,
        };
        ProcessInfo {
            id,
            job: self.job,
            current_job: self.current_job,
            user: self.user,
            status: self.status,
            suspended: self.suspended,
            started: self.started,
            finished: self.finished,
            elapsed,
            exit_status: self.exit_status,
            result: self.result.clone(),
            error: self.error.clone(),
            line: self.line,
            schedule: self.schedule,
            invoker: self.invoker,
            parent: self.parent,
            step_mode: self.step_mode,
            checkpoint_mode: self.checkpoint_mode,
            monitoring_mode: self.monitoring_mode,
        }
    }
}

pub(super) fn process_key(id: ProcessId) -> Vec<u8> {
    keys::number(id.0)
}

/// The range of all process records, below those with a letter in front.
pub(super) fn processes_before(before: Option<ProcessId>) -> KeyRange {
    let end = before.map_or_else(|| vec![b'A'], process_key);
    KeyRange::half_open(&[], &end)
}

const ACTIVE: u8 = b'A';
const CHILD: u8 = b'C';
const NOTICE: u8 = b'M';
const PINNED: u8 = b'P';
/// The front of the keys of pinned sources. A process number never grows that large.
pub(super) const PINNED_PREFIX: &[u8] = b"P";

fn lettered(letter: u8, numbers: &[u64]) -> Vec<u8> {
    let mut key = vec![letter];
    for number in numbers {
        key.extend_from_slice(&number.to_be_bytes());
    }
    key
}

pub(super) fn active_key(id: ProcessId) -> Vec<u8> {
    lettered(ACTIVE, &[id.0])
}

pub(super) fn child_key(parent: ProcessId, id: ProcessId) -> Vec<u8> {
    lettered(CHILD, &[parent.0, id.0])
}

pub(super) fn notice_key(id: ProcessId) -> Vec<u8> {
    lettered(NOTICE, &[id.0])
}

/// Processes about whose end a mail is due.
pub(super) fn notices(snapshot: &Snapshot) -> Result<Vec<ProcessId>, Fault> {
    Ok(numbers_below(snapshot, NOTICE, &[])?.into_iter().map(ProcessId).collect())
}

pub(super) fn pinned_key(hash: CodeHash) -> Vec<u8> {
    let mut key = vec![PINNED];
    key.extend_from_slice(&hash.0);
    key
}

pub(super) fn read_pinned_key(key: &[u8]) -> Option<CodeHash> {
    let (&PINNED, hash) = key.split_first()? else { return None };
    Some(CodeHash(hash.try_into().ok()?))
}

pub(super) fn journal_key(id: ProcessId, sequence: u64) -> Vec<u8> {
    keys::numbers(id.0, sequence)
}

/// Numbers at the end of lettered keys with this front.
pub(super) fn numbers_below(
    snapshot: &Snapshot,
    letter: u8,
    front: &[u64],
) -> Result<Vec<u64>, Fault> {
    let prefix = lettered(letter, front);
    let mut found = Vec::new();
    snapshot.scan(
        Family::Process,
        &KeyRange::prefix(&prefix),
        crate::store::Direction::Forward,
        &mut |key, _| {
            let tail = key.get(prefix.len()..).and_then(keys::split_u64);
            found.extend(tail.filter(|(_, rest)| rest.is_empty()).map(|(number, _)| number));
            std::ops::ControlFlow::Continue(())
        },
    )?;
    Ok(found)
}

/// The value of an active process's marker.
pub(super) fn marker(key: &[u8], asleep: Option<&Asleep>) -> Result<Vec<u8>, Fault> {
    asleep.map_or_else(|| Ok(Vec::new()), |asleep| write(Family::Process, key, asleep))
}

/// Gives every active process to `each`, with what its marker says.
pub(super) fn active(
    snapshot: &Snapshot,
    mut each: impl FnMut(ProcessId, Option<Asleep>),
) -> Result<(), Fault> {
    let range = KeyRange::prefix(&[ACTIVE]);
    snapshot.try_scan(Family::Process, &range, Direction::Forward, |key, value| {
        if let Some((id, _)) = key.get(1..).and_then(keys::split_u64) {
            let asleep = (!value.is_empty()).then(|| unpack(Family::Process, key, value));
            each(ProcessId(id), asleep.transpose().map_err(Fault::from)?);
        }
        Ok::<_, Fault>(std::ops::ControlFlow::Continue(()))
    })
}

pub(super) fn children(snapshot: &Snapshot, parent: ProcessId) -> Result<Vec<ProcessId>, Fault> {
    Ok(numbers_below(snapshot, CHILD, &[parent.0])?.into_iter().map(ProcessId).collect())
}

/// Reads a packed row from what a transaction or snapshot gave.
pub(super) fn read<T: DeserializeOwned>(
    family: Family,
    key: &[u8],
    bytes: Option<bytes::Bytes>,
) -> Result<Option<T>, Fault> {
    bytes.map(|bytes| unpack(family, key, &bytes)).transpose().map_err(Fault::from)
}

/// The values at the keys of `ids`, in their order.
fn at(
    family: Family,
    snapshot: &Snapshot,
    ids: &[ProcessId],
) -> Result<impl Iterator<Item = (Vec<u8>, Option<bytes::Bytes>)>, Fault> {
    let keys: Vec<_> = ids.iter().copied().map(process_key).collect();
    let found = snapshot.multi_get(family, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    Ok(keys.into_iter().zip(found))
}

/// The records of several processes, best in the order of their numbers.
pub(super) fn rows(snapshot: &Snapshot, ids: &[ProcessId]) -> Result<Vec<Option<Row>>, Fault> {
    at(Family::Process, snapshot, ids)?
        .map(|(key, bytes)| read(Family::Process, &key, bytes))
        .collect()
}

/// The saved machines of several processes, each or what is wrong with it.
pub(super) fn frames(
    snapshot: &Snapshot,
    ids: &[ProcessId],
) -> Result<Vec<Result<Option<serde_bytes::ByteBuf>, Fault>>, Fault> {
    let found = at(Family::Frame, snapshot, ids)?;
    Ok(found.map(|(key, bytes)| read(Family::Frame, &key, bytes)).collect())
}

/// Packs a row.
pub(super) fn write<T: Serialize + ?Sized>(
    family: Family,
    key: &[u8],
    row: &T,
) -> Result<Vec<u8>, Fault> {
    Ok(pack(family, key, row)?)
}
