//! What should be there: outside the store, and forced to disk before each judgement.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// Where a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// A Text object over HTTP.
    Http,
    /// An attachment over HTTP: larger than what the database keeps inside.
    Attachment,
    /// A file of the mount.
    Mount,
}

/// One thing that is written again and again by one client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) door: Door,
    pub(crate) name: String,
}

/// What may be found under a key: the version, `None` for nothing there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// What was acknowledged last.
    pub(crate) acknowledged: Option<u64>,
    /// What was asked for and not answered.
    pub(crate) unknown: Option<Option<u64>>,
}

/// A process that was started and acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) path: String,
    pub(crate) judged: bool,
}

/// Everything the clients know, and the history they write.
#[derive(Debug)]
pub(crate) struct Model {
    keys: Mutex<BTreeMap<Key, Expected>>,
    pub(crate) processes: Mutex<Vec<Started>>,
    history: Mutex<File>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Model {
    pub(crate) fn new(history: &Path) -> Result<Self, String> {
        let history = File::create(history).map_err(|error| error.to_string())?;
        Ok(Self {
            keys: Mutex::default(),
            processes: Mutex::default(),
            history: Mutex::new(history),
        })
    }

    fn note(&self, line: &str) {
        // A history that cannot be written is worth stopping for.
        writeln!(locked(&self.history), "{line}").expect("the history is written");
    }

    pub(crate) fn sync(&self) -> Result<(), String> {
        locked(&self.history).sync_all().map_err(|error| error.to_string())
    }

    pub(crate) fn expected(&self, key: &Key) -> Expected {
        locked(&self.keys).get(key).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> BTreeMap<Key, Expected> {
        locked(&self.keys).clone()
    }

    /// Whether the last operation on this key ended, one way or the other. Until a judge has looked,
    /// a refusal of the next one would say nothing about what is there.
    pub(crate) fn is_settled(&self, key: &Key) -> bool {
        self.expected(key).unknown.is_none()
    }

    pub(crate) fn begin(&self, key: &Key, version: Option<u64>) {
        self.note(&format!("begin {key:?} {version:?}"));
        locked(&self.keys).entry(key.clone()).or_default().unknown = Some(version);
    }

    pub(crate) fn done(&self, key: &Key) {
        self.note(&format!("done {key:?}"));
        if let Some(expected) = locked(&self.keys).get_mut(key)
            && let Some(version) = expected.unknown.take()
        {
            expected.acknowledged = version;
        }
    }

    /// The server said no: nothing changed.
    pub(crate) fn refused(&self, key: &Key, why: &str) {
        self.note(&format!("refused {key:?} {why}"));
        if let Some(expected) = locked(&self.keys).get_mut(key) {
            expected.unknown = None;
        }
    }

    /// What was found after a restart is what is there from now on.
    pub(crate) fn settle(&self, key: &Key, found: Option<u64>) {
        self.note(&format!("found {key:?} {found:?}"));
        let settled = Expected { acknowledged: found, unknown: None };
        locked(&self.keys).insert(key.clone(), settled);
    }

    pub(crate) fn started(&self, path: String) {
        self.note(&format!("started {path}"));
        locked(&self.processes).push(Started { path, judged: false });
    }
}

/// The bytes of a version: so many that a torn one shows, and each unlike any other.
pub(crate) fn content(key: &Key, version: u64) -> String {
    let lines = match key.door {
        Door::Attachment => 3_000 + version % 700,
        Door::Http | Door::Mount => 1 + version % 90,
    };
    let mut text = String::new();
    for line in 0..lines {
        text.push_str(&format!("{} version {version} line {line} of {lines}\n", key.name));
    }
    text
}

/// Which version these bytes are, if they are one, whole.
pub(crate) fn version_of(key: &Key, bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let version = text.split(' ').nth(2)?.parse().ok()?;
    (content(key, version) == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_mixed_content_is_no_version() {
        for door in [Door::Http, Door::Attachment] {
            let key = Key { door, name: "k1".into() };
            let text = content(&key, 17);
            assert_eq!(version_of(&key, text.as_bytes()), Some(17));
            assert_eq!(version_of(&key, &text.as_bytes()[..text.len() - 1]), None);
            let other = Key { door, name: "k2".into() };
            assert_eq!(version_of(&other, text.as_bytes()), None);
        }
    }
}
