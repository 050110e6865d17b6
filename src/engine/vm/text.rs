//! Values as text (rule: `language/string-conversion`).

use std::fmt::Write as _;

use jiff::{Zoned, civil};

use super::compare::NESTING_MAX;
use super::heap::Heap;
use super::host::Host;
use super::raise::Raise;
use super::value::{Slot, Value};

impl Heap {
    /// The text of a value as `print` shows it.
    ///
    /// # Errors
    /// [`Raise::nesting`], [`Raise::memory`]; the query of a LazyArray fails.
    pub fn text(&mut self, host: &mut dyn Host, value: Value) -> Result<String, Raise> {
        let mut out = String::new();
        self.append_text(host, &mut out, value)?;
        Ok(out)
    }

    /// Appends the text of a value to `out`.
    ///
    /// # Errors
    /// As [`Heap::text`].
    pub fn append_text(
        &mut self,
        host: &mut dyn Host,
        out: &mut String,
        value: Value,
    ) -> Result<(), Raise> {
        match value {
            Value::Str(_) => {
                let text = self.as_str(value).unwrap_or_default();
                self.reserve(out.len().saturating_add(text.len()))?;
                out.push_str(text);
                Ok(())
            }
            Value::Int(number) => {
                push_int(out, number);
                Ok(())
            }
            _ => self.nested(host, out, value, &mut Vec::new()),
        }
    }

    fn nested(
        &mut self,
        host: &mut dyn Host,
        out: &mut String,
        value: Value,
        open: &mut Vec<Slot>,
    ) -> Result<(), Raise> {
        if open.len() > NESTING_MAX {
            return Err(Raise::nesting());
        }
        match value {
            Value::Absent | Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
            Value::Int(number) => push_int(out, number),
            Value::Big(_) => {
                let _ = write!(out, "{}", self.as_integer(value).unwrap_or_default());
            }
            Value::Float(number) => out.push_str(&float(number)),
            Value::Str(_) => quote(out, self.as_str(value).unwrap_or_default()),
            Value::Bytes(_) => quote_bytes(out, self.as_bytes(value).unwrap_or_default()),
            Value::Date(date) => push_date(out, date),
            Value::Time(time) => push_time(out, time),
            Value::Timedelta(micros) => push_span(out, micros),
            Value::Ref(..) => {
                if let Some(handle) = value.handle() {
                    out.push_str(&host.text(handle));
                }
            }
            Value::Pattern(_) => {
                out.push_str(&self.as_pattern(value).map(|held| held.literal()).unwrap_or_default())
            }
            Value::Datetime(_) => {
                if let Some(at) = self.as_datetime(value) {
                    push_datetime(out, at);
                }
            }
            Value::File(_) => out.push_str(self.as_file(value).map_or("", |file| &file.value.name)),
            Value::Function(_) => {
                let _ = write!(
                    out,
                    "<function {}>",
                    self.as_function(value).map_or("", |held| held.name())
                );
            }
            Value::Lazy(_) => {
                let all = self.elements(host, value)?;
                self.nested(host, out, all, open)?;
            }
            Value::Array(slot) => {
                if open.contains(&slot) {
                    out.push_str("[...]");
                    return Ok(());
                }
                open.push(slot);
                out.push('[');
                for index in 0.. {
                    let Some(item) =
                        self.as_array(value).and_then(|items| items.get(index)).copied()
                    else {
                        break;
                    };
                    if index > 0 {
                        out.push_str(", ");
                    }
                    self.nested(host, out, item, open)?;
                    self.reserve(out.len())?;
                }
                out.push(']');
                open.pop();
            }
            Value::Dict(slot) => {
                if open.contains(&slot) {
                    out.push_str("{...}");
                    return Ok(());
                }
                open.push(slot);
                let entries: Vec<_> =
                    self.as_dict(value).map(|dict| dict.iter().collect()).unwrap_or_default();
                let plain =
                    entries.iter().all(|(key, _)| self.as_str(*key).is_some_and(is_plain_name));
                out.push('{');
                for (index, (key, value)) in entries.into_iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    if plain {
                        out.push_str(self.as_str(key).unwrap_or_default());
                        out.push('=');
                    } else {
                        self.nested(host, out, key, open)?;
                        out.push_str(": ");
                    }
                    self.nested(host, out, value, open)?;
                    self.reserve(out.len())?;
                }
                out.push('}');
                open.pop();
            }
        }
        Ok(())
    }
}

fn push_int(out: &mut String, number: i64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if number < 0 {
        out.push('-');
    }
    out.extend(digits[at..].iter().copied().map(char::from));
}

const KEYWORDS: [&str; 21] = [
    "and", "break", "case", "choice", "continue", "elif", "else", "false", "for", "fork", "if",
    "in", "not", "null", "or", "pfor", "session", "then", "true", "try", "while",
];

/// Whether a key may stand before `=`: an identifier and no keyword.
fn is_plain_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| (first.is_alphanumeric() || first == '_') && !first.is_ascii_digit())
        && chars.all(|char| char.is_alphanumeric() || char == '_')
        && !KEYWORDS.contains(&text)
}

fn quote(out: &mut String, text: &str) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char == mark => {
                out.push('\\');
                out.push(char);
            }
            char if char.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push(mark);
}

fn quote_bytes(out: &mut String, bytes: &[u8]) {
    let mark = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(char::from(mark));
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if *byte == mark => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            0x20..=0x7e => out.push(char::from(*byte)),
            byte => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(char::from(mark));
}

/// The shortest text that reads back, in the form of Python's `repr`.
#[must_use]
pub fn float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // `{:e}` gives the shortest digits: d.ddde±x.
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn push_date(out: &mut String, date: civil::Date) {
    let _ = write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
}

fn push_time(out: &mut String, time: civil::Time) {
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    let micros = time.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
}

fn push_datetime(out: &mut String, at: &Zoned) {
    push_date(out, at.date());
    out.push(' ');
    push_time(out, at.time());
    let seconds = at.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

fn push_span(out: &mut String, micros: i64) {
    const DAY: i64 = 86_400_000_000;
    let days = micros.div_euclid(DAY);
    let rest = micros.rem_euclid(DAY);
    if days != 0 {
        let _ = write!(out, "{days} day{}, ", if days.abs() == 1 { "" } else { "s" });
    }
    let seconds = rest / 1_000_000;
    let _ = write!(out, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest % 1_000_000 != 0 {
        let _ = write!(out, ".{:06}", rest % 1_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/string-conversion
    #[test]
    fn a_float_shows_the_shortest_text_that_reads_back() {
        for (number, text) in [
            (0.5, "0.5"),
            (1230.0, "1230.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0.0"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    // rule: language/string-conversion (C-24)
    #[test]
    fn a_span_shows_days_and_clock() {
        let mut out = String::new();
        for micros in [0, 90_061_000_001, -1, 86_400_000_000, 172_800_000_000] {
            push_span(&mut out, micros);
            out.push('|');
        }
        assert_eq!(
            out,
            "0:00:00|1 day, 1:01:01.000001|-1 day, 23:59:59.999999|1 day, 0:00:00|2 days, 0:00:00|"
        );
    }
}
