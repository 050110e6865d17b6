//! After a restart: is everything there that was acknowledged, and is it right?

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::client::{Client, Lost, PATIENCE};
use crate::load::{FLOW_COMMAND, HTTP_DIR, Load, MOUNT_DIR};
use crate::model::{Door, Expected, Key, version_of};
use crate::server::Site;

/// What was wrong.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged and gone, or an older version.
    pub(crate) loss: u64,
    /// Bytes that nobody wrote.
    pub(crate) lie: u64,
    /// No answer within the patience.
    pub(crate) hang: u64,
    /// `fsck` found something.
    pub(crate) fsck: u64,
    /// A process that runs without an owner, is gone, or ended as it should not.
    pub(crate) process: u64,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.lie += other.lie;
        self.hang += other.hang;
        self.fsck += other.fsck;
        self.process += other.process;
    }

    pub(crate) fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

enum Found {
    Nothing,
    Version(u64),
    Nonsense(Vec<u8>),
    Failed(String),
    Hang,
}

/// Looks at every key, and settles what was unknown.
pub(crate) fn keys(load: &Load, client: &Client) -> Verdict {
    let mut verdict = Verdict::default();
    for (key, expected) in load.model.all() {
        let found = match key.door {
            Door::Mount => on_mount(load, &key),
            Door::Http | Door::Attachment => over_http(client, &key),
        };
        match found {
            Found::Hang => verdict.hang += 1,
            Found::Failed(why) => {
                say(&format!("{key:?}: {why}"));
                verdict.loss += 1;
            }
            Found::Nonsense(bytes) => {
                let start: Vec<u8> = bytes.iter().copied().take(120).collect();
                let start = String::from_utf8_lossy(&start).into_owned();
                say(&format!("{key:?}: {} bytes of nobody: {start:?}", bytes.len()));
                verdict.lie += 1;
            }
            Found::Nothing => verdict.loss += settle(load, &key, &expected, None),
            Found::Version(found) => verdict.loss += settle(load, &key, &expected, Some(found)),
        }
    }
    verdict
}

fn say(text: &str) {
    eprintln!("crashkit: {text}");
}

/// 1 if what was found is neither what was acknowledged nor what was in flight.
fn settle(load: &Load, key: &Key, expected: &Expected, found: Option<u64>) -> u64 {
    let mut right = found == expected.acknowledged || Some(found) == expected.unknown;
    // An attachment is two steps: the object, then its content.
    if key.door == Door::Attachment && expected.acknowledged.is_none() && found.is_none() {
        right = true;
    }
    if !right {
        say(&format!("{key:?}: found {found:?}, expected {expected:?}"));
    }
    load.model.settle(key, found);
    u64::from(!right)
}

fn over_http(client: &Client, key: &Key) -> Found {
    let path = match key.door {
        Door::Attachment => format!("{HTTP_DIR}/{}.attachments/attached1", key.name),
        _ => format!("{HTTP_DIR}/{}", key.name),
    };
    let reply = match client.get(&path) {
        Ok(reply) => reply,
        Err(Lost::Hang) => return Found::Hang,
        Err(Lost::Gone) => return Found::Failed("no answer".into()),
    };
    let bytes = match reply.status {
        404 => return Found::Nothing,
        // The field is there, and holds no file.
        204 if key.door == Door::Attachment => return Found::Nothing,
        200 if key.door == Door::Attachment => reply.body,
        200 => {
            let object: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let text = object.pointer("/fields/text").and_then(serde_json::Value::as_str);
            text.unwrap_or_default().as_bytes().to_vec()
        }
        status => {
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            return Found::Failed(format!("status {status} {body}"));
        }
    };
    version(key, bytes)
}

fn on_mount(load: &Load, key: &Key) -> Found {
    let Some(mount) = &load.mount else { return Found::Nothing };
    match fs::read(mount.join(MOUNT_DIR).join(&key.name)) {
        Ok(bytes) => version(key, bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Failed(error.to_string()),
    }
}

fn version(key: &Key, bytes: Vec<u8>) -> Found {
    match version_of(key, &bytes) {
        Some(version) => Found::Version(version),
        None => Found::Nonsense(bytes),
    }
}

/// Waits for every started process: it ends as an undisturbed one, or says what was interrupted.
pub(crate) fn processes(load: &Load, client: &Client, undisturbed: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let started = Instant::now();
    let mut all = load.model.processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for process in all.iter_mut().filter(|process| !process.judged) {
        process.judged = true;
        loop {
            let reply = match client.get(&process.path) {
                Ok(reply) if reply.status == 200 => reply,
                Ok(reply) => {
                    say(&format!("{}: status {}", process.path, reply.status));
                    verdict.process += 1;
                    break;
                }
                Err(_) => {
                    verdict.hang += 1;
                    break;
                }
            };
            let state: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let late = started.elapsed() > PATIENCE;
            let right = ended_right(&state, undisturbed);
            match if right.is_none() && late { Some(false) } else { right } {
                Some(true) => break,
                Some(false) => {
                    say(&format!("{}: {state}", process.path));
                    verdict.process += 1;
                    break;
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }
    verdict
}

/// Whether a process ended as it should; `None`: it has not ended. One that was interrupted says
/// which command was in flight; nothing else ends it before its time.
fn ended_right(state: &serde_json::Value, undisturbed: &str) -> Option<bool> {
    let text = |key| state.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    match text("status") {
        "DONE" => Some(text("console") == undisturbed),
        "ABORTED" => {
            let last = text("console").lines().last();
            let named = last.and_then(|line| line.strip_prefix("interrupted: "));
            Some(text("error") == "interrupted" && named == Some(FLOW_COMMAND))
        }
        _ => None,
    }
}

/// Whether no process is active any more, known to us or not; waits for it.
pub(crate) fn at_rest(client: &Client, within: Duration) -> bool {
    let begun = Instant::now();
    loop {
        // More than are started between two looks.
        let busy = match client.get("/process?page_size=200") {
            Ok(list) => {
                let list: serde_json::Value =
                    serde_json::from_slice(&list.body).unwrap_or_default();
                let rows = list.get("results").and_then(serde_json::Value::as_array);
                rows.is_none_or(|rows| !rows.iter().all(has_ended))
            }
            Err(_) => true,
        };
        if !busy || begun.elapsed() > within {
            return !busy;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process has ended.
pub(crate) fn has_ended(process: &serde_json::Value) -> bool {
    let status = process.get("status").and_then(serde_json::Value::as_str);
    matches!(status, Some("DONE" | "ABORTED"))
}

/// Runs `kompira fsck`.
pub(crate) fn fsck(site: &Site) -> Result<Verdict, String> {
    let output = site.command(&["fsck"]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(Verdict::default());
    }
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    say(&format!("fsck: {told}{why}"));
    Ok(Verdict { fsck: 1, ..Verdict::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_that_ends_otherwise_is_not_right() {
        let right = |status: &str, console: &str, error: &str| {
            ended_right(&json!({"status": status, "console": console, "error": error}), "one\n")
        };
        let named = format!("one\ninterrupted: {FLOW_COMMAND}\n");
        assert_eq!(right("DONE", "one\n", ""), Some(true));
        assert_eq!(right("DONE", "one\none\n", ""), Some(false));
        assert_eq!(right("ABORTED", &named, "interrupted"), Some(true));
        assert_eq!(right("ABORTED", &named, "terminated"), Some(false));
        assert_eq!(right("ABORTED", "one\ninterrupted: \n", "interrupted"), Some(false));
        assert_eq!(right("WAITING", "", ""), None);
        assert!(!has_ended(&json!({"status": "READY"})) && !has_ended(&json!({})));
    }
}
