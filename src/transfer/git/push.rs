//! From the tree to the remote repository (rule: `tree/repository-push`).

use kompira_schema::error::Fault;
use kompira_schema::message;

use super::Task;
use super::journal::Journal;
use super::work::Work;

/// Exports, commits and sends. The clone remembers nothing of it until the remote repository has
/// taken it.
pub(super) fn push(
    task: &Task<'_>,
    work: &Work<'_>,
    branch: Option<&str>,
    message: &str,
    journal: &mut Journal,
) -> Result<(), Fault> {
    let current = work.branch()?.unwrap_or_else(|| "main".to_owned());
    let branch = branch.unwrap_or(&current);
    let synced = work.synced()?;
    let mut there = None;
    if branch != current {
        work.fetch()?;
        there = work.remote_branch(branch)?;
    }
    // A new branch starts where the tree was synchronised last.
    let base =
        if branch == current { synced.clone() } else { there.clone().or_else(|| synced.clone()) };
    let view = task.tree.view();
    let exported = work.export(&view, task.who, &task.path, base.as_deref())?;
    if let Some((path, fault)) = exported.missing {
        // It would be taken for deleted.
        let told = message!("git.not_exported", path = path);
        return Err(Fault::new(fault.kind(), told).because(fault.told().key));
    }
    let before = match &base {
        Some(base) => work.tree_of(base)?,
        None => work.empty_tree()?,
    };
    let is_new = exported.tree != before;
    let commit = match base {
        None if !is_new => None,
        Some(base) if !is_new => Some(base),
        base => {
            let parent = base.iter().flat_map(|base| ["-p", base]);
            let words: Vec<&str> =
                ["commit-tree", exported.tree.as_str()].into_iter().chain(parent).collect();
            let text = match message.trim() {
                "" => format!("Export of {}", task.path),
                text => text.to_owned(),
            };
            let output = work.output(&words, format!("{text}\n").as_bytes())?;
            Some(String::from_utf8_lossy(&output).trim().to_owned())
        }
    };
    let known = if branch == current { synced } else { there };
    match &commit {
        Some(commit) if known.as_ref() != Some(commit) => {
            let url = task.git.remote.url.clone();
            let what = format!("{commit}:refs/heads/{branch}");
            let words = ["push", "--quiet", "--no-verify", "--recurse-submodules=no", "--"];
            work.run(&[&words[..], &[&url, &what]].concat())?;
            let short = commit.get(..12).unwrap_or(commit);
            journal.say(match is_new {
                true => format!("{branch}: committed and pushed {short}"),
                false => format!("{branch}: nothing to commit; pushed {short}"),
            });
        }
        _ => journal.say(format!("{branch}: nothing to commit")),
    }
    work.remember(branch, commit.as_deref(), &exported.tree)
}
