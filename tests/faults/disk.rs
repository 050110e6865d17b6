//! The n-th call on the disk fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::shim::{self, Faulty, Random};
use crate::support::{Options, Server};

/// Objects one faulty life tries to make.
const MADE: u32 = 8;
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn text(number: u32) -> String {
    format!("text {number} ").repeat(200)
}

/// A directory that a server has used, and a token for it.
fn used(data: &Path) -> String {
    let mut server = Server::on(data, &Options::default());
    server.client().create("/root", "before", "Text", serde_json::json!({"text": "kept"}));
    let token = server.token().to_owned();
    assert!(server.stop().success());
    token
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Starts a sound server and looks: everything acknowledged is there, whole.
fn look(data: &Path, acknowledged: &BTreeMap<u32, String>, told: &str) {
    let server = Server::on(data, &Options::default());
    let client = server.client();
    let read = |name: &str| client.get(&format!("/root/{name}"));
    assert_eq!(read("before").expect(200).json()["fields"]["text"], "kept", "{told}");
    for (number, text) in acknowledged {
        let reply = read(&format!("t{number}"));
        assert_eq!(reply.status, 200, "{told}: t{number} was acknowledged");
        assert_eq!(reply.json()["fields"]["text"].as_str(), Some(text.as_str()), "{told}");
    }
    // What was not acknowledged is there whole or not at all.
    for number in 0..MADE {
        let reply = read(&format!("t{number}"));
        if reply.status == 200 {
            assert_eq!(reply.json()["fields"]["text"].as_str(), Some(&*self::text(number)));
        }
    }
    let checked = server.run(&["fsck"]);
    assert!(checked.status.success(), "{told}: {}", String::from_utf8_lossy(&checked.stdout));
}

/// One life with a failing call; how many objects were acknowledged.
fn life(library: &Path, from: &Path, token: &str, fail: &str) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy(from, &data);
    let mut server = Faulty::start(library, &data, Some(fail), None);
    let mut acknowledged = BTreeMap::new();
    for number in 0..MADE {
        if server.make(token, &format!("t{number}"), &text(number)) {
            acknowledged.insert(number, text(number));
        }
    }
    if server.serves() {
        // It serves on, or has ended by itself.
        server.stop();
    }
    let said = server.said();
    assert!(!said.contains("panicked"), "{fail}: {said}");
    look(&data, &acknowledged, fail);
    acknowledged.len()
}

// rule: operations/failing-disk
#[test]
fn any_call_on_the_disk_may_fail_and_nothing_acknowledged_is_lost() {
    let Some(library) = shim::library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = used(&data);
    let mut random = Random(0x5eed);
    // A life makes some hundred calls; the first ones are those of the start.
    for round in 0..8 * shim::times() {
        let call = 1 + round * 11 + random.below(11);
        let errno = if round % 2 == 0 { EIO } else { ENOSPC };
        life(library, &data, &token, &format!("{call}:{errno}"));
    }
    assert_eq!(life(library, &data, &token, "1000000:5"), MADE as usize, "no failure, no loss");
}

// rule: operations/failing-disk
#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_new_start() {
    let Some(library) = shim::library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = used(&data);
    let mut failed = 0;
    for round in 0..6 * shim::times() {
        let dir = tempfile::tempdir().unwrap();
        let copied = dir.path().join("data");
        copy(&data, &copied);
        let fail = format!("s{}:{EIO}", 3 + round * 2);
        let mut server = Faulty::start(library, &copied, Some(&fail), None);
        let (mut acknowledged, mut refused) = (BTreeMap::new(), false);
        for number in 0..MADE {
            if server.make(&token, &format!("t{number}"), &text(number)) {
                assert!(!refused, "{fail}: t{number} was acknowledged after the failure");
                acknowledged.insert(number, text(number));
            } else {
                refused = true;
            }
        }
        failed += u32::from(refused);
        if refused && let Some((status, body)) = server.ask("GET", "/root/before", &token, "") {
            assert!(status == 200 && body.contains("kept"), "{fail}: reading goes on: {status}");
        }
        server.kill();
        look(&copied, &acknowledged, &fail);
        let _ = fs::remove_dir_all(&copied);
    }
    assert!(failed > 0, "no sync of a write was hit");
}
