//! Where an export goes: a directory of this machine, a stream to a client, an archive.

use std::io::Read;

use kompira_schema::error::Fault;

/// One file of an export.
pub struct File<'a> {
    /// Path below the output directory, `/` between the parts.
    pub path: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of `content`.
    pub size: u64,
    /// What is in it.
    pub content: &'a mut dyn Read,
}

/// Takes what an export makes, containers before what is in them.
pub trait Sink {
    /// Makes a directory; one that exists is fine.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::Io`] and its like: the export goes on with the next object.
    fn dir(&mut self, path: &str) -> Result<(), Fault>;

    /// Writes a file.
    ///
    /// # Errors
    /// As [`Sink::dir`].
    fn file(&mut self, file: File<'_>) -> Result<(), Fault>;
}
