//! Values of a field to the objects that hold them (rule: `tree/find-indexes`).
//!
//! An index is made when a query first needs it and follows the commits from then on. It is kept in
//! memory alone: what it names is looked at again before it counts, so it can only be too wide.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::field::Elem;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::types::FieldDef;
use kompira_schema::validate::reread;
use kompira_schema::value::Ref;
use parking_lot::Mutex;

use super::plan::scalars;
use super::test::{Lookup, Scalar, Test};
use crate::store::codec::unpack;
use crate::store::{Body, Family, keys};
use crate::tree::view::View;

/// A type with fewer objects is looked through.
const OBJECTS_MIN: usize = 256;
/// Values in all indexes together: about 200 bytes each.
const VALUES_MAX: usize = 1_500_000;
/// Commits that an index catches up with; after more it is made anew.
const STEPS_MAX: u64 = 20_000;
/// Changed objects that are remembered for readers of an earlier moment.
const RECENT_MAX: usize = 20_000;
/// Bytes of a value that are kept; longer ones are found by their beginning.
const VALUE_MAX: usize = 64;
/// Bodies read at once.
const CHUNK: usize = 1000;

/// The indexes of the tree.
#[derive(Default)]
pub(in crate::tree) struct Indexes(Mutex<Known>);

#[derive(Default)]
struct Known {
    fields: HashMap<(ObjectId, String), Slot>,
    uses: u64,
}

struct Slot {
    index: Arc<Mutex<Option<Index>>>,
    /// Values in it, as far as known here.
    size: usize,
    used: u64,
}

struct Index {
    /// Revision of the type object it was made for.
    of_type: Rev,
    at: Rev,
    rows: BTreeSet<(Box<[u8]>, ObjectId)>,
    values: HashMap<ObjectId, Vec<Box<[u8]>>>,
    /// What changed since `recent_from`.
    recent: VecDeque<(Rev, ObjectId)>,
    recent_from: Rev,
}

/// Bytes that a value may have, both ends included.
type Span = (Box<[u8]>, Option<Box<[u8]>>);

impl View {
    /// The objects of a type of which a field may satisfy a test; `None` when no index serves.
    pub(super) fn by_field(
        &self,
        type_id: ObjectId,
        field: &FieldDef,
        test: &Test,
    ) -> Result<Option<Vec<ObjectId>>, Fault> {
        if self.reads.is_dirty() {
            return Ok(None);
        }
        let Some(spans) = spans(field.field_type.shape.elem(), test) else { return Ok(None) };
        let key = (type_id, field.name.clone());
        let slot = self.inner.indexes.slot(&key);
        // Who finds it in use looks through the objects rather than wait.
        let Some(mut slot) = slot.try_lock() else { return Ok(None) };
        let of_type = self.head(type_id)?.rev;
        let known = slot.take().filter(|index| index.of_type == of_type);
        let index = match known {
            Some(index) => self.caught_up(index, type_id, field)?,
            None => None,
        };
        let index = match index {
            Some(index) => Some(index),
            None => self.build(type_id, field, of_type)?,
        };
        let Some(index) = index else {
            self.inner.indexes.forget(&key);
            return Ok(None);
        };
        self.inner.indexes.grown(&key, index.rows.len());
        let found = index.within(&spans, self.rev());
        *slot = Some(index);
        Ok(found)
    }

    fn build(
        &self,
        type_id: ObjectId,
        field: &FieldDef,
        of_type: Rev,
    ) -> Result<Option<Index>, Fault> {
        let ids = self.of_type(type_id)?;
        if ids.len() < OBJECTS_MIN || ids.len() > VALUES_MAX {
            return Ok(None);
        }
        let mut index = Index {
            of_type,
            at: self.rev(),
            rows: BTreeSet::new(),
            values: HashMap::with_capacity(ids.len()),
            recent: VecDeque::new(),
            recent_from: self.rev(),
        };
        for chunk in ids.chunks(CHUNK) {
            let keys: Vec<_> = chunk.iter().map(|&id| keys::object(id)).collect();
            let keys: Vec<&[u8]> = keys.iter().map(<[u8; 8]>::as_slice).collect();
            let bodies = self.reads.multi_get(Family::Body, &keys)?;
            for ((id, key), bytes) in chunk.iter().zip(keys).zip(bytes_of(bodies)) {
                let body: Body = unpack(Family::Body, key, &bytes)?;
                index.set(*id, self.values_in(field, &body));
            }
            if index.rows.len() > VALUES_MAX {
                return Ok(None);
            }
        }
        Ok(Some(index))
    }

    /// The index with what was committed since; `None` when it has to be made anew.
    fn caught_up(
        &self,
        mut index: Index,
        type_id: ObjectId,
        field: &FieldDef,
    ) -> Result<Option<Index>, Fault> {
        let now = self.rev();
        if now <= index.at {
            return Ok(Some(index));
        }
        if now.0 - index.at.0 > STEPS_MAX {
            return Ok(None);
        }
        let Some(commits) = self.snapshot().changes_since(index.at, usize::MAX)? else {
            return Ok(None);
        };
        let mut changed = HashSet::new();
        for commit in &commits {
            for change in &commit.changes {
                if let Ref::Object(id) = change.subject {
                    changed.insert(id);
                    index.recent.push_back((commit.rev, id));
                }
            }
        }
        for id in changed {
            let head = self.head_if(id)?.filter(|head| head.is_object());
            let values = match head.filter(|head| head.type_id == type_id) {
                Some(_) => self.values_in(field, &self.body_of(id)?),
                None => Vec::new(),
            };
            index.set(id, values);
        }
        while index.recent.len() > RECENT_MAX {
            if let Some((rev, _)) = index.recent.pop_front() {
                index.recent_from = rev;
            }
        }
        index.at = now;
        Ok((index.rows.len() <= VALUES_MAX).then_some(index))
    }

    fn values_in(&self, field: &FieldDef, body: &Body) -> Vec<Box<[u8]>> {
        let Some(kept) = body.field(&field.name) else { return Vec::new() };
        let shown = reread(&field.field_type, kept, &self.zoned_now());
        let elem = field.field_type.shape.elem();
        let mut values: Vec<_> =
            scalars(self, Some(&shown)).iter().map(|value| short(&value.fit(elem, true))).collect();
        values.sort();
        values.dedup();
        values
    }
}

/// What is missing was deleted between index and body, which one moment does not know.
fn bytes_of(found: Vec<Option<bytes::Bytes>>) -> impl Iterator<Item = bytes::Bytes> {
    found.into_iter().map(Option::unwrap_or_default)
}

impl Index {
    fn set(&mut self, id: ObjectId, values: Vec<Box<[u8]>>) {
        for value in self.values.remove(&id).into_iter().flatten() {
            self.rows.remove(&(value, id));
        }
        if !values.is_empty() {
            self.rows.extend(values.iter().map(|value| (value.clone(), id)));
            self.values.insert(id, values);
        }
    }

    /// The objects with a value in one of the spans, as of `rev`, and perhaps others.
    fn within(&self, spans: &[Span], rev: Rev) -> Option<Vec<ObjectId>> {
        if rev < self.recent_from {
            return None;
        }
        let mut found = BTreeSet::new();
        for (low, high) in spans {
            let low = Bound::Included((low.clone(), ObjectId(0)));
            let high = match high {
                Some(high) => Bound::Included((high.clone(), ObjectId(u64::MAX))),
                None => Bound::Unbounded,
            };
            if let (Bound::Included(low), Bound::Included(high)) = (&low, &high)
                && low > high
            {
                continue;
            }
            found.extend(self.rows.range((low, high)).map(|(_, id)| *id));
        }
        // For a reader of an earlier moment, whatever changed since may have matched.
        found.extend(self.recent.iter().filter(|(at, _)| *at > rev).map(|(_, id)| *id));
        Some(found.into_iter().collect())
    }
}

impl Indexes {
    fn slot(&self, key: &(ObjectId, String)) -> Arc<Mutex<Option<Index>>> {
        let mut known = self.0.lock();
        known.uses += 1;
        let used = known.uses;
        let slot = known.fields.entry(key.clone()).or_insert_with(|| Slot {
            index: Arc::default(),
            size: 0,
            used,
        });
        slot.used = used;
        Arc::clone(&slot.index)
    }

    fn forget(&self, key: &(ObjectId, String)) {
        self.0.lock().fields.remove(key);
    }

    /// Notes the size of an index; those that were not used for longest make room.
    fn grown(&self, key: &(ObjectId, String), size: usize) {
        let mut known = self.0.lock();
        if let Some(slot) = known.fields.get_mut(key) {
            slot.size = size;
        }
        while known.fields.values().map(|slot| slot.size).sum::<usize>() > VALUES_MAX {
            let oldest = known.fields.iter().filter(|(other, _)| *other != key);
            let oldest = oldest.min_by_key(|(_, slot)| slot.used).map(|(other, _)| other.clone());
            let Some(oldest) = oldest else { break };
            known.fields.remove(&oldest);
        }
    }
}

/// The spans of values that can satisfy a test; `None` when an index does not help.
fn spans(elem: Elem, test: &Test) -> Option<Vec<Span>> {
    let values = test.values();
    let low = |value: &Scalar| short(&value.fit(elem, true));
    let high = |value: &Scalar| Some(short(&value.fit(elem, false)));
    let first = values.first();
    Some(match test.lookup() {
        Lookup::Exact | Lookup::In => {
            values.iter().map(|value| (low(value), high(value))).collect()
        }
        Lookup::Gt | Lookup::Gte => vec![(low(first?), None)],
        Lookup::Lt | Lookup::Lte => vec![(Box::default(), high(first?))],
        Lookup::Range => vec![(low(first?), high(values.get(1)?))],
        Lookup::StartsWith => {
            let mut end = short(first?).to_vec();
            // No byte of a text is 0xff.
            end.push(0xff);
            vec![(short(first?), Some(end.into()))]
        }
        _ => return None,
    })
}

fn short(value: &Scalar) -> Box<[u8]> {
    let mut bytes = value.sort_bytes();
    bytes.truncate(VALUE_MAX);
    bytes.into()
}
