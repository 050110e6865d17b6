//! What may happen only once everything committed so far is durable: commands that begin.
//!
//! While other commands are under way or processes wait for a worker, one thread syncs for all
//! commands that stand here; otherwise the worker syncs itself, which spares a change of threads.

use parking_lot::{Condvar, Mutex};

use kompira_schema::error::Fault;

/// What is done after a sync, told whether it succeeded.
pub(super) type After = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// Work that waits for the next sync.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<After>,
    closed: bool,
}

impl Outbox {
    /// Adds something to be done after the next sync. After [`Outbox::close`] it is dropped: as
    /// far as the store tells, it may have begun.
    pub(super) fn push(&self, after: After) {
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push(after);
            self.filled.notify_one();
        }
    }

    /// Syncs, and does what waited for it, until closed.
    pub(super) fn run(&self, sync: impl Fn() -> Result<(), Fault>) {
        loop {
            let due = {
                let mut state = self.state.lock();
                while state.waiting.is_empty() {
                    if state.closed {
                        return;
                    }
                    self.filled.wait(&mut state);
                }
                if state.closed {
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let synced = sync();
            for after in due {
                after(synced.clone());
            }
        }
    }

    /// Ends [`Outbox::run`].
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting.clear();
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_sync_serves_all_that_wait() {
        let (outbox, syncs) = (Arc::new(Outbox::default()), Arc::new(AtomicUsize::new(0)));
        let (told, hear) = std::sync::mpsc::channel();
        for number in 0..5 {
            let told = told.clone();
            outbox.push(Box::new(move |synced| told.send((number, synced.is_ok())).unwrap()));
        }
        let thread = {
            let (outbox, syncs) = (Arc::clone(&outbox), Arc::clone(&syncs));
            std::thread::spawn(move || {
                outbox.run(|| {
                    syncs.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                });
            })
        };
        for number in 0..5 {
            assert_eq!(hear.recv().unwrap(), (number, true));
        }
        assert_eq!(syncs.load(Ordering::SeqCst), 1);
        outbox.close();
        thread.join().unwrap();
        outbox.push(Box::new(|_| panic!("it is closed")));
    }
}
