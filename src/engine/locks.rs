//! Multiplicity: how many processes may be inside a jobflow at once
//! (rule: `operations/multiplicity`).

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use kompira_schema::id::{ObjectId, ProcessId};

/// Who is inside of what, and who waits.
#[derive(Default)]
pub(super) struct Locks(Mutex<HashMap<ObjectId, Lock>>);

#[derive(Default)]
struct Lock {
    inside: Vec<ProcessId>,
    waiting: VecDeque<ProcessId>,
}

impl Locks {
    /// Takes a place if there is one and nobody was there before; waits in line otherwise.
    pub(super) fn acquire(&self, jobflow: ObjectId, id: ProcessId, places: u32) -> bool {
        let mut locks = self.0.lock();
        let lock = locks.entry(jobflow).or_default();
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        let free = places.saturating_sub(lock.inside.len());
        let turn = lock.waiting.iter().position(|&other| other == id);
        if turn.unwrap_or(lock.waiting.len()) < free {
            if let Some(turn) = turn {
                lock.waiting.remove(turn);
            }
            lock.inside.push(id);
            return true;
        }
        if turn.is_none() {
            lock.waiting.push_back(id);
        }
        false
    }

    /// Whether somebody stands in the line.
    pub(super) fn is_wanted(&self, jobflow: ObjectId) -> bool {
        self.0.lock().get(&jobflow).is_some_and(|lock| !lock.waiting.is_empty())
    }

    /// Takes a place without a question: a process that holds it comes back after a restart.
    pub(super) fn restore(&self, jobflow: ObjectId, id: ProcessId) {
        self.0.lock().entry(jobflow).or_default().inside.push(id);
    }

    /// Leaves the line; answers who may try now.
    pub(super) fn leave(&self, jobflow: ObjectId, id: ProcessId) -> Vec<ProcessId> {
        let mut locks = self.0.lock();
        let Some(lock) = locks.get_mut(&jobflow) else { return Vec::new() };
        if !lock.waiting.contains(&id) {
            return Vec::new();
        }
        lock.waiting.retain(|&other| other != id);
        let next = lock.waiting.iter().copied().collect();
        if lock.inside.is_empty() && lock.waiting.is_empty() {
            locks.remove(&jobflow);
        }
        next
    }

    /// Gives a place back; answers who may try now. Who stands in the line stays there: he may have
    /// asked again before his place was given back.
    pub(super) fn release(&self, jobflow: ObjectId, id: ProcessId) -> Vec<ProcessId> {
        let mut locks = self.0.lock();
        let Some(lock) = locks.get_mut(&jobflow) else { return Vec::new() };
        lock.inside.retain(|&other| other != id);
        let next = lock.waiting.iter().copied().collect();
        if lock.inside.is_empty() && lock.waiting.is_empty() {
            locks.remove(&jobflow);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/multiplicity
    #[test]
    fn places_are_given_in_the_order_of_asking() {
        let (locks, job) = (Locks::default(), ObjectId(9));
        let [a, b, c] = [1, 2, 3].map(ProcessId);
        assert!(locks.acquire(job, a, 1));
        assert!(!locks.acquire(job, b, 1));
        assert!(!locks.acquire(job, c, 1));
        assert_eq!(locks.release(job, a), [b, c]);
        assert!(!locks.acquire(job, c, 1), "b was first");
        assert!(locks.acquire(job, b, 1));
        assert!(!locks.acquire(job, c, 1));
        assert_eq!(locks.release(job, b), [c]);
        assert!(locks.acquire(job, c, 1));
        assert!(locks.release(job, c).is_empty());
        assert!(locks.0.lock().is_empty());
    }

    #[test]
    fn one_who_leaves_the_line_holds_nobody_up() {
        let (locks, job) = (Locks::default(), ObjectId(9));
        let [a, b, c] = [1, 2, 3].map(ProcessId);
        assert!(locks.acquire(job, a, 1));
        assert!(!locks.acquire(job, b, 1));
        assert!(!locks.acquire(job, c, 1));
        assert_eq!(locks.leave(job, b), [c]);
        locks.release(job, a);
        assert!(locks.acquire(job, c, 1));
    }

    #[test]
    fn one_who_asks_again_before_his_place_is_given_back_stands_behind_the_others() {
        let (locks, job) = (Locks::default(), ObjectId(9));
        let [a, b] = [1, 2].map(ProcessId);
        assert!(locks.acquire(job, a, 1) && !locks.is_wanted(job));
        assert!(!locks.acquire(job, b, 1) && locks.is_wanted(job));
        assert!(!locks.acquire(job, a, 1));
        assert_eq!(locks.release(job, a), [b, a]);
        assert!(locks.acquire(job, b, 1));
        assert_eq!(locks.release(job, b), [a]);
        assert!(locks.acquire(job, a, 1));
    }
}
