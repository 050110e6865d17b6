//! The clients: each owns its keys, does one thing at a time, and stops at the first that gets no
//! answer.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;

use crate::client::{Client, Lost, Reply};
use crate::model::{Door, Key, Model, content};
use crate::random::Random;

/// The container that the HTTP clients write in, and the mount's.
pub(crate) const HTTP_DIR: &str = "/home/crash";
pub(crate) const MOUNT_DIR: &str = "home/crashm";
/// The jobflow that is run.
pub(crate) const FLOW: &str = "/home/crashflow";
/// A print, a wait, a command, a print: something to be interrupted at every kind of step.
pub(crate) const FLOW_SOURCE: &str =
    "print('one') -> sleep(0.2) -> ['echo two; sleep 0.1'] -> print('three')\n";

/// The command in it.
pub(crate) const FLOW_COMMAND: &str = "echo two; sleep 0.1";

const KEYS: u64 = 12;
const ATTACHMENT_KEYS: u64 = 3;

/// What the clients share.
pub(crate) struct Load {
    pub(crate) model: Model,
    pub(crate) versions: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) hangs: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) stop: AtomicBool,
    pub(crate) mount: Option<PathBuf>,
}

enum Ended {
    /// Acknowledged.
    Done,
    /// Refused: nothing happened.
    Refused(String),
    /// Unknown; the client stops.
    Unknown,
}

impl Load {
    fn going(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Writes Text objects and attachments until there is no answer.
    pub(crate) fn http(&self, client: &Client, mut random: Random, number: u64) {
        while self.going() {
            let attachment = random.below(6) == 0;
            let key = if attachment {
                let name = format!("a{number}x{}", random.below(ATTACHMENT_KEYS));
                Key { door: Door::Attachment, name }
            } else {
                Key { door: Door::Http, name: format!("h{number}x{}", random.below(KEYS)) }
            };
            let there = self.model.expected(&key).acknowledged.is_some();
            let remove = there && !attachment && random.below(5) == 0;
            let version = self.versions.fetch_add(1, Ordering::Relaxed);
            let wish = (!remove).then_some(version);
            let work = |this: &Self| this.http_one(client, &key, there, wish);
            if !self.operation(&key, wish, work) {
                return;
            }
        }
    }

    /// Does one thing to a key; whether the client goes on. A key that a life before this one left
    /// open, and that nobody has judged since, is passed over.
    fn operation(&self, key: &Key, wish: Option<u64>, work: impl FnOnce(&Self) -> Ended) -> bool {
        if !self.model.is_settled(key) {
            return true;
        }
        self.model.begin(key, wish);
        match work(self) {
            Ended::Done => {
                self.model.done(key);
                self.operations.fetch_add(1, Ordering::Relaxed);
                true
            }
            Ended::Refused(why) => {
                self.model.refused(key, &why);
                self.errors.fetch_add(1, Ordering::Relaxed);
                true
            }
            Ended::Unknown => false,
        }
    }

    fn http_one(&self, client: &Client, key: &Key, there: bool, wish: Option<u64>) -> Ended {
        let path = format!("{HTTP_DIR}/{}", key.name);
        let text = wish.map(|version| content(key, version));
        let reply = match (&text, key.door, there) {
            (None, ..) => client.send("DELETE", &path, &[], b""),
            (Some(text), Door::Attachment, true) => self.attach(client, &path, text),
            (Some(text), Door::Attachment, false) => {
                let made = self.create(client, &key.name, "AttachedFile", &json!({}));
                match made {
                    // Taken: made by an attempt that got no answer.
                    Ok(Reply { status: 201 | 400 | 409, .. }) => self.attach(client, &path, text),
                    other => other,
                }
            }
            (Some(text), _, true) => {
                client.json("PATCH", &path, &json!({"fields": {"text": text}}))
            }
            (Some(text), _, false) => {
                self.create(client, &key.name, "Text", &json!({"text": text}))
            }
        };
        self.ended(reply)
    }

    fn create(
        &self,
        client: &Client,
        name: &str,
        kind: &str,
        fields: &serde_json::Value,
    ) -> Result<Reply, Lost> {
        let kind = format!("/system/types/{kind}");
        let body = json!({"name": name, "type_object": kind, "fields": fields});
        client.json("POST", HTTP_DIR, &body)
    }

    fn attach(&self, client: &Client, path: &str, text: &str) -> Result<Reply, Lost> {
        let headers = [
            ("Content-Disposition", "attachment; filename=\"crash.txt\""),
            ("Content-Type", "application/octet-stream"),
        ];
        client.send("PUT", &format!("{path}.attachments/attached1"), &headers, text.as_bytes())
    }

    fn ended(&self, reply: Result<Reply, Lost>) -> Ended {
        match reply {
            Ok(reply) if (200..300).contains(&reply.status) => Ended::Done,
            Ok(reply) if (400..500).contains(&reply.status) || reply.status == 507 => {
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                Ended::Refused(format!("{} {body}", reply.status))
            }
            Ok(reply) => {
                // A server that lives owes a better answer.
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                eprintln!("crashkit: status {} {body}", reply.status);
                Ended::Unknown
            }
            Err(Lost::Gone) => Ended::Unknown,
            Err(Lost::Hang) => {
                self.hangs.fetch_add(1, Ordering::Relaxed);
                Ended::Unknown
            }
        }
    }

    /// Writes files of the mount until it is gone. A `close` that returned is an answer.
    pub(crate) fn files(&self, mut random: Random) {
        let Some(dir) = self.mount.as_ref().map(|mount| mount.join(MOUNT_DIR)) else { return };
        while self.going() {
            let key = Key { door: Door::Mount, name: format!("m{}.txt", random.below(KEYS)) };
            let there = self.model.expected(&key).acknowledged.is_some();
            let version = self.versions.fetch_add(1, Ordering::Relaxed);
            let way = random.below(if there { 5 } else { 3 });
            let wish = (way != 4).then_some(version);
            let path = dir.join(&key.name);
            let work = |_: &Self| {
                let text = content(&key, version);
                let done = match way {
                    4 => fs::remove_file(&path),
                    // As editors save: a temporary file renamed over the old one.
                    1 | 3 => {
                        let temporary = dir.join(format!(".{}.tmp", key.name));
                        write(&temporary, &text).and_then(|()| fs::rename(&temporary, &path))
                    }
                    _ => write(&path, &text),
                };
                match done {
                    Ok(()) => Ended::Done,
                    Err(_) => Ended::Unknown,
                }
            };
            if !self.operation(&key, wish, work) {
                return;
            }
        }
    }

    /// Starts jobflows until there is no answer.
    pub(crate) fn jobs(&self, client: &Client, mut random: Random) {
        while self.going() {
            match client.json("POST", &format!("{FLOW}.execute"), &json!({})) {
                Ok(Reply { status: 200, body }) => {
                    if let Ok(path) = serde_json::from_slice::<String>(&body) {
                        self.model.started(path);
                        self.operations.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(_) => {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                }
                Err(Lost::Hang) => {
                    self.hangs.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(Lost::Gone) => return,
            }
            std::thread::sleep(std::time::Duration::from_millis(50 + random.below(150)));
        }
    }
}

/// Writes a file and hears how its `close` ended, which the standard library keeps to itself: a
/// sync would answer too, but would ask for more than `close` promises.
fn write(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    nix::unistd::close(file).map_err(std::io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(dir: &std::path::Path) -> Load {
        Load {
            model: Model::new(&dir.join("history")).unwrap(),
            versions: AtomicU64::new(1),
            operations: AtomicU64::new(0),
            hangs: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            mount: None,
        }
    }

    #[test]
    fn a_key_left_open_is_left_alone_until_it_is_judged() {
        let dir = tempfile::tempdir().unwrap();
        let load = load(dir.path());
        let key = Key { door: Door::Http, name: "k".into() };
        assert!(load.operation(&key, Some(1), |_| Ended::Done));
        // A removal without an answer: it may have happened.
        assert!(!load.operation(&key, None, |_| Ended::Unknown));
        // The next life would be refused if it had: that must not hide that it may be gone.
        assert!(load.operation(&key, Some(2), |_| Ended::Refused("404".into())));
        let expected = load.model.expected(&key);
        assert_eq!((expected.acknowledged, expected.unknown), (Some(1), Some(None)));
        load.model.settle(&key, None);
        assert!(load.operation(&key, Some(3), |_| Ended::Done));
        assert_eq!(load.model.expected(&key).acknowledged, Some(3));
    }
}
