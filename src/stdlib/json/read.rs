//! Reading JSON. Integers are unbounded; `NaN` and `Infinity` are accepted as the original does.

use num_bigint::BigInt;

use super::{NESTING_MAX, raise};
use crate::engine::vm::dict::Dict;
use crate::engine::vm::{Context, Raise, Value};

/// What one value takes in the heap at least, beside the source's bytes.
const VALUE_COST: usize = 16;
/// Most digits of one Integer: the work grows with their square.
const DIGITS_MAX: usize = 10_000;

struct Reader<'t> {
    text: &'t str,
    at: usize,
    strict: bool,
}

pub(super) fn read(ctx: &mut Context<'_>, text: &str, strict: bool) -> Result<Value, Raise> {
    ctx.heap.reserve(text.len())?;
    let mut reader = Reader { text, at: 0, strict };
    let value = reader.value(ctx, 0)?;
    reader.blanks();
    if reader.at < text.len() { reader.wrong() } else { Ok(value) }
}

impl Reader<'_> {
    fn wrong<T>(&self) -> Result<T, Raise> {
        let before = self.text.get(..self.at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        raise(format!("invalid JSON at line {line} column {column}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, ctx: &mut Context<'_>, depth: usize) -> Result<Value, Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        ctx.heap.reserve(VALUE_COST)?;
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(ctx, depth),
            Some(b'[') => self.array(ctx, depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(ctx.heap.str(text))
            }
            Some(b'-' | b'0'..=b'9') => self.number(ctx),
            _ => {
                for (word, value) in [
                    ("null", Value::Null),
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("NaN", Value::Float(f64::NAN)),
                    ("Infinity", Value::Float(f64::INFINITY)),
                ] {
                    if self.eat(word) {
                        return Ok(value);
                    }
                }
                self.wrong()
            }
        }
    }

    fn array(&mut self, ctx: &mut Context<'_>, depth: usize) -> Result<Value, Raise> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.eat("]") {
            return Ok(ctx.heap.array(items));
        }
        loop {
            items.push(self.value(ctx, depth + 1)?);
            self.blanks();
            if self.eat("]") {
                return Ok(ctx.heap.array(items));
            }
            if !self.eat(",") {
                return self.wrong();
            }
        }
    }

    fn object(&mut self, ctx: &mut Context<'_>, depth: usize) -> Result<Value, Raise> {
        self.at += 1;
        let dict = ctx.heap.dict(Dict::new());
        self.blanks();
        if self.eat("}") {
            return Ok(dict);
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return self.wrong();
            }
            let key = self.string()?;
            self.blanks();
            if !self.eat(":") {
                return self.wrong();
            }
            let value = self.value(ctx, depth + 1)?;
            ctx.heap.dict_set_str(dict, &key, value);
            self.blanks();
            if self.eat("}") {
                return Ok(dict);
            }
            if !self.eat(",") {
                return self.wrong();
            }
        }
    }

    fn string(&mut self) -> Result<String, Raise> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
                return self.wrong();
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(out);
                }
                '\\' => out.push(self.escape()?),
                c if c < ' ' && self.strict => return self.wrong(),
                c => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Raise> {
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.wrong(),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Raise> {
        let Some(first) = self.word() else { return self.wrong() };
        if !(0xd800..0xdc00).contains(&first) {
            // Half a pair has no text of its own.
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let back = self.at;
        if self.eat("\\")
            && let Some(second) = self.word()
            && (0xdc00..0xe000).contains(&second)
        {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = back;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// `uXXXX`
    fn word(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..)?.strip_prefix('u')?.get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 5;
        u32::from_str_radix(digits, 16).ok()
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self, ctx: &mut Context<'_>) -> Result<Value, Raise> {
        let start = self.at;
        if self.eat("-") && self.eat("Infinity") {
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        let zero = self.peek() == Some(b'0');
        let count = self.digits();
        if count == 0 || (zero && count > 1) {
            return self.wrong();
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            whole = false;
            if self.digits() == 0 {
                return self.wrong();
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.wrong();
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if !whole {
            return text.parse().map(Value::Float).or_else(|_| self.wrong());
        }
        if count > DIGITS_MAX {
            return raise("integer too large");
        }
        match text.parse::<BigInt>() {
            Ok(number) => Ok(ctx.heap.integer(number)),
            Err(_) => self.wrong(),
        }
    }
}
