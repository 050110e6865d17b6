//! The work directory of one Repository object: a clone, what was last synchronised, and exports
//! of the tree into it (rule: `tree/repository`).

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names::{self, FileName};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Caller;

use super::call::Git;
use super::changes::{self, Listing};
use super::remote::without_account;
use super::size;
use crate::files::shown;
use crate::transfer::directory::Directory;
use crate::transfer::export::{self, Event, export_dir};
use crate::transfer::linesep::LineSep;
use crate::transfer::sink::{File, Sink};
use crate::tree::View;

/// The commit that the tree was last synchronised with.
const SYNCED: &str = "refs/kompira/synced";
/// The tree of files that an export gave right after that.
const EXPORTED: &str = "refs/kompira/exported";
/// Keeps an empty directory in a repository; a reserved name, so that no import takes it.
const KEEP: &str = ".gitkeep";
/// Setting that remembers which directory the clone belongs to.
const DIRECTORY: &str = "kompira.directory";
/// Locks that a killed git leaves. Nobody else works here while an action runs.
const LOCKS: [&str; 5] =
    ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"];

/// A clone.
pub(super) struct Work<'a> {
    pub(super) git: &'a Git<'a>,
    /// Its files.
    pub(super) dir: PathBuf,
}

/// An export of the tree as git sees it.
pub(super) struct Exported {
    /// Number of git's tree.
    pub(super) tree: String,
    /// The object of each place.
    pub(super) objects: HashMap<String, ObjectPath>,
    /// The first object that could not be exported, and why.
    pub(super) missing: Option<(String, Fault)>,
}

impl<'a> Work<'a> {
    pub(super) fn new(git: &'a Git<'a>, dir: PathBuf) -> Self {
        Self { git, dir }
    }

    /// Clones the remote repository, without its files.
    ///
    /// # Errors
    /// [`Kind::Outside`] with what git said.
    pub(super) fn clone_to(
        git: &'a Git<'a>,
        dir: PathBuf,
        directory: ObjectId,
    ) -> Result<Self, Fault> {
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(|error| unusable(&dir, &error))?;
        }
        let place = dir.to_string_lossy();
        let words =
            ["clone", "--quiet", "--no-checkout", "--no-tags", "--no-recurse-submodules", "--"];
        git.run(Some(&dir), &[&words[..], &[&git.remote.url, &place]].concat(), b"")?;
        git.check_size(&dir)?;
        let work = Self::new(git, dir);
        work.run(&["config", "--local", DIRECTORY, &directory.to_string()])?;
        Ok(work)
    }

    /// Whether it was cloned for this remote repository and this directory.
    pub(super) fn fits(&self, directory: ObjectId) -> Result<bool, Fault> {
        let own = self.dir.join(".git");
        let unlocked = LOCKS.iter().try_for_each(|lock| remove(&own.join(lock)));
        unlocked
            .and_then(|()| remove_locks(&own.join("refs")))
            .and_then(|()| size::remove_unfinished(&own.join("objects")))
            .map_err(|error| unusable(&self.dir, &error))?;
        self.take_back()?;
        let setting = |name: &str| -> Result<Option<String>, Fault> {
            self.ask(&["config", "--local", "--get", name])
        };
        let url = setting("remote.origin.url")?.unwrap_or_default();
        let wanted = &self.git.remote.url;
        let fits = without_account(&url) == without_account(wanted)
            && setting(DIRECTORY)?.as_deref() == Some(&directory.to_string());
        if fits && url != *wanted {
            self.run(&["config", "--local", "remote.origin.url", wanted])?;
        }
        Ok(fits)
    }

    pub(super) fn words<'w>(&self, place: &'w str, words: &[&'w str]) -> Vec<&'w str> {
        [&["-C", place][..], words].concat()
    }

    /// Runs git here; its output without the last line end.
    pub(super) fn run(&self, words: &[&str]) -> Result<String, Fault> {
        let output = self.output(words, b"")?;
        Ok(String::from_utf8_lossy(&output).trim_end().to_owned())
    }

    pub(super) fn output(&self, words: &[&str], input: &[u8]) -> Result<Vec<u8>, Fault> {
        let place = self.dir.to_string_lossy();
        let done = self.git.run(Some(&self.dir), &self.words(&place, words), input);
        done.inspect_err(|fault| self.shrink(fault))
    }

    /// Removes what made a clone too large, as far as git can get it again.
    fn shrink(&self, fault: &Fault) {
        if fault.told().key != "git.too_large" {
            return;
        }
        let objects = self.dir.join(".git/objects");
        let shrunk = size::remove_files(&self.dir)
            .and_then(|()| size::remove_unfinished(&objects))
            .and_then(|()| remove(&self.dir.join(".git/index")));
        if let Err(error) = shrunk {
            tracing::warn!(%error, "the files of a clone that is too large cannot be removed");
        }
    }

    pub(super) fn check_size(&self) -> Result<(), Fault> {
        self.git.check_size(&self.dir).inspect_err(|fault| self.shrink(fault))
    }

    /// The same for a question that may have no answer.
    fn ask(&self, words: &[&str]) -> Result<Option<String>, Fault> {
        let place = self.dir.to_string_lossy();
        let output = self.git.try_run(Some(&self.dir), &self.words(&place, words))?;
        Ok(output.map(|output| String::from_utf8_lossy(&output).trim_end().to_owned()))
    }

    /// The commit of a branch of the remote repository, as last fetched.
    pub(super) fn remote_branch(&self, branch: &str) -> Result<Option<String>, Fault> {
        let name = format!("refs/remotes/origin/{branch}^{{commit}}");
        self.ask(&["rev-parse", "--verify", "--quiet", &name])
    }

    /// All branches of the remote repository, as last fetched.
    pub(super) fn remote_branches(&self) -> Result<Vec<String>, Fault> {
        let format = "--format=%(refname:lstrip=3)";
        let all = self.run(&["for-each-ref", format, "refs/remotes/origin"])?;
        Ok(all.lines().filter(|name| *name != "HEAD").map(str::to_owned).collect())
    }

    /// The branch it is on.
    pub(super) fn branch(&self) -> Result<Option<String>, Fault> {
        let head = self.ask(&["symbolic-ref", "--quiet", "HEAD"])?;
        Ok(head.and_then(|head| head.strip_prefix("refs/heads/").map(str::to_owned)))
    }

    /// The commit that the tree was last synchronised with; `None` before there was one.
    pub(super) fn synced(&self) -> Result<Option<String>, Fault> {
        self.ask(&["rev-parse", "--verify", "--quiet", SYNCED])
    }

    /// What an export gave right after that.
    pub(super) fn exported(&self) -> Result<Option<String>, Fault> {
        self.ask(&["rev-parse", "--verify", "--quiet", EXPORTED])
    }

    /// Remembers what the tree is synchronised with, all at once.
    pub(super) fn remember(
        &self,
        branch: &str,
        commit: Option<&str>,
        tree: &str,
    ) -> Result<(), Fault> {
        let mut lines = format!("update {EXPORTED} {tree}\n");
        if let Some(commit) = commit {
            for name in [SYNCED, &format!("refs/heads/{branch}")] {
                lines.push_str(&format!("update {name} {commit}\n"));
            }
            lines.push_str(&format!("update refs/remotes/origin/{branch} {commit}\n"));
        }
        self.run(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")])?;
        self.output(&["update-ref", "--stdin"], lines.as_bytes()).map(drop)
    }

    /// Number of the tree without files.
    pub(super) fn empty_tree(&self) -> Result<String, Fault> {
        self.run(&["hash-object", "-w", "-t", "tree", "/dev/null"])
    }

    /// The tree of files of a commit.
    pub(super) fn tree_of(&self, commit: &str) -> Result<String, Fault> {
        self.run(&["rev-parse", "--verify", "--quiet", &format!("{commit}^{{tree}}")])
    }

    /// Number of a tree like the one last exported, but with the objects of these places as a
    /// commit has them.
    pub(super) fn tree_as_of(
        &self,
        commit: &str,
        places: &HashSet<String>,
        exported: String,
    ) -> Result<String, Fault> {
        if places.is_empty() {
            return Ok(exported);
        }
        let of = |path: &str| changes::place(path).own.is_some_and(|own| places.contains(&own));
        let none = "0".repeat(exported.len());
        let mut lines = String::new();
        for path in self.listing(&exported)?.paths.iter().filter(|path| of(path)) {
            lines.extend(["0 ", &none, "\t", path, "\0"]);
        }
        let there = self.output(&["ls-tree", "-r", "-z", "--full-tree", commit], b"")?;
        for line in changes::pieces(&there) {
            if line.split_once('\t').is_some_and(|(_, path)| of(path)) {
                lines.extend([line.as_str(), "\0"]);
            }
        }
        self.output(&["update-index", "-z", "--index-info"], lines.as_bytes())?;
        self.run(&["write-tree"])
    }

    /// Files of a commit or tree.
    pub(super) fn listing(&self, of: &str) -> Result<Listing, Fault> {
        let output = self.output(&["ls-tree", "-r", "-z", "--full-tree", of], b"")?;
        Ok(changes::listing(&output))
    }

    /// Objects whose files differ between two trees.
    pub(super) fn changed(&self, one: &str, other: &str) -> Result<HashSet<String>, Fault> {
        let words = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", one, other];
        Ok(changes::changed(&self.output(&words, b"")?))
    }

    /// Makes the files those of a commit, and only those.
    pub(super) fn check_out(&self, commit: Option<&str>) -> Result<(), Fault> {
        match commit {
            Some(commit) => self.run(&["read-tree", "--reset", "-u", commit])?,
            None => self.run(&["read-tree", "--empty"])?,
        };
        self.run(&["clean", "-ffdxq"])?;
        self.check_size()
    }

    /// Exports a directory of the tree over the files of a commit. What belongs to no object stays
    /// as the commit has it; what belonged to one that is gone goes.
    pub(super) fn export(
        &self,
        view: &View,
        who: &Caller,
        directory: &ObjectPath,
        base: Option<&str>,
    ) -> Result<Exported, Fault> {
        self.check_out(base)?;
        let odd = match base {
            Some(base) => self.listing(base)?.odd,
            None => HashSet::new(),
        };
        let options = export::Options {
            origin: directory.clone(),
            shown: shown::Options { origin: view.resolve(directory)?, ..shown::Options::default() },
            linesep: LineSep::Lf,
            recursive: true,
        };
        let last = RefCell::new(None);
        let mut sink = Placing {
            inner: Directory::new(&self.dir, true)?,
            last: &last,
            dirs: BTreeSet::new(),
            written: HashSet::new(),
        };
        let (mut objects, mut missing) = (HashMap::new(), None);
        let mut told = |event: Event<'_>| {
            let place = last.take();
            match event.fault {
                Some(fault) => {
                    missing.get_or_insert_with(|| (event.path.to_owned(), fault.clone()));
                }
                None => {
                    if let (Some(place), Ok(path)) = (place, ObjectPath::parse(event.path)) {
                        objects.insert(place, path);
                    }
                }
            }
        };
        let tops = [directory.clone()];
        export_dir(view, who, &tops, &options, &mut sink, &mut told)?;
        sink.keep_empty()?;
        let written = sink.written;
        prune(&self.dir, "", &written, &odd).map_err(|error| unusable(&self.dir, &error))?;
        let replaced: Vec<&str> =
            odd.iter().filter(|path| written.contains(*path)).map(String::as_str).collect();
        if !replaced.is_empty() {
            // An object now stands where a link or a submodule was.
            let names = replaced.join("\0") + "\0";
            let words = ["update-index", "--force-remove", "-z", "--stdin"];
            self.output(&words, names.as_bytes())?;
        }
        // What the repository ignores is an object like any other; nothing else is there to be added.
        self.run(&["add", "--all", "--force", "--", "."])?;
        let tree = self.run(&["write-tree"])?;
        Ok(Exported { tree, objects, missing })
    }
}

/// Writes an export, and notes which object each file belongs to.
struct Placing<'a> {
    inner: Directory,
    /// Place of the object that is being written.
    last: &'a RefCell<Option<String>>,
    dirs: BTreeSet<String>,
    written: HashSet<String>,
}

impl Placing<'_> {
    fn note(&mut self, path: &str) {
        self.last.borrow_mut().get_or_insert_with(|| changes::place(path).own.unwrap_or_default());
        self.written.insert(path.to_owned());
        // The directories of attachments are no objects; they are written with their files.
        let mut above = path;
        while let Some((dir, _)) = above.rsplit_once('/') {
            self.written.insert(dir.to_owned());
            above = dir;
        }
    }

    /// Puts a file into each directory that would have none: git knows no empty ones.
    fn keep_empty(&mut self) -> Result<(), Fault> {
        let full: HashSet<&str> =
            self.written.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
        let empty: Vec<String> =
            self.dirs.iter().filter(|dir| !full.contains(dir.as_str())).cloned().collect();
        for dir in empty {
            let path = format!("{dir}/{KEEP}");
            let file = File { path: &path, mode: 0o644, size: 0, content: &mut io::empty() };
            self.inner.file(file)?;
            self.written.insert(path);
        }
        Ok(())
    }
}

impl Sink for Placing<'_> {
    fn dir(&mut self, path: &str) -> Result<(), Fault> {
        self.inner.dir(path)?;
        self.note(path);
        self.dirs.insert(path.to_owned());
        Ok(())
    }

    fn file(&mut self, file: File<'_>) -> Result<(), Fault> {
        let path = file.path.to_owned();
        self.inner.file(file)?;
        self.note(&path);
        Ok(())
    }
}

/// Removes files of objects that are not there any more. Files that belong to no object stay, and
/// so do links and submodules.
fn prune(
    root: &Path,
    below: &str,
    written: &HashSet<String>,
    odd: &HashSet<String>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let of_object = !matches!(names::classify(&name), FileName::Scratch | FileName::Illegal);
        if !of_object || odd.contains(&path) {
            continue;
        }
        let is_dir = entry.file_type()?.is_dir();
        match (written.contains(&path), is_dir) {
            (true, true) => prune(root, &path, written, odd)?,
            (true, false) => {}
            (false, true) => fs::remove_dir_all(entry.path())?,
            (false, false) => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// Removes a file that may not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the locks of references; no reference has such a name.
fn remove_locks(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_locks(&entry.path())?;
        } else if entry.file_name().as_encoded_bytes().ends_with(b".lock") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// A file of the server's own that cannot be read or written.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
        _ => Kind::Io,
    };
    Fault::new(kind, message!("git.work_dir", reason = error)).because(path.display())
}
