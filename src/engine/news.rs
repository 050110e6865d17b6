//! What a thread that follows the store is told: which of its things changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::clock::Alarm;

/// Changes that wait to be looked at, and the bell of the thread that looks.
pub(super) struct Bell<K> {
    pub(super) alarm: Arc<Alarm>,
    news: Mutex<News<K>>,
    /// How often the thread has looked, and how often it was told, for tests that wait for it.
    #[cfg(test)]
    pub(super) looks: std::sync::atomic::AtomicU64,
    #[cfg(test)]
    pub(super) told: std::sync::atomic::AtomicU64,
}

/// What has changed since the last look.
pub(super) struct News<K> {
    pub(super) changed: BTreeSet<K>,
    /// The feed left something out: any may have changed.
    pub(super) all: bool,
}

impl<K> Default for News<K> {
    fn default() -> Self {
        Self { changed: BTreeSet::new(), all: false }
    }
}

impl<K> Default for Bell<K> {
    fn default() -> Self {
        Self {
            alarm: Arc::default(),
            news: Mutex::default(),
            #[cfg(test)]
            looks: Default::default(),
            #[cfg(test)]
            told: Default::default(),
        }
    }
}

impl<K: Ord> Bell<K> {
    /// One of them changed.
    pub(super) fn changed(&self, one: K) {
        self.news.lock().changed.insert(one);
        #[cfg(test)]
        self.told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.alarm.ring();
    }

    /// Some may have changed.
    pub(super) fn missed(&self) {
        self.news.lock().all = true;
        self.alarm.ring();
    }

    /// As [`Bell::missed`], for the next look, whenever that is.
    pub(super) fn missed_still(&self) {
        self.news.lock().all = true;
    }

    /// Lets the thread look whether the engine stops.
    pub(super) fn close(&self) {
        self.alarm.ring();
    }

    /// What is new; from here on nothing is.
    pub(super) fn take(&self) -> News<K> {
        std::mem::take(&mut *self.news.lock())
    }
}
