//! Objects as files, without a kernel: every way to save as a script of calls.

pub(crate) mod driver;
mod doors;
mod names;
mod saves;
mod sidecars;
