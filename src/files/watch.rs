//! From the change feed to what a kernel's caches have to forget.
//!
//! Architecture invariant: listeners are called from a thread of their own, never from inside a
//! request and under no lock that a request needs.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use kompira_schema::id::Rev;
use kompira_schema::layout::names;
use kompira_schema::path::Name;
use kompira_schema::tree::{Change, Changes};
use kompira_schema::value::Ref;
use parking_lot::Mutex;

use super::Shared;
use super::place::Place as Node;
use crate::store::{Changed, CommitInfo, Fed, Place, What};
use crate::tree::EntryKind;

/// Batches that wait for one listener. Past it the listener is told that all may have changed.
const WAITING_MAX: usize = 4_096;
/// How long the feed is waited for before it is looked whether the session is still there.
const TURN: Duration = Duration::from_secs(1);

/// What this session did and its kernel cannot know.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<Sender<Vec<Change>>>>);

impl Told {
    pub(super) fn tell(&self, changes: Vec<Change>) {
        let mut senders = self.0.lock();
        senders.retain(|sender| {
            !matches!(
                sender.try_send(changes.clone()),
                Err(crossbeam_channel::TrySendError::Disconnected(_))
            )
        });
    }

    fn subscribe(&self) -> Receiver<Vec<Change>> {
        let (sender, receiver) = bounded(WAITING_MAX);
        self.0.lock().push(sender);
        receiver
    }
}

type Listener = Box<dyn FnMut(&Changes) -> bool + Send>;

/// Calls `listener` after every commit until it answers `false` or the session is gone.
pub(super) fn start(shared: &Arc<Shared>, listener: Listener) {
    let own = shared.told.subscribe();
    let feed = shared.tree.store().subscribe();
    let weak = Arc::downgrade(shared);
    let origin = shared.options.origin;
    let listener = Arc::new(Mutex::new(Some(listener)));
    let same = Arc::clone(&listener);
    let told = move || {
        // Ends with the session: its sender is dropped.
        while let Ok(changes) = own.recv() {
            if !call(&same, &Changes { rev: Rev(0), origin: None, changes }) {
                return;
            }
        }
    };
    let follow = move || {
        loop {
            let changes = match feed.recv_timeout(TURN) {
                Ok(Fed::Commit(info)) => translate(&weak, &info, origin),
                Ok(Fed::Missed) => {
                    Some(Changes { rev: Rev(0), origin: None, changes: vec![Change::All] })
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let wanted = match changes {
                Some(changes) if !changes.changes.is_empty() => call(&listener, &changes),
                _ => listener.lock().is_some(),
            };
            if !wanted || weak.strong_count() == 0 {
                return;
            }
        }
    };
    for (name, work) in [
        ("files-told", Box::new(told) as Box<dyn FnOnce() + Send>),
        ("files-watch", Box::new(follow)),
    ] {
        if let Err(error) = thread::Builder::new().name(name.into()).spawn(work) {
            tracing::warn!(%error, "no thread for changes: caches end by time alone");
        }
    }
}

/// Whether the listener wants more.
fn call(listener: &Mutex<Option<Listener>>, changes: &Changes) -> bool {
    let mut listener = listener.lock();
    let wanted = listener.as_mut().is_some_and(|call| call(changes));
    if !wanted {
        *listener = None;
    }
    wanted
}

fn translate(weak: &Weak<Shared>, info: &CommitInfo, origin: u64) -> Option<Changes> {
    let shared = weak.upgrade()?;
    let moved = info.changes.iter().any(|changed| {
        matches!(changed.what, What::Moved | What::Removed)
            || !matches!(changed.subject, Ref::Object(_))
    });
    if moved {
        // Records may show other paths and names than they did.
        shared.epoch.fetch_add(1, Ordering::AcqRel);
    }
    let own = origin != 0 && info.origin == Some(origin);
    if own {
        return None;
    }
    let mut changes = Vec::new();
    for changed in &info.changes {
        changes_of(changed, &mut changes);
    }
    Some(Changes { rev: info.rev, origin: info.origin, changes })
}

/// What a kernel has to forget for one change.
fn changes_of(changed: &Changed, out: &mut Vec<Change>) {
    let Ref::Object(id) = changed.subject else { return };
    let content = Node::Object(id).ino();
    match changed.what {
        What::Created => names_of(changed.place.as_ref(), out),
        What::Removed => {
            if let Some(place) = &changed.place {
                let files = files_of(place);
                let mut files = files.into_iter();
                if let Some(name) = files.next() {
                    out.push(Change::Gone {
                        dir: Node::Object(place.parent).ino(),
                        ino: content,
                        name,
                    });
                }
                for name in files {
                    out.push(Change::Name { dir: Node::Object(place.parent).ino(), name });
                }
            }
        }
        What::Moved => {
            names_of(changed.old.as_ref(), out);
            names_of(changed.place.as_ref(), out);
            out.push(Change::Attr(content));
        }
        What::Content => {
            out.push(Change::Content(content));
            out.push(Change::Content(Node::Record(id).ino()));
        }
        What::Queue => out.push(Change::Content(content)),
        What::Record => {
            out.push(Change::Content(content));
            out.push(Change::Content(Node::Record(id).ino()));
            // A record that says more than the defaults appears, one that says less goes.
            if let Some(place) = &changed.place
                && let Ok(name) = Name::new(&place.name)
            {
                let name = names::sidecar(&name, suffix(place));
                out.push(Change::Name { dir: Node::Object(place.parent).ino(), name });
            }
        }
        What::Attr => out.push(Change::Attr(content)),
    }
}

fn names_of(place: Option<&Place>, out: &mut Vec<Change>) {
    let Some(place) = place else { return };
    let dir = Node::Object(place.parent).ino();
    out.extend(files_of(place).into_iter().map(|name| Change::Name { dir, name }));
    out.push(Change::Attr(dir));
}

fn suffix(place: &Place) -> Option<&str> {
    let suffix = place.suffix.trim_start_matches('.');
    (!suffix.is_empty()).then_some(suffix)
}

/// The names of an entry as files: the file itself comes first.
fn files_of(place: &Place) -> Vec<String> {
    if place.kind == EntryKind::Scratch {
        return vec![place.name.clone()];
    }
    let Ok(name) = Name::new(&place.name) else { return Vec::new() };
    let suffix = suffix(place);
    vec![
        names::file_name(&name, suffix),
        names::sidecar(&name, suffix),
        names::companion(&name, suffix),
    ]
}
