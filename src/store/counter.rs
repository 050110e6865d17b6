//! Numbers that are given once: blocks are taken from the store, numbers from the block.

use std::sync::{Mutex, PoisonError};

use super::keys::META_COUNTER;
use super::kv::{Family, KvRead, StoreError, WriteSet};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A sequence of numbers; each is given at most once in the life of a store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// Every counter.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on disk.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

counters! {
    /// Objects and scratch nodes; the first is the root, 1.
    Object = "object";
    /// Users.
    User = "user";
    /// Groups.
    Group = "group";
    /// Processes.
    Process = "process";
    /// Schedules.
    Schedule = "schedule";
    /// Tasks.
    Task = "task";
    /// Incidents.
    Incident = "incident";
    /// Messages of channels.
    MessageId = "message";
    /// Effects.
    Effect = "effect";
    /// Audit entries.
    Audit = "audit";
}

/// Numbers taken from the store at once: one sync for so many new objects. A crash skips at most
/// as many, a clean stop none.
pub(super) const BLOCK: u64 = 8192;

#[derive(Debug, Clone, Copy)]
struct Block {
    next: u64,
    end: u64,
}

/// The unused part of the present block of each counter.
#[derive(Debug)]
pub(super) struct Counters([Mutex<Block>; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Block { next: 0, end: 0 })))
    }
}

impl Counters {
    fn block(&self, counter: Counter) -> std::sync::MutexGuard<'_, Block> {
        let block = self.0.get(counter as usize).expect("one block per counter");
        block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number. `refill` takes the next block out of the store: answers its first number.
    pub(super) fn next<E>(
        &self,
        counter: Counter,
        refill: impl FnOnce() -> Result<u64, E>,
    ) -> Result<u64, E> {
        let mut block = self.block(counter);
        if block.next == block.end {
            let first = refill()?;
            *block = Block { next: first, end: first + BLOCK };
        }
        let number = block.next;
        block.next += 1;
        Ok(number)
    }

    /// Drops the rest of the present block.
    pub(super) fn forget(&self, counter: Counter) {
        *self.block(counter) = Block { next: 0, end: 0 };
    }

    /// Gives the unused numbers back: what a clean stop writes.
    pub(super) fn give_back(&self) -> WriteSet {
        let mut set = WriteSet::default();
        for &counter in Counter::ALL {
            let block = self.block(counter);
            if block.next != block.end {
                set.put(Family::Meta, key(counter), block.next.to_be_bytes());
            }
        }
        set
    }
}

pub(super) fn key(counter: Counter) -> Vec<u8> {
    [META_COUNTER, counter.name().as_bytes()].concat()
}

/// The least number that was never given to a block.
pub(super) fn stored(read: &dyn KvRead, counter: Counter) -> Result<u64, StoreError> {
    let Some(bytes) = read.get(Family::Meta, &key(counter))? else { return Ok(1) };
    let number = bytes.as_ref().try_into().map(u64::from_be_bytes);
    number.map_err(|_| StoreError::corrupt(format!("counter {}", counter.name())))
}
