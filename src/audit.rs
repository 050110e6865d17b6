//! The audit log: what is recorded, at which level, and the file it goes to.
//!
//! An entry is part of the commit it tells of; a writer of its own brings it to the file after.

mod entry;
mod level;
mod writer;

pub use entry::{Attempt, Class, Entry, Exec, LINE_BYTES_MAX, Permit, Target, Verb, hint};
pub use level::{LevelSource, Levels};
pub use writer::{FileSink, Sink, Writer};
