//! An active process in memory: who works on it, and what it was told meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use kompira_schema::id::{ProcessId, UserId};

use super::console::Tail;
use super::process::Modes;
use super::row::{Row, Wait};
use super::vm::Machine;
use crate::remote::Running;

/// One active process.
pub(super) struct Slot {
    pub(super) id: ProcessId,
    /// Set beside `state` so that a running slice sees it at once.
    pub(super) stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    /// For those who wait for nothing but the end.
    ended: Condvar,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// As committed.
    pub(super) row: Row,
    /// While it is between two slices; a waiting process has none.
    pub(super) machine: Option<Box<Machine>>,
    /// When the machine was last saved, monotonic.
    pub(super) saved: std::time::Duration,
    /// What it is to do at its next turn.
    pub(super) orders: Vec<Order>,
    /// How many orders were ever given, and how many were carried out and committed.
    pub(super) given: u64,
    pub(super) obeyed: u64,
    /// Output of a command, on its way to the console.
    pub(super) output: Tail,
    /// A turn has taken output that it has not committed yet.
    pub(super) moving: bool,
    /// The command in flight.
    pub(super) flight: Option<Flight>,
    /// Children that have not ended.
    pub(super) children: usize,
    /// Turns in a row that failed in the store.
    pub(super) failures: u32,
    /// How many wait for its end.
    awaited: usize,
    /// What they may be told of it.
    told: Told,
}

fn wait_on<T>(
    changed: &Condvar,
    mut state: MutexGuard<'_, State>,
    until: Option<Instant>,
    mut done: impl FnMut(&mut State) -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(answer) = done(&mut state) {
            return Some(answer);
        }
        match until {
            Some(until) => {
                if changed.wait_until(&mut state, until).timed_out() {
                    return done(&mut state);
                }
            }
            None => changed.wait(&mut state),
        }
    }
}

/// What is known of a process's end, once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A sync is under way, and tells.
    Not,
    /// Whoever asks sees to it himself that it stays.
    Committed,
    /// It stays.
    Durable,
}

/// What one who waited for the end of a process finds.
pub(super) enum End {
    /// It has ended, and that stays.
    Durable(Box<Row>),
    /// It may have: the store knows.
    Look,
}

impl State {
    /// Whether it waits for the command of this number.
    pub(super) fn waits_for(&self, sequence: u64) -> bool {
        self.row.status.is_active()
            && self.row.sequence == sequence
            && matches!(self.row.wait, Some(Wait::Command { begun: true, .. }))
    }

    /// Whether nothing is in it but the row, and its wait is one that others remember: the timer,
    /// the mailbox, the line for a lock or for room.
    pub(super) fn rests(&self) -> bool {
        let remembered = match &self.row.wait {
            Some(Wait::Until(_) | Wait::Events(_) | Wait::Lock(_) | Wait::Room | Wait::Resume) => {
                true
            }
            Some(Wait::Command { .. } | Wait::Children { .. }) | None => false,
        };
        remembered
            && self.phase == Phase::Idle
            && self.row.status.is_active()
            && self.machine.is_none()
            && self.orders.is_empty()
            && self.output.is_empty()
            && self.flight.is_none()
            && self.children == 0
            && self.failures == 0
    }
}

/// A command in flight.
pub(super) struct Flight {
    pub(super) sequence: u64,
    pub(super) running: Arc<dyn Running>,
}

/// Who works on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody.
    Idle,
    /// It is in the run queue.
    Queued,
    /// A worker.
    Running,
    /// A worker, and there is more to do.
    Again,
}

/// What somebody wants of a process.
pub(super) enum Order {
    Terminate,
    Suspend,
    Resume(Modes),
    Set(Modes),
    User(UserId),
}

impl Slot {
    pub(super) fn new(id: ProcessId, row: Row) -> Self {
        let state = State {
            phase: Phase::Idle,
            row,
            machine: None,
            saved: std::time::Duration::ZERO,
            orders: Vec::new(),
            given: 0,
            obeyed: 0,
            output: Tail::default(),
            moving: false,
            flight: None,
            children: 0,
            failures: 0,
            awaited: 0,
            told: Told::Committed,
        };
        Self {
            id,
            stop: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// A slot on which the caller works.
    pub(super) fn taken(id: ProcessId, row: Row) -> Self {
        let slot = Self::new(id, row);
        slot.lock().phase = Phase::Running;
        slot
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Tells those who wait that the row or the console changed.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Wakes whoever waits for anything: the engine stops.
    pub(super) fn tell_all(&self) {
        self.changed.notify_all();
        self.ended.notify_all();
    }

    /// Takes back what an attempt of a turn counted that came to nothing.
    pub(super) fn unborn(&self, born: &mut usize) {
        if *born > 0 {
            let mut state = self.lock();
            state.children = state.children.saturating_sub(std::mem::take(born));
        }
    }

    /// Whether it has not ended.
    pub(super) fn is_active(&self) -> bool {
        self.lock().row.status.is_active()
    }

    /// Notes that there is something to do; `true` when the caller must put it into the queue.
    #[must_use]
    pub(super) fn wake(&self, state: &mut State) -> bool {
        match state.phase {
            Phase::Idle if state.row.status.is_active() => {
                state.phase = Phase::Queued;
                true
            }
            Phase::Running => {
                state.phase = Phase::Again;
                false
            }
            Phase::Idle | Phase::Queued | Phase::Again => false,
        }
    }

    /// Makes the caller the one who works on it; `false` when somebody does, who will look again,
    /// or when it has ended.
    #[must_use]
    pub(super) fn claim(&self) -> bool {
        let mut state = self.lock();
        match state.phase {
            Phase::Idle | Phase::Queued if state.row.status.is_active() => {
                state.phase = Phase::Running;
                true
            }
            Phase::Running => {
                state.phase = Phase::Again;
                false
            }
            Phase::Idle | Phase::Queued | Phase::Again => false,
        }
    }

    /// Lets a slot go on which the caller has not worked.
    pub(super) fn unclaim(&self) {
        self.lock().phase = Phase::Idle;
    }

    /// As [`Slot::claim`], for the one who knows how the command of this number ended; `false`
    /// also when the process cannot go on at once.
    #[must_use]
    pub(super) fn claim_landed(&self, sequence: u64) -> bool {
        let mut state = self.lock();
        let free = matches!(state.phase, Phase::Idle | Phase::Queued)
            && state.waits_for(sequence)
            && !state.row.suspended
            && state.orders.is_empty();
        if free {
            state.phase = Phase::Running;
            state.flight.take_if(|flight| flight.sequence == sequence);
        }
        free
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until `done` answers something, at most until `until`.
    pub(super) fn wait_for<T>(
        &self,
        until: Option<Instant>,
        done: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        wait_on(&self.changed, self.lock(), until, done)
    }

    /// The output that a turn took is committed, or lost with the server.
    pub(super) fn settled(&self) {
        self.lock().moving = false;
        self.tell();
    }

    /// Takes the output that is on its way to the console and in nobody's hands.
    pub(super) fn take_output(&self) -> Tail {
        let output =
            self.wait_for(None, |state| (!state.moving).then(|| std::mem::take(&mut state.output)));
        output.unwrap_or_default()
    }

    /// Waits for the end of the process, at most until `until`, or until the engine `stops`.
    pub(super) fn await_end(
        &self,
        until: Option<Instant>,
        stops: impl Fn() -> bool,
    ) -> Option<End> {
        let mut state = self.lock();
        state.awaited += 1;
        let end = wait_on(&self.ended, state, until, |state| match state.told {
            _ if stops() => Some(End::Look),
            _ if state.row.status.is_active() => None,
            Told::Not => None,
            Told::Committed => Some(End::Look),
            Told::Durable => Some(End::Durable(Box::new(state.row.clone()))),
        });
        self.lock().awaited -= 1;
        end
    }

    /// Tells those who wait for the end that it is committed, or says that somebody waits who may
    /// be told by [`Slot::tell_durable`] instead, if that `can` be.
    #[must_use]
    pub(super) fn tell_end(&self, can: bool) -> bool {
        let mut state = self.lock();
        let later = can && state.awaited > 0;
        state.told = if later { Told::Not } else { Told::Committed };
        drop(state);
        if !later {
            self.ended.notify_all();
        }
        later
    }

    /// Tells those who wait for the end that it is durable, or that they have to see themselves.
    pub(super) fn tell_durable(&self, durable: bool) {
        self.lock().told = if durable { Told::Durable } else { Told::Committed };
        self.ended.notify_all();
    }

    /// Waits until the console is longer than `from` (`false`) or the process has ended (`true`).
    pub(super) fn await_console(&self, from: u64, until: Option<Instant>) -> Option<bool> {
        self.wait_for(until, |state| {
            if !state.row.status.is_active() {
                Some(true)
            } else if state.row.console.1 > from {
                Some(false)
            } else {
                None
            }
        })
    }
}
