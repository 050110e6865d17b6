//! Repository objects: a directory of the tree in step with a git repository
//! (rule: `tree/repository`).
//!
//! Architecture invariant: git is a program that is run, never a library, and everything it brings
//! enters the tree as an import of the acting user. Which programs may be run, and how they are
//! ended, is the business of the [`Runner`] that is handed in.

mod call;
mod changes;
mod fetch;
mod journal;
mod plan;
mod pull;
mod push;
mod remote;
mod settings;
mod size;
mod work;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::limits;
use kompira_schema::message;
use kompira_schema::tree::Caller;
use parking_lot::Mutex;
use serde_json::{Map, Value as Json};

use self::call::Git;
pub use self::call::{Broken, Call, Ended, Runner};
pub(super) use self::changes::spelled;
use self::journal::Journal;
use self::settings::Settings;
use self::work::{Work, unusable};
use crate::audit::{Attempt, Class, Verb};
use crate::store::Durability;
use crate::tree::{Tree, View};

/// Field that holds what was done.
const LOG: &str = "log";
/// Most bytes that are kept of it. Source: ours; some hundred synchronisations.
const LOG_BYTES_MAX: usize = 64 << 10;
/// Most actions at once. Source: ours; each may hold a listing of 64 MiB and a thread.
const ACTIONS_MAX: usize = 4;
/// File among the clones with the key that the operator lets all of them use for ssh.
const KEY: &str = "id_key";

/// What is to be done with a Repository object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Clone, and import what is there.
    Initialize,
    /// Export, commit and send.
    Push {
        /// `None`: the one it is on.
        branch: Option<String>,
        /// Empty: one is made up.
        message: String,
    },
    /// Get and import.
    Pull {
        /// As with a push.
        branch: Option<String>,
    },
}

impl Action {
    /// Its name, as clients and jobflows call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Push { .. } => "push",
            Self::Pull { .. } => "pull",
        }
    }

    fn branch(&self) -> Option<&str> {
        match self {
            Self::Initialize => None,
            Self::Push { branch, .. } | Self::Pull { branch } => branch.as_deref(),
        }
    }
}

/// Synchronises Repository objects, one action at a time each.
pub struct Repositories {
    tree: Tree,
    /// The clones, one directory an object.
    dir: PathBuf,
    runner: Arc<dyn Runner>,
    busy: Mutex<HashSet<ObjectId>>,
    /// Most bytes of the disk that a clone takes.
    size_max: u64,
}

/// The right to work on one object.
struct Busy<'a> {
    all: &'a Mutex<HashSet<ObjectId>>,
    id: ObjectId,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl Repositories {
    /// Clones lie below `dir`, which is made when it is needed. What is left there of objects that
    /// are gone is removed.
    #[must_use]
    pub fn new(tree: Tree, dir: PathBuf, runner: Arc<dyn Runner>) -> Self {
        remove_left(&tree.view(), &dir);
        Self { tree, dir, runner, busy: Mutex::default(), size_max: limits::REPOSITORY_MAX }
    }

    /// The same, with another bound on the bytes of the disk that a clone takes.
    #[must_use]
    pub fn with_size_max(self, size_max: u64) -> Self {
        Self { size_max, ..self }
    }

    /// Carries out an action as `who`, until `stop` says to end; what it adds to the log of the
    /// object. `detail` goes to the audit entry.
    ///
    /// # Errors
    /// [`Kind::NoMethod`] for an object of another type, [`Kind::Denied`] without the right to
    /// write it, [`Kind::Busy`] while another action runs or before the first `initialize`,
    /// [`Kind::Outside`] with what git said, [`Kind::TooLarge`] for a clone beyond its bound, those of export and import. The tree is then as it
    /// was, but for the log, unless the failure says that the import is done.
    pub fn act(
        &self,
        who: &Caller,
        id: ObjectId,
        action: &Action,
        detail: Map<String, Json>,
        stop: &dyn Fn() -> bool,
    ) -> Result<String, Fault> {
        let mut journal = Journal::new(self.tree.clock().now(), action);
        let done = self.carry_out(who, id, action, stop, &mut journal);
        self.audit(who, id, action, detail, done.as_ref().err());
        match done {
            Ok(()) => Ok(journal.text()),
            Err(fault) => Err(fault),
        }
    }

    /// What can be told before anything is done.
    ///
    /// # Errors
    /// [`Kind::NoMethod`], [`Kind::Denied`].
    pub fn check(view: &View, who: &Caller, id: ObjectId) -> Result<(), Fault> {
        let object = view.get(who, id)?;
        if !object.stub.def.is_builtin("Repository") {
            let told = message!("git.no_repository", path = object.stub.path);
            return Err(Fault::new(Kind::NoMethod, told));
        }
        if !object.stub.access.write {
            let told = message!("tree.denied", right = "write", path = object.stub.path);
            return Err(Fault::new(Kind::Denied, told));
        }
        Ok(())
    }

    fn carry_out(
        &self,
        who: &Caller,
        id: ObjectId,
        action: &Action,
        stop: &dyn Fn() -> bool,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        Self::check(&self.tree.view(), who, id)?;
        {
            let mut busy = self.busy.lock();
            if busy.contains(&id) {
                return Err(Fault::new(Kind::Busy, message!("git.busy")));
            }
            if busy.len() >= ACTIONS_MAX {
                return Err(Fault::new(Kind::Busy, message!("git.crowded", max = ACTIONS_MAX)));
            }
            busy.insert(id);
        }
        let _busy = Busy { all: &self.busy, id };
        let done = self.synchronise(who, id, action, stop, journal);
        if let Err(fault) = &done {
            journal.failed(fault);
        }
        let written = self.tree.write(who, Durability::Synced, |txn| {
            txn.append_log(id, LOG, &journal.text(), LOG_BYTES_MAX)
        });
        if let Err(fault) = written {
            // The object may have been deleted by what was imported.
            tracing::warn!(repository = id.0, ?fault, "the log of a repository cannot be written");
        }
        done
    }

    fn synchronise(
        &self,
        who: &Caller,
        id: ObjectId,
        action: &Action,
        stop: &dyn Fn() -> bool,
        journal: &mut Journal,
    ) -> Result<(), Fault> {
        let view = self.tree.view();
        // What lies besides the clones is the server's too.
        let data = self.dir.parent().unwrap_or(&self.dir);
        let settings = Settings::read(&view, who, id, data)?;
        let home = self.dir.join(format!("id_{id}"));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&home)
            .map_err(|error| unusable(&home, &error))?;
        let Settings { remote, directory, path, author, update_config } = settings;
        let key = Some(self.dir.join(KEY)).filter(|key| key.is_file());
        let git = Git {
            runner: self.runner.as_ref(),
            stop,
            home,
            remote,
            author,
            key,
            size_max: self.size_max,
        };
        git.prepare()?;
        if let Some(branch) = action.branch() {
            check_branch(&git, branch)?;
        }
        let task = Task { tree: &self.tree, who, git: &git, directory, path, update_config };
        match action {
            Action::Initialize => pull::initialize(&task, journal),
            Action::Push { branch, message } => {
                push::push(&task, &task.work()?, branch.as_deref(), message, journal)
            }
            Action::Pull { branch } => pull::pull(&task, &task.work()?, branch.as_deref(), journal),
        }
    }

    fn audit(
        &self,
        who: &Caller,
        id: ObjectId,
        action: &Action,
        mut detail: Map<String, Json>,
        fault: Option<&Fault>,
    ) {
        let verb = match action {
            Action::Push { .. } => Verb::Export,
            Action::Initialize | Action::Pull { .. } => Verb::Import,
        };
        let format = if verb == Verb::Export { "export_format" } else { "import_format" };
        detail.insert(format.to_owned(), "dir".into());
        detail.insert("repository_action".to_owned(), action.name().into());
        if let Some(branch) = action.branch() {
            detail.insert("branch".to_owned(), branch.into());
        }
        let target = self.tree.view().audit_target(id);
        let attempt = Attempt { class: Class::Object, verb, target, detail };
        if let Err(fault) = self.tree.audit(who, attempt, fault) {
            tracing::error!(?fault, "what was done to a repository is not in the audit");
        }
    }
}

/// What an action works with.
struct Task<'a> {
    tree: &'a Tree,
    who: &'a Caller,
    git: &'a Git<'a>,
    /// The directory that is synchronised.
    directory: ObjectId,
    path: kompira_schema::path::ObjectPath,
    update_config: bool,
}

impl Task<'_> {
    fn place(&self) -> PathBuf {
        self.git.home.join("work")
    }

    /// The clone that `initialize` made.
    fn work(&self) -> Result<Work<'_>, Fault> {
        let place = self.place();
        if !place.join(".git").is_dir() {
            return Err(Fault::new(Kind::Busy, message!("git.not_initialized")));
        }
        let work = Work::new(self.git, place);
        if !work.fits(self.directory)? {
            return Err(Fault::new(Kind::Busy, message!("git.other_remote")));
        }
        Ok(work)
    }
}

fn check_branch(git: &Git<'_>, branch: &str) -> Result<(), Fault> {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    let plain = !branch.starts_with('-') && !branch.contains(odd) && branch.len() <= 200;
    let full = format!("refs/heads/{branch}");
    if plain && git.try_run(None, &["check-ref-format", &full])?.is_some() {
        return Ok(());
    }
    Err(Fault::new(Kind::BadRequest, message!("git.bad_branch", branch = branch)))
}

/// Removes clones of objects that are not there any more.
fn remove_left(view: &View, dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("id_")?.parse().ok());
        let Some(number) = number else { continue };
        if view.head(ObjectId(number)).is_ok_and(|head| head.is_object()) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, "the clone of a deleted repository cannot be removed");
        }
    }
}
