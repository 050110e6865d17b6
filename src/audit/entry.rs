//! One line of the audit log (rule: `tree/audit`).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word the log uses.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// What kind of thing was acted on.
    Class {
        /// An object.
        Object = "object",
        /// A task.
        Task = "task",
        /// An incident.
        Incident = "incident",
        /// A process.
        Process = "process",
        /// A schedule.
        Schedule = "schedule",
        /// The package inventory.
        Packages = "packages",
        /// Login and logout.
        Session = "session",
        /// A user.
        User = "user",
        /// A group.
        Group = "group",
    }
}

words! {
    /// What was done.
    Verb {
        /// Read.
        Read = "read",
        /// Children listed.
        List = "list",
        /// Searched.
        Search = "search",
        /// A form for a new object was opened.
        New = "new",
        /// A form for a change was opened.
        Edit = "edit",
        /// The question before a deletion.
        Confirm = "confirm",
        /// Changed.
        Update = "update",
        /// Messages or states were cleared.
        Clear = "clear",
        /// A message was taken.
        Recv = "recv",
        /// A message was sent.
        Send = "send",
        /// Login.
        Login = "login",
        /// Logout.
        Logout = "logout",
        /// Created.
        Create = "create",
        /// Renamed.
        Rename = "rename",
        /// Copied.
        Copy = "copy",
        /// Moved.
        Move = "move",
        /// Exported.
        Export = "export",
        /// Imported.
        Import = "import",
        /// Started.
        Execute = "execute",
        /// Paused.
        Suspend = "suspend",
        /// Continued.
        Resume = "resume",
        /// Ended by force.
        Terminate = "terminate",
        /// Deleted.
        Delete = "delete",
    }
}

words! {
    /// Whether the caller might.
    Permit {
        /// Yes.
        Allowed = "allowed",
        /// No.
        Denied = "denied",
    }
}

/// The process that did the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Process number.
    pub pid: u32,
    /// Its program.
    pub name: String,
    /// Its OS user.
    pub user: String,
    /// Address of the client.
    pub remote: Option<String>,
}

/// What was acted on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Path.
    pub path: Option<String>,
    /// Path of the type object, for objects.
    pub kind: Option<String>,
}

/// What is being tried: what an entry will say but for who, when and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Kind of thing.
    pub class: Class,
    /// What is done.
    pub verb: Verb,
    /// The thing.
    pub target: Target,
    /// More, by operation.
    pub detail: Map<String, Value>,
}

/// One operation as it is told in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Operation level.
    pub level: i64,
    /// Begin.
    pub started: Timestamp,
    /// End.
    pub finished: Timestamp,
    /// Which process worked.
    pub exec: Exec,
    /// Login name; empty without authentication.
    pub user: String,
    /// Word of the interface.
    pub interface: String,
    /// Kind of thing.
    pub class: Class,
    /// The thing.
    pub target: Target,
    /// What was done.
    pub verb: Verb,
    /// Whether it was permitted.
    pub permit: Permit,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Why not.
    pub reason: Option<String>,
    /// More, by operation.
    pub detail: Map<String, Value>,
}

/// Most bytes of one line: longer details are cut. One `write(2)` of it is atomic enough.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// What a detail value is cut to when a line is too long.
const CUT_BYTES: usize = 1024;

impl Entry {
    /// The line without its line end, at most [`LINE_BYTES_MAX`] bytes.
    #[must_use]
    pub fn line(&self, zone: &TimeZone) -> String {
        let mut detail: Map<String, Value> =
            self.detail.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect();
        let line = self.json(zone, &detail);
        if line.len() <= LINE_BYTES_MAX {
            return line;
        }
        for value in detail.values_mut() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if text.len() > CUT_BYTES {
                let end = text.floor_char_boundary(CUT_BYTES);
                *value = Value::from(text.get(..end).unwrap_or_default());
            }
        }
        detail.insert("truncated".into(), true.into());
        let line = self.json(zone, &detail);
        if line.len() <= LINE_BYTES_MAX {
            return line;
        }
        self.json(zone, &Map::from_iter([("truncated".to_owned(), Value::from(true))]))
    }

    fn json(&self, zone: &TimeZone, detail: &Map<String, Value>) -> String {
        let time = |at: Timestamp| {
            at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string()
        };
        let line = Line {
            level: self.level,
            started: time(self.started),
            finished: time(self.finished),
            exec: &self.exec,
            user: &self.user,
            interface: &self.interface,
            class: self.class,
            target_path: self.target.path.as_deref(),
            target_type: self.target.kind.as_deref(),
            verb: self.verb,
            permit: self.permit,
            result: if self.succeeded { "succeeded" } else { "failed" },
            reason: self.reason.as_deref(),
            detail,
        };
        serde_json::to_string(&line).expect("texts, numbers and maps with texts as keys")
    }
}

/// A line as it is written, in the order of its fields.
#[derive(Serialize)]
struct Line<'a> {
    level: i64,
    started: String,
    finished: String,
    exec: &'a Exec,
    user: &'a str,
    interface: &'a str,
    class: Class,
    target_path: Option<&'a str>,
    target_type: Option<&'a str>,
    #[serde(rename = "type")]
    verb: Verb,
    permit: Permit,
    result: &'static str,
    reason: Option<&'a str>,
    detail: &'a Map<String, Value>,
}

/// Values under a key that speaks of secrets never reach the log.
fn masked(key: &str, value: &Value) -> Value {
    let lower = key.to_lowercase();
    let secret = ["password", "token", "secret"].iter().any(|word| lower.contains(word))
        && !matches!(key, "invalid_password" | "invalid_token");
    match value {
        Value::Null => Value::Null,
        _ if secret => Value::from("***"),
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect(),
        ),
        Value::Array(items) => items.iter().map(|item| masked("", item)).collect(),
        other => other.clone(),
    }
}

/// How a wrong secret is shown: its first character.
#[must_use]
pub fn hint(secret: &str) -> String {
    secret.chars().take(1).chain("***".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        Entry {
            level: 3,
            started: "2025-02-03T01:02:03.004005Z".parse().unwrap(),
            finished: "2025-02-03T01:02:04Z".parse().unwrap(),
            exec: Exec { pid: 1, name: "kompira".into(), user: "k".into(), remote: None },
            user: "sato".into(),
            interface: "api".into(),
            class: Class::Object,
            target: Target { path: Some("/a".into()), kind: Some("/system/types/Text".into()) },
            verb: Verb::Create,
            permit: Permit::Allowed,
            succeeded: true,
            reason: None,
            detail: Map::new(),
        }
    }

    // rule: tree/audit
    #[test]
    fn a_line_has_the_documented_items_in_their_order() {
        let zone = TimeZone::fixed(jiff::tz::offset(9));
        let line = entry().line(&zone);
        assert!(line.starts_with(
            r#"{"level":3,"started":"2025-02-03T10:02:03.004005+09:00","finished":"2025-02-03T10:02:04.000000+09:00","exec":{"pid":1,"#
        ), "{line}");
        assert!(line.ends_with(
            r#""user":"sato","interface":"api","class":"object","target_path":"/a","target_type":"/system/types/Text","type":"create","permit":"allowed","result":"succeeded","reason":null,"detail":{}}"#
        ), "{line}");
    }

    // rule: tree/audit
    #[test]
    fn secrets_are_masked_and_long_details_are_cut() {
        let mut entry = entry();
        entry.detail.insert("execute_params".into(), json!({"db_password": "x1", "n": 1}));
        entry.detail.insert("invalid_token".into(), hint("abc").into());
        let line = entry.line(&TimeZone::UTC);
        assert!(line.contains(r#"{"db_password":"***","n":1}"#), "{line}");
        assert!(line.contains(r#""invalid_token":"a***""#), "{line}");
        entry.detail.insert("big".into(), "監".repeat(LINE_BYTES_MAX).into());
        let line = entry.line(&TimeZone::UTC);
        assert!(line.len() <= LINE_BYTES_MAX);
        assert!(line.contains(r#""truncated":true"#));
    }
}
