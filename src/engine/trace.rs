//! The steps of a process, recorded while somebody wants to see them (rule: `operations/trace`).
//!
//! A process that is traced runs one step at a time, and each is written with the commit it
//! belongs to; one that is not pays nothing. Beside it the state before each of its commands is
//! kept, from which it can be taken up again after its end (rule: `operations/resume-from`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::message;

use super::row;
use super::vm::inspect::Look;
use crate::lang::program::CodeHash;
use crate::store::{Direction, Family, KeyRange, Snapshot};
use crate::tree::Txn;

/// Steps that are kept of a process: the latest. Reason: a loop may take very many.
pub const STEPS_MAX: u64 = 10_000;
/// Commands whose state is kept: the latest. Reason: each is a whole state.
pub const STATES_MAX: u64 = 100;

/// One step: a job, a round of a loop, the begin of a wait, or the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// From 1.
    pub number: u64,
    /// When it was done.
    pub at: Timestamp,
    /// Jobflow it stands in.
    pub job: ObjectId,
    /// Line in that jobflow.
    pub line: u32,
    /// Jobflows that are called, itself included.
    pub depth: usize,
    /// `$STATUS`, `$RESULT`, `$ERROR` afterwards, in short.
    pub status: String,
    /// As above.
    pub result: String,
    /// As above.
    pub error: String,
    /// Variables that got another value, in short.
    pub changed: Vec<(String, String)>,
    /// What it begins to wait for.
    pub wait: Option<String>,
    /// Number of the command that begins, for `resume --from`.
    pub command: Option<u64>,
}

/// What was recorded of a process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Whether steps are recorded now.
    pub on: bool,
    /// In their order.
    pub steps: Vec<Step>,
}

/// The state before a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) shown: String,
    pub(super) current_job: Option<ObjectId>,
    pub(super) line: u32,
    pub(super) locks: Vec<ObjectId>,
    #[serde(with = "serde_bytes")]
    pub(super) frame: Vec<u8>,
    /// Sources that its frames are pinned to.
    pub(super) sources: Vec<([u8; 32], String)>,
}

/// Records the steps of one slice.
pub(super) struct Recorder {
    before: Look,
}

impl Recorder {
    pub(super) fn new(before: Look) -> Self {
        Self { before }
    }

    /// A step that led to `now`.
    pub(super) fn step(
        &mut self,
        number: u64,
        at: Timestamp,
        place: (ObjectId, u32),
        now: Look,
    ) -> Step {
        let same_frame = now.depth == self.before.depth;
        let changed = now
            .variables
            .iter()
            .filter(|held| !same_frame || !self.before.variables.contains(held))
            .cloned()
            .collect();
        let step = Step {
            number,
            at,
            job: place.0,
            line: place.1,
            depth: now.depth,
            status: now.status.clone(),
            result: now.result.clone(),
            error: now.error.clone(),
            changed,
            wait: None,
            command: None,
        };
        self.before = now;
        step
    }
}

fn key(id: ProcessId, letter: u8, number: u64) -> Vec<u8> {
    let mut key = id.0.to_be_bytes().to_vec();
    key.push(letter);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

const STEP: u8 = b'T';
const STATE: u8 = b'S';

fn put<T: Serialize>(
    txn: &mut Txn,
    (id, letter, number, most): (ProcessId, u8, u64, u64),
    row: &T,
) -> Result<(), Fault> {
    let at = key(id, letter, number);
    txn.raw_put(Family::Journal, &at, row::write(Family::Journal, &at, row)?);
    if number > most {
        txn.raw_delete(Family::Journal, &key(id, letter, number - most));
    }
    Ok(())
}

/// Writes a step; the oldest beyond what is kept goes.
pub(super) fn put_step(txn: &mut Txn, id: ProcessId, step: &Step) -> Result<(), Fault> {
    put(txn, (id, STEP, step.number, STEPS_MAX), step)
}

/// Writes the state before a command.
pub(super) fn put_state(
    txn: &mut Txn,
    id: ProcessId,
    command: u64,
    state: &State,
) -> Result<(), Fault> {
    put(txn, (id, STATE, command, STATES_MAX), state)
}

/// Reads the state before a command.
pub(super) fn state(txn: &Txn, id: ProcessId, command: u64) -> Result<State, Fault> {
    let key = key(id, STATE, command);
    let state = row::read(Family::Journal, &key, txn.raw_get(Family::Journal, &key)?)?;
    state.ok_or_else(|| {
        Fault::new(Kind::NotFound, message!("engine.no_state", process = id, step = command))
    })
}

/// The steps after number `after`, at most `limit`.
pub(super) fn steps(
    snapshot: &Snapshot,
    id: ProcessId,
    after: u64,
    limit: usize,
) -> Result<Vec<Step>, Fault> {
    let mut found = Vec::new();
    let range = KeyRange::half_open(&key(id, STEP, after.saturating_add(1)), &key(id, STEP + 1, 0));
    snapshot.try_scan(Family::Journal, &range, Direction::Forward, |key, bytes| {
        if found.len() >= limit {
            return Ok(std::ops::ControlFlow::Break(()));
        }
        let step = crate::store::codec::unpack(Family::Journal, key, bytes).map_err(Fault::from)?;
        found.push(step);
        Ok::<_, Fault>(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Removes all that the journal holds of a process.
pub(super) fn forget(txn: &mut Txn, id: ProcessId) -> Result<(), Fault> {
    let mut keys = Vec::new();
    txn.snapshot().scan(
        Family::Journal,
        &KeyRange::prefix(&id.0.to_be_bytes()),
        Direction::Forward,
        &mut |key, _| {
            keys.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        },
    )?;
    for key in keys {
        txn.raw_delete(Family::Journal, &key);
    }
    Ok(())
}

/// Sources as a state holds them.
pub(super) fn sources(
    inner: &super::inner::Inner,
    snapshot: &Snapshot,
    programs: &[CodeHash],
) -> Result<Vec<([u8; 32], String)>, Fault> {
    let source = |hash: &CodeHash| {
        let code = inner.codes.find(snapshot, *hash).map_err(Fault::internal)?;
        Ok((hash.0, code.source.to_string()))
    };
    programs.iter().map(source).collect()
}
