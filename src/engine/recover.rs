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

/// Takes all active processes up again; nothing runs before this returns.
pub(super) fn recover(inner: &Arc<Inner>) -> Result<(), Fault> {
    let mut slots = Vec::new();
    let mut awake = Vec::new();
    let mut used = HashSet::new();
    let mut asleep = 0;
    row::active(&inner.snapshot(), |id, marker| match marker {
        // Who only sleeps needs no more than an entry of the timer.
        Some(sleeper) => {
            inner.timers.set(id, sleeper.until);
            inner.admission.take_back();
            used.extend(sleeper.programs.into_iter().map(serde_bytes::ByteArray::into_array));
            asleep += 1;
        }
        None => awake.push(id),
    })?;
    inner.slots.begun(asleep);
    for id in awake {
        let Some(row) = inner.row(id)? else {
            drop_marker(inner, id)?;
            continue;
        };
        match take_up(inner, id, row)? {
            Some(row) => slots.push((id, row)),
            None => tracing::warn!(process = id.0, "interrupted"),
        }
        fail_point!("engine.recover.between");
    }
    used.extend(slots.iter().flat_map(|(_, row)| row.programs.iter().copied()));
    sweep(inner, used)?;
    inner.slots.begun(slots.len());
    let mut held = Vec::with_capacity(slots.len());
    for (id, row) in &slots {
        for &jobflow in &row.locks {
            inner.locks.restore(jobflow, *id);
        }
        if !matches!(row.wait, Some(Wait::Room | Wait::Children { .. })) {
            inner.admission.take_back();
        }
        held.extend(inner.slots.get(*id, || Ok(Some(row.clone())))?);
    }
    for (_, row) in &slots {
        if let Some(parent) = row.parent.and_then(|parent| inner.slots.held(parent)) {
            parent.lock().children += 1;
        }
    }
    for (id, row) in &slots {
        let Some(slot) = inner.slots.held(*id) else { continue };
        if let Some(Wait::Until(at) | Wait::Events(Some(at))) = row.wait {
            inner.timers.set(*id, at);
        }
        // A child whose parent ended without it: its end was asked for when the server ended.
        let orphan = row.parent.is_some_and(|parent| inner.slots.held(parent).is_none());
        if orphan {
            inner.order(&slot, super::slot::Order::Terminate);
        }
        // Everyone looks at its wait once; who waits for events enters the list again.
        if matches!(row.wait, Some(Wait::Events(_))) {
            turn::listen_again(inner, &slot);
        }
        inner.wake(*id);
    }
    Ok(())
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
