//! Names that tools still believe in: after `rm a`, `rm .a` succeeds as already done.

use std::collections::HashMap;
use std::time::Duration;

use kompira_schema::id::ObjectId;
use parking_lot::Mutex;

/// How long a ghost answers. Reason: longer than one `mv * dest/`, shorter than a thought.
pub(super) const GHOST_SECONDS: u64 = 10;
/// Most ghosts. Reason: `rm -r` of a large tree must not fill memory; the oldest go first.
const GHOSTS_MAX: usize = 16_384;

/// A sidecar or companion directory that went with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ghost {
    /// Of which object.
    pub(super) id: ObjectId,
    /// It was a companion directory.
    pub(super) companion: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ghosts(Mutex<HashMap<(ObjectId, String), (Ghost, Duration)>>);

impl Ghosts {
    pub(super) fn add(&self, dir: ObjectId, file: String, ghost: Ghost, now: Duration) {
        let mut ghosts = self.0.lock();
        if ghosts.len() >= GHOSTS_MAX {
            ghosts.retain(|_, (_, until)| *until > now);
            if ghosts.len() >= GHOSTS_MAX {
                ghosts.clear();
            }
        }
        ghosts.insert((dir, file), (ghost, now + Duration::from_secs(GHOST_SECONDS)));
    }

    pub(super) fn get(&self, dir: ObjectId, file: &str, now: Duration) -> Option<Ghost> {
        let mut ghosts = self.0.lock();
        if ghosts.is_empty() {
            return None;
        }
        let key = (dir, file.to_owned());
        match ghosts.get(&key) {
            Some((ghost, until)) if *until > now => Some(*ghost),
            Some(_) => {
                ghosts.remove(&key);
                None
            }
            None => None,
        }
    }

    pub(super) fn remove(&self, dir: ObjectId, file: &str) {
        let mut ghosts = self.0.lock();
        if !ghosts.is_empty() {
            ghosts.remove(&(dir, file.to_owned()));
        }
    }
}
