//! Trees of files and archives, in and out.
//!
//! Architecture invariant: the bytes are those of `schema::layout`, as on the mount; nothing here
//! has a layout of its own.

pub mod archive;
pub mod backup;
pub mod directory;
pub mod export;
pub mod git;
pub mod import;
pub mod linesep;
pub mod sink;

#[cfg(test)]
mod tests;
