//! Creole 1.0 (rule: `tree/wiki`).

use super::html::Html;
use super::inline::{self, Mark, Notation};
use super::list::{Lists, item_of};

const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

const NOTATION: Notation = Notation {
    marks: &[
        Mark { mark: "**", tag: "strong", at_words: false, verbatim: false },
        Mark { mark: "//", tag: "em", at_words: false, verbatim: false },
        Mark { mark: "__", tag: "u", at_words: false, verbatim: false },
        Mark { mark: "^^", tag: "sup", at_words: false, verbatim: false },
        Mark { mark: ",,", tag: "sub", at_words: false, verbatim: false },
    ],
    special,
};

pub(super) fn render(text: &str) -> String {
    let mut out = Html::default();
    let mut lists = Lists::default();
    let mut paragraph = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed == "{{{" {
            finish(&mut out, &mut lists, &mut paragraph);
            out.open("pre");
            for line in lines.by_ref().take_while(|line| line.trim_end() != "}}}") {
                // A closing mark inside is written with a blank before it.
                let verbatim = if line.trim() == "}}}" { line.trim_start() } else { line };
                out.text(verbatim);
                out.line();
            }
            out.close("pre");
            out.line();
        } else if trimmed.is_empty() {
            finish(&mut out, &mut lists, &mut paragraph);
        } else if trimmed.len() >= 4 && trimmed.bytes().all(|byte| byte == b'-') {
            finish(&mut out, &mut lists, &mut paragraph);
            out.open("hr");
            out.line();
        } else if let Some((tag, title)) = heading(trimmed) {
            finish(&mut out, &mut lists, &mut paragraph);
            out.open(tag);
            inline::write(&NOTATION, &mut out, title, 0);
            out.close(tag);
            out.line();
        } else if trimmed.starts_with('|') {
            finish(&mut out, &mut lists, &mut paragraph);
            out.open("table");
            row(&mut out, trimmed);
            while let Some(next) = lines.next_if(|next| next.trim().starts_with('|')) {
                row(&mut out, next.trim());
            }
            out.close("table");
            out.line();
        } else if let Some((level, tag, text)) =
            item_of(line).filter(|(level, _, _)| *level == 1 || lists.is_open())
        {
            end_paragraph(&mut out, &mut paragraph);
            lists.item(&mut out, level, tag);
            inline::write(&NOTATION, &mut out, text, 0);
        } else if lists.is_open() {
            // A line without a mark goes on with the item.
            out.text("\n");
            inline::write(&NOTATION, &mut out, trimmed, 0);
        } else {
            if !paragraph.is_empty() {
                paragraph.push('\n');
            }
            paragraph.push_str(trimmed);
        }
    }
    finish(&mut out, &mut lists, &mut paragraph);
    out.done()
}

fn finish(out: &mut Html, lists: &mut Lists, paragraph: &mut String) {
    lists.end(out);
    end_paragraph(out, paragraph);
}

fn end_paragraph(out: &mut Html, paragraph: &mut String) {
    if !paragraph.is_empty() {
        out.open("p");
        inline::write(&NOTATION, out, paragraph, 0);
        out.close("p");
        out.line();
        paragraph.clear();
    }
}

fn heading(line: &str) -> Option<(&'static str, &str)> {
    let rest = line.trim_start_matches('=');
    let level = line.len() - rest.len();
    let tag = HEADINGS.get(level.checked_sub(1)?)?;
    Some((tag, rest.trim_end_matches('=').trim()))
}

fn row(out: &mut Html, line: &str) {
    out.open("tr");
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    for cell in cells(line) {
        let (tag, text) = match cell.strip_prefix('=') {
            Some(text) => ("th", text),
            None => ("td", cell),
        };
        out.open(tag);
        inline::write(&NOTATION, out, text.trim(), 0);
        out.close(tag);
    }
    out.close("tr");
}

/// Cells of a row: a bar inside a link or image separates nothing.
fn cells(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut inside) = (0, 0_usize);
    let bytes = line.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let doubled = at > 0 && bytes.get(at - 1) == Some(byte);
        match byte {
            b'[' | b'{' if doubled => inside += 1,
            b']' | b'}' if doubled => inside = inside.saturating_sub(1),
            b'|' if inside == 0 => {
                found.extend(line.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(line.get(from..));
    found
}

fn special(out: &mut Html, rest: &str, depth: usize) -> Option<usize> {
    if let Some(after) = rest.strip_prefix('~') {
        // A tilde takes the meaning of what follows; before a blank it is itself.
        let next = after.chars().next().filter(|next| !next.is_whitespace())?;
        let mut text = [0; 4];
        out.text(next.encode_utf8(&mut text));
        return Some(1 + next.len_utf8());
    }
    if rest.starts_with("\\\\") {
        out.open("br");
        return Some(2);
    }
    if let Some(inside) = between(rest, "{{{", "}}}") {
        out.element("code", inside);
        return Some(inside.len() + 6);
    }
    if let Some(inside) = between(rest, "[[", "]]") {
        let (target, label) = inside.split_once('|').unwrap_or((inside, inside));
        let (target, label) = (target.trim(), label.trim());
        out.link(target, |out| inline::write(&LABEL, out, label, depth + 1));
        return Some(inside.len() + 4);
    }
    if let Some(inside) = between(rest, "{{", "}}") {
        let (source, alt) = inside.split_once('|').unwrap_or((inside, ""));
        out.image(source.trim(), alt.trim());
        return Some(inside.len() + 4);
    }
    None
}

/// In a label there are marks and images but no links.
const LABEL: Notation = Notation { marks: NOTATION.marks, special: label };

fn label(out: &mut Html, rest: &str, _depth: usize) -> Option<usize> {
    if let Some(address) = super::html::bare_address(rest) {
        out.text(address);
        return Some(address.len());
    }
    let inside = between(rest, "{{", "}}")?;
    let (source, alt) = inside.split_once('|').unwrap_or((inside, ""));
    out.image(source.trim(), alt.trim());
    Some(inside.len() + 4)
}

fn between<'a>(rest: &'a str, open: &str, close: &str) -> Option<&'a str> {
    /// Bytes of a link, an image or a verbatim text in a line.
    const LENGTH_MAX: usize = 4096;
    let inside = rest.strip_prefix(open)?;
    let window = inside.len().min(LENGTH_MAX);
    let window = (0..=window).rev().find(|&end| inside.is_char_boundary(end))?;
    let end = inside.get(..window)?.find(close)?;
    inside.get(..end)
}
