//! Fetches that failed, for those who want to know (`detect_error`).

use std::collections::HashMap;
use std::time::Duration;

use kompira_schema::id::ObjectId;
use parking_lot::Mutex;

/// Why the last fetch of a channel failed, as long as the next is not due. Not longer, since who
/// waits then is what the next fetch is made for.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<ObjectId, (String, Duration)>>);

impl Failures {
    /// Notes a failure that holds until then.
    pub(super) fn set(&self, channel: ObjectId, why: String, until: Duration) {
        self.0.lock().insert(channel, (why, until));
    }

    pub(super) fn clear(&self, channel: ObjectId) {
        self.0.lock().remove(&channel);
    }

    pub(super) fn get(&self, channel: ObjectId, now: Duration) -> Option<String> {
        let failures = self.0.lock();
        failures.get(&channel).filter(|(_, until)| now < *until).map(|(why, _)| why.clone())
    }
}
