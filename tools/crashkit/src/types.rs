//! A type with many instances gains fields: readers go on, and each step survives a kill.
//!
//! First the change is made beside readers whose latencies are measured. Then it is made again and
//! again, each time with one more field, by a server that is killed at each point of a commit; the
//! next server has to show the type as it was or as it was to be (as it was to be, if that was
//! acknowledged), and every instance valid under it, with what it held. See issue 4 and RELIABILITY
//! F1 in docs/architecture.md.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::Types;
use crate::client::{Client, Lost, Reply};
use crate::judge;
use crate::scratch::Scratch;
use crate::server::{Begun, Server, Site, program};

/// The points that each commit passes.
const POINTS: &[&str] = &[
    "store.commit.before_wal",
    "store.commit.after_wal",
    "store.commit.before_sync",
    "store.commit.after_sync",
    "store.commit.after_publish",
    "store.commit.before_reply",
];
/// A start makes a few commits of its own: the change comes at one of these hits.
const HITS: Range<u64> = 1..7;
/// Changes in one batch, and objects on one page.
const MANY: u64 = 1000;
const READERS: u64 = 2;
const TYPE: &str = "/home/Rack";
const PLACE: &str = "/home/racks";

struct Change<'a> {
    arguments: &'a Types,
    site: Site,
    token: String,
    /// Fields that were given to the type by now, besides the first.
    fields: u64,
}

/// Whether all is as it should be.
pub(crate) fn run(arguments: &Types) -> Result<bool, String> {
    let (scratch, root) = Scratch::make(&arguments.dir)?;
    let site = Site {
        program: program(arguments.kompira.as_deref())?,
        data: root.join("data"),
        mount: None,
        log: root.join("server.log"),
    };
    let mut change = Change { arguments, site, token: String::new(), fields: 0 };
    scratch.end(change.all())
}

impl Change<'_> {
    fn all(&mut self) -> Result<bool, String> {
        let mut server = self.site.serve()?;
        self.token = self.site.token()?;
        let start = Instant::now();
        self.prepare(&self.client(&server))?;
        let count = self.arguments.instances;
        println!("{count} instances made in {} ms", start.elapsed().as_millis());
        self.beside_readers(&server)?;
        let mut wrong = self.look(&self.client(&server), self.fields..self.fields + 1)?;
        server.kill();
        let (mut kills, mut during) = (0, 0);
        for point in POINTS {
            for hit in HITS {
                let (died, asked, here) = self.killed(&format!("{point}@{hit}"))?;
                kills += u64::from(died);
                during += u64::from(died && asked);
                wrong += here;
            }
        }
        println!(
            "crashkit types instances={count} fields={} kills={kills} during={during} wrong={wrong}",
            self.fields
        );
        if during == 0 {
            return Err("no kill came while the type was changed".into());
        }
        Ok(wrong == 0)
    }

    fn prepare(&self, client: &Client) -> Result<(), String> {
        let made = |path: &str, body: &Json| match client.json("POST", path, body) {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
            Ok(reply) => Err(told(path, &reply)),
            Err(lost) => Err(format!("{path}: {lost:?}")),
        };
        let kind = "/system/types/TypeObject";
        made("/home", &json!({"name": "Rack", "type_object": kind, "fields": definition(0)}))?;
        let kind = "/system/types/Directory";
        made("/home", &json!({"name": "racks", "type_object": kind, "fields": {}}))?;
        let count = self.arguments.instances;
        let mut from = 0;
        while from < count {
            let to = count.min(from + MANY);
            let operations: Vec<Json> = (from..to)
                .map(|number| {
                    let fields = json!({"units": number});
                    let name = format!("r{number}");
                    let body = json!({"name": name, "type_object": TYPE, "fields": fields});
                    json!({"method": "POST", "path": PLACE, "body": body})
                })
                .collect();
            made("/-/batch", &json!({ "operations": operations }))?;
            from = to;
        }
        Ok(())
    }

    /// Gives the type one more field.
    fn gain(&self, client: &Client) -> Result<Reply, Lost> {
        client.json("PATCH", TYPE, &json!({ "fields": definition(self.fields + 1) }))
    }

    /// Makes the change beside readers, and says how long they waited at most.
    fn beside_readers(&mut self, server: &Server) -> Result<(), String> {
        let (stop, changing) = (AtomicBool::new(false), AtomicBool::new(false));
        let [reads, calm, beside] = [const { AtomicU64::new(0) }; 3];
        let client = self.client(server);
        let count = self.arguments.instances;
        let took = std::thread::scope(|scope| {
            for reader in 0..READERS {
                let (stop, changing, reads) = (&stop, &changing, &reads);
                let (calm, beside, client) = (&calm, &beside, &client);
                scope.spawn(move || {
                    let mut number = reader;
                    while !stop.load(Ordering::Relaxed) {
                        number = (number + 97) % count;
                        let then = changing.load(Ordering::SeqCst);
                        let start = Instant::now();
                        let read = client.get(&format!("{PLACE}/r{number}"));
                        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                        let touched = then || changing.load(Ordering::SeqCst);
                        let right = read.is_ok_and(|reply| {
                            serde_json::from_slice(&reply.body)
                                .is_ok_and(|object: Json| holds(&object, number))
                        });
                        // What was not read would take for ever.
                        let took = if right { took } else { u64::MAX };
                        (if touched { beside } else { calm }).fetch_max(took, Ordering::Relaxed);
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let some = |many: u64| {
                let from = reads.load(Ordering::Relaxed);
                while reads.load(Ordering::Relaxed) < from + many {
                    std::thread::sleep(Duration::from_millis(1));
                }
            };
            some(200);
            changing.store(true, Ordering::SeqCst);
            let start = Instant::now();
            let done = self.gain(&client);
            let took = start.elapsed();
            // The first readers of the new type count, too.
            some(20);
            changing.store(false, Ordering::SeqCst);
            some(200);
            stop.store(true, Ordering::Relaxed);
            match done {
                Ok(reply) if reply.status == 200 => Ok(took),
                Ok(reply) => Err(told(TYPE, &reply)),
                Err(lost) => Err(format!("{TYPE}: {lost:?}")),
            }
        })?;
        self.fields += 1;
        let (calm, beside) = (calm.into_inner(), beside.into_inner());
        println!(
            "changed in {} us; of {} reads the longest took {calm} us before and after, {beside} us meanwhile",
            took.as_micros(),
            reads.into_inner()
        );
        if calm.max(beside) == u64::MAX {
            return Err("a reader saw something else than what was written".into());
        }
        Ok(())
    }

    /// One change by a server with this armed: whether it died, whether the change was asked for
    /// before that, and how many objects are wrong afterwards.
    fn killed(&mut self, armed: &str) -> Result<(bool, bool, u64), String> {
        let (mut asked, mut acknowledged) = (false, false);
        let died = match self.site.start(armed)? {
            Begun::Ended(_) => true,
            Begun::Hung => return Err(format!("{armed}: the server does not start")),
            Begun::Serving(mut server) => {
                asked = !server.has_ended();
                let reply = self.gain(&self.client(&server));
                acknowledged = reply.is_ok_and(|reply| reply.status == 200);
                std::thread::sleep(Duration::from_millis(20));
                let died = server.has_ended();
                server.kill();
                died
            }
        };
        let mut server = self.site.serve()?;
        let client = self.client(&server);
        let least = self.fields + u64::from(acknowledged);
        let mut wrong = self.look(&client, least..self.fields + 2)?;
        wrong += judge::fsck(&self.site)?.fsck;
        server.kill();
        if wrong > 0 {
            eprintln!("crashkit: {armed}: {wrong} wrong");
        }
        Ok((died, asked, wrong))
    }

    /// Looks at the type and at every instance; how many are wrong. The type may have as many
    /// further fields as `allowed` says.
    fn look(&mut self, client: &Client, allowed: Range<u64>) -> Result<u64, String> {
        let kind = read(client, TYPE)?;
        let names = kind.pointer("/fields/fieldNames").and_then(Json::as_array);
        let fields = names.map_or(0, |names| (names.len() as u64).saturating_sub(1));
        let mut wrong = 0;
        if !allowed.contains(&fields) {
            eprintln!("crashkit: the type has {fields} further fields, not {allowed:?}");
            wrong += 1;
        }
        self.fields = fields;
        let count = self.arguments.instances;
        let mut right = 0;
        for page in 1..=count.div_ceil(MANY) {
            let path = format!("{PLACE}.children?page_size={MANY}&page={page}");
            let list = read(client, &path)?;
            let objects = list.get("results").and_then(Json::as_array).cloned().unwrap_or_default();
            right += objects.iter().filter(|object| is_right(object, fields)).count() as u64;
        }
        Ok(wrong + count.abs_diff(right))
    }

    fn client(&self, server: &Server) -> Client {
        Client { address: server.address.clone(), token: self.token.clone() }
    }
}

/// A type with the first field and so many further ones.
fn definition(fields: u64) -> Json {
    let mut names = vec!["units".to_owned()];
    names.extend((1..=fields).map(|number| format!("place{number}")));
    let types: Vec<&str> = names.iter().map(|name| kind(name)).collect();
    json!({"fieldNames": names, "fieldTypes": types})
}

fn kind(name: &str) -> &'static str {
    if name == "units" { "Integer" } else { "String" }
}

/// Whether an instance holds what was written, and has the fields of its type.
fn is_right(object: &Json, fields: u64) -> bool {
    let path = object.get("abspath").and_then(Json::as_str).unwrap_or_default();
    let number = path.rsplit_once("/r").and_then(|(_, number)| number.parse().ok());
    let many = object.get("fields").and_then(Json::as_object).map_or(0, serde_json::Map::len);
    number.is_some_and(|number| holds(object, number)) && many as u64 == fields + 1
}

fn holds(object: &Json, number: u64) -> bool {
    object.pointer("/fields/units").and_then(Json::as_u64) == Some(number)
}

fn read(client: &Client, path: &str) -> Result<Json, String> {
    match client.get(path) {
        Ok(reply) if reply.status == 200 => {
            serde_json::from_slice(&reply.body).map_err(|error| format!("{path}: {error}"))
        }
        Ok(reply) => Err(told(path, &reply)),
        Err(lost) => Err(format!("{path}: {lost:?}")),
    }
}

fn told(path: &str, reply: &Reply) -> String {
    format!("{path}: {} {}", reply.status, String::from_utf8_lossy(&reply.body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_lost_something_is_not_right() {
        let object = |units: Json, fields: u64| {
            let mut all = json!({ "units": units });
            for field in 1..=fields {
                all[format!("place{field}")] = json!("");
            }
            json!({"abspath": "/home/racks/r7", "fields": all})
        };
        assert!(is_right(&object(json!(7), 2), 2));
        assert!(!is_right(&object(json!(8), 2), 2));
        assert!(!is_right(&object(Json::Null, 2), 2));
        assert!(!is_right(&object(json!(7), 1), 2));
        assert!(!is_right(&json!({"fields": {"units": 7}}), 0));
        let kinds = definition(1);
        assert_eq!(kinds["fieldNames"], json!(["units", "place1"]));
        assert_eq!(kinds["fieldTypes"], json!(["Integer", "String"]));
    }
}
