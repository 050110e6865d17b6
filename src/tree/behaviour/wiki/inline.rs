//! Marks inside a line, the same way for Creole and Textile.

use super::html::{Html, bare_address};

/// Marks within marks.
const DEPTH_MAX: usize = 16;
/// Bytes between a mark and its partner.
const SPAN_MAX: usize = 4096;

/// `MARK text MARK` becomes `<tag>text</tag>`.
pub(super) struct Mark {
    pub(super) mark: &'static str,
    pub(super) tag: &'static str,
    /// Only at the borders of words, as Textile has it.
    pub(super) at_words: bool,
    /// What is inside is text.
    pub(super) verbatim: bool,
}

/// A notation's links, images and escapes: how many bytes of the text they took.
pub(super) type Special = fn(&mut Html, &str, usize) -> Option<usize>;

pub(super) struct Notation {
    pub(super) marks: &'static [Mark],
    pub(super) special: Special,
}

/// Writes the text of a line or paragraph.
pub(super) fn write(notation: &Notation, out: &mut Html, text: &str, depth: usize) {
    let mut at = 0;
    let mut plain = 0;
    let mut before: Option<char> = None;
    while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let mut part = Html::default();
        let taken = if depth >= DEPTH_MAX {
            None
        } else {
            (notation.special)(&mut part, rest, depth)
                .or_else(|| marked(notation, &mut part, rest, before, depth))
                .or_else(|| {
                    let address = bare_address(rest)?;
                    part.link(address, |part| part.text(address));
                    Some(address.len())
                })
        };
        if let Some(taken) = taken {
            out.text(text.get(plain..at).unwrap_or_default());
            out.append(part);
            at += taken;
            plain = at;
            before = text.get(..at).and_then(|done| done.chars().next_back());
        } else {
            at += next.len_utf8();
            before = Some(next);
        }
    }
    out.text(text.get(plain..).unwrap_or_default());
}

fn marked(
    notation: &Notation,
    out: &mut Html,
    rest: &str,
    before: Option<char>,
    depth: usize,
) -> Option<usize> {
    let mark = notation.marks.iter().find(|mark| rest.starts_with(mark.mark))?;
    let length = mark.mark.len();
    if mark.at_words && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let inner = rest.get(length..)?;
    let end = partner(mark, inner)?;
    let inside = inner.get(..end)?;
    out.open(mark.tag);
    if mark.verbatim {
        out.text(inside);
    } else {
        write(notation, out, inside, depth + 1);
    }
    out.close(mark.tag);
    Some(length + end + length)
}

/// Where the closing mark stands.
fn partner(mark: &Mark, inner: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let found = inner.get(from..)?.find(mark.mark)? + from;
        if found > SPAN_MAX {
            return None;
        }
        let inside = inner.get(..found)?;
        let behind = inner.get(found + mark.mark.len()..)?.chars().next();
        let spaced =
            inside.starts_with(char::is_whitespace) || inside.ends_with(char::is_whitespace);
        let fits = !inside.is_empty()
            && (!mark.at_words || (!spaced && !behind.is_some_and(char::is_alphanumeric)));
        if fits {
            return Some(found);
        }
        from = found + mark.mark.len();
    }
}
