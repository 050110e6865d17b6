//! The active processes that are in memory.
//!
//! A process that only waits for a time, an event, a lock, room or its resume is a row in the
//! store and an entry in some list; whoever has to do with it brings its slot back. While
//! anybody holds a slot it stays, so that one process never has two.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;

use super::process::Status;
use super::row::Row;
use super::slot::Slot;

/// Parts that are locked by themselves. Reason: the store is read under the lock.
const SHARDS: usize = 64;

/// Slots by process, and how many processes are active, in memory or not.
pub(super) struct Slots {
    shards: Vec<Mutex<HashMap<ProcessId, Arc<Slot>>>>,
    /// For a moment less than it should be, when one ends before it was counted.
    active: AtomicI64,
}

impl Default for Slots {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, active: AtomicI64::new(0) }
    }
}

impl Slots {
    fn shard(&self, id: ProcessId) -> &Mutex<HashMap<ProcessId, Arc<Slot>>> {
        let at = usize::try_from(id.0 % SHARDS as u64).unwrap_or(0);
        self.shards.get(at).expect("a remainder is smaller than the number of shards")
    }

    /// The slot, if the process is in memory.
    pub(super) fn held(&self, id: ProcessId) -> Option<Arc<Slot>> {
        self.shard(id).lock().get(&id).cloned()
    }

    /// The slot of an active process, brought into memory with the row that `read` answers.
    ///
    /// The row is read under the lock: an end that it does not show yet has not left the list
    /// either, and then the slot is here.
    pub(super) fn get(
        &self,
        id: ProcessId,
        read: impl FnOnce() -> Result<Option<Row>, Fault>,
    ) -> Result<Option<Arc<Slot>>, Fault> {
        let mut shard = self.shard(id).lock();
        if let Some(slot) = shard.get(&id) {
            return Ok(Some(Arc::clone(slot)));
        }
        let Some(row) = read()?.filter(|row| row.status.is_active()) else { return Ok(None) };
        let slot = Arc::new(Slot::new(id, row));
        shard.insert(id, Arc::clone(&slot));
        Ok(Some(slot))
    }

    /// The slot of a process that nobody knows yet, taken by the caller.
    pub(super) fn take_new(&self, id: ProcessId, row: Row) -> Arc<Slot> {
        let slot = Arc::new(Slot::taken(id, row));
        self.shard(id).lock().insert(id, Arc::clone(&slot));
        slot
    }

    /// Takes out one that [`Slots::take_new`] made for a process that did not come to be.
    pub(super) fn forget(&self, slot: &Slot) {
        self.shard(slot.id).lock().remove(&slot.id);
        slot.lock().row.status = Status::Aborted;
        slot.tell_all();
    }

    /// Counts processes that have become active.
    pub(super) fn begun(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.active.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes a process out whose end is committed.
    pub(super) fn ended(&self, id: ProcessId) {
        let there = self.shard(id).lock().remove(&id);
        if there.is_some() {
            self.active.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Lets a slot go that nobody else holds and in which nothing is but the row.
    pub(super) fn rest(&self, slot: &Arc<Slot>) {
        let mut shard = self.shard(slot.id).lock();
        // One in the list, one in the hand of the caller.
        if Arc::strong_count(slot) == 2 && slot.lock().rests() {
            shard.remove(&slot.id);
        }
    }

    /// All slots in memory.
    pub(super) fn all_held(&self) -> Vec<Arc<Slot>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// How many processes are active.
    pub(super) fn active(&self) -> usize {
        usize::try_from(self.active.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use kompira_schema::id::{ObjectId, UserId};

    use super::*;

    fn row(status: Status) -> Result<Option<Row>, Fault> {
        let mut row = Row::new(ObjectId(1), UserId(1), Timestamp::UNIX_EPOCH);
        row.status = status;
        Ok(Some(row))
    }

    #[test]
    fn a_slot_stays_while_somebody_holds_it() {
        let slots = Slots::default();
        let id = ProcessId(70);
        let slot = slots.get(id, || row(Status::Waiting)).unwrap().unwrap();
        let second = slots.get(id, || panic!("it is in memory")).unwrap().unwrap();
        assert!(Arc::ptr_eq(&slot, &second));
        slots.rest(&slot);
        assert!(slots.held(id).is_some(), "somebody else holds it");
        drop(second);
        slots.rest(&slot);
        assert!(slots.held(id).is_none());
    }

    #[test]
    fn who_has_ended_is_not_brought_back() {
        let slots = Slots::default();
        slots.begun(1);
        let id = ProcessId(7);
        assert!(slots.get(id, || row(Status::Ready)).unwrap().is_some());
        slots.ended(id);
        assert_eq!(slots.active(), 0);
        assert!(slots.get(id, || row(Status::Done)).unwrap().is_none());
        assert!(slots.get(id, || Ok(None)).unwrap().is_none());
    }
}
