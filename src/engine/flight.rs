//! A command in flight: its output goes to the console, its end into the journal.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use kompira_schema::error::Fault;

use super::admission::Place;
use super::inner::{Inner, caller, myself};
use super::jobs;
use super::row::{self, Journal};
use super::sessions;
use super::settings::Cut;
use super::slot::{Flight, Slot};
use super::turn::{self, value};
use crate::fail_point;
use crate::remote::{Outcome, Output, Request, Stream};
use crate::store::{Durability, Family};

/// How often the end of a command is tried to be written while the store refuses.
const TRIES: u32 = 50;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What is begun.
pub(super) enum Work {
    /// A command or script.
    Command(Box<Request>),
    /// A session and its queue.
    Session(Box<Request>, u64),
    /// A built-in job.
    Job(jobs::Work),
}

/// Starts what a commit began, as soon as that is durable.
pub(super) fn begin(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, work: Work, place: Place) {
    fail_point!("engine.command.before_sync");
    if inner.queue.is_empty() && !inner.commands.has_several() {
        // Nobody else could share the sync.
        let synced = inner.tree.sync();
        go(inner, slot, sequence, work, place, synced);
        return;
    }
    let (inner_too, slot) = (Arc::clone(inner), Arc::clone(slot));
    inner.outbox.push(Box::new(move |synced| {
        go(&inner_too, &slot, sequence, work, place, synced);
    }));
}

fn go(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    sequence: u64,
    work: Work,
    place: Place,
    synced: Result<(), Fault>,
) {
    if let Err(fault) = synced {
        tracing::error!(process = slot.id.0, ?fault, "a command does not begin: not durable");
        let error = "the store takes no writes".into();
        end(inner, slot, sequence, Journal::ended(-1, "".into(), error));
        return;
    }
    fail_point!("engine.command.before_start");
    match work {
        Work::Command(request) => command(inner, slot, sequence, *request, place),
        Work::Session(request, queue) => {
            sessions::open(inner, slot, sequence, (*request, queue), place);
        }
        Work::Job(work) => job(inner, slot, sequence, work, place),
    }
}

/// Carries a built-in job out on a thread of its own.
fn job(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, work: jobs::Work, place: Place) {
    let cancelled = Arc::new(jobs::Cancel::default());
    let who = caller(slot.lock().row.user, slot.id);
    let around = jobs::Around { inner: Arc::clone(inner), who, cancelled: Arc::clone(&cancelled) };
    {
        let mut state = slot.lock();
        if !state.waits_for(sequence) {
            // Its process was terminated before it began.
            return;
        }
        state.flight = Some(Flight { sequence, running: cancelled });
    }
    let slot_too = Arc::clone(slot);
    let thread = std::thread::Builder::new().name("engine-job".to_owned()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&around)));
        drop(place);
        if around.cancelled.is_asked() {
            return;
        }
        let line = match outcome {
            Ok(done) => Journal::ended(done.status, done.result, done.error),
            Err(_) => {
                tracing::error!(process = slot_too.id.0, "a built-in job panicked");
                Journal::ended(-1, "".into(), "internal error".into())
            }
        };
        end(&around.inner, &slot_too, sequence, line);
    });
    if let Err(error) = thread {
        let error = format!("cannot start a thread: {error}").into();
        end(inner, slot, sequence, Journal::ended(-1, "".into(), error));
    }
}

fn command(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, request: Request, place: Place) {
    if !slot.lock().waits_for(sequence) {
        // Its process was terminated before it began.
        return;
    }
    let show = inner.shows.read(&inner.tree);
    let output = Shown {
        inner: Arc::clone(inner),
        slot: Arc::clone(slot),
        out: Mutex::new(show.stdout.clone()),
        err: Mutex::new(show.stderr.clone()),
    };
    let (inner_too, slot_too) = (Arc::clone(inner), Arc::clone(slot));
    let done = Box::new(move |outcome| {
        // The place is free as soon as nothing runs in it.
        drop(place);
        ended(&inner_too, &slot_too, sequence, outcome);
    });
    let running = inner.runner.start(request, Arc::new(output), done);
    let late = {
        let mut state = slot.lock();
        let wanted = state.waits_for(sequence);
        let late = (!wanted).then(|| Arc::clone(&running));
        state.flight = wanted.then_some(Flight { sequence, running });
        late
    };
    // Its process was terminated meanwhile.
    if let Some(running) = late {
        running.cancel();
    }
}

fn ended(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, outcome: Outcome) {
    fail_point!("engine.command.after_end");
    let line = match outcome {
        Outcome::Exited { status, stdout, stderr } => {
            Journal::ended(status, value(stdout), value(stderr))
        }
        Outcome::Lost { message } => Journal::ended(-1, "".into(), message.into()),
        // Its process has ended, or the engine stops and says so at the next start.
        Outcome::Cancelled => return,
    };
    end(inner, slot, sequence, line);
}

/// Writes the end of a command, and gives its process a turn in the same commit if nobody else
/// works on it.
///
/// It survives a kill when this returns. What a loss of power may take back with it is all that
/// followed: the next command begins only when this is durable, too.
fn end(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, line: Journal) {
    let Some(line) = land(inner, slot, sequence, line) else { return };
    write_end(inner, slot, sequence, line);
}

thread_local! {
    /// This thread is giving a turn to a process whose command has ended. Reason: a runner may
    /// answer from within its start, and the next command, and so on.
    static LANDING: Cell<bool> = const { Cell::new(false) };
}

/// Gives the process of a command that has ended its turn, unless somebody works on it; then the
/// line is given back.
fn land(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, line: Journal) -> Option<Journal> {
    if LANDING.replace(true) {
        return Some(line);
    }
    // Who stops the engine waits for this.
    let landing = inner.landing.read_recursive();
    let left = if !inner.stopping() && slot.claim_landed(sequence) {
        turn::turn(inner, slot, Some((sequence, line)))
    } else {
        Some(line)
    };
    drop(landing);
    LANDING.set(false);
    left
}

/// Writes the end of a command by itself and wakes its process. Output that no turn has written
/// yet goes with it, so that a process that goes on from here shows it.
pub(super) fn write_end(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, mut line: Journal) {
    if let Journal::Ended { output, .. } = &mut line {
        *output = slot.take_output();
    }
    let key = row::journal_key(slot.id, sequence);
    for _ in 0..TRIES {
        let written = inner.tree.write(&myself(), Durability::Lazy, |txn| {
            // Its process may have ended meanwhile and taken its journal away.
            if txn.raw_get(Family::Journal, &key)?.is_some() {
                txn.raw_put(Family::Journal, &key, row::write(Family::Journal, &key, &line)?);
            }
            txn.raw_expect(Family::Journal, &key);
            inner.before_commit()
        });
        match written {
            Ok(_) if !inner.after_commit() => return,
            Ok(_) => break,
            // The next server finds it in flight.
            Err(_) if !inner.after_commit() => return,
            Err(fault) => {
                tracing::warn!(process = slot.id.0, ?fault, "a command's end cannot be written");
                std::thread::sleep(PAUSE);
            }
        }
    }
    fail_point!("engine.command.after_journal");
    inner.wake_slot(slot, |state| {
        if state.flight.as_ref().is_some_and(|flight| flight.sequence == sequence) {
            state.flight = None;
        }
    });
}

/// Output on its way to the console.
struct Shown {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    out: Mutex<Option<Cut>>,
    err: Mutex<Option<Cut>>,
}

impl Shown {
    fn show(&self, stream: Stream, text: &str) {
        let cut = match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        };
        let Some(text) = cut.lock().as_mut().map(|cut| cut.pass(text)) else { return };
        if !text.is_empty() {
            self.inner.wake_slot(&self.slot, |state| state.output.push(&text));
        }
    }
}

impl Output for Shown {
    fn text(&self, stream: Stream, text: &str) {
        self.show(stream, text);
    }

    fn bytes(&self, stream: Stream, bytes: &[u8]) {
        self.show(stream, &String::from_utf8_lossy(bytes));
    }
}
