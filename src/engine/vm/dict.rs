//! The Dictionary: insertion order, keys by content (rule: `language/dictionaries`).

use jiff::Zoned;

use super::heap::{Heap, Obj, Text};
use super::raise::Raise;
use super::value::{Slot, Value};

/// A map from keys to values in the order in which the keys came.
///
/// Equal keys are found through the [`Heap`], which holds their content; see
/// [`Heap::dict_get`] and its neighbours.
#[derive(Debug, Default, Clone)]
pub struct Dict {
    /// Entries in order. A removed one keeps its place as [`Value::Absent`] until the next rebuild.
    entries: Vec<Entry>,
    /// Open addressing over `entries`: part of the hash, so that other keys' entries need not be looked
    /// at, and the entry. A power of two long, or empty while there are few entries.
    table: Vec<(u32, u32)>,
    live: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    key: Value,
    value: Value,
}

const VACANT: u32 = u32::MAX;
/// Up to this many entries a scan over hashes beats a table.
const SCANNED: usize = 8;

impl Dict {
    /// An empty Dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.live
    }

    /// Whether it has no keys.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (Value, Value)> {
        self.entries
            .iter()
            .filter(|entry| !entry.key.is_absent())
            .map(|entry| (entry.key, entry.value))
    }

    pub(super) fn cost(&self) -> usize {
        size_of::<Self>() + self.entries.capacity() * size_of::<Entry>() + self.table.capacity() * 8
    }

    fn find(&self, hash: u64, same: impl Fn(Value) -> bool) -> Option<usize> {
        if self.table.is_empty() {
            return self
                .entries
                .iter()
                .position(|entry| entry.hash == hash && !entry.key.is_absent() && same(entry.key));
        }
        let mask = self.table.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (held, index) = self.table[at];
            if index == VACANT {
                return None;
            }
            if held == tag(hash) {
                let entry = &self.entries[index as usize];
                if entry.hash == hash && !entry.key.is_absent() && same(entry.key) {
                    return Some(index as usize);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a key that is not there.
    fn add(&mut self, hash: u64, key: Value, value: Value) {
        let index = u32::try_from(self.entries.len())
            .expect("a dictionary of 2^32 keys is beyond every limit");
        self.entries.push(Entry { hash, key, value });
        self.live += 1;
        // At most five eighths full, so that runs stay short.
        if self.entries.len() > SCANNED && self.entries.len() * 8 > self.table.len() * 5 {
            self.rebuild();
        } else if !self.table.is_empty() {
            let mask = self.table.len() - 1;
            let mut at = hash as usize & mask;
            while self.table[at].1 != VACANT {
                at = (at + 1) & mask;
            }
            self.table[at] = (tag(hash), index);
        }
    }

    fn rebuild(&mut self) {
        self.entries.retain(|entry| !entry.key.is_absent());
        self.table.clear();
        if self.entries.len() <= SCANNED {
            return;
        }
        let size = (self.entries.len() * 2).next_power_of_two();
        self.table.resize(size, (0, VACANT));
        let mask = size - 1;
        for (index, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & mask;
            while self.table[at].1 != VACANT {
                at = (at + 1) & mask;
            }
            self.table[at] = (tag(entry.hash), index as u32);
        }
    }

    fn remove_at(&mut self, index: usize) -> Value {
        let entry = &mut self.entries[index];
        let value = entry.value;
        entry.key = Value::Absent;
        entry.value = Value::Absent;
        self.live -= 1;
        if self.table.is_empty() || self.live * 2 < self.entries.len() {
            self.rebuild();
        }
        value
    }
}

/// The half of a hash that does not choose the place.
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds a product of two words into one: the mixing step of wyhash and foldhash.
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
const fn fold(a: u64, b: u64) -> u64 {
    let wide = (a as u128).wrapping_mul(b as u128);
    (wide as u64) ^ ((wide >> 64) as u64)
}

fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks are of eight"));
        state = fold(state ^ word, MULTIPLIER);
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state ^ u64::from_le_bytes(last), 0xa076_1d64_78bd_642f), MULTIPLIER ^ seed)
}

fn hash_word(seed: u64, kind: u64, word: u64) -> u64 {
    fold(fold(seed ^ word, MULTIPLIER), 0xe703_7ed1_a0b4_28db ^ kind)
}

impl Heap {
    /// The hash of a key.
    ///
    /// # Errors
    /// Arrays, Dictionaries and LazyArrays are no keys.
    fn hash(&self, key: Value) -> Result<u64, Raise> {
        let seed = self.seed;
        Ok(match key {
            Value::Str(slot) => match self.object(slot) {
                Obj::Str(text) => hash_bytes(seed, text.as_bytes()),
                _ => 0,
            },
            Value::Int(number) => hash_word(seed, 1, number as u64),
            // 1 and 1.0 are one key (decision C-18).
            Value::Float(number) => match whole(number) {
                Some(number) => hash_word(seed, 1, number as u64),
                None => hash_word(seed, 2, number.to_bits()),
            },
            Value::Absent | Value::Null => hash_word(seed, 3, 0),
            Value::Bool(truth) => hash_word(seed, 4, truth.into()),
            Value::Ref(kind, id) => hash_word(seed, 5 + ((kind as u64) << 8), id),
            Value::Date(date) => hash_word(
                seed,
                6,
                (date.year() as u64) << 16 | (date.month() as u64) << 8 | date.day() as u64,
            ),
            Value::Time(time) => hash_word(
                seed,
                7,
                (time.hour() as u64) << 48
                    | (time.minute() as u64) << 40
                    | (time.second() as u64) << 32
                    | time.subsec_nanosecond() as u64,
            ),
            Value::Timedelta(micros) => hash_word(seed, 8, micros as u64),
            Value::Datetime(slot) => match self.object(slot) {
                Obj::Datetime(instant) => hash_word(seed, 9, instant_micros(instant)),
                _ => 0,
            },
            Value::Bytes(slot) => match self.object(slot) {
                Obj::Bytes(bytes) => hash_bytes(!seed, bytes),
                _ => 0,
            },
            Value::Big(slot) => match self.object(slot) {
                Obj::Big(number) => hash_bytes(seed.rotate_left(7), &number.to_signed_bytes_le()),
                _ => 0,
            },
            Value::Pattern(slot) => match self.object(slot) {
                Obj::Pattern(pattern) => {
                    hash_bytes(seed.rotate_left(11), pattern.text().as_bytes())
                }
                _ => 0,
            },
            Value::File(slot) => match self.object(slot) {
                Obj::File(file) => hash_bytes(seed.rotate_left(13), &file.value.hash.0),
                _ => 0,
            },
            Value::Function(slot) => match self.object(slot) {
                Obj::Function(function) => {
                    hash_bytes(seed.rotate_left(17), function.name().as_bytes())
                }
                _ => 0,
            },
            Value::Array(_) | Value::Dict(_) | Value::Lazy(_) => {
                return Err(Raise::new(format!(
                    "'{}' cannot be a dictionary key",
                    key.kind().name()
                )));
            }
        })
    }

    fn same_key(&self, left: Value, right: Value) -> bool {
        match (left, right) {
            (Value::Str(a), Value::Str(b)) => {
                a == b
                    || self.as_text(left).map(Text::as_bytes)
                        == self.as_text(right).map(Text::as_bytes)
            }
            (Value::Int(a), Value::Int(b)) => a == b,
            // Keys hold no containers, so equality cannot fail.
            _ => self.equal(left, right).unwrap_or(false),
        }
    }

    fn dict_of(&self, dict: Value) -> Option<(Slot, &Dict)> {
        match dict {
            Value::Dict(slot) => match self.object(slot) {
                Obj::Dict(dict) => Some((slot, dict)),
                _ => None,
            },
            _ => None,
        }
    }

    fn dict_at(&mut self, slot: Slot) -> &mut Dict {
        match &mut self.objects[slot.0 as usize] {
            Obj::Dict(dict) => dict,
            _ => unreachable!("the slot of a Dictionary holds a Dictionary"),
        }
    }

    /// The value of `key`; `None` if there is none or `dict` is no Dictionary.
    ///
    /// # Errors
    /// The key is an Array, Dictionary or LazyArray.
    pub fn dict_get(&self, dict: Value, key: Value) -> Result<Option<Value>, Raise> {
        let hash = self.hash(key)?;
        Ok(self.dict_of(dict).and_then(|(_, dict)| {
            dict.find(hash, |held| self.same_key(held, key)).map(|index| dict.entries[index].value)
        }))
    }

    /// The value of the String key `name`.
    #[must_use]
    pub fn dict_get_str(&self, dict: Value, name: &str) -> Option<Value> {
        let (_, dict) = self.dict_of(dict)?;
        let hash = hash_bytes(self.seed, name.as_bytes());
        dict.find(hash, |held| {
            self.as_text(held).is_some_and(|text| text.as_bytes() == name.as_bytes())
        })
        .map(|index| dict.entries[index].value)
    }

    /// Sets the value of `key`, which keeps its place if it is there.
    ///
    /// # Errors
    /// The key is an Array, Dictionary or LazyArray.
    pub fn dict_set(&mut self, dict: Value, key: Value, value: Value) -> Result<(), Raise> {
        let hash = self.hash(key)?;
        let Some((slot, held)) = self.dict_of(dict) else { return Ok(()) };
        let found = held.find(hash, |held| self.same_key(held, key));
        let dict = self.dict_at(slot);
        match found {
            Some(index) => dict.entries[index].value = value,
            None => {
                let before = dict.cost();
                dict.add(hash, key, value);
                let grown = dict.cost().saturating_sub(before);
                self.grew(grown);
            }
        }
        Ok(())
    }

    /// Sets the value of the String key `name`.
    pub fn dict_set_str(&mut self, dict: Value, name: &str, value: Value) {
        let key = self.str(name);
        self.dict_set(dict, key, value).expect("text is a key");
    }

    /// Removes `key`; `None` if it is not there.
    ///
    /// # Errors
    /// The key is an Array, Dictionary or LazyArray.
    pub fn dict_remove(&mut self, dict: Value, key: Value) -> Result<Option<Value>, Raise> {
        let hash = self.hash(key)?;
        let Some((slot, held)) = self.dict_of(dict) else { return Ok(None) };
        let found = held.find(hash, |held| self.same_key(held, key));
        Ok(found.map(|index| self.dict_at(slot).remove_at(index)))
    }
}

/// The Integer a Float equals, within 64 bits.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "compared back")]
    let cut = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared back")]
    let back = cut as f64;
    (back == number && number.abs() < 9.2e18).then_some(cut)
}

fn instant_micros(instant: &Zoned) -> u64 {
    instant.timestamp().as_microsecond() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_through_updates_removals_and_growth() {
        let mut heap = Heap::new(1 << 30);
        let dict = heap.dict(Dict::new());
        for number in 0..1000_i64 {
            let key = heap.str(format!("k{number}"));
            heap.dict_set(dict, key, Value::Int(number)).unwrap();
        }
        for number in (0..1000_i64).step_by(3) {
            let key = heap.str(format!("k{number}"));
            assert!(
                matches!(heap.dict_remove(dict, key), Ok(Some(Value::Int(held))) if held == number)
            );
            assert!(matches!(heap.dict_remove(dict, key), Ok(None)));
        }
        let held: Vec<i64> = heap
            .as_dict(dict)
            .unwrap()
            .iter()
            .map(|(_, value)| match value {
                Value::Int(number) => number,
                _ => panic!("a number"),
            })
            .collect();
        assert_eq!(held, (0..1000).filter(|number| number % 3 != 0).collect::<Vec<_>>());
        assert!(matches!(heap.dict_get_str(dict, "k1"), Some(Value::Int(1))));
        assert!(heap.dict_get_str(dict, "k3").is_none());
    }

    // rule: language/dictionaries (C-18)
    #[test]
    fn one_and_one_point_zero_are_one_key_and_true_is_another() {
        let mut heap = Heap::new(1 << 30);
        let dict = heap.dict(Dict::new());
        for (key, value) in [
            (Value::Int(1), 1),
            (Value::Float(1.0), 2),
            (Value::Bool(true), 3),
            (Value::Float(1.5), 4),
        ] {
            heap.dict_set(dict, key, Value::Int(value)).unwrap();
        }
        assert_eq!(heap.as_dict(dict).unwrap().len(), 3);
        assert!(matches!(heap.dict_get(dict, Value::Int(1)), Ok(Some(Value::Int(2)))));
    }

    #[test]
    fn containers_are_no_keys() {
        let mut heap = Heap::new(1 << 30);
        let dict = heap.dict(Dict::new());
        let array = heap.array(Vec::new());
        assert!(heap.dict_set(dict, array, Value::Null).is_err());
    }
}
