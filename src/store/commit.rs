//! The committer: one at a time checks, numbers, writes, syncs, publishes and answers.
//!
//! It is a state behind a lock, and whoever holds the lock leads: it works off what waits, in
//! groups, its own work among it, and then passes the lead to the first that still waits. So no
//! commit changes threads, and callers that come while a sync runs share the next one. Who only
//! wants what is written to be durable never takes the lead: lazy commits go on beside his sync.
//! A thread of its own does only the background syncs.
//!
//! Order of a group: check each batch against the conflict table → one atomic engine write
//! without sync → one WAL sync if a member asked for it → publish the new state → feed → answers.
//! So nothing is acknowledged that a kill (lazy) or a power loss (synced) could take back, and
//! whoever has an answer sees its commit.

mod group;
mod queue;
mod syncs;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use kompira_schema::id::Rev;

use super::basis::Written;
use super::batch::{Batch, CommitError};
use super::feed::Feed;
use super::health::Health;
use super::kv::{Kv, KvRead, StoreError, WriteSet};
use super::snapshot::{Newest, Published};
use super::window::Window;
use crate::{fail_point, fail_point_io};
use group::Group;
use queue::{Answer, Queue, Told, Woken, Work, answer, closed};
use syncs::Syncs;

/// Most batches of one group: beyond this, waiting longer gains nothing.
const GROUP_MAX: usize = 256;
/// Most bytes of one group: a bound on memory and on the time readers of the WAL wait.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// A lazily acknowledged commit is durable within this time.
const SYNC_WITHIN: Duration = Duration::from_millis(900);

/// The longest that a group waits for those who were in the last one: a sync costs far more.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// How safe a commit is when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Safe from power loss.
    Synced,
    /// Visible and safe from a kill of the process; safe from power loss within a second.
    Lazy,
}

pub(super) type Plan = Box<dyn FnOnce(&dyn KvRead) -> Result<WriteSet, StoreError> + Send>;

/// What the committer shares with the handles of the store.
pub(super) struct Shared {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) published: Newest,
    pub(super) feed: Feed,
    pub(super) health: Health,
    pub(super) written: Written,
    /// Syncs of the log so far.
    pub(super) syncs: AtomicU64,
}

struct Committer {
    shared: Arc<Shared>,
    syncs: Arc<Syncs>,
    window: Window,
    /// The thread has to see to it that what was written is synced.
    wake: bool,
    /// How many were in the last synced group, and how long its sync took.
    last: (usize, Duration),
}

/// The committer and the queue before it.
pub(super) struct Desk {
    committer: Mutex<Committer>,
    queue: Queue,
    shared: Arc<Shared>,
    syncs: Arc<Syncs>,
}

/// The committer, held. Let go, it is offered to the first that waits.
struct Lead<'a> {
    desk: &'a Desk,
    guard: Option<MutexGuard<'a, Committer>>,
}

impl<'a> Lead<'a> {
    fn new(desk: &'a Desk, guard: MutexGuard<'a, Committer>) -> Self {
        Self { desk, guard: Some(guard) }
    }
}

impl Deref for Lead<'_> {
    type Target = Committer;

    fn deref(&self) -> &Committer {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl DerefMut for Lead<'_> {
    fn deref_mut(&mut self) -> &mut Committer {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let wake = std::mem::take(&mut self.wake);
        drop(self.guard.take());
        if std::thread::panicking() {
            // The state is not to be trusted: no more writes.
            self.desk.queue.close();
            return;
        }
        if wake {
            self.desk.queue.wake();
        }
        self.desk.queue.pass_on();
    }
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let syncs = Arc::new(Syncs::default());
        let committer = Committer::new(Arc::clone(&shared), Arc::clone(&syncs));
        Self { committer: Mutex::new(committer), queue: Queue::default(), shared, syncs }
    }

    /// The committer, when it is free.
    fn try_lead(&self) -> Option<Lead<'_>> {
        match self.committer.try_lock() {
            Ok(guard) => Some(Lead::new(self, guard)),
            Err(TryLockError::WouldBlock) => None,
            // Whoever panicked closes the queue; it may not have come to it yet.
            Err(TryLockError::Poisoned(_)) => {
                self.queue.close();
                None
            }
        }
    }

    /// The committer; `None` after a panic under its lock.
    fn lead(&self) -> Option<Lead<'_>> {
        self.committer.lock().ok().map(|guard| Lead::new(self, guard))
    }

    /// Commits a batch.
    pub(super) fn commit(&self, batch: Batch, durability: Durability) -> Result<Rev, CommitError> {
        self.ask(|answer| Work::Commit(Box::new(batch), durability, answer))
    }

    /// Changes rows of the store's own.
    pub(super) fn apply(&self, plan: Plan, durability: Durability) -> Result<(), CommitError> {
        self.ask(|answer| Work::Apply(plan, durability, answer))
    }

    /// Makes durable what was committed before; nobody waits for it but the caller.
    pub(super) fn sync(&self) -> Result<(), CommitError> {
        Ok(self.syncs.sync(&self.shared)?)
    }

    /// Runs something while nothing is written.
    pub(super) fn still(
        &self,
        run: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Rev, CommitError> {
        self.ask(|answer| Work::Still(Box::new(run), answer))
    }

    /// Hands work in and sees that it is done: by whoever leads, or by itself.
    fn ask<T>(&self, work: impl FnOnce(Answer<T>) -> Work) -> Result<T, CommitError> {
        let (answer, waiting) = answer();
        if !self.queue.push(work(answer)) {
            return Err(closed());
        }
        loop {
            if let Some(mut lead) = self.try_lead() {
                lead.serve(&self.queue, || waiting.is_done());
            }
            match waiting.wait() {
                Told::Done(done) => return done,
                Told::Lead => {}
            }
        }
    }

    /// Ends the thread; it syncs first.
    pub(super) fn stop(&self) {
        self.queue.stop();
    }

    /// The thread: syncs what was acknowledged lazily when its time has come, until told to stop.
    pub(super) fn run(&self) {
        loop {
            match self.queue.sleep(self.syncs.due(SYNC_WITHIN)) {
                Woken::Wake => {}
                Woken::Time => {
                    let due = self.syncs.due(SYNC_WITHIN).is_some_and(|due| due <= Instant::now());
                    if due && let Err(error) = self.syncs.sync(&self.shared) {
                        tracing::error!(%error, "the background sync of the store failed");
                    }
                }
                Woken::Stop => {
                    if let Some(mut lead) = self.lead() {
                        lead.serve(&self.queue, || false);
                        if let Err(error) = lead.sync() {
                            tracing::error!(%error, "the last sync of the store failed");
                        }
                        lead.shared.feed.close();
                    }
                    self.queue.close();
                    return;
                }
            }
        }
    }
}

impl Committer {
    fn new(shared: Arc<Shared>, syncs: Arc<Syncs>) -> Self {
        let rev = shared.published.load().rev;
        let last = (1, Duration::ZERO);
        Self { shared, syncs, window: Window::new(rev), wake: false, last }
    }

    /// Works off what waits, until there is nothing or `done`.
    fn serve(&mut self, queue: &Queue, done: impl Fn() -> bool) {
        while !done() {
            let Some(next) = queue.pop() else { return };
            match next {
                Work::Commit(batch, durability, answer) => {
                    self.group((*batch, durability, answer), queue);
                }
                Work::Apply(plan, durability, answer) => {
                    answer.send(self.apply(plan, durability).map_err(CommitError::from));
                }
                Work::Still(run, answer) => {
                    let rev = self.shared.published.load().rev;
                    let done = self.sync().and_then(|()| run());
                    answer.send(done.map(|()| rev).map_err(CommitError::from));
                }
            }
        }
    }

    /// Commits `first` and the commits that wait behind it.
    fn group(&mut self, first: (Batch, Durability, Answer<Rev>), queue: &Queue) {
        let published = self.shared.published.load();
        let mut group = Group::new(Rev(published.rev.0 + 1));
        if let Err(error) = self.shared.health.writable() {
            first.2.send(Err(error.into()));
            return;
        }
        let mut next = Some(first);
        let (mut count, mut gathered) = (0, false);
        while let Some((batch, durability, answer)) = next {
            count += 1;
            match group.admit(&mut self.window, &*published.read, batch) {
                Ok(rev) => {
                    group.synced |= durability == Durability::Synced;
                    group.answers.push((answer, rev));
                }
                Err(error) => answer.send(Err(error)),
            }
            if count >= GROUP_MAX || group.bytes >= GROUP_BYTES_MAX {
                break;
            }
            next = queue.pop_commit();
            if next.is_none() && group.synced && count < self.last.0 && !gathered {
                // Those whose commits were answered together come back together, a moment apart:
                // the first of them waits for the others, or it would have a sync of its own.
                gathered = true;
                queue.gather(self.last.0 - count, Instant::now() + GATHER_MAX.min(self.last.1 / 2));
                next = queue.pop_commit();
            }
        }
        if group.answers.is_empty() {
            return;
        }
        match self.write_group(&group, published.rev) {
            Ok(()) => {
                if group.synced {
                    self.last.0 = count;
                }
                self.publish(Rev(group.next.0 - 1));
                for info in &group.infos {
                    self.shared.feed.tell(info);
                }
                fail_point!("store.commit.before_reply");
                for (answer, rev) in group.answers {
                    answer.send(Ok(rev));
                }
            }
            Err(error) => {
                for (answer, _) in group.answers {
                    answer.send(Err(error.clone().into()));
                }
            }
        }
    }

    fn write_group(&mut self, group: &Group, before: Rev) -> Result<(), StoreError> {
        let written = fail_point_io!("store.commit.before_wal")
            .map_err(StoreError::from)
            .and_then(|()| self.shared.kv.write(&group.set, false));
        if let Err(error) = written {
            // Its revisions will be given again: no base may be compared with them.
            self.window.reset(before);
            self.shared.health.write_failed(&error);
            return Err(error);
        }
        fail_point!("store.commit.after_wal");
        self.shared.written.note(&group.set);
        self.wrote();
        if group.synced {
            self.sync()?;
        }
        Ok(())
    }

    fn publish(&self, rev: Rev) {
        let read = self.shared.kv.snapshot();
        let state = self.shared.written.state();
        self.shared.published.store(Published { rev, state, read });
        fail_point!("store.commit.after_publish");
    }

    fn apply(&mut self, plan: Plan, durability: Durability) -> Result<(), StoreError> {
        self.shared.health.writable()?;
        let published = self.shared.published.load();
        let set = plan(&*published.read)?;
        if set.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.shared.kv.write(&set, false) {
            self.shared.health.write_failed(&error);
            return Err(error);
        }
        self.shared.written.note(&set);
        self.wrote();
        if durability == Durability::Synced {
            self.sync()?;
        }
        self.publish(published.rev);
        Ok(())
    }

    fn wrote(&mut self) {
        self.wake |= self.syncs.wrote();
    }

    /// Makes everything written durable while nothing is written.
    fn sync(&mut self) -> Result<(), StoreError> {
        let start = Instant::now();
        self.syncs.sync(&self.shared)?;
        self.last.1 = start.elapsed();
        Ok(())
    }
}
