//! Numbers in templates.

use num_bigint::{BigInt, Sign as BigSign};
use num_traits::ToPrimitive as _;

use super::spec::{Align, Sign, Spec, invalid};
use crate::engine::vm::Raise;

/// An Integer as `spec` says.
pub(super) fn integer(number: &BigInt, spec: &Spec, shown: &str) -> Result<String, Raise> {
    let (radix, prefix, upper) = match spec.kind {
        None | Some('d' | 'n') => (10, "", false),
        Some('b') => (2, "0b", false),
        Some('o') => (8, "0o", false),
        Some('x') => (16, "0x", false),
        Some('X') => (16, "0X", true),
        Some('c') if spec.precision.is_none() => {
            let Some(c) = number.to_u32().and_then(char::from_u32) else { return invalid(shown) };
            return Ok(spec.pad(&c.to_string(), 0, Align::Left));
        }
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => {
            return float(number.to_f64().unwrap_or(f64::INFINITY), spec, shown);
        }
        Some(_) => return invalid(shown),
    };
    if spec.precision.is_some() || (spec.group == Some(',') && radix != 10) {
        return invalid(shown);
    }
    let mut digits = number.magnitude().to_str_radix(radix);
    if upper {
        digits.make_ascii_uppercase();
    }
    let mut head = sign(number.sign() == BigSign::Minus, spec.sign).to_owned();
    if spec.other_form {
        head.push_str(prefix);
    }
    let every = if radix == 10 { 3 } else { 4 };
    Ok(finish(&head, &digits, "", every, spec))
}

const fn sign(negative: bool, wanted: Sign) -> &'static str {
    match (negative, wanted) {
        (true, _) => "-",
        (false, Sign::Plus) => "+",
        (false, Sign::Blank) => " ",
        (false, Sign::Minus) => "",
    }
}

/// Groups the digits, also those that fill the blank, and pads.
fn finish(head: &str, digits: &str, tail: &str, every: usize, spec: &Spec) -> String {
    let zeros = spec.fill == Some('0') && spec.align == Some(Align::Sign);
    let mut digits = digits.to_owned();
    if let Some(mark) = spec.group {
        if zeros {
            let room = spec.width.saturating_sub(head.len() + tail.len());
            // A group mark cannot stand first, so one digit more may be needed.
            while grouped_length(digits.len(), every) < room {
                digits.insert(0, '0');
            }
        }
        digits = grouped(&digits, every, mark);
    }
    spec.pad(&format!("{head}{digits}{tail}"), head.len(), Align::Right)
}

const fn grouped_length(digits: usize, every: usize) -> usize {
    digits + digits.saturating_sub(1) / every
}

fn grouped(digits: &str, every: usize, mark: char) -> String {
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return digits.to_owned();
    }
    let count = digits.len();
    let mut out = String::with_capacity(grouped_length(count, every));
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (count - index).is_multiple_of(every) {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}

/// A Float as `spec` says.
pub(super) fn float(number: f64, spec: &Spec, shown: &str) -> Result<String, Raise> {
    let kind = spec.kind;
    let upper = matches!(kind, Some('E' | 'F' | 'G'));
    let value = number.abs();
    let precision = spec.precision.unwrap_or(6);
    let mut body = match kind {
        _ if value.is_nan() => "nan".to_owned(),
        _ if value.is_infinite() => "inf".to_owned(),
        Some('e' | 'E') => scientific(value, precision, spec.other_form),
        Some('f' | 'F') => fixed(value, precision, spec.other_form),
        Some('%') => fixed(value * 100.0, precision, spec.other_form),
        Some('g' | 'G' | 'n') => general(value, precision.max(1), spec.other_form),
        None => match spec.precision {
            None => crate::engine::vm::text::float(value),
            Some(precision) => whole_with_point(general(value, precision.max(1), spec.other_form)),
        },
        Some(_) => return invalid(shown),
    };
    if upper {
        body.make_ascii_uppercase();
    }
    if kind == Some('%') {
        body.push('%');
    }
    let head = sign(number.is_sign_negative() && !number.is_nan(), spec.sign);
    let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
    let (digits, tail) = body.split_at(end);
    Ok(if digits.is_empty() {
        spec.pad(&format!("{head}{tail}"), head.len(), Align::Right)
    } else {
        finish(head, digits, tail, 3, spec)
    })
}

fn fixed(value: f64, precision: usize, point: bool) -> String {
    let mut text = format!("{value:.precision$}");
    if point && precision == 0 {
        text.push('.');
    }
    text
}

fn scientific(value: f64, precision: usize, point: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if point && precision == 0 { "." } else { "" };
    let mark = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{point}e{mark}{:02}", exponent.abs())
}

/// `precision` significant digits; trailing zeros go unless `keep`.
fn general(value: f64, precision: usize, keep: bool) -> String {
    let text = scientific(value, precision - 1, false);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let most = i32::try_from(precision).unwrap_or(i32::MAX);
    let trim = |digits: &str| {
        if keep || !digits.contains('.') {
            digits.to_owned()
        } else {
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    if (-4..most).contains(&power) {
        let places = usize::try_from(most - 1 - power).unwrap_or(0);
        trim(&fixed(value, places, keep))
    } else {
        format!("{}e{exponent}", trim(digits))
    }
}

fn whole_with_point(text: String) -> String {
    if text.contains(['.', 'e', 'n', 'i']) { text } else { text + ".0" }
}
