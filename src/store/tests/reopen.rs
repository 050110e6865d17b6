use std::fs;
use std::io::Write as _;
use std::path::Path;

use kompira_schema::error::Kind;
use kompira_schema::id::{BlobHash, ObjectId, Rev};

use super::commit::head;
use super::options;
use crate::store::kv::WriteSet;
use crate::store::migrate::{Chunk, FORMAT, Step};
use crate::store::{Body, Counter, Durability, Family, INLINE_MAX, Snapshot, Store, keys};

/// The content of the committed fixture of version 1.
fn fill(store: &Store) {
    store.raise_counter(Counter::User, 3).unwrap();
    let large: Vec<u8> = (0..=INLINE_MAX).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let large = store.blobs().put_bytes(&large).unwrap();
    let id = ObjectId(store.new_id(Counter::Object).unwrap());
    for name in ["first", "second"] {
        let snapshot = store.snapshot();
        let mut batch = store.batch(&snapshot);
        if let (Some(head), Some(body)) = (snapshot.head(id).unwrap(), snapshot.body(id).unwrap()) {
            batch.keep_body(id, &head, &body).unwrap();
        }
        let small = batch.put_blob(b"small").unwrap();
        batch.put_head(id, &head(name, 0));
        let body = Body { display_name: format!("表示 {name}"), ..Body::default() };
        batch.put_body(id, &body).unwrap();
        batch.hold_blob(small, id, Rev(0));
        batch.hold_blob(large, id, Rev(0));
        store.commit(batch, Durability::Synced).unwrap();
    }
}

fn look(snapshot: &Snapshot, store: &Store) {
    assert_eq!(snapshot.rev(), Rev(2));
    let id = ObjectId(1);
    assert_eq!(snapshot.head(id).unwrap().unwrap().name, "second");
    assert_eq!(snapshot.body(id).unwrap().unwrap().display_name, "表示 second");
    let earlier = snapshot.body_at(id, Rev(1)).unwrap().unwrap();
    assert_eq!(earlier.body.display_name, "表示 first");
    assert_eq!(snapshot.changes_since(Rev(0), 9).unwrap().unwrap().len(), 2);
    assert_eq!(store.blobs().read(&BlobHash::of(b"small"), 0, 9).unwrap(), &b"small"[..]);
    let mut all = Vec::new();
    snapshot
        .scan(
            Family::Blobref,
            &crate::store::KeyRange::all(),
            crate::store::Direction::Forward,
            &mut |key, _| {
                all.push(keys::read_blobref(key).unwrap().0);
                std::ops::ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!(all.len(), 2);
    for hash in all {
        let size = store.blobs().size(&hash).unwrap();
        assert_eq!(store.blobs().read(&hash, 0, usize::MAX).unwrap().len() as u64, size);
    }
}

#[test]
fn everything_is_there_after_reopening_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    fill(&store);
    look(&store.snapshot(), &store);
    drop(store);
    let store = Store::open(dir.path(), &options()).unwrap();
    look(&store.snapshot(), &store);
    assert_eq!(store.new_id(Counter::Object).unwrap(), 2, "a clean stop skips no number");
    assert_eq!(store.new_id(Counter::User).unwrap(), 4);
    let rev = store.commit(store.batch(&store.snapshot()), Durability::Lazy).unwrap();
    assert_eq!(rev, Rev(3));
}

#[test]
fn a_second_server_is_told_who_holds_the_directory_even_while_a_snapshot_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    let fault = Store::open(dir.path(), &options()).unwrap_err();
    assert_eq!(fault.kind(), Kind::Locked);
    let snapshot = store.snapshot();
    drop(store);
    assert_eq!(Store::open(dir.path(), &options()).unwrap_err().kind(), Kind::Locked);
    drop(snapshot);
    Store::open(dir.path(), &options()).unwrap();
}

#[test]
fn a_newer_store_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    fs::write(dir.path().join("format"), "999\n").unwrap();
    let before = listing(&dir.path().join("db"));
    assert_eq!(Store::open(dir.path(), &options()).unwrap_err().kind(), Kind::Version);
    assert_eq!(listing(&dir.path().join("db")), before);
}

#[test]
fn a_store_whose_database_is_gone_is_not_started_empty() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &options()).unwrap());
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert_eq!(Store::open(dir.path(), &options()).unwrap_err().kind(), Kind::Corrupt);
}

fn listing(dir: &Path) -> Vec<(String, u64)> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().len())
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_checkpoint_under_load_is_one_revision_and_opens_like_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("a"), &options()).unwrap();
    fill(&store);
    std::thread::scope(|scope| {
        let (stop_is, stop) = crossbeam_channel::bounded::<()>(0);
        let writer = &store;
        scope.spawn(move || {
            while stop.try_recv() == Err(crossbeam_channel::TryRecvError::Empty) {
                let mut batch = writer.batch(&writer.snapshot());
                let blob = batch.put_blob(&writer.rev().0.to_le_bytes()).unwrap();
                batch.hold_blob(blob, ObjectId(7), Rev(0));
                writer.commit(batch, Durability::Lazy).unwrap();
            }
        });
        for round in 0..3 {
            let to = dir.path().join(format!("copy{round}"));
            let rev = store.checkpoint(&to).unwrap();
            let copy = Store::open(&to, &options()).unwrap();
            assert_eq!(copy.rev(), rev);
            assert_eq!(
                copy.snapshot().changes_since(Rev(0), usize::MAX).unwrap().unwrap().len() as u64,
                rev.0
            );
            assert_eq!(store.checkpoint(&to).unwrap_err().kind(), Kind::Exists);
        }
        drop(stop_is);
    });
}

#[test]
fn a_store_of_version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    let archive = fs::File::open("tests/fixtures/store_v1.zip").unwrap();
    zip::ZipArchive::new(archive).unwrap().extract(dir.path()).unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    look(&store.snapshot(), &store);
    assert_eq!(crate::store::migrate::version(store.snapshot().kv()).unwrap(), Some(FORMAT));
}

/// Makes the fixture; only ever run for a new format version.
#[test]
#[ignore = "writes tests/fixtures"]
fn make_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    fill(&store);
    drop(store);
    let to = format!("tests/fixtures/store_v{FORMAT}.zip");
    fs::create_dir_all("tests/fixtures").unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(to).unwrap());
    let mut folders = vec![dir.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let name =
                entry.path().strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned();
            if entry.file_type().unwrap().is_dir() {
                archive.add_directory(name, zip::write::SimpleFileOptions::default()).unwrap();
                folders.push(entry.path());
            } else if !matches!(name.as_str(), "lock" | "db/LOCK" | "db/LOG") {
                archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                archive.write_all(&fs::read(entry.path()).unwrap()).unwrap();
            }
        }
    }
    archive.finish().unwrap();
}

pub(super) const UPPER: Step = Step { to: FORMAT + 1, name: "upper", run: upper };

/// A step that takes a few chunks: `auth` rows k0…k4 become K0…K4.
fn upper(
    read: &dyn crate::store::kv::KvRead,
    cursor: Option<&[u8]>,
) -> Result<Chunk, crate::store::StoreError> {
    let at = cursor.map_or(b'0', |cursor| cursor[0]);
    let mut set = WriteSet::default();
    if let Some(value) = read.get(Family::Auth, &[b'k', at])? {
        set.delete(Family::Auth, [b'k', at]);
        set.put(Family::Auth, [b'K', at], value);
    }
    Ok(Chunk { set, cursor: (at < b'4').then(|| vec![at + 1]) })
}
