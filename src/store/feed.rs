//! The change feed: each commit, in order, to whoever subscribed.
//!
//! A thread that is woken costs the one that commits more than the commit itself. So a reader that
//! has read all rests a moment before it lets itself be woken by every commit again; only what
//! somebody may wait for (a message, a task, a schedule) wakes it from that rest.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use jiff::Timestamp;
use kompira_schema::id::{Rev, UserId};
use kompira_schema::value::Ref;

use super::codec::{ChangeRow, Changed, What};

/// Commits that wait for one subscriber; one that is further behind starts anew.
pub const FEED_WAITING_MAX: usize = 4096;
/// How long commits gather before a reader that has just read others looks again.
const GATHER: Duration = Duration::from_millis(2);

/// One commit as the feed tells it. Its state can be read when this arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its revision.
    pub rev: Rev,
    /// When.
    pub time: Timestamp,
    /// The session that did it, if it named itself.
    pub origin: Option<u64>,
    /// On whose behalf.
    pub by: Option<UserId>,
    /// What changed.
    pub changes: Vec<Changed>,
}

impl CommitInfo {
    pub(super) fn new(rev: Rev, row: ChangeRow) -> Self {
        let ChangeRow { time, origin, by, changes } = row;
        Self { rev, time, origin, by, changes }
    }
}

/// Whether somebody may wait for a change: for more than an object's own.
fn may_be_waited_for(changed: &Changed) -> bool {
    !matches!(changed.subject, Ref::Object(_)) || changed.what == What::Queue
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// The next commit.
    Commit(Arc<CommitInfo>),
    /// Commits were left out because the reader was too slow: everything may have changed.
    Missed,
}

/// What a reader does while it has nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It is at work.
    None,
    /// It lets commits gather: it wakes by itself.
    Nap,
    /// It waits for the next commit.
    Sleep,
}

#[derive(Debug)]
struct Waiting {
    commits: VecDeque<Arc<CommitInfo>>,
    max: usize,
    /// Commits were left out since the last one in `commits`.
    missed: bool,
    rest: Rest,
    /// Whether it has read something since it last let commits gather.
    read: bool,
    /// The store is closed.
    closed: bool,
    /// The reader is gone.
    left: bool,
}

#[derive(Debug)]
struct Line {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    /// What it is woken for at once.
    hurries: fn(&Changed) -> bool,
}

impl Line {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit; answers whether there is still a reader.
    fn push(&self, info: &Arc<CommitInfo>) -> bool {
        let mut waiting = self.waiting();
        if waiting.left {
            return false;
        }
        // While a reader owes itself a new start, commits need not reach it: but from the moment
        // it has seen `Missed`, all do.
        if waiting.missed {
            return true;
        }
        if waiting.commits.len() >= waiting.max {
            waiting.missed = true;
        } else {
            waiting.commits.push_back(Arc::clone(info));
        }
        let wakes = match waiting.rest {
            Rest::None => false,
            Rest::Nap => {
                waiting.commits.len() * 2 > waiting.max || info.changes.iter().any(self.hurries)
            }
            Rest::Sleep => true,
        };
        if wakes {
            waiting.rest = Rest::None;
            drop(waiting);
            self.bell.notify_one();
        }
        true
    }

    fn close(&self) {
        self.waiting().closed = true;
        self.bell.notify_one();
    }

    fn next(&self, until: Option<Instant>) -> Result<Fed, RecvTimeoutError> {
        let mut waiting = self.waiting();
        loop {
            if let Some(info) = waiting.commits.pop_front() {
                waiting.read = true;
                return Ok(Fed::Commit(info));
            }
            // All that was kept is read: now say what could not be kept.
            if std::mem::take(&mut waiting.missed) {
                waiting.read = true;
                return Ok(Fed::Missed);
            }
            if waiting.closed {
                return Err(RecvTimeoutError::Disconnected);
            }
            let mut wait = until.map(|until| until.saturating_duration_since(Instant::now()));
            if wait.is_some_and(|left| left.is_zero()) {
                return Err(RecvTimeoutError::Timeout);
            }
            waiting.rest = Rest::Sleep;
            if std::mem::take(&mut waiting.read) {
                waiting.rest = Rest::Nap;
                wait = Some(wait.map_or(GATHER, |left| left.min(GATHER)));
            }
            waiting = match wait {
                None => self.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = self.bell.wait_timeout(waiting, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            waiting.rest = Rest::None;
        }
    }
}

/// A place in the feed. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    line: Arc<Line>,
}

impl Subscription {
    /// The next item; `None` when the store is closed.
    #[must_use]
    pub fn recv(&self) -> Option<Fed> {
        self.line.next(None).ok()
    }

    /// The next item, if there is one within `timeout`.
    ///
    /// # Errors
    /// Whether it was the time or the store that ended.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Fed, RecvTimeoutError> {
        self.line.next(Some(Instant::now() + timeout))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.line.waiting().left = true;
    }
}

/// The subscribers. The committer never waits for them.
#[derive(Debug, Default)]
pub(super) struct Feed {
    subscribers: Mutex<Vec<Arc<Line>>>,
}

impl Feed {
    pub(super) fn subscribe(&self) -> Subscription {
        self.subscribe_with(FEED_WAITING_MAX, may_be_waited_for)
    }

    /// As [`Feed::subscribe`], for a reader that says itself what it hurries for.
    pub(super) fn subscribe_for(&self, hurries: fn(&Changed) -> bool) -> Subscription {
        self.subscribe_with(FEED_WAITING_MAX, hurries)
    }

    fn subscribe_with(&self, max: usize, hurries: fn(&Changed) -> bool) -> Subscription {
        let waiting = Mutex::new(Waiting {
            commits: VecDeque::new(),
            max,
            missed: false,
            rest: Rest::None,
            read: false,
            closed: false,
            left: false,
        });
        let line = Arc::new(Line { waiting, bell: Condvar::new(), hurries });
        self.subscribers().push(Arc::clone(&line));
        Subscription { line }
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a commit to every subscriber. Called in the order of revisions.
    pub(super) fn tell(&self, info: &Arc<CommitInfo>) {
        self.subscribers().retain(|line| line.push(info));
    }

    /// Ends every subscription.
    pub(super) fn close(&self) {
        for line in self.subscribers().drain(..) {
            line.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(rev: u64) -> Arc<CommitInfo> {
        let row =
            ChangeRow { time: Timestamp::UNIX_EPOCH, origin: None, by: None, changes: Vec::new() };
        Arc::new(CommitInfo::new(Rev(rev), row))
    }

    #[test]
    fn a_slow_reader_is_told_to_start_anew_and_then_misses_nothing() {
        let feed = Feed::default();
        let reader = feed.subscribe_with(2, may_be_waited_for);
        for rev in 1..=4 {
            feed.tell(&info(rev));
        }
        assert_eq!(reader.recv(), Some(Fed::Commit(info(1))));
        assert_eq!(reader.recv(), Some(Fed::Commit(info(2))));
        assert_eq!(reader.recv(), Some(Fed::Missed));
        feed.tell(&info(5));
        assert_eq!(reader.recv(), Some(Fed::Commit(info(5))));
        feed.close();
        assert_eq!(reader.recv(), None);
    }

    #[test]
    fn who_rests_finds_what_came_and_who_waits_in_vain_is_told_so() {
        let feed = Feed::default();
        let reader = feed.subscribe();
        assert_eq!(reader.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=100).for_each(|rev| feed.tell(&info(rev))));
            for rev in 1..=100 {
                assert_eq!(reader.recv(), Some(Fed::Commit(info(rev))));
            }
        });
        let left = reader.recv_timeout(Duration::from_millis(1));
        assert_eq!(left, Err(RecvTimeoutError::Timeout));
        feed.close();
        let left = reader.recv_timeout(Duration::from_secs(60));
        assert_eq!(left, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_message_does_not_wait_for_others_to_gather() {
        let plain = Changed {
            subject: Ref::Object(kompira_schema::id::ObjectId(7)),
            what: What::Content,
            place: None,
            old: None,
        };
        assert!(!may_be_waited_for(&plain));
        assert!(may_be_waited_for(&Changed { what: What::Queue, ..plain.clone() }));
        let process = Ref::Process(kompira_schema::id::ProcessId(7));
        assert!(may_be_waited_for(&Changed { subject: process, ..plain }));
    }

    #[test]
    fn a_dropped_reader_is_forgotten() {
        let feed = Feed::default();
        drop(feed.subscribe());
        feed.tell(&info(1));
        assert!(feed.subscribers().is_empty());
    }
}
