use std::fs;

use kompira_schema::id::{BlobHash, ObjectId, Rev, UserId};
use kompira_schema::tree::NodeKind;
use kompira_schema::value::{FileValue, Ref, Value};

use super::commit::head;
use super::{on_both, options};
use crate::store::kv::{Write, WriteSet};
use crate::store::{
    Body, Counter, Depth, Dirent, Durability, EntryKind, Family, Head, INLINE_MAX, Store, keys,
};

const TYPE: ObjectId = ObjectId(2);

/// A root, a directory 3 in it, and an object 4 in that, with a reference and attachments.
fn build(store: &Store) {
    store.raise_counter(Counter::Object, 4).unwrap();
    let large = store.blobs().put_bytes(&vec![7; INLINE_MAX + 1]).unwrap();
    for round in 0..2 {
        let snapshot = store.snapshot();
        let mut batch = store.batch(&snapshot);
        let small = batch.put_blob(b"small").unwrap();
        for (id, parent, name) in [(1, 0, ""), (2, 1, "type"), (3, 1, "dir"), (4, 3, "leaf")] {
            let id = ObjectId(id);
            let mut body = Body::default();
            if id.0 == 4 {
                if round == 1 {
                    let (head, body) = (snapshot.head(id).unwrap(), snapshot.body(id).unwrap());
                    batch.keep_body(id, &head.unwrap(), &body.unwrap()).unwrap();
                    let entry = snapshot.dirent(ObjectId(3), name).unwrap().unwrap();
                    batch.keep_entry(ObjectId(3), name, &entry);
                }
                let file = |hash, size| Value::File(FileValue { name: "f".into(), size, hash });
                let files = vec![file(small, 5), file(large, INLINE_MAX as u64 + 1)];
                body.set_field("files", Value::Array(files));
                body.set_field("to", Value::Object(Ref::Object(ObjectId(3))));
                for hash in [small, large] {
                    batch.hold_blob(hash, id, Rev(0));
                }
                let to = Ref::Object(ObjectId(3));
                batch.put(Family::Backref, keys::backref(to, id, "to"), vec![]);
            }
            batch.put_head(id, &Head { type_id: TYPE, ..head(name, parent) });
            batch.put_body(id, &body).unwrap();
            batch.put(Family::Index, keys::index_type(TYPE, id), vec![]);
            batch.put(Family::Index, keys::index_owner(UserId(1), id), vec![]);
            if id != ObjectId::ROOT {
                batch.put_dirent(ObjectId(parent), name, &entry(id));
            }
        }
        store.commit(batch, Durability::Lazy).unwrap();
    }
}

fn entry(child: ObjectId) -> Dirent {
    Dirent {
        since: Rev(0),
        child,
        type_id: TYPE,
        kind: EntryKind::Object,
        node: NodeKind::Dir,
        container: true,
        suffix: String::new(),
    }
}

fn found(store: &Store) -> Vec<&'static str> {
    let report = store.check(Depth::Bytes).unwrap();
    report.findings.iter().map(|finding| finding.message.key).collect()
}

fn write(store: &Store, writes: Vec<Write>) {
    store.apply(Durability::Lazy, move |_| Ok(WriteSet { writes })).unwrap();
}

#[test]
fn a_sound_store_has_no_findings() {
    on_both(|store| {
        build(store);
        let report = store.check(Depth::Bytes).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        assert_eq!((report.nodes, report.blobs), (4, 2));
        let (_, repaired) = store.repair(Depth::Rows).unwrap();
        assert_eq!(repaired, 0);
    });
}

// rule: operations/fsck
#[test]
fn every_broken_invariant_is_named() {
    let object = |id: u64| keys::object(ObjectId(id)).to_vec();
    let put_head = |id: u64, head: Head| {
        Write::Put(Family::Head, object(id), Head { type_id: TYPE, ..head }.encode())
    };
    let cases: Vec<(Write, &str)> = vec![
        (Write::Delete(Family::Head, object(4)), "check.entry_without_node"),
        (Write::Delete(Family::Head, object(3)), "check.entry_without_parent"),
        (Write::Delete(Family::Head, object(1)), "check.no_root"),
        (Write::Delete(Family::Body, object(4)), "check.no_body"),
        (
            Write::Delete(Family::Dirent, keys::dirent(ObjectId(3), "leaf")),
            "check.node_without_entry",
        ),
        (put_head(4, head("other", 3)), "check.entry_differs"),
        (put_head(3, head("dir", 4)), "check.cycle"),
        (put_head(4, Head { acl: [1; 16], ..head("leaf", 3) }), "check.no_permissions"),
        (put_head(4, Head { rev: Rev(99), ..head("leaf", 3) }), "check.revision_ahead"),
        (Write::Put(Family::Head, object(4), vec![1, 2]), "check.unreadable"),
        (Write::Put(Family::Head, vec![4], vec![1, 2]), "check.bad_key"),
        (Write::Put(Family::Dirent, vec![4], vec![1, 2]), "check.bad_key"),
        (Write::Put(Family::Body, object(4), vec![1, 2]), "check.unreadable"),
        (
            Write::Put(
                Family::Body,
                object(9),
                crate::store::codec::pack(Family::Body, &object(9), &Body::default()).unwrap(),
            ),
            "check.body_without_node",
        ),
        (Write::Delete(Family::Blob, BlobHash::of(b"small").0.to_vec()), "check.blob_missing"),
        (Write::Put(Family::Blob, BlobHash::of(b"small").0.to_vec(), vec![1]), "check.unreadable"),
        (Write::Delete(Family::Change, keys::change(Rev(1)).to_vec()), ""),
        (Write::Put(Family::Change, keys::number(9), vec![1]), "check.revision_gap"),
        (Write::Put(Family::History, vec![b'E'; 3], vec![1]), "check.bad_key"),
        (
            Write::Put(Family::History, keys::history_body(ObjectId(4), Rev(1)), vec![0; 30]),
            "check.unreadable",
        ),
    ];
    for (damage, expected) in cases {
        on_both(|store| {
            build(store);
            write(store, vec![damage.clone()]);
            let found = found(store);
            if expected.is_empty() {
                assert!(found.is_empty(), "{damage:?} {found:?}");
            } else {
                assert!(found.contains(&expected), "{damage:?} {found:?}");
            }
        });
    }
}

#[test]
fn what_follows_from_other_rows_is_repaired() {
    let hash = BlobHash::of(b"small");
    let cases: Vec<(Write, &str)> = vec![
        (
            Write::Delete(Family::Index, keys::index_type(TYPE, ObjectId(4))),
            "check.derived_missing",
        ),
        (Write::Delete(Family::Index, keys::index_count(ObjectId::ROOT)), "check.count"),
        (Write::Put(Family::Index, keys::index_count(ObjectId(4)), vec![1; 8]), "check.count"),
        (Write::Put(Family::Index, keys::index_count(ObjectId::ROOT), vec![1]), "check.count"),
        (
            Write::Put(Family::Index, keys::index_owner(UserId(9), ObjectId(4)), vec![]),
            "check.derived_surplus",
        ),
        (Write::DeleteRange(Family::Backref, vec![], vec![255]), "check.derived_missing"),
        (
            Write::Put(
                Family::Backref,
                keys::backref(Ref::User(UserId(1)), ObjectId(4), "to"),
                vec![],
            ),
            "check.derived_surplus",
        ),
        (
            Write::Delete(Family::Blobref, keys::blobref(&hash, ObjectId(4), Rev(0))),
            "check.derived_missing",
        ),
        (
            Write::Delete(Family::Blobref, keys::blobref(&hash, ObjectId(4), Rev(1))),
            "check.derived_missing",
        ),
        (
            Write::Put(Family::Blobref, keys::blobref(&hash, ObjectId(3), Rev(0)), vec![]),
            "check.derived_surplus",
        ),
        (
            Write::Put(Family::Meta, b"counter/object".to_vec(), 2_u64.to_be_bytes().to_vec()),
            "check.counter_behind",
        ),
    ];
    for (damage, expected) in cases {
        on_both(|store| {
            build(store);
            write(store, vec![damage.clone()]);
            assert_eq!(found(store), [expected], "{damage:?}");
            assert_eq!(store.repair(Depth::Rows).unwrap().1, 1);
            assert!(store.check(Depth::Bytes).unwrap().is_clean(), "{damage:?}");
        });
    }
}

#[test]
fn damaged_blob_files_and_strangers_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &options()).unwrap();
    build(&store);
    let hex = BlobHash::of(&vec![7; INLINE_MAX + 1]).to_string();
    let file = dir.path().join("blobs").join(&hex[..2]).join(&hex[2..]);
    let stranger = file.with_file_name("README");
    fs::write(&stranger, "hello").unwrap();
    assert_eq!(found(&store), ["check.stranger"]);
    fs::remove_file(stranger).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[9] = 0;
    fs::write(&file, bytes).unwrap();
    assert!(store.check(Depth::Rows).unwrap().is_clean(), "the size is right");
    assert_eq!(found(&store), ["check.blob_damaged"]);
    fs::remove_file(file).unwrap();
    assert!(!store.check(Depth::Rows).unwrap().is_clean());
}
