//! What a pull makes of which object, and the one commit that does it (rule:
//! `tree/repository-pull`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kompira_schema::error::{Fault, Problem};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::path::{Name, ObjectPath};

use super::Task;
use super::changes::{self, Move};
use super::journal::Journal;
use super::work::{Exported, Work};
use crate::transfer::import::{self, Besides, Event};
use crate::transfer::linesep::LineSep;
use crate::tree::{Entry, Txn, View};

/// Objects of a container that are looked at for one that stays.
const PAGE_ENTRIES: usize = 1000;
/// Reasons of objects that a failed import tells.
const REASONS_MAX: usize = 5;

/// What is to become of which object.
pub(super) struct Plan {
    /// Places whose files are imported; `None`: all.
    only: Option<HashSet<String>>,
    /// Places of links and submodules.
    odd: HashSet<String>,
    moves: Vec<Move>,
    /// Places that the remote repository has no more, what is below before its container.
    gone: Vec<String>,
    /// Places whose file has another suffix now, and no record that says the type; the
    /// suffix, if the file tells one.
    retyped: Vec<(String, Option<Option<String>>)>,
    /// Places whose file has another suffix now, and a record.
    resuffixed: Vec<(String, Option<String>)>,
    /// Places that changed in the tree since the last synchronisation.
    edited: HashSet<String>,
    /// Places of all objects that the remote repository has.
    held: BTreeSet<String>,
    /// Objects that came from the repository and did not change since: they may give way to one of
    /// another type. Nothing else may.
    replaced: HashSet<ObjectId>,
    now: Exported,
    /// What it was made from.
    base: Base,
}

/// The state that a plan was made from: all objects that it touches, as they were.
struct Base {
    rev: Rev,
    /// By place; `None` where there was no object.
    objects: BTreeMap<String, (ObjectPath, Option<ObjectId>)>,
}

impl Base {
    /// Places whose objects were changed, made, replaced or deleted since. The revision of a
    /// container tells of its own fields alone.
    fn left(&self, view: &View) -> Result<HashSet<String>, Fault> {
        let mut left = HashSet::new();
        for (place, (path, known)) in &self.objects {
            let found = view.find_path(path)?;
            let same = found == *known
                && match found {
                    Some(id) => view.head(id)?.rev <= self.rev,
                    None => true,
                };
            if !same {
                left.insert(place.clone());
            }
        }
        Ok(left)
    }
}

/// What an import wrote.
pub(super) struct Imported {
    /// The revision of the plan.
    base: Rev,
    /// Its own commit; `None` when there was nothing to write.
    commit: Option<Rev>,
    /// Places that were there before, or were imported, and that the repository has.
    places: HashSet<String>,
}

impl Imported {
    /// Places that others changed after the plan was made, and that the import did not write. The
    /// tree as exported in `view` must not count as synchronised for these.
    pub(super) fn changed_meanwhile(
        &self,
        view: &View,
        origin: &ObjectPath,
        exported: &Exported,
    ) -> Result<HashSet<String>, Fault> {
        let mut changed = HashSet::new();
        for (place, path) in &exported.objects {
            let Some(id) = view.find_path(path)? else { continue };
            let rev = view.head(id)?.rev;
            if rev > self.base && Some(rev) != self.commit {
                changed.insert(place.clone());
            }
        }
        for place in self.places.iter().filter(|place| !exported.objects.contains_key(*place)) {
            let Some(path) = path_of(origin, place) else { continue };
            if view.find_path(&path)?.is_none() {
                changed.insert(place.clone());
            }
        }
        Ok(changed)
    }
}

impl Plan {
    /// `now` is what `view` exports.
    pub(super) fn new(
        task: &Task<'_>,
        work: &Work<'_>,
        view: &View,
        synced: Option<&str>,
        commit: &str,
        now: Exported,
    ) -> Result<Self, Fault> {
        let new = work.listing(commit)?;
        let places = |paths: &[String]| changes::places(paths.iter().map(String::as_str));
        let after = places(&new.paths);
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
                held: after,
                replaced: HashSet::new(),
                now,
                base: Base { rev: view.rev(), objects: BTreeMap::new() },
            });
        };
        let old = work.listing(synced)?;
        let before = places(&old.paths);
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
                // As `before` has it for what changes after this.
                Some(suffix) if has_record.contains(place) || edited.contains(place) => {
                    resuffixed.push((place.clone(), suffix));
                }
                None if edited.contains(place) => {}
                suffix => retyped.push((place.clone(), suffix)),
            }
        }
        let mut replaced = HashSet::new();
        let mut objects = BTreeMap::new();
        let moved = moves.iter().flat_map(|one: &Move| [&one.from, &one.to]);
        let gone: Vec<String> = gone;
        for place in only.iter().chain(moved).chain(&gone) {
            let path = now.objects.get(place).cloned().or_else(|| path_of(&task.path, place));
            let Some(path) = path else { continue };
            let id = view.find_path(&path)?;
            if before.contains(place) && !edited.contains(place) && now.objects.contains_key(place)
            {
                replaced.extend(id);
            }
            objects.insert(place.clone(), (path, id));
        }
        let base = Base { rev: view.rev(), objects };
        Ok(Self {
            only: Some(only),
            odd,
            moves,
            gone,
            retyped,
            resuffixed,
            edited,
            held: after,
            replaced,
            now,
            base,
        })
    }

    /// Moves, imports and deletes in one commit.
    pub(super) fn import(
        &self,
        task: &Task<'_>,
        work: &Work<'_>,
        journal: &mut Journal,
    ) -> Result<Imported, Fault> {
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
        // All that changed here since the last synchronisation, up to this very commit.
        let edited = RefCell::new(HashSet::new());
        // Objects that do not give way any more.
        let kept = RefCell::new(HashSet::new());
        let mut started = self.base.rev;
        let mut before = |txn: &mut Txn| {
            started = txn.rev();
            let late = self.base.left(txn)?;
            let ids = late.iter().filter_map(|place| self.base.objects.get(place)?.1);
            *kept.borrow_mut() = ids.collect();
            *edited.borrow_mut() = self.edited.union(&late).cloned().collect();
            let went = self.going(txn, &edited.borrow())?;
            self.before(txn, task, &edited.borrow(), &mut moved)?;
            // What changed under its old name is overwritten under its new one.
            for (to, id) in went {
                let Some(path) = path_of(&task.path, &to) else { continue };
                if txn.find_path(&path)? == id {
                    edited.borrow_mut().insert(to);
                }
            }
            Ok(())
        };
        let mut after = |txn: &mut Txn| self.after(txn, &edited.borrow(), &mut left);
        let replaces = |id: ObjectId| self.replaced.contains(&id) && !kept.borrow().contains(&id);
        let mut commit = None;
        let besides = Besides {
            only: Some(&only),
            replaces: Some(&replaces),
            before: Some(&mut before),
            after: Some(&mut after),
            commit: Some(&mut commit),
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
                reasons.push(Problem { at: at.clone(), message });
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
        let edited = edited.into_inner();
        let mut gave_way: Vec<&String> = edited
            .iter()
            .filter(|place| only(place, false) && self.held.contains(*place))
            .collect();
        gave_way.sort();
        for place in gave_way {
            if let Some((path, _)) = self.base.objects.get(place) {
                journal.say(format!("{path}: its change in the tree gave way to the repository"));
            }
        }
        // Without a change there is no commit, and the revision is that of somebody else.
        let commit = commit.filter(|&commit| commit > started);
        let known = |place: &&String| only(place, false) || self.now.objects.contains_key(*place);
        let places = self.held.iter().filter(known).cloned().collect();
        Ok(Imported { base: self.base.rev, commit, places })
    }

    /// Where the moves take what is at these places, and what it is; `None`: it was deleted here.
    fn going(
        &self,
        view: &View,
        places: &HashSet<String>,
    ) -> Result<Vec<(String, Option<ObjectId>)>, Fault> {
        let moves: HashMap<&str, &str> =
            self.moves.iter().map(|one| (one.from.as_str(), one.to.as_str())).collect();
        let mut going = Vec::new();
        for place in places {
            let Some((path, _)) = self.base.objects.get(place) else { continue };
            // By itself, or with the nearest container that goes.
            let ends = place.match_indices('/').map(|(end, _)| end).chain([place.len()]);
            let nearest = ends.rev().find_map(|end| {
                let (from, rest) = place.split_at_checked(end)?;
                Some(format!("{}{rest}", moves.get(from)?))
            });
            if let Some(to) = nearest {
                going.push((to, view.find_path(path)?));
            }
        }
        Ok(going)
    }

    /// Objects go where their files went; a plain file of another kind is made anew.
    fn before(
        &self,
        txn: &mut Txn,
        task: &Task<'_>,
        edited: &HashSet<String>,
        said: &mut Vec<String>,
    ) -> Result<(), Fault> {
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
        // One that changed here is not made anew: its type must still fit.
        let kept = self.retyped.iter().filter(|(place, _)| edited.contains(place));
        let kept = kept.filter_map(|(place, suffix)| Some((place, suffix.as_ref()?)));
        let resuffixed = self.resuffixed.iter().map(|(place, suffix)| (place, suffix));
        for (place, suffix) in resuffixed.chain(kept) {
            let Some(path) = self.now.objects.get(place) else { continue };
            if let Some(id) = txn.find_path(path)? {
                let parent = txn.head(id)?.parent;
                txn.move_to(id, parent, None, Some(suffix.as_deref()))?;
            }
        }
        for (place, _) in self.retyped.iter().filter(|(place, _)| !edited.contains(place)) {
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
    fn after(
        &self,
        txn: &mut Txn,
        edited: &HashSet<String>,
        said: &mut Vec<String>,
    ) -> Result<(), Fault> {
        said.clear();
        for place in &self.gone {
            let Some(path) = self.now.objects.get(place) else { continue };
            let Some(id) = txn.find_path(path)? else { continue };
            if edited.contains(place) {
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
