use std::sync::Barrier;

use jiff::Timestamp;
use kompira_schema::error::Kind;
use kompira_schema::id::{BlobHash, ObjectId, Rev, UserId};
use kompira_schema::tree::NodeKind;
use kompira_schema::value::Ref;

use crate::store::{
    Changed, CommitError, Counter, DERIVED, Durability, Family, Fed, Head, Store, What,
};

pub(super) fn head(name: &str, parent: u64) -> Head {
    Head {
        rev: Rev(0),
        parent: ObjectId(parent),
        type_id: ObjectId(0),
        owner: UserId(1),
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
        mtime: Timestamp::UNIX_EPOCH,
        ctime: Timestamp::UNIX_EPOCH,
        mode: 0,
        node: NodeKind::Dir,
        flags: 0,
        content_size: 0,
        record_size: DERIVED,
        acl: [0; 16],
        name: name.into(),
    }
}

#[test]
fn whoever_has_the_answer_sees_the_commit_and_older_snapshots_do_not() {
    let store = Store::memory();
    let before = store.snapshot();
    let mut batch = store.batch(&before);
    batch.put(Family::Meta, b"k".as_slice(), b"v".as_slice());
    let rev = store.commit(batch, Durability::Synced).unwrap();
    assert_eq!(rev, Rev(1));
    assert_eq!(store.snapshot().get(Family::Meta, b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(before.get(Family::Meta, b"k").unwrap(), None);
}

#[test]
fn a_commit_that_relied_on_what_another_wrote_conflicts() {
    let store = Store::memory();
    let base = store.snapshot();
    let mut first = store.batch(&base);
    first.expect(Family::Meta, b"k");
    first.put(Family::Meta, b"k".as_slice(), b"1".as_slice());
    let mut second = store.batch(&base);
    second.expect(Family::Meta, b"k");
    second.put(Family::Meta, b"k".as_slice(), b"2".as_slice());
    store.commit(first, Durability::Lazy).unwrap();
    assert_eq!(store.commit(second, Durability::Lazy), Err(CommitError::Conflict));
    assert_eq!(store.snapshot().get(Family::Meta, b"k").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_removal_of_an_empty_container_conflicts_with_a_new_child() {
    let store = Store::memory();
    let base = store.snapshot();
    let mut child = store.batch(&base);
    child.put(Family::Dirent, crate::store::keys::dirent(ObjectId(1), "a"), b"x".as_slice());
    let mut removal = store.batch(&base);
    removal.expect_children(ObjectId(1));
    store.commit(child, Durability::Lazy).unwrap();
    assert_eq!(store.commit(removal, Durability::Lazy), Err(CommitError::Conflict));
}

#[test]
fn of_two_commits_with_the_same_lock_one_is_retried() {
    let store = Store::memory();
    let base = store.snapshot();
    let [first, second] = [(); 2].map(|()| {
        let mut batch = store.batch(&base);
        batch.serialise("move");
        batch
    });
    store.commit(first, Durability::Lazy).unwrap();
    assert_eq!(store.commit(second, Durability::Lazy), Err(CommitError::Conflict));
}

#[test]
fn headers_are_stamped_and_the_times_of_a_container_are_merged() {
    let store = Store::memory();
    let id = ObjectId(1);
    let mut batch = store.batch(&store.snapshot());
    batch.put_head(id, &head("", 0));
    store.commit(batch, Durability::Lazy).unwrap();
    let base = store.snapshot();
    assert_eq!(base.head(id).unwrap().unwrap().rev, Rev(1));
    let times = [3, 2].map(|second| Timestamp::from_second(second).unwrap());
    for time in times {
        let mut batch = store.batch(&base);
        batch.expect(Family::Head, &crate::store::keys::object(id));
        batch.touch(id, time);
        batch.touch(ObjectId(77), time);
        store.commit(batch, Durability::Lazy).unwrap();
    }
    let now = store.snapshot().head(id).unwrap().unwrap();
    assert_eq!((now.mtime, now.ctime, now.rev), (times[0], times[0], Rev(1)));
    assert_eq!(store.snapshot().head(ObjectId(77)).unwrap(), None);
}

#[test]
fn a_held_blob_has_to_be_stored() {
    let store = Store::memory();
    let mut batch = store.batch(&store.snapshot());
    batch.hold_blob(BlobHash::of(b"nowhere"), ObjectId(1), Rev(0));
    match store.commit(batch, Durability::Lazy) {
        Err(CommitError::Fault(fault)) => assert_eq!(fault.kind(), Kind::NotFound),
        other => panic!("{other:?}"),
    }
    let mut batch = store.batch(&store.snapshot());
    let hash = batch.put_blob(b"here").unwrap();
    batch.hold_blob(hash, ObjectId(1), Rev(0));
    store.commit(batch, Durability::Lazy).unwrap();
    assert_eq!(store.blobs().read(&hash, 1, 2).unwrap(), &b"er"[..]);
}

#[test]
fn the_feed_tells_every_commit_in_order_after_it_can_be_read() {
    let store = Store::memory();
    let feed = store.subscribe();
    let reader = std::thread::spawn({
        let store = store.clone();
        move || {
            for expected in 1..=400 {
                let Some(Fed::Commit(info)) = feed.recv() else { panic!("a commit") };
                assert_eq!(info.rev, Rev(expected));
                assert!(store.rev() >= info.rev);
            }
        }
    });
    let barrier = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (store, barrier) = (&store, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..100 {
                    let mut batch = store.batch(&store.snapshot());
                    batch.changed(Changed {
                        subject: Ref::User(UserId(thread)),
                        what: What::Record,
                        place: None,
                        old: None,
                    });
                    batch.origin(thread);
                    store.commit(batch, Durability::Synced).unwrap();
                }
            });
        }
    });
    reader.join().unwrap();
    let all = store.snapshot().changes_since(Rev(0), usize::MAX).unwrap().unwrap();
    assert_eq!(all.len(), 400);
    let some = store.snapshot().changes_since(Rev(390), 5).unwrap().unwrap();
    assert_eq!(some.iter().map(|info| info.rev.0).collect::<Vec<_>>(), [391, 392, 393, 394, 395]);
    assert_eq!(store.snapshot().changes_since(Rev(400), 5).unwrap().unwrap(), []);
}

#[test]
fn numbers_are_given_once_from_one_on() {
    let store = Store::memory();
    let mut given: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let store = &store;
                scope.spawn(move || {
                    (0..600).map(|_| store.new_id(Counter::Object).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    given.sort_unstable();
    assert_eq!(given, (1..=2400).collect::<Vec<_>>());
    store.raise_counter(Counter::User, 10).unwrap();
    assert_eq!(store.new_id(Counter::User).unwrap(), 11);
}
