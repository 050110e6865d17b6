//! What all parts of the engine share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ProcessId, UserId};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};

use super::admission::Admission;
use super::code::Codes;
use super::events::Mailbox;
use super::limits::Limits;
use super::locks::Locks;
use super::queue::Queue;
use super::row::{self, Row};
use super::slot::{Order, Slot};
use super::timer::Timers;
use super::vm;
use crate::base::clock::{Alarm, Clock};
use crate::remote::Runner;
use crate::store::{Family, Snapshot};
use crate::tree::Tree;

pub(super) struct Inner {
    pub(super) tree: Tree,
    pub(super) builtins: Arc<vm::Builtins>,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) queue: Queue,
    pub(super) timers: Timers,
    pub(super) admission: Admission,
    /// Commands that run at once.
    pub(super) commands: Admission,
    pub(super) locks: Locks,
    pub(super) codes: Codes,
    pub(super) mailbox: Mailbox,
    pub(super) slots: RwLock<HashMap<ProcessId, Arc<Slot>>>,
    pub(super) stopping: AtomicBool,
    /// Rings when the engine stops.
    pub(super) stopped: Arc<Alarm>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Inner {
    pub(super) fn slot(&self, id: ProcessId) -> Option<Arc<Slot>> {
        self.slots.read().get(&id).cloned()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.tree.store().snapshot()
    }

    /// The record of a process, active or not.
    pub(super) fn row(&self, id: ProcessId) -> Result<Option<Row>, Fault> {
        let key = row::process_key(id);
        row::read(Family::Process, &key, self.snapshot().get(Family::Process, &key)?)
    }

    /// Puts a process into the run queue if nobody works on it.
    pub(super) fn wake(&self, id: ProcessId) {
        if let Some(slot) = self.slot(id) {
            self.wake_slot(&slot, |_| {});
        }
    }

    /// As [`Inner::wake`], noting something first.
    pub(super) fn wake_slot(&self, slot: &Slot, note: impl FnOnce(&mut super::slot::State)) {
        let mut state = slot.lock();
        note(&mut state);
        let push = slot.wake(&mut state);
        drop(state);
        if push {
            self.queue.push(slot.id);
        }
    }

    /// Gives an order to a process; answers its number.
    pub(super) fn order(&self, slot: &Slot, order: Order) -> u64 {
        if matches!(order, Order::Terminate) {
            slot.stop.store(true, Ordering::Relaxed);
        }
        let mut number = 0;
        self.wake_slot(slot, |state| {
            state.orders.push(order);
            state.given += 1;
            number = state.given;
        });
        number
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether `more` processes would be too many.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.slots.read().len().saturating_add(more) > self.limits.queued
    }

    /// Enters a committed process into memory and gives it a turn.
    pub(super) fn enter(&self, id: ProcessId, row: Row) {
        self.slots.write().insert(id, Arc::new(Slot::new(id, row)));
        self.wake(id);
    }

    /// A failure of everything that is asked while the engine stops.
    pub(super) fn refuse_when_stopping(&self) -> Result<(), Fault> {
        if self.stopping() {
            return Err(Fault::new(Kind::Unavailable, message!("engine.stopping")));
        }
        Ok(())
    }
}

/// The caller a process acts as.
pub(super) fn caller(user: UserId, process: ProcessId) -> Caller {
    Caller {
        user,
        interface: Interface::Engine,
        remote: None,
        process: Some(process),
        request: format!("process-{process}").into(),
        exec: None,
    }
}

/// The engine itself, for what it reads beyond the permissions of a process: sources, settings.
pub(super) fn myself() -> Caller {
    Caller {
        user: crate::auth::User::ROOT,
        interface: Interface::Engine,
        remote: None,
        process: None,
        request: "engine".into(),
        exec: None,
    }
}
