//! Open sessions: what is typed goes to a shell, what it says becomes messages
//! (rule: `language/sessions`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use kompira_schema::error::Fault;
use kompira_schema::value::Value;

use super::admission::Place;
use super::channels::{self, Channelled};
use super::flight;
use super::inner::{Inner, myself};
use super::row::Journal;
use super::settings::Cut;
use super::slot::{Flight, Slot};
use super::vm::request::Source;
use crate::remote::{Outcome, Output, Request, Running, Stream};
use crate::store::Durability;

/// After this long without more, an unfinished line is a message.
const PROMPT: Duration = Duration::from_millis(200);

/// Messages that wait before the shell has to.
const AHEAD: u64 = 10_000;

/// Pieces of output between the shell and the queue.
const PIECES: usize = 64;

/// Longest line; a longer one becomes several messages.
const LINE_MAX: usize = 1024 * 1024;

/// Open sessions by their queue.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<u64, Arc<Session>>>);

struct Session {
    running: Mutex<Option<Arc<dyn Running>>>,
    closed: AtomicBool,
}

impl Sessions {
    pub(super) fn is_open(&self, queue: u64) -> bool {
        self.0.lock().contains_key(&queue)
    }

    /// Types text.
    pub(super) fn write(&self, queue: u64, bytes: &[u8]) {
        let session = self.0.lock().get(&queue).cloned();
        if let Some(session) = session
            && let Some(running) = session.running.lock().as_ref()
        {
            running.write(bytes);
        }
    }

    /// Closes a session.
    pub(super) fn close(&self, queue: u64) {
        let Some(session) = self.0.lock().remove(&queue) else { return };
        session.closed.store(true, Ordering::SeqCst);
        if let Some(running) = session.running.lock().take() {
            running.cancel();
        }
    }

    /// Closes all: the engine stops.
    pub(super) fn close_all(&self) {
        let all: Vec<u64> = self.0.lock().keys().copied().collect();
        all.into_iter().for_each(|queue| self.close(queue));
    }
}

/// Opens a session whose beginning was committed; its end goes into the journal when it is open or
/// cannot be.
pub(super) fn open(
    inner: &Arc<Inner>,
    slot: &Arc<Slot>,
    sequence: u64,
    (request, queue): (Request, u64),
    place: Place,
) {
    let session = Arc::new(Session { running: Mutex::new(None), closed: AtomicBool::new(false) });
    inner.sessions.0.lock().insert(queue, Arc::clone(&session));
    let (pieces, said) = sync_channel(PIECES);
    let cut = inner.shows.read(&inner.tree).session.clone();
    let reader = Reader {
        inner: Arc::clone(inner),
        slot: Arc::clone(slot),
        session: Arc::clone(&session),
        queue,
        cut,
        line: String::new(),
    };
    let thread = std::thread::Builder::new()
        .name("engine-session".to_owned())
        .spawn(move || reader.read(&said));
    let start = Arc::new(Mutex::new(Some(Start {
        inner: Arc::clone(inner),
        slot: Arc::clone(slot),
        sequence,
        queue,
        _place: place,
    })));
    if let Err(error) = thread {
        inner.sessions.close(queue);
        fail(&start, format!("cannot start a thread: {error}"));
        return;
    }
    let output = Arc::new(Said { pieces: pieces.clone(), start: Arc::clone(&start) });
    let done = Box::new(move |outcome| {
        match outcome {
            Outcome::Lost { message } => fail(&start, message),
            Outcome::Exited { .. } => fail(&start, "the session ended at once".to_owned()),
            Outcome::Cancelled => drop(start.lock().take()),
        }
        let _ = pieces.send(Piece::End);
    });
    let running = inner.runner.start(request, output, done);
    if session.closed.load(Ordering::SeqCst) {
        running.cancel();
        return;
    }
    *session.running.lock() = Some(Arc::clone(&running));
    let mut state = slot.lock();
    if state.flight.is_none() && !inner.sessions.is_open(queue) {
        return;
    }
    state.flight = Some(Flight { sequence, running: Arc::new(Closes(Arc::clone(inner), queue)) });
}

/// Ends the opening of a session with its process.
struct Closes(Arc<Inner>, u64);

impl Running for Closes {
    fn cancel(&self) {
        self.0.sessions.close(self.1);
    }
}

/// A session that is being opened.
struct Start {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    sequence: u64,
    queue: u64,
    /// Held while it is being opened, and no longer: commands are allowed inside.
    _place: Place,
}

fn fail(start: &Mutex<Option<Start>>, message: String) {
    let Some(start) = start.lock().take() else { return };
    start.inner.sessions.close(start.queue);
    let (inner, slot, sequence) = (start.inner, start.slot, start.sequence);
    flight::write_end(&inner, &slot, sequence, Journal::ended(-1, "".into(), message.into()));
}

enum Piece {
    Text(String),
    End,
}

struct Said {
    pieces: SyncSender<Piece>,
    start: Arc<Mutex<Option<Start>>>,
}

impl Output for Said {
    fn text(&self, _: Stream, text: &str) {
        // Nobody reads any more when the session is closed.
        let _ = self.pieces.send(Piece::Text(text.to_owned()));
    }

    fn bytes(&self, stream: Stream, bytes: &[u8]) {
        self.text(stream, &String::from_utf8_lossy(bytes));
    }

    fn started(&self) {
        if let Some(start) = self.start.lock().take() {
            let line = Journal::Opened { queue: start.queue };
            let (inner, slot, sequence) = (start.inner, start.slot, start.sequence);
            flight::write_end(&inner, &slot, sequence, line);
        }
    }
}

/// Makes messages of what a shell says.
struct Reader {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    session: Arc<Session>,
    queue: u64,
    cut: Option<Cut>,
    line: String,
}

impl Reader {
    fn read(mut self, said: &Receiver<Piece>) {
        /// Between two looks at whether it was closed.
        const LOOK: Duration = Duration::from_secs(1);
        while !self.session.closed.load(Ordering::SeqCst) {
            let wait = if self.line.is_empty() { LOOK } else { PROMPT };
            match said.recv_timeout(wait) {
                Ok(Piece::Text(text)) => self.take(&text),
                Err(RecvTimeoutError::Timeout) if self.line.is_empty() => {}
                Err(RecvTimeoutError::Timeout) => {
                    let prompt = std::mem::take(&mut self.line);
                    self.put(vec![prompt]);
                }
                Ok(Piece::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let rest = std::mem::take(&mut self.line);
        if !rest.is_empty() {
            self.put(vec![rest]);
        }
        let queue = self.queue;
        let ended = self
            .inner
            .tree
            .write(&myself(), Durability::Lazy, |txn| channels::end(txn, queue, Channelled::Ended));
        self.told(ended.map(drop));
        self.inner.sessions.close(self.queue);
        self.wake();
    }

    fn take(&mut self, text: &str) {
        if let Some(shown) = self.cut.as_mut().map(|cut| cut.pass(text)).filter(|s| !s.is_empty()) {
            let shown = shown.replace('\r', "");
            self.inner.wake_slot(&self.slot, |state| state.output.push(&shown));
        }
        self.line.push_str(text);
        let mut lines = Vec::new();
        while let Some((line, rest)) = self.line.split_once('\n') {
            lines.push(line.trim_end_matches('\r').to_owned());
            self.line = rest.to_owned();
        }
        if self.line.len() > LINE_MAX {
            lines.push(std::mem::take(&mut self.line));
        }
        if !lines.is_empty() {
            self.put(lines);
        }
    }

    fn put(&self, lines: Vec<String>) {
        let queue = self.queue;
        let lines: Vec<Value> = lines.into_iter().map(Value::Str).collect();
        loop {
            let written = self.inner.tree.write(&myself(), Durability::Lazy, |txn| {
                let ahead = channels::open(txn, queue)?.map_or(0, |channel| channel.count);
                if ahead > AHEAD {
                    return Ok(false);
                }
                for line in &lines {
                    channels::push(txn, queue, line)?;
                }
                Ok(true)
            });
            let waits = written.as_ref().is_ok_and(|done| !done.value);
            self.told(written.map(drop));
            if !waits || self.session.closed.load(Ordering::SeqCst) {
                break;
            }
            // The shell waits until somebody reads.
            std::thread::sleep(PROMPT);
        }
        self.wake();
    }

    fn told(&self, written: Result<(), Fault>) {
        if let Err(fault) = written {
            tracing::warn!(process = self.slot.id.0, ?fault, "a session's output is lost");
        }
    }

    fn wake(&self) {
        for id in self.inner.mailbox.waiting(Source::Queue(self.queue)) {
            self.inner.wake(id);
        }
    }
}
