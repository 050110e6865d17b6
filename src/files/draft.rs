//! Files that are open for writing and not yet saved.
//!
//! All handles of one node share one draft, so that two writers of one mount see each other as on
//! any file system. What others see (another mount, HTTP) is the last saved state.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::path::Name;
use kompira_schema::tree::Ino;
use parking_lot::{Mutex, RwLock};

use super::buffer::Buffer;
use crate::tree::Content;

/// What a new file will be when it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NewKind {
    /// A scratch file of this name; also a sidecar whose object is not there yet.
    Scratch,
    /// An object.
    Object { name: Name, suffix: Option<String> },
}

/// A file that was created and not yet saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct New {
    pub(super) dir: ObjectId,
    /// Name in the directory.
    pub(super) file: String,
    pub(super) kind: NewKind,
}

impl New {
    /// The key of the entry that it will have.
    pub(super) fn key(&self) -> (ObjectId, String) {
        let name = match &self.kind {
            NewKind::Scratch => self.file.clone(),
            NewKind::Object { name, .. } => name.as_str().to_owned(),
        };
        (self.dir, name)
    }
}

/// Where a draft goes when it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// A new file.
    New(New),
    /// A scratch file.
    Scratch(ObjectId),
    /// The representative content of an object.
    Content(ObjectId),
    /// The whole record of an object: its file is YAML.
    Yaml(ObjectId),
    /// The sidecar of an object.
    Record(ObjectId),
    /// An attachment, by its number in the node table.
    Attachment(u64),
    /// The `ctl` file of a process.
    Control(u64),
}

impl Goal {
    /// Whose file it is, if it is an object's or a scratch node's.
    pub(super) fn object(&self) -> Option<ObjectId> {
        match self {
            Self::Scratch(id) | Self::Content(id) | Self::Yaml(id) | Self::Record(id) => Some(*id),
            Self::New(_) | Self::Attachment(_) | Self::Control(_) => None,
        }
    }
}

/// What a draft was loaded from: the base of the conflict check.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) rev: Rev,
    pub(super) content: Content,
}

/// The changing part of a draft.
#[derive(Debug)]
pub(super) struct State {
    pub(super) goal: Goal,
    pub(super) buffer: Buffer,
    /// `None`: nothing to be in conflict with (a new file).
    pub(super) base: Option<Base>,
    /// The buffer holds the content (it is read at the first need).
    pub(super) loaded: bool,
    /// There is something to save.
    pub(super) changed: bool,
    /// A byte was written since the file was created or truncated.
    pub(super) wrote: bool,
    /// Flushes since then that found nothing written.
    pub(super) idle_flushes: u8,
    /// Only appended to since the last save, from this offset.
    pub(super) appended: Option<u64>,
    pub(super) mode: Option<u16>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) touched: Timestamp,
    pub(super) born: Timestamp,
    /// Open handles.
    pub(super) users: u32,
    /// The name is gone: nothing is saved any more.
    pub(super) gone: bool,
    /// Directory and name at the time it was opened, should the file be gone when it is saved.
    pub(super) home: Option<(ObjectId, String)>,
    /// This draft left a `.NAME.rejected`.
    pub(super) refused: bool,
}

/// A draft.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) ino: Ino,
    pub(super) state: Mutex<State>,
}

impl Draft {
    pub(super) fn new(ino: Ino, goal: Goal, base: Option<Base>, now: Timestamp) -> Arc<Self> {
        let fresh = base.is_none();
        Arc::new(Self {
            ino,
            state: Mutex::new(State {
                goal,
                buffer: Buffer::default(),
                base,
                loaded: fresh,
                changed: fresh,
                wrote: false,
                idle_flushes: 0,
                appended: None,
                mode: None,
                mtime: None,
                touched: now,
                born: now,
                users: 0,
                gone: false,
                home: None,
                refused: false,
            }),
        })
    }
}

/// All drafts, by node and (unsaved new files) by place.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    by_ino: RwLock<HashMap<Ino, Arc<Draft>>>,
    by_name: RwLock<HashMap<(ObjectId, String), Arc<Draft>>>,
}

impl Drafts {
    pub(super) fn of(&self, ino: Ino) -> Option<Arc<Draft>> {
        self.by_ino.read().get(&ino).cloned()
    }

    /// A new file that is not saved yet, by the key of the entry it will have.
    pub(super) fn new_at(&self, dir: ObjectId, key: &str) -> Option<Arc<Draft>> {
        let drafts = self.by_name.read();
        if drafts.is_empty() {
            return None;
        }
        drafts.get(&(dir, key.to_owned())).cloned()
    }

    /// The unsaved new files of a directory.
    pub(super) fn new_in(&self, dir: ObjectId) -> Vec<Arc<Draft>> {
        let drafts = self.by_name.read();
        drafts.iter().filter(|((at, _), _)| *at == dir).map(|(_, d)| Arc::clone(d)).collect()
    }

    /// The draft of a node; `make` is asked if there is none. One more handle uses it.
    pub(super) fn join(
        &self,
        ino: Ino,
        make: impl FnOnce() -> Result<Arc<Draft>, Fault>,
    ) -> Result<Arc<Draft>, Fault> {
        if let Some(draft) = self.of(ino) {
            let mut state = draft.state.lock();
            if !state.gone {
                state.users += 1;
                drop(state);
                return Ok(draft);
            }
        }
        let made = make()?;
        let mut drafts = self.by_ino.write();
        if let Some(draft) = drafts.get(&ino) {
            let draft = Arc::clone(draft);
            drop(drafts);
            let mut state = draft.state.lock();
            if !state.gone {
                state.users += 1;
                drop(state);
                return Ok(draft);
            }
            drop(state);
            drafts = self.by_ino.write();
        }
        made.state.lock().users += 1;
        drafts.insert(ino, Arc::clone(&made));
        Ok(made)
    }

    /// Puts a new file in its place; `false` when there is one already.
    pub(super) fn add_new(&self, new: &New, draft: &Arc<Draft>) -> bool {
        let mut names = self.by_name.write();
        if names.contains_key(&new.key()) {
            return false;
        }
        names.insert(new.key(), Arc::clone(draft));
        drop(names);
        draft.state.lock().users += 1;
        self.by_ino.write().insert(draft.ino, Arc::clone(draft));
        true
    }

    /// A new file was saved or dropped: its entry speaks for it.
    pub(super) fn settled(&self, new: &New, draft: &Draft) {
        let mut names = self.by_name.write();
        if names.get(&new.key()).is_some_and(|at| at.ino == draft.ino) {
            names.remove(&new.key());
        }
    }

    pub(super) fn remove(&self, draft: &Arc<Draft>) {
        let mut drafts = self.by_ino.write();
        if drafts.get(&draft.ino).is_some_and(|at| Arc::ptr_eq(at, draft)) {
            drafts.remove(&draft.ino);
        }
    }
}
