//! Nested lists, the same way for Creole and Textile.

use super::html::Html;

/// Levels of a list.
const DEPTH_MAX: usize = 16;

/// The lists that are open.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<&'static str>);

impl Lists {
    /// Begins an item at a level (from 1), of a list `ul` or `ol`.
    pub(super) fn item(&mut self, out: &mut Html, level: usize, tag: &'static str) {
        let level = level.clamp(1, DEPTH_MAX);
        while self.0.len() > level || self.0.len() == level && self.0.last() != Some(&tag) {
            self.close_one(out);
        }
        if self.0.len() == level {
            out.close("li");
        }
        while self.0.len() < level {
            // A level that was left out gets an item of its own, so that the HTML stays right.
            let inner = self.0.len() + 1 < level;
            out.open(tag);
            self.0.push(tag);
            if inner {
                out.open("li");
            }
        }
        out.open("li");
    }

    /// Whether an item is open.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_empty()
    }

    /// Ends all lists.
    pub(super) fn end(&mut self, out: &mut Html) {
        let open = self.is_open();
        while !self.0.is_empty() {
            self.close_one(out);
        }
        if open {
            out.line();
        }
    }

    fn close_one(&mut self, out: &mut Html) {
        if let Some(tag) = self.0.pop() {
            out.close("li");
            out.close(tag);
        }
    }
}

/// The level and kind of a line that begins with `*`, `#` or a row of them, and what follows.
pub(super) fn item_of(line: &str) -> Option<(usize, &'static str, &str)> {
    let line = line.trim_start();
    let first = line.chars().next().filter(|next| matches!(next, '*' | '#'))?;
    let rest = line.trim_start_matches(['*', '#']);
    let level = line.len() - rest.len();
    let last = line.as_bytes().get(level - 1).map_or(first, |byte| char::from(*byte));
    let tag = if last == '#' { "ol" } else { "ul" };
    let text = rest.strip_prefix(' ')?;
    Some((level, tag, text.trim()))
}
