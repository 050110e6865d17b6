//! The console of a process: one text of which the latest 64 KiB are kept
//! (rule: `operations/console`).
//!
//! It is stored in chunks keyed by their offset in all that was ever written, so that appending
//! costs one write and a follower needs only the offset it has read to.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;
use kompira_schema::limits::CONSOLE_MAX;

use super::slot::Slot;
use crate::store::{Direction, Family, KeyRange, Snapshot, Store, keys};

/// Kept console text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsoleText {
    /// Offset of the first kept byte in all that was ever written.
    pub from: u64,
    /// The text.
    pub text: String,
}

/// What a follower of a console gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleEvent {
    /// Text that begins at byte offset `from`; a gap before it was dropped by the limit.
    Text(ConsoleText),
    /// The process has ended and all text was given.
    Ended,
    /// Nothing within the given time.
    Idle,
}

/// Text on its way to the console: what is over the limit is dropped from the front at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    text: String,
    /// Bytes dropped before it.
    #[serde(default)]
    dropped: u64,
}

impl Tail {
    pub(super) fn push(&mut self, text: &str) {
        // More than the limit at once: the rest need not be copied.
        let skip = floor(text, text.len().saturating_sub(2 * CONSOLE_MAX));
        if skip > 0 {
            self.dropped += (self.text.len() + skip) as u64;
            self.text.clear();
        }
        self.text.push_str(text.get(skip..).unwrap_or_default());
        if self.text.len() > 4 * CONSOLE_MAX {
            let cut = floor(&self.text, self.text.len() - 2 * CONSOLE_MAX);
            self.dropped += cut as u64;
            self.text.drain(..cut);
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        if other.dropped > 0 {
            self.dropped += self.text.len() as u64 + other.dropped;
            self.text.clear();
        }
        self.push(&other.text);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.dropped == 0
    }

    /// Whether its last line is whole; `None` when there is none.
    pub(super) fn ends_line(&self) -> Option<bool> {
        (!self.text.is_empty()).then(|| self.text.ends_with('\n'))
    }

    /// How much longer it makes all that was ever written.
    pub(super) fn len(&self) -> u64 {
        self.dropped + self.text.len() as u64
    }
}

/// The last place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// What one append does to the store: chunks to put and chunks to delete, and the new span.
pub(super) struct Append {
    pub(super) puts: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) deletes: Vec<Vec<u8>>,
    pub(super) span: (u64, u64),
}

/// Bytes of one chunk. Reason: large enough to be few, small enough to be dropped one by one.
const CHUNK: usize = 16 * 1024;

/// Plans an append. `stored` are the offsets of present chunks, in order; it is asked only when
/// some may have to go.
pub(super) fn append(
    id: ProcessId,
    span: (u64, u64),
    tail: &Tail,
    stored: impl FnOnce() -> Result<Vec<u64>, Fault>,
) -> Result<Append, Fault> {
    let (mut first, end) = span;
    let mut at = end + tail.dropped;
    let mut puts = Vec::new();
    let mut rest = tail.text.as_str();
    while !rest.is_empty() {
        let cut = floor(rest, CHUNK);
        let (chunk, more) = rest.split_at(if cut == 0 { rest.len() } else { cut });
        puts.push((keys::numbers(id.0, at), chunk.as_bytes().to_vec()));
        at += chunk.len() as u64;
        rest = more;
    }
    // A chunk may go when the text after it is long enough by itself. Going only when there are
    // many spares a look at the store for each line that is printed.
    let mut deletes = Vec::new();
    let keep = CONSOLE_MAX as u64;
    if at - first > 2 * keep {
        let offsets = stored()?;
        let next = offsets.iter().skip(1).copied().chain([end + tail.dropped]);
        for (&offset, next) in offsets.iter().zip(next) {
            if at.saturating_sub(next) >= keep {
                deletes.push(keys::numbers(id.0, offset));
                first = next;
            }
        }
        first = first.max(if offsets.is_empty() { end + tail.dropped } else { first });
    }
    Ok(Append { puts, deletes, span: (first, at) })
}

/// Plans to take back what was written from byte `mark` on.
pub(super) fn cut(
    snapshot: &Snapshot,
    id: ProcessId,
    span: (u64, u64),
    mark: u64,
) -> Result<Append, Fault> {
    let (mut puts, mut deletes) = (Vec::new(), Vec::new());
    let prefix = keys::number(id.0);
    let range = KeyRange::prefix(&prefix);
    snapshot.scan(Family::Console, &range, Direction::Forward, &mut |key, chunk| {
        let offset = key.get(8..).and_then(keys::split_u64).map_or(0, |(offset, _)| offset);
        if offset >= mark {
            deletes.push(key.to_vec());
        } else if let Some(kept) = usize::try_from(mark - offset).ok().and_then(|n| chunk.get(..n))
            && kept.len() < chunk.len()
        {
            puts.push((key.to_vec(), kept.to_vec()));
        }
        ControlFlow::Continue(())
    })?;
    Ok(Append { puts, deletes, span: (span.0.min(mark), mark) })
}

/// Offsets of stored chunks.
pub(super) fn offsets(snapshot: &Snapshot, id: ProcessId) -> Result<Vec<u64>, Fault> {
    let mut offsets = Vec::new();
    let prefix = keys::number(id.0);
    snapshot.scan(
        Family::Console,
        &KeyRange::prefix(&prefix),
        Direction::Forward,
        &mut |key, _| {
            offsets.extend(key.get(8..).and_then(keys::split_u64).map(|(offset, _)| offset));
            ControlFlow::Continue(())
        },
    )?;
    Ok(offsets)
}

/// Reads the kept text, from byte offset `from` on if more is kept.
///
/// # Errors
/// Those of the store.
pub(super) fn read(snapshot: &Snapshot, id: ProcessId, from: u64) -> Result<ConsoleText, Fault> {
    let prefix = keys::number(id.0);
    let mut begin = None;
    let mut bytes = Vec::new();
    snapshot.scan(
        Family::Console,
        &KeyRange::prefix(&prefix),
        Direction::Forward,
        &mut |key, chunk| {
            if let Some((offset, _)) = key.get(8..).and_then(keys::split_u64) {
                // A gap was dropped by the limit: what stands before it is too old, too.
                let next = begin.map(|begin: u64| begin + bytes.len() as u64);
                if next != Some(offset) {
                    bytes.clear();
                    begin = Some(offset);
                }
                bytes.extend_from_slice(chunk);
            }
            ControlFlow::Continue(())
        },
    )?;
    let begin = begin.unwrap_or(0);
    let text = String::from_utf8_lossy(&bytes);
    let oldest = text.len().saturating_sub(CONSOLE_MAX);
    let oldest = if oldest == 0 { 0 } else { line_after(&text, oldest) };
    let wanted = usize::try_from(from.saturating_sub(begin)).unwrap_or(usize::MAX);
    let start = oldest.max(floor(&text, wanted.min(text.len())));
    let rest = text.get(start..).unwrap_or_default().to_owned();
    Ok(ConsoleText { from: begin + start as u64, text: rest })
}

/// Stored text with what is not stored yet, as [`read`] would give it.
pub(super) fn join(stored: String, more: [&Tail; 2]) -> String {
    let mut all = Tail { text: stored, dropped: 0 };
    for tail in more {
        all.append(tail.clone());
    }
    let oldest = all.text.len().saturating_sub(CONSOLE_MAX);
    let oldest = if oldest == 0 { 0 } else { line_after(&all.text, oldest) };
    all.text.split_off(oldest)
}

/// Where the first whole line at or after `at` begins; in one endless line, the next character.
fn line_after(text: &str, at: usize) -> usize {
    let before = at - 1;
    let tail = text.as_bytes().get(before..).unwrap_or_default();
    match tail.iter().position(|&byte| byte == b'\n') {
        Some(end) if before + end + 1 < text.len() => before + end + 1,
        _ => (at..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len()),
    }
}

/// Follows one console.
pub struct ConsoleStream {
    store: Store,
    id: ProcessId,
    from: u64,
    /// `None`: it had ended when the stream was made.
    slot: Option<Arc<Slot>>,
}

impl ConsoleStream {
    pub(super) fn new(store: Store, id: ProcessId, from: u64, slot: Option<Arc<Slot>>) -> Self {
        Self { store, id, from, slot }
    }

    /// Waits for the next text, at most `timeout`. Blocks the thread.
    ///
    /// # Errors
    /// Those of the store.
    pub fn next(&mut self, timeout: Duration) -> Result<ConsoleEvent, Fault> {
        let until = Instant::now().checked_add(timeout);
        loop {
            let ended = match &self.slot {
                Some(slot) => slot.await_console(self.from, until),
                None => Some(true),
            };
            let Some(ended) = ended else { return Ok(ConsoleEvent::Idle) };
            let text = read(&self.store.snapshot(), self.id, self.from)?;
            if !text.text.is_empty() {
                self.from = text.from + text.text.len() as u64;
                return Ok(ConsoleEvent::Text(text));
            }
            if ended {
                return Ok(ConsoleEvent::Ended);
            }
            // The end was dropped by the limit.
            self.from = self.from.max(text.from);
        }
    }
}

#[cfg(test)]
mod tests;
