//! How many objects each container holds: a row of the family `index` that the committer keeps, so
//! that a page of a large directory can say of how many it is without reading them.

use std::collections::{BTreeMap, HashMap};

use kompira_schema::id::ObjectId;

use super::batch::BatchWrite;
use super::codec::Dirent;
use super::keys;
use super::kv::{Direction, Family, KeyRange, KvRead, StoreError, Write, WriteSet};
use super::migrate::Chunk;

/// Entries that one chunk of the migration counts.
const CHUNK: usize = 10_000;

/// The stored count; a container without a row holds nothing.
pub(super) fn stored(read: &dyn KvRead, container: ObjectId) -> Result<u64, StoreError> {
    let Some(bytes) = read.get(Family::Index, &keys::index_count(container))? else {
        return Ok(0);
    };
    count_in(&bytes).ok_or_else(|| StoreError::corrupt(format!("count of {container}")))
}

pub(super) fn count_in(value: &[u8]) -> Option<u64> {
    value.try_into().map(u64::from_be_bytes).ok()
}

/// What stores a count: a row, or none for nothing.
pub(super) fn row(container: ObjectId, count: u64) -> Write {
    let key = keys::index_count(container);
    match count {
        0 => Write::Delete(Family::Index, key),
        _ => Write::Put(Family::Index, key, count.to_be_bytes().to_vec()),
    }
}

fn container_of(key: &[u8]) -> Option<ObjectId> {
    keys::split_u64(key).map(|(id, _)| ObjectId(id))
}

/// What the commits of a group leave; rows they did not touch are as stored.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Entries, and whether they stand for an object now.
    entries: HashMap<Vec<u8>, bool>,
    held: HashMap<ObjectId, u64>,
}

impl Counts {
    /// What more changes by `writes`.
    pub(super) fn after(
        &self,
        read: &dyn KvRead,
        writes: &[BatchWrite],
    ) -> Result<Self, StoreError> {
        let mut after = Self::default();
        let mut moved: BTreeMap<ObjectId, i64> = BTreeMap::new();
        for write in writes.iter().filter(|write| write.family == Family::Dirent) {
            let Some(container) = container_of(&write.key) else { continue };
            let was = match after.entries.get(&write.key).or_else(|| self.entries.get(&write.key)) {
                Some(was) => *was,
                None => read
                    .get(Family::Dirent, &write.key)?
                    .is_some_and(|bytes| Dirent::is_object_row(&bytes)),
            };
            let now = write.value.as_deref().is_some_and(Dirent::is_object_row);
            *moved.entry(container).or_default() += i64::from(now) - i64::from(was);
            after.entries.insert(write.key.clone(), now);
        }
        for (container, by) in moved.into_iter().filter(|(_, by)| *by != 0) {
            let was = match self.held.get(&container) {
                Some(was) => *was,
                None => stored(read, container)?,
            };
            after.held.insert(container, was.saturating_add_signed(by));
        }
        Ok(after)
    }

    /// Takes what [`Counts::after`] found, and writes it.
    pub(super) fn take(&mut self, after: Self, set: &mut WriteSet) {
        set.writes.extend(after.held.iter().map(|(&container, &count)| row(container, count)));
        self.entries.extend(after.entries);
        self.held.extend(after.held);
    }
}

/// The step to format 2: counts what stores before it did not. The cursor is the last entry that
/// was counted; the count so far of its container is in its row.
pub(super) fn count(read: &dyn KvRead, cursor: Option<&[u8]>) -> Result<Chunk, StoreError> {
    let mut range = KeyRange::all();
    let mut held: BTreeMap<ObjectId, u64> = BTreeMap::new();
    if let Some(last) = cursor {
        range.start = std::ops::Bound::Excluded(last.to_vec());
        if let Some(container) = container_of(last) {
            held.insert(container, stored(read, container)?);
        }
    }
    let (mut seen, mut last) = (0, None);
    read.scan(Family::Dirent, &range, Direction::Forward, &mut |key, value| {
        if let Some(container) = container_of(key)
            && Dirent::is_object_row(value)
        {
            *held.entry(container).or_default() += 1;
        }
        seen += 1;
        if seen < CHUNK {
            return std::ops::ControlFlow::Continue(());
        }
        last = Some(key.to_vec());
        std::ops::ControlFlow::Break(())
    })?;
    let writes = held.into_iter().map(|(container, count)| row(container, count)).collect();
    Ok(Chunk { set: WriteSet { writes }, cursor: last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kv::Kv;
    use crate::store::memory::Memory;
    use crate::store::migrate::{self, FORMAT, STEPS};
    use crate::store::{Batch, Durability, EntryKind, Store};
    use kompira_schema::id::Rev;
    use kompira_schema::tree::NodeKind;

    const HERE: ObjectId = ObjectId(7);
    const THERE: ObjectId = ObjectId(8);

    fn entry(kind: EntryKind) -> Dirent {
        Dirent {
            since: Rev(1),
            child: ObjectId(9),
            type_id: ObjectId(2),
            kind,
            node: NodeKind::File,
            container: false,
            suffix: String::new(),
        }
    }

    fn commit(store: &Store, work: impl FnOnce(&mut Batch)) -> (u64, u64) {
        let mut batch = store.batch(&store.snapshot());
        work(&mut batch);
        store.commit(batch, Durability::Lazy).unwrap();
        let now = store.snapshot();
        (now.child_count(HERE).unwrap(), now.child_count(THERE).unwrap())
    }

    // rule: tree/page-cost
    #[test]
    fn entries_that_come_go_move_and_change_their_kind_are_counted() {
        let store = Store::memory();
        let (object, bare) = (entry(EntryKind::Object), entry(EntryKind::Bare));
        let scratch = entry(EntryKind::Scratch);
        let counts = commit(&store, |batch| {
            batch.put_dirent(HERE, "a", &object);
            batch.put_dirent(HERE, "b", &bare);
            batch.put_dirent(HERE, ".c", &scratch);
            batch.put_dirent(THERE, "d", &object);
        });
        assert_eq!(counts, (2, 1));
        // Written again, with and without a record: the same object.
        assert_eq!(commit(&store, |batch| batch.put_dirent(HERE, "b", &object)), (2, 1));
        // An editor's backup name, and back.
        assert_eq!(commit(&store, |batch| batch.put_dirent(HERE, "a", &scratch)), (1, 1));
        assert_eq!(commit(&store, |batch| batch.put_dirent(HERE, "a", &object)), (2, 1));
        let counts = commit(&store, |batch| {
            batch.delete_dirent(HERE, "a");
            batch.put_dirent(THERE, "a", &object);
        });
        assert_eq!(counts, (1, 2));
        // What a commit does and takes back is nothing.
        let counts = commit(&store, |batch| {
            batch.put_dirent(HERE, "e", &object);
            batch.delete_dirent(HERE, "e");
            batch.delete_dirent(HERE, "never");
            batch.delete_dirent(HERE, ".c");
        });
        assert_eq!(counts, (1, 2));
        assert_eq!(commit(&store, |batch| batch.delete_dirent(HERE, "b")), (0, 2));
        let row = store.snapshot().get(Family::Index, &keys::index_count(HERE)).unwrap();
        assert_eq!(row, None, "nothing is no row");
    }

    #[test]
    fn many_writers_at_once_are_counted_each() {
        let store = Store::memory();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..50 {
                        let name = format!("w{writer}n{number}");
                        commit(store, |batch| {
                            batch.put_dirent(HERE, &name, &entry(EntryKind::Object));
                        });
                    }
                });
            }
        });
        assert_eq!(store.snapshot().child_count(HERE).unwrap(), 400);
    }

    // rule: operations/format
    #[test]
    fn a_store_that_did_not_count_is_counted_in_chunks() {
        let kv = Memory::default();
        let mut old = WriteSet::default();
        old.put(Family::Meta, keys::META_FORMAT, 1_u32.to_be_bytes());
        let (object, scratch) = (entry(EntryKind::Object), entry(EntryKind::Scratch));
        for number in 0..CHUNK * 2 + 10 {
            let row = if number % 10 == 0 { &scratch } else { &object };
            let key = keys::dirent(HERE, &format!("n{number:06}"));
            old.put(Family::Dirent, key, row.encode());
        }
        for number in 0..5 {
            let key = keys::dirent(THERE, &format!("n{number}"));
            old.put(Family::Dirent, key, object.encode());
        }
        kv.write(&old, true).unwrap();
        migrate::run(None, Some(1), &kv, STEPS, FORMAT).unwrap();
        let read = kv.snapshot();
        let expected = CHUNK as u64 * 2 * 9 / 10 + 9;
        assert_eq!(stored(&*read, HERE).unwrap(), expected);
        assert_eq!(stored(&*read, THERE).unwrap(), 5);
        assert_eq!(stored(&*read, ObjectId(1)).unwrap(), 0);
    }
}
