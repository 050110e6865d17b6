//! A command in flight: its output goes to the console, its end into the journal.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use kompira_schema::error::Fault;
use kompira_schema::value::Value;

use super::admission::Place;
use super::inner::{Inner, myself};
use super::row::{self, Journal};
use super::settings::{Cut, Show};
use super::slot::{Flight, Slot};
use super::turn::value;
use crate::fail_point;
use crate::remote::{Outcome, Output, Request, Stream};
use crate::store::{Durability, Family};

/// How often the end of a command is tried to be written while the store refuses.
const TRIES: u32 = 50;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts a command whose beginning was committed, as soon as that is durable.
pub(super) fn begin(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    sequence: u64,
    request: Request,
    place: Place,
) {
    fail_point!("engine.command.before_sync");
    if inner.queue.is_empty() {
        // Nobody else could share the sync.
        let synced = inner.tree.sync();
        go(inner, slot, sequence, request, place, synced);
        return;
    }
    let (inner_too, slot) = (Arc::clone(inner), Arc::clone(slot));
    inner.outbox.push(Box::new(move |synced| {
        go(&inner_too, &slot, sequence, request, place, synced);
    }));
}

fn go(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    sequence: u64,
    request: Request,
    place: Place,
    synced: Result<(), Fault>,
) {
    if let Err(fault) = synced {
        tracing::error!(process = slot.id.0, ?fault, "a command does not begin: not durable");
        end(inner, slot, sequence, -1, "".into(), "the store takes no writes".into());
        return;
    }
    fail_point!("engine.command.before_start");
    let show = Show::read(&inner.tree.view());
    let output = Shown {
        inner: Arc::clone(inner),
        slot: Arc::clone(slot),
        out: Mutex::new(show.stdout),
        err: Mutex::new(show.stderr),
    };
    let (inner_too, slot_too) = (Arc::clone(inner), Arc::clone(slot));
    let done = Box::new(move |outcome| {
        // The place is free as soon as nothing runs in it.
        drop(place);
        land(&inner_too, &slot_too, sequence, outcome);
    });
    let running = inner.runner.start(request, Arc::new(output), done);
    let late = {
        let mut state = slot.lock();
        let wanted = state.row.status.is_active() && state.row.sequence == sequence;
        let late = (!wanted).then(|| Arc::clone(&running));
        state.flight = wanted.then_some(Flight { sequence, running });
        late
    };
    // Its process was terminated before it began.
    if let Some(running) = late {
        running.cancel();
    }
}

fn land(inner: &Arc<Inner>, slot: &Arc<Slot>, sequence: u64, outcome: Outcome) {
    fail_point!("engine.command.after_end");
    match outcome {
        Outcome::Exited { status, stdout, stderr } => {
            end(inner, slot, sequence, status, value(stdout), value(stderr));
        }
        Outcome::Lost { message } => {
            end(inner, slot, sequence, -1, "".into(), message.into());
        }
        // Its process has ended, or the engine stops and says so at the next start.
        Outcome::Cancelled => {}
    }
}

/// Writes the end of a command and wakes its process.
///
/// It survives a kill at once. What a loss of power may take back with it is all that followed:
/// the next command begins only when this is durable, too.
fn end(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    sequence: u64,
    status: i64,
    result: Value,
    error: Value,
) {
    let key = row::journal_key(slot.id, sequence);
    let line = Journal::Ended { status, result, error };
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
