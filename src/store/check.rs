//! `fsck`: compares every row with what it should be, and names what is not.
//!
//! It reads one snapshot, so it may run beside everything else. Rows that can be made again from
//! others (indexes, back references, holders of blobs, counters) are repaired on request, and
//! then nothing else may write.

mod content;
mod derived;
mod log;
mod names;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kompira_schema::error::{Fault, Kind, Message};
use kompira_schema::id::ObjectId;
use kompira_schema::message;

use super::commit::Durability;
use super::kv::{Direction, Family, KeyRange, StoreError, Write, WriteSet};
use super::snapshot::Snapshot;
use super::store::Store;
use crate::fail_point;

/// Most findings that are listed; more are counted.
pub const FINDINGS_MAX: usize = 10_000;
/// Repairs that are written at once.
const REPAIRS: usize = 1000;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every row, and that every blob file is there with its size.
    Rows,
    /// Also every byte of every blob file.
    Bytes,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, and of whom.
    pub message: Message,
    /// What makes it right, if it can be made again from other rows.
    repair: Option<Write>,
}

impl Finding {
    /// Whether [`Store::repair`] makes it right.
    #[must_use]
    pub fn repairable(&self) -> bool {
        self.repair.is_some()
    }
}

/// What was looked at and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    pub unlisted: u64,
    /// Objects and scratch nodes.
    pub nodes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Rows of all families.
    pub rows: u64,
}

impl Report {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.unlisted == 0
    }

    fn add(&mut self, message: Message, repair: Option<Write>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { message, repair });
        } else {
            self.unlisted += 1;
        }
    }
}

/// One run.
struct Check<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    depth: Depth,
    report: Report,
    /// Nodes from which the root is reached.
    rooted: HashSet<ObjectId>,
    /// Objects by container, counted from the entries; what agreed with its row is taken out.
    held: HashMap<ObjectId, u64>,
}

impl Store {
    /// Looks at everything. Damage is a finding, not an error.
    ///
    /// # Errors
    /// Only what stops the reading: `Io`.
    pub fn check(&self, depth: Depth) -> Result<Report, Fault> {
        let mut check = Check {
            store: self,
            snapshot: self.snapshot(),
            depth,
            report: Report::default(),
            rooted: HashSet::new(),
            held: HashMap::new(),
        };
        check.names()?;
        check.content()?;
        check.derived()?;
        check.log()?;
        check.others()?;
        Ok(check.report)
    }

    /// Looks at everything and makes right what can be; answers what was found and how much of it
    /// is right now. Nothing else may write meanwhile.
    ///
    /// # Errors
    /// As [`Store::check`], and those of a write.
    pub fn repair(&self, depth: Depth) -> Result<(Report, u64), Fault> {
        let report = self.check(depth)?;
        let repairs: Vec<Write> =
            report.findings.iter().filter_map(|finding| finding.repair.clone()).collect();
        for chunk in repairs.chunks(REPAIRS) {
            let set = WriteSet { writes: chunk.to_vec() };
            fail_point!("store.check.before_repair");
            self.apply(Durability::Synced, move |_| Ok(set))?;
        }
        Ok((report, repairs.len() as u64))
    }
}

impl Check<'_> {
    fn find(&mut self, message: Message) {
        self.report.add(message, None);
    }

    fn find_repairable(&mut self, message: Message, repair: Write) {
        self.report.add(message, Some(repair));
    }

    /// A row that cannot be read is a finding; a failure to read at all is an error.
    fn unreadable(&mut self, family: Family, key: &[u8], error: &StoreError) {
        self.find(message!(
            "check.unreadable",
            family = family.name(),
            key = key.escape_ascii(),
            why = error.what
        ));
    }

    /// Shows every row of `family` to `visit`. A damaged block ends the family with a finding.
    fn each(
        &mut self,
        family: Family,
        range: &KeyRange,
        mut visit: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let snapshot = self.snapshot.clone();
        let mut failed = None;
        let scanned = snapshot.kv().scan(family, range, Direction::Forward, &mut |key, value| {
            self.report.rows += 1;
            match visit(self, key, value) {
                Ok(()) => ControlFlow::Continue(()),
                Err(fault) if fault.kind() == Kind::Corrupt => {
                    let why = fault.inner().unwrap_or_default();
                    self.unreadable(family, key, &StoreError::corrupt(why));
                    ControlFlow::Continue(())
                }
                Err(fault) => {
                    failed = Some(fault);
                    ControlFlow::Break(())
                }
            }
        });
        if let Err(error) = scanned {
            self.unreadable(family, b"", &error);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Families that have no invariant here are still read to their end: the engine compares its
    /// checksums.
    fn others(&mut self) -> Result<(), Fault> {
        for family in [
            Family::Queue,
            Family::Process,
            Family::Frame,
            Family::Console,
            Family::Journal,
            Family::Timer,
            Family::Effect,
            Family::Audit,
            Family::Auth,
            Family::Meta,
        ] {
            self.each(family, &KeyRange::all(), |_, _, _| Ok(()))?;
        }
        Ok(())
    }
}
