//! A machine as bytes (rule: `language/checkpoints`).
//!
//! Layout of version 1: the version (16 bits, little endian), the programs its frames need (hash,
//! object, path), frames, open `try`s and sessions, the registers, what it waits for; behind them
//! the objects of the heap that can be reached, numbered in the order in which they are met, so that
//! what was shared is shared again. Numbers are LEB128. Whoever stores the bytes adds a checksum;
//! reading trusts nothing all the same.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Zoned;
use jiff::civil;
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::value::{FileValue, Value as Plain};
use num_bigint::BigInt;

use super::builtin::Builtins;
use super::dict::Dict;
use super::heap::{File, Function, Heap, Obj, Receiver};
use super::host::{Jobflow, Programs};
use super::machine::{Frame, LoadError, Machine, Options, State, Try, link, linked};
use super::request::Request;
use super::value::{Handle, RefKind, Slot, Value};
use crate::lang::ast::PatternKind;
use crate::lang::pattern::Pattern;
use crate::lang::program::{CodeHash, FIRST_PARAMETER};

/// Written in front; goes up with every change of the layout.
const VERSION: u16 = 1;

const KINDS: [RefKind; 8] = [
    RefKind::Object,
    RefKind::User,
    RefKind::Group,
    RefKind::Process,
    RefKind::Schedule,
    RefKind::Task,
    RefKind::Incident,
    RefKind::Queue,
];

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    heap: &'a Heap,
    numbers: Numbers,
    /// Slots in the order of their numbers.
    order: Vec<Slot>,
}

/// The number of each slot met so far. A short list is faster than a table.
enum Numbers {
    Few,
    Many(HashMap<Slot, u64>),
}

const FEW: usize = 32;

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Signed numbers with the sign in the lowest bit.
const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

impl Writer<'_> {
    fn number_of(&mut self, slot: Slot) -> u64 {
        if let Numbers::Many(numbers) = &mut self.numbers {
            let next = numbers.len() as u64;
            let number = *numbers.entry(slot).or_insert(next);
            if number == next {
                self.order.push(slot);
            }
            return number;
        }
        if let Some(at) = self.order.iter().position(|held| *held == slot) {
            return at as u64;
        }
        self.order.push(slot);
        if self.order.len() > FEW {
            self.numbers = Numbers::Many(
                (0..).zip(&self.order).map(|(number, slot)| (*slot, number)).collect(),
            );
        }
        self.order.len() as u64 - 1
    }

    fn value(&mut self, value: Value) {
        let tag = match value {
            Value::Absent => 0,
            Value::Null => 1,
            Value::Bool(false) => 2,
            Value::Bool(true) => 3,
            Value::Int(_) => 4,
            Value::Float(_) => 5,
            Value::Date(_) => 6,
            Value::Time(_) => 7,
            Value::Timedelta(_) => 8,
            Value::Ref(..) => 9,
            Value::Big(_) => 10,
            Value::Str(_) => 11,
            Value::Bytes(_) => 12,
            Value::Pattern(_) => 13,
            Value::Array(_) => 14,
            Value::Dict(_) => 15,
            Value::Lazy(_) => 16,
            Value::Datetime(_) => 17,
            Value::File(_) => 18,
            Value::Function(_) => 19,
        };
        self.out.push(tag);
        match value {
            Value::Int(number) | Value::Timedelta(number) => push_number(self.out, zigzag(number)),
            Value::Float(number) => self.out.extend_from_slice(&number.to_bits().to_le_bytes()),
            Value::Date(date) => {
                self.out.extend_from_slice(&date.year().to_le_bytes());
                self.out.extend_from_slice(&[date.month() as u8, date.day() as u8]);
            }
            Value::Time(time) => {
                self.out.extend_from_slice(&[
                    time.hour() as u8,
                    time.minute() as u8,
                    time.second() as u8,
                ]);
                self.out.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
            }
            Value::Ref(kind, id) => self.handle(Handle { kind, id }),
            _ => {
                if let Some(slot) = value.slot() {
                    let number = self.number_of(slot);
                    push_number(self.out, number);
                }
            }
        }
    }

    fn handle(&mut self, handle: Handle) {
        self.out.push(KINDS.iter().position(|kind| *kind == handle.kind).unwrap_or(0) as u8);
        push_number(self.out, handle.id);
    }

    fn text(&mut self, text: &str) {
        push_bytes(self.out, text.as_bytes());
    }

    fn plain(&mut self, value: &impl serde::Serialize) {
        // Plain data always has a form in MessagePack; an empty one is refused when read.
        push_bytes(self.out, &rmp_serde::to_vec(value).unwrap_or_default());
    }

    fn object(&mut self, slot: Slot) {
        match self.heap.object(slot) {
            Obj::Free => self.out.push(0),
            Obj::Str(text) => {
                self.out.push(1);
                self.text(text.as_str());
            }
            Obj::Bytes(bytes) => {
                self.out.push(2);
                push_bytes(self.out, bytes);
            }
            Obj::Big(number) => {
                self.out.push(3);
                push_bytes(self.out, &number.to_signed_bytes_le());
            }
            Obj::Pattern(pattern) => {
                self.out.push(4);
                self.out.push(pattern.kind().letter() as u8);
                self.out.push(pattern.ignore_case().into());
                self.text(pattern.text());
            }
            Obj::Array(items) => {
                self.out.push(5);
                push_number(self.out, items.len() as u64);
                for item in items {
                    self.value(*item);
                }
            }
            Obj::Dict(dict) => {
                self.out.push(6);
                push_number(self.out, dict.len() as u64);
                for (key, value) in dict.iter() {
                    self.value(key);
                    self.value(value);
                }
            }
            Obj::Lazy(query) => {
                self.out.push(7);
                self.plain(&**query);
            }
            Obj::Datetime(at) => {
                self.out.push(8);
                self.plain(&**at);
            }
            Obj::File(file) => {
                self.out.push(9);
                self.text(&file.value.name);
                push_number(self.out, file.value.size);
                self.out.extend_from_slice(&file.value.hash.0);
                match &file.origin {
                    None => self.out.push(0),
                    Some((owner, field, key)) => {
                        self.out.push(if key.is_some() { 2 } else { 1 });
                        self.handle(*owner);
                        self.text(field);
                        if let Some(key) = key {
                            self.text(key);
                        }
                    }
                }
            }
            Obj::Function(function) => match &**function {
                Function::Builtin(name) => {
                    self.out.push(10);
                    self.text(name);
                }
                Function::Method(Receiver(receiver), name) => {
                    self.out.push(11);
                    self.value(*receiver);
                    self.text(name);
                }
                Function::Library(library, name) => {
                    self.out.push(12);
                    self.handle(*library);
                    self.text(name);
                }
            },
        }
    }
}

impl Machine {
    /// Its whole state, appended to `out`. A machine that was answered but not run since is saved as
    /// still waiting: the answer is to be given again.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_le_bytes());
        let heap = &self.heap;
        let mut writer = Writer { out, heap, numbers: Numbers::Few, order: Vec::new() };
        let mut used: Vec<u32> = Vec::new();
        for frame in &self.frames {
            if !used.contains(&frame.program) {
                used.push(frame.program);
            }
        }
        push_number(writer.out, used.len() as u64);
        for number in &used {
            let unit = linked(&self.programs, *number);
            writer.out.extend_from_slice(&unit.program.hash.0);
            push_number(writer.out, unit.object.0);
            writer.text(&unit.path);
        }
        push_number(writer.out, self.frames.len() as u64);
        for frame in &self.frames {
            let program = used.iter().position(|held| *held == frame.program).unwrap_or(0);
            push_number(writer.out, program as u64);
            push_number(writer.out, frame.ip.into());
            push_number(writer.out, frame.base.into());
            writer.out.push(frame.locked.into());
        }
        push_number(writer.out, self.tries.len() as u64);
        for held in &self.tries {
            for number in [held.frames, held.to, held.sessions] {
                push_number(writer.out, number.into());
            }
        }
        push_number(writer.out, self.sessions.len() as u64);
        for (frames, session) in &self.sessions {
            push_number(writer.out, (*frames).into());
            push_number(writer.out, *session);
        }
        match self.lock {
            None => writer.out.push(0),
            Some((object, places)) => {
                writer.out.push(1);
                push_number(writer.out, object.0);
                push_number(writer.out, places.into());
            }
        }
        push_number(writer.out, self.stack.len() as u64);
        for value in &self.stack {
            writer.value(*value);
        }
        writer.value(self.debug);
        match &self.state {
            State::Ready => writer.out.push(0),
            State::Blocked(request) => {
                writer.out.push(1);
                writer.plain(request);
            }
            State::Answered(_, request) => {
                writer.out.push(1);
                writer.plain(request);
            }
            State::Ended(end) => {
                writer.out.push(2);
                writer.out.push(end.done.into());
                push_number(writer.out, zigzag(end.status));
                writer.plain(&end.result);
                writer.plain(&end.error);
            }
        }
        // Writing an object may meet further ones.
        let mut at = 0;
        while let Some(slot) = writer.order.get(at).copied() {
            writer.object(slot);
            at += 1;
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

type Read<T> = Result<T, LoadError>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(LoadError::Corrupt)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| LoadError::Corrupt)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(LoadError::Corrupt),
        }
    }

    fn number(&mut self) -> Read<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(LoadError::Corrupt);
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(LoadError::Corrupt)
    }

    fn small(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| LoadError::Corrupt)
    }

    fn signed(&mut self) -> Read<i64> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A count of things that take at least one byte each.
    fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| LoadError::Corrupt)?;
        if count > self.bytes.len() { Err(LoadError::Corrupt) } else { Ok(count) }
    }

    fn text(&mut self) -> Read<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| LoadError::Corrupt)
    }

    fn plain<T: serde::de::DeserializeOwned>(&mut self) -> Read<T> {
        let length = self.count()?;
        rmp_serde::from_slice(self.take(length)?).map_err(|_| LoadError::Corrupt)
    }

    fn handle(&mut self) -> Read<Handle> {
        let kind = *KINDS.get(self.byte()? as usize).ok_or(LoadError::Corrupt)?;
        Ok(Handle { kind, id: self.number()? })
    }

    /// A value whose slots are still numbers of objects.
    fn value(&mut self, slots: &mut Slots) -> Read<Value> {
        let tag = self.byte()?;
        Ok(match tag {
            0 => Value::Absent,
            1 => Value::Null,
            2 => Value::Bool(false),
            3 => Value::Bool(true),
            4 => Value::Int(self.signed()?),
            5 => Value::Float(f64::from_bits(u64::from_le_bytes(self.array()?))),
            6 => {
                let year = i16::from_le_bytes(self.array()?);
                let [month, day] = self.array()?;
                Value::Date(
                    civil::Date::new(year, month as i8, day as i8)
                        .map_err(|_| LoadError::Corrupt)?,
                )
            }
            7 => {
                let [hour, minute, second] = self.array()?;
                let nanos = i32::from_le_bytes(self.array()?);
                let time = civil::Time::new(hour as i8, minute as i8, second as i8, nanos);
                Value::Time(time.map_err(|_| LoadError::Corrupt)?)
            }
            8 => Value::Timedelta(self.signed()?),
            9 => self.handle()?.into(),
            10..=19 => {
                let slot = slots.meet(self.number()?, tag)?;
                match tag {
                    10 => Value::Big(slot),
                    11 => Value::Str(slot),
                    12 => Value::Bytes(slot),
                    13 => Value::Pattern(slot),
                    14 => Value::Array(slot),
                    15 => Value::Dict(slot),
                    16 => Value::Lazy(slot),
                    17 => Value::Datetime(slot),
                    18 => Value::File(slot),
                    _ => Value::Function(slot),
                }
            }
            _ => return Err(LoadError::Corrupt),
        })
    }
}

/// Which kind of value names each object met so far. Objects are numbered in the order in which they
/// are met, and slot N of a new heap is object N.
#[derive(Default)]
struct Slots {
    tags: Vec<u8>,
}

impl Slots {
    fn meet(&mut self, number: u64, tag: u8) -> Read<Slot> {
        let index = usize::try_from(number).map_err(|_| LoadError::Corrupt)?;
        match self.tags.get(index) {
            Some(held) if *held == tag => {}
            None if index == self.tags.len() => self.tags.push(tag),
            _ => return Err(LoadError::Corrupt),
        }
        Ok(Slot(u32::try_from(index).map_err(|_| LoadError::Corrupt)?))
    }
}

impl Machine {
    /// Reads what [`Machine::save`] wrote.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        bytes: &[u8],
        programs: &dyn Programs,
        builtins: Arc<Builtins>,
        options: &Options,
    ) -> Result<Self, LoadError> {
        let mut reader = Reader { bytes };
        let version = u16::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Err(LoadError::Version(version));
        }
        let mut machine = Self::empty(builtins, options);
        // Objects of the saved heap get the first slots; those of constants come behind.
        machine.heap = Heap::new(options.memory_max);
        machine.heap.zone = options.zone.clone();
        let mut jobflows = Vec::new();
        for _ in 0..reader.count()? {
            let hash = CodeHash(reader.array()?);
            let object = ObjectId(reader.number()?);
            let path: Arc<str> = reader.text()?.into();
            let program = programs.program(hash).map_err(LoadError::Program)?;
            if program.hash != hash {
                return Err(LoadError::Corrupt);
            }
            jobflows.push(Jobflow { object, path, program, multiplicity: None });
        }
        for _ in 0..reader.count()? {
            let (program, ip, base) = (reader.small()?, reader.small()?, reader.small()?);
            machine.frames.push(Frame { program, ip, base, locked: reader.flag()? });
        }
        for _ in 0..reader.count()? {
            let (frames, to, sessions) = (reader.small()?, reader.small()?, reader.small()?);
            machine.tries.push(Try { frames, to, sessions });
        }
        for _ in 0..reader.count()? {
            machine.sessions.push((reader.small()?, reader.number()?));
        }
        if reader.flag()? {
            machine.lock = Some((ObjectId(reader.number()?), reader.small()?));
        }
        let mut slots = Slots::default();
        for _ in 0..reader.count()? {
            machine.stack.push(reader.value(&mut slots)?);
        }
        machine.debug = reader.value(&mut slots)?;
        machine.state = match reader.byte()? {
            0 => State::Ready,
            1 => State::Blocked(reader.plain::<Request>()?),
            2 => State::Ended(super::request::End {
                done: reader.flag()?,
                status: reader.signed()?,
                result: reader.plain()?,
                error: reader.plain()?,
            }),
            _ => return Err(LoadError::Corrupt),
        };
        objects(&mut reader, &mut machine.heap, &mut slots)?;
        if !reader.bytes.is_empty() {
            return Err(LoadError::Corrupt);
        }
        machine.empty = machine.heap.str("");
        let mut numbers = Vec::new();
        for jobflow in &jobflows {
            numbers.push(link(&mut machine.programs, &mut machine.heap, jobflow));
        }
        for frame in &mut machine.frames {
            frame.program = *numbers.get(frame.program as usize).ok_or(LoadError::Corrupt)?;
            if frame.locked {
                machine.places.push(linked(&machine.programs, frame.program).object);
            }
        }
        if let State::Blocked(Request::Script { script, placed: true, .. }) = &machine.state {
            machine.places.push(*script);
        }
        machine.verify()?;
        Ok(machine)
    }

    /// Whether frames, registers and marks fit together, so that running needs no checks.
    fn verify(&self) -> Read<()> {
        let mut next = 0_usize;
        for frame in &self.frames {
            let program = &linked(&self.programs, frame.program).program;
            if frame.base as usize != next || frame.ip as usize >= program.code.len() {
                return Err(LoadError::Corrupt);
            }
            next += program.registers.max(FIRST_PARAMETER) as usize;
        }
        let marks = self.tries.iter().all(|held| {
            let frame = (held.frames as usize).checked_sub(1).and_then(|at| self.frames.get(at));
            frame.is_some_and(|frame| {
                (held.to as usize) < linked(&self.programs, frame.program).program.code.len()
            }) && held.sessions as usize <= self.sessions.len()
        });
        let sessions =
            self.sessions.iter().all(|(frames, _)| *frames as usize <= self.frames.len());
        let ended = matches!(self.state, State::Ended(_));
        if next != self.stack.len() || !marks || !sessions || self.frames.is_empty() != ended {
            return Err(LoadError::Corrupt);
        }
        Ok(())
    }
}

/// Reads the objects that values met so far name, and those that these name in turn.
fn objects(reader: &mut Reader<'_>, heap: &mut Heap, slots: &mut Slots) -> Read<()> {
    let mut dicts: Vec<(Value, Vec<(Value, Value)>)> = Vec::new();
    let mut at = 0;
    while let Some(tag) = slots.tags.get(at).copied() {
        let kind = reader.byte()?;
        let value = match kind {
            1 => heap.str(reader.text()?),
            2 => {
                let length = reader.count()?;
                heap.binary(reader.take(length)?)
            }
            3 => {
                let length = reader.count()?;
                heap.integer(BigInt::from_signed_bytes_le(reader.take(length)?))
            }
            4 => {
                let kind = match reader.byte()? {
                    b'r' => PatternKind::Regex,
                    b'g' => PatternKind::Glob,
                    b'e' => PatternKind::Exact,
                    _ => return Err(LoadError::Corrupt),
                };
                let ignore_case = reader.flag()?;
                heap.pattern(Pattern::new(kind, reader.text()?, ignore_case))
            }
            5 => {
                let count = reader.count()?;
                let items = (0..count).map(|_| reader.value(slots)).collect::<Read<_>>()?;
                heap.array(items)
            }
            6 => {
                let dict = heap.dict(Dict::new());
                let mut entries = Vec::new();
                for _ in 0..reader.count()? {
                    entries.push((reader.value(slots)?, reader.value(slots)?));
                }
                dicts.push((dict, entries));
                dict
            }
            7 => heap.lazy(reader.plain::<Plain>()?),
            8 => heap.datetime(reader.plain::<Zoned>()?),
            9 => {
                let name = reader.text()?.to_owned();
                let value =
                    FileValue { name, size: reader.number()?, hash: BlobHash(reader.array()?) };
                let origin = match reader.byte()? {
                    0 => None,
                    form @ (1 | 2) => {
                        let owner = reader.handle()?;
                        let field = reader.text()?.into();
                        let key = if form == 2 { Some(reader.text()?.into()) } else { None };
                        Some((owner, field, key))
                    }
                    _ => return Err(LoadError::Corrupt),
                };
                heap.file(File { value, origin })
            }
            10 => heap.function(Function::Builtin(reader.text()?.into())),
            11 => {
                let receiver = Receiver(reader.value(slots)?);
                heap.function(Function::Method(receiver, reader.text()?.into()))
            }
            12 => {
                let library = reader.handle()?;
                heap.function(Function::Library(library, reader.text()?.into()))
            }
            _ => return Err(LoadError::Corrupt),
        };
        let expected = match value {
            Value::Big(_) => 10,
            Value::Str(_) => 11,
            Value::Bytes(_) => 12,
            Value::Pattern(_) => 13,
            Value::Array(_) => 14,
            Value::Dict(_) => 15,
            Value::Lazy(_) => 16,
            Value::Datetime(_) => 17,
            Value::File(_) => 18,
            Value::Function(_) => 19,
            _ => return Err(LoadError::Corrupt),
        };
        if expected != tag || value.slot().is_none_or(|slot| slot.0 as usize != at) {
            return Err(LoadError::Corrupt);
        }
        at += 1;
    }
    // Keys are hashed by content, which is complete only now.
    for (dict, entries) in dicts {
        for (key, value) in entries {
            heap.dict_set(dict, key, value).map_err(|_| LoadError::Corrupt)?;
        }
    }
    Ok(())
}
