//! Where work waits for the committer, and where callers wait for their answers.
//!
//! Nothing here spins or yields: on a machine that is busy with something else, a thread that
//! yields loses its whole turn, and a commit would cost milliseconds.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::message;

use super::{Durability, Plan};
use crate::store::batch::{Batch, CommitError};
use crate::store::kv::StoreError;

/// Work that may wait for the committer; beyond this, callers wait to hand it in.
const WAITING_MAX: usize = 1024;

/// What waits for the committer.
pub(super) enum Work {
    /// A commit.
    Commit(Box<Batch>, Durability, Answer<Rev>),
    /// A change of the store's own rows, decided on the newest state; it makes no revision.
    Apply(Plan, Durability, Answer<()>),
    /// Run while nothing is written; the answer is the newest revision.
    Still(Box<dyn FnOnce() -> Result<(), StoreError> + Send>, Answer<Rev>),
}

impl Work {
    fn lead(&self) {
        match self {
            Self::Commit(_, _, answer) | Self::Still(_, answer) => answer.lead(),
            Self::Apply(_, _, answer) => answer.lead(),
        }
    }
}

pub(super) fn closed() -> CommitError {
    CommitError::Fault(Fault::new(Kind::Unavailable, message!("store.unavailable")))
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a waiting caller is told.
pub(super) enum Told<T> {
    /// Its work is done.
    Done(Result<T, CommitError>),
    /// It is the first that waits and nobody works: it has to see to it itself.
    Lead,
}

struct Slot<T> {
    told: Mutex<Heard<T>>,
    ready: Condvar,
}

struct Heard<T> {
    told: Option<Told<T>>,
    /// Whether the caller sleeps: who works off its own work is never woken.
    asleep: bool,
}

/// The committer's side of an answer. Lost without one, it says that the store is closed.
pub(super) struct Answer<T>(Option<Arc<Slot<T>>>);

/// The caller's side of an answer.
pub(super) struct Waiting<T>(Arc<Slot<T>>);

/// An answer that is still to be given.
pub(super) fn answer<T>() -> (Answer<T>, Waiting<T>) {
    let told = Mutex::new(Heard { told: None, asleep: false });
    let slot = Arc::new(Slot { told, ready: Condvar::new() });
    (Answer(Some(Arc::clone(&slot))), Waiting(slot))
}

impl<T> Answer<T> {
    pub(super) fn send(mut self, done: Result<T, CommitError>) {
        if let Some(slot) = self.0.take() {
            slot.tell(Told::Done(done));
        }
    }

    fn lead(&self) {
        if let Some(slot) = &self.0 {
            slot.tell(Told::Lead);
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.tell(Told::Done(Err(closed())));
        }
    }
}

impl<T> Slot<T> {
    fn tell(&self, what: Told<T>) {
        let mut heard = held(&self.told);
        heard.told = Some(what);
        let asleep = heard.asleep;
        drop(heard);
        if asleep {
            self.ready.notify_one();
        }
    }
}

impl<T> Waiting<T> {
    /// Whether the answer is there.
    pub(super) fn is_done(&self) -> bool {
        matches!(held(&self.0.told).told, Some(Told::Done(_)))
    }

    /// Waits for what there is to hear.
    pub(super) fn wait(&self) -> Told<T> {
        let mut heard = held(&self.0.told);
        heard.asleep = true;
        loop {
            match heard.told.take() {
                Some(told) => {
                    heard.asleep = false;
                    return told;
                }
                None => heard = self.0.ready.wait(heard).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Why the thread of the committer woke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// Something was written that wants a background sync.
    Wake,
    /// The time it asked for has come.
    Time,
    /// The store is being closed.
    Stop,
}

#[derive(Default)]
struct State {
    works: VecDeque<Work>,
    /// How many works the one who gathers waits for; 0: nobody gathers.
    wanted: usize,
    wake: bool,
    stop: bool,
    closed: bool,
}

/// The queue before the committer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is room for more.
    room: Condvar,
    /// As many as wanted are here.
    here: Condvar,
    /// The thread has to look.
    thread: Condvar,
}

impl Queue {
    /// Hands in work; waits while too much of it is here. Answers whether it was taken.
    pub(super) fn push(&self, work: Work) -> bool {
        let mut state = held(&self.state);
        while state.works.len() >= WAITING_MAX && !state.closed {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        state.works.push_back(work);
        if state.wanted > 0 && state.works.len() >= state.wanted {
            state.wanted = 0;
            self.here.notify_one();
        }
        true
    }

    /// The next work.
    pub(super) fn pop(&self) -> Option<Work> {
        self.pop_if(|_| true)
    }

    /// The next work, if it is a commit.
    pub(super) fn pop_commit(&self) -> Option<(Batch, Durability, Answer<Rev>)> {
        match self.pop_if(|work| matches!(work, Work::Commit(..))) {
            Some(Work::Commit(batch, durability, answer)) => Some((*batch, durability, answer)),
            _ => None,
        }
    }

    fn pop_if(&self, wanted: impl Fn(&Work) -> bool) -> Option<Work> {
        let mut state = held(&self.state);
        if !state.works.front().is_some_and(wanted) {
            return None;
        }
        let work = state.works.pop_front();
        if state.works.len() + 1 == WAITING_MAX {
            self.room.notify_all();
        }
        work
    }

    /// Waits until `wanted` works are here, or the moment `until`.
    pub(super) fn gather(&self, wanted: usize, until: Instant) {
        let mut state = held(&self.state);
        while state.works.len() < wanted && !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.wanted = wanted;
            let waited = self.here.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = 0;
    }

    /// Tells the first that waits, if one does, that the committer is free.
    pub(super) fn pass_on(&self) {
        if let Some(first) = held(&self.state).works.front() {
            first.lead();
        }
    }

    /// Takes no more work, and answers what is here that the store is closed.
    pub(super) fn close(&self) {
        let mut state = held(&self.state);
        state.closed = true;
        let works = std::mem::take(&mut state.works);
        drop(state);
        drop(works);
        self.room.notify_all();
        self.here.notify_all();
        self.thread.notify_all();
    }

    /// Makes the thread look.
    pub(super) fn wake(&self) {
        held(&self.state).wake = true;
        self.thread.notify_one();
    }

    /// Makes the thread end.
    pub(super) fn stop(&self) {
        held(&self.state).stop = true;
        self.thread.notify_one();
    }

    /// For the thread: waits to be woken, at most until `until`.
    pub(super) fn sleep(&self, until: Option<Instant>) -> Woken {
        let mut state = held(&self.state);
        loop {
            if state.stop || state.closed {
                return Woken::Stop;
            }
            if std::mem::take(&mut state.wake) {
                return Woken::Wake;
            }
            state = match until {
                None => self.thread.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Woken::Time;
                    }
                    let waited = self.thread.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn still(answer: Answer<Rev>) -> Work {
        Work::Still(Box::new(|| Ok(())), answer)
    }

    #[test]
    fn an_answer_that_is_lost_says_closed() {
        let (lost, waiting) = answer::<()>();
        drop(lost);
        assert!(matches!(waiting.wait(), Told::Done(Err(CommitError::Fault(_)))));
    }

    #[test]
    fn the_first_that_waits_is_told_to_lead_and_then_its_answer() {
        let queue = Queue::default();
        let (first, waiting) = answer();
        assert!(queue.push(still(first)));
        queue.pass_on();
        assert!(matches!(waiting.wait(), Told::Lead));
        assert!(!waiting.is_done());
        let Some(Work::Still(_, first)) = queue.pop() else { panic!("it waits") };
        first.send(Ok(Rev(1)));
        assert!(matches!(waiting.wait(), Told::Done(Ok(Rev(1)))));
    }

    #[test]
    fn a_closed_queue_answers_all_and_takes_no_more() {
        let queue = Queue::default();
        let (first, waiting) = answer();
        assert!(queue.push(still(first)));
        queue.close();
        assert!(matches!(waiting.wait(), Told::Done(Err(_))));
        assert!(!queue.push(still(answer().0)));
        assert_eq!(queue.sleep(None), Woken::Stop);
    }

    #[test]
    fn gathering_ends_with_the_last_wanted_or_with_its_time() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.gather(1, start + std::time::Duration::from_millis(5));
        assert!(start.elapsed().as_millis() >= 5);
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(queue.push(still(answer().0))));
            queue.gather(1, start + std::time::Duration::from_secs(60));
        });
        assert!(start.elapsed().as_secs() < 30);
    }
}
