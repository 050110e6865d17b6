//! String, binary and pattern literals (rules: language/strings, language/interpolation).

use std::sync::Arc;

use kompira_schema::message;
use kompira_schema::path::is_word_char;

use super::super::ast::{PatternKind, PatternLiteral, Segment, Special, Template};
use super::{Lexer, TokenKind, is_identifier, is_word_start};

/// Collects a template; texts that touch become one.
#[derive(Default)]
struct Parts {
    segments: Vec<Segment>,
    text: String,
}

impl Parts {
    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.segments.push(Segment::Text(Arc::from(self.text.as_str())));
            self.text.clear();
        }
    }

    fn blank(&mut self, segment: Segment) {
        self.flush();
        self.segments.push(segment);
    }

    fn done(mut self) -> Template {
        self.flush();
        Template { segments: self.segments }
    }
}

impl Lexer<'_> {
    /// A string of any of the four forms; stands before the opening quote.
    pub(super) fn text(&mut self, start: usize, quote: char) -> TokenKind {
        let triple = self.quotes(quote) >= 3;
        self.at += if triple { 3 } else { 1 };
        let mut parts = Parts::default();
        let mut sound = true;
        loop {
            match self.peek() {
                None => return self.unterminated(start),
                Some('\n') if !triple => return self.unterminated(start),
                Some(c) if c == quote => {
                    let run = self.quotes(quote);
                    let closing = if triple { 3 } else { 1 };
                    if !triple || run >= 3 {
                        let kept = if triple { run - closing } else { 0 };
                        parts.text.extend(std::iter::repeat_n(quote, kept));
                        self.at += kept + closing;
                        break;
                    }
                    parts.text.extend(std::iter::repeat_n(quote, run));
                    self.at += run;
                }
                Some('\\') => sound &= self.escape(&mut parts),
                Some('$') => self.blank(&mut parts),
                Some(c) => {
                    parts.text.push(c);
                    self.bump();
                }
            }
        }
        if sound { TokenKind::Text(parts.done()) } else { TokenKind::Wrong }
    }

    /// How many of `quote` stand here in a row.
    fn quotes(&self, quote: char) -> usize {
        self.rest().chars().take_while(|&c| c == quote).count()
    }

    fn unterminated(&mut self, start: usize) -> TokenKind {
        self.wrong(self.span(start), message!("lang.unterminated"));
        TokenKind::Wrong
    }

    fn escape(&mut self, parts: &mut Parts) -> bool {
        let start = self.at;
        match self.escaped() {
            Ok(Some(code)) => parts.text.push(char::from(code)),
            Ok(None) => parts.text.push('\\'),
            Err(()) => {
                self.wrong(self.span(start), message!("lang.bad_escape"));
                return false;
            }
        }
        true
    }

    /// Takes an escape: its code, or `None` for a backslash that stands for itself (it alone is
    /// taken then). Codes end at 255, so a code is a byte and a character alike.
    fn escaped(&mut self) -> Result<Option<u8>, ()> {
        self.bump();
        let Some(c) = self.peek() else { return Ok(None) };
        let code = match c {
            '\\' | '\'' | '"' => c as u8,
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            'x' => {
                self.bump();
                let digits = self.rest().get(..2).unwrap_or_default();
                let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let code =
                    if plain { u8::from_str_radix(digits, 16).map_err(drop) } else { Err(()) };
                self.at += if plain { 2 } else { 0 };
                return code.map(Some);
            }
            '0'..='7' => {
                let count = self.rest().bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b));
                let count = count.count();
                let digits = self.rest().get(..count).unwrap_or_default();
                self.at += count;
                return u8::from_str_radix(digits, 8).map(Some).map_err(drop);
            }
            _ => return Ok(None),
        };
        self.bump();
        Ok(Some(code))
    }

    /// Takes what starts with the dollar here.
    fn blank(&mut self, parts: &mut Parts) {
        if self.braced_blank(parts) {
            return;
        }
        self.bump();
        if self.rest().starts_with('$') {
            self.bump();
            parts.text.push('$');
            return;
        }
        if self.rest().starts_with(is_word_start) {
            let name = self.eat_while(is_word_char);
            if is_identifier(name) {
                parts.blank(Segment::Variable { name: name.into(), braced: false });
            } else {
                parts.text.push('$');
                parts.text.push_str(name);
            }
            return;
        }
        parts.text.push('$');
    }

    /// Takes `${name}` or `${$NAME}` if one stands here.
    fn braced_blank(&mut self, parts: &mut Parts) -> bool {
        let Some(inside) = self.rest().strip_prefix("${") else { return false };
        let (dollar, word) = inside.strip_prefix('$').map_or((0, inside), |word| (1, word));
        let length = word.find(|c| !is_word_char(c)).unwrap_or(word.len());
        let (name, rest) = word.split_at(length);
        if !rest.starts_with('}') {
            return false;
        }
        let segment = match dollar {
            0 if is_identifier(name) => Some(Segment::Variable { name: name.into(), braced: true }),
            0 => None,
            _ => Special::by_name(name).map(Segment::Special),
        };
        match segment {
            Some(segment) => parts.blank(segment),
            // An unknown status variable stays as written.
            None if dollar == 1 => {
                parts.text.push_str("${$");
                parts.text.push_str(name);
                parts.text.push('}');
            }
            None => return false,
        }
        self.at += "${}".len() + dollar + length;
        true
    }

    /// Bytes; the prefix is taken, the opening quote is next.
    pub(super) fn binary(&mut self, start: usize, quote: char) -> TokenKind {
        self.bump();
        let mut bytes = Vec::new();
        let mut sound = true;
        loop {
            let at = self.at;
            match self.peek() {
                None | Some('\n') => return self.unterminated(start),
                Some(c) if c == quote => {
                    self.bump();
                    break;
                }
                Some('\\') => match self.escaped() {
                    Ok(code) => bytes.push(code.unwrap_or(b'\\')),
                    Err(()) => {
                        self.wrong(self.span(at), message!("lang.bad_escape"));
                        sound = false;
                    }
                },
                Some(c) => {
                    self.bump();
                    match u8::try_from(c) {
                        Ok(byte) if byte.is_ascii() => bytes.push(byte),
                        _ => {
                            self.wrong_char(at, c);
                            sound = false;
                        }
                    }
                }
            }
        }
        if sound { TokenKind::Binary(bytes.into()) } else { TokenKind::Wrong }
    }

    /// A pattern; the prefix is taken, the opening quote is next.
    pub(super) fn pattern(&mut self, start: usize, prefix: &str, quote: char) -> TokenKind {
        let kind = match prefix {
            "r" => PatternKind::Regex,
            "g" => PatternKind::Glob,
            _ => PatternKind::Exact,
        };
        self.bump();
        let mut parts = Parts::default();
        loop {
            match self.peek() {
                None | Some('\n') => return self.unterminated(start),
                Some(c) if c == quote => {
                    self.bump();
                    break;
                }
                Some('$') if self.braced_blank(&mut parts) => {}
                Some(c) => {
                    parts.text.push(c);
                    self.bump();
                    if c == '\\' && self.peek() != Some('\n') {
                        parts.text.extend(self.bump());
                    }
                }
            }
        }
        let mut suffix = self.rest().chars();
        let ignore_case = suffix.next() == Some('i') && !suffix.next().is_some_and(is_word_char);
        if ignore_case {
            self.bump();
        }
        TokenKind::Pattern(PatternLiteral { kind, ignore_case, text: parts.done() })
    }
}
