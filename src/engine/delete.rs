//! Removing what is left of processes.

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ProcessId;
use kompira_schema::message;

use super::console;
use super::inner::{Inner, myself};
use super::row::{self, Row};
use crate::store::{Direction, Durability, Family, What};
use crate::tree::Txn;

/// Deletes a process that has ended, with its children.
///
/// # Errors
/// `NotFound`; `Busy` when it or a child is active.
pub(super) fn delete(inner: &Arc<Inner>, txn: &mut Txn, id: ProcessId) -> Result<(), Fault> {
    let mut open = vec![id];
    let mut doomed = Vec::new();
    while let Some(next) = open.pop() {
        let key = row::process_key(next);
        let row: Option<Row> =
            row::read(Family::Process, &key, txn.raw_get(Family::Process, &key)?)?;
        let Some(row) = row else {
            if next == id {
                return Err(not_found(id));
            }
            continue;
        };
        if row.status.is_active() || inner.slots.held(next).is_some() {
            return Err(Fault::new(Kind::Busy, message!("engine.active", process = next)));
        }
        open.extend(row::children(txn.snapshot(), next)?);
        doomed.push((next, row));
    }
    for (id, row) in doomed {
        txn.raw_expect(Family::Process, &row::process_key(id));
        txn.raw_delete(Family::Process, &row::process_key(id));
        txn.raw_delete(Family::Frame, &row::process_key(id));
        super::trace::forget(txn, id)?;
        if let Some(parent) = row.parent {
            txn.raw_delete(Family::Process, &row::child_key(parent, id));
        }
        for offset in console::offsets(txn.snapshot(), id)? {
            txn.raw_delete(Family::Console, &crate::store::keys::numbers(id.0, offset));
        }
        txn.process_changed(id, What::Removed);
    }
    Ok(())
}

/// The fault of a process that is not there, or that the caller may not see.
pub(super) fn not_found(id: ProcessId) -> Fault {
    Fault::new(Kind::NotFound, message!("engine.no_process", process = id))
}

/// Deletes processes that ended too long ago, if that is configured.
pub(super) fn expire(inner: &Arc<Inner>) {
    /// Processes of one commit.
    const AT_ONCE: usize = 100;
    let Some(keep) = inner.limits.keep_finished else { return };
    let Ok(keep) = jiff::SignedDuration::try_from(keep) else { return };
    let Ok(before) = inner.now().checked_sub(keep) else { return };
    let mut old = Vec::new();
    let range = row::processes_before(None);
    let scanned =
        inner.snapshot().scan(Family::Process, &range, Direction::Forward, &mut |key, bytes| {
            let row: Option<Row> = crate::store::codec::unpack(Family::Process, key, bytes).ok();
            if let (Some(row), Some((id, _))) = (row, crate::store::keys::split_u64(key))
                && row.parent.is_none()
                && row.finished.is_some_and(|finished| finished < before)
            {
                old.push(ProcessId(id));
            }
            std::ops::ControlFlow::Continue(())
        });
    if let Err(fault) = scanned {
        tracing::warn!(?fault, "old processes cannot be looked for");
    }
    for some in old.chunks(AT_ONCE) {
        let deleted = inner.tree.write(&myself(), Durability::Lazy, |txn| {
            for &id in some {
                match delete(inner, txn, id) {
                    Err(fault) if !matches!(fault.kind(), Kind::Busy | Kind::NotFound) => {
                        return Err(fault);
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        if let Err(fault) = deleted {
            tracing::warn!(?fault, "old processes cannot be deleted");
            return;
        }
    }
}
