//! Whether the store takes writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use kompira_schema::error::Kind;

use super::kv::StoreError;

/// Remembers the first failure after which no write may be trusted.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: AtomicBool,
    why: Mutex<Option<StoreError>>,
}

impl Health {
    /// Whether writes are taken.
    pub(super) fn writable(&self) -> Result<(), StoreError> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        let why = why.as_ref().map(ToString::to_string).unwrap_or_default();
        Err(StoreError::new(
            Kind::Unavailable,
            format!("the store takes no writes until it is opened again, since: {why}"),
        ))
    }

    /// A group was not written. A full disk may have room again; anything else is final.
    pub(super) fn write_failed(&self, error: &StoreError) {
        if error.kind != Kind::Full {
            self.refuse(error);
        }
    }

    /// A sync failed: nothing since the last one can be trusted to be on disk.
    pub(super) fn sync_failed(&self, error: &StoreError) {
        self.refuse(error);
    }

    fn refuse(&self, error: &StoreError) {
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        if why.is_none() {
            tracing::error!(%error, "the store takes no more writes");
            *why = Some(error.clone());
        }
        self.broken.store(true, Ordering::Release);
    }
}
