//! Kills a child of this very test binary at fail points and looks at what is left.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use kompira_schema::id::{ObjectId, Rev};

use super::options;
use super::reopen::UPPER;
use crate::store::kv::Family;
use crate::store::migrate::{FORMAT, STEPS};
use crate::store::{Body, Counter, Durability, INLINE_MAX, Store, keys};

const DIR: &str = "KF_TEST_STORE_DIR";

/// What the child does: numbered commits, and after each answer a line in a file of its own.
#[test]
#[ignore = "run by a_kill_at_any_point_loses_nothing_acknowledged as a child"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    if std::env::var("KF_TEST_STORE_MIGRATE").is_ok() {
        let _ = Store::open_with(&dir.join("data"), &options(), &[UPPER], UPPER.to);
        return;
    }
    let store = Store::open(&dir.join("data"), &options()).unwrap();
    let mut told = OpenOptions::new().append(true).create(true).open(dir.join("told")).unwrap();
    for round in 0..6_u64 {
        let id = ObjectId(store.new_id(Counter::Object).unwrap());
        writeln!(told, "id {}", id.0).unwrap();
        let large = vec![u8::try_from(id.0 % 251).unwrap(); INLINE_MAX + 1];
        let large = store.blobs().put_bytes(&large).unwrap();
        let mut batch = store.batch(&store.snapshot());
        batch.put_head(id, &super::commit::head(&format!("n{}", id.0), 0));
        batch.put_body(id, &Body { display_name: "x".repeat(100), ..Body::default() }).unwrap();
        batch.hold_blob(large, id, Rev(0));
        let durability = if round % 2 == 0 { Durability::Synced } else { Durability::Lazy };
        let rev = store.commit(batch, durability).unwrap();
        writeln!(told, "done {} {} {large}", id.0, rev.0).unwrap();
        if round == 3 {
            let copy = dir.join(format!("copy{}", id.0));
            store.checkpoint(&copy).unwrap();
            let _ = fs::remove_dir_all(copy);
            clean_up(&store);
        }
    }
}

/// Makes history and blobs that nobody needs, and removes them; only where that is asked for,
/// since a blob has to be older than a second.
fn clean_up(store: &Store) {
    let armed = std::env::var("KF_FAIL").unwrap_or_default();
    if !["purge", "unlink"].iter().any(|word| armed.contains(word)) {
        return;
    }
    for round in 0..4_u64 {
        store.blobs().put_bytes(&vec![u8::try_from(round).unwrap(); INLINE_MAX + 9]).unwrap();
        let mut batch = store.batch(&store.snapshot());
        let mut entry = super::history::entry(1);
        entry.since = store.rev();
        batch.keep_entry(ObjectId(9), "gone", &entry);
        store.commit(batch, Durability::Synced).unwrap();
        store.purge_history(store.rev()).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    store.blobs().sweep(std::time::Duration::ZERO).unwrap();
}

fn run_child(dir: &Path, fail: &str, migrate: bool) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "store::tests::crash::child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env("KF_FAIL", fail)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    if migrate {
        command.env("KF_TEST_STORE_MIGRATE", "1");
    }
    command.status().unwrap().success()
}

fn judge(dir: &Path, fail: &str) {
    let told = fs::read_to_string(dir.join("told")).unwrap_or_default();
    let store = Store::open(&dir.join("data"), &options()).unwrap();
    let snapshot = store.snapshot();
    let mut ids = Vec::new();
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let id = ObjectId(words[1].parse().unwrap());
        if words[0] == "id" {
            ids.push(id);
            continue;
        }
        let head = snapshot.head(id).unwrap().unwrap_or_else(|| panic!("{fail}: lost {line}"));
        assert_eq!(head.rev.0, words[2].parse::<u64>().unwrap(), "{fail}");
        assert!(snapshot.body(id).unwrap().is_some(), "{fail}");
        let hash = kompira_schema::id::BlobHash::from_hex(words[3]).unwrap();
        let blob = store.blobs().read(&hash, 0, usize::MAX).unwrap();
        assert_eq!(blob.len(), INLINE_MAX + 1, "{fail}");
        let reference = keys::blobref(&hash, id, Rev(0));
        assert!(snapshot.get(Family::Blobref, &reference).unwrap().is_some(), "{fail}");
    }
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{fail}: a number was given twice");
    assert!(ids.iter().all(|id| store.new_id(Counter::Object).unwrap() != id.0));
    let changes = snapshot.changes_since(Rev(0), usize::MAX).unwrap().unwrap();
    assert_eq!(changes.len() as u64, snapshot.rev().0, "{fail}: revisions have no gap");
    store.commit(store.batch(&snapshot), Durability::Synced).unwrap();
}

// rule: operations/durability
#[test]
fn a_kill_at_any_point_loses_nothing_acknowledged() {
    let points = crate::base::failpoint::POINTS.iter().filter(|point| {
        point.starts_with("store.")
            && ["migrate", "check."].iter().all(|word| !point.contains(word))
    });
    for point in points {
        let dir = tempfile::tempdir().unwrap();
        // First hit on a new store, then a later one on what the first left.
        let mut killed = 0;
        for hit in [1, 3] {
            killed += u32::from(!run_child(dir.path(), &format!("{point}@{hit}"), false));
            judge(dir.path(), point);
        }
        assert!(killed > 0, "{point} is passed");
    }
}

#[test]
fn a_killed_migration_goes_on_and_an_older_binary_refuses() {
    for point in ["before_chunk", "after_chunk", "before_version", "after_version"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = Store::open(&data, &options()).unwrap();
        let mut batch = store.batch(&store.snapshot());
        for n in b'0'..=b'4' {
            batch.put(Family::Auth, [b'k', n], [n]);
        }
        store.commit(batch, Durability::Synced).unwrap();
        drop(store);
        let hit = if point.ends_with("chunk") { 3 } else { 1 };
        let fail = format!("store.migrate.{point}@{hit}");
        assert!(!run_child(dir.path(), &fail, true), "{fail} is passed");
        assert!(Store::open_with(&data, &options(), STEPS, FORMAT).is_err(), "an older binary");
        let store = Store::open_with(&data, &options(), &[UPPER], UPPER.to).unwrap();
        for n in b'0'..=b'4' {
            let value = store.snapshot().get(Family::Auth, &[b'K', n]).unwrap();
            assert_eq!(value.as_deref(), Some(&[n][..]), "{fail}");
        }
    }
}

// rule: operations/durability
#[test]
fn after_a_failed_sync_nothing_is_acknowledged_and_reading_goes_on() {
    // Fail points are per process, and other tests run in this one: a child would be needed for
    // each. The engine that fails on demand says the same.
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::failing_child", "--ignored", "--nocapture"])
        .env(DIR, dir.path())
        .env(
            "KF_FAIL",
            "store.commit.before_sync@2:error=eio,store.commit.before_wal@2:error=enospc",
        )
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run as a child with armed errors"]
fn failing_child() {
    use crate::store::CommitError;
    use kompira_schema::error::Kind;
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = Store::open(&Path::new(&dir).join("data"), &options()).unwrap();
    let put = |value: &str| {
        let mut batch = store.batch(&store.snapshot());
        batch.expect(Family::Meta, b"k");
        batch.put(Family::Meta, b"k".as_slice(), value.as_bytes());
        store.commit(batch, Durability::Synced)
    };
    let kind = |result: Result<Rev, CommitError>| match result {
        Err(CommitError::Fault(fault)) => fault.kind(),
        other => panic!("{other:?}"),
    };
    let read = || store.snapshot().get(Family::Meta, b"k").unwrap().unwrap();
    assert_eq!(put("1"), Ok(Rev(1)));
    assert_eq!(kind(put("2")), Kind::Full, "the second write meets a full disk");
    assert_eq!(read(), &b"1"[..]);
    // There is room again; now the second sync fails.
    assert_eq!(kind(put("3")), Kind::Io);
    for _ in 0..3 {
        assert_eq!(kind(put("4")), Kind::Unavailable);
        assert_eq!(store.sync().unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(read(), &b"1"[..]);
    }
    assert!(store.health().is_err());
    drop(store);
    let store = Store::open(&Path::new(&dir).join("data"), &options()).unwrap();
    let found = store.snapshot().get(Family::Meta, b"k").unwrap().unwrap();
    assert!([&b"1"[..], b"3"].contains(&&*found), "unknown is either");
    store.commit(store.batch(&store.snapshot()), Durability::Synced).unwrap();
}
