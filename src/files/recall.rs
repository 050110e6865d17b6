//! Objects that were unlinked a moment ago: git checks a file out by removing and creating it.

use std::collections::HashMap;
use std::time::Duration;

use kompira_schema::id::ObjectId;
use kompira_schema::record::Record;
use parking_lot::Mutex;

use super::ghost::GHOST_SECONDS;

/// Most remembered objects. Reason: `rm -r` of a large tree must not fill memory.
const RECALLED_MAX: usize = 4_096;

/// What a file that is created at the same name takes over.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) id: ObjectId,
    /// Its record, if it said more than the defaults.
    pub(super) record: Option<Record>,
}

#[derive(Debug, Default)]
pub(super) struct Recalled(Mutex<HashMap<(ObjectId, String), (Past, Duration)>>);

impl Recalled {
    pub(super) fn add(&self, dir: ObjectId, name: &str, past: Past, now: Duration) {
        let mut all = self.0.lock();
        if all.len() >= RECALLED_MAX {
            all.retain(|_, (_, until)| *until > now);
            if all.len() >= RECALLED_MAX {
                all.clear();
            }
        }
        all.insert((dir, name.to_owned()), (past, now + Duration::from_secs(GHOST_SECONDS)));
    }

    pub(super) fn get(&self, dir: ObjectId, name: &str, now: Duration) -> Option<Past> {
        let all = self.0.lock();
        if all.is_empty() {
            return None;
        }
        all.get(&(dir, name.to_owned()))
            .filter(|(_, until)| *until > now)
            .map(|(past, _)| past.clone())
    }

    /// The record was removed too: what comes back is bare.
    pub(super) fn without_record(&self, id: ObjectId) {
        for (past, _) in self.0.lock().values_mut() {
            if past.id == id {
                past.record = None;
            }
        }
    }

    pub(super) fn remove(&self, dir: ObjectId, name: &str) {
        let mut all = self.0.lock();
        if !all.is_empty() {
            all.remove(&(dir, name.to_owned()));
        }
    }
}
