//! Which keys the recent commits wrote: the table that finds conflicts.

use std::collections::{HashMap, VecDeque};

use kompira_schema::id::Rev;

use super::batch::Mark;

/// Most remembered marks: about 20 MiB, and some seconds of the fastest writing.
const MARKS_MAX: usize = 1 << 18;

/// Last writer of each recently written mark.
///
/// Marks are hashes: two keys that share one cost a needless retry, never a missed conflict.
#[derive(Debug)]
pub(super) struct Window {
    last: HashMap<Mark, Rev>,
    order: VecDeque<(Rev, Mark)>,
    /// Commits up to this one are forgotten.
    floor: Rev,
    max: usize,
}

impl Window {
    pub(super) fn new(floor: Rev) -> Self {
        Self { last: HashMap::new(), order: VecDeque::new(), floor, max: MARKS_MAX }
    }

    /// Whether a commit decided at `base` that relied on `reads` has to be decided again.
    pub(super) fn conflicts(&self, base: Rev, reads: &[Mark]) -> bool {
        !reads.is_empty()
            && (base < self.floor
                || reads.iter().any(|mark| self.last.get(mark).is_some_and(|&rev| rev > base)))
    }

    /// Remembers that `rev` wrote `mark`.
    pub(super) fn wrote(&mut self, rev: Rev, mark: Mark) {
        if self.last.insert(mark, rev) == Some(rev) {
            return;
        }
        self.order.push_back((rev, mark));
        while self.order.len() > self.max {
            let Some((old, mark)) = self.order.pop_front() else { return };
            self.floor = self.floor.max(old);
            if self.last.get(&mark) == Some(&old) {
                self.last.remove(&mark);
            }
        }
    }

    /// Forgets all after a group that was not written: its revisions will be given again.
    pub(super) fn reset(&mut self, floor: Rev) {
        self.last.clear();
        self.order.clear();
        self.floor = floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_key_that_was_written_later_conflicts() {
        let mut window = Window::new(Rev(3));
        window.wrote(Rev(5), Mark(1));
        assert!(window.conflicts(Rev(4), &[Mark(1)]));
        assert!(!window.conflicts(Rev(5), &[Mark(1)]));
        assert!(!window.conflicts(Rev(4), &[Mark(2)]));
        assert!(!window.conflicts(Rev(0), &[]));
    }

    #[test]
    fn a_base_older_than_the_window_conflicts() {
        let mut window = Window::new(Rev(3));
        window.max = 2;
        assert!(window.conflicts(Rev(2), &[Mark(9)]));
        for rev in 4..8 {
            window.wrote(Rev(rev), Mark(rev));
        }
        assert_eq!(window.order.len(), 2);
        assert_eq!(window.last.len(), 2);
        assert!(window.conflicts(Rev(4), &[Mark(9)]));
        assert!(!window.conflicts(Rev(5), &[Mark(9)]));
    }

    #[test]
    fn a_mark_written_twice_is_remembered_at_its_last_writer() {
        let mut window = Window::new(Rev(0));
        window.max = 2;
        window.wrote(Rev(1), Mark(1));
        window.wrote(Rev(2), Mark(1));
        window.wrote(Rev(3), Mark(2));
        assert!(window.conflicts(Rev(1), &[Mark(1)]));
    }
}
