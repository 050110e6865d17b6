//! What all parts of the engine share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use secrecy::SecretString;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId, ScheduleId, UserId};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};

use super::admission::Admission;
use super::code::Codes;
use super::events::Mailbox;
use super::library::Libraries;
use super::limits::Limits;
use super::locks::Locks;
use super::mails::Mails;
use super::news::Bell;
use super::notices::Notices;
use super::outbox::Outbox;
use super::queue::Queue;
use super::realm::Realms;
use super::row::{self, Row};
use super::sessions::Sessions;
use super::settings::Shows;
use super::slot::{Order, Slot};
use super::slots::Slots;
use super::timer::Timers;
use super::tokens::Tokens;
use super::vm;
use crate::base::clock::{Alarm, Clock};
use crate::fail_point;
use crate::remote::{Network, Runner};
use crate::store::{Family, Snapshot};
use crate::transfer::git::Repositories;
use crate::tree::{Tree, View};

pub(super) struct Inner {
    pub(super) tree: Tree,
    pub(super) builtins: Arc<vm::Builtins>,
    pub(super) runner: Arc<dyn Runner>,
    /// Synchronises Repository objects, once it is handed in.
    pub(super) repositories: OnceLock<Arc<Repositories>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) queue: Queue,
    pub(super) timers: Timers,
    pub(super) admission: Admission,
    /// Commands that run at once.
    pub(super) commands: Admission,
    /// Calls of libraries' functions that run or wait for Python at once.
    pub(super) calls: Admission,
    pub(super) locks: Locks,
    pub(super) codes: Codes,
    pub(super) mailbox: Mailbox,
    pub(super) sessions: Sessions,
    pub(super) shows: Shows,
    pub(super) realms: Realms,
    pub(super) slots: Slots,
    pub(super) outbox: Outbox,
    pub(super) schedules: Bell<ScheduleId>,
    pub(super) actions: Bell<ObjectId>,
    /// Python.
    pub(super) libraries: Libraries,
    /// Mails that come.
    pub(super) mails: Mails,
    /// Tokens of mail accounts.
    pub(super) tokens: Tokens,
    /// How mail servers and their providers are reached: as the machine does, if nobody says else.
    pub(super) network: OnceLock<Network>,
    /// Mails about processes that have ended.
    pub(super) notices: Notices,
    pub(super) stopping: AtomicBool,
    /// Held, shared, while a turn runs in a thread that is not the engine's.
    pub(super) landing: RwLock<()>,
    /// Rings when the engine stops.
    pub(super) stopped: Arc<Alarm>,
    pub(super) threads: Mutex<Vec<JoinHandle<()>>>,
    #[cfg(test)]
    pub(super) kill: KillSwitch,
}

impl Inner {
    /// The slot of an active process, brought into memory if it is not there.
    pub(super) fn slot(&self, id: ProcessId) -> Option<Arc<Slot>> {
        let slot = self.slots.get(id, || self.row(id));
        slot.unwrap_or_else(|fault| {
            tracing::error!(process = id.0, ?fault, "a process cannot be read");
            None
        })
    }

    pub(super) fn network(&self) -> &Network {
        self.network.get_or_init(Network::default)
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
        match self.slots.held(id) {
            Some(slot) => self.wake_slot(&slot, |_| {}),
            // The worker brings it into memory.
            None => self.queue.push(id),
        }
    }

    /// Wakes all who wait for `source`.
    pub(super) fn wake_all(&self, source: vm::request::Source) {
        for id in self.mailbox.waiting(source) {
            self.wake(id);
        }
    }

    /// A message came from `source`: wakes the one that waits longest; the others follow.
    pub(super) fn ask(&self, source: vm::request::Source) {
        if let Some(first) = self.mailbox.ask(source) {
            self.wake(first);
        }
    }

    /// A process that was woken has looked, or is not there to look.
    pub(super) fn looked(&self, id: ProcessId) {
        for next in self.mailbox.looked(id) {
            self.wake(next);
        }
    }

    /// A process waits for nothing any more.
    pub(super) fn leave_lines(&self, id: ProcessId) {
        for next in self.mailbox.leave_all(id) {
            self.wake(next);
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

    /// Lets every thread see that the engine stops.
    pub(super) fn close(&self) {
        self.queue.close();
        self.timers.close();
        self.outbox.close();
        self.schedules.close();
        self.actions.close();
        self.mails.close();
        self.notices.close();
        self.libraries.close();
        self.stopped.ring();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether `more` processes would be too many.
    pub(super) fn is_full(&self, more: usize) -> bool {
        self.slots.active().saturating_add(more) > self.limits.queued
    }

    /// Gives a process that was just committed its first turn.
    pub(super) fn enter(&self, id: ProcessId) {
        self.slots.begun(1);
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

/// Where a test ends the server: before a commit of the engine, or right after it, before anything
/// is made of it.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    Before,
    After,
}

/// Ends the server at a commit, for tests: from then on nothing is committed or begun.
#[cfg(test)]
#[derive(Default)]
pub(super) struct KillSwitch(Mutex<Option<(i64, Kill)>>);

#[cfg(test)]
impl KillSwitch {
    pub(super) fn arm(&self, at: i64, kill: Kill) {
        *self.0.lock() = Some((at, kill));
    }

    pub(super) fn disarm(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn dead(&self) -> bool {
        self.0.lock().is_some_and(|(left, _)| left <= 0)
    }

    /// Counts a commit that is about to be made; `false` when it comes to nothing.
    fn before(&self) -> bool {
        let mut state = self.0.lock();
        let Some((left, kill)) = state.as_mut() else { return true };
        let was = *left;
        *left -= 1;
        was > 1 || (was == 1 && *kill == Kill::After)
    }
}

impl Inner {
    /// Passes the point before a commit of the engine.
    pub(super) fn before_commit(&self) -> Result<(), Fault> {
        fail_point!("engine.turn.before_commit");
        #[cfg(test)]
        if !self.kill.before() {
            return Err(Fault::new(Kind::Unavailable, message!("engine.stopping")));
        }
        Ok(())
    }

    /// Passes the point after a commit of the engine; `false`: the server has ended.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests end the server here"))]
    pub(super) fn after_commit(&self) -> bool {
        fail_point!("engine.turn.after_commit");
        #[cfg(test)]
        if self.kill.dead() {
            return false;
        }
        true
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

/// A password that an object holds, for what the engine does with it; `None` when it is empty.
pub(super) fn secret(
    view: &View,
    id: ObjectId,
    field: &str,
) -> Result<Option<SecretString>, Fault> {
    let text = view.password(&myself(), id, field, None)?;
    Ok(Some(text.as_str().to_owned()).filter(|text| !text.is_empty()).map(Into::into))
}
