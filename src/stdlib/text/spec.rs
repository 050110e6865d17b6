//! How one value is set into a template: `[[fill]align][sign][#][0][width][,|_][.precision][type]`.

use super::super::raise;
use crate::engine::vm::Raise;

/// Widest blank and longest fraction; a template must not ask for a text out of all proportion.
const WIDTH_MAX: usize = 1 << 20;
const PRECISION_MAX: usize = 1_000;

/// Where a value stands in its blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Middle,
    /// Padding between the sign and the digits.
    Sign,
}

/// How a number shows that it is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sign {
    #[default]
    Minus,
    Plus,
    Blank,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) fill: Option<char>,
    pub(super) align: Option<Align>,
    pub(super) sign: Sign,
    pub(super) other_form: bool,
    pub(super) width: usize,
    pub(super) group: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

const fn align(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Middle),
        '=' => Some(Align::Sign),
        _ => None,
    }
}

impl Spec {
    pub(super) fn parse(text: &str) -> Result<Self, Raise> {
        let mut spec = Self::default();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let peek = |at: usize| chars.get(at).copied();
        if let (Some(fill), Some(found)) = (peek(0), peek(1).and_then(align)) {
            (spec.fill, spec.align) = (Some(fill), Some(found));
            at = 2;
        } else if let Some(found) = peek(0).and_then(align) {
            spec.align = Some(found);
            at = 1;
        }
        match peek(at) {
            Some('+') => spec.sign = Sign::Plus,
            Some(' ') => spec.sign = Sign::Blank,
            _ => {}
        }
        if matches!(peek(at), Some('+' | '-' | ' ')) {
            at += 1;
        }
        if peek(at) == Some('#') {
            spec.other_form = true;
            at += 1;
        }
        if peek(at) == Some('0') {
            spec.fill.get_or_insert('0');
            spec.align.get_or_insert(Align::Sign);
            at += 1;
        }
        let digits = |at: &mut usize, most: usize| -> Result<Option<usize>, Raise> {
            let start = *at;
            while peek(*at).is_some_and(|c| c.is_ascii_digit()) {
                *at += 1;
            }
            if start == *at {
                return Ok(None);
            }
            let number: String = chars.iter().take(*at).skip(start).collect();
            match number.parse() {
                Ok(number) if number <= most => Ok(Some(number)),
                _ => raise(format!("format too wide: {number}")),
            }
        };
        spec.width = digits(&mut at, WIDTH_MAX)?.unwrap_or(0);
        if let Some(group @ (',' | '_')) = peek(at) {
            spec.group = Some(group);
            at += 1;
        }
        if peek(at) == Some('.') {
            at += 1;
            spec.precision = digits(&mut at, PRECISION_MAX)?;
            if spec.precision.is_none() {
                return invalid(text);
            }
        }
        spec.kind = peek(at);
        if chars.len() > at + 1 {
            return invalid(text);
        }
        Ok(spec)
    }

    /// Pads `text` (its sign is the first `sign` bytes) to the width.
    pub(super) fn pad(&self, text: &str, sign: usize, natural: Align) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = self.fill.unwrap_or(' ');
        let run = |count: usize| std::iter::repeat_n(fill, count);
        match self.align.unwrap_or(natural) {
            Align::Left => text.chars().chain(run(missing)).collect(),
            Align::Right => run(missing).chain(text.chars()).collect(),
            Align::Middle => {
                let before = missing / 2;
                run(before).chain(text.chars()).chain(run(missing - before)).collect()
            }
            Align::Sign => {
                let (sign, digits) = text.split_at(sign);
                sign.chars().chain(run(missing)).chain(digits.chars()).collect()
            }
        }
    }
}

pub(super) fn invalid<T>(text: &str) -> Result<T, Raise> {
    raise(format!("invalid format: {text}"))
}
