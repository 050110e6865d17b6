//! Wakes requests that wait for a change: no thread per request (rule: http/long-polls).
//!
//! One thread reads the change feed. Being woken is a hint: who is woken looks for himself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Ref;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::base::shutdown::Shutdown;
use crate::store::{Fed, Store, Subscription};
use crate::tree::{Receiver, Receivers};

/// How often the thread looks whether the server stops.
const LOOK: Duration = Duration::from_millis(500);

/// Who waits for what.
#[derive(Debug)]
pub struct Hub {
    lines: Mutex<HashMap<Ref, Line>>,
    revision: watch::Sender<Rev>,
}

/// Those who wait for one thing, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// A place in a line; dropping it leaves the line and lets the next one look.
#[derive(Debug)]
pub(super) struct Place {
    hub: Arc<Hub>,
    subject: Ref,
    number: u64,
    bell: Arc<Notify>,
}

impl Hub {
    /// Begins to read the feed of a store, until the server stops.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(store: &Store, shutdown: &Shutdown) -> std::io::Result<Arc<Self>> {
        let (revision, _) = watch::channel(store.rev());
        let hub = Arc::new(Self { lines: Mutex::default(), revision });
        let (feed, shutdown, told) = (store.subscribe(), shutdown.clone(), Arc::clone(&hub));
        std::thread::Builder::new()
            .name("http-feed".to_owned())
            .spawn(move || told.listen(&feed, &shutdown))?;
        Ok(hub)
    }

    fn listen(&self, feed: &Subscription, shutdown: &Shutdown) {
        use crossbeam_channel::RecvTimeoutError;
        while !shutdown.begun() {
            match feed.recv_timeout(LOOK) {
                Ok(Fed::Commit(commit)) => {
                    for changed in &commit.changes {
                        self.tell(changed.subject);
                    }
                    self.revision.send_replace(commit.rev);
                }
                // Anything may have happened: everybody looks.
                Ok(Fed::Missed) => {
                    self.tell_all();
                    self.revision.send_modify(|_| {});
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// A message goes to one: the first of a line is woken. Who leaves wakes the next.
    fn tell(&self, subject: Ref) {
        let lines = self.lines.lock();
        let Some(line) = lines.get(&subject) else { return };
        match subject {
            Ref::Object(_) => {
                if let Some((_, bell)) = line.waiting.first_key_value() {
                    bell.notify_one();
                }
            }
            _ => line.waiting.values().for_each(|bell| bell.notify_one()),
        }
    }

    fn tell_all(&self) {
        for line in self.lines.lock().values() {
            line.waiting.values().for_each(|bell| bell.notify_one());
        }
    }

    /// Queues up for a subject.
    pub(super) fn join(self: &Arc<Self>, subject: Ref) -> Place {
        let bell = Arc::new(Notify::new());
        let mut lines = self.lines.lock();
        let line = lines.entry(subject).or_default();
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, Arc::clone(&bell));
        Place { hub: Arc::clone(self), subject, number, bell }
    }

    /// The revisions of commits as they come.
    pub(super) fn revisions(&self) -> watch::Receiver<Rev> {
        self.revision.subscribe()
    }

    /// Knows the requests that wait for messages of a channel, as long as the hub is there.
    #[must_use]
    pub fn receivers(self: &Arc<Self>) -> impl Receivers + use<> {
        Requests(Arc::downgrade(self))
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.lines.lock().values().map(|line| line.waiting.len()).sum()
    }
}

struct Requests(Weak<Hub>);

impl Receivers for Requests {
    fn count(&self, channel: ObjectId) -> usize {
        let Some(hub) = self.0.upgrade() else { return 0 };
        let lines = hub.lines.lock();
        lines.get(&Ref::Object(channel)).map_or(0, |line| line.waiting.len())
    }

    fn first(&self, channel: ObjectId, limit: usize) -> Vec<Receiver> {
        let Some(hub) = self.0.upgrade() else { return Vec::new() };
        let lines = hub.lines.lock();
        let waiting =
            lines.get(&Ref::Object(channel)).into_iter().flat_map(|line| line.waiting.keys());
        waiting.take(limit).map(|number| Receiver::Request(*number)).collect()
    }
}

impl Place {
    /// Whether nobody came earlier.
    pub(super) fn is_first(&self) -> bool {
        let lines = self.hub.lines.lock();
        let first = lines.get(&self.subject).and_then(|line| line.waiting.first_key_value());
        first.is_none_or(|(number, _)| *number == self.number)
    }

    /// Waits until there may be something to see.
    pub(super) async fn woken(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.hub.lines.lock();
        let Some(line) = lines.get_mut(&self.subject) else { return };
        line.waiting.remove(&self.number);
        match line.waiting.first_key_value() {
            Some((_, bell)) => bell.notify_one(),
            None => {
                lines.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kompira_schema::id::{ObjectId, ProcessId};

    fn hub() -> Arc<Hub> {
        Hub::start(&Store::memory(), &Shutdown::new()).unwrap()
    }

    async fn is_woken(place: &Place) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.woken()).await.is_ok()
    }

    // rule: http/long-polls
    #[tokio::test]
    async fn the_first_of_a_line_is_woken_and_who_leaves_wakes_the_next() {
        let (hub, channel) = (hub(), Ref::Object(ObjectId(7)));
        let (first, second) = (hub.join(channel), hub.join(channel));
        assert!(first.is_first() && !second.is_first());
        hub.tell(channel);
        assert!(is_woken(&first).await);
        assert!(!is_woken(&second).await);
        drop(first);
        assert!(is_woken(&second).await && second.is_first());
        assert_eq!(hub.waiting(), 1);
        drop(second);
        assert_eq!(hub.waiting(), 0);
    }

    // rule: http/long-polls
    #[tokio::test]
    async fn the_end_of_a_process_is_told_to_all() {
        let (hub, process) = (hub(), Ref::Process(ProcessId(7)));
        let places = [hub.join(process), hub.join(process)];
        hub.tell(process);
        for place in &places {
            assert!(is_woken(place).await);
        }
    }
}
