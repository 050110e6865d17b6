//! Work on a store that nobody serves, done in a process of its own so that it can be killed: the
//! upkeep that a server does after weeks, copies of the whole, and a repair of damage that is made
//! first.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use kompira::store::kv::Family;
use kompira::store::{Depth, Direction, Durability, KeyRange, Options, Store};

use crate::server::Site;

/// Contents too large to lie in a row: each is a file of its own.
const BLOB_BYTES: usize = 100_000;
/// What is damaged or left over in one go.
const PIECES: u8 = 3;
/// The points at which only this work passes.
const POINTS: &[&str] =
    &["store.check.", "store.checkpoint.", "store.purge.", "store.blob.before_unlink"];
/// The points that no store of this format passes: there is no older one to bring up. The tests of
/// the store pass them with a step of their own.
pub(crate) const NOT_HERE: &str = "store.migrate.";

/// Whether `point` lies on the way of this work alone.
pub(crate) fn passes(point: &str) -> bool {
    POINTS.iter().any(|start| point.starts_with(start))
}

/// Runs the work in a process with `armed`; whether it was killed there.
pub(crate) fn run(site: &Site, armed: &str) -> Result<bool, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new(this)
        .arg("offline")
        .arg(&site.data)
        .env("KF_FAIL", armed)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    match status.code() {
        None => Ok(true),
        Some(0) => Ok(false),
        Some(code) => Err(format!("the work on the store ended with {code}")),
    }
}

/// The work itself: leftovers and old states are removed, lost index rows are made again.
pub(crate) fn work(data: &Path) -> Result<(), String> {
    let told = |fault: kompira_schema::error::Fault| format!("{fault:?}");
    let none = Duration::ZERO;
    let options =
        Options { history_keep: none, change_keep: none, blob_grace: none, ..Options::default() };
    let store = Store::open(data, &options).map_err(told)?;
    // A killed run may have left its damage.
    store.repair(Depth::Rows).map_err(told)?;
    for piece in 0..PIECES {
        store.blobs().put_bytes(&vec![b'a' + piece; BLOB_BYTES]).map_err(told)?;
    }
    // Older than the grace period, which counts in seconds.
    std::thread::sleep(Duration::from_millis(2100));
    store.maintain(&options, jiff::Timestamp::now()).map_err(told)?;
    for piece in 0..PIECES {
        copy(&store, &data.with_file_name(format!("copy{piece}")))?;
    }
    for _ in 0..PIECES {
        lose_index_row(&store)?;
        let (report, repaired) = store.repair(Depth::Rows).map_err(told)?;
        if report.findings.is_empty() || repaired == 0 {
            return Err("damage was not found".into());
        }
    }
    let left = store.check(Depth::Rows).map_err(told)?;
    if left.is_clean() { Ok(()) } else { Err(format!("{:?}", left.findings)) }
}

/// Copies the store. What a killed copy left is no store, or a whole one.
fn copy(store: &Store, to: &Path) -> Result<(), String> {
    let told = |fault: kompira_schema::error::Fault| format!("{fault:?}");
    let whole = |must_open: bool| -> Result<(), String> {
        match Store::open(to, &Options::default()) {
            Ok(copy) => {
                let report = copy.check(Depth::Rows).map_err(told)?;
                if report.is_clean() { Ok(()) } else { Err(format!("{:?}", report.findings)) }
            }
            Err(fault) if must_open => Err(told(fault)),
            Err(_) => Ok(()),
        }
    };
    if to.exists() {
        whole(false)?;
        std::fs::remove_dir_all(to).map_err(|error| error.to_string())?;
    }
    store.checkpoint(to).map_err(told)?;
    whole(true)?;
    std::fs::remove_dir_all(to).map_err(|error| error.to_string())
}

fn lose_index_row(store: &Store) -> Result<(), String> {
    let snapshot = store.snapshot();
    let mut first = None;
    snapshot
        .scan(Family::Index, &KeyRange::all(), Direction::Forward, &mut |key, _| {
            first = Some(key.to_vec());
            std::ops::ControlFlow::Break(())
        })
        .map_err(|fault| format!("{fault:?}"))?;
    let mut batch = store.batch(&snapshot);
    batch.delete(Family::Index, first.ok_or("there is no index")?);
    store.commit(batch, Durability::Synced).map_err(|error| format!("{error:?}"))?;
    Ok(())
}
