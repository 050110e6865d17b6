//! The disk engine: RocksDB, one column family per [`Family`].

mod pinned;

use std::path::Path;
use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor,
    DBCompressionType, DBRecoveryMode, DBWithThreadMode, DataBlockIndexType, ErrorKind,
    FlushOptions, LogLevel, SingleThreaded, WriteBatch, WriteOptions, checkpoint::Checkpoint,
    properties::CUR_SIZE_ALL_MEM_TABLES,
};

use super::kv::{Family, Kv, KvRead, StoreError, Write, WriteSet};
use super::lock::DataLock;
use super::options::Options;
use super::room::Room;
use pinned::Pinned;

/// Families are fixed when the database is opened, so handles need no lock.
type Db = DBWithThreadMode<SingleThreaded>;

/// Largest log of writes before the oldest family is written out: bounds the time of a reopen.
const WAL_BYTES_MAX: u64 = 96 << 20;
/// What the log takes from the disk in advance, about: much saves changes of the file's length, but
/// a small disk would be full from the start.
const LOG_AHEAD_BYTES: usize = 8 << 20;
/// Writing out and merging run on this many threads.
const BACKGROUND_THREADS: i32 = 2;
/// Ten bits a key: one needless read in a hundred misses.
const BLOOM_BITS: f64 = 10.0;
/// Data block: a point read of a large store reads and unpacks one, a page of a list one or two.
const BLOCK_BYTES: usize = 8 << 10;
/// Entries of an index between two whole keys: a search jumps less often to memory it has not seen,
/// and reads a little more that lies together.
const INDEX_RESTART: i32 = 8;
/// On a full disk tables in memory are written out from so many bytes on.
const FREE_LOG_FROM: u64 = 2 << 20;
/// RocksDB's own log: files kept and bytes of each.
const INFO_LOGS: usize = 3;
const INFO_LOG_BYTES: usize = 1 << 20;

/// The database and the lock beside it: the lock is given back after the database is closed.
struct Opened {
    db: Db,
    _lock: DataLock,
}

/// A store on disk.
pub(super) struct Rocks {
    opened: Arc<Opened>,
    room: Arc<Room>,
}

impl Rocks {
    /// Opens or makes the database in `dir`.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], [`Kind::Io`], [`Kind::Full`].
    pub(super) fn open(
        dir: &Path,
        lock: DataLock,
        room: Arc<Room>,
        options: &Options,
    ) -> Result<Self, Fault> {
        let cache = Cache::new_hyper_clock_cache(options.block_cache_bytes, BLOCK_BYTES);
        let families = Family::ALL.iter().map(|family| {
            ColumnFamilyDescriptor::new(family.name(), family_options(*family, &cache, options))
        });
        let default = ColumnFamilyDescriptor::new("default", default_family_options());
        let all = std::iter::once(default).chain(families);
        let db = Db::open_cf_descriptors(&database_options(options), dir, all).map_err(failed)?;
        Ok(Self { opened: Arc::new(Opened { db, _lock: lock }), room })
    }

    /// Bytes that lie in memory and the log alone.
    fn buffered(&self) -> u64 {
        let size = |family: &Family| {
            let handle = self.opened.db.cf_handle(family.name())?;
            self.opened.db.property_int_value_cf(handle, CUR_SIZE_ALL_MEM_TABLES).ok()?
        };
        Family::ALL.iter().filter_map(size).sum()
    }

    /// Begins to write out what lies in memory, if that is much and fits: the log it frees is room
    /// again.
    fn free_log(&self) {
        let buffered = self.buffered();
        if buffered < FREE_LOG_FROM || !self.room.fits(2 * buffered) {
            return;
        }
        let families: Vec<_> = Family::ALL
            .iter()
            .filter_map(|family| self.opened.db.cf_handle(family.name()))
            .collect();
        let mut options = FlushOptions::default();
        options.set_wait(false);
        if let Err(error) = self.opened.db.flush_cfs_opt(&families, &options) {
            tracing::warn!(%error, "the log of a full disk cannot be made smaller");
        }
    }
}

fn database_options(options: &Options) -> rocksdb::Options {
    let mut db = rocksdb::Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    db.set_paranoid_checks(true);
    // A kill may leave a torn last record; what is behind a hole is never shown.
    db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_max_open_files(options.open_files_max);
    db.set_db_write_buffer_size(options.write_buffer_bytes);
    db.set_max_total_wal_size(WAL_BYTES_MAX);
    db.set_max_background_jobs(BACKGROUND_THREADS);
    db.set_bytes_per_sync(1 << 20);
    db.set_keep_log_file_num(INFO_LOGS);
    db.set_max_log_file_size(INFO_LOG_BYTES);
    db.set_log_level(LogLevel::Warn);
    db.set_stats_dump_period_sec(0);
    db.set_stats_persist_period_sec(0);
    db.set_skip_stats_update_on_db_open(true);
    db
}

/// A read of a large store waits for memory, not for instructions, so it should touch little: the
/// cache has no lists that a read has to put in order, and filters and indexes (about a hundredth of
/// the data) lie beside it, one for each open file, and need no search in it.
fn family_options(of: Family, cache: &Cache, options: &Options) -> rocksdb::Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_bloom_filter(BLOOM_BITS, false);
    blocks.set_index_type(BlockBasedIndexType::BinarySearch);
    blocks.set_index_block_restart_interval(INDEX_RESTART);
    blocks.set_cache_index_and_filter_blocks(false);
    blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    let mut family = rocksdb::Options::default();
    family.set_block_based_table_factory(&blocks);
    // Whoever asks for an object by its number has it from a name: what is asked for is there.
    family.set_optimize_filters_for_hits(matches!(of, Family::Head | Family::Body));
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_write_buffer_size(options.write_buffer_bytes / 2);
    family
}

/// RocksDB insists on a family of the name `default`; it stays empty. But the size of its buffer
/// is what the log takes from the disk in advance.
fn default_family_options() -> rocksdb::Options {
    let mut family = rocksdb::Options::default();
    family.set_write_buffer_size(LOG_AHEAD_BYTES);
    family
}

/// Finds the handle of a family: every one was opened.
fn handle(db: &Db, family: Family) -> Result<&ColumnFamily, StoreError> {
    db.cf_handle(family.name())
        .ok_or_else(|| StoreError::corrupt(format!("no family {}", family.name())))
}

fn failed(error: rocksdb::Error) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::Corruption => Kind::Corrupt,
        // The text is `strerror`'s; RocksDB's own codes do not pass through its C interface.
        ErrorKind::IOError if error.as_ref().contains("No space left on device") => Kind::Full,
        _ => Kind::Io,
    };
    StoreError::new(kind, error)
}

impl Kv for Rocks {
    fn snapshot(&self) -> Arc<dyn KvRead> {
        Arc::new(Pinned::new(Arc::clone(&self.opened)))
    }

    fn write(&self, set: &WriteSet, durable: bool) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for write in &set.writes {
            match write {
                Write::Put(family, key, value) => {
                    batch.put_cf(handle(&self.opened.db, *family)?, key, value);
                }
                Write::Delete(family, key) => {
                    batch.delete_cf(handle(&self.opened.db, *family)?, key)
                }
                Write::DeleteRange(family, start, end) => {
                    batch.delete_range_cf(handle(&self.opened.db, *family)?, start, end);
                }
            }
        }
        let bytes = batch.size_in_bytes() as u64;
        if let Err(full) = self.room.check_beside(bytes, || self.buffered()) {
            self.free_log();
            return Err(full);
        }
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        self.opened.db.write_opt(batch, &options).map_err(failed)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.opened.db.flush_wal(true).map_err(failed)
    }

    fn checkpoint(&self, dir: &Path) -> Result<(), StoreError> {
        Checkpoint::new(&self.opened.db)
            .and_then(|point| point.create_checkpoint(dir))
            .map_err(failed)
    }
}
