//! The committer: one at a time checks, numbers, writes, syncs, publishes and answers.
//!
//! It is a state behind a lock. A thread of its own works off what is waiting, in groups, and does
//! the background syncs. A caller that finds the lock free commits by itself, which spares it two
//! changes of thread; whoever finds it taken waits in the queue and is part of the next group.
//!
//! Order of a group: check each batch against the conflict table → one atomic engine write
//! without sync → one WAL sync if a member asked for it → publish the new state → feed → answers.
//! So nothing is acknowledged that a kill (lazy) or a power loss (synced) could take back, and
//! whoever has an answer sees its commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::message;

use super::batch::{Batch, CommitError, Mark};
use super::codec::{ChangeRow, Head, pack};
use super::feed::{CommitInfo, Feed};
use super::health::Health;
use super::keys;
use super::kv::{Family, Kv, KvRead, StoreError, Write, WriteSet};
use super::snapshot::Published;
use super::window::Window;
use crate::{fail_point, fail_point_io};

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

pub(super) type Answer<T> = Sender<Result<T, CommitError>>;
type Outcome = Result<Rev, CommitError>;
pub(super) type Plan = Box<dyn FnOnce(&dyn KvRead) -> Result<WriteSet, StoreError> + Send>;

/// What waits for the committer.
pub(super) enum Work {
    /// A commit.
    Commit(Box<Batch>, Durability, Answer<Rev>),
    /// A change of the store's own rows, decided on the newest state; it makes no revision.
    Apply(Plan, Durability, Answer<()>),
    /// Make everything durable.
    Sync(Answer<()>),
    /// Run while nothing is written; the answer is the newest revision.
    Still(Box<dyn FnOnce() -> Result<(), StoreError> + Send>, Answer<Rev>),
    /// Something was written that wants a background sync.
    Wake,
    /// Write out, sync and end.
    Stop,
}

/// What the committer shares with the handles of the store.
pub(super) struct Shared {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) published: ArcSwap<Published>,
    pub(super) feed: Feed,
    pub(super) health: Health,
}

pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    window: Window,
    /// Since when something written is not yet synced.
    unsynced: Option<Instant>,
    /// Engine writes so far: whether there was one during a background sync.
    writes: u64,
    /// How many were in the last synced group, and how long its sync took.
    last: (usize, Duration),
}

struct Group {
    set: WriteSet,
    /// Where in `set` the last write of a header is, for `touch`.
    heads: HashMap<Vec<u8>, usize>,
    infos: Vec<Arc<CommitInfo>>,
    answers: Vec<(Answer<Rev>, Rev)>,
    next: Rev,
    synced: bool,
    bytes: usize,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let rev = shared.published.load().rev;
        let last = (1, Duration::ZERO);
        Self { shared, window: Window::new(rev), unsynced: None, writes: 0, last }
    }

    /// Works off what is sent until told to stop. A panic under the lock, here or in a caller,
    /// ends the thread, and with it all writing.
    pub(super) fn run(committer: &Mutex<Self>, work: &Receiver<Work>) {
        let mut held: Option<Work> = None;
        loop {
            let next = match held.take() {
                Some(work) => Some(work),
                None => match Self::next_work(committer, work) {
                    Ok(next) => next,
                    Err(Poisoned) => return,
                },
            };
            let Some(next) = next else { continue };
            let Ok(mut this) = committer.lock() else { return };
            match next {
                Work::Commit(batch, durability, answer) => {
                    held = this.group((*batch, durability, answer), Some(work));
                }
                Work::Apply(plan, durability, answer) => {
                    let done = this.apply(plan, durability);
                    let _ = answer.send(done.map_err(CommitError::from));
                }
                Work::Sync(answer) => {
                    let _ = answer.send(this.sync().map_err(CommitError::from));
                }
                Work::Still(run, answer) => {
                    let rev = this.shared.published.load().rev;
                    let done = this.sync().and_then(|()| run());
                    let _ = answer.send(done.map(|()| rev).map_err(CommitError::from));
                }
                Work::Wake => {}
                Work::Stop => {
                    if let Err(error) = this.sync() {
                        tracing::error!(%error, "the last sync of the store failed");
                    }
                    this.shared.feed.close();
                    return;
                }
            }
        }
    }

    /// Waits for work, and syncs what was acknowledged lazily when its time has come.
    fn next_work(committer: &Mutex<Self>, work: &Receiver<Work>) -> Result<Option<Work>, Poisoned> {
        let since = committer.lock().map_err(|_| Poisoned)?.unsynced;
        let Some(since) = since else {
            return Ok(Some(work.recv().unwrap_or(Work::Stop)));
        };
        let left = SYNC_WITHIN.saturating_sub(since.elapsed());
        match work.recv_timeout(left) {
            Ok(work) if !left.is_zero() => Ok(Some(work)),
            other => {
                Self::sync_behind(committer)?;
                match other {
                    Ok(work) => Ok(Some(work)),
                    Err(RecvTimeoutError::Timeout) => Ok(None),
                    Err(RecvTimeoutError::Disconnected) => Ok(Some(Work::Stop)),
                }
            }
        }
    }

    /// The background sync: it runs without the lock, so that lazy commits go on beside it.
    fn sync_behind(committer: &Mutex<Self>) -> Result<(), Poisoned> {
        let (shared, writes, start) = {
            let this = committer.lock().map_err(|_| Poisoned)?;
            if this.unsynced.is_none() || this.shared.health.writable().is_err() {
                return Ok(());
            }
            (Arc::clone(&this.shared), this.writes, Instant::now())
        };
        // Until it is done nothing counts as synced: who asks meanwhile syncs by himself.
        let synced = sync_log(&shared);
        let mut this = committer.lock().map_err(|_| Poisoned)?;
        match synced {
            Ok(()) if this.writes == writes => this.unsynced = None,
            Ok(()) => this.unsynced = this.unsynced.map(|_| start),
            Err(error) => {
                this.unsynced = None;
                shared.health.sync_failed(&error);
                tracing::error!(%error, "the background sync of the store failed");
            }
        }
        Ok(())
    }

    /// Commits one batch on the caller's own thread. Answers whether the thread has to be told
    /// that there is something to sync.
    pub(super) fn alone(&mut self, batch: Batch, durability: Durability) -> (Outcome, bool) {
        let idle = self.unsynced.is_none();
        let (answer, answered) = bounded(1);
        self.group((batch, durability, answer), None);
        let done = answered.try_recv().unwrap_or_else(|_| {
            let why = "a commit was not answered";
            Err(CommitError::Fault(Fault::internal(why)))
        });
        (done, idle && self.unsynced.is_some())
    }

    /// Commits `first` and what else is waiting in `more`; answers the work that ended the group.
    fn group(
        &mut self,
        first: (Batch, Durability, Answer<Rev>),
        more: Option<&Receiver<Work>>,
    ) -> Option<Work> {
        let published = self.shared.published.load_full();
        let mut group = Group {
            set: WriteSet::default(),
            heads: HashMap::new(),
            infos: Vec::new(),
            answers: Vec::new(),
            next: Rev(published.rev.0 + 1),
            synced: false,
            bytes: 0,
        };
        if let Err(error) = self.shared.health.writable() {
            let _ = first.2.send(Err(error.into()));
            return None;
        }
        let gather_until = Instant::now() + GATHER_MAX.min(self.last.1 / 2);
        let mut held = None;
        let mut taken = Some(first);
        let mut count = 0;
        while let Some((batch, durability, answer)) = taken.take() {
            count += 1;
            match self.admit(&mut group, &*published.read, batch) {
                Ok(rev) => {
                    group.synced |= durability == Durability::Synced;
                    group.answers.push((answer, rev));
                }
                Err(error) => {
                    let _ = answer.send(Err(error));
                }
            }
            if count >= GROUP_MAX || group.bytes >= GROUP_BYTES_MAX {
                break;
            }
            match more.and_then(|work| self.next_member(work, count, &group, gather_until)) {
                Some(Work::Commit(batch, durability, answer)) => {
                    taken = Some((*batch, durability, answer));
                }
                other => held = other,
            }
        }
        let synced = group.synced;
        if group.answers.is_empty() {
            return held;
        }
        match self.write_group(&group, published.rev) {
            Ok(()) => {
                if synced {
                    self.last.0 = count;
                }
                let rev = Rev(group.next.0 - 1);
                self.publish(rev);
                for info in &group.infos {
                    self.shared.feed.tell(info);
                }
                fail_point!("store.commit.before_reply");
                for (answer, rev) in group.answers {
                    let _ = answer.send(Ok(rev));
                }
            }
            Err(error) => {
                for (answer, _) in group.answers {
                    let _ = answer.send(Err(error.clone().into()));
                }
            }
        }
        held
    }

    /// What joins the group. Those whose commits were answered together come back together, a
    /// moment apart: the first of them waits for the others, or it would have a sync of its own.
    fn next_member(
        &self,
        work: &Receiver<Work>,
        count: usize,
        group: &Group,
        until: Instant,
    ) -> Option<Work> {
        if group.synced && count < self.last.0 {
            work.recv_deadline(until).ok()
        } else {
            work.try_recv().ok()
        }
    }

    /// Checks one batch and adds it to the group; on error the group is as before.
    fn admit(
        &mut self,
        group: &mut Group,
        read: &dyn KvRead,
        batch: Batch,
    ) -> Result<Rev, CommitError> {
        if self.window.conflicts(batch.base, &batch.reads) {
            return Err(CommitError::Conflict);
        }
        check_blobs(group, read, &batch)?;
        let rev = group.next;
        let row = ChangeRow {
            time: batch.time.unwrap_or_else(Timestamp::now),
            origin: batch.origin,
            by: batch.by,
            changes: batch.changes,
        };
        let change = pack(Family::Change, &keys::change(rev), &row)?;
        let mut touched = Vec::new();
        for (container, time) in batch.touches {
            let key = keys::object(container);
            touched.push((key, time, read.get(Family::Head, &key)?));
        }
        // From here on nothing fails.
        group.next = Rev(rev.0 + 1);
        group.bytes += batch.bytes;
        for mark in batch.locks {
            self.window.wrote(rev, mark);
        }
        for write in batch.writes {
            self.window.wrote(rev, Mark::key(write.family, &write.key));
            if write.family == Family::Dirent
                && let Some(parent) = write.key.get(..8)
            {
                self.window.wrote(rev, Mark::children(parent));
            }
            if write.family == Family::Head {
                group.heads.insert(write.key.clone(), group.set.writes.len());
            }
            match write.value {
                None => group.set.delete(write.family, write.key),
                Some(mut value) => {
                    if let Some(place) = write.stamp.and_then(|at| value.get_mut(at..at + 8)) {
                        place.copy_from_slice(&rev.0.to_be_bytes());
                    }
                    group.set.put(write.family, write.key, value);
                }
            }
        }
        for (key, time, stored) in touched {
            group.touch(&key, time, stored.as_deref());
        }
        group.set.put(Family::Change, keys::change(rev), change);
        group.infos.push(Arc::new(CommitInfo::new(rev, row)));
        Ok(rev)
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
        self.wrote();
        if group.synced {
            self.sync()?;
        }
        Ok(())
    }

    fn publish(&self, rev: Rev) {
        let read = self.shared.kv.snapshot();
        self.shared.published.store(Arc::new(Published { rev, read }));
        fail_point!("store.commit.after_publish");
    }

    fn apply(&mut self, plan: Plan, durability: Durability) -> Result<(), StoreError> {
        self.shared.health.writable()?;
        let published = self.shared.published.load_full();
        let set = plan(&*published.read)?;
        if set.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.shared.kv.write(&set, false) {
            self.shared.health.write_failed(&error);
            return Err(error);
        }
        self.wrote();
        if durability == Durability::Synced {
            self.sync()?;
        }
        self.publish(published.rev);
        Ok(())
    }

    fn wrote(&mut self) {
        self.writes += 1;
        self.unsynced.get_or_insert_with(Instant::now);
    }

    /// Makes everything written durable. After a failure the store takes no more writes: what
    /// the kernel dropped, a second sync would not bring back.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.shared.health.writable()?;
        if self.unsynced.is_none() {
            return Ok(());
        }
        let start = Instant::now();
        let synced = sync_log(&self.shared);
        self.unsynced = None;
        self.last.1 = start.elapsed();
        synced.inspect_err(|error| self.shared.health.sync_failed(error))
    }
}

/// A panic happened under the lock: the state behind it is not to be trusted.
struct Poisoned;

fn sync_log(shared: &Shared) -> Result<(), StoreError> {
    fail_point_io!("store.commit.before_sync")
        .map_err(StoreError::from)
        .and_then(|()| shared.kv.sync())?;
    fail_point!("store.commit.after_sync");
    Ok(())
}

impl Group {
    /// Moves the times of a container, in the group's own write of it or in the stored one.
    fn touch(&mut self, key: &[u8], time: Timestamp, stored: Option<&[u8]>) {
        if let Some(&at) = self.heads.get(key) {
            if let Some(Write::Put(_, _, value)) = self.set.writes.get_mut(at) {
                Head::touch(value, time);
            }
            return;
        }
        let Some(stored) = stored else { return };
        let mut value = stored.to_vec();
        Head::touch(&mut value, time);
        self.heads.insert(key.to_vec(), self.set.writes.len());
        self.set.put(Family::Head, key, value);
    }
}

/// A blob that is about to be held has to be stored, in this group or before it.
fn check_blobs(group: &Group, read: &dyn KvRead, batch: &Batch) -> Result<(), CommitError> {
    for hash in &batch.needs {
        let here = batch.writes.iter().any(|write| {
            write.family == Family::Blob && write.value.is_some() && write.key == hash.0
        });
        let in_group =
            || {
                group.set.writes.iter().any(
                    |write| matches!(write, Write::Put(Family::Blob, key, _) if *key == hash.0),
                )
            };
        if !here && read.get(Family::Blob, &hash.0)?.is_none() && !in_group() {
            let told = message!("store.blob_missing");
            let fault = Fault::new(Kind::NotFound, told).because(format!("blob {hash}"));
            return Err(CommitError::Fault(fault));
        }
    }
    Ok(())
}
