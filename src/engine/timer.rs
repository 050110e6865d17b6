//! Deadlines: one thread that sleeps until the next, on the monotonic clock.
//!
//! Deadlines are kept with the process as wall-clock times and turned into monotonic ones when a
//! wait begins or is entered again: a clock that jumps wakes nobody early.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use kompira_schema::id::ProcessId;

use crate::base::clock::{Alarm, Clock};

/// All deadlines of waiting processes, one each: some forty bytes for a process that sleeps.
pub(super) struct Timers {
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
    state: Mutex<State>,
}

/// Nanoseconds on the monotonic clock.
type Moment = u64;

#[derive(Default)]
struct State {
    /// When somebody is to be woken.
    order: BTreeSet<(Moment, ProcessId)>,
    /// When waits end; an entry stays until the wait has ended.
    due: HashMap<ProcessId, Moment>,
    closed: bool,
}

impl Timers {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, alarm: Arc::new(Alarm::default()), state: Mutex::default() }
    }

    /// Sets the deadline of a process; an earlier one is forgotten.
    pub(super) fn set(&self, id: ProcessId, at: Timestamp) {
        let left = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        let at = self.moment(left);
        let mut state = self.state.lock();
        if let Some(old) = state.due.insert(id, at) {
            state.order.remove(&(old, id));
        }
        self.enter(state, id, at);
    }

    /// Wakes a process after `wait`, whatever its deadline is.
    pub(super) fn retry(&self, id: ProcessId, wait: Duration) {
        self.enter(self.state.lock(), id, self.moment(wait));
    }

    fn moment(&self, left: Duration) -> Moment {
        let at = self.clock.monotonic().saturating_add(left);
        Moment::try_from(at.as_nanos()).unwrap_or(Moment::MAX)
    }

    fn enter(&self, mut state: MutexGuard<'_, State>, id: ProcessId, at: Moment) {
        let first = state.order.first().is_none_or(|&(first, _)| at < first);
        state.order.insert((at, id));
        drop(state);
        if first {
            self.alarm.ring();
        }
    }

    /// Whether the deadline of a process has come.
    pub(super) fn is_due(&self, id: ProcessId) -> bool {
        let now = self.moment(Duration::ZERO);
        self.state.lock().due.get(&id).is_some_and(|&due| due <= now)
    }

    /// Forgets the deadline of a process.
    pub(super) fn clear(&self, id: ProcessId) {
        let mut state = self.state.lock();
        if let Some(old) = state.due.remove(&id) {
            state.order.remove(&(old, id));
        }
    }

    /// Calls `wake` for each process whose time has come, until [`Timers::close`].
    pub(super) fn run(&self, wake: impl Fn(ProcessId)) {
        loop {
            let now = self.moment(Duration::ZERO);
            let (due, next) = {
                let mut state = self.state.lock();
                if state.closed {
                    return;
                }
                let mut due = Vec::new();
                while let Some(&(at, id)) = state.order.first() {
                    if at > now {
                        break;
                    }
                    state.order.pop_first();
                    due.push(id);
                }
                (due, state.order.first().map(|&(at, _)| Duration::from_nanos(at)))
            };
            for id in due {
                wake(id);
            }
            self.clock.wait(&self.alarm, next);
        }
    }

    /// Ends [`Timers::run`].
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.alarm.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Fake;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_wall_clock_that_jumps_wakes_nobody_early_and_nobody_late() {
        let clock = Arc::new(Fake::at(at("2025-03-30T00:00:00Z")));
        let timers = Arc::new(Timers::new(clock.clone()));
        timers.set(ProcessId(1), at("2025-03-30T00:00:10Z"));
        let (told, woken) = std::sync::mpsc::channel();
        let runner = {
            let timers = Arc::clone(&timers);
            std::thread::spawn(move || timers.run(|id| told.send(id).unwrap()))
        };
        while clock.waiting() == 0 {
            std::thread::yield_now();
        }
        clock.set_wall(at("2025-03-30T01:00:00Z"));
        clock.advance(Duration::from_secs(9));
        assert!(woken.try_recv().is_err());
        clock.set_wall(at("2025-03-29T00:00:00Z"));
        clock.advance(Duration::from_secs(1));
        assert_eq!(woken.recv().unwrap(), ProcessId(1));
        timers.close();
        runner.join().unwrap();
    }

    #[test]
    fn deadlines_come_in_order_and_a_cleared_one_never() {
        let clock = Arc::new(Fake::at(at("2025-01-01T00:00:00Z")));
        let timers = Arc::new(Timers::new(clock.clone()));
        for (id, second) in [(1, 30), (2, 10), (3, 20), (2, 40)] {
            let text = format!("2025-01-01T00:00:{second}Z");
            timers.set(ProcessId(id), at(&text));
        }
        timers.clear(ProcessId(1));
        clock.advance(Duration::from_secs(60));
        let (told, woken) = std::sync::mpsc::channel();
        let runner = {
            let timers = Arc::clone(&timers);
            std::thread::spawn(move || timers.run(|id| told.send(id).unwrap()))
        };
        assert_eq!(woken.recv().unwrap(), ProcessId(3));
        assert_eq!(woken.recv().unwrap(), ProcessId(2));
        timers.close();
        runner.join().unwrap();
        assert!(woken.try_recv().is_err());
    }
}
