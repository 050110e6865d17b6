//! Message queues of channels (rule: `tree/channels`).
//!
//! Family `queue`: channel and 0 → counters; channel and message number → the message.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::limits::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX};
use kompira_schema::message;
use kompira_schema::value::{Ref, Value};
use serde::{Deserialize, Serialize};

use super::Txn;
use crate::audit::{Class, Verb};
use crate::store::codec::unpack;
use crate::store::{Body, Direction, Family, KeyRange, StoreError, What, keys};
use crate::tree::view::View;

/// The state of one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tree) struct Queue {
    /// The last message number given; never reused.
    last: u64,
    /// Messages waiting.
    pub(in crate::tree) count: u64,
    /// Bytes of the messages waiting.
    bytes: u64,
    /// The channel's action has seen to the messages up to this number, or there was none when they
    /// came.
    #[serde(default)]
    settled: u64,
}

/// What a channel does with a message for which nobody waits.
const ACTION: &str = "action_type";
const EXECUTE: &str = "ExecuteJobflow";
/// What it starts.
const TARGET: &str = "action_target";

/// A message that the action of its channel has not seen to.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsettled {
    /// Its number.
    pub number: u64,
    /// What was sent.
    pub message: Value,
    /// The jobflow of the action; `None` when the field is empty or the object is gone.
    pub target: Option<ObjectId>,
    /// As whom it runs: the owner of the channel.
    pub owner: UserId,
}

impl View {
    /// The oldest message that the channel's action still has to see to. Asks no permission: this
    /// is the engine's.
    ///
    /// # Errors
    /// Failures of the store; [`Kind::NotFound`] when the channel is gone.
    pub fn unsettled(&self, channel: ObjectId) -> Result<Option<Unsettled>, Fault> {
        let queue = self.queue(channel)?;
        if queue.settled >= queue.last {
            return Ok(None);
        }
        let body = self.body_of(channel)?;
        if !acts(&body) {
            return Ok(None);
        }
        let mut found = None;
        self.each_message(channel, Direction::Forward, |number, key, row| {
            if number > queue.settled {
                found = Some((number, unpack(Family::Queue, key, row)?));
            }
            Ok(found.is_none())
        })?;
        let Some((number, message)) = found else { return Ok(None) };
        let target = match body.field(TARGET) {
            Some(Value::Object(Ref::Object(id))) => Some(*id),
            _ => None,
        };
        let owner = self.head(channel)?.owner;
        Ok(Some(Unsettled { number, message, target, owner }))
    }

    /// The channels with messages that their action still has to see to.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn unsettled_channels(&self) -> Result<Vec<ObjectId>, Fault> {
        let mut found = Vec::new();
        for type_id in ["Channel", "MailChannel"].iter().filter_map(|name| self.builtin(name)) {
            for id in self.of_type(type_id)? {
                if self.unsettled(id)?.is_some() {
                    found.push(id);
                }
            }
        }
        Ok(found)
    }

    pub(in crate::tree) fn queue(&self, channel: ObjectId) -> Result<Queue, Fault> {
        let key = keys::numbers(channel.0, 0);
        match self.reads.get(Family::Queue, &key)? {
            None => Ok(Queue::default()),
            Some(bytes) => Ok(unpack(Family::Queue, &key, &bytes)?),
        }
    }

    /// Receivers that wait on a channel at this moment.
    pub(in crate::tree) fn receivers(&self, channel: ObjectId) -> i64 {
        i64::try_from(self.inner.receivers(channel)).unwrap_or(i64::MAX)
    }

    /// Who they are, at most `limit` of each face.
    pub(in crate::tree) fn first_receivers(
        &self,
        channel: ObjectId,
        limit: usize,
    ) -> Vec<crate::tree::Receiver> {
        self.inner.first_receivers(channel, limit)
    }

    /// Messages waiting in a channel, at most `limit`, oldest first; the caller needs read.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn queue_messages(
        &self,
        who: &kompira_schema::tree::Caller,
        channel: ObjectId,
        limit: usize,
    ) -> Result<Vec<(u64, Value)>, Fault> {
        self.need(who, channel, |access| access.read, "read")?;
        self.messages(channel, limit)
    }

    pub(in crate::tree) fn messages(
        &self,
        channel: ObjectId,
        limit: usize,
    ) -> Result<Vec<(u64, Value)>, Fault> {
        let mut found = Vec::new();
        self.each_message(channel, Direction::Forward, |number, key, row| {
            if found.len() < limit {
                found.push((number, unpack(Family::Queue, key, row)?));
            }
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// The message at a position (negative: from the end).
    ///
    /// # Errors
    /// [`Kind::NoMessage`]; [`Kind::Denied`] without read.
    pub fn queue_peek(
        &self,
        who: &kompira_schema::tree::Caller,
        channel: ObjectId,
        index: i64,
    ) -> Result<(u64, Value), Fault> {
        self.need(who, channel, |access| access.read, "read")?;
        self.message_at(channel, index).map(|(number, value, _)| (number, value))
    }

    fn message_at(&self, channel: ObjectId, index: i64) -> Result<(u64, Value, u64), Fault> {
        let (direction, mut skip) = if index < 0 {
            (Direction::Reverse, index.unsigned_abs() - 1)
        } else {
            (Direction::Forward, index.unsigned_abs())
        };
        let mut found = None;
        self.each_message(channel, direction, |number, key, row| {
            if skip == 0 {
                found = Some((number, unpack(Family::Queue, key, row)?, row.len() as u64));
                return Ok(false);
            }
            skip -= 1;
            Ok(true)
        })?;
        found.ok_or_else(no_message)
    }

    fn each_message(
        &self,
        channel: ObjectId,
        direction: Direction,
        mut visit: impl FnMut(u64, &[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), Fault> {
        let first = keys::numbers(channel.0, 1);
        let range = KeyRange::half_open(&first, &keys::number(channel.0 + 1));
        let mut failed = Ok(());
        self.reads.scan(Family::Queue, &range, direction, &mut |key, row| {
            let number = key.get(8..).and_then(keys::split_u64).map_or(0, |(number, _)| number);
            match visit(number, key, row) {
                Ok(true) => std::ops::ControlFlow::Continue(()),
                Ok(false) => std::ops::ControlFlow::Break(()),
                Err(error) => {
                    failed = Err(error);
                    std::ops::ControlFlow::Break(())
                }
            }
        })?;
        Ok(failed?)
    }
}

impl Txn {
    /// Appends to a channel's queue and answers the message's number; the caller needs write.
    ///
    /// # Errors
    /// [`Kind::TooMany`] when the queue is full, [`Kind::Denied`].
    pub fn queue_push(&mut self, channel: ObjectId, message: &Value) -> Result<u64, Fault> {
        self.trying(Class::Object, Verb::Send, |view| view.audit_target(channel));
        self.view.need(&self.who, channel, |access| access.write, "write")?;
        let number = self.push(channel, message)?;
        self.tried();
        Ok(number)
    }

    pub(in crate::tree) fn push(
        &mut self,
        channel: ObjectId,
        message: &Value,
    ) -> Result<u64, Fault> {
        let mut queue = self.open_queue(channel)?;
        queue.last += 1;
        let key = keys::numbers(channel.0, queue.last);
        self.put_packed(Family::Queue, key.as_slice(), message)?;
        let stored = self.view.reads.own(Family::Queue, &key);
        let size = stored.and_then(|own| own.value.as_ref()).map_or(0, bytes::Bytes::len) as u64;
        queue.count += 1;
        queue.bytes += size;
        if queue.count > QUEUE_MESSAGES_MAX as u64 || queue.bytes > QUEUE_BYTES_MAX as u64 {
            let told = message!("channel.full", max = QUEUE_MESSAGES_MAX);
            return Err(Fault::new(Kind::TooMany, told));
        }
        if !acts(&self.view.body_of(channel)?) {
            queue.settled = queue.last;
        }
        self.close_queue(channel, queue)?;
        Ok(queue.last)
    }

    /// Notes that the action of a channel has seen to the messages up to `number`, and takes that
    /// one out of the queue if it `consumes` it. Asks no permission: this is the engine's.
    ///
    /// # Errors
    /// [`Kind::NoMessage`] when somebody else took it; [`Kind::NotFound`] when the channel is gone.
    pub fn settle(&mut self, channel: ObjectId, number: u64, consumes: bool) -> Result<(), Fault> {
        let mut queue = self.open_queue(channel)?;
        if consumes {
            let key = keys::numbers(channel.0, number);
            let row = self.view.reads.get(Family::Queue, &key)?.ok_or_else(no_message)?;
            queue.count = queue.count.saturating_sub(1);
            queue.bytes = queue.bytes.saturating_sub(row.len() as u64);
            self.remove(Family::Queue, key);
        }
        queue.settled = queue.settled.max(number);
        self.close_queue(channel, queue)
    }

    /// Takes the message at a position (negative: from the end); the caller needs read and write.
    ///
    /// # Errors
    /// [`Kind::NoMessage`], [`Kind::Denied`].
    pub fn queue_pop(&mut self, channel: ObjectId, index: i64) -> Result<(u64, Value), Fault> {
        self.trying(Class::Object, Verb::Recv, |view| view.audit_target(channel));
        self.view.need(&self.who, channel, |access| access.read && access.write, "read+write")?;
        let mut queue = self.open_queue(channel)?;
        let (number, value, size) = self.view.message_at(channel, index)?;
        self.remove(Family::Queue, keys::numbers(channel.0, number));
        queue.count = queue.count.saturating_sub(1);
        queue.bytes = queue.bytes.saturating_sub(size);
        self.close_queue(channel, queue)?;
        self.tried();
        Ok((number, value))
    }

    /// Puts a message back whose receiver went before it was handed over: to its old place, before
    /// all that came later. The caller took it with [`Txn::queue_pop`].
    ///
    /// # Errors
    /// Failures of the store; [`Kind::NotFound`] when the channel is gone.
    pub fn queue_put_back(
        &mut self,
        channel: ObjectId,
        number: u64,
        message: &Value,
    ) -> Result<(), Fault> {
        let mut queue = self.open_queue(channel)?;
        let key = keys::numbers(channel.0, number);
        if number == 0 || number > queue.last || self.view.reads.get(Family::Queue, &key)?.is_some()
        {
            return Ok(());
        }
        self.put_packed(Family::Queue, key.as_slice(), message)?;
        let stored = self.view.reads.own(Family::Queue, &key);
        let size = stored.and_then(|own| own.value.as_ref()).map_or(0, bytes::Bytes::len) as u64;
        queue.count += 1;
        queue.bytes += size;
        self.close_queue(channel, queue)
    }

    /// Removes messages by number; the caller needs write.
    ///
    /// # Errors
    /// [`Kind::NoMessage`] if one is not there: then none is removed.
    pub fn queue_delete(&mut self, channel: ObjectId, ids: &[u64]) -> Result<(), Fault> {
        self.trying(Class::Object, Verb::Clear, |view| view.audit_target(channel));
        self.view.need(&self.who, channel, |access| access.write, "write")?;
        let mut queue = self.open_queue(channel)?;
        // All are looked for first: a caller that catches the error has lost none.
        let mut rows = std::collections::BTreeMap::new();
        for &number in ids {
            let key = keys::numbers(channel.0, number);
            let row = self.view.reads.get(Family::Queue, &key)?.filter(|_| number != 0);
            rows.insert(key, row.ok_or_else(no_message)?);
        }
        for (key, row) in rows {
            queue.count = queue.count.saturating_sub(1);
            queue.bytes = queue.bytes.saturating_sub(row.len() as u64);
            self.remove(Family::Queue, key);
        }
        self.close_queue(channel, queue)?;
        self.tried();
        Ok(())
    }

    /// Whether the channel holds the message of that number.
    ///
    /// # Errors
    /// Those of the store.
    pub fn queue_holds(&self, channel: ObjectId, number: u64) -> Result<bool, Fault> {
        let key = keys::numbers(channel.0, number);
        Ok(number != 0 && self.view.reads.get(Family::Queue, &key)?.is_some())
    }

    /// Empties the queue; the caller needs write.
    ///
    /// # Errors
    /// [`Kind::Denied`].
    pub fn queue_clear(&mut self, channel: ObjectId) -> Result<(), Fault> {
        self.trying(Class::Object, Verb::Clear, |view| view.audit_target(channel));
        self.view.need(&self.who, channel, |access| access.write, "write")?;
        self.clear(channel)?;
        self.tried();
        Ok(())
    }

    fn clear(&mut self, channel: ObjectId) -> Result<(), Fault> {
        let queue = self.open_queue(channel)?;
        let mut numbers = Vec::new();
        self.view.each_message(channel, Direction::Forward, |number, _, _| {
            numbers.push(number);
            Ok(true)
        })?;
        for number in numbers {
            self.remove(Family::Queue, keys::numbers(channel.0, number));
        }
        self.close_queue(channel, Queue { count: 0, bytes: 0, ..queue })
    }

    /// Removes the queue with its channel.
    pub(in crate::tree) fn drop_queue(&mut self, channel: ObjectId) -> Result<(), Fault> {
        self.clear(channel)?;
        self.remove(Family::Queue, keys::numbers(channel.0, 0));
        Ok(())
    }

    /// Copies the messages of a channel that was copied.
    pub(in crate::tree) fn copy_queue(
        &mut self,
        from: ObjectId,
        to: ObjectId,
    ) -> Result<(), Fault> {
        for (_, message) in self.view.messages(from, QUEUE_MESSAGES_MAX)? {
            self.push(to, &message)?;
        }
        Ok(())
    }

    fn open_queue(&mut self, channel: ObjectId) -> Result<Queue, Fault> {
        if self.view.builtin("Channel") != Some(self.view.object_head(channel)?.type_id)
            && self.view.builtin("MailChannel") != Some(self.view.object_head(channel)?.type_id)
        {
            return Err(Fault::new(Kind::NoMethod, message!("channel.no_channel")));
        }
        self.expect_head(channel);
        self.expect(Family::Queue, keys::numbers(channel.0, 0));
        self.view.queue(channel)
    }

    fn close_queue(&mut self, channel: ObjectId, queue: Queue) -> Result<(), Fault> {
        self.put_packed(Family::Queue, keys::numbers(channel.0, 0), &queue)?;
        let head = self.view.head(channel)?;
        self.tell_at(&head, What::Queue)
    }
}

/// Whether messages of a channel start a jobflow (rule: `tree/channel-action`).
fn acts(channel: &Body) -> bool {
    matches!(channel.field(ACTION), Some(Value::Str(word)) if **word == *EXECUTE)
}

fn no_message() -> Fault {
    Fault::new(Kind::NoMessage, message!("channel.no_message"))
}
