//! The console of a process: one text of which the latest 64 KiB are kept.

use std::time::Duration;

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

/// Follows one console.
pub struct ConsoleStream {
    _private: (),
}

impl ConsoleStream {
    /// Waits for the next text, at most `timeout`. Blocks the thread.
    pub fn next(&mut self, timeout: Duration) -> ConsoleEvent {
        let _ = timeout;
        unimplemented!()
    }
}
