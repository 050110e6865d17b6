//! The handle of the store.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::bounded;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::message;

use super::basis::{Basis, Written};
use super::batch::{Batch, CommitError};
use super::blob::Blobs;
use super::blob::files::BlobFiles;
use super::codec::Changed;
use super::commit::{Desk, Durability, Shared};
use super::counter::{self, BLOCK, Counter, Counters};
use super::feed::{Feed, Subscription};
use super::health::Health;
use super::keys;
use super::kv::{Direction, Family, KeyRange, Kv, KvRead, StoreError, WriteSet};
use super::lock::DataLock;
use super::memory::Memory;
use super::migrate::{self, FORMAT, STEPS, Step};
use super::options::Options;
use super::recent::Recent;
use super::rocks::Rocks;
use super::room::Room;
use super::snapshot::{Newest, Published, Snapshot};
use crate::base::durable::sync_name;
use crate::fail_point;

/// The database and the blobs inside the data directory.
const DATABASE: &str = "db";
const BLOBS: &str = "blobs";

/// The store: a clone is another handle of the same. When the last handle is gone, everything
/// is synced and closed.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    desk: Arc<Desk>,
    counters: Arc<Counters>,
    files: Option<BlobFiles>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.shared.published.load().rev)
    }
}

impl Store {
    /// Opens the store in the data directory `dir`, or makes a new one there.
    ///
    /// # Errors
    /// [`Kind::Locked`] when another server holds it, [`Kind::Version`] when a newer one wrote it,
    /// [`Kind::Corrupt`], [`Kind::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Fault> {
        Self::open_with(dir, options, STEPS, FORMAT)
    }

    pub(super) fn open_with(
        dir: &Path,
        options: &Options,
        steps: &[Step],
        target: u32,
    ) -> Result<Self, Fault> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(StoreError::from)?;
        let lock = DataLock::take(dir, &options.command)?;
        let mark = migrate::read_mark(dir, target)?;
        let database = dir.join(DATABASE);
        if mark.is_some() && !database.join("CURRENT").exists() {
            // Never start empty where there was something.
            return Err(StoreError::corrupt("the database is gone").into());
        }
        let room = Arc::new(Room::new(dir, options.reserve_bytes));
        let kv = Rocks::open(&database, lock, Arc::clone(&room), options)?;
        migrate::run(Some(dir), mark, &kv, steps, target)?;
        let files = BlobFiles::open(dir.join(BLOBS), room)?;
        Self::start(Arc::new(Recent::new(kv)), Some(files))
    }

    /// A new store in memory.
    #[must_use]
    pub fn memory() -> Self {
        let kv = Arc::new(Memory::default());
        migrate::run(None, None, &*kv, &[], FORMAT).expect("memory takes a row");
        Self::start(kv, None).expect("an empty memory store has no bad rows")
    }

    fn start(kv: Arc<dyn Kv>, files: Option<BlobFiles>) -> Result<Self, Fault> {
        let read = kv.snapshot();
        let rev = last_rev(&*read)?;
        let shared = Arc::new(Shared {
            kv,
            published: Newest::new(Published { rev, state: 0, read }),
            feed: Feed::default(),
            health: Health::default(),
            written: Written::default(),
            syncs: AtomicU64::new(0),
        });
        let desk = Arc::new(Desk::new(Arc::clone(&shared)));
        let behind = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("store-commit".into())
            .spawn(move || behind.run())
            .map_err(StoreError::from)?;
        Ok(Self(Arc::new(Inner {
            shared,
            desk,
            counters: Arc::new(Counters::default()),
            files,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// The newest state. Whoever got the answer to a commit sees it here.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.shared.published.load())
    }

    /// The newest revision.
    #[must_use]
    pub fn rev(&self) -> Rev {
        self.0.shared.published.load().rev
    }

    /// Whether something that was made of a state of this store is still what it would be if it
    /// were made now. A commit that was answered before is never overlooked.
    #[must_use]
    pub fn holds(&self, basis: &Basis) -> bool {
        self.0.shared.written.holds(basis, self.0.shared.published.load().state)
    }

    /// An empty batch that is decided on `snapshot`.
    #[must_use]
    pub fn batch(&self, snapshot: &Snapshot) -> Batch {
        Batch::new(snapshot.rev())
    }

    /// Commits: all of the batch or nothing, and answers its revision.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: decide again on a new snapshot. Otherwise a fault:
    /// [`Kind::Full`] (writes resume when there is room), [`Kind::Unavailable`] (no more writes
    /// until the store is opened again), [`Kind::NotFound`] (a held blob is not stored).
    pub fn commit(&self, batch: Batch, durability: Durability) -> Result<Rev, CommitError> {
        self.0.desk.commit(batch, durability)
    }

    /// Everything committed so far is durable when this returns.
    ///
    /// # Errors
    /// [`Kind::Unavailable`], [`Kind::Io`].
    pub fn sync(&self) -> Result<(), Fault> {
        faults(self.0.desk.sync())
    }

    /// How often the log was synced since the store was opened.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.shared.syncs.load(Ordering::Relaxed)
    }

    /// A number that was never given before.
    ///
    /// # Errors
    /// As [`Store::commit`], when a new block has to be taken.
    pub fn new_id(&self, counter: Counter) -> Result<u64, Fault> {
        self.0.counters.next(counter, || {
            fail_point!("store.counter.before_block");
            let (first_is, first) = bounded(1);
            self.apply(Durability::Synced, move |read| {
                let next = counter::stored(read, counter)?;
                let _ = first_is.send(next);
                let mut set = WriteSet::default();
                set.put(Family::Meta, counter::key(counter), (next + BLOCK).to_be_bytes());
                Ok(set)
            })?;
            fail_point!("store.counter.after_block");
            first.recv().map_err(Fault::internal)
        })
    }

    /// Makes sure that no number up to `used` is ever given (restore, fixed numbers).
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn raise_counter(&self, counter: Counter, used: u64) -> Result<(), Fault> {
        self.0.counters.forget(counter);
        self.apply(Durability::Synced, move |read| {
            let mut set = WriteSet::default();
            if counter::stored(read, counter)? <= used {
                set.put(Family::Meta, counter::key(counter), (used + 1).to_be_bytes());
            }
            Ok(set)
        })
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs(self.clone())
    }

    /// Every commit from now on, in order. Earlier ones: [`Snapshot::changes_since`].
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.0.shared.feed.subscribe()
    }

    /// As [`Store::subscribe`], for a reader that says which changes cannot wait for others to
    /// gather.
    #[must_use]
    pub fn subscribe_for(&self, hurries: fn(&Changed) -> bool) -> Subscription {
        self.0.shared.feed.subscribe_for(hurries)
    }

    /// Whether writes are taken.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] with the reason, for the log.
    pub fn health(&self) -> Result<(), Fault> {
        Ok(self.0.shared.health.writable()?)
    }

    /// Copies the whole store, as it is at one revision, into the new directory `dir`, while
    /// everything goes on: hard links, so it takes moments and next to no space. The copy opens
    /// like a data directory, and appears whole or not at all. Answers its revision.
    ///
    /// # Errors
    /// [`Kind::Exists`] when `dir` is there, [`Kind::Full`], [`Kind::Io`], [`Kind::Unavailable`]
    /// for a store in memory. What was begun lies in `dir.part`; the next copy to `dir` removes it.
    pub fn checkpoint(&self, dir: &Path) -> Result<Rev, Fault> {
        let Some(files) = self.blob_files() else {
            let why = "a store in memory has no checkpoint";
            return Err(StoreError::new(Kind::Unavailable, why).into());
        };
        if dir.exists() {
            let told = message!("store.checkpoint_exists", path = dir.display());
            return Err(Fault::new(Kind::Exists, told));
        }
        // From the database's moment to the last link no blob file goes away.
        let _names = files.names();
        let mut part = dir.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        begin_anew(part)?;
        fail_point!("store.checkpoint.before_db");
        let (kv, database) = (Arc::clone(&self.0.shared), part.join(DATABASE));
        let rev = faults(self.0.desk.still(move || kv.kv.checkpoint(&database)))?;
        fail_point!("store.checkpoint.after_db");
        files.link_all(&part.join(BLOBS))?;
        fail_point!("store.checkpoint.after_blobs");
        migrate::write_mark(part)?;
        fs::rename(part, dir).map_err(StoreError::from)?;
        sync_name(dir).map_err(StoreError::from)?;
        Ok(rev)
    }

    pub(super) fn blob_files(&self) -> Option<&BlobFiles> {
        self.0.files.as_ref()
    }

    /// Changes rows of the store's own, decided on the newest state, without a revision.
    pub(super) fn apply(
        &self,
        durability: Durability,
        plan: impl FnOnce(&dyn KvRead) -> Result<WriteSet, StoreError> + Send + 'static,
    ) -> Result<(), Fault> {
        faults(self.0.desk.apply(Box::new(plan), durability))
    }
}

/// An empty directory, whatever a killed copy left there.
fn begin_anew(part: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(part) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(DirBuilder::new().mode(0o700).create(part)?)
}

/// What is no commit has no conflict.
fn faults<T>(done: Result<T, CommitError>) -> Result<T, Fault> {
    done.map_err(|error| match error {
        CommitError::Fault(fault) => fault,
        CommitError::Conflict => Fault::internal("a conflict without a commit"),
    })
}

impl Drop for Inner {
    fn drop(&mut self) {
        let given_back = Arc::clone(&self.counters);
        let plan = Box::new(move |_: &dyn KvRead| Ok(given_back.give_back()));
        let _ = self.desk.apply(plan, Durability::Lazy);
        self.desk.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// The last commit: the feed always keeps its row.
fn last_rev(read: &dyn KvRead) -> Result<Rev, StoreError> {
    let mut last = Ok(Rev(0));
    read.scan(Family::Change, &KeyRange::all(), Direction::Reverse, &mut |key, _| {
        last = keys::split_u64(key)
            .map(|(number, _)| Rev(number))
            .ok_or_else(|| StoreError::corrupt("change key"));
        std::ops::ControlFlow::Break(())
    })?;
    last
}
