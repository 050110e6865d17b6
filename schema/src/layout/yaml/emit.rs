//! The canonical writer.

use indexmap::IndexMap;

use super::{Node, scalar};

/// Keys longer than this are written in the explicit form: readers look no further than 1,024
/// characters for the colon.
const SIMPLE_KEY_MAX: usize = 400;

pub(super) fn document(node: &Node) -> String {
    let mut out = String::new();
    match node {
        Node::Map(map) if !map.is_empty() => mapping(&mut out, map, 0),
        Node::Seq(list) if !list.is_empty() => sequence(&mut out, list, 0),
        _ => {
            value(&mut out, node, 0);
            end_line(&mut out);
        }
    }
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn end_line(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// A mapping whose keys stand at `indent`; the cursor is at the start of a line.
fn mapping(out: &mut String, map: &IndexMap<String, Node>, indent: usize) {
    for (key, item) in map {
        pad(out, indent);
        entry(out, key, item, indent);
    }
}

/// `key: value` and what belongs to it; the cursor is where the key begins.
fn entry(out: &mut String, key: &str, item: &Node, indent: usize) {
    let start = out.len();
    scalar::write(out, key);
    if out.len() - start > SIMPLE_KEY_MAX {
        out.insert_str(start, "? ");
        out.push('\n');
        pad(out, indent);
    }
    out.push(':');
    match item {
        Node::Map(inner) if !inner.is_empty() => {
            out.push('\n');
            mapping(out, inner, indent + 2);
        }
        Node::Seq(list) if !list.is_empty() => {
            out.push('\n');
            sequence(out, list, indent + 2);
        }
        _ => {
            out.push(' ');
            value(out, item, indent);
            end_line(out);
        }
    }
}

/// A sequence whose dashes stand at `indent`; the cursor is at the start of a line.
fn sequence(out: &mut String, list: &[Node], indent: usize) {
    for item in list {
        pad(out, indent);
        element(out, item, indent);
    }
}

/// `- value` and what belongs to it; the cursor is where the dash begins.
fn element(out: &mut String, item: &Node, indent: usize) {
    out.push_str("- ");
    match item {
        Node::Map(map) if !map.is_empty() => {
            for (index, (key, inner)) in map.iter().enumerate() {
                if index > 0 {
                    pad(out, indent + 2);
                }
                entry(out, key, inner, indent + 2);
            }
        }
        Node::Seq(list) if !list.is_empty() => {
            for (index, inner) in list.iter().enumerate() {
                if index > 0 {
                    pad(out, indent + 2);
                }
                element(out, inner, indent + 2);
            }
        }
        _ => {
            value(out, item, indent);
            end_line(out);
        }
    }
}

/// A scalar or an empty collection, below a parent at `indent`.
fn value(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Node::Int(number) => out.push_str(&number.to_string()),
        Node::Big(number) => out.push_str(&number.to_string()),
        Node::Float(number) => scalar::write_float(out, *number),
        Node::Str(text) if is_literal(text) => literal(out, text, indent),
        Node::Str(text) => scalar::write(out, text),
        Node::Seq(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
    }
}

/// Whether a text is shown as a literal block: it has lines, and nothing that a block would lose.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.chars().any(|c| c != '\n' && c != '\t' && scalar::is_special(c))
        && text.contains(|c| !matches!(c, '\n' | ' ' | '\t'))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    // A reader would take blanks at the start for indentation.
    if text.starts_with([' ', '\t', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") {
        out.push('+');
    }
    out.push('\n');
    let body = text.strip_suffix('\n').unwrap_or(text);
    for line in body.split('\n') {
        if !line.is_empty() {
            pad(out, indent + 2);
            out.push_str(line);
        }
        out.push('\n');
    }
}
