//! Tells the kernel what to forget.
//!
//! Architecture invariant: only this module's own thread sends notifications. One sent from inside
//! a request, or under a lock that a request needs, would wait for that request for ever.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use fuser::{INodeNo, Notifier};
use kompira_schema::tree::{Change, Changes, FileTree};

/// Commits that may wait for the kernel. Past it, names and attributes grow stale for as long as
/// their time-out lasts, and that is all that is lost.
const QUEUE_COMMITS_MAX: usize = 65_536;

/// Follows the tree's changes until the mount is gone.
pub(crate) fn start(tree: &Arc<dyn FileTree>, notifier: Notifier, gone: Arc<AtomicBool>) {
    let (sender, receiver) = sync_channel(QUEUE_COMMITS_MAX);
    watch(tree, sender, Arc::clone(&gone));
    let spawned = thread::Builder::new()
        .name("mount-notify".into())
        .spawn(move || forward(&receiver, &notifier, &gone));
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for notifications: caches end by time alone");
    }
}

fn watch(tree: &Arc<dyn FileTree>, sender: SyncSender<Vec<Change>>, gone: Arc<AtomicBool>) {
    tree.watch(Box::new(move |changes: &Changes| {
        if gone.load(Ordering::Relaxed) {
            return false;
        }
        if changes.changes.is_empty() {
            return true;
        }
        match sender.try_send(changes.changes.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::warn!("the kernel is behind with notifications");
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }));
}

fn forward(receiver: &Receiver<Vec<Change>>, notifier: &Notifier, gone: &AtomicBool) {
    for changes in receiver {
        if gone.load(Ordering::Relaxed) {
            return;
        }
        for change in &changes {
            if let Err(error) = tell(notifier, change) {
                tracing::debug!(%error, ?change, "the kernel refused a notification");
            }
        }
    }
}

fn tell(notifier: &Notifier, change: &Change) -> std::io::Result<()> {
    match change {
        Change::Name { dir, name } => notifier.inval_entry(INodeNo(dir.0), OsStr::new(name)),
        Change::Gone { dir, ino, name } => {
            // `delete` tells inotify watchers too, but the kernel refuses it when the name has
            // come to mean another node meanwhile.
            let (dir, name) = (INodeNo(dir.0), OsStr::new(name));
            notifier.delete(dir, INodeNo(ino.0), name).or_else(|_| notifier.inval_entry(dir, name))
        }
        // A negative offset leaves the pages alone.
        Change::Attr(ino) => notifier.inval_inode(INodeNo(ino.0), -1, 0),
        Change::Content(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
        // Nothing names every cached node; the time-outs bound what may be stale.
        Change::All => Ok(()),
    }
}
