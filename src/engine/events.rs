//! Who waits for which source of events. Being woken is a hint: the process looks for itself.
//!
//! A message goes to the one that waits longest and takes it (rule: `tree/channel-action`), so the
//! receivers of a channel are asked one after another: the next is woken when the one before has
//! looked and left it, or has gone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::Ref;

use super::Engine;
use super::inner::Inner;
use super::vm::request::Source;
use crate::tree::{Receiver, Receivers};

/// Waiting processes by source, in the order in which they began to wait.
#[derive(Default)]
pub(super) struct Mailbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: HashMap<Source, VecDeque<ProcessId>>,
    sources: HashMap<ProcessId, Vec<Source>>,
    rounds: HashMap<Source, Round>,
}

/// The receivers of a channel are being asked.
struct Round {
    current: ProcessId,
    rest: VecDeque<ProcessId>,
    /// Another message came meanwhile.
    again: bool,
}

impl Waiting {
    /// Begins a round; answers who is asked first.
    fn begin(&mut self, source: Source) -> Option<ProcessId> {
        let mut rest = self.lines.get(&source)?.clone();
        let current = rest.pop_front()?;
        self.rounds.insert(source, Round { current, rest, again: false });
        Some(current)
    }

    /// Goes on with the rounds that wait for a process; answers who is asked next.
    fn advance(&mut self, id: ProcessId) -> Vec<ProcessId> {
        let sources: Vec<Source> = self
            .rounds
            .iter()
            .filter(|(_, round)| round.current == id)
            .map(|(source, _)| *source)
            .collect();
        let mut next = Vec::new();
        for source in sources {
            let Some(mut round) = self.rounds.remove(&source) else { continue };
            let line = self.lines.get(&source);
            let stands = |id: &ProcessId| line.is_some_and(|line| line.contains(id));
            let follower = loop {
                match round.rest.pop_front() {
                    Some(one) if !stands(&one) => {}
                    other => break other,
                }
            };
            match follower {
                Some(current) => {
                    self.rounds.insert(source, Round { current, ..round });
                    next.push(current);
                }
                None if round.again => next.extend(self.begin(source)),
                None => {}
            }
        }
        next
    }
}

impl Engine {
    /// Knows the processes that wait for messages, as long as the engine is there.
    #[must_use]
    pub fn receivers(&self) -> impl Receivers + use<> {
        Waiters(Arc::downgrade(&self.inner))
    }
}

struct Waiters(Weak<Inner>);

impl Receivers for Waiters {
    fn count(&self, channel: ObjectId) -> usize {
        let source = Source::Reference(Ref::Object(channel));
        self.0.upgrade().map_or(0, |inner| inner.mailbox.count(source))
    }

    fn first(&self, channel: ObjectId, limit: usize) -> Vec<Receiver> {
        let Some(inner) = self.0.upgrade() else { return Vec::new() };
        let waiting = inner.mailbox.waiting(Source::Reference(Ref::Object(channel)));
        waiting.into_iter().take(limit).map(Receiver::Process).collect()
    }
}

impl Mailbox {
    /// Notes that a process waits for these sources.
    pub(super) fn wait(&self, id: ProcessId, sources: impl IntoIterator<Item = Source>) {
        let mut waiting = self.0.lock();
        for source in sources {
            let line = waiting.lines.entry(source).or_default();
            if !line.contains(&id) {
                line.push_back(id);
                waiting.sources.entry(id).or_default().push(source);
            }
        }
    }

    /// A message came: answers who is to be woken, unless somebody is looking already.
    pub(super) fn ask(&self, source: Source) -> Option<ProcessId> {
        let mut waiting = self.0.lock();
        match waiting.rounds.get_mut(&source) {
            Some(round) => {
                round.again = true;
                None
            }
            None => waiting.begin(source),
        }
    }

    /// Whether receivers are being asked.
    pub(super) fn is_asking(&self, source: Source) -> bool {
        self.0.lock().rounds.contains_key(&source)
    }

    /// A process has looked, and waits on; answers who is to be woken next.
    #[must_use]
    pub(super) fn looked(&self, id: ProcessId) -> Vec<ProcessId> {
        self.0.lock().advance(id)
    }

    /// Forgets a process; answers who is to be woken in its place.
    #[must_use]
    pub(super) fn leave_all(&self, id: ProcessId) -> Vec<ProcessId> {
        let mut waiting = self.0.lock();
        for source in waiting.sources.remove(&id).unwrap_or_default() {
            if let Some(line) = waiting.lines.get_mut(&source) {
                line.retain(|&other| other != id);
                if line.is_empty() {
                    waiting.lines.remove(&source);
                }
            }
        }
        waiting.advance(id)
    }

    /// Those who wait for a source, first come first.
    pub(super) fn waiting(&self, source: Source) -> Vec<ProcessId> {
        self.0
            .lock()
            .lines
            .get(&source)
            .map(|line| line.iter().copied().collect())
            .unwrap_or_default()
    }

    /// How many wait for a source.
    fn count(&self, source: Source) -> usize {
        self.0.lock().lines.get(&source).map_or(0, VecDeque::len)
    }

    /// Every source that somebody waits for.
    pub(super) fn sources(&self) -> Vec<Source> {
        self.0.lock().lines.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: Source = Source::Reference(Ref::Object(ObjectId(7)));

    fn three() -> Mailbox {
        let mailbox = Mailbox::default();
        for id in 1..=3 {
            mailbox.wait(ProcessId(id), [CHANNEL]);
        }
        mailbox
    }

    // rule: tree/channel-action
    #[test]
    fn receivers_are_asked_in_the_order_of_waiting_one_after_another() {
        let mailbox = three();
        assert_eq!(mailbox.ask(CHANNEL), Some(ProcessId(1)));
        assert_eq!(mailbox.looked(ProcessId(3)), [], "it is not its turn");
        assert_eq!(mailbox.looked(ProcessId(1)), [ProcessId(2)]);
        assert_eq!(mailbox.leave_all(ProcessId(3)), []);
        assert_eq!(mailbox.looked(ProcessId(2)), [], "the third has gone");
        assert!(!mailbox.is_asking(CHANNEL));
        assert_eq!(mailbox.ask(CHANNEL), Some(ProcessId(1)));
    }

    // rule: tree/channel-action
    #[test]
    fn a_message_that_comes_meanwhile_is_asked_for_afterwards() {
        let mailbox = three();
        assert_eq!(mailbox.ask(CHANNEL), Some(ProcessId(1)));
        assert_eq!(mailbox.ask(CHANNEL), None, "somebody is looking");
        assert_eq!(mailbox.leave_all(ProcessId(1)), [ProcessId(2)]);
        assert_eq!(mailbox.looked(ProcessId(2)), [ProcessId(3)]);
        assert_eq!(mailbox.looked(ProcessId(3)), [ProcessId(2)], "the second message");
        assert_eq!(mailbox.leave_all(ProcessId(2)), [ProcessId(3)]);
        assert_eq!(mailbox.leave_all(ProcessId(3)), []);
        assert_eq!(mailbox.ask(CHANNEL), None, "nobody waits");
    }
}
