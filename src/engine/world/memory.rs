//! Channels in memory and sessions, as jobflows use them (rules: `language/memory-channels`,
//! `language/sessions`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::limits::QUEUE_MESSAGES_MAX;
use kompira_schema::value::Value as Plain;

use super::World;
use super::events::{choose, reach};
use super::method::{Bound, index, message_numbers, no_message};
use crate::engine::channels::{self, CHANNELS_MAX, Channel, Channelled};
use crate::engine::vm::heap::{Function, Receiver};
use crate::engine::vm::request::{Awaited, Source};
use crate::engine::vm::{Given, Handle, Heap, Raise, RefKind, Value};
use crate::store::Counter;

/// What a channel says that takes or gives nothing any more.
pub(super) const CLOSED: &str = "channel is closed";

/// What is said of things that only the memory of a process holds.
const METHODS: [&str; 5] =
    ["send", "pop_message", "peek_message", "delete_message", "clear_messages"];

/// What a look at a queue found.
pub(super) enum Arrived {
    Nothing,
    Message(u64, Plain),
    /// The far side of the session has closed it.
    Ended,
    /// The session's block was left.
    Left,
}

impl World<'_> {
    pub(super) fn make_queue(&mut self) -> Result<Handle, Raise> {
        let held = self.slot.lock().row.queues.len() + self.said.queues.len();
        if held >= CHANNELS_MAX {
            return Err(Raise::new(format!("more than {CHANNELS_MAX} channels")));
        }
        let made = self.inner.tree.store().new_id(Counter::MessageId).and_then(|id| {
            channels::create(self.txn, id, Channelled::Open)?;
            Ok(id)
        });
        let id = made.map_err(|fault| self.raise(&fault, "channel()"))?;
        self.said.writes += 1;
        self.said.queues.push(id);
        Ok(Handle { kind: RefKind::Queue, id })
    }

    pub(super) fn leave_session(&mut self, session: u64) {
        self.said.writes += 1;
        self.said.closed.push(session);
        if let Err(fault) = channels::end(self.txn, session, Channelled::Left) {
            self.said.fault.get_or_insert(fault);
        }
    }

    /// The state of a queue. A session that the restart of a server ended is closed.
    fn memory(&mut self, queue: u64) -> Result<Option<Channel>, Fault> {
        let Some(mut channel) = channels::open(self.txn, queue)? else { return Ok(None) };
        if channel.kind == Channelled::Session && !self.inner.sessions.is_open(queue) {
            channel.kind = Channelled::Ended;
        }
        Ok(Some(channel))
    }

    fn memory_or_closed(&mut self, queue: u64) -> Result<Channel, Raise> {
        let channel = self.memory(queue).map_err(|fault| self.raise(&fault, "the channel"))?;
        channel.ok_or_else(|| Raise::new(CLOSED))
    }

    /// Takes a message, or looks at one.
    pub(super) fn receive_memory(
        &mut self,
        queue: u64,
        awaited: &Awaited,
    ) -> Result<Arrived, Fault> {
        let Some(channel) = self.memory(queue)? else { return Ok(Arrived::Ended) };
        let within = awaited.guard.as_ref().map_or(1, reach);
        let mut messages = channels::messages(self.txn, queue, &channel, within)?;
        let Some((place, gone)) = choose(awaited, &messages) else {
            return Ok(match channel.kind {
                Channelled::Open | Channelled::Session => Arrived::Nothing,
                Channelled::Ended => Arrived::Ended,
                Channelled::Left => Arrived::Left,
            });
        };
        if !gone.is_empty() {
            channels::remove(self.txn, queue, &gone)?;
            self.said.writes += 1;
        }
        let (number, message) = messages.swap_remove(place);
        Ok(Arrived::Message(number, message))
    }

    fn memory_messages(&mut self, queue: u64) -> Result<Vec<(u64, Plain)>, Raise> {
        let channel = self.memory_or_closed(queue)?;
        channels::messages(self.txn, queue, &channel, QUEUE_MESSAGES_MAX)
            .map_err(|fault| self.raise(&fault, "the channel"))
    }

    /// `channel.name`.
    pub(super) fn memory_attribute(
        &mut self,
        heap: &mut Heap,
        target: Handle,
        name: &str,
    ) -> Result<Value, Raise> {
        if METHODS.contains(&name) {
            let method = Function::Method(Receiver(target.into()), name.into());
            return Ok(heap.function(method));
        }
        let number = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        match name {
            "message_count" => {
                let channel = self.memory_or_closed(target.id)?;
                Ok(Value::Int(i64::try_from(channel.count).unwrap_or(i64::MAX)))
            }
            "event_count" => {
                self.memory_or_closed(target.id)?;
                Ok(number(self.inner.mailbox.waiting(Source::Queue(target.id)).len()))
            }
            "data" => {
                let channel = self.memory_or_closed(target.id)?;
                if channel.kind == Channelled::Open {
                    return Err(Raise::attribute(name));
                }
                let lines: Vec<String> = self
                    .memory_messages(target.id)?
                    .into_iter()
                    .filter_map(|(_, line)| match line {
                        Plain::Str(line) => Some(line),
                        _ => None,
                    })
                    .collect();
                Ok(heap.str(lines.join("\n")))
            }
            _ => Err(Raise::attribute(name)),
        }
    }

    /// `channel.name(…)`.
    pub(super) fn memory_method(
        &mut self,
        heap: &mut Heap,
        queue: u64,
        name: &str,
        given: &Given,
    ) -> Result<Value, Raise> {
        let missing = no_message;
        match name {
            "send" => {
                let bound = Bound::new(given, name, &["message"], 1)?;
                let message = bound.first();
                let channel = self.memory_or_closed(queue)?;
                match channel.kind {
                    Channelled::Open => {
                        let message = heap.export(self, message)?;
                        self.memory_change(|world| channels::push(world.txn, queue, &message))?;
                        self.said.sent.push(queue);
                    }
                    Channelled::Session => {
                        let text = match message {
                            Value::Bytes(_) => heap.as_bytes(message).unwrap_or_default().to_vec(),
                            _ => heap.text(self, message)?.into_bytes(),
                        };
                        // Typed when this step is committed: a step that is run again types once.
                        self.said.writes += 1;
                        self.said.typed.push((queue, text));
                    }
                    Channelled::Ended | Channelled::Left => return Err(Raise::new(CLOSED)),
                }
            }
            "pop_message" | "peek_message" => {
                let bound = Bound::new(given, name, &["index"], 0)?;
                let place = index(bound.get(0))?;
                let messages = self.memory_messages(queue)?;
                let at = match usize::try_from(place) {
                    Ok(at) => Some(at),
                    Err(_) => messages
                        .len()
                        .checked_sub(usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX)),
                };
                let found = at.and_then(|at| messages.into_iter().nth(at));
                let (number, message) = found.ok_or_else(|| missing(place))?;
                let value = heap.import(&message);
                if name == "peek_message" {
                    let number = Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
                    return Ok(heap.array(vec![number, value]));
                }
                self.memory_change(|world| channels::remove(world.txn, queue, &[number]))?;
                return Ok(value);
            }
            "delete_message" => {
                let mut keys = Vec::new();
                let held = self.memory_messages(queue)?;
                for number in message_numbers(given)? {
                    let key = u64::try_from(number).map_err(|_| missing(number))?;
                    if !held.iter().any(|(other, _)| *other == key) {
                        return Err(missing(number));
                    }
                    keys.push(key);
                }
                keys.sort_unstable();
                keys.dedup();
                self.memory_change(|world| channels::remove(world.txn, queue, &keys))?;
            }
            "clear_messages" => {
                Bound::new(given, name, &[], 0)?;
                let all = self.memory_messages(queue)?;
                let numbers: Vec<u64> = all.into_iter().map(|(number, _)| number).collect();
                self.memory_change(|world| channels::remove(world.txn, queue, &numbers))?;
            }
            _ => return Err(Raise::attribute(name)),
        }
        Ok(Value::Null)
    }

    fn memory_change<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Raise> {
        self.said.writes += 1;
        work(self).map_err(|fault| match fault.kind() {
            Kind::TooMany => Raise::new("the channel is full"),
            _ => self.raise(&fault, "the channel"),
        })
    }
}
