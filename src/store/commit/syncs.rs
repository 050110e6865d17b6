//! Syncs of the log: one runs at a time, and serves all who came before it began.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::store::kv::StoreError;
use crate::{fail_point, fail_point_io};

/// What of the log is durable.
#[derive(Default)]
pub(super) struct Syncs {
    state: Mutex<State>,
    /// By the number of the run, odd and even: who is served by the run that is under way, and who
    /// by the next. So nobody is woken only to wait again.
    done: [Condvar; 2],
}

#[derive(Default)]
struct State {
    /// Writes so far, and how many of them are durable.
    written: u64,
    durable: u64,
    /// Since when one of them is not.
    since: Option<Instant>,
    /// A sync runs.
    busy: bool,
    /// The number of the run that is under way, or was last, and the writes it makes durable.
    run: u64,
    target: u64,
    /// The thread for background syncs sleeps until it is woken.
    asleep: bool,
}

impl Syncs {
    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a write that is done; answers whether the thread for background syncs is to be woken.
    pub(super) fn wrote(&self) -> bool {
        let mut state = self.held();
        state.written += 1;
        state.since.get_or_insert_with(Instant::now);
        std::mem::take(&mut state.asleep)
    }

    /// For the thread: when it has to sync so that everything is durable `within` a time; without
    /// an answer it is to sleep until it is woken.
    pub(super) fn due(&self, within: Duration) -> Option<Instant> {
        let mut state = self.held();
        state.asleep = state.since.is_none();
        state.since.map(|since| since + within)
    }

    fn done(&self, run: u64) -> &Condvar {
        let [even, odd] = &self.done;
        if run.is_multiple_of(2) { even } else { odd }
    }

    /// Makes every write durable that is done when this is called. After a failure the store takes
    /// no more writes: what the kernel dropped, a second sync would not bring back.
    pub(super) fn sync(&self, shared: &Shared) -> Result<(), StoreError> {
        let mut state = self.held();
        let wanted = state.written;
        loop {
            if let Err(error) = shared.health.writable() {
                state.since = None;
                drop(state);
                self.done.iter().for_each(Condvar::notify_all);
                return Err(error);
            }
            if state.durable >= wanted {
                return Ok(());
            }
            if !state.busy {
                break;
            }
            let serves = if wanted <= state.target { state.run } else { state.run + 1 };
            state = self.done(serves).wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.busy = true;
        state.run += 1;
        state.target = state.written;
        let (run, written, start) = (state.run, state.written, Instant::now());
        drop(state);
        let synced = log(shared);
        if let Err(error) = &synced {
            shared.health.sync_failed(error);
        }
        let mut state = self.held();
        state.busy = false;
        state.since = None;
        if synced.is_ok() {
            state.durable = written;
            // What came meanwhile came after it began.
            state.since = (state.written > written).then_some(start);
        }
        drop(state);
        self.done(run).notify_all();
        // The first of those who came meanwhile leads the next; after a failure he tells the others.
        self.done(run + 1).notify_one();
        synced
    }
}

fn log(shared: &Shared) -> Result<(), StoreError> {
    shared.syncs.fetch_add(1, Ordering::Relaxed);
    fail_point_io!("store.commit.before_sync")
        .map_err(StoreError::from)
        .and_then(|()| shared.kv.sync())?;
    fail_point!("store.commit.after_sync");
    Ok(())
}
