use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kompira_schema::id::{BlobHash, ObjectId, Rev};
use kompira_schema::tree::NodeKind;
use kompira_schema::value::{FileValue, Value};

use super::commit::head;
use super::{on_both, options};
use crate::store::{Body, Dirent, Durability, EntryKind, Options, Store};

const PARENT: ObjectId = ObjectId(1);

pub(super) fn entry(child: u64) -> Dirent {
    Dirent {
        since: Rev(0),
        child: ObjectId(child),
        type_id: ObjectId(0),
        kind: EntryKind::Object,
        node: NodeKind::File,
        container: false,
        suffix: String::new(),
    }
}

/// Sets or removes a name, keeping what it replaces.
fn set(store: &Store, name: &str, child: Option<u64>) -> Rev {
    let snapshot = store.snapshot();
    let mut batch = store.batch(&snapshot);
    if let Some(old) = snapshot.dirent(PARENT, name).unwrap() {
        batch.keep_entry(PARENT, name, &old);
    }
    match child {
        Some(child) => batch.put_dirent(PARENT, name, &entry(child)),
        None => batch.delete_dirent(PARENT, name),
    }
    store.commit(batch, Durability::Lazy).unwrap()
}

// rule: tree/history
#[test]
fn a_directory_reads_as_it_was_at_every_revision() {
    on_both(|store| {
        let mut model: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new()];
        let names = ["a", "ab", "b", "日本", "c"];
        let mut random = 12345_u64;
        for step in 1..200_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            let name = names[usize::try_from(random >> 33).unwrap() % names.len()];
            let mut next = model.last().unwrap().clone();
            let child = (random >> 20).is_multiple_of(3).then_some(step);
            let rev = set(store, name, child);
            match child {
                Some(child) => next.insert(name.into(), child),
                None => next.remove(name),
            };
            model.push(next);
            assert_eq!(rev.0 + 1, model.len() as u64);
        }
        let snapshot = store.snapshot();
        for (rev, then) in model.iter().enumerate() {
            let rev = Rev(rev as u64);
            for name in names {
                let found = snapshot.entry_at(PARENT, name, rev).unwrap();
                assert_eq!(found.map(|entry| entry.child.0), then.get(name).copied());
            }
            let all = snapshot.entries_at(PARENT, rev, None, 100).unwrap();
            let all: Vec<_> = all.into_iter().map(|(name, e)| (name, e.child.0)).collect();
            assert_eq!(all, then.clone().into_iter().collect::<Vec<_>>());
            let mut paged = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let page = snapshot.entries_at(PARENT, rev, after.as_deref(), 2).unwrap();
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                paged.extend(page.into_iter().map(|(name, e)| (name, e.child.0)));
            }
            assert_eq!(paged, all);
        }
    });
}

// rule: tree/history
#[test]
fn bodies_read_as_they_were_until_they_are_purged_with_their_blobs() {
    on_both(|store| {
        let id = ObjectId(5);
        let hash = |n: u64| BlobHash::of(&n.to_be_bytes());
        for n in 1..=4_u64 {
            let snapshot = store.snapshot();
            let mut batch = store.batch(&snapshot);
            if n > 1 {
                let (head, body) =
                    (snapshot.head(id).unwrap().unwrap(), snapshot.body(id).unwrap());
                batch.keep_body(id, &head, &body.unwrap()).unwrap();
                batch.release_blob(hash(n - 1), id, Rev(0));
            }
            let blob = batch.put_blob(&n.to_be_bytes()).unwrap();
            batch.hold_blob(blob, id, Rev(0));
            let file = FileValue { name: "f".into(), size: 8, hash: blob };
            let body = Body { fields: vec![("f".into(), Value::File(file))], ..Body::default() };
            batch.put_head(id, &head(&n.to_string(), 1));
            batch.put_body(id, &body).unwrap();
            store.commit(batch, Durability::Lazy).unwrap();
        }
        let snapshot = store.snapshot();
        assert_eq!(snapshot.body_at(id, Rev(0)).unwrap(), None);
        for n in 1..=4_u64 {
            let version = snapshot.body_at(id, Rev(n)).unwrap().unwrap();
            assert_eq!((version.head.name.as_str(), version.from), (&*n.to_string(), Rev(n)));
            assert_eq!(version.until, (n < 4).then_some(Rev(n + 1)));
        }
        let versions = snapshot.versions(id, 3).unwrap();
        assert_eq!(versions.iter().map(|v| v.from.0).collect::<Vec<_>>(), [2, 3, 4]);

        assert_eq!(store.purge_history(Rev(3)).unwrap(), 2);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(store.blobs().sweep(std::time::Duration::ZERO).unwrap(), 2);
        let snapshot = store.snapshot();
        assert_eq!(snapshot.history_from().unwrap(), Rev(3));
        for n in 1..=4_u64 {
            assert_eq!(store.blobs().size(&hash(n)).is_ok(), n > 2, "{n}");
            assert_eq!(snapshot.body_at(id, Rev(n)).unwrap().is_some(), n > 2);
        }
    });
}

#[test]
fn housekeeping_goes_by_time_and_keeps_the_newest_change() {
    on_both(|store| {
        let start = Timestamp::from_second(1_000_000).unwrap();
        for n in 0..10 {
            let mut batch = store.batch(&store.snapshot());
            batch.at(start + SignedDuration::from_secs(n));
            store.commit(batch, Durability::Lazy).unwrap();
        }
        let four = std::time::Duration::from_secs(4);
        let options = Options { change_keep: four, history_keep: four, ..options() };
        let now = start + SignedDuration::from_secs(9);
        let longer = Options { history_keep: four * 10, ..options.clone() };
        assert_eq!(store.maintain(&longer, now).unwrap().changes, 0, "they tell of what is kept");
        assert_eq!(store.maintain(&options, now).unwrap().changes, 5);
        assert_eq!(store.snapshot().changes_since(Rev(4), 99).unwrap(), None);
        assert_eq!(store.snapshot().changes_since(Rev(5), 99).unwrap().unwrap().len(), 5);
        // What is older than the feed is not taken for older than it is.
        store.maintain(&longer, now).unwrap();
        assert_eq!(store.snapshot().history_from().unwrap(), Rev(6));
        let later = now + SignedDuration::from_hours(1);
        assert_eq!(store.maintain(&options, later).unwrap().changes, 4);
        assert_eq!(store.snapshot().changes_since(Rev(9), 99).unwrap().unwrap().len(), 1);
    });
}
