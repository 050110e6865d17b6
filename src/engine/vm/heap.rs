//! The memory of one process: everything that does not fit into a [`Value`].
//!
//! Objects are named by [`Slot`], never by address, so the heap moves between threads, serialises
//! as a graph, and knows its size. Garbage, cycles included, is found by marking from the roots;
//! that happens only between jobs, so code that holds values inside one job needs no care.

use jiff::Zoned;
use jiff::tz::TimeZone;
use kompira_schema::value::{FileValue, Value as Plain};
use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::dict::Dict;
use super::raise::Raise;
use super::value::{Handle, Slot, Value};
use crate::lang::pattern::Pattern;

/// Text with its length in code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Form);

/// Bytes of text that fit into an object itself: most words and keys, without an allocation.
const INLINE: usize = 28;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Inline { bytes: u8, chars: u8, text: [u8; INLINE] },
    Boxed { text: Box<str>, chars: usize },
}

#[expect(clippy::cast_possible_truncation, reason = "inline text is short")]
fn inline(text: &str) -> Option<Text> {
    let mut held = [0; INLINE];
    held.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    let chars = if text.is_ascii() { text.len() } else { text.chars().count() };
    Some(Text(Form::Inline { bytes: text.len() as u8, chars: chars as u8, text: held }))
}

impl Text {
    fn new(text: &str) -> Self {
        inline(text).unwrap_or_else(|| Self::boxed(text.into()))
    }

    fn from_string(text: String) -> Self {
        inline(&text).unwrap_or_else(|| Self::boxed(text.into()))
    }

    fn boxed(text: Box<str>) -> Self {
        let chars = if text.is_ascii() { text.len() } else { text.chars().count() };
        Self(Form::Boxed { text, chars })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Inline { bytes, text, .. } => {
                let text = text.get(..*bytes as usize).unwrap_or_default();
                std::str::from_utf8(text).expect("what was copied from text is text")
            }
            Form::Boxed { text, .. } => text,
        }
    }

    /// The text as UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Inline { bytes, text, .. } => text.get(..*bytes as usize).unwrap_or_default(),
            Form::Boxed { text, .. } => text.as_bytes(),
        }
    }

    /// Its length in code points.
    #[must_use]
    pub const fn chars(&self) -> usize {
        match &self.0 {
            Form::Inline { chars, .. } => *chars as usize,
            Form::Boxed { chars, .. } => *chars,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Form::Inline { bytes, .. } => *bytes as usize,
            Form::Boxed { text, .. } => text.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a code point is a byte, so that positions need no counting.
    #[must_use]
    pub const fn is_ascii(&self) -> bool {
        self.chars() == self.len()
    }

    /// The byte at which code point `position` starts; the length if there are fewer.
    #[must_use]
    pub fn byte_of(&self, position: usize) -> usize {
        if self.is_ascii() {
            return position.min(self.len());
        }
        self.as_str().char_indices().nth(position).map_or(self.len(), |(byte, _)| byte)
    }

    /// Bytes it takes outside its object.
    const fn outside(&self) -> usize {
        match &self.0 {
            Form::Inline { .. } => 0,
            Form::Boxed { text, .. } => text.len(),
        }
    }
}

/// Something that can be called (rule: `language/values`).
#[derive(Debug, Clone, PartialEq)]
pub enum Function {
    /// A built-in function, by name.
    Builtin(Box<str>),
    /// A method of the receiver.
    Method(Receiver, Box<str>),
    /// A function of a Library object.
    Library(Handle, Box<str>),
}

impl Function {
    /// The name it goes by in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(name) | Self::Method(_, name) | Self::Library(_, name) => name,
        }
    }
}

/// The value a method is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Receiver(pub Value);

impl PartialEq for Receiver {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Value::Ref(kind, id), Value::Ref(other_kind, other_id)) => {
                kind == other_kind && id == other_id
            }
            (left, right) => left.slot().is_some() && left.slot() == right.slot(),
        }
    }
}

/// An attachment in the hands of a jobflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it is.
    pub value: FileValue,
    /// The field that owns it: object, field, and index or key as text; `None` if it stands alone.
    pub origin: Option<(Handle, Box<str>, Option<Box<str>>)>,
}

/// One object of the heap.
#[derive(Debug)]
pub(super) enum Obj {
    Free,
    Str(Text),
    Bytes(Box<[u8]>),
    Big(Box<BigInt>),
    Pattern(Box<Pattern>),
    Array(Vec<Value>),
    Dict(Box<Dict>),
    /// The engine's description of the query.
    Lazy(Box<Plain>),
    Datetime(Box<Zoned>),
    File(Box<File>),
    Function(Box<Function>),
}

/// What an object costs besides its content: the slot itself and the allocator's part.
const OBJECT_COST: usize = 48;

impl Obj {
    fn cost(&self) -> usize {
        OBJECT_COST
            + match self {
                Self::Free => 0,
                Self::Str(text) => text.outside(),
                Self::Bytes(bytes) => bytes.len(),
                Self::Big(number) => usize::try_from(number.bits() / 8).unwrap_or(usize::MAX / 4),
                Self::Pattern(pattern) => pattern.cost(),
                Self::Array(items) => items.capacity() * size_of::<Value>(),
                Self::Dict(dict) => dict.cost(),
                Self::Lazy(_) | Self::Datetime(_) | Self::File(_) | Self::Function(_) => 256,
            }
    }
}

/// The heap of one process.
#[derive(Debug)]
pub struct Heap {
    pub(super) objects: Vec<Obj>,
    free: Vec<u32>,
    marks: Vec<u64>,
    /// Bytes held, garbage included.
    bytes: usize,
    /// A collection is due beyond this.
    collect_at: usize,
    limit: usize,
    pub(super) seed: u64,
    /// The zone instants get that come without one.
    pub zone: TimeZone,
}

/// The least garbage worth a collection.
const COLLECT_LEAST: usize = 4 << 20;

impl Heap {
    /// An empty heap that may hold `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        Self {
            objects: Vec::new(),
            free: Vec::new(),
            marks: Vec::new(),
            bytes: 0,
            collect_at: COLLECT_LEAST.min(limit),
            limit,
            // Keys come from outside: a seed of its own for each process keeps them from colliding on purpose.
            seed: std::hash::RandomState::new().build_hasher().finish(),
            zone: TimeZone::UTC,
        }
    }

    /// Bytes held, garbage included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes it may hold.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Refuses an allocation of `bytes` that the process may not have. To be asked before making
    /// anything whose size an argument decides.
    ///
    /// # Errors
    /// [`Raise::memory`].
    pub fn reserve(&self, bytes: usize) -> Result<(), Raise> {
        // Between two collections garbage counts too, so one job may go over once.
        if bytes > self.limit || self.bytes.saturating_add(bytes) > self.limit.saturating_mul(2) {
            return Err(Raise::memory());
        }
        Ok(())
    }

    fn store(&mut self, object: Obj) -> Slot {
        self.bytes = self.bytes.saturating_add(object.cost());
        if let Some(index) = self.free.pop() {
            self.objects[index as usize] = object;
            return Slot(index);
        }
        let index = u32::try_from(self.objects.len())
            .expect("a heap of 2^32 objects is far beyond every limit");
        self.objects.push(object);
        Slot(index)
    }

    /// Records that a container grew by `bytes`.
    pub(super) fn grew(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A String.
    pub fn str(&mut self, text: impl AsRef<str>) -> Value {
        Value::Str(self.store(Obj::Str(Text::new(text.as_ref()))))
    }

    /// A String made of one that is no longer needed.
    pub fn string(&mut self, text: String) -> Value {
        Value::Str(self.store(Obj::Str(Text::from_string(text))))
    }

    /// A Binary.
    pub fn binary(&mut self, bytes: impl Into<Box<[u8]>>) -> Value {
        Value::Bytes(self.store(Obj::Bytes(bytes.into())))
    }

    /// An Array.
    pub fn array(&mut self, items: Vec<Value>) -> Value {
        Value::Array(self.store(Obj::Array(items)))
    }

    /// A Dictionary.
    pub fn dict(&mut self, dict: Dict) -> Value {
        Value::Dict(self.store(Obj::Dict(Box::new(dict))))
    }

    /// An Integer of any size.
    pub fn integer(&mut self, number: BigInt) -> Value {
        match number.to_i64() {
            Some(small) => Value::Int(small),
            None => Value::Big(self.store(Obj::Big(Box::new(number)))),
        }
    }

    /// A Pattern.
    pub fn pattern(&mut self, pattern: Pattern) -> Value {
        Value::Pattern(self.store(Obj::Pattern(Box::new(pattern))))
    }

    /// A LazyArray; `query` is the engine's own description of what it asks.
    pub fn lazy(&mut self, query: Plain) -> Value {
        Value::Lazy(self.store(Obj::Lazy(Box::new(query))))
    }

    /// A Datetime.
    pub fn datetime(&mut self, instant: Zoned) -> Value {
        Value::Datetime(self.store(Obj::Datetime(Box::new(instant))))
    }

    /// A File.
    pub fn file(&mut self, file: File) -> Value {
        Value::File(self.store(Obj::File(Box::new(file))))
    }

    /// A Function.
    pub fn function(&mut self, function: Function) -> Value {
        Value::Function(self.store(Obj::Function(Box::new(function))))
    }

    pub(super) fn object(&self, slot: Slot) -> &Obj {
        &self.objects[slot.0 as usize]
    }

    /// Puts a container that was built in several steps into an object made before.
    pub(super) fn replace(&mut self, slot: Slot, object: Obj) {
        self.bytes = self.bytes.saturating_add(object.cost());
        self.objects[slot.0 as usize] = object;
    }

    /// The text of a String.
    #[must_use]
    pub fn as_str(&self, value: Value) -> Option<&str> {
        self.as_text(value).map(Text::as_str)
    }

    /// The text of a String, with its length.
    #[must_use]
    pub fn as_text(&self, value: Value) -> Option<&Text> {
        match value {
            Value::Str(slot) => match self.object(slot) {
                Obj::Str(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The bytes of a Binary.
    #[must_use]
    pub fn as_bytes(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Bytes(slot) => match self.object(slot) {
                Obj::Bytes(bytes) => Some(bytes),
                _ => None,
            },
            _ => None,
        }
    }

    /// The number, if it is an Integer.
    #[must_use]
    pub fn as_integer(&self, value: Value) -> Option<BigInt> {
        match value {
            Value::Int(number) => Some(number.into()),
            Value::Big(slot) => match self.object(slot) {
                Obj::Big(number) => Some((**number).clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of an Array.
    #[must_use]
    pub fn as_array(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Array(slot) => match self.object(slot) {
                Obj::Array(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The Dictionary.
    #[must_use]
    pub fn as_dict(&self, value: Value) -> Option<&Dict> {
        match value {
            Value::Dict(slot) => match self.object(slot) {
                Obj::Dict(dict) => Some(dict),
                _ => None,
            },
            _ => None,
        }
    }

    /// The Pattern.
    #[must_use]
    pub fn as_pattern(&self, value: Value) -> Option<&Pattern> {
        match value {
            Value::Pattern(slot) => match self.object(slot) {
                Obj::Pattern(pattern) => Some(pattern),
                _ => None,
            },
            _ => None,
        }
    }

    /// The query of a LazyArray.
    #[must_use]
    pub fn as_lazy(&self, value: Value) -> Option<&Plain> {
        match value {
            Value::Lazy(slot) => match self.object(slot) {
                Obj::Lazy(query) => Some(query),
                _ => None,
            },
            _ => None,
        }
    }

    /// The instant of a Datetime.
    #[must_use]
    pub fn as_datetime(&self, value: Value) -> Option<&Zoned> {
        match value {
            Value::Datetime(slot) => match self.object(slot) {
                Obj::Datetime(instant) => Some(instant),
                _ => None,
            },
            _ => None,
        }
    }

    /// The File.
    #[must_use]
    pub fn as_file(&self, value: Value) -> Option<&File> {
        match value {
            Value::File(slot) => match self.object(slot) {
                Obj::File(file) => Some(file),
                _ => None,
            },
            _ => None,
        }
    }

    /// The Function.
    #[must_use]
    pub fn as_function(&self, value: Value) -> Option<&Function> {
        match value {
            Value::Function(slot) => match self.object(slot) {
                Obj::Function(function) => Some(function),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of an Array, to change those that are there (not their number).
    pub fn array_mut(&mut self, value: Value) -> Option<&mut [Value]> {
        match value {
            Value::Array(slot) => match &mut self.objects[slot.0 as usize] {
                Obj::Array(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// Appends to an Array; `false` if `array` is none.
    pub fn push(&mut self, array: Value, item: Value) -> bool {
        let Value::Array(slot) = array else { return false };
        let Obj::Array(items) = &mut self.objects[slot.0 as usize] else { return false };
        let before = items.capacity();
        items.push(item);
        let grown = (items.capacity() - before) * size_of::<Value>();
        self.bytes = self.bytes.saturating_add(grown);
        true
    }

    /// Takes the element at `index` out of an Array; `None` if there is none.
    pub fn remove(&mut self, array: Value, index: usize) -> Option<Value> {
        let Value::Array(slot) = array else { return None };
        match &mut self.objects[slot.0 as usize] {
            Obj::Array(items) if index < items.len() => Some(items.remove(index)),
            _ => None,
        }
    }

    /// Whether a collection is due.
    #[must_use]
    pub(super) const fn crowded(&self) -> bool {
        self.bytes > self.collect_at
    }

    /// Frees what cannot be reached from `roots`.
    ///
    /// # Errors
    /// [`Raise::memory`] if more than the limit is still held.
    pub(super) fn collect(&mut self, roots: impl Iterator<Item = Value>) -> Result<(), Raise> {
        self.marks.clear();
        self.marks.resize(self.objects.len().div_ceil(64), 0);
        let mut pending: Vec<u32> = Vec::with_capacity(64);
        for root in roots {
            Self::mark(&mut self.marks, &mut pending, root);
        }
        while let Some(index) = pending.pop() {
            match &self.objects[index as usize] {
                Obj::Array(items) => {
                    for item in items {
                        Self::mark(&mut self.marks, &mut pending, *item);
                    }
                }
                Obj::Dict(dict) => {
                    for (key, value) in dict.iter() {
                        Self::mark(&mut self.marks, &mut pending, key);
                        Self::mark(&mut self.marks, &mut pending, value);
                    }
                }
                Obj::Function(function) => {
                    if let Function::Method(receiver, _) = &**function {
                        Self::mark(&mut self.marks, &mut pending, receiver.0);
                    }
                }
                Obj::Free
                | Obj::Str(_)
                | Obj::Bytes(_)
                | Obj::Big(_)
                | Obj::Pattern(_)
                | Obj::Lazy(_)
                | Obj::Datetime(_)
                | Obj::File(_) => {}
            }
        }
        self.sweep();
        if self.bytes > self.limit {
            return Err(Raise::memory());
        }
        Ok(())
    }

    fn mark(marks: &mut [u64], pending: &mut Vec<u32>, value: Value) {
        if let Some(Slot(index)) = value.slot() {
            let word = &mut marks[index as usize / 64];
            let bit = 1 << (index % 64);
            if *word & bit == 0 {
                *word |= bit;
                pending.push(index);
            }
        }
    }

    fn sweep(&mut self) {
        self.free.clear();
        let mut live = 0_usize;
        let mut last = 0;
        for (index, object) in self.objects.iter_mut().enumerate() {
            if self.marks[index / 64] & (1 << (index % 64)) == 0 {
                *object = Obj::Free;
            } else {
                live = live.saturating_add(object.cost());
                last = index + 1;
            }
        }
        self.objects.truncate(last);
        for (index, object) in self.objects.iter().enumerate().rev() {
            if matches!(object, Obj::Free) {
                self.free.push(u32::try_from(index).expect("slots are 32 bits"));
            }
        }
        self.bytes = live;
        self.collect_at = (live.saturating_mul(2))
            .clamp(COLLECT_LEAST, self.limit.max(COLLECT_LEAST))
            .max(live / 8 * 9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_thirty_two_bytes() {
        assert_eq!(size_of::<Obj>(), 32);
    }

    #[test]
    fn text_reads_back_at_every_length_and_counts_code_points() {
        let mut heap = Heap::new(1 << 20);
        for count in 0..80 {
            for unit in ["a", "\u{e9}", "\u{65e5}", "\u{1f600}"] {
                let text = unit.repeat(count);
                let value = heap.str(&text);
                let held = heap.as_text(value).unwrap();
                assert_eq!(
                    (held.as_str(), held.chars(), held.len()),
                    (text.as_str(), count, text.len())
                );
                assert_eq!(held.byte_of(count / 2), unit.len() * (count / 2));
                assert_eq!(held.as_bytes(), text.as_bytes());
            }
        }
    }
}
