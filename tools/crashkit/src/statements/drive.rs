//! One run of a program on a server: its objects, its start, what people do for it, its end.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::judge::{End, Left};
use super::notes::Notes;
use super::programs::Program;
use crate::client::{Client, Lost};
use crate::judge::has_ended;
use crate::server::Server;

/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(8);
/// Newest processes looked at: more than one program makes.
const NEWEST: usize = 60;

/// A run of a program: its number names its directory and its file of steps.
pub(crate) struct Round<'a> {
    pub(crate) program: &'a Program,
    pub(crate) run: u64,
    /// Processes up to this number belong to earlier runs.
    before: u64,
}

/// How far the processes came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// All have ended.
    Ended,
    /// There are none.
    Nothing,
    /// The server is dead.
    Died,
    /// The time to live is over.
    Out,
}

/// How a start was answered.
pub(crate) enum Begin {
    Started,
    /// There was no answer: the server died.
    Unknown,
}

impl<'a> Round<'a> {
    /// Makes the objects of the program in a directory of their own.
    pub(crate) fn prepare(
        program: &'a Program,
        run: u64,
        notes: &Notes,
        client: &Client,
    ) -> Result<Self, String> {
        let round = Self { program, run, before: newest(client)? };
        let create = |parent: &str, name: &str, kind: &str, fields: &Json| {
            let kind = format!("/system/types/{kind}");
            let body = json!({"name": name, "type_object": kind, "fields": fields});
            match client.json("POST", parent, &body) {
                Ok(reply) if reply.status == 201 => Ok(()),
                other => Err(format!("{parent}/{name} cannot be made: {other:?}")),
            }
        };
        let dir = round.dir();
        create("/home", &format!("s{run}"), "Directory", &json!({}))?;
        for &(kind, name, content) in program.around {
            let content = notes.spelt(content, run);
            let source = json!({ "source": content });
            match kind {
                "text" => create(&dir, name, "Text", &json!({ "text": content }))?,
                "script" => create(&dir, name, "ScriptJob", &source)?,
                "single" => {
                    let fields = json!({"source": content, "multiplicity": 1});
                    create(&dir, name, "Jobflow", &fields)?;
                }
                "channel" => {
                    create(&dir, name, "Channel", &json!({}))?;
                    for word in content.split_whitespace() {
                        let path = format!("{dir}/{name}.send");
                        client.json("POST", &path, &json!(word)).map_err(lost)?;
                    }
                }
                _ => create(&dir, name, "Jobflow", &source)?,
            }
        }
        let source = notes.spelt(program.source, run);
        create(&dir, "main", "Jobflow", &json!({ "source": source }))?;
        Ok(round)
    }

    pub(crate) fn start(&self, client: &Client, checkpoint: bool) -> Result<Begin, String> {
        let path = format!("{}/main.execute", self.dir());
        match client.json("POST", &path, &json!({ "checkpoint_mode": checkpoint })) {
            Ok(reply) if reply.status == 200 => Ok(Begin::Started),
            Ok(reply) => Err(format!("{path}: {} {}", reply.status, text(&reply.body))),
            Err(Lost::Gone) => Ok(Begin::Unknown),
            Err(Lost::Hang) => Err(format!("{path}: no answer")),
        }
    }

    /// Does what people do for a process, until all have ended, the server is dead, or `life` is
    /// over.
    pub(crate) fn drive(
        &self,
        server: &mut Server,
        client: &Client,
        life: Duration,
    ) -> Result<Came, String> {
        let begun = Instant::now();
        loop {
            match self.look(client) {
                Ok(Some(came)) => return Ok(came),
                Ok(None) => {}
                Err(Lost::Hang) => return Err("the server does not answer".into()),
                Err(Lost::Gone) if server.has_ended() => return Ok(Came::Died),
                Err(Lost::Gone) => {}
            }
            if begun.elapsed() >= life {
                return Ok(Came::Out);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn look(&self, client: &Client) -> Result<Option<Came>, Lost> {
        let family = self.family(client)?;
        if family.is_empty() {
            return Ok(Some(Came::Nothing));
        }
        let active: Vec<_> = family.iter().filter(|process| !has_ended(process)).collect();
        if active.is_empty() {
            return Ok(Some(Came::Ended));
        }
        for process in active {
            if process.get("suspended") == Some(&json!(true)) {
                let path = format!("{}.resume", word(process, "abspath"));
                client.json("POST", &path, &json!({}))?;
            }
        }
        if self.program.source.contains("/task.") {
            let tasks = client.get("/task?status=ONGOING")?;
            for task in results(&tasks.body) {
                let path = format!("{}.submit", word(&task, "abspath"));
                client.json("POST", &path, &json!({"result": "this one"}))?;
            }
        }
        Ok(None)
    }

    /// The processes of this run, oldest first.
    fn family(&self, client: &Client) -> Result<Vec<Json>, Lost> {
        let list = client.get(&format!("/process?page_size={NEWEST}"))?;
        let mut family = results(&list.body);
        family.retain(|process| number(process) > self.before);
        family.sort_by_key(number);
        Ok(family)
    }

    /// What the run leaves, with names that are the same in each run.
    pub(crate) fn left(&self, client: &Client, notes: &Notes) -> Result<Left, String> {
        let family = self.family(client).map_err(lost)?;
        let plain = |value: &Json| plain(value, &self.dir(), notes.dir());
        let ends = family.iter().map(|process| {
            let field = |name: &str| process.get(name).cloned().unwrap_or_default();
            let of_text = |name: &str| match plain(&field(name)) {
                Json::String(text) => text,
                other => other.to_string(),
            };
            End {
                console: of_text("console"),
                status: of_text("status"),
                exit: field("exit_status"),
                result: plain(&field("result")),
                error: plain(&field("error")),
            }
        });
        let ends = ends.collect();
        let mut texts = Vec::new();
        for (_, name, _) in self.program.around.iter().filter(|near| near.0 == "text") {
            let reply = client.get(&format!("{}/{name}", self.dir())).map_err(lost)?;
            let object: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
            texts.push(object.pointer("/fields/text").cloned().unwrap_or_default());
        }
        Ok(Left { ends, steps: notes.steps(self.run), texts })
    }

    /// Takes the first process up again.
    pub(crate) fn resume(&self, client: &Client) -> Result<(), String> {
        let family = self.family(client).map_err(lost)?;
        let path = family.first().map(|process| word(process, "abspath").to_owned());
        let path = format!("{}.resume", path.unwrap_or_default());
        let reply = client.json("POST", &path, &json!({})).map_err(lost)?;
        if reply.body == b"true" {
            return Ok(());
        }
        Err(format!("{path}: {} {}", reply.status, text(&reply.body)))
    }

    fn dir(&self) -> String {
        format!("/home/s{}", self.run)
    }
}

fn lost(lost: Lost) -> String {
    format!("no answer: {lost:?}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn results(body: &[u8]) -> Vec<Json> {
    let list: Json = serde_json::from_slice(body).unwrap_or_default();
    list.get("results").and_then(Json::as_array).cloned().unwrap_or_default()
}

fn word<'a>(object: &'a Json, key: &str) -> &'a str {
    object.get(key).and_then(Json::as_str).unwrap_or_default()
}

fn number(process: &Json) -> u64 {
    process.get("id").and_then(Json::as_u64).unwrap_or_default()
}

fn newest(client: &Client) -> Result<u64, String> {
    let list = client.get("/process?page_size=1").map_err(lost)?;
    if list.status != 200 {
        return Err(format!("/process: {}", text(&list.body)));
    }
    Ok(results(&list.body).iter().map(number).max().unwrap_or_default())
}

/// A value without what differs from run to run: the directory, the file of steps, and the numbers
/// of processes, which go on at a later block after a kill.
fn plain(value: &Json, dir: &str, notes: &Path) -> Json {
    match value {
        Json::String(text) => {
            let run = dir.trim_start_matches("/home/s");
            let file = notes.join(run).display().to_string();
            let text = text.replace(&file, "/steps").replace(dir, "/s");
            Json::String(numberless(&text, "/process/id_"))
        }
        Json::Array(values) => values.iter().map(|value| plain(value, dir, notes)).collect(),
        other => other.clone(),
    }
}

/// Without the numbers that follow `before`.
fn numberless(text: &str, before: &str) -> String {
    let mut pieces = text.split(before);
    let mut new = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        new.push_str(before);
        new.push('N');
        new.push_str(piece.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_freed_of_what_differs_from_run_to_run() {
        let notes = Path::new("/tmp/steps");
        let value = json!(["/process/id_12 of /home/s7/sub", {"a": 1}, "echo >> /tmp/steps/7; x"]);
        let found = plain(&value, "/home/s7", notes);
        assert_eq!(found, json!(["/process/id_N of /s/sub", {"a": 1}, "echo >> /steps; x"]));
    }
}
