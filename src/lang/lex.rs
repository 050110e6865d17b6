//! Characters to tokens (rule: language/lexical).

use std::sync::Arc;

use kompira_schema::message;
use kompira_schema::path::is_word_char;
use num_bigint::BigInt;

use super::ast::{PatternLiteral, Span, Special, Template};
use super::diagnose::{Diagnostic, Findings};

mod literal;
mod number;
mod place;
#[cfg(test)]
mod tests;

/// A token where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    /// What the parser made of it; the printer goes by that.
    pub(super) role: Role,
    /// Whether a clause, an alternative or a child begins here.
    pub(super) clause: bool,
}

/// What a token means where the sign alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    /// What the sign says.
    #[default]
    Plain,
    /// A sign before its only operand.
    Prefix,
    /// A bracket that belongs to what stands before it: call, subscript.
    Postfix,
    /// `=` of an argument or a dictionary.
    Tight,
    /// `<` of an event job.
    AngleOpen,
    /// `>` of an event job.
    AngleClose,
    /// `|` before a parameter.
    BarOpen,
    /// `|` behind a parameter.
    BarClose,
    /// `{` of a block.
    BlockOpen,
    /// `}` of a block.
    BlockClose,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Ident,
    Keyword(Keyword),
    /// `$NAME`; `None` for a name that is not known.
    Special(Option<Special>),
    Path,
    Text(Template),
    Binary(Arc<[u8]>),
    Pattern(PatternLiteral),
    Integer(BigInt),
    Float(f64),
    Sign(Sign),
    /// Something the lexer has already complained about.
    Wrong,
    End,
}

/// A comment where it stands, `#` included, line end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comment {
    /// Where.
    pub span: Span,
}

macro_rules! words {
    ($type:ident { $($name:ident = $text:literal),* $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum $type { $($name),* }
        impl $type {
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];
            pub(super) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

words!(Keyword {
    And = "and", Break = "break", Case = "case", Choice = "choice", Continue = "continue",
    Elif = "elif", Else = "else", False = "false", For = "for", Fork = "fork", If = "if",
    In = "in", Not = "not", Null = "null", Or = "or", Pfor = "pfor", Session = "session",
    Then = "then", True = "true", Try = "try", While = "while",
});

// Longest first: the first one that fits is the token.
words!(Sign {
    ArrowLost = "->>", ArrowAlways = "=>>", Arrow = "->", ArrowFailure = "=>",
    LessEqual = "<=", GreaterEqual = ">=", Equal = "==", NotEqual = "!=", Similar = "=~",
    NotSimilar = "!~", ShiftRight = ">>", ShiftLeft = "<<", QuestionTwo = "??", StarTwo = "**",
    Plus = "+", Minus = "-", Star = "*", Slash = "/", Percent = "%", Less = "<", Greater = ">",
    ParenOpen = "(", ParenClose = ")", BraceOpen = "{", BraceClose = "}", BracketOpen = "[",
    BracketClose = "]", Bar = "|", Comma = ",", Dot = ".", Colon = ":", Assign = "=",
    Question = "?",
});

/// The keyword of that text.
pub(super) fn keyword(text: &str) -> Option<Keyword> {
    Keyword::ALL.iter().copied().find(|word| word.text() == text)
}

/// Whether `c` may start a name.
pub(super) fn is_word_start(c: char) -> bool {
    is_word_char(c) && !c.is_ascii_digit()
}

/// Whether `text` is an identifier and no keyword.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(is_word_start) && text.chars().all(is_word_char) && keyword(text).is_none()
}

/// Line ends become LF and a leading byte order mark goes (rule: language/source).
#[must_use]
pub fn normalise(source: &str) -> Arc<str> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    if source.contains('\r') {
        source.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        source.into()
    }
}

/// The places of the words of a [`normalise`]d source, in order; the last is its end.
#[must_use]
pub fn spans(source: &str) -> Vec<Span> {
    let mut findings = Findings::default();
    lex(source, &mut findings).0.into_iter().map(|token| token.span).collect()
}

/// All tokens of a normalised source; the last one is [`TokenKind::End`].
pub(super) fn lex(source: &str, findings: &mut Findings) -> (Vec<Token>, Vec<Comment>) {
    let mut lexer = Lexer::new(source, 0);
    let mut tokens = Vec::with_capacity(source.len() / 4);
    loop {
        let token = lexer.token();
        let end = token.kind == TokenKind::End;
        tokens.push(token);
        if end {
            break;
        }
    }
    for found in lexer.found {
        findings.push(found);
    }
    (tokens, lexer.comments)
}

/// Reads tokens from a place on; has no context.
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    pub(super) comments: Vec<Comment>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'s> Lexer<'s> {
    pub(super) const fn new(source: &'s str, at: usize) -> Self {
        Self { source, at, comments: Vec::new(), found: Vec::new() }
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat_while(&mut self, wanted: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// The range from `start` to here. The source limit keeps offsets within `u32`.
    fn span(&self, start: usize) -> Span {
        let clip = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span::new(clip(start), clip(self.at))
    }

    /// The next token. Characters that belong to none are reported and passed over.
    pub(super) fn token(&mut self) -> Token {
        loop {
            self.blanks();
            let start = self.at;
            if let Some(kind) = self.kind(start) {
                let span = self.span(start);
                return Token { kind, span, role: Role::Plain, clause: false };
            }
        }
    }

    fn blanks(&mut self) {
        loop {
            self.eat_while(|c| matches!(c, ' ' | '\t' | '\n' | '\x0c'));
            if self.peek() != Some('#') {
                return;
            }
            let start = self.at;
            self.eat_while(|c| c != '\n');
            self.comments.push(Comment { span: self.span(start) });
        }
    }

    fn kind(&mut self, start: usize) -> Option<TokenKind> {
        let Some(c) = self.peek() else { return Some(TokenKind::End) };
        if c.is_ascii_digit() {
            return Some(self.number(start));
        }
        if is_word_start(c) {
            return Some(self.word(start));
        }
        match c {
            '\'' | '"' => Some(self.text(start, c)),
            '$' => self.special(start),
            '/' | '.' if self.place() => Some(TokenKind::Path),
            _ => self.sign(start, c),
        }
    }

    fn word(&mut self, start: usize) -> TokenKind {
        let word = self.eat_while(is_word_char);
        if let Some(quote @ ('\'' | '"')) = self.peek() {
            match word {
                "b" => return self.binary(start, quote),
                "e" | "g" | "r" => return self.pattern(start, word, quote),
                _ => {}
            }
        }
        keyword(word).map_or(TokenKind::Ident, TokenKind::Keyword)
    }

    fn special(&mut self, start: usize) -> Option<TokenKind> {
        self.bump();
        if !self.rest().starts_with(is_word_start) {
            self.wrong_char(start, '$');
            return None;
        }
        let name = self.eat_while(is_word_char);
        Some(TokenKind::Special(Special::by_name(name)))
    }

    fn sign(&mut self, start: usize, c: char) -> Option<TokenKind> {
        if let Some(sign) = Sign::ALL.iter().find(|sign| self.rest().starts_with(sign.text())) {
            self.at += sign.text().len();
            return Some(TokenKind::Sign(*sign));
        }
        self.bump();
        // One complaint for a run of the same character.
        self.eat_while(|next| next == c);
        self.wrong_char(start, c);
        None
    }

    fn wrong_char(&mut self, start: usize, c: char) {
        let span = self.span(start);
        if c.is_whitespace() || c.is_control() || c == '\u{feff}' {
            let code = format!("U+{:04X}", u32::from(c));
            let found = Diagnostic::error("K02", span, message!("lang.bad_char", char = code));
            self.found.push(found.with_help(message!("lang.bad_char.blank")));
        } else {
            self.wrong(span, message!("lang.bad_char", char = c));
        }
    }

    fn wrong(&mut self, span: Span, message: kompira_schema::error::Message) {
        self.found.push(Diagnostic::error("K02", span, message));
    }
}
