//! The tree in step with real repositories, on the memory twin.

use std::path::Path;
use std::process::{Command, Stdio};

use kompira_schema::catalogue::Lang;
use kompira_schema::id::UserId;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::Interface;
use kompira_schema::value::{Dict, Ref, Value};

use super::*;
use crate::auth::User;
use crate::base::clock::Fake;
use crate::secrets::Keys;
use crate::store::Store;
use crate::tree::{Draft, Options, Patch, UserDraft};

mod late;
mod redirect;
mod ssh;

/// Runs programs as they come.
struct Plain;

impl Runner for Plain {
    fn run(&self, call: Call, _: &dyn Fn() -> bool) -> Result<Ended, Broken> {
        use std::io::Write as _;
        let mut command = Command::new(&call.words[0]);
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        let mut child = command
            .args(&call.words[1..])
            .envs(call.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that reads nothing has closed it.
        let _ = child.stdin.take().unwrap().write_all(&call.input);
        let done = child.wait_with_output().unwrap();
        let status = i64::from(done.status.code().unwrap_or(-1));
        Ok(Ended { status, out: done.stdout, err: done.stderr })
    }
}

/// What [`Hooked`] does before a command.
type Hook = Box<dyn FnMut(&str) -> Option<Ended> + Send>;

/// The same, with somebody who does something before a command, or answers in its place.
struct Hooked(Mutex<Hook>);

impl Runner for Hooked {
    fn run(&self, call: Call, stop: &dyn Fn() -> bool) -> Result<Ended, Broken> {
        let done = (self.0.lock())(&call.words.join(" "));
        done.map_or_else(|| Plain.run(call, stop), Ok)
    }
}

/// A tree with `/ops`, a Repository `/repo` for it, and a remote repository.
struct Lab {
    dir: tempfile::TempDir,
    tree: Tree,
    all: Repositories,
    repo: ObjectId,
}

fn who(user: UserId) -> Caller {
    Caller {
        user,
        interface: Interface::Engine,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    }
}

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse(text).unwrap()
}

fn git(dir: &Path, words: &[&str]) -> String {
    let done = Command::new("git")
        .args(["-c", "user.name=Other", "-c", "user.email=other@host", "-c", "core.hooksPath="])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

impl Lab {
    /// With an empty remote repository.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare", "remote.git"]);
        let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
        let options =
            Options { initial_password: Some("root-password".into()), ..Options::default() };
        let keys = Arc::new(Keys::from_text("a key of the tests"));
        let tree = Tree::new(Store::memory(), keys, clock, options).unwrap().0;
        let all =
            Repositories::new(tree.clone(), dir.path().join("data/repository"), Arc::new(Plain));
        let mut lab = Self { dir, tree, all, repo: ObjectId::ROOT };
        let ops = lab.add("/ops", "Directory", &[]);
        let url = format!("file://{}", lab.dir.path().join("remote.git").display());
        lab.repo = lab.add(
            "/repo",
            "Repository",
            &[("URL", url.into()), ("directory", Value::Object(Ref::Object(ops)))],
        );
        lab
    }

    /// With these files in the remote repository.
    fn filled(files: &[(&str, &str)]) -> Self {
        let lab = Self::new();
        lab.remote(files, "first");
        lab
    }

    fn write<T>(&self, work: impl FnMut(&mut crate::tree::Txn) -> Result<T, Fault>) -> T {
        self.tree.write(&who(User::ROOT), Durability::Lazy, work).unwrap().value
    }

    fn add(&self, at: &str, kind: &str, fields: &[(&str, Value)]) -> ObjectId {
        let at = path(at);
        let fields: Dict = fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        self.write(|txn| {
            let parent = txn.resolve(&at.parent().unwrap())?;
            let kind = txn.resolve(&path(&format!("/system/types/{kind}")))?;
            let draft = Draft { fields: fields.clone(), ..Draft::default() };
            txn.create(parent, &Name::new(at.name().unwrap())?, kind, draft)
        })
    }

    fn set(&self, at: &str, field: &str, value: &Value) {
        self.write(|txn| {
            let id = txn.resolve(&path(at))?;
            let fields = Dict::from_iter([(field.to_owned(), value.clone())]);
            txn.update(id, None, Patch { fields, ..Patch::default() })
        });
    }

    fn id(&self, at: &str) -> Option<ObjectId> {
        self.tree.view().find_path(&path(at)).unwrap()
    }

    fn text(&self, at: &str, field: &str) -> String {
        let view = self.tree.view();
        let object = view.get(&who(User::ROOT), self.id(at).unwrap()).unwrap();
        match view.field(&object, field).as_deref() {
            Some(Value::Str(text)) => text.clone(),
            other => panic!("{at}.{field}: {other:?}"),
        }
    }

    /// Puts files into the remote repository; an empty text deletes one.
    fn remote(&self, files: &[(&str, &str)], message: &str) {
        let other = self.dir.path().join("other");
        if !other.exists() {
            git(self.dir.path(), &["clone", "-q", "remote.git", "other"]);
        }
        if !git(&other, &["ls-remote", "--heads", "origin", "main"]).is_empty() {
            git(&other, &["fetch", "-q", "--prune", "origin"]);
            git(&other, &["checkout", "-q", "-B", "main", "origin/main"]);
        }
        for (name, text) in files {
            let file = other.join(name);
            if text.is_empty() {
                std::fs::remove_file(&file).unwrap();
            } else {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(&file, text).unwrap();
            }
        }
        git(&other, &["add", "-A"]);
        git(&other, &["commit", "-q", "-m", message]);
        git(&other, &["push", "-q", "origin", "HEAD:main"]);
    }

    /// Files of a branch of the remote repository.
    fn files(&self, branch: &str) -> Vec<String> {
        let remote = self.dir.path().join("remote.git");
        let all = git(&remote, &["ls-tree", "-r", "--name-only", branch]);
        all.lines().map(str::to_owned).collect()
    }

    fn remote_git(&self, words: &[&str]) -> String {
        git(&self.dir.path().join("remote.git"), words)
    }

    fn act(&self, action: &Action) -> Result<String, Fault> {
        self.all.act(&who(User::ROOT), self.repo, action, Map::new(), &|| false)
    }

    fn initialize(&self) -> String {
        self.act(&Action::Initialize).unwrap()
    }

    fn push(&self, message: &str) -> Result<String, Fault> {
        self.act(&Action::Push { branch: None, message: message.into() })
    }

    fn pull(&self) -> Result<String, Fault> {
        self.act(&Action::Pull { branch: None })
    }

    /// Does something before the `nth` command (from 1) whose line holds `word`.
    fn hook(
        &mut self,
        word: &'static str,
        nth: usize,
        then: impl Fn(&Tree) -> Option<Ended> + Send + 'static,
    ) {
        let (tree, mut seen) = (self.tree.clone(), 0);
        let hook = move |line: &str| {
            seen += usize::from(line.contains(word));
            let now = line.contains(word) && seen == nth;
            now.then(|| then(&tree)).flatten()
        };
        self.all.runner = Arc::new(Hooked(Mutex::new(Box::new(hook))));
    }

    fn log(&self) -> String {
        self.text("/repo", "log")
    }
}

// rule: tree/repository
#[test]
fn a_filled_repository_becomes_objects() {
    let lab = Lab::filled(&[
        ("hello.jobflow", "print('x')\n"),
        ("sub/a.txt", "text\n"),
        (".gitignore", "*.tmp\n"),
        ("README.md", "# read\n"),
        ("not-a-name.conf", "x"),
    ]);
    let told = lab.initialize();
    assert!(told.contains("initialize") && told.contains("created=4"), "{told}");
    assert_eq!(lab.text("/ops/hello", "source"), "print('x')\n");
    assert_eq!(lab.text("/ops/sub/a", "text"), "text\n");
    assert_eq!(lab.log(), told);
    // Nothing came of it in the tree: the push commits nothing, also of what is no object.
    let before = lab.remote_git(&["rev-parse", "main"]);
    let told = lab.push("").unwrap();
    assert!(told.contains("nothing to commit"), "{told}");
    assert_eq!(lab.remote_git(&["rev-parse", "main"]), before);
    assert!(lab.log().matches('\n').count() > 3);
}

// rule: tree/repository
#[test]
fn an_empty_repository_is_filled_by_the_first_push() {
    let lab = Lab::new();
    lab.add("/ops/a", "Text", &[("text", "one".into()), ("ext", "txt".into())]);
    lab.add("/ops/empty", "Directory", &[]);
    let text = Value::Object(Ref::Object(lab.id("/system/types/Text").unwrap()));
    lab.add("/ops/table", "Table", &[("typeObject", text)]);
    assert!(lab.initialize().contains("empty"));
    assert!(lab.pull().unwrap().contains("empty"));
    let told = lab.push("The first").unwrap();
    assert!(told.contains("main: committed and pushed"), "{told}");
    assert_eq!(lab.remote_git(&["log", "--format=%s|%an|%ae", "main"]).lines().count(), 1);
    let files = lab.files("main");
    for file in [".empty", ".table", "empty/.gitkeep", "table/.gitkeep"] {
        assert!(files.iter().any(|one| one == file), "{file}: {files:?}");
    }
    // Another tree gets all of it, empty containers too.
    let other = Lab::new();
    let url = format!("file://{}", lab.dir.path().join("remote.git").display());
    other.set("/repo", "URL", &url.into());
    other.initialize();
    assert_eq!(other.text("/ops/a", "text"), "one");
    assert!(other.id("/ops/empty").is_some() && other.id("/ops/table").is_some());
    assert!(other.push("").unwrap().contains("nothing to commit"));
}

// rule: tree/repository-push
#[test]
fn a_push_follows_renames_and_deletions_and_commits_nothing_twice() {
    let lab =
        Lab::filled(&[(".gitignore", "x\n"), (".github/ci.yml", "on: push\n"), ("old.txt", "o")]);
    lab.write(|txn| {
        let root = txn.user_by_name("root").unwrap().id;
        txn.update_user(
            root,
            crate::tree::UserPatch {
                first_name: Some("Ken".into()),
                last_name: Some("Sato".into()),
                ..crate::tree::UserPatch::default()
            },
        )
    });
    lab.initialize();
    lab.add("/ops/a", "Text", &[("text", "a\r\nb".into())]);
    lab.push("With a").unwrap();
    let head = || lab.remote_git(&["rev-parse", "main"]);
    let first = head();
    assert!(lab.push("Again").unwrap().contains("nothing to commit"));
    assert_eq!(head(), first);
    assert!(
        lab.remote_git(&["log", "-1", "--format=%s|%an", "main"]).starts_with("With a|Ken Sato")
    );
    lab.write(|txn| {
        let (a, old) = (txn.resolve(&path("/ops/a"))?, txn.resolve(&path("/ops/old"))?);
        txn.rename(a, &Name::new("b")?)?;
        txn.delete(old)
    });
    lab.push("Moved").unwrap();
    assert_eq!(lab.files("main"), [".b", ".github/ci.yml", ".gitignore", "b"]);
    assert_eq!(lab.remote_git(&["show", "main:b"]), "a\nb");
    assert_eq!(lab.remote_git(&["show", "main:.gitignore"]), "x");
}

// rule: tree/repository-push
#[test]
fn a_push_to_another_branch_makes_it_and_one_that_is_behind_changes_nothing() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    lab.set("/ops/a", "text", &"two".into());
    lab.act(&Action::Push { branch: Some("feature/x".into()), message: "On x".into() }).unwrap();
    assert_eq!(lab.remote_git(&["show", "feature/x:a.txt"]), "two");
    assert_eq!(lab.remote_git(&["show", "main:a.txt"]), "one");
    lab.act(&Action::Pull { branch: Some("main".into()) }).unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "one");
    lab.remote(&[("b.txt", "new")], "b");
    lab.set("/ops/a", "text", &"three".into());
    let fault = lab.push("").unwrap_err();
    assert_eq!((fault.kind(), fault.told().key), (Kind::Busy, "git.behind"));
    assert!(lab.log().contains("pull first"));
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "one");
    assert_eq!(lab.text("/ops/b", "text"), "new");
    for branch in ["-x", "a b", "a..b", "x.lock", "/"] {
        let fault = lab.act(&Action::Pull { branch: Some(branch.into()) }).unwrap_err();
        assert_eq!(fault.kind(), Kind::BadRequest, "{branch}");
    }
    let fault = lab.act(&Action::Pull { branch: Some("none".into()) }).unwrap_err();
    assert_eq!(fault.kind(), Kind::NotFound);
}

// rule: tree/repository-pull
#[test]
fn a_pull_brings_changes_and_deletions_and_keeps_what_changed_here() {
    let lab = Lab::filled(&[
        ("a.txt", "one"),
        ("gone.txt", "g"),
        ("edited.txt", "e"),
        ("dir/x.txt", "x"),
        ("both/x.txt", "x"),
    ]);
    lab.initialize();
    lab.add("/ops/mine", "Text", &[("text", "mine".into())]);
    lab.add("/ops/both/mine", "Text", &[("text", "mine".into())]);
    lab.set("/ops/edited", "text", &"mine".into());
    let untouched = lab.tree.view().head(lab.id("/ops/mine").unwrap()).unwrap().rev;
    lab.remote(
        &[
            ("a.txt", "two"),
            ("gone.txt", ""),
            ("edited.txt", ""),
            ("dir/x.txt", ""),
            ("both/x.txt", ""),
            ("new.txt", "n"),
        ],
        "second",
    );
    let told = lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "two");
    assert_eq!(lab.text("/ops/new", "text"), "n");
    for gone in ["/ops/gone", "/ops/dir", "/ops/both/x"] {
        assert!(lab.id(gone).is_none(), "{gone}: {told}");
    }
    assert_eq!(lab.text("/ops/edited", "text"), "mine");
    assert!(told.contains("/ops/edited: deleted in the repository, kept"), "{told}");
    assert!(told.contains("/ops/both: deleted in the repository, kept"), "{told}");
    assert_eq!(lab.tree.view().head(lab.id("/ops/mine").unwrap()).unwrap().rev, untouched);
    // What nobody changed is not written again.
    let rev = lab.tree.view().head(lab.id("/ops/a").unwrap()).unwrap().rev;
    lab.pull().unwrap();
    assert_eq!(lab.tree.view().head(lab.id("/ops/a").unwrap()).unwrap().rev, rev);
    // A change of ours gives way, and is told.
    lab.set("/ops/a", "text", &"mine".into());
    let told = lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "two");
    assert!(told.contains("/ops/a: its change in the tree gave way"), "{told}");
}

// rule: tree/repository-pull
#[test]
fn what_was_renamed_there_is_the_same_object_here() {
    let lab = Lab::filled(&[
        ("a.txt", "a text that is long enough"),
        ("dir/x.txt", "x text that is long enough"),
        ("dir/y.txt", "y text that is long enough"),
        ("kind.txt", "z"),
        ("told.txt", "t"),
        ("full", "type_object: /system/types/Text\nfields:\n  text: f\n"),
        (".told", "type_object: /system/types/Text\nfields:\n  ext: txt\n"),
    ]);
    lab.initialize();
    let told_id = lab.id("/ops/told");
    let ids = ["/ops/a", "/ops/dir", "/ops/dir/x"].map(|at| lab.id(at).unwrap());
    let other = lab.dir.path().join("other");
    git(&other, &["mv", "a.txt", "b.txt"]);
    git(&other, &["mv", "dir", "place"]);
    git(&other, &["mv", "kind.txt", "kind.sh"]);
    git(&other, &["mv", "told.txt", "told.html"]);
    lab.remote(&[("full", "type_object: /system/types/Wiki\nfields:\n  wikitext: w\n")], "moved");
    let told = lab.pull().unwrap();
    let now = ["/ops/b", "/ops/place", "/ops/place/x"].map(|at| lab.id(at).unwrap());
    assert_eq!(now, ids, "{told}");
    assert!(lab.id("/ops/a").is_none() && lab.id("/ops/dir").is_none());
    assert_eq!(lab.text("/ops/kind", "source"), "z");
    assert_eq!(lab.id("/ops/told"), told_id);
    assert_eq!(lab.text("/ops/full", "wikitext"), "w");
    lab.push("").unwrap();
    let now =
        [".full", ".told", "b.txt", "full", "kind.sh", "place/x.txt", "place/y.txt", "told.html"];
    assert_eq!(lab.files("main"), now);
}

// rule: tree/repository-pull
#[test]
fn a_pull_that_fails_changes_nothing_and_says_why() {
    let lab = Lab::filled(&[("a.txt", "one"), ("b.txt", "one")]);
    lab.initialize();
    lab.remote(&[("a.txt", "two"), ("c.txt", "c"), ("c.md", "c"), ("b.txt", "")], "clash");
    let fault = lab.pull().unwrap_err();
    let told = fault.text(Lang::En);
    assert!(told.contains("c.") && !told.contains("id_"), "{told}");
    assert_eq!(lab.text("/ops/a", "text"), "one");
    assert!(lab.id("/ops/b").is_some() && lab.id("/ops/c").is_none());
    assert!(lab.log().contains("failed: "));
    lab.remote(&[("c.md", "")], "mended");
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/c", "text"), "c");
}

// rule: tree/repository-pull
#[test]
fn only_what_came_from_the_repository_gives_way_to_another_type() {
    let wiki = "type_object: /system/types/Wiki\nfields:\n  wikitext: w\n";
    let text = "type_object: /system/types/Text\nfields:\n  text: f\n";
    let lab = Lab::filled(&[("mine", wiki)]);
    lab.add("/ops/mine", "Text", &[("text", "own".into())]);
    let clashes = |fault: Fault| {
        let told = fault.text(Lang::En);
        assert!(told.contains("exists with another type"), "{told}");
    };
    clashes(lab.act(&Action::Initialize).unwrap_err());
    assert_eq!(lab.text("/ops/mine", "text"), "own");
    lab.remote(&[("mine", ""), ("edited", text), ("kind.txt", "z"), ("full", text)], "second");
    lab.initialize();
    // Both sides made one of the same name, or changed the same one.
    lab.set("/ops/edited", "text", &"mine".into());
    lab.set("/ops/kind", "text", &"mine".into());
    for (file, at, own) in [
        ("mine", "/ops/mine", "own"),
        ("edited", "/ops/edited", "mine"),
        ("kind.sh", "/ops/kind", "mine"),
    ] {
        let old = if file == "kind.sh" { "kind.txt" } else { "" };
        if !old.is_empty() {
            lab.remote(&[(old, "")], "gone");
        }
        lab.remote(&[(file, wiki)], file);
        clashes(lab.pull().unwrap_err());
        assert_eq!(lab.text(at, "text"), own);
        let back = if file == "edited" { text } else { "" };
        lab.remote(&[(file, back)], "back");
        if !old.is_empty() {
            lab.remote(&[(old, "z")], "back");
        }
    }
    lab.remote(&[("full", wiki)], "another type");
    let told = lab.pull().unwrap();
    assert!(told.contains("/ops/full: was of another type, deleted and made anew"), "{told}");
    assert_eq!(lab.text("/ops/full", "wikitext"), "w");
    assert_eq!(lab.text("/ops/mine", "text"), "own");
}

// rule: tree/repository-push
#[test]
fn what_the_repository_ignores_is_pushed_all_the_same() {
    let lab = Lab::filled(&[(".gitignore", "build\n"), ("old", "o")]);
    lab.initialize();
    lab.add("/ops/sub", "Directory", &[]);
    lab.add("/ops/sub/build", "Text", &[("text", "b".into())]);
    lab.write(|txn| {
        let old = txn.resolve(&path("/ops/old"))?;
        txn.rename(old, &Name::new("build")?)
    });
    lab.push("").unwrap();
    let files = lab.files("main");
    for file in ["build", "sub/build", ".gitignore"] {
        assert!(files.iter().any(|one| one == file), "{file}: {files:?}");
    }
}

// rule: tree/repository-address
#[test]
fn paths_are_for_privileged_users_and_never_of_the_server_itself() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    let stranger = lab.write(|txn| {
        let id = txn.create_user(UserDraft {
            username: "sato".into(),
            password: Some(zeroize::Zeroizing::new("correct horse 8".to_owned())),
            ..UserDraft::default()
        })?;
        txn.update(lab.repo, None, Patch { owner: Some(id), ..Patch::default() })?;
        Ok(id)
    });
    let refused = |who: &Caller, action: &Action| {
        let fault = lab.all.act(who, lab.repo, action, Map::new(), &|| false).unwrap_err();
        assert_eq!(fault.problems()[0].at, "URL");
        fault.problems()[0].message.key
    };
    lab.initialize();
    let push = Action::Push { branch: None, message: String::new() };
    for action in [Action::Initialize, push, Action::Pull { branch: None }] {
        assert_eq!(refused(&who(stranger), &action), "git.file_denied");
    }
    let own = lab.dir.path().join(format!("data/repository/id_{}/work", lab.repo));
    lab.set("/repo", "URL", &format!("file://{}", own.display()).into());
    assert_eq!(refused(&who(User::ROOT), &Action::Initialize), "git.file_own");
}

// rule: tree/repository
#[test]
fn what_a_killed_git_left_is_no_hindrance() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    let place = lab.dir.path().join(format!("data/repository/id_{}", lab.repo));
    for lock in ["index.lock", "refs/kompira/synced.lock", "refs/remotes/origin/main.lock"] {
        let lock = place.join("work/.git").join(lock);
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        std::fs::write(lock, "").unwrap();
    }
    lab.remote(&[("a.txt", "two")], "two");
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "two");
    lab.set("/repo", "URL", &"file:///nowhere/at-all.git".into());
    lab.act(&Action::Initialize).unwrap_err();
    assert!(!place.join("new").exists());
}

// rule: tree/repository-pull
#[test]
fn settings_are_overwritten_only_if_that_is_wanted() {
    let config = |text: &str| {
        format!(
            "type_object: /system/types/Config\nfields:\n  fieldNames: [k]\n  fieldDisplayNames: \
             [K]\n  fieldTypes: [String]\ndata:\n  k: {text}\n"
        )
    };
    let lab = Lab::filled(&[("conf", &config("one"))]);
    lab.initialize();
    let value = || {
        let view = lab.tree.view();
        let object = view.get(&who(User::ROOT), lab.id("/ops/conf").unwrap()).unwrap();
        object.data.and_then(|data| data.get("k").cloned())
    };
    assert_eq!(value(), Some("one".into()));
    lab.remote(&[("conf", &config("two"))], "two");
    lab.pull().unwrap();
    assert_eq!(value(), Some("one".into()));
    lab.set("/repo", "updateConfig", &Value::Bool(true));
    lab.pull().unwrap();
    assert_eq!(value(), Some("two".into()));
}

// rule: tree/repository
#[test]
fn links_and_hooks_of_a_repository_come_to_nothing() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    let other = lab.dir.path().join("other");
    std::os::unix::fs::symlink("/etc/hostname", other.join("link")).unwrap();
    git(&other, &["clone", "-q", "--bare", "../remote.git", "../module.git"]);
    let module = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    git(&other, &[&module[..], &["../module.git", "module"]].concat());
    lab.remote(&[], "link");
    lab.initialize();
    assert!(lab.id("/ops/link").is_none() && lab.id("/ops/module").is_none());
    lab.set("/ops/a", "text", &"two".into());
    let place = lab.dir.path().join(format!("data/repository/id_{}", lab.repo));
    let hook = place.join("work/.git/hooks/pre-push");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    lab.push("").unwrap();
    for (name, mode) in [("link", "120000"), ("module", "160000")] {
        assert_eq!(lab.remote_git(&["ls-tree", "main", name]).split(' ').next(), Some(mode));
    }
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
}

// rule: tree/repository
#[test]
fn what_cannot_be_is_told_by_field_and_without_secrets() {
    let lab = Lab::new();
    let fault = lab.push("").unwrap_err();
    assert_eq!((fault.kind(), fault.told().key), (Kind::Busy, "git.not_initialized"));
    lab.initialize();
    lab.set("/repo", "URL", &"file:///nowhere/at-all.git".into());
    let fault = lab.pull().unwrap_err();
    assert_eq!((fault.kind(), fault.told().key), (Kind::Busy, "git.other_remote"));
    lab.set("/repo", "password", &"pass-4711".into());
    lab.set("/repo", "URL", &"file:///nowhere/pass-4711.git".into());
    let fault = lab.act(&Action::Initialize).unwrap_err();
    assert_eq!(fault.kind(), Kind::Outside);
    let told = fault.text(Lang::En);
    assert!(told.contains("git clone") && !told.contains("pass-4711"), "{told}");
    assert!(!lab.log().contains("pass-4711") && lab.log().contains("git clone"));
    lab.set("/repo", "repositoryType", &"mercurial".into());
    let fault = lab.act(&Action::Initialize).unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    assert_eq!(fault.problems()[0].at, "repositoryType");
    lab.set("/repo", "repositoryType", &"git".into());
    lab.set("/repo", "directory", &Value::Null);
    let fault = lab.act(&Action::Initialize).unwrap_err();
    assert_eq!(fault.problems()[0].at, "directory");
    let text = lab.add("/ops/t", "Text", &[]);
    let fault = lab.all.act(&who(User::ROOT), text, &Action::Initialize, Map::new(), &|| false);
    assert_eq!(fault.unwrap_err().kind(), Kind::NoMethod);
}

// rule: tree/repository
#[test]
fn an_action_needs_the_right_to_write_and_is_alone() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    let stranger = lab.write(|txn| {
        txn.create_user(UserDraft {
            username: "sato".into(),
            password: Some(zeroize::Zeroizing::new("correct horse 8".to_owned())),
            ..UserDraft::default()
        })
    });
    let asked = |id| lab.all.act(&who(stranger), id, &Action::Initialize, Map::new(), &|| false);
    assert_eq!(asked(lab.repo).unwrap_err().kind(), Kind::Denied);
    assert!(lab.tree.view().get(&who(User::ROOT), lab.repo).unwrap().fields.get("log").is_none());
    lab.all.busy.lock().insert(lab.repo);
    assert_eq!(lab.act(&Action::Initialize).unwrap_err().kind(), Kind::Busy);
    lab.all.busy.lock().remove(&lab.repo);
    lab.all.busy.lock().extend([1, 2, 3, 4].map(|id| ObjectId(1_000_000 + id)));
    assert_eq!(lab.act(&Action::Initialize).unwrap_err().told().key, "git.crowded");
    lab.all.busy.lock().clear();
    lab.initialize();
    lab.pull().unwrap();
}

// rule: tree/repository
#[test]
fn the_clone_of_a_deleted_object_goes_with_the_next_start() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    let dir = lab.dir.path().join("data/repository");
    let own = dir.join(format!("id_{}", lab.repo));
    let again = || Repositories::new(lab.tree.clone(), dir.clone(), Arc::new(Plain));
    let _ = again();
    assert!(own.exists());
    lab.write(|txn| txn.delete(lab.repo));
    let _ = again();
    assert!(!own.exists());
}

// rule: tree/system-fields
#[test]
fn the_log_is_bounded_and_no_change_by_people() {
    let lab = Lab::new();
    let updated = || lab.tree.view().head(lab.repo).unwrap().updated;
    let before = updated();
    for line in ["first 佐藤\n", "second\n", "third\n"] {
        lab.write(|txn| txn.append_log(lab.repo, LOG, line, 20));
    }
    assert_eq!(lab.log(), "second\nthird\n");
    assert_eq!(updated(), before);
}

#[test]
fn a_long_log_keeps_what_matters() {
    let mut journal = Journal::new("2031-07-04T09:05:00Z".parse().unwrap(), &Action::Initialize);
    for number in 0..1000 {
        let line = format!("import object: imported \"{number}\" to \"/ops/{number}\" (created)");
        journal.tell(&crate::transfer::import::Event::Line(line));
    }
    journal.say("/ops/x: kept");
    journal.done("main: at 1".to_owned());
    let text = journal.text();
    let tail: Vec<&str> = text.lines().rev().take(3).map(str::trim).collect();
    assert_eq!(tail, ["main: at 1", "and 900 more lines", "/ops/x: kept"]);
    assert!(text.starts_with("2031-07-04T09:05:00Z initialize\n"));
}
