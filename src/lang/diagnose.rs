//! What is wrong with a source, where, and what to do about it (rule: language/errors).

use kompira_schema::error::Message;

use super::ast::Span;

mod render;
#[cfg(test)]
mod tests;

pub use render::{Look, errors, render, render_all, to_json};

/// Most findings kept of one source; more would help nobody.
pub const DIAGNOSTICS_MAX: usize = 100;

/// Whether a finding keeps the program from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The program is not executable.
    Error,
    /// The program runs; the author should look.
    Warning,
}

/// A remark on a finding, perhaps about another place of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The place, if the remark is about one.
    pub span: Option<Span>,
    /// The remark.
    pub message: Message,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// `K01` to `K15`; warnings `W01` and up.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: Message,
    /// More about it.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Option<Message>,
}

impl Diagnostic {
    /// An error without remarks.
    #[must_use]
    pub const fn error(code: &'static str, span: Span, message: Message) -> Self {
        Self { code, severity: Severity::Error, span, message, notes: Vec::new(), help: None }
    }

    /// A warning without remarks.
    #[must_use]
    pub const fn warning(code: &'static str, span: Span, message: Message) -> Self {
        Self { code, severity: Severity::Warning, span, message, notes: Vec::new(), help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: Message) -> Self {
        self.help = Some(help);
        self
    }

    /// Adds a remark about `span`.
    #[must_use]
    pub fn with_note(mut self, span: Option<Span>, message: Message) -> Self {
        self.notes.push(Note { span, message });
        self
    }
}

/// Findings in the order in which they were made, at most [`DIAGNOSTICS_MAX`].
///
/// A second error at the place of the last one is dropped: it only follows from the first.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Diagnostic>);

impl Findings {
    pub(super) fn push(&mut self, found: Diagnostic) {
        let follows = self.0.last().is_some_and(|last| {
            last.severity == Severity::Error && last.span.start == found.span.start
        });
        if !follows && self.0.len() < DIAGNOSTICS_MAX {
            self.0.push(found);
        }
    }

    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}
