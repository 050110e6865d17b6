//! The open files and directories of one session.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Handle, Ino, OpenHow};
use parking_lot::{Mutex, RwLock};

use super::ask::no_handle;
use super::draft::Draft;
use super::list::Listing;
use super::place::Place;
use crate::tree::Content;

/// Open files and directories of one session. Reason: a leak in a client must not take the server
/// down; the kernel's own limit of open files is lower.
const HANDLES_MAX: usize = 1_000_000;

/// An open file.
pub(super) struct OpenFile {
    pub(super) place: Place,
    pub(super) how: OpenHow,
    pub(super) draft: Option<Arc<Draft>>,
    /// What a reader sees until it starts anew: one saved state, never a mixture. It also outlives
    /// the name.
    pub(super) pin: Mutex<Pin>,
    /// The last user of it, for what is saved at release.
    pub(super) who: Caller,
}

#[derive(Default)]
pub(super) struct Pin {
    pub(super) content: Option<Content>,
    /// Nothing was read from it yet.
    pub(super) fresh: bool,
}

#[derive(Clone)]
pub(super) enum Open {
    File(Arc<OpenFile>),
    Dir(Arc<Mutex<Listing>>),
    /// A text that was made when it was opened.
    Text(Bytes),
}

#[derive(Default)]
pub(super) struct Handles {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Open>>,
}

impl Handles {
    pub(super) fn add(&self, open: Open) -> Result<Handle, Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut handles = self.open.write();
        if handles.len() >= HANDLES_MAX {
            return Err(Fault::new(Kind::TooMany, message!("files.too_many_open")));
        }
        handles.insert(number, open);
        Ok(Handle(number))
    }

    pub(super) fn get(&self, handle: Handle) -> Result<Open, Fault> {
        self.open.read().get(&handle.0).cloned().ok_or_else(no_handle)
    }

    /// The file that a handle reads, else one that some handle of a node reads.
    pub(super) fn reader_of(&self, ino: Ino, handle: Option<Handle>) -> Option<Arc<OpenFile>> {
        let open = self.open.read();
        let file = |open: &Open| match open {
            Open::File(file) if file.place.ino() == ino => Some(Arc::clone(file)),
            _ => None,
        };
        let named = handle.and_then(|handle| open.get(&handle.0)).and_then(file);
        named.or_else(|| open.values().find_map(file))
    }

    pub(super) fn remove(&self, handle: Handle) -> Option<Open> {
        self.open.write().remove(&handle.0)
    }
}

impl OpenFile {
    pub(super) fn new(place: Place, how: OpenHow, draft: Option<Arc<Draft>>, who: &Caller) -> Self {
        Self { place, how, draft, pin: Mutex::default(), who: who.clone() }
    }
}
