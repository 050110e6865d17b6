//! From the remote repository to the tree (rule: `tree/repository-pull`).

use std::collections::{BTreeSet, HashSet};
use std::fs;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};

use super::Task;
use super::changes::{self, Move};
use super::journal::Journal;
use super::work::{Exported, Work, unusable};
use crate::transfer::import::{self, Besides, Event};
use crate::transfer::linesep::LineSep;
use crate::tree::{Entry, Txn};

/// Objects of a container that are looked at for one that stays.
const PAGE_ENTRIES: usize = 1000;
/// Reasons of objects that a failed import tells.
const REASONS_MAX: usize = 5;

/// Clones and imports what is there. The clone takes its place when all went well.
pub(super) fn initialize(task: &Task<'_>, journal: &mut Journal) -> Result<(), Fault> {
    let (place, fresh) = (task.place(), task.git.home.join("new"));
    let cloned = Work::clone_to(task.git, fresh.clone(), task.directory)
        .and_then(|work| bring(task, &work, None, journal))
        .and_then(|()| {
            let moved = match fs::remove_dir_all(&place) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => fs::rename(&fresh, &place),
            };
            moved.map_err(|error| unusable(&place, &error))
        });
    if cloned.is_err() {
        let _ = fs::remove_dir_all(&fresh);
    }
    cloned
}

/// Gets what is new and imports it.
pub(super) fn pull(
    task: &Task<'_>,
    work: &Work<'_>,
    branch: Option<&str>,
    journal: &mut Journal,
) -> Result<(), Fault> {
    work.fetch()?;
    bring(task, work, branch, journal)
}

/// Imports the commit of a branch as it was fetched.
fn bring(
    task: &Task<'_>,
    work: &Work<'_>,
    branch: Option<&str>,
    journal: &mut Journal,
) -> Result<(), Fault> {
    let current = work.branch()?.unwrap_or_else(|| "main".to_owned());
    let wanted = branch.unwrap_or(&current);
    let (branch, commit) = match work.remote_branch(wanted)? {
        Some(commit) => (wanted.to_owned(), Some(commit)),
        None => {
            let all = work.remote_branches()?;
            // A remote repository whose own choice does not exist: the usual names, else the first.
            let usual =
                ["main", "master"].into_iter().find(|name| all.iter().any(|one| one == name));
            match (branch, usual.or_else(|| all.first().map(String::as_str))) {
                (Some(_), Some(_)) => {
                    let told = message!("git.no_branch", branch = wanted);
                    return Err(Fault::new(Kind::NotFound, told));
                }
                (None, Some(other)) if work.synced()?.is_none() => {
                    (other.to_owned(), work.remote_branch(other)?)
                }
                (None, Some(_)) => {
                    let told = message!("git.no_branch", branch = wanted);
                    return Err(Fault::new(Kind::NotFound, told));
                }
                (_, None) => (wanted.to_owned(), None),
            }
        }
    };
    let view = task.tree.view();
    let Some(commit) = commit else {
        let exported = work.export(&view, task.who, &task.path, None)?;
        journal.say("the remote repository is empty: nothing to import");
        return work.remember(&branch, None, &exported.tree);
    };
    let synced = work.synced()?;
    let now = work.export(&view, task.who, &task.path, synced.as_deref())?;
    let plan = Plan::new(task, work, synced.as_deref(), &commit, now)?;
    work.check_out(Some(&commit))?;
    plan.import(task, work, journal)?;
    // What the tree makes of it: later changes are told apart from this.
    let after = work.export(&task.tree.view(), task.who, &task.path, Some(&commit))?;
    work.remember(&branch, Some(&commit), &after.tree)?;
    journal.done(format!("{branch}: at {}", commit.get(..12).unwrap_or(&commit)));
    Ok(())
}

/// What is to become of which object.
struct Plan {
    /// Places whose files are imported; `None`: all.
    only: Option<HashSet<String>>,
    /// Places of links and submodules.
    odd: HashSet<String>,
    moves: Vec<Move>,
    /// Places that the remote repository has no more, what is below before its container.
    gone: Vec<String>,
    /// Places whose file has another suffix now, and no record that says the type.
    retyped: Vec<String>,
    /// Places whose file has another suffix now, and a record.
    resuffixed: Vec<(String, Option<String>)>,
    /// Places that changed in the tree since the last synchronisation.
    edited: HashSet<String>,
    /// Objects that came from the repository and did not change since: they may give way to one of
    /// another type. Nothing else may.
    replaced: HashSet<ObjectId>,
    now: Exported,
}

impl Plan {
    fn new(
        task: &Task<'_>,
        work: &Work<'_>,
        synced: Option<&str>,
        commit: &str,
        now: Exported,
    ) -> Result<Self, Fault> {
        let new = work.listing(commit)?;
        let odd = new.odd.iter().filter_map(|path| changes::place(path).own).collect();
        let (Some(synced), Some(exported)) = (synced, work.exported()?) else {
            return Ok(Self {
                only: None,
                odd,
                moves: Vec::new(),
                gone: Vec::new(),
                retyped: Vec::new(),
                resuffixed: Vec::new(),
                edited: HashSet::new(),
                replaced: HashSet::new(),
                now,
            });
        };
        let old = work.listing(synced)?;
        let places = |paths: &[String]| changes::places(paths.iter().map(String::as_str));
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (places(&old.paths), places(&new.paths));
        let words = ["diff-tree", "-r", "-z", "--name-status", "-M", "-l5000", synced, commit];
        let moves = changes::moves(&work.output(&words, b"")?, &before, &after);
        let edited = work.changed(&exported, &now.tree)?;
        let mut only = work.changed(synced, commit)?;
        only.extend(edited.iter().cloned());
        if task.update_config {
            only.extend(work.changed(&now.tree, commit)?);
        }
        // Longer places first: what is in a container goes before it.
        let gone = before.iter().rev().filter(|place| !after.contains(*place)).cloned().collect();
        let (old_files, new_files) = (changes::files(&old.paths), changes::files(&new.paths));
        let has_record: HashSet<String> = new
            .paths
            .iter()
            .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with('.')))
            .filter_map(|path| changes::place(path).own)
            .collect();
        let (mut retyped, mut resuffixed) = (Vec::new(), Vec::new());
        for (place, name) in &new_files {
            if old_files.get(place).is_none_or(|old| old == name) {
                continue;
            }
            match changes::suffix_of(name) {
                // One that changed here is not made anew: its type must still fit.
                Some(suffix) if has_record.contains(place) || edited.contains(place) => {
                    resuffixed.push((place.clone(), suffix));
                }
                None if edited.contains(place) => {}
                _ => retyped.push(place.clone()),
            }
        }
        let view = task.tree.view();
        let mut replaced = HashSet::new();
        let moved = moves.iter().map(|one| &one.from);
        for place in only.iter().chain(moved) {
            if !before.contains(place) || edited.contains(place) {
                continue;
            }
            if let Some(path) = now.objects.get(place) {
                replaced.extend(view.find_path(path)?);
            }
        }
        Ok(Self { only: Some(only), odd, moves, gone, retyped, resuffixed, edited, replaced, now })
    }

    /// Moves, imports and deletes in one commit.
    fn import(&self, task: &Task<'_>, work: &Work<'_>, journal: &mut Journal) -> Result<(), Fault> {
        let options = import::Options {
            origin: task.path.clone(),
            overwrite: true,
            update_config: task.update_config,
            linesep: LineSep::Lf,
            atomic: true,
            ..import::Options::default()
        };
        // A directory without a record has no file of its own: it says only that it is there.
        let only = |place: &str, bare: bool| {
            let wanted = self.only.as_ref().is_none_or(|only| only.contains(place));
            !self.odd.contains(place) && (bare || wanted)
        };
        let (mut moved, mut left) = (Vec::new(), Vec::new());
        let mut before = |txn: &mut Txn| self.before(txn, task, &mut moved);
        let mut after = |txn: &mut Txn| self.after(txn, &mut left);
        let replaces = |id: ObjectId| self.replaced.contains(&id);
        let besides = Besides {
            only: Some(&only),
            replaces: Some(&replaces),
            before: Some(&mut before),
            after: Some(&mut after),
        };
        let mut reasons = Vec::new();
        let within = format!("{}/", work.dir.display());
        journal.within(&within);
        let mut told = |event: Event| {
            if let Event::Error { at, fault } = &event
                && reasons.len() < REASONS_MAX
            {
                let mut message = fault.told().clone();
                for (_, text) in &mut message.args {
                    // Where the clone lies is nobody's business.
                    *text = text.replace(&within, "");
                }
                reasons.push(kompira_schema::error::Problem { at: at.clone(), message });
            }
            journal.tell(&event);
        };
        let keys = [task.tree.keys().as_ref()];
        let sources = [work.dir.clone()];
        let done = import::import_besides(
            task.tree, task.who, &sources, &keys, &options, besides, &mut told,
        );
        if let Err(fault) = done {
            let told = fault.problems().is_empty() && !reasons.is_empty();
            return Err(if told { fault.with_problems(reasons) } else { fault });
        }
        for line in moved.into_iter().chain(left) {
            journal.say(line);
        }
        for place in self.edited.iter().filter(|place| only(place, false)) {
            if let Some(path) = self.now.objects.get(place) {
                journal.say(format!("{path}: its change in the tree gave way to the repository"));
            }
        }
        Ok(())
    }

    /// Objects go where their files went; a plain file of another kind is made anew.
    fn before(&self, txn: &mut Txn, task: &Task<'_>, said: &mut Vec<String>) -> Result<(), Fault> {
        said.clear();
        let mut ids: Vec<Option<ObjectId>> = Vec::with_capacity(self.moves.len());
        for one in &self.moves {
            ids.push(match self.now.objects.get(&one.from) {
                Some(path) => txn.find_path(path)?,
                None => None,
            });
        }
        for (one, id) in self.moves.iter().zip(ids) {
            let (Some(id), Some(to)) = (id, path_of(&task.path, &one.to)) else { continue };
            if txn.find_path(&to)?.is_some() {
                continue;
            }
            let Some(parent) = to.parent() else { continue };
            // Otherwise it is deleted here and made anew there.
            let Some(parent) = txn.find_path(&parent)? else { continue };
            let name = Name::new(to.name().unwrap_or_default())?;
            let from = txn.path_of(id).map(|path| path.to_string()).unwrap_or_default();
            let suffix = one.suffix.as_ref().map(|suffix| suffix.as_deref());
            txn.move_to(id, parent, Some(&name), suffix)?;
            said.push(format!("{from} is now {to}"));
        }
        for (place, suffix) in &self.resuffixed {
            let Some(path) = self.now.objects.get(place) else { continue };
            if let Some(id) = txn.find_path(path)? {
                let parent = txn.head(id)?.parent;
                txn.move_to(id, parent, None, Some(suffix.as_deref()))?;
            }
        }
        for place in &self.retyped {
            let Some(path) = self.now.objects.get(place) else { continue };
            if let Some(id) = txn.find_path(path)?
                && self.replaced.contains(&id)
                && !txn.type_of(id)?.is_container()
            {
                txn.delete(id)?;
                said.push(format!("{path}: its file has another suffix, deleted and made anew"));
            }
        }
        Ok(())
    }

    /// What the remote repository deleted goes, unless somebody changed it here meanwhile.
    fn after(&self, txn: &mut Txn, said: &mut Vec<String>) -> Result<(), Fault> {
        said.clear();
        for place in &self.gone {
            let Some(path) = self.now.objects.get(place) else { continue };
            let Some(id) = txn.find_path(path)? else { continue };
            if self.edited.contains(place) {
                said.push(format!(
                    "{path}: deleted in the repository, kept: it changed in the tree"
                ));
                continue;
            }
            if txn.type_of(id)?.is_container() && has_objects(txn, id)? {
                said.push(format!("{path}: deleted in the repository, kept: it is not empty"));
                continue;
            }
            txn.delete(id)?;
            said.push(format!("{path}: deleted"));
        }
        Ok(())
    }
}

fn has_objects(txn: &Txn, dir: ObjectId) -> Result<bool, Fault> {
    let mut after: Option<String> = None;
    loop {
        let page = txn.entries(dir, after.as_deref(), PAGE_ENTRIES)?;
        if page.iter().any(Entry::is_object) {
            return Ok(true);
        }
        if page.len() < PAGE_ENTRIES {
            return Ok(false);
        }
        after = page.last().map(|entry| entry.name.clone());
    }
}

/// The path of a place; `None` for one with a short stem, which only a record can tell.
fn path_of(origin: &ObjectPath, place: &str) -> Option<ObjectPath> {
    place.split('/').try_fold(origin.clone(), |at, stem| at.join(&Name::new(stem).ok()?).ok())
}
