//! Taking processes up again at the start (rule: `operations/recovery`).
//!
//! A process that waited enters its wait again with the rest of its time. One whose command was
//! in flight runs it again only in checkpoint mode; otherwise it ends ABORTED as `interrupted`.

use std::collections::HashSet;
use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ProcessId;
use kompira_schema::message;
use kompira_schema::tree::Caller;

use super::console::Tail;
use super::delete::not_found;
use super::inner::{Inner, myself};
use super::process::Status;
use super::row::{self, Journal, Row, Wait};
use super::slot::Slot;
use super::turn::{self, Turn};
use crate::fail_point;
use crate::store::{Direction, Durability, Family, KeyRange, Snapshot};

/// Processes whose rows are read at once.
const CHUNK: usize = 1_000;

/// What the start has to know of those that do more than sleep, besides their rows.
#[derive(Default)]
struct Taken {
    /// Those with a marker, in order.
    awake: Vec<ProcessId>,
    /// Those of them that are active no more.
    gone: HashSet<ProcessId>,
    /// Children and their parents.
    born: Vec<(ProcessId, ProcessId)>,
    /// Sources that somebody is pinned to.
    used: HashSet<[u8; 32]>,
}

/// Takes all active processes up again; nothing runs before this returns.
///
/// However many they are, few are in memory at once: rows are read in the order of their keys,
/// some at a time, and a process comes to memory with its turn.
pub(super) fn recover(inner: &Arc<Inner>) -> Result<(), Fault> {
    let mut taken = Taken::default();
    let snapshot = inner.snapshot();
    let mut asleep = 0;
    row::active(&snapshot, |id, marker| match marker {
        // Who only sleeps needs no more than an entry of the timer.
        Some(sleeper) => {
            inner.timers.set(id, sleeper.until);
            inner.admission.take_back();
            let programs = sleeper.programs.into_iter();
            taken.used.extend(programs.map(serde_bytes::ByteArray::into_array));
            asleep += 1;
        }
        None => taken.awake.push(id),
    })?;
    inner.slots.begun(asleep);
    let awake = std::mem::take(&mut taken.awake);
    for ids in awake.chunks(CHUNK) {
        some(inner, &snapshot, ids, &mut taken)?;
    }
    taken.awake = awake;
    sweep(inner, std::mem::take(&mut taken.used))?;
    for (child, parent) in &taken.born {
        let stands = taken.awake.binary_search(parent).is_ok() && !taken.gone.contains(parent);
        // Who has children is in memory. A child whose parent ended without it: its end was asked
        // for when the server ended.
        match inner.slot(if stands { *parent } else { *child }) {
            Some(slot) if stands => slot.lock().children += 1,
            Some(slot) => {
                inner.order(&slot, super::slot::Order::Terminate);
            }
            None => {}
        }
    }
    Ok(())
}

/// Takes the next ones up.
fn some(
    inner: &Arc<Inner>,
    snapshot: &Snapshot,
    ids: &[ProcessId],
    taken: &mut Taken,
) -> Result<(), Fault> {
    let mut listening = Vec::new();
    for (&id, row) in ids.iter().zip(row::rows(snapshot, ids)?) {
        let Some(row) = row else {
            drop_marker(inner, id)?;
            taken.gone.insert(id);
            continue;
        };
        let stored = row.wait.clone();
        match take_up(inner, id, row)? {
            Some(row) => {
                if matches!(row.wait, Some(Wait::Events(_))) {
                    listening.push(id);
                }
                taken.enter(inner, id, row, stored.as_ref())?;
            }
            None => {
                tracing::warn!(process = id.0, "interrupted");
                taken.gone.insert(id);
            }
        }
        fail_point!("engine.recover.between");
    }
    turn::listen_again(inner, snapshot, &listening)
}

impl Taken {
    /// Brings memory in line with an active process that waited for `stored`.
    fn enter(
        &mut self,
        inner: &Inner,
        id: ProcessId,
        row: Row,
        stored: Option<&Wait>,
    ) -> Result<(), Fault> {
        inner.slots.begun(1);
        self.used.extend(&row.programs);
        self.born.extend(row.parent.map(|parent| (id, parent)));
        for &jobflow in &row.locks {
            inner.locks.restore(jobflow, id);
        }
        if !matches!(row.wait, Some(Wait::Room | Wait::Children { .. })) {
            inner.admission.take_back();
        }
        if let Some(Wait::Until(at) | Wait::Events(Some(at))) = row.wait {
            inner.timers.set(id, at);
        }
        if row.wait.as_ref() != stored {
            // What it waits for now stands in memory alone.
            inner.slots.get(id, || Ok(Some(row)))?;
        }
        // Everyone looks at its wait once.
        inner.wake(id);
        Ok(())
    }
}

/// Decides what becomes of one process; `None`: it has ended as interrupted.
fn take_up(inner: &Arc<Inner>, id: ProcessId, mut row: Row) -> Result<Option<Row>, Fault> {
    let Some(Wait::Command { begun: true, shown }) = row.wait.clone() else {
        return Ok(Some(row));
    };
    let key = row::journal_key(id, row.sequence);
    let snapshot = inner.snapshot();
    let line: Option<Journal> =
        row::read(Family::Journal, &key, snapshot.get(Family::Journal, &key)?)?;
    if matches!(line, Some(Journal::Ended { .. } | Journal::Opened { .. })) {
        return Ok(Some(row));
    }
    if row.checkpoint_mode {
        // It begins anew, under a new number.
        row.wait = Some(Wait::Command { begun: false, shown });
        return Ok(Some(row));
    }
    let slot = Arc::new(Slot::new(id, row.clone()));
    inner.tree.write(&myself(), Durability::Synced, |txn| {
        let mut turn = Turn::new(inner, &slot, row.clone(), Tail::default());
        turn.interrupt(txn)
    })?;
    Ok(None)
}

fn drop_marker(inner: &Inner, id: ProcessId) -> Result<(), Fault> {
    inner.tree.write(&myself(), Durability::Lazy, |txn| {
        txn.raw_delete(Family::Process, &row::active_key(id));
        Ok(())
    })?;
    Ok(())
}

/// Removes pinned sources that nobody is pinned to any more.
fn sweep(inner: &Inner, mut used: HashSet<[u8; 32]>) -> Result<(), Fault> {
    let snapshot = inner.snapshot();
    if pinned_beside(&snapshot, &used)?.is_empty() {
        return Ok(());
    }
    // Interrupted ones may be taken up again.
    snapshot.scan(
        Family::Process,
        &row::processes_before(None),
        Direction::Forward,
        &mut |key, bytes| {
            if let Ok(row) = crate::store::codec::unpack::<Row>(Family::Process, key, bytes)
                && row.interrupted
            {
                used.extend(&row.programs);
            }
            std::ops::ControlFlow::Continue(())
        },
    )?;
    let unused = pinned_beside(&snapshot, &used)?;
    if unused.is_empty() {
        return Ok(());
    }
    inner.tree.write(&myself(), Durability::Lazy, |txn| {
        for key in &unused {
            txn.raw_delete(Family::Frame, key);
        }
        Ok(())
    })?;
    Ok(())
}

/// Keys of pinned sources that are not among `used`.
fn pinned_beside(snapshot: &Snapshot, used: &HashSet<[u8; 32]>) -> Result<Vec<Vec<u8>>, Fault> {
    let mut unused = Vec::new();
    snapshot.scan(
        Family::Frame,
        &KeyRange::prefix(row::PINNED_PREFIX),
        Direction::Forward,
        &mut |key, _| {
            if row::read_pinned_key(key).is_some_and(|hash| !used.contains(&hash.0)) {
                unused.push(key.to_vec());
            }
            std::ops::ControlFlow::Continue(())
        },
    )?;
    Ok(unused)
}

/// Takes a process that has ended up again before one of its commands, as an operator asks for.
pub(super) fn resume_from(
    inner: &Arc<Inner>,
    who: &Caller,
    id: ProcessId,
    step: u64,
) -> Result<(), Fault> {
    inner.refuse_when_stopping()?;
    let done = inner.tree.write(who, Durability::Synced, |txn| {
        let key = row::process_key(id);
        let row: Option<Row> =
            row::read(Family::Process, &key, txn.raw_get(Family::Process, &key)?)?;
        let mut row = row.ok_or_else(|| not_found(id))?;
        txn.raw_expect(Family::Process, &key);
        if row.status.is_active() {
            return Err(Fault::new(Kind::Busy, message!("engine.active", process = id)));
        }
        if row.interrupted && row.sequence == step {
            return Ok(None);
        }
        let state = super::trace::state(txn, id, step)?;
        for (hash, source) in &state.sources {
            let key = row::pinned_key(crate::lang::program::CodeHash(*hash));
            txn.raw_put(Family::Frame, &key, source.as_bytes().to_vec());
        }
        super::turn::put_frame(txn, id, &state.frame)?;
        row.programs = state.sources.iter().map(|(hash, _)| *hash).collect();
        row.current_job = state.current_job;
        row.line = state.line;
        row.locks = state.locks;
        row.interrupted = true;
        row.wait = Some(Wait::Command { begun: true, shown: state.shown });
        let taken = open(txn, id, row)?;
        Ok(Some(taken.locks))
    })?;
    let Some(locks) = done.value else { return reopen(inner, who, id).map(|_| ()) };
    for jobflow in locks {
        inner.locks.restore(jobflow, id);
    }
    inner.admission.take_back();
    inner.enter(id);
    Ok(())
}

/// Makes a process that has ended wait for its command again, which has not begun.
fn open(txn: &mut crate::tree::Txn, id: ProcessId, mut row: Row) -> Result<Row, Fault> {
    let Some(Wait::Command { shown, .. }) = row.wait.clone() else {
        return Err(Fault::new(Kind::Corrupt, message!("store.corrupt")));
    };
    row.interrupted = false;
    row.status = Status::Waiting;
    row.wait = Some(Wait::Command { begun: false, shown });
    row.exit_status = None;
    row.result = kompira_schema::value::Value::Null;
    row.error = kompira_schema::value::Value::Null;
    row.finished = None;
    row.suspended = false;
    // Its parent has ended, or has counted it already.
    row.parent = None;
    super::start::put_new(txn, id, &row)?;
    Ok(row)
}

/// Takes an interrupted process up again at its command, as an operator asks for.
pub(super) fn reopen(inner: &Arc<Inner>, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
    inner.refuse_when_stopping()?;
    let done = inner.tree.write(who, Durability::Synced, |txn| {
        let key = row::process_key(id);
        let row: Option<Row> =
            row::read(Family::Process, &key, txn.raw_get(Family::Process, &key)?)?;
        let row = row.ok_or_else(|| not_found(id))?;
        if !row.interrupted {
            return Ok(false);
        }
        txn.raw_expect(Family::Process, &key);
        open(txn, id, row)?;
        Ok(true)
    })?;
    if !done.value {
        return Ok(false);
    }
    inner.admission.take_back();
    inner.enter(id);
    Ok(true)
}
