//! The run queue: processes that have something to do, first come first served.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use kompira_schema::id::ProcessId;

/// Processes that wait for a worker. Each is in it at most once: its slot sees to that.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<ProcessId>,
    closed: bool,
}

impl Queue {
    /// Adds a process at the end.
    pub(super) fn push(&self, id: ProcessId) {
        self.state.lock().waiting.push_back(id);
        self.filled.notify_one();
    }

    /// Whether nobody waits for a worker.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    /// Takes the first; blocks while there is none. `None` when the queue is closed.
    pub(super) fn pop(&self) -> Option<ProcessId> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(id) = state.waiting.pop_front() {
                return Some(id);
            }
            self.filled.wait(&mut state);
        }
    }

    /// Sends all workers home; what waits stays as it is in the store.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }
}
