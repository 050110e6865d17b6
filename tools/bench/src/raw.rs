//! RocksDB with nothing in front of it: what the store is compared with.
//!
//! The settings are those of the store's disk engine (`src/store/rocks.rs`); the rows are the ones
//! that the store itself wrote, so bytes, keys, families and syncs are the same.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kompira::store::kv::{Family, KeyRange};
use kompira::store::{Direction, Options, Snapshot};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType,
    DBRecoveryMode, DBWithThreadMode, DataBlockIndexType, ReadOptions, SingleThreaded, WriteBatch,
    WriteOptions,
};

type Db = DBWithThreadMode<SingleThreaded>;

/// Bytes of a data block, as the store has it.
const BLOCK_BYTES: usize = 8 << 10;
/// Entries of an index between whole keys, as the store has it.
const INDEX_RESTART: i32 = 8;

/// One row that a commit of the store wrote.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    family: Family,
    key: Vec<u8>,
    value: Vec<u8>,
    /// The same key every time (the container's header); else each write has a key of its own.
    fixed: bool,
}

/// The rows in which two moments differ: what the commits between them wrote.
pub(crate) fn written(before: &Snapshot, after: &Snapshot) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for &family in Family::ALL {
        let mut failed = None;
        after
            .scan(family, &KeyRange::all(), Direction::Forward, &mut |key, value| {
                match before.get(family, key) {
                    Ok(Some(old)) if old == value => {}
                    Ok(old) => rows.push(Row {
                        family,
                        key: key.to_vec(),
                        value: value.to_vec(),
                        fixed: old.is_some(),
                    }),
                    Err(fault) => failed = Some(format!("{fault:?}")),
                }
                std::ops::ControlFlow::Continue(())
            })
            .map_err(|fault| format!("{fault:?}"))?;
        if let Some(failed) = failed {
            return Err(failed);
        }
    }
    Ok(rows)
}

/// Bytes of keys and values.
pub(crate) fn bytes(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.key.len() + row.value.len()).sum()
}

pub(crate) struct Raw {
    db: Db,
    next: AtomicU64,
}

impl Raw {
    /// Opens or makes a database with the settings of the store.
    pub(crate) fn open(dir: &Path) -> Result<Self, String> {
        let settings = Options::default();
        let mut db = rocksdb::Options::default();
        db.create_if_missing(true);
        db.create_missing_column_families(true);
        db.set_paranoid_checks(true);
        db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        db.set_track_and_verify_wals_in_manifest(true);
        db.set_max_open_files(settings.open_files_max);
        db.set_db_write_buffer_size(settings.write_buffer_bytes);
        db.set_max_total_wal_size(96 << 20);
        db.set_max_background_jobs(2);
        db.set_bytes_per_sync(1 << 20);
        let cache = Cache::new_hyper_clock_cache(settings.block_cache_bytes, BLOCK_BYTES);
        let families = Family::ALL.iter().map(|family| {
            let mut blocks = BlockBasedOptions::default();
            blocks.set_block_cache(&cache);
            blocks.set_block_size(BLOCK_BYTES);
            blocks.set_bloom_filter(10.0, false);
            blocks.set_index_type(BlockBasedIndexType::BinarySearch);
            blocks.set_index_block_restart_interval(INDEX_RESTART);
            blocks.set_cache_index_and_filter_blocks(false);
            blocks.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            let mut options = rocksdb::Options::default();
            options.set_block_based_table_factory(&blocks);
            let by_number = matches!(family, Family::Head | Family::Body);
            options.set_optimize_filters_for_hits(by_number);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_write_buffer_size(settings.write_buffer_bytes / 2);
            ColumnFamilyDescriptor::new(family.name(), options)
        });
        let mut default = rocksdb::Options::default();
        default.set_write_buffer_size(8 << 20);
        let default = ColumnFamilyDescriptor::new("default", default);
        let all = std::iter::once(default).chain(families);
        let db = Db::open_cf_descriptors(&db, dir, all).map_err(|error| error.to_string())?;
        Ok(Self { db, next: AtomicU64::new(1 << 40) })
    }

    fn family(&self, family: Family) -> Result<&rocksdb::ColumnFamily, String> {
        self.db.cf_handle(family.name()).ok_or_else(|| format!("no family {}", family.name()))
    }

    /// Writes rows like `rows` under new keys as one synced batch.
    pub(crate) fn put(&self, rows: &[Row]) -> Result<(), String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut batch = WriteBatch::default();
        for row in rows {
            let family = self.family(row.family)?;
            if row.fixed {
                batch.put_cf(family, &row.key, &row.value);
                continue;
            }
            let mut key = row.key.clone();
            let start = key.len().saturating_sub(number.len());
            for (place, byte) in key.iter_mut().skip(start).zip(number) {
                *place = byte;
            }
            batch.put_cf(family, key, &row.value);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(|error| error.to_string())
    }

    /// Whether there is a value.
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.db.get_cf(self.family(family)?, key).map_err(|error| error.to_string())
    }

    /// Every row that begins with `prefix`.
    pub(crate) fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), String> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(prefix));
        let mut rows = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        rows.seek_to_first();
        while let (Some(key), Some(value)) = (rows.key(), rows.value()) {
            visit(key, value);
            rows.next();
        }
        rows.status().map_err(|error| error.to_string())
    }

    /// The rows behind `after`, until `visit` has enough.
    pub(crate) fn scan_from(
        &self,
        family: Family,
        after: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), String> {
        let mut rows = self.db.raw_iterator_cf(self.family(family)?);
        rows.seek(after);
        if rows.key() == Some(after) {
            rows.next();
        }
        while let (Some(key), Some(value)) = (rows.key(), rows.value()) {
            if !visit(key, value) {
                break;
            }
            rows.next();
        }
        rows.status().map_err(|error| error.to_string())
    }

    /// How many of `keys` have a value.
    pub(crate) fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<usize, String> {
        let options = ReadOptions::default();
        let found = self.db.batched_multi_get_cf_opt(self.family(family)?, keys, true, &options);
        let mut count = 0;
        for value in found {
            count += usize::from(value.map_err(|error| error.to_string())?.is_some());
        }
        Ok(count)
    }
}
