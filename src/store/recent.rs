//! Rows that are asked for again and again, in front of the disk engine: names and headers of
//! directories, small rows that every commit reads, and what small commits have just written.
//!
//! A row is kept with the state from which on it is the truth. A state that is older looks below.
//! A commit moves the rows it writes on before the state that shows them is published, so what is
//! found here is never behind. Leaves of the tree come in by commits alone: most reads of them are
//! of one among many, which the engine's own cache of blocks serves.

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::codec::{Dirent, Head};
use super::keys;
use super::kv::{Direction, Family, KeyRange, Kv, KvRead, StoreError, Visit, Write, WriteSet};

/// Bytes of all kept rows, their keys and what keeping them takes.
const BYTES_MAX: u64 = 16 << 20;
/// What keeping a row takes, about.
const ROW_BYTES: u64 = 128;
/// Larger rows are not kept.
const VALUE_BYTES_MAX: usize = 1 << 10;
/// Rows of a commit that is still a small one: those of a bulk load would push out all others.
const COMMIT_ROWS_MAX: usize = 128;
/// Parts by which it is known when a key was last written.
const PARTS: usize = 1024;

#[derive(Debug, PartialEq, Eq)]
struct Key {
    family: Family,
    key: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    family: Family,
    key: &'a [u8],
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { family: self.family, key: &self.key }.hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key);
        state.write_usize(self.family.index());
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.family == key.family && *self.key == *key.key
    }
}

/// A row, from the state on in which it is the truth; `None`: there is none.
#[derive(Debug, Clone)]
struct Row {
    from: u64,
    value: Option<Bytes>,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Row> for Weight {
    fn weight(&self, key: &Key, row: &Row) -> u64 {
        ROW_BYTES + (key.key.len() + row.value.as_ref().map_or(0, Bytes::len)) as u64
    }
}

#[derive(Debug)]
struct Rows {
    kept: Cache<Key, Row, Weight>,
    /// The last state in which a key of each part was written. Held while a row is put.
    written: Vec<Mutex<u64>>,
}

fn held(mutex: &Mutex<u64>) -> MutexGuard<'_, u64> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rows {
    fn new() -> Self {
        let count = (BYTES_MAX / (2 * ROW_BYTES)) as usize;
        Self {
            kept: Cache::with_weighter(count, BYTES_MAX, Weight),
            written: (0..PARTS).map(|_| Mutex::new(0)).collect(),
        }
    }

    fn part(&self, asked: Asked<'_>) -> Option<MutexGuard<'_, u64>> {
        let mix = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
        let part = asked.key.iter().fold(asked.family.index(), mix) % PARTS;
        self.written.get(part).map(held)
    }

    fn get(&self, asked: Asked<'_>, at: u64) -> Option<Option<Bytes>> {
        self.kept.get(&asked).filter(|row| row.from <= at).map(|row| row.value)
    }

    fn put(&self, asked: Asked<'_>, row: Row) {
        self.kept.insert(Key { family: asked.family, key: asked.key.into() }, row);
    }

    /// Keeps what was read in the state `at`, unless it may have been written since.
    fn read(&self, asked: Asked<'_>, at: u64, value: Option<&Bytes>) {
        let Some(written) = self.part(asked) else { return };
        if *written <= at {
            self.put(asked, Row { from: at, value: value.cloned() });
        }
    }

    /// A write that made the state `at`.
    fn wrote(&self, asked: Asked<'_>, at: u64, value: Option<&[u8]>, keep: bool) {
        let Some(mut written) = self.part(asked) else { return };
        *written = at;
        let fits = value.is_none_or(|value| value.len() <= VALUE_BYTES_MAX);
        if keep && fits {
            self.put(asked, Row { from: at, value: value.map(Bytes::copy_from_slice) });
        } else {
            self.kept.remove(&asked);
        }
    }

    /// Forgets all: a write whose keys are not listed made the state `at`.
    fn forget(&self, at: u64) {
        let parts: Vec<_> = self.written.iter().map(held).collect();
        for mut written in parts {
            *written = at;
        }
        self.kept.clear();
    }
}

/// Whether rows of this key are kept. Of an index only the counts are asked for by key.
fn is_kept(family: Family, key: &[u8]) -> bool {
    match family {
        Family::Dirent | Family::Head | Family::Auth | Family::Meta => true,
        Family::Index => keys::read_index_count(key).is_some(),
        _ => false,
    }
}

/// Whether a row is kept when it is read. A name that is free is looked up some times before it is
/// taken.
fn is_asked_again(family: Family, value: Option<&Bytes>) -> bool {
    let Some(value) = value else { return family == Family::Dirent };
    value.len() <= VALUE_BYTES_MAX
        && match family {
            Family::Dirent => Dirent::is_container_row(value),
            Family::Head => Head::is_dir_row(value),
            _ => true,
        }
}

/// The disk engine with recent rows in front of it.
pub(super) struct Recent<K> {
    below: K,
    rows: Arc<Rows>,
    /// States so far. Held while one is made or taken.
    states: Mutex<u64>,
}

impl<K: Kv> Recent<K> {
    pub(super) fn new(below: K) -> Self {
        Self { below, rows: Arc::new(Rows::new()), states: Mutex::new(0) }
    }
}

impl<K: Kv> Kv for Recent<K> {
    fn snapshot(&self) -> Arc<dyn KvRead> {
        let states = held(&self.states);
        let (below, rows) = (self.below.snapshot(), Arc::clone(&self.rows));
        Arc::new(State { below, rows, at: *states })
    }

    fn write(&self, set: &WriteSet, durable: bool) -> Result<(), StoreError> {
        let mut states = held(&self.states);
        self.below.write(set, durable)?;
        *states += 1;
        let (at, keep) = (*states, set.writes.len() <= COMMIT_ROWS_MAX);
        for write in &set.writes {
            let (family, key, value) = match write {
                Write::Put(family, key, value) => (*family, key, Some(value.as_slice())),
                Write::Delete(family, key) => (*family, key, None),
                Write::DeleteRange(family, ..) => {
                    if matches!(family, Family::Change | Family::History) {
                        // None of these is kept.
                        continue;
                    }
                    self.rows.forget(at);
                    continue;
                }
            };
            if is_kept(family, key) {
                self.rows.wrote(Asked { family, key }, at, value, keep);
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.below.sync()
    }

    fn checkpoint(&self, dir: &Path) -> Result<(), StoreError> {
        self.below.checkpoint(dir)
    }
}

/// One state.
struct State {
    below: Arc<dyn KvRead>,
    rows: Arc<Rows>,
    at: u64,
}

impl KvRead for State {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if !is_kept(family, key) {
            return self.below.get(family, key);
        }
        let asked = Asked { family, key };
        if let Some(value) = self.rows.get(asked, self.at) {
            return Ok(value);
        }
        let found = self.below.get(family, key)?;
        if is_asked_again(family, found.as_ref()) {
            self.rows.read(asked, self.at, found.as_ref());
        }
        Ok(found)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        self.below.multi_get(family, keys)
    }

    fn scan(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.below.scan(family, range, direction, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    fn set(work: impl FnOnce(&mut WriteSet)) -> WriteSet {
        let mut set = WriteSet::default();
        work(&mut set);
        set
    }

    /// What a state shows, which is what the engine below it shows.
    fn value(read: &dyn KvRead, family: Family, key: &[u8]) -> Option<Bytes> {
        let found = read.get(family, key).unwrap();
        let alone = std::slice::from_ref(&found);
        assert_eq!(read.multi_get(family, &[key]).unwrap(), alone, "{key:?}");
        found
    }

    #[test]
    fn every_state_shows_its_own_rows_whatever_was_read_before() {
        // Names are kept when they are free, too.
        for family in [Family::Meta, Family::Dirent] {
            every_state_of(family);
        }
    }

    fn every_state_of(family: Family) {
        let kv = Recent::new(Memory::default());
        let mut states = vec![kv.snapshot()];
        for turn in 0..50_u8 {
            let (a, b) = (vec![b'k', turn % 3], vec![b'k', turn % 5]);
            let made = set(|set| {
                set.put(family, a, vec![1, 0, turn % 2, turn]);
                match turn % 11 {
                    7 => set.delete(family, b),
                    10 => set.writes.push(Write::DeleteRange(family, b"k".into(), b"l".into())),
                    _ => {}
                }
            });
            kv.write(&made, false).unwrap();
            states.push(kv.snapshot());
            // Old states and new ones by turns: what one leaves must not mislead the other.
            for at in [0, states.len() / 2, states.len() - 1] {
                for key in 0..6 {
                    value(&*states[at], family, &[b'k', key]);
                }
            }
        }
        for state in &states {
            for key in 0..6 {
                value(&**state, family, &[b'k', key]);
            }
        }
    }

    #[test]
    fn readers_beside_a_writer_never_see_less_than_what_is_published() {
        let kv = Recent::new(Memory::default());
        let published = Mutex::new((0_u64, kv.snapshot()));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let (rev, read) = {
                            let now = published.lock().unwrap();
                            (now.0, Arc::clone(&now.1))
                        };
                        let expected = (rev > 0).then(|| Bytes::from(rev.to_be_bytes().to_vec()));
                        assert_eq!(value(&*read, Family::Meta, b"rev"), expected);
                    }
                });
            }
            for rev in 1..=5000_u64 {
                let many = if rev % 50 == 0 { COMMIT_ROWS_MAX } else { 0 };
                let made = set(|set| {
                    set.put(Family::Meta, *b"rev", rev.to_be_bytes());
                    for row in 0..many {
                        set.put(Family::Meta, row.to_be_bytes(), *b"");
                    }
                });
                kv.write(&made, false).unwrap();
                *published.lock().unwrap() = (rev, kv.snapshot());
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn leaves_come_in_by_commits_and_directories_by_reads() {
        let kv = Recent::new(Memory::default());
        let mut leaf = vec![1, 0];
        leaf.resize(110, 0);
        let mut dir = leaf.clone();
        dir[1] = 1;
        let (big, small) = (COMMIT_ROWS_MAX as u64 + 1, 2_u64);
        for (many, kept) in [(big, false), (small, true)] {
            let made = set(|set| {
                for row in 0..many {
                    let value = if row == 0 { dir.clone() } else { leaf.clone() };
                    set.put(Family::Head, row.to_be_bytes(), value);
                }
            });
            kv.write(&made, false).unwrap();
            let read = kv.snapshot();
            for row in 0..2_u64 {
                let key = row.to_be_bytes();
                let asked = Asked { family: Family::Head, key: &key };
                assert_eq!(kv.rows.kept.get(&asked).is_some(), kept, "{row} of {many}");
                read.get(Family::Head, &key).unwrap();
                assert_eq!(kv.rows.kept.get(&asked).is_some(), kept || row == 0, "{row} of {many}");
            }
        }
    }
}
