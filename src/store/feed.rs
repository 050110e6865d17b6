//! The change feed: each commit, in order, to whoever subscribed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use jiff::Timestamp;
use kompira_schema::id::{Rev, UserId};

use super::codec::{ChangeRow, Changed};

/// Commits that wait for one subscriber; one that is further behind starts anew.
pub const FEED_WAITING_MAX: usize = 4096;

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

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// The next commit.
    Commit(Arc<CommitInfo>),
    /// Commits were left out because the reader was too slow: everything may have changed.
    Missed,
}

/// A place in the feed. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    receiver: Receiver<Fed>,
    missed: Arc<AtomicBool>,
}

impl Subscription {
    /// The next item; `None` when the store is closed.
    #[must_use]
    pub fn recv(&self) -> Option<Fed> {
        match self.receiver.try_recv() {
            Ok(fed) => Some(fed),
            // All that was sent is read: now say what could not be sent.
            Err(_) if self.missed.swap(false, Ordering::AcqRel) => Some(Fed::Missed),
            Err(_) => self.receiver.recv().ok(),
        }
    }

    /// The next item, if there is one within `timeout`.
    ///
    /// # Errors
    /// Whether it was the time or the store that ended.
    pub fn recv_timeout(
        &self,
        timeout: std::time::Duration,
    ) -> Result<Fed, crossbeam_channel::RecvTimeoutError> {
        match self.receiver.try_recv() {
            Ok(fed) => Ok(fed),
            Err(_) if self.missed.swap(false, Ordering::AcqRel) => Ok(Fed::Missed),
            Err(_) => self.receiver.recv_timeout(timeout),
        }
    }
}

#[derive(Debug)]
struct Subscriber {
    sender: Sender<Fed>,
    missed: Arc<AtomicBool>,
}

/// The subscribers. The committer never waits for them.
#[derive(Debug, Default)]
pub(super) struct Feed {
    subscribers: Mutex<Vec<Subscriber>>,
}

impl Feed {
    pub(super) fn subscribe(&self) -> Subscription {
        self.subscribe_with(FEED_WAITING_MAX)
    }

    fn subscribe_with(&self, waiting_max: usize) -> Subscription {
        let (sender, receiver) = bounded(waiting_max);
        let missed = Arc::new(AtomicBool::new(false));
        let subscriber = Subscriber { sender, missed: Arc::clone(&missed) };
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
        Subscription { receiver, missed }
    }

    /// Hands a commit to every subscriber. Called in the order of revisions.
    pub(super) fn tell(&self, info: &Arc<CommitInfo>) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| {
            // While a reader owes itself a new start, commits need not reach it: but from the
            // moment it has seen `Missed`, all do.
            if subscriber.missed.load(Ordering::Acquire) {
                return true;
            }
            match subscriber.sender.try_send(Fed::Commit(Arc::clone(info))) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    subscriber.missed.store(true, Ordering::Release);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
    }

    /// Ends every subscription.
    pub(super) fn close(&self) {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        let reader = feed.subscribe_with(2);
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
    fn a_dropped_reader_is_forgotten() {
        let feed = Feed::default();
        drop(feed.subscribe());
        feed.tell(&info(1));
        assert!(feed.subscribers.lock().unwrap().is_empty());
    }
}
