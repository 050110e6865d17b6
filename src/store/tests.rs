//! Tests of the store as a whole, on both engines.

mod blob;
mod check;
mod commit;
mod crash;
mod engine;
mod history;
mod reopen;

use super::{Options, Store};

/// Small buffers, no reserve: a test disk may be small.
fn options() -> Options {
    Options { reserve_bytes: 0, write_buffer_bytes: 1 << 20, ..Options::default() }
}

/// Runs a test on a store in memory and on one on disk.
fn on_both(test: impl Fn(&Store)) {
    test(&Store::memory());
    let dir = tempfile::tempdir().unwrap();
    test(&Store::open(dir.path(), &options()).unwrap());
}
