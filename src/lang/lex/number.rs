//! Number literals (rule: language/numbers).

use kompira_schema::message;
use kompira_schema::path::is_word_char;
use num_bigint::BigInt;

use super::{Lexer, TokenKind};

impl Lexer<'_> {
    pub(super) fn number(&mut self, start: usize) -> TokenKind {
        let digits = self.eat_while(|c| c.is_ascii_digit());
        let kind = if self.rest().starts_with('.') {
            self.at += 1;
            self.fraction(start)
        } else if digits.len() > 1 && digits.starts_with('0') {
            None
        } else {
            digits.parse::<BigInt>().ok().map(TokenKind::Integer)
        };
        let glued = !self.eat_while(is_word_char).is_empty();
        match kind {
            Some(kind) if !glued => kind,
            _ => {
                self.wrong(self.span(start), message!("lang.bad_number"));
                TokenKind::Wrong
            }
        }
    }

    fn fraction(&mut self, start: usize) -> Option<TokenKind> {
        self.eat_while(|c| c.is_ascii_digit());
        let exponent = self.rest().strip_prefix(['e', 'E']).and_then(|rest| {
            let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let sign = rest.len() - digits.len();
            let count = digits.bytes().take_while(u8::is_ascii_digit).count();
            (count > 0).then_some(1 + sign + count)
        });
        self.at += exponent.unwrap_or(0);
        let value: f64 = self.source.get(start..self.at)?.parse().ok()?;
        value.is_finite().then_some(TokenKind::Float(value))
    }
}
