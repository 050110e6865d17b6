//! Backups while others write, while something is killed, and on a full disk.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Disk, Options, Server, kompira};

/// Content that does not compress.
fn noise(seed: u32, bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    reader.fill(&mut raw);
    raw.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// Enough that making and sending the archive takes a moment.
fn fill(client: &Client, texts: u32) {
    for number in 0..texts {
        let fields = json!({"text": noise(number, 100_000)});
        client.create("/root", &format!("t{number}"), "Text", fields);
    }
}

fn restored(archive: &Path, new: &Path) -> Server {
    let done = kompira().arg("restore").arg(archive).arg("--data").arg(new).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Server::on(new, &Options::default())
}

fn number(client: &Client, path: &str) -> u64 {
    let object = client.get(path).expect(200).json();
    object["fields"]["text"].as_str().and_then(|text| text.parse().ok()).expect("a number")
}

fn is_whole(server: &Server, archive: &str) -> bool {
    server.run(&["backup", "--verify", archive]).status.success()
}

/// One that writes the same count first into `a`, then into `b`, and says what was answered.
struct Writer {
    number: usize,
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Writer {
    const ALL: usize = 4;

    fn write(&self, client: &Client, done: &AtomicBool) {
        for count in 1.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            self.sent.store(count, Ordering::SeqCst);
            for side in ["a", "b"] {
                let path = format!("/root/{side}{}", self.number);
                let body = json!({"fields": {"text": count.to_string()}});
                client.patch(&path, &body).expect(200);
            }
            self.answered.store(count, Ordering::SeqCst);
        }
    }
}

// rule: http/backup
#[test]
fn a_backup_under_load_is_the_tree_of_one_moment() {
    let server = Server::start();
    let client = server.client();
    fill(&client, 10);
    let writer = |number| Writer { number, sent: AtomicU64::new(0), answered: AtomicU64::new(0) };
    let writers: Vec<Writer> = (0..Writer::ALL).map(writer).collect();
    for writer in &writers {
        for side in ["a", "b"] {
            let name = format!("{side}{}", writer.number);
            client.create("/root", &name, "Text", json!({"text": "0"}));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    let mut bounds = Vec::new();
    thread::scope(|scope| {
        for writer in &writers {
            let (client, done) = (server.client(), &done);
            scope.spawn(move || writer.write(&client, done));
        }
        for round in 0..3 {
            let archive = dir.path().join(format!("{round}.zip"));
            let seen =
                |count: &dyn Fn(&Writer) -> u64| writers.iter().map(count).collect::<Vec<_>>();
            let before = seen(&|writer| writer.answered.load(Ordering::SeqCst));
            server.stdout(&["backup", archive.to_str().unwrap()]);
            let after = seen(&|writer| writer.sent.load(Ordering::SeqCst));
            bounds.push((archive, before, after));
        }
        done.store(true, Ordering::Relaxed);
    });
    for (round, (archive, before, after)) in bounds.iter().enumerate() {
        assert!(is_whole(&server, archive.to_str().unwrap()));
        let copy = restored(archive, &dir.path().join(format!("new{round}")));
        let client = copy.client();
        for writer in 0..Writer::ALL {
            let first = number(&client, &format!("/root/a{writer}"));
            let second = number(&client, &format!("/root/b{writer}"));
            assert!(second <= first && first <= second + 1, "{first} and {second}");
            assert!(before[writer] <= second, "an answered write is missing");
            assert!(first <= after[writer], "a write from afterwards is there");
        }
    }
}

// rule: http/backup
#[test]
fn a_backup_that_is_killed_leaves_a_whole_archive_or_none() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    fill(&server.client(), 30);
    for (round, wait) in [5, 20, 40, 80, 160].into_iter().enumerate() {
        let archive = temp.path().join(format!("{round}.zip"));
        let archive_text = archive.to_str().unwrap();
        let mut backup = server.command(&["backup", archive_text]).spawn().unwrap();
        thread::sleep(Duration::from_millis(wait));
        let kills_the_server = round % 2 == 0;
        if kills_the_server {
            server.kill();
        } else {
            backup.kill().unwrap();
        }
        let said = backup.wait().unwrap();
        if kills_the_server {
            server = Server::on(&data, &Options::default());
        }
        assert!(archive.exists() || !said.success(), "success without an archive");
        if archive.exists() {
            assert!(is_whole(&server, archive_text), "after {wait} ms");
        } else {
            server.stdout(&["backup", archive_text]);
            assert!(is_whole(&server, archive_text), "the second one");
        }
        let left: Vec<_> = fs::read_dir(data.join("run"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| kills_the_server && name.starts_with("backup-"))
            .collect();
        assert!(left.is_empty(), "{left:?} of the killed server");
    }
}

// rule: http/backup
#[test]
fn a_backup_onto_a_full_disk_says_so_and_leaves_nothing() {
    let Some(disk) = Disk::new("1m") else { return };
    let server = Server::start();
    fill(&server.client(), 20);
    let archive = disk.at("b.zip");
    let failed = server.run(&["backup", archive.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains(archive.to_str().unwrap()), "{said}");
    let parent = archive.parent().unwrap();
    assert_eq!(fs::read_dir(parent).unwrap().count(), 0, "something is left");
    // The disk is as usable as before.
    fs::File::create(&archive).unwrap().write_all(&[0; 1 << 19]).unwrap();
}
