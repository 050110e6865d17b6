//! A mounted store, and the shell in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kompira::base::clock;
use kompira::files::{Files, Options};
use kompira::secrets::Keys;
use kompira::store::{self, Store};
use kompira::tree::{self, Content, Patch, Tree};
use kompira_fuse::Mounted;
use kompira_schema::id::ObjectId;
use kompira_schema::path::ObjectPath;
use kompira_schema::tree::Interface;

use crate::files::driver::root;

/// A mount with an empty directory `/d`, which is [`Place::dir`].
pub(crate) struct Place {
    pub(crate) tree: Tree,
    mounted: Option<Mounted>,
    base: tempfile::TempDir,
}

impl Place {
    /// `None` where nothing can be mounted.
    pub(crate) fn new() -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            println!("skipped: /dev/fuse is missing, nothing can be mounted here");
            return None;
        }
        let base = tempfile::tempdir().unwrap();
        let store = Store::open(&base.path().join("data"), &store::Options::default()).unwrap();
        let keys = Arc::new(Keys::from_text("a key for tests"));
        let clock = Arc::new(clock::System::new());
        let (tree, _) =
            Tree::new(store, keys, Arc::clone(&clock) as _, tree::Options::default()).unwrap();
        let options = Options { spill: base.path().join("open"), ..Options::default() };
        let files = Arc::new(Files::new(&tree, clock, options));
        let at = base.path().join("mount");
        std::fs::create_dir(&at).unwrap();
        let peers = Arc::new(|_| Some(root(Interface::Fs)));
        let options = kompira_fuse::Options::new("test", peers, 0, 0);
        let mounted = kompira_fuse::mount(files, &at, &options).unwrap();
        std::fs::create_dir(at.join("d")).unwrap();
        Some(Self { tree, mounted: Some(mounted), base })
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.base.path().join("mount/d")
    }

    /// Room outside the mount.
    pub(crate) fn outside(&self) -> PathBuf {
        let dir = self.base.path().join("outside");
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Runs a script in the mount and answers what it printed; it must succeed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{script}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    pub(crate) fn try_sh(&self, script: &str) -> Output {
        Command::new("bash")
            .args(["-euc", script])
            .current_dir(self.dir())
            .env("OUT", self.outside())
            .env("HOME", self.base.path())
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap()
    }

    pub(crate) fn object(&self, path: &str) -> Option<tree::Object> {
        let view = self.tree.view();
        let id = view.resolve(&ObjectPath::parse(path).unwrap()).ok()?;
        view.get(&root(Interface::Api), id).ok()
    }

    pub(crate) fn type_of(&self, path: &str) -> String {
        self.object(path).unwrap_or_else(|| panic!("{path} is an object")).stub.def.name.clone()
    }

    pub(crate) fn id(&self, path: &str) -> ObjectId {
        self.object(path).unwrap_or_else(|| panic!("{path} is an object")).id()
    }

    /// Another door saves a file's content.
    pub(crate) fn save(&self, path: &str, text: &str) {
        let id = self.id(path);
        let content = Content::Inline(text.to_owned().into());
        self.tree
            .write(&root(Interface::Api), store::Durability::Synced, |txn| {
                txn.update(id, None, Patch { content: Some(content.clone()), ..Patch::default() })
            })
            .unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            let _ = mounted.unmount();
        }
    }
}

/// Whether a program is there; says so if not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new("which").arg(program).output().is_ok_and(|out| out.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// Waits until `what` holds, and says how long that took.
pub(crate) fn within(limit: Duration, mut what: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < limit, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    start.elapsed()
}
