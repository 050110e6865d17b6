//! The tree as files: the only place where files meet objects.
//!
//! Architecture invariant: this module decides nothing about permissions, types and storage (that
//! is `tree`) and nothing about names and text forms (that is `schema::layout`). It maps calls on
//! files to commits on objects, and holds what only open files have: unsaved content.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId, Rev};
use kompira_schema::layout::names::Suffixes;
use kompira_schema::tree::{
    Attr, Caller, Changes, FileTree, Handle, Ino, OpenHow, Opened, RenameMode, SetAttr, Sink,
    Space, XattrMode,
};
use kompira_schema::types;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;

use crate::base::clock::Clock;
use crate::tree::{Content, Tree};

mod ask;
mod attach;
mod buffer;
mod control;
mod create;
mod draft;
mod family;
mod find;
mod ghost;
mod handles;
mod list;
mod make;
mod node;
mod open;
mod place;
mod plan;
mod read;
mod recall;
mod record;
mod remove;
mod rename;
mod save;
pub mod shown;
mod stat;
mod watch;
mod write;
mod xattr;

use ask::Ask;
use draft::Drafts;
use find::DirKind;
use ghost::Ghosts;
use handles::Handles;
use node::Nodes;
use recall::Recalled;
use stat::Rendered;

/// Directories whose kind is remembered.
const KINDS_MAX: usize = 65_536;
/// Rendered records that are kept for the next `stat` and `read`.
const RENDERED_MAX: usize = 4_096;
/// Nodes of which it is known which revision the kernel read last.
const SEEN_MAX: usize = 65_536;
/// Texts of refused saves kept for `user.kompira.last_error`.
const ERRORS_MAX: usize = 1_024;
/// Texts kept as they were written, for a rename over another file.
const WRITTEN_MAX: usize = 64;

/// What a view of the tree as files may differ in.
#[derive(Clone)]
pub struct Options {
    /// Marks the commits of this session in the change feed; 0: one is made up.
    pub origin: u64,
    /// Records show `created` and `updated`.
    pub times: bool,
    /// Listings leave sidecars out; they still open by name.
    pub hide_sidecars: bool,
    /// Where large unsaved content goes.
    pub spill: PathBuf,
    /// Shown by `/.kompira/version`.
    pub version: String,
    /// Running processes, once there is an engine.
    pub processes: Option<Arc<dyn Processes>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: 0,
            times: false,
            hide_sidecars: false,
            spill: std::path::Path::new("/tmp").join("kompira-open"),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: None,
        }
    }
}

/// Running processes as files. The engine stands above this module: `app` hands it in.
pub trait Processes: Send + Sync {
    /// Processes that the caller may see, by number.
    fn list(&self, who: &Caller) -> Vec<ProcessId>;
    /// Properties, as a YAML text.
    ///
    /// # Errors
    /// [`kompira_schema::error::Kind::NotFound`].
    fn status(&self, who: &Caller, process: ProcessId) -> Result<String, Fault>;
    /// What it printed so far.
    ///
    /// # Errors
    /// As above.
    fn console(&self, who: &Caller, process: ProcessId) -> Result<Bytes, Fault>;
    /// Its result, empty while it runs.
    ///
    /// # Errors
    /// As above.
    fn result(&self, who: &Caller, process: ProcessId) -> Result<String, Fault>;
    /// `terminate`, `suspend` or `resume`.
    ///
    /// # Errors
    /// As above, and [`kompira_schema::error::Kind::Invalid`] for another word.
    fn control(&self, who: &Caller, process: ProcessId, word: &str) -> Result<(), Fault>;
}

/// The tree as files, for one mount or one client session. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    shared: Arc<Shared>,
}

/// A text as it was written to an object's file.
struct Written {
    id: ObjectId,
    rev: Rev,
    text: Bytes,
}

struct Shared {
    tree: Tree,
    clock: Arc<dyn Clock>,
    options: Options,
    suffixes: Suffixes,
    kinds: Cache<ObjectId, DirKind>,
    drafts: Drafts,
    handles: Handles,
    rendered: Cache<Ino, Rendered>,
    /// The revision that the kernel's pages of a node are of.
    seen: Cache<Ino, Rev>,
    /// Grows when paths inside records may read differently although the record is the same.
    epoch: AtomicU64,
    nodes: Nodes,
    ghosts: Ghosts,
    /// Nodes that became another by a rename over it, until the kernel forgets them.
    aliases: RwLock<HashMap<Ino, Ino>>,
    /// Sidecars that were renamed away: not shown for a while.
    hidden: Mutex<HashMap<ObjectId, Duration>>,
    /// Temporary files of tools in companion directories.
    floats: Mutex<HashMap<node::Node, Content>>,
    recalled: Recalled,
    errors: Mutex<VecDeque<(Ino, String)>>,
    written: Mutex<VecDeque<Written>>,
    told: watch::Told,
}

impl Files {
    /// The tree as files.
    #[must_use]
    pub fn new(tree: &Tree, clock: Arc<dyn Clock>, mut options: Options) -> Self {
        if options.origin == 0 {
            options.origin = own_origin(&*clock);
        }
        let pairs = types::builtins().iter().flat_map(|def| {
            def.file.suffixes.iter().map(move |suffix| (suffix.clone(), def.name.clone()))
        });
        Self {
            shared: Arc::new(Shared {
                tree: tree.session(options.origin),
                clock,
                suffixes: Suffixes::new(pairs),
                kinds: Cache::new(KINDS_MAX),
                drafts: Drafts::default(),
                handles: Handles::default(),
                rendered: Cache::new(RENDERED_MAX),
                seen: Cache::new(SEEN_MAX),
                epoch: AtomicU64::new(0),
                nodes: Nodes::default(),
                ghosts: Ghosts::default(),
                aliases: RwLock::default(),
                hidden: Mutex::default(),
                floats: Mutex::default(),
                recalled: Recalled::default(),
                errors: Mutex::default(),
                written: Mutex::default(),
                told: watch::Told::default(),
                options,
            }),
        }
    }

    fn ask<'a>(&'a self, who: &'a Caller) -> Ask<'a> {
        Ask::new(&self.shared, who)
    }

    /// Asks again when something was missing at a moment that is past: a new file that was saved
    /// in between is neither among the unsaved ones any more nor in the old view yet.
    fn again<T>(
        &self,
        who: &Caller,
        call: impl Fn(&mut Ask<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut ask = self.ask(who);
        let rev = ask.view.rev();
        match call(&mut ask) {
            Err(fault)
                if fault.kind() == Kind::NotFound && self.shared.tree.store().rev() != rev =>
            {
                call(&mut self.ask(who))
            }
            answer => answer,
        }
    }
}

/// A token that no other session has: their kernels must not take this one's commits for theirs.
fn own_origin(clock: &dyn Clock) -> u64 {
    static SESSIONS: AtomicU64 = AtomicU64::new(1);
    let count = SESSIONS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let time = clock.now().as_microsecond().unsigned_abs();
    let origin = time.wrapping_shl(12) ^ count;
    origin.max(1)
}

impl FileTree for Files {
    fn lookup(&self, who: &Caller, dir: Ino, name: &str) -> Result<Attr, Fault> {
        self.again(who, |ask| ask.lookup(dir, name))
    }

    fn attr(&self, who: &Caller, ino: Ino, open: Option<Handle>) -> Result<Attr, Fault> {
        self.again(who, |ask| ask.attr(ino, open))
    }

    fn set_attr(
        &self,
        who: &Caller,
        ino: Ino,
        open: Option<Handle>,
        set: &SetAttr,
    ) -> Result<Attr, Fault> {
        self.again(who, |ask| ask.set_attr(ino, open, set))
    }

    fn open_dir(&self, who: &Caller, dir: Ino) -> Result<Handle, Fault> {
        self.again(who, |ask| ask.open_dir(dir))
    }

    fn list(
        &self,
        who: &Caller,
        dir: Ino,
        open: Handle,
        cursor: u64,
        with_attr: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        self.ask(who).list(dir, open, cursor, with_attr, sink)
    }

    fn release_dir(&self, open: Handle) {
        self.shared.handles.remove(open);
    }

    fn open(&self, who: &Caller, ino: Ino, how: OpenHow) -> Result<Opened, Fault> {
        self.again(who, |ask| ask.open(ino, how))
    }

    fn create(
        &self,
        who: &Caller,
        dir: Ino,
        name: &str,
        mode: u16,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        self.again(who, |ask| ask.create(dir, name, mode, how))
    }

    fn read(&self, who: &Caller, open: Handle, offset: u64, size: u32) -> Result<Vec<u8>, Fault> {
        self.again(who, |ask| ask.read(open, offset, size as usize))
    }

    fn write(&self, who: &Caller, open: Handle, offset: u64, data: &[u8]) -> Result<(), Fault> {
        self.ask(who).write(open, offset, data)
    }

    fn flush(&self, who: &Caller, open: Handle) -> Result<(), Fault> {
        self.ask(who).flush(open)
    }

    fn fsync(&self, who: &Caller, open: Handle) -> Result<(), Fault> {
        self.ask(who).fsync(open)
    }

    fn release(&self, open: Handle) {
        self.shared.release(open);
    }

    fn fsync_dir(&self, _who: &Caller, _dir: Ino) -> Result<(), Fault> {
        self.shared.tree.sync()
    }

    fn mkdir(&self, who: &Caller, dir: Ino, name: &str, mode: u16) -> Result<Attr, Fault> {
        self.again(who, |ask| ask.mkdir(dir, name, mode))
    }

    fn rmdir(&self, who: &Caller, dir: Ino, name: &str) -> Result<(), Fault> {
        self.again(who, |ask| ask.rmdir(dir, name))
    }

    fn unlink(&self, who: &Caller, dir: Ino, name: &str) -> Result<(), Fault> {
        self.again(who, |ask| ask.unlink(dir, name))
    }

    fn rename(
        &self,
        who: &Caller,
        from: (Ino, &str),
        to: (Ino, &str),
        mode: RenameMode,
    ) -> Result<(), Fault> {
        self.again(who, |ask| ask.rename(from, to, mode))
    }

    fn symlink(&self, who: &Caller, dir: Ino, name: &str, target: &str) -> Result<Attr, Fault> {
        self.ask(who).symlink(dir, name, target)
    }

    fn readlink(&self, who: &Caller, ino: Ino) -> Result<String, Fault> {
        self.again(who, |ask| ask.readlink(ino))
    }

    fn get_xattr(&self, who: &Caller, ino: Ino, name: &str) -> Result<Vec<u8>, Fault> {
        self.again(who, |ask| ask.get_xattr(ino, name))
    }

    fn set_xattr(
        &self,
        who: &Caller,
        ino: Ino,
        name: &str,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Fault> {
        self.ask(who).set_xattr(ino, name, value, mode)
    }

    /// Ours are read by name and never listed, so that `cp -a` does not carry them along.
    fn list_xattr(&self, _who: &Caller, _ino: Ino) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    fn remove_xattr(&self, who: &Caller, ino: Ino, name: &str) -> Result<(), Fault> {
        self.ask(who).remove_xattr(ino, name)
    }

    fn space(&self, who: &Caller) -> Result<Space, Fault> {
        self.ask(who).space()
    }

    fn forget(&self, ino: Ino, _count: u64) {
        self.shared.forget(ino);
    }

    fn watch(&self, listener: Box<dyn FnMut(&Changes) -> bool + Send>) {
        watch::start(&self.shared, listener);
    }
}
