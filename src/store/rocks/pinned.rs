//! A RocksDB snapshot that owns its database.
//!
//! The crate's snapshot borrows the database, and its read options hold the snapshot without a
//! lifetime. A suspended future is the one safe place where Rust lets a value and its borrow live
//! together: it holds the database and the snapshot, and each time it is polled it hands out read
//! options for that snapshot. They never leave this file, and every one is dropped before the
//! future is.

use std::future::{Future, poll_fn};
use std::ops::Bound;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rocksdb::ReadOptions;

use super::{Opened, failed, handle};
use crate::store::kv::{Direction, Family, KeyRange, KvRead, StoreError, Visit};

type Slot = Arc<Mutex<Option<ReadOptions>>>;

/// One state of the database. Fields are dropped in this order.
pub(super) struct Pinned {
    /// For point reads, which only borrow it.
    point: ReadOptions,
    holder: Mutex<Pin<Box<dyn Future<Output = ()> + Send>>>,
    slot: Slot,
    opened: Arc<Opened>,
}

async fn hold(opened: Arc<Opened>, slot: Slot) {
    let snapshot = opened.db.snapshot();
    loop {
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(options);
        let mut again = false;
        poll_fn(
            |_| if std::mem::replace(&mut again, true) { Poll::Ready(()) } else { Poll::Pending },
        )
        .await;
    }
}

fn next_options(holder: &mut Pin<Box<dyn Future<Output = ()> + Send>>, slot: &Slot) -> ReadOptions {
    let polled = holder.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(polled.is_pending(), "the holder never ends");
    let made = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    made.expect("each poll of the holder leaves read options")
}

impl Pinned {
    /// The present state of the database.
    pub(super) fn new(opened: Arc<Opened>) -> Self {
        let slot = Slot::default();
        let mut holder: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(hold(Arc::clone(&opened), Arc::clone(&slot)));
        let point = next_options(&mut holder, &slot);
        Self { point, holder: Mutex::new(holder), slot, opened }
    }

    fn options(&self) -> ReadOptions {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        next_options(&mut holder, &self.slot)
    }
}

impl KvRead for Pinned {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let handle = handle(&self.opened.db, family)?;
        let value = self.opened.db.get_cf_opt(handle, key, &self.point).map_err(failed)?;
        Ok(value.map(Bytes::from))
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let handle = handle(&self.opened.db, family)?;
        let keys = keys.iter().copied();
        let values = self.opened.db.batched_multi_get_cf_opt(handle, keys, false, &self.point);
        values
            .into_iter()
            .map(|value| {
                let value = value.map_err(failed)?;
                Ok(value.map(|pinned| Bytes::copy_from_slice(&pinned)))
            })
            .collect()
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
        let mut options = self.options();
        match &range.start {
            Bound::Included(key) => options.set_iterate_lower_bound(key.as_slice()),
            Bound::Excluded(key) => options.set_iterate_lower_bound(after(key)),
            Bound::Unbounded => {}
        }
        match &range.end {
            Bound::Included(key) => options.set_iterate_upper_bound(after(key)),
            Bound::Excluded(key) => options.set_iterate_upper_bound(key.as_slice()),
            Bound::Unbounded => {}
        }
        let mut rows =
            self.opened.db.raw_iterator_cf_opt(handle(&self.opened.db, family)?, options);
        match direction {
            Direction::Forward => rows.seek_to_first(),
            Direction::Reverse => rows.seek_to_last(),
        }
        while let (Some(key), Some(value)) = (rows.key(), rows.value()) {
            if visit(key, value).is_break() {
                return Ok(());
            }
            match direction {
                Direction::Forward => rows.next(),
                Direction::Reverse => rows.prev(),
            }
        }
        rows.status().map_err(failed)
    }
}

/// The least key greater than `key`.
fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}
