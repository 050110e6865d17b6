//! The printer of `kompira fmt` (rule: language/format).
//!
//! It sets blanks and indentation anew and leaves all else to the author: where lines break,
//! comments, how a literal is written. So it changes no token, and its own output not at all.

use super::diagnose::Diagnostic;
use super::lex::{Comment, Role, Sign, Token, TokenKind};
use super::syntax::{Parsed, parse};

mod space;
#[cfg(test)]
mod tests;

use space::blank_between;

/// Blanks for each level.
const INDENT: usize = 4;
/// Deeper levels are not indented further, so that the output stays in proportion to the source.
const LEVELS_MAX: usize = 40;

/// Sets a source anew. Line ends become LF; the output ends with one.
///
/// # Errors
/// What is wrong with the source; a source that cannot be read whole is not touched.
pub fn format(source: &str) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(source);
    if !parsed.is_whole() {
        return Err(parsed.diagnostics);
    }
    let text = Printer::new(&parsed).print();
    // Nothing may be lost, whatever the rules of spacing say.
    if same_tokens(&parsed, &text) { Ok(text) } else { Ok(parsed.source.to_string()) }
}

fn same_tokens(parsed: &Parsed, text: &str) -> bool {
    let anew = parse(text);
    anew.tokens.len() == parsed.tokens.len()
        && anew.comments.len() == parsed.comments.len()
        && anew.tokens.iter().zip(&parsed.tokens).all(|(new, old)| {
            new.kind == old.kind && new.span.text(text) == old.span.text(&parsed.source)
        })
}

/// A bracket or clause that is open.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// Line it began in.
    line: usize,
    /// Level of that line.
    level: usize,
    /// Level of the lines inside.
    inner: usize,
    /// A clause, not a bracket.
    clause: bool,
}

/// What stands before the next token or comment.
#[derive(Debug, Clone, Copy)]
enum Before {
    Start,
    Token(usize),
    Comment,
}

struct Printer<'p> {
    parsed: &'p Parsed,
    out: String,
    open: Vec<Open>,
    line: usize,
    level: usize,
    before: Before,
    /// Where in the source the last thing printed ends.
    end: u32,
}

impl<'p> Printer<'p> {
    fn new(parsed: &'p Parsed) -> Self {
        let (out, open) = (String::new(), Vec::new());
        Self { parsed, out, open, line: 0, level: 0, before: Before::Start, end: 0 }
    }

    fn print(mut self) -> String {
        let mut comments = self.parsed.comments.iter().peekable();
        for (at, token) in self.parsed.tokens.iter().enumerate() {
            while let Some(comment) =
                comments.next_if(|comment| comment.span.start < token.span.start || token.is_end())
            {
                self.comment(*comment, token);
            }
            if !token.is_end() {
                self.token(at, token);
            }
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }

    /// Line breaks of the source before `start`: none, one, or two for a blank line.
    fn breaks(&self, start: u32) -> usize {
        let between = self.parsed.source.get(self.end as usize..start as usize).unwrap_or_default();
        between.bytes().filter(|&byte| byte == b'\n').count().min(2)
    }

    fn new_line(&mut self, breaks: usize, level: usize) {
        if !matches!(self.before, Before::Start) {
            self.out.extend(std::iter::repeat_n('\n', breaks));
        }
        self.line += 1;
        self.level = level;
        self.out.extend(std::iter::repeat_n(' ', level.min(LEVELS_MAX) * INDENT));
    }

    fn comment(&mut self, comment: Comment, next: &Token) {
        let breaks = self.breaks(comment.span.start);
        match self.before {
            Before::Start => self.new_line(0, 0),
            _ if breaks == 0 => self.out.push_str("  "),
            _ => {
                // A comment before a clause or before the end of a block speaks of what follows.
                let outside = next.clause || next.closes();
                let frame = self.open.iter().rev().find(|open| !(outside && open.clause));
                self.new_line(breaks, frame.map_or(0, |open| open.inner));
            }
        }
        let text = comment.span.text(&self.parsed.source);
        self.out.push_str(text.trim_end());
        self.end = comment.span.end;
        self.before = Before::Comment;
    }

    fn token(&mut self, at: usize, token: &Token) {
        if token.clause || token.closes() {
            self.open.pop_if(|open| open.clause);
        }
        let closed = if token.closes() { self.open.pop() } else { None };
        let breaks = self.breaks(token.span.start);
        let level = match closed {
            Some(open) => open.level,
            None => self.open.last().map_or(0, |open| open.inner),
        };
        match self.before {
            Before::Start => self.new_line(0, level),
            Before::Comment => self.new_line(breaks.max(1), level),
            Before::Token(_) if breaks > 0 => self.new_line(breaks, level),
            Before::Token(last) => {
                if blank_between(&self.parsed.tokens[last], token) {
                    self.out.push(' ');
                }
            }
        }
        if token.clause {
            self.push(true);
        }
        if token.opens() {
            self.push(false);
        }
        self.out.push_str(token.span.text(&self.parsed.source));
        self.end = token.span.end;
        self.before = Before::Token(at);
    }

    /// Opens a frame. Several that begin in one line indent its next lines once.
    fn push(&mut self, clause: bool) {
        let (line, level) = (self.line, self.level);
        let inner = match self.open.last() {
            Some(outer) if outer.line == line => outer.inner,
            _ => level + 1,
        };
        self.open.push(Open { line, level, inner, clause });
    }
}

impl Token {
    fn is_end(&self) -> bool {
        self.kind == TokenKind::End
    }

    fn opens(&self) -> bool {
        match self.kind {
            TokenKind::Sign(Sign::ParenOpen | Sign::BracketOpen | Sign::BraceOpen) => true,
            _ => self.role == Role::AngleOpen,
        }
    }

    fn closes(&self) -> bool {
        match self.kind {
            TokenKind::Sign(Sign::ParenClose | Sign::BracketClose | Sign::BraceClose) => true,
            _ => self.role == Role::AngleClose,
        }
    }
}
