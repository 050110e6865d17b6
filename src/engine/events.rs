//! Who waits for which source of events. Being woken is a hint: the process looks for itself.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use kompira_schema::id::ProcessId;

use super::vm::request::Source;

/// Waiting processes by source, in the order in which they began to wait.
#[derive(Default)]
pub(super) struct Mailbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    lines: HashMap<Source, VecDeque<ProcessId>>,
    sources: HashMap<ProcessId, Vec<Source>>,
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

    /// Forgets a process.
    pub(super) fn leave_all(&self, id: ProcessId) {
        let mut waiting = self.0.lock();
        for source in waiting.sources.remove(&id).unwrap_or_default() {
            if let Some(line) = waiting.lines.get_mut(&source) {
                line.retain(|&other| other != id);
                if line.is_empty() {
                    waiting.lines.remove(&source);
                }
            }
        }
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

    /// Every source that somebody waits for.
    pub(super) fn sources(&self) -> Vec<Source> {
        self.0.lock().lines.keys().copied().collect()
    }
}
