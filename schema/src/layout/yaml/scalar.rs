//! Which texts may stand bare, and how the others are quoted.

use std::fmt::Write;

/// Words that some reader takes for a truth value or null, in any mixture of cases.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];

/// Writes `text` in one line: bare if every reader of YAML 1.1 and 1.2 takes it for this text,
/// else in single quotes, else (control characters, line breaks) in double quotes.
pub(super) fn write(out: &mut String, text: &str) {
    if needs_escapes(text) {
        double(out, text);
    } else if is_bare(text) {
        out.push_str(text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

/// Whether `c` cannot stand in a YAML text as it is, or would be taken for a line break.
pub(super) fn is_special(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        | '\u{fffe}' | '\u{ffff}')
}

fn needs_escapes(text: &str) -> bool {
    text.chars().any(is_special)
}

fn is_bare(text: &str) -> bool {
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
        return false;
    };
    if first.is_whitespace() || last.is_whitespace() || last == ':' {
        return false;
    }
    if "-?:,[]{}#&*!|>'\"%@`=<~".contains(first) || text.contains(['#', '{', '}', '[', ']']) {
        return false;
    }
    if text.contains(": ") || text.contains(":\u{a0}") {
        return false;
    }
    !(WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) || looks_like_a_number(text))
}

/// Numbers, dates, times, infinities and document ends of any dialect, and more: whatever begins
/// like a number and holds only what numbers hold. Dotted addresses (`192.0.2.11`) are texts to
/// every reader.
fn looks_like_a_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let word = unsigned.trim_start_matches('.');
    if word.is_empty() || ["inf", "nan"].iter().any(|name| word.eq_ignore_ascii_case(name)) {
        return true;
    }
    let parts = text.split('.');
    let dotted = parts.clone().count() > 2
        && parts.clone().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    !dotted
        && unsigned.chars().all(|c| {
            c.is_ascii_hexdigit()
                || matches!(
                    c,
                    'x' | 'X'
                        | 'o'
                        | 'O'
                        | '_'
                        | '.'
                        | ','
                        | ':'
                        | '+'
                        | '-'
                        | 'T'
                        | 't'
                        | 'Z'
                        | 'z'
                        | ' '
                )
        })
}

fn double(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            c if is_special(c) => {
                let code = u32::from(c);
                // Writing to a String cannot fail.
                let _ = if code < 0x100 {
                    write!(out, "\\x{code:02X}")
                } else {
                    write!(out, "\\u{code:04X}")
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A number that both dialects read as a float: `1.0`, `1.0e+300`, `.inf`.
pub(super) fn write_float(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str(".nan");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { ".inf" } else { "-.inf" });
    } else {
        let text = format!("{number:?}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, ""));
        out.push_str(mantissa);
        if !mantissa.contains('.') {
            out.push_str(".0");
        }
        if !exponent.is_empty() {
            out.push('e');
            if !exponent.starts_with('-') {
                out.push('+');
            }
            out.push_str(exponent);
        }
    }
}
