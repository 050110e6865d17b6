//! How many processes are active at once, and how many commands run at once
//! (rule: `operations/process-limits`).
//!
//! A process that waits for its children does not count: what it waits for can then always be
//! started, however deep forks are nested.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use kompira_schema::id::ProcessId;

use super::inner::Inner;
use super::vm::request::{LIBRARY_CALL, Request};

/// Counts those inside and keeps the line of those that wait for room.
pub(super) struct Admission {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counted: usize,
    waiting: VecDeque<ProcessId>,
}

impl Admission {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), state: Mutex::default() }
    }

    /// Takes up to `wanted` places for `id` or its children; with none it waits in line.
    pub(super) fn take(&self, id: ProcessId, wanted: usize) -> usize {
        let mut state = self.state.lock();
        let free = self.limit.saturating_sub(state.counted);
        let turn = state.waiting.iter().position(|&other| other == id);
        if turn.unwrap_or(state.waiting.len()) >= free.max(1) || free == 0 {
            if turn.is_none() {
                state.waiting.push_back(id);
            }
            return 0;
        }
        if let Some(turn) = turn {
            state.waiting.remove(turn);
        }
        let taken = wanted.min(free);
        state.counted += taken;
        taken
    }

    /// Whether there are several inside.
    pub(super) fn has_several(&self) -> bool {
        self.state.lock().counted > 1
    }

    /// Takes a place without a question: it held one before.
    pub(super) fn take_back(&self) {
        self.state.lock().counted += 1;
    }

    /// Gives `count` places back; answers who may try now, if there is room.
    pub(super) fn give(&self, count: usize) -> Option<ProcessId> {
        let mut state = self.state.lock();
        state.counted = state.counted.saturating_sub(count);
        state.waiting.front().copied().filter(|_| state.counted < self.limit)
    }

    /// Leaves the line; answers who may try now instead.
    pub(super) fn leave(&self, id: ProcessId) -> Option<ProcessId> {
        let mut state = self.state.lock();
        let first = state.waiting.front() == Some(&id);
        state.waiting.retain(|&other| other != id);
        state.waiting.front().copied().filter(|_| first)
    }
}

/// Which places something takes: what waits for Python holds up no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Commands and other jobs.
    Commands,
    /// Calls of libraries' functions.
    Calls,
}

impl Pool {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Builtin { name, .. } if name == LIBRARY_CALL => Self::Calls,
            _ => Self::Commands,
        }
    }

    fn places(self, inner: &Inner) -> &Admission {
        match self {
            Self::Commands => &inner.commands,
            Self::Calls => &inner.calls,
        }
    }
}

/// Leaves the lines for both, and lets the next try.
pub(super) fn leave(inner: &Inner, id: ProcessId) {
    for pool in [Pool::Commands, Pool::Calls] {
        if let Some(next) = pool.places(inner).leave(id) {
            inner.wake(next);
        }
    }
}

/// A command's place among those that run at once; given back when it is dropped. A command that
/// waits for one has not begun, so that a crash leaves nothing open.
pub(super) struct Place {
    inner: Arc<Inner>,
    pool: Pool,
}

impl Place {
    /// Takes a place for the command of `id`; without one it waits in line and is woken.
    pub(super) fn take(inner: &Arc<Inner>, pool: Pool, id: ProcessId) -> Option<Self> {
        let places = pool.places(inner);
        if places.take(id, 1) == 0 {
            return None;
        }
        if let Some(next) = places.give(0) {
            inner.wake(next);
        }
        Some(Self { inner: Arc::clone(inner), pool })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(next) = self.pool.places(&self.inner).give(1) {
            self.inner.wake(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/process-limits
    #[test]
    fn beyond_the_limit_processes_wait_in_line() {
        let admission = Admission::new(2);
        let [a, b, c, d] = [1, 2, 3, 4].map(ProcessId);
        assert_eq!(admission.take(a, 1), 1);
        assert_eq!(admission.take(b, 1), 1);
        assert_eq!(admission.take(c, 1), 0);
        assert_eq!(admission.take(d, 5), 0);
        assert_eq!(admission.give(0), None, "there is no room");
        assert_eq!(admission.give(1), Some(c));
        assert_eq!(admission.take(d, 5), 0, "c was first");
        assert_eq!(admission.take(c, 1), 1);
        assert_eq!(admission.give(2), Some(d));
        assert_eq!(admission.take(d, 5), 2, "as many as there is room for");
    }

    #[test]
    fn one_who_leaves_the_line_lets_the_next_try() {
        let admission = Admission::new(1);
        let [a, b, c] = [1, 2, 3].map(ProcessId);
        admission.take(a, 1);
        admission.take(b, 1);
        admission.take(c, 1);
        assert_eq!(admission.leave(c), None);
        admission.take(c, 1);
        assert_eq!(admission.leave(b), Some(c));
    }
}
