//! From the remote repository to the tree (rule: `tree/repository-pull`).

use std::fs;

use kompira_schema::catalogue::Lang;
use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::message;

use super::Task;
use super::journal::Journal;
use super::plan::{Imported, Plan};
use super::work::{Work, unusable};

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
            moved.map_err(|error| not_noted(unusable(&place, &error)))
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
    let plan = Plan::new(task, work, &view, synced.as_deref(), &commit, now)?;
    work.check_out(Some(&commit))?;
    let imported = plan.import(task, work, journal)?;
    // From here on the tree has changed. What follows at once says so in the clone.
    work.tree_of(&commit)
        .and_then(|files| work.remember(&branch, Some(&commit), &files))
        .map_err(not_noted)?;
    journal.done(format!("{branch}: at {}", commit.get(..12).unwrap_or(&commit)));
    // The files of the commit stand for what the tree makes of them: objects whose files it writes
    // otherwise would count as changed in the tree.
    if let Err(fault) = note(task, work, &branch, &commit, &imported) {
        let told = fault.text(Lang::En);
        journal.warn(format!("what the tree makes of the files could not be noted: {told}"));
    }
    Ok(())
}

/// Notes what the tree makes of the files of a commit: later changes are told apart from this.
fn note(
    task: &Task<'_>,
    work: &Work<'_>,
    branch: &str,
    commit: &str,
    imported: &Imported,
) -> Result<(), Fault> {
    let view = task.tree.view();
    let after = work.export(&view, task.who, &task.path, Some(commit))?;
    let changed = imported.changed_meanwhile(&view, &task.path, &after)?;
    let tree = work.tree_as_of(commit, &changed, after.tree)?;
    work.remember(branch, Some(commit), &tree)
}

/// A failure after the import: the tree is not as it was.
fn not_noted(fault: Fault) -> Fault {
    let reason = Problem { at: String::new(), message: fault.told().clone() };
    Fault::new(fault.kind(), message!("git.not_noted")).with_problems(vec![reason])
}
