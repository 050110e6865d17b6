//! Rows of one moment, with a commit's own writes laid over them.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::{Peekable, Rev};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use kompira_schema::error::Fault;
use parking_lot::Mutex;

use crate::store::kv::Visit;
use crate::store::{Direction, Family, KeyRange, Snapshot, Watch};

/// A row that a commit will write; `value` is `None` for a deletion.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) value: Option<Bytes>,
    /// Where the committer writes the revision.
    pub(super) stamp: Option<usize>,
}

type Rows = BTreeMap<Vec<u8>, Own>;

/// A name that was looked up, and what it was.
#[derive(Default)]
struct LastName {
    key: Vec<u8>,
    row: Option<Bytes>,
}

/// Reads at a snapshot, own writes first.
pub(super) struct Reads {
    snapshot: Snapshot,
    own: Vec<Rows>,
    dirty: bool,
    /// Whoever resolves a path asks for its last name again with the object.
    last: Mutex<LastName>,
    /// Notes what is read, for something that will be kept.
    watch: Option<Watch>,
}

impl Reads {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, own: Vec::new(), dirty: false, last: Mutex::default(), watch: None }
    }

    /// Reads that are noted.
    pub(super) fn watched(snapshot: Snapshot) -> Self {
        let watch = Some(snapshot.watch());
        Self { watch, ..Self::new(snapshot) }
    }

    pub(super) fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn rows(&self, family: Family) -> Option<&Rows> {
        self.own.get(family.index()).filter(|rows| !rows.is_empty())
    }

    /// Whether there are own writes in one of these families.
    pub(super) fn has_own(&self, families: &[Family]) -> bool {
        families.iter().any(|family| self.rows(*family).is_some())
    }

    pub(super) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        if self.dirty
            && let Some(own) = self.rows(family).and_then(|rows| rows.get(key))
        {
            return Ok(own.value.clone());
        }
        if let Some(watch) = &self.watch {
            watch.row(family, key);
        }
        if family != Family::Dirent {
            return self.snapshot.get(family, key);
        }
        let mut last = self.last.lock();
        if last.key != key {
            let row = self.snapshot.get(family, key)?;
            last.key.clear();
            last.key.extend_from_slice(key);
            last.row = row;
        }
        Ok(last.row.clone())
    }

    pub(super) fn multi_get(
        &self,
        family: Family,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Bytes>>, Fault> {
        if let Some(watch) = &self.watch {
            keys.iter().for_each(|key| watch.row(family, key));
        }
        let mut found = self.snapshot.multi_get(family, keys)?;
        if let Some(rows) = self.rows(family) {
            for (slot, key) in found.iter_mut().zip(keys) {
                if let Some(own) = rows.get(*key) {
                    slot.clone_from(&own.value);
                }
            }
        }
        Ok(found)
    }

    pub(super) fn scan(
        &self,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        if let Some(watch) = &self.watch {
            watch.more();
        }
        let Some(rows) = self.rows(family).filter(|_| !range.is_empty()) else {
            return self.snapshot.scan(family, range, direction, visit);
        };
        let bounds = (as_slice(&range.start), as_slice(&range.end));
        let range_of = || rows.range::<[u8], _>(bounds);
        let mut own = match direction {
            Direction::Forward => Side::Up(range_of().peekable()),
            Direction::Reverse => Side::Down(range_of().rev().peekable()),
        };
        let mut stopped = false;
        self.snapshot.scan(family, range, direction, &mut |key, value| {
            while let Some(before) = own.next_before(Some(key)) {
                let hides = before.0.as_slice() == key;
                if let Some(value) = &before.1.value
                    && visit(before.0, value).is_break()
                {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                if hides {
                    return ControlFlow::Continue(());
                }
            }
            let flow = visit(key, value);
            stopped = flow.is_break();
            flow
        })?;
        while !stopped && let Some((key, row)) = own.next_before(None) {
            if let Some(value) = &row.value {
                stopped = visit(key, value).is_break();
            }
        }
        Ok(())
    }

    pub(super) fn put(
        &mut self,
        family: Family,
        key: Vec<u8>,
        value: Vec<u8>,
        stamp: Option<usize>,
    ) {
        self.set(family, key, Own { value: Some(value.into()), stamp });
    }

    pub(super) fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.set(family, key, Own { value: None, stamp: None });
    }

    fn set(&mut self, family: Family, key: Vec<u8>, row: Own) {
        if self.own.is_empty() {
            self.own.resize_with(Family::ALL.len(), Rows::new);
        }
        self.dirty = true;
        if let Some(rows) = self.own.get_mut(family.index()) {
            rows.insert(key, row);
        }
    }

    /// What this commit itself will write at the key.
    pub(super) fn own(&self, family: Family, key: &[u8]) -> Option<&Own> {
        self.rows(family)?.get(key)
    }

    pub(super) fn take_own(&mut self) -> impl Iterator<Item = (Family, Vec<u8>, Own)> + use<> {
        self.dirty = false;
        Family::ALL
            .iter()
            .zip(std::mem::take(&mut self.own))
            .flat_map(|(family, rows)| rows.into_iter().map(|(key, own)| (*family, key, own)))
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Own rows in the direction of the scan.
enum Side<'a> {
    Up(Peekable<Range<'a, Vec<u8>, Own>>),
    Down(Peekable<Rev<Range<'a, Vec<u8>, Own>>>),
}

impl<'a> Side<'a> {
    /// The next own row, if it does not stand after `key`.
    fn next_before(&mut self, key: Option<&[u8]>) -> Option<(&'a Vec<u8>, &'a Own)> {
        match self {
            Self::Up(rows) => rows.next_if(|(own, _)| key.is_none_or(|key| own.as_slice() <= key)),
            Self::Down(rows) => {
                rows.next_if(|(own, _)| key.is_none_or(|key| own.as_slice() >= key))
            }
        }
    }
}
