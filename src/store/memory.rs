//! The memory twin of the disk engine: a persistent map per family.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use imbl::OrdMap;
use kompira_schema::error::Kind;

use super::kv::{Direction, Family, KeyRange, Kv, KvRead, StoreError, Visit, Write, WriteSet};

type Map = OrdMap<Bytes, Bytes>;

#[derive(Clone)]
struct State(Vec<Map>);

/// Everything in memory; a snapshot is a clone of the roots.
pub(crate) struct Memory {
    state: RwLock<Arc<State>>,
}

impl Default for Memory {
    fn default() -> Self {
        let state = State(vec![Map::new(); Family::ALL.len()]);
        Self { state: RwLock::new(Arc::new(state)) }
    }
}

impl State {
    fn map(&self, family: Family) -> &Map {
        self.0.get(family.index()).expect("one map per family")
    }

    fn map_mut(&mut self, family: Family) -> &mut Map {
        self.0.get_mut(family.index()).expect("one map per family")
    }
}

fn as_slices(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.start.as_ref().map(Vec::as_slice), range.end.as_ref().map(Vec::as_slice))
}

impl KvRead for State {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.map(family).get(key).cloned())
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        Ok(keys.iter().map(|key| self.map(family).get(*key).cloned()).collect())
    }

    fn scan(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let mut rows = self.map(family).range::<_, [u8]>(as_slices(range));
        loop {
            let row = match direction {
                Direction::Forward => rows.next(),
                Direction::Reverse => rows.next_back(),
            };
            let Some((key, value)) = row else { return Ok(()) };
            if visit(key, value).is_break() {
                return Ok(());
            }
        }
    }
}

impl Kv for Memory {
    fn snapshot(&self) -> Arc<dyn KvRead> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Arc::<State>::clone(&state)
    }

    fn write(&self, set: &WriteSet, _durable: bool) -> Result<(), StoreError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::make_mut(&mut state);
        for write in &set.writes {
            match write {
                Write::Put(family, key, value) => {
                    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    next.map_mut(*family).insert(key, value);
                }
                Write::Delete(family, key) => {
                    next.map_mut(*family).remove(key.as_slice());
                }
                Write::DeleteRange(family, start, end) => {
                    let range = KeyRange::half_open(start, end);
                    if range.is_empty() {
                        continue;
                    }
                    let map = next.map_mut(*family);
                    let keys: Vec<Bytes> = map
                        .range::<_, [u8]>(as_slices(&range))
                        .map(|(key, _)| key.clone())
                        .collect();
                    for key in keys {
                        map.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn checkpoint(&self, _dir: &Path) -> Result<(), StoreError> {
        Err(StoreError::new(Kind::Unavailable, "a store in memory has no checkpoint"))
    }
}
