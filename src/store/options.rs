//! Settings of the store.

use std::time::Duration;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who opens it, for the lock: shown to whoever comes second.
    pub command: String,
    /// Memory for decoded blocks of the disk engine, bytes.
    pub block_cache_bytes: usize,
    /// Memory for writes not yet in files, all families together, bytes.
    pub write_buffer_bytes: usize,
    /// Files the disk engine may hold open.
    pub open_files_max: i32,
    /// Space that has to stay free on the disk: writes are refused before it is used.
    pub reserve_bytes: u64,
    /// How long a blob that nobody holds stays.
    pub blob_grace: Duration,
    /// How long earlier bodies and entries are kept.
    pub history_keep: Duration,
    /// How long rows of the change feed are kept.
    pub change_keep: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: "kompira".into(),
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 64 << 20,
            open_files_max: 512,
            reserve_bytes: 16 << 20,
            blob_grace: Duration::from_secs(60 * 60),
            history_keep: Duration::from_secs(30 * 24 * 60 * 60),
            change_keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}
