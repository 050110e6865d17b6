//! Findings as text with the source beside them, as JSON, and as the field `errors`.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use indexmap::IndexMap;
use kompira_schema::catalogue::Lang;
use kompira_schema::message;
use serde_json::json;

use super::super::ast::Span;
use super::super::syntax::Lines;
use super::{Diagnostic, Severity};

/// How findings are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Language of the texts.
    pub lang: Lang,
    /// Neither colours nor line-drawing characters.
    pub plain: bool,
}

/// A finding as text: what, where with the line and a caret, notes and help.
///
/// `source` is the normalised source ([`super::super::Parsed::source`]), `file` its name.
#[must_use]
pub fn render(found: &Diagnostic, source: &str, file: &str, look: Look) -> String {
    let lang = look.lang;
    let level = match found.severity {
        Severity::Error => Level::ERROR.with_name(message!("lang.severity.error").text(lang)),
        Severity::Warning => Level::WARNING.with_name(message!("lang.severity.warning").text(lang)),
    };
    let about: Vec<_> = found.notes.iter().filter(|note| note.span.is_some()).collect();
    let contexts = about.iter().map(|note| {
        AnnotationKind::Context
            .span(range(note.span.unwrap_or_default(), source))
            .label(note.message.text(lang))
    });
    let snippet = Snippet::source(source)
        .path(file)
        .annotation(AnnotationKind::Primary.span(range(found.span, source)))
        .annotations(contexts);
    let mut group: Group<'_> =
        level.primary_title(found.message.text(lang)).id(found.code).element(snippet);
    for note in found.notes.iter().filter(|note| note.span.is_none()) {
        group = group.element(Level::NOTE.message(note.message.text(lang)));
    }
    if let Some(help) = &found.help {
        group = group.element(Level::HELP.message(help.text(lang)));
    }
    let renderer = if look.plain {
        Renderer::plain().decor_style(DecorStyle::Ascii)
    } else {
        Renderer::styled().decor_style(DecorStyle::Unicode)
    };
    renderer.render(&[group])
}

/// All findings, one below the other; empty if there are none.
#[must_use]
pub fn render_all(all: &[Diagnostic], source: &str, file: &str, look: Look) -> String {
    all.iter().map(|found| render(found, source, file, look) + "\n").collect()
}

/// The bytes of `span`, moved to where characters begin.
fn range(span: Span, source: &str) -> Range<usize> {
    let place = |offset: u32| {
        let mut at = (offset as usize).min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    place(span.start)..place(span.end.max(span.start))
}

/// The field `errors` of a jobflow: number of the line → message of its first error
/// (rule: `language/errors`).
#[must_use]
pub fn errors(all: &[Diagnostic], source: &str, lang: Lang) -> IndexMap<String, String> {
    let lines = Lines::new(source);
    let mut errors = IndexMap::new();
    for found in all.iter().filter(|found| found.severity == Severity::Error) {
        let line = lines.line(found.span.start).to_string();
        errors.entry(line).or_insert_with(|| found.message.text(lang));
    }
    errors
}

/// Findings for programs: `[{code, severity, message, line, column, end_line, end_column, notes,
/// help}]`; lines and columns from 1, columns in characters, the end is behind the last character.
#[must_use]
pub fn to_json(all: &[Diagnostic], source: &str, lang: Lang) -> serde_json::Value {
    let lines = Lines::new(source);
    all.iter()
        .map(|found| {
            let place = |span: Span| {
                let bytes = range(span, source);
                let at = |offset| lines.place(source, u32::try_from(offset).unwrap_or(u32::MAX));
                (at(bytes.start), at(bytes.end))
            };
            let (start, end) = place(found.span);
            let notes: Vec<_> = found
                .notes
                .iter()
                .map(|note| {
                    let start = note.span.map(|span| place(span).0);
                    json!({
                        "message": note.message.text(lang),
                        "line": start.map(|start| start.line),
                        "column": start.map(|start| start.column),
                    })
                })
                .collect();
            json!({
                "code": found.code,
                "severity": match found.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "message": found.message.text(lang),
                "line": start.line,
                "column": start.column,
                "end_line": end.line,
                "end_column": end.column,
                "notes": notes,
                "help": found.help.as_ref().map(|help| help.text(lang)),
            })
        })
        .collect()
}
