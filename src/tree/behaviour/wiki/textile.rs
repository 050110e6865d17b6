//! Textile (rule: `tree/wiki`).

use super::html::{Html, bare_address};
use super::inline::{self, Mark, Notation};
use super::list::{Lists, item_of};

const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

const fn mark(mark: &'static str, tag: &'static str) -> Mark {
    Mark { mark, tag, at_words: true, verbatim: false }
}

const NOTATION: Notation = Notation {
    marks: &[
        Mark { mark: "@", tag: "code", at_words: true, verbatim: true },
        mark("**", "b"),
        mark("__", "i"),
        mark("??", "cite"),
        mark("*", "strong"),
        mark("_", "em"),
        mark("-", "del"),
        mark("+", "ins"),
        mark("^", "sup"),
        mark("~", "sub"),
    ],
    special,
};

pub(super) fn render(text: &str) -> String {
    let mut out = Html::default();
    let text = text.replace("\r\n", "\n");
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if !block.trim().is_empty() {
            write_block(&mut out, block);
            out.line();
        }
    }
    out.done()
}

fn write_block(out: &mut Html, block: &str) {
    if let Some((signature, rest)) = block.split_once(". ")
        && let Some(tag) = tag_of(signature)
    {
        match tag {
            "pre" => {
                out.open("pre");
                if signature == "bc" {
                    out.element("code", rest);
                } else {
                    out.text(rest);
                }
                out.close("pre");
            }
            "blockquote" => {
                out.open(tag);
                out.open("p");
                lines(out, rest);
                out.close("p");
                out.close(tag);
            }
            _ => {
                out.open(tag);
                lines(out, rest);
                out.close(tag);
            }
        }
    } else if block.trim_start().starts_with('|') {
        out.open("table");
        for line in block.lines() {
            row(out, line.trim());
        }
        out.close("table");
    } else if item_of(block).is_some() {
        let mut lists = Lists::default();
        for line in block.lines() {
            match item_of(line) {
                Some((level, tag, text)) => {
                    lists.item(out, level, tag);
                    inline::write(&NOTATION, out, text, 0);
                }
                None => {
                    out.text("\n");
                    inline::write(&NOTATION, out, line.trim(), 0);
                }
            }
        }
        lists.end(out);
    } else {
        out.open("p");
        lines(out, block);
        out.close("p");
    }
}

/// The element of `h1`, `p`, `bq`, `bc`, `pre`; classes and styles of a signature have no effect.
fn tag_of(signature: &str) -> Option<&'static str> {
    let end = signature.find(['(', '{', '[', '<', '>', '=']).unwrap_or(signature.len());
    match signature.get(..end)? {
        "p" => Some("p"),
        "bq" => Some("blockquote"),
        "bc" | "pre" => Some("pre"),
        word => {
            let level: usize = word.strip_prefix('h')?.parse().ok()?;
            HEADINGS.get(level.checked_sub(1)?).copied()
        }
    }
}

/// Lines of a paragraph: each ends where the writer ended it.
fn lines(out: &mut Html, text: &str) {
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            out.open("br");
            out.line();
        }
        inline::write(&NOTATION, out, line, 0);
    }
}

fn row(out: &mut Html, line: &str) {
    out.open("tr");
    let line = line.strip_prefix('|').unwrap_or(line);
    for cell in line.strip_suffix('|').unwrap_or(line).split('|') {
        let (tag, text) = match cell.trim_start().strip_prefix("_.") {
            Some(text) => ("th", text),
            None => ("td", cell),
        };
        out.open(tag);
        inline::write(&NOTATION, out, text.trim(), 0);
        out.close(tag);
    }
    out.close("tr");
}

fn special(out: &mut Html, rest: &str, depth: usize) -> Option<usize> {
    /// Bytes of a label or an address.
    const LENGTH_MAX: usize = 4096;
    if let Some(inside) = rest.strip_prefix("==") {
        let end = inside.find("==").filter(|end| *end <= LENGTH_MAX)?;
        out.text(inside.get(..end)?);
        return Some(end + 4);
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let end = inside.find("\":").filter(|end| *end > 0 && *end <= LENGTH_MAX)?;
        let label = inside.get(..end)?;
        let after = inside.get(end + 2..)?;
        let length = after.find(char::is_whitespace).unwrap_or(after.len());
        let target = bare_address(after).unwrap_or_else(|| {
            let word = after.get(..length).unwrap_or_default();
            word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')'])
        });
        if label.contains('"') || target.is_empty() {
            return None;
        }
        out.link(target, |out| inline::write(&LABEL, out, label, depth + 1));
        return Some(1 + end + 2 + target.len());
    }
    if let Some(inside) = rest.strip_prefix('!') {
        let end = inside.find('!').filter(|end| *end > 0 && *end <= LENGTH_MAX)?;
        let image = inside.get(..end)?;
        let (source, alt) = match image.strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((source, alt)) => (source, alt),
            None => (image, ""),
        };
        if source.contains(char::is_whitespace) {
            return None;
        }
        out.image(source, alt);
        return Some(end + 2);
    }
    None
}

const LABEL: Notation = Notation { marks: NOTATION.marks, special: label };

fn label(out: &mut Html, rest: &str, _depth: usize) -> Option<usize> {
    let address = bare_address(rest)?;
    out.text(address);
    Some(address.len())
}
