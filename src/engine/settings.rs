//! What of a command is shown on the console (rule: `operations/console-settings`).

use std::sync::Arc;

use parking_lot::Mutex;

use kompira_schema::id::ObjectId;
use kompira_schema::value::{Dict, Value};

use super::inner::myself;
use crate::store::Basis;
use crate::tree::{Tree, Txn, View};

/// The settings of `/system/config` about consoles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Show {
    /// Shows each command line, in this form.
    pub(super) command: Option<String>,
    pub(super) stdout: Option<Cut>,
    pub(super) stderr: Option<Cut>,
    pub(super) session: Option<Cut>,
}

/// The form of a command line that is shown.
const FORMAT: &str = "[{username}@{hostname}]{sudomark} {command}";

/// The settings as they were last read, and what has to stay for them to hold. They are asked for
/// with each command and hardly ever change.
#[derive(Default)]
pub(super) struct Shows(Mutex<Option<(Basis, Arc<Show>)>>);

impl Shows {
    /// The settings; what is not set or does not fit is as documented.
    pub(super) fn read(&self, tree: &Tree) -> Arc<Show> {
        let mut kept = self.0.lock();
        if let Some((_, show)) = kept.as_ref().filter(|(basis, _)| tree.store().holds(basis)) {
            return Arc::clone(show);
        }
        // Every change of the object changes its header. Taken before the object is read: a change
        // in between makes the basis too old, never too new.
        let watched = tree.watched();
        let head = config(&watched).map(|id| watched.head(id));
        let basis = watched.basis().filter(|_| !matches!(head, Some(Err(_))));
        let show = Arc::new(Show::of(&data(&tree.view()).unwrap_or_default()));
        *kept = basis.map(|basis| (basis, Arc::clone(&show)));
        show
    }

    /// As [`Shows::read`], with what the transaction itself has changed.
    pub(super) fn read_in(&self, tree: &Tree, txn: &Txn) -> Arc<Show> {
        if txn.changes_objects() {
            return Arc::new(Show::of(&data(txn).unwrap_or_default()));
        }
        self.read(tree)
    }
}

impl Show {
    fn of(data: &Dict) -> Self {
        let on = |key: &str, default: bool| match data.get(key) {
            Some(Value::Bool(on)) => *on,
            _ => default,
        };
        let text = |key: &str| match data.get(key) {
            Some(Value::Str(text)) => text.as_str(),
            _ => "",
        };
        let format = text("showCommandFormat");
        let format = if format.is_empty() { FORMAT } else { format };
        Self {
            command: on("showCommandEnabled", false).then(|| format.to_owned()),
            stdout: on("showStdoutEnabled", true).then(|| Cut::parse(text("showStdoutFilter"))),
            stderr: on("showStderrEnabled", true).then(|| Cut::parse(text("showStderrFilter"))),
            session: on("showSessionEnabled", true).then(|| Cut::parse(text("showSessionFilter"))),
        }
    }
}

/// One of the settings.
pub(super) fn value(view: &View, key: &str) -> Option<Value> {
    data(view)?.shift_remove(key)
}

fn config(view: &View) -> Option<ObjectId> {
    let path = kompira_schema::path::ObjectPath::parse("/system/config").ok()?;
    view.find_path(&path).ok()?
}

fn data(view: &View) -> Option<Dict> {
    view.get(&myself(), config(view)?).ok()?.data
}

/// Lets so much of an output pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    left: Option<(usize, bool)>,
    told: bool,
}

impl Cut {
    /// Reads a filter: nothing, `<n>` characters, or `<n>L` lines.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim();
        let lines = unit.eq_ignore_ascii_case("l") || unit.eq_ignore_ascii_case("lines");
        let left = number.parse::<i64>().ok().map(|n| (usize::try_from(n).unwrap_or(0), lines));
        Self { left, told: left.is_some_and(|(n, _)| n == 0) }
    }

    /// What of `text` is shown.
    pub(super) fn pass(&mut self, text: &str) -> String {
        let Some((left, lines)) = &mut self.left else { return text.to_owned() };
        let mut shown = String::new();
        for c in text.chars() {
            if *left == 0 {
                if !self.told {
                    self.told = true;
                    shown.push_str("...\n");
                }
                break;
            }
            shown.push(c);
            if !*lines || c == '\n' {
                *left -= 1;
            }
        }
        shown
    }
}

/// Fills a form; unknown items are dropped. `None` when its braces do not match.
pub(super) fn fill(format: &str, items: &[(&str, &str)]) -> Option<String> {
    let mut line = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, tail) = rest.split_at(at);
        line.push_str(before);
        if tail.starts_with("{{") || tail.starts_with("}}") {
            line.push_str(tail.get(..1)?);
            rest = tail.get(2..)?;
            continue;
        }
        let (name, after) = tail.strip_prefix('{')?.split_once('}')?;
        let value = items.iter().find(|(item, _)| *item == name).map(|(_, value)| *value);
        line.push_str(value.unwrap_or(""));
        rest = after;
    }
    line.push_str(rest);
    Some(line)
}

/// The line before a command, in the set form or else the documented one.
pub(super) fn command_line(format: &str, items: &[(&str, &str)]) -> String {
    let line = fill(format, items).or_else(|| fill(FORMAT, items)).unwrap_or_default();
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/console-settings
    #[test]
    fn a_filter_counts_characters_or_lines_and_says_once_that_there_is_more() {
        for (filter, pieces, shown) in [
            ("", &["a\nb"][..], "a\nb"),
            ("3", &["abc", "", "d", "e"], "abc...\n"),
            ("3", &["abc"], "abc"),
            ("2L", &["1\n", "2\n3\n4"], "1\n2\n...\n"),
            ("1 lines", &["1\n2"], "1\n...\n"),
            ("2x", &["監視塔"], "監視...\n"),
            ("0", &["a"], ""),
            ("-5", &["a"], ""),
        ] {
            let mut cut = Cut::parse(filter);
            let got: String = pieces.iter().map(|piece| cut.pass(piece)).collect();
            assert_eq!(got, shown, "{filter}");
        }
    }

    // rule: operations/console-settings
    #[test]
    fn a_bad_form_is_replaced_by_the_documented_one() {
        let items = [
            ("username", "kompira"),
            ("hostname", "localhost"),
            ("sudomark", "$"),
            ("command", "ls"),
        ];
        assert_eq!(command_line("{command} {unknown}{{}}", &items), "ls {}\n");
        assert_eq!(command_line("{command", &items), "[kompira@localhost]$ ls\n");
    }
}
