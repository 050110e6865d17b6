//! What an action adds to the log of its object.

use jiff::Timestamp;
use kompira_schema::catalogue::Lang;
use kompira_schema::error::Fault;

use super::Action;
use crate::transfer::import::Event;

/// Most lines of one action. Source: ours; the log is for a person.
const LINES_MAX: usize = 300;
/// Most of them about what was imported: what was kept, moved and deleted must not be lost.
const IMPORTED_MAX: usize = 100;

/// Lines of one action. They are in one language, as those of an import are.
pub(super) struct Journal {
    head: String,
    lines: Vec<String>,
    imported: usize,
    more: usize,
    /// What paths of files begin with, which is not told.
    within: String,
}

impl Journal {
    pub(super) fn new(now: Timestamp, action: &Action) -> Self {
        let branch = action.branch().map(|branch| format!(" {branch}")).unwrap_or_default();
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ");
        let head = format!("{now} {}{branch}", action.name());
        Self { head, lines: Vec::new(), imported: 0, more: 0, within: String::new() }
    }

    /// Files below this directory are told relative to it.
    pub(super) fn within(&mut self, dir: &str) {
        dir.clone_into(&mut self.within);
    }

    /// Adds a line.
    pub(super) fn say(&mut self, line: impl Into<String>) {
        if self.lines.len() < LINES_MAX {
            let line: String = line.into();
            let cut = if self.within.is_empty() { line } else { line.replace(&self.within, "") };
            self.lines.push(cut);
        } else {
            self.more += 1;
        }
    }

    /// Adds the last line, whatever there was before.
    pub(super) fn failed(&mut self, fault: &Fault) {
        let text = fault.text(Lang::En).replace('\n', "\n    ");
        self.lines.push(format!("failed: {text}"));
    }

    /// Adds a line that must not be lost, before the last.
    pub(super) fn warn(&mut self, line: String) {
        let at = self.lines.len().saturating_sub(1);
        self.lines.insert(at, format!("warning: {}", line.replace('\n', "; ")));
    }

    /// Adds what an import tells of one object.
    pub(super) fn tell(&mut self, event: &Event) {
        match event {
            // What came in is told; which of its fields did, is not.
            Event::Line(line) if line.starts_with("import fields") => {}
            Event::Line(line) if line.starts_with("import object") => {
                self.imported += 1;
                if self.imported <= IMPORTED_MAX {
                    self.say(line.clone());
                } else {
                    self.more += 1;
                }
            }
            Event::Line(line) => self.say(line.clone()),
            Event::Warning { at, told } => {
                self.say(format!("warning: {at}: {}", told.text(Lang::En)));
            }
            Event::Error { at, fault } => {
                self.say(format!("error: {at}: {}", fault.text(Lang::En).replace('\n', "; ")));
            }
        }
    }

    /// Adds what came of it, whatever there was before.
    pub(super) fn done(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.head);
        let (last, before) = match self.lines.split_last() {
            Some((last, before)) => (Some(last), before),
            None => (None, &[][..]),
        };
        for line in before {
            text.extend(["  ", line, "\n"]);
        }
        if self.more > 0 {
            text.push_str(&format!("  and {} more lines\n", self.more));
        }
        if let Some(line) = last {
            text.extend(["  ", line, "\n"]);
        }
        text
    }
}
