//! Reads trees made by `export_dir`, by hand or by git into the tree (rule: `files/import-dir`).
//!
//! Objects first, types leading, fields afterwards: references need their targets. Each object is
//! committed by itself; `atomic` and dry runs do everything in one commit, which the latter drops.

mod apply;
mod plan;
mod resolve;
mod scan;

use std::collections::HashSet;
use std::path::PathBuf;

use kompira_schema::error::{Fault, Kind, Message};
use kompira_schema::id::{ObjectId, Rev, UserId};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;
use serde::{Deserialize, Serialize};

use self::apply::Import;
use self::scan::Note;
use super::linesep::LineSep;
use crate::secrets::Keys;
use crate::store::Durability;
use crate::tree::{Tree, Txn};

/// How to import.
#[derive(Debug, Clone)]
pub struct Options {
    /// The source directory becomes this container, which must exist.
    pub origin: ObjectPath,
    /// Objects that exist are updated; otherwise they are skipped.
    pub overwrite: bool,
    /// The recorded owner counts.
    pub owner_mode: bool,
    /// Owner of imported objects (the fallback, with `owner_mode`).
    pub user: Option<UserId>,
    /// The data of Config objects that exist is replaced; needs `overwrite`.
    pub update_config: bool,
    /// `updated` becomes now.
    pub now_updated: bool,
    /// Line ends of representative text as they are stored.
    pub linesep: LineSep,
    /// All or nothing.
    pub atomic: bool,
    /// Plan and check, write nothing.
    pub dry_run: bool,
    /// Factory objects may be overwritten: a restore.
    pub restore: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: ObjectPath::root(),
            overwrite: false,
            owner_mode: false,
            user: None,
            update_config: false,
            now_updated: false,
            linesep: LineSep::Crlf,
            atomic: false,
            dry_run: false,
            restore: false,
        }
    }
}

/// What an import did; names and order are an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// New objects, created parents among them.
    pub created: u64,
    /// Objects that existed and were written.
    pub updated: u64,
    /// Objects that were left alone.
    pub skipped: u64,
    /// Objects that could not be imported.
    pub error: u64,
    /// Messages.
    pub warning: u64,
}

/// A line of the import's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// One of the documented lines, in English as documented.
    Line(String),
    /// Something was lost or odd.
    Warning {
        /// Which object or file.
        at: String,
        /// What.
        told: Message,
    },
    /// An object could not be imported.
    Error {
        /// Which object or file.
        at: String,
        /// Why.
        fault: Fault,
    },
}

/// What an import in one commit does besides.
#[derive(Default)]
pub struct Besides<'a> {
    /// Which objects are imported, by their stems joined by `/` and whether they are directories
    /// without a record; the others stay as they are.
    pub only: Option<&'a Chosen<'a>>,
    /// Which objects of another type give way to what is imported; containers never do.
    pub replaces: Option<&'a dyn Fn(ObjectId) -> bool>,
    /// Done before the objects, in their commit.
    pub before: Option<&'a mut InCommit<'a>>,
    /// Done after them.
    pub after: Option<&'a mut InCommit<'a>>,
    /// Gets the revision of the commit.
    pub commit: Option<&'a mut Option<Rev>>,
}

/// Whether an object is imported.
pub type Chosen<'a> = dyn Fn(&str, bool) -> bool + 'a;

/// A part of a commit. A conflict runs it again.
pub type InCommit<'a> = dyn FnMut(&mut Txn) -> Result<(), Fault> + 'a;

/// Imports directories as one import.
///
/// # Errors
/// [`Kind::NotFound`] when a source or the origin is missing, and then nothing was done; with
/// `atomic` the first failure of an object. Otherwise failures of single objects are counted.
pub fn import_dir(
    tree: &Tree,
    who: &Caller,
    sources: &[PathBuf],
    keys: &[&Keys],
    options: &Options,
    told: &mut dyn FnMut(Event),
) -> Result<Counters, Fault> {
    import_besides(tree, who, sources, keys, options, Besides::default(), told)
}

/// The same, with more in the one commit of an atomic import.
///
/// # Errors
/// As [`import_dir`], and those of what is done besides.
pub fn import_besides(
    tree: &Tree,
    who: &Caller,
    sources: &[PathBuf],
    keys: &[&Keys],
    options: &Options,
    mut besides: Besides<'_>,
    told: &mut dyn FnMut(Event),
) -> Result<Counters, Fault> {
    told(Event::Line("import data: start...".to_owned()));
    if options.update_config && !options.overwrite {
        return Err(Fault::new(Kind::BadRequest, message!("import.needs_overwrite")));
    }
    let view = tree.view();
    view.resolve(&options.origin)?;
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for source in sources {
        let scan = scan::scan(source)?;
        found.extend(scan.found);
        notes.extend(scan.notes);
    }
    let imported: HashSet<String> = found.iter().map(|one| plan::relative(&one.path)).collect();
    if let Some(only) = besides.only {
        found.retain(|one| only(&one.place, one.dir && one.record.is_none()));
    }
    let counters = Counters::default();
    let mut import = Import {
        tree,
        who,
        keys,
        options,
        imported: &imported,
        replaces: besides.replaces,
        counters,
        told,
        created: HashSet::new(),
    };
    for note in notes {
        match note {
            Note::Warning(fault) => import.warn("", fault.told().clone()),
            Note::Error(fault) => import.fail("", fault),
        }
    }
    if options.atomic || options.dry_run {
        import.all_in_one(&found, &mut besides)?;
    } else {
        import.one_by_one(&found)?;
        tree.sync()?;
    }
    let counters = import.counters;
    let Counters { created, updated, skipped, error, warning } = counters;
    told(Event::Line(format!(
        "import data: finished (created={created}, updated={updated}, skipped={skipped}, \
         error={error}, warning={warning})"
    )));
    Ok(counters)
}

impl Import<'_> {
    fn one_by_one(&mut self, found: &[scan::Found]) -> Result<(), Fault> {
        let (tree, who) = (self.tree, self.who);
        self.run(found, &mut |work| {
            tree.write(who, Durability::Lazy, |txn| work(txn)).map(|done| done.value)
        })
    }

    fn all_in_one(
        &mut self,
        found: &[scan::Found],
        besides: &mut Besides<'_>,
    ) -> Result<(), Fault> {
        let (tree, who) = (self.tree, self.who);
        let start = self.counters;
        let (atomic, dry_run) = (self.options.atomic, self.options.dry_run);
        // Only this fault ends a dry run that went well.
        let dropped = || Fault::new(Kind::Busy, message!("import.dry_run"));
        let done = tree.write(who, Durability::Synced, |txn| {
            self.counters = start;
            self.created.clear();
            if let Some(before) = &mut besides.before {
                before(txn)?;
            }
            self.run(found, &mut |work| work(txn))?;
            if atomic && self.counters.error > 0 {
                let told = message!("import.atomic_failed", count = self.counters.error);
                return Err(Fault::new(Kind::Invalid, told));
            }
            if let Some(after) = &mut besides.after {
                after(txn)?;
            }
            if dry_run { Err(dropped()) } else { Ok(()) }
        });
        match done {
            Err(fault) if dry_run && fault == dropped() => Ok(()),
            Err(fault) => Err(fault),
            Ok(done) => {
                if let Some(commit) = &mut besides.commit {
                    **commit = Some(done.rev);
                }
                Ok(())
            }
        }
    }
}

/// Runs one step of the import on a transaction: its own, or the one for all.
type Step<'a> = dyn FnMut(&mut dyn FnMut(&mut Txn) -> Result<(), Fault>) -> Result<(), Fault> + 'a;
