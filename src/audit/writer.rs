//! Brings committed entries to the audit file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use kompira_schema::error::Fault;
use parking_lot::{Condvar, Mutex};

use super::entry::Entry;
use crate::store::codec::unpack;
use crate::store::{CommitError, Direction, Durability, Family, KeyRange, Store, StoreError};

/// Where lines of the audit log go.
pub trait Sink: Send + Sync {
    /// Appends lines; `durable`: they are on disk when this returns.
    ///
    /// # Errors
    /// The failure; nothing is lost, the entries stay in the store.
    fn append(&self, lines: &[String], durable: bool) -> std::io::Result<()>;
}

/// The audit file: mode 0640, opened anew after a rotation.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    open: Mutex<Option<File>>,
}

impl FileSink {
    /// Appends to `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    fn same(&self, file: &File) -> bool {
        let (Ok(there), Ok(here)) = (std::fs::metadata(&self.path), file.metadata()) else {
            return false;
        };
        (there.dev(), there.ino()) == (here.dev(), here.ino())
    }
}

impl Sink for FileSink {
    fn append(&self, lines: &[String], durable: bool) -> std::io::Result<()> {
        let mut open = self.open.lock();
        if open.as_ref().is_none_or(|file| !self.same(file)) {
            let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
            *open = Some(file);
        }
        let Some(file) = open.as_mut() else { return Ok(()) };
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        file.write_all(text.as_bytes())?;
        if durable { file.sync_data() } else { Ok(()) }
    }
}

impl Sink for Mutex<Vec<String>> {
    fn append(&self, lines: &[String], _durable: bool) -> std::io::Result<()> {
        self.lock().extend_from_slice(lines);
        Ok(())
    }
}

/// Entries that one round brings to the file.
const ROUND: usize = 1000;
/// Without a ring, entries that were left behind are looked for this often.
const EVERY: Duration = Duration::from_secs(1);
/// How long entries gather before they are written together.
const GATHER: Duration = Duration::from_millis(100);
/// From this level on, a line is on disk before its entry leaves the store.
const DURABLE_LEVEL: i64 = 3;

/// A thread that brings entries from the store to the sink. A crash between the two writes a line
/// twice, never not at all.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    bell: Condvar,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    stop: bool,
    /// Somebody waits for the entries to be written.
    hurry: bool,
    /// Rounds finished.
    rounds: u64,
    busy: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Internal` when the system gives no thread.
    pub fn start(store: Store, sink: Arc<dyn Sink>, zone: TimeZone) -> Result<Self, Fault> {
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let run = move || {
            // Where the last round ended: what stands before it is deleted, and stepping over the
            // deleted costs more than all the rest. An entry whose commit was overtaken by that of
            // a higher number is found by the next round that looks from the start.
            let mut after = None;
            let mut whole = Instant::now();
            loop {
                let Wanted { stop, all } = mine.wait();
                if stop || all || whole.elapsed() >= EVERY {
                    (after, whole) = (None, Instant::now());
                }
                let mut more = true;
                while more {
                    more = round(&store, &*sink, &zone, &mut after).unwrap_or_else(|fault| {
                        tracing::error!(?fault, "audit entries cannot be written; they are kept");
                        after = None;
                        false
                    });
                }
                mine.finished();
                if stop {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("audit".into()).spawn(run);
        let thread = Mutex::new(Some(thread.map_err(Fault::internal)?));
        Ok(Self { shared, thread })
    }

    /// There is something to write.
    pub fn ring(&self) {
        let mut state = self.shared.state.lock();
        if !state.rung {
            state.rung = true;
            self.shared.bell.notify_one();
        }
    }

    /// Returns when everything that was committed before is written.
    pub fn flush(&self) {
        let mut state = self.shared.state.lock();
        // A round under way may have looked before the last commit: the one after it has not.
        let wanted = state.rounds + if state.busy { 2 } else { 1 };
        while state.rounds < wanted && !state.stop {
            state.rung = true;
            state.hurry = true;
            self.shared.bell.notify_one();
            self.shared.done.wait_for(&mut state, EVERY);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state.lock();
            state.stop = true;
            self.shared.bell.notify_one();
        }
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// What a round of the writer is to do.
struct Wanted {
    /// It is the last one.
    stop: bool,
    /// It looks at all entries, not only at those that are new.
    all: bool,
}

impl Shared {
    /// Waits for a ring, and a moment for others to follow it.
    fn wait(&self) -> Wanted {
        let mut state = self.state.lock();
        if !state.rung && !state.stop {
            self.bell.wait_for(&mut state, EVERY);
        }
        let start = Instant::now();
        while state.rung && !state.stop && !state.hurry {
            let left = GATHER.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            self.bell.wait_for(&mut state, left);
        }
        let all = state.hurry || !state.rung;
        state.rung = false;
        state.hurry = false;
        state.busy = true;
        Wanted { stop: state.stop, all }
    }

    fn finished(&self) {
        let mut state = self.state.lock();
        state.busy = false;
        state.rounds += 1;
        self.done.notify_all();
    }
}

/// Writes the oldest entries after `after`, and moves it; answers whether there may be more.
fn round(
    store: &Store,
    sink: &dyn Sink,
    zone: &TimeZone,
    after: &mut Option<Vec<u8>>,
) -> Result<bool, Fault> {
    let start = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let range = KeyRange { start, ..KeyRange::all() };
    let snapshot = store.snapshot();
    let mut lines = Vec::new();
    let mut keys = Vec::new();
    let mut durable = false;
    snapshot.try_scan::<Fault>(Family::Audit, &range, Direction::Forward, |key, row| {
        match unpack::<Entry>(Family::Audit, key, row) {
            Ok(entry) => {
                durable |= entry.level >= DURABLE_LEVEL;
                lines.push(entry.line(zone));
            }
            // An entry that cannot be read would stop all that follow.
            Err(error) => tracing::error!(%error, "a damaged audit entry is dropped"),
        }
        keys.push(key.to_vec());
        Ok(if keys.len() < ROUND { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    if keys.is_empty() {
        return Ok(false);
    }
    sink.append(&lines, durable).map_err(|error| Fault::from(StoreError::from(error)))?;
    let more = keys.len() == ROUND;
    let last = keys.last().cloned();
    let mut batch = store.batch(&snapshot);
    for key in keys {
        batch.delete(Family::Audit, key);
    }
    match store.commit(batch, Durability::Lazy) {
        Ok(_) => {
            *after = last;
            Ok(more)
        }
        Err(CommitError::Fault(fault)) => Err(fault),
        Err(CommitError::Conflict) => Err(Fault::internal("audit rows cannot conflict")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_opened_anew_after_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let sink = FileSink::new(path.clone());
        sink.append(&["1".into()], true).unwrap();
        std::fs::rename(&path, dir.path().join("audit.log.1")).unwrap();
        sink.append(&["2".into(), "3".into()], false).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n3\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    }
}
