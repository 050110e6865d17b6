//! Channels in memory: queues of processes instead of objects (rule: `language/memory-channels`).
//!
//! They lie beside the queues of the tree, under numbers that no object has, so that a message that
//! is received and the state that holds it are one commit, and a restart loses nothing. A queue
//! lives as long as a process that may know it.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::limits::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX};
use kompira_schema::message;
use kompira_schema::value::Value;
use serde::{Deserialize, Serialize};

use crate::store::{Family, keys};
use crate::tree::Txn;

/// Most channels that one process may make or inherit.
pub(super) const CHANNELS_MAX: usize = 1_000;

/// No object has a number with this bit.
const MEMORY: u64 = 1 << 63;

/// The state of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    /// The number of the oldest message that may be there.
    first: u64,
    /// The last number given.
    last: u64,
    pub(super) count: u64,
    bytes: u64,
    /// How many processes may know it.
    holders: u32,
    pub(super) kind: Channelled,
}

/// What puts messages into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Channelled {
    /// Whoever has the channel.
    Open,
    /// A session that is open.
    Session,
    /// A session that the far side has closed.
    Ended,
    /// A session whose block was left.
    Left,
}

fn key(queue: u64, number: u64) -> Vec<u8> {
    keys::numbers(queue | MEMORY, number)
}

fn full() -> Fault {
    Fault::new(Kind::TooMany, message!("channel.full", max = QUEUE_MESSAGES_MAX))
}

/// Makes a queue that one process knows.
pub(super) fn create(txn: &mut Txn, queue: u64, kind: Channelled) -> Result<(), Fault> {
    let channel = Channel { first: 1, last: 0, count: 0, bytes: 0, holders: 1, kind };
    put(txn, queue, &channel)
}

/// The state of a queue; who asks sees no other change of it before its commit.
pub(super) fn open(txn: &mut Txn, queue: u64) -> Result<Option<Channel>, Fault> {
    let key = key(queue, 0);
    txn.raw_expect(Family::Queue, &key);
    txn.row(Family::Queue, &key)
}

fn put(txn: &mut Txn, queue: u64, channel: &Channel) -> Result<(), Fault> {
    txn.put_row(Family::Queue, &key(queue, 0), channel)
}

/// Appends a message; `false` when the queue takes none any more.
pub(super) fn push(txn: &mut Txn, queue: u64, message: &Value) -> Result<bool, Fault> {
    let Some(mut channel) = open(txn, queue)? else { return Ok(false) };
    if !matches!(channel.kind, Channelled::Open | Channelled::Session) {
        return Ok(false);
    }
    channel.last += 1;
    let key = key(queue, channel.last);
    let row = super::row::write(Family::Queue, &key, message)?;
    channel.count += 1;
    channel.bytes += row.len() as u64;
    if channel.count > QUEUE_MESSAGES_MAX as u64 || channel.bytes > QUEUE_BYTES_MAX as u64 {
        return Err(full());
    }
    txn.raw_put(Family::Queue, &key, row);
    put(txn, queue, &channel)?;
    Ok(true)
}

/// Messages and their numbers, oldest first, at most `limit`.
pub(super) fn messages(
    txn: &Txn,
    queue: u64,
    channel: &Channel,
    limit: usize,
) -> Result<Vec<(u64, Value)>, Fault> {
    let mut found = Vec::new();
    for number in channel.first..=channel.last {
        if found.len() >= limit || found.len() as u64 >= channel.count {
            break;
        }
        if let Some(message) = txn.row(Family::Queue, &key(queue, number))? {
            found.push((number, message));
        }
    }
    Ok(found)
}

/// Removes messages; `false` when one is not there: then none is removed.
pub(super) fn remove(txn: &mut Txn, queue: u64, numbers: &[u64]) -> Result<bool, Fault> {
    let Some(mut channel) = open(txn, queue)? else { return Ok(false) };
    let mut sizes = Vec::with_capacity(numbers.len());
    for &number in numbers {
        match txn.raw_get(Family::Queue, &key(queue, number))?.filter(|_| number != 0) {
            Some(row) => sizes.push(row.len() as u64),
            None => return Ok(false),
        }
    }
    for (&number, size) in numbers.iter().zip(sizes) {
        txn.raw_delete(Family::Queue, &key(queue, number));
        channel.count = channel.count.saturating_sub(1);
        channel.bytes = channel.bytes.saturating_sub(size);
    }
    while channel.first <= channel.last
        && txn.raw_get(Family::Queue, &key(queue, channel.first))?.is_none()
    {
        channel.first += 1;
    }
    put(txn, queue, &channel)?;
    Ok(true)
}

/// Ends a session's queue: what lies in it can still be read.
pub(super) fn end(txn: &mut Txn, queue: u64, kind: Channelled) -> Result<(), Fault> {
    if let Some(mut channel) = open(txn, queue)?
        && channel.kind == Channelled::Session
    {
        channel.kind = kind;
        put(txn, queue, &channel)?;
    }
    Ok(())
}

/// One more process knows these queues.
pub(super) fn share(txn: &mut Txn, queues: &[u64]) -> Result<(), Fault> {
    for &queue in queues {
        if let Some(mut channel) = open(txn, queue)? {
            channel.holders += 1;
            put(txn, queue, &channel)?;
        }
    }
    Ok(())
}

/// A process that knew these queues has ended; a queue that nobody knows goes.
pub(super) fn forget(txn: &mut Txn, queues: &[u64]) -> Result<(), Fault> {
    for &queue in queues {
        let Some(mut channel) = open(txn, queue)? else { continue };
        channel.holders = channel.holders.saturating_sub(1);
        if channel.holders > 0 {
            put(txn, queue, &channel)?;
            continue;
        }
        for number in channel.first..=channel.last {
            txn.raw_delete(Family::Queue, &key(queue, number));
        }
        txn.raw_delete(Family::Queue, &key(queue, 0));
    }
    Ok(())
}
