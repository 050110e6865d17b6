//! Tokens to a tree; never fails: what cannot be read is reported and passed over
//! (rule: language/grammar).

use std::sync::Arc;

use kompira_schema::error::Message;
use kompira_schema::message;

use super::ast::{Connector, Flow, Ident, Job, JobKind, Link, Parameter, Program, Span, Step};
use super::diagnose::{Diagnostic, Findings, Severity};
use super::lex::{self, Comment, Keyword, Lexer, Role, Sign, Token, TokenKind};

mod block;
mod expression;
mod job;
mod lines;
#[cfg(test)]
mod tests;

pub use lines::{Lines, Place};

/// Most characters of a source. Source: jobflow language, rule 1.
pub const SOURCE_CHARS_MAX: usize = 65_536;
/// Deepest nesting of expressions and blocks: bounds the recursion of every pass over the tree.
pub const NESTING_MAX: u32 = 256;

/// A source that has been read.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The source as the spans mean it: line ends are LF, no byte order mark.
    pub source: Arc<str>,
    /// The tree; whole if there is no error among the diagnostics.
    pub program: Program,
    /// All comments in order.
    pub comments: Vec<Comment>,
    /// What is wrong, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// With the roles the parser found.
    pub(super) tokens: Vec<Token>,
}

impl Parsed {
    /// Whether the whole source was understood.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.diagnostics.iter().all(|found| found.severity != Severity::Error)
    }
}

/// Reads a source.
#[must_use]
pub fn parse(source: &str) -> Parsed {
    let source = lex::normalise(source);
    let mut findings = Findings::default();
    if source.chars().count() > SOURCE_CHARS_MAX {
        findings.push(
            Diagnostic::error("K01", Span::default(), message!("lang.too_long"))
                .with_help(message!("lang.too_long.help", max = SOURCE_CHARS_MAX)),
        );
        let (program, comments) = (Program::default(), Vec::new());
        let (diagnostics, tokens) = (findings.into_vec(), Vec::new());
        return Parsed { source, program, comments, diagnostics, tokens };
    }
    let (tokens, comments) = lex::lex(&source, &mut findings);
    let mut parser = Parser::new(&source, tokens, findings);
    let program = parser.program();
    let (mut diagnostics, tokens) = (parser.findings.into_vec(), parser.tokens);
    diagnostics.sort_by_key(|found| found.span.start);
    Parsed { source, program, comments, diagnostics, tokens }
}

/// The error is already among the findings.
#[derive(Debug)]
struct Failed;

type Read<T> = Result<T, Failed>;

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Token>,
    at: usize,
    findings: Findings,
    /// How many expressions and blocks are open.
    depth: u32,
    /// Height of the expression read last: chains of postfix operators nest without `depth`.
    height: u32,
    /// Inside an event job and not in brackets: `<`, `>`, `<=`, `>=` are no operators there.
    no_angle: bool,
    /// Blocks that are open: a `}` closes one of them.
    blocks: u32,
    /// Dictionaries that are open: a `}` closes one of them before it closes a block.
    dictionaries: u32,
}

impl<'s> Parser<'s> {
    const fn new(source: &'s str, tokens: Vec<Token>, findings: Findings) -> Self {
        Self {
            source,
            tokens,
            at: 0,
            findings,
            depth: 0,
            height: 0,
            no_angle: false,
            blocks: 0,
            dictionaries: 0,
        }
    }

    // --- tokens -----------------------------------------------------------------------------

    fn token(&self, ahead: usize) -> &Token {
        let last = self.tokens.len() - 1;
        self.tokens.get(self.at + ahead).unwrap_or(&self.tokens[last])
    }

    fn kind(&self) -> &TokenKind {
        &self.token(0).kind
    }

    fn span(&self) -> Span {
        self.token(0).span
    }

    /// End of the token before this one.
    fn last_end(&self) -> u32 {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    fn since(&self, start: Span) -> Span {
        Span::new(start.start, self.last_end().max(start.start))
    }

    fn advance(&mut self) -> Span {
        let span = self.span();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        span
    }

    /// Notes what the token here means.
    fn mark(&mut self, role: Role) {
        if let Some(token) = self.tokens.get_mut(self.at) {
            token.role = role;
        }
    }

    /// Notes that a clause, an alternative or a child begins here.
    fn mark_clause(&mut self) {
        if let Some(token) = self.tokens.get_mut(self.at) {
            token.clause = true;
        }
    }

    fn is(&self, sign: Sign) -> bool {
        *self.kind() == TokenKind::Sign(sign)
    }

    fn sign_at(&self, ahead: usize) -> Option<Sign> {
        match self.token(ahead).kind {
            TokenKind::Sign(sign) => Some(sign),
            _ => None,
        }
    }

    fn is_word(&self, word: Keyword) -> bool {
        *self.kind() == TokenKind::Keyword(word)
    }

    fn eat(&mut self, sign: Sign) -> bool {
        let found = self.is(sign);
        if found {
            self.advance();
        }
        found
    }

    fn eat_word(&mut self, word: Keyword) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, sign: Sign) -> Read<Span> {
        if self.is(sign) {
            return Ok(self.advance());
        }
        self.unexpected(message!("lang.expected", what = sign.text()))
    }

    fn expect_as(&mut self, sign: Sign, role: Role) -> Read<Span> {
        self.mark(role);
        self.expect(sign)
    }

    /// As [`Self::expect`], for a bracket that closes the one at `open`.
    fn close(&mut self, sign: Sign, open: Span) -> Read<Span> {
        if self.is(sign) {
            return Ok(self.advance());
        }
        let note = message!("lang.opened_here", what = open.text(self.source));
        let help = message!("lang.expected", what = sign.text());
        self.unexpected_with(help, Some((open, note)))
    }

    /// Takes the `>` of an event job; of a longer token its first character.
    fn close_angle(&mut self, open: Span) -> Read<Span> {
        let Some(Sign::ShiftRight | Sign::GreaterEqual) = self.sign_at(0) else {
            self.mark(Role::AngleClose);
            return self.close(Sign::Greater, open);
        };
        let start = self.span().start;
        let angle = Span::new(start, start + 1);
        // The rest is read anew until it meets a token that is already there.
        let mut lexer = Lexer::new(self.source, angle.end as usize);
        let mut anew = vec![Token {
            kind: TokenKind::Sign(Sign::Greater),
            span: angle,
            role: Role::AngleClose,
            clause: false,
        }];
        let mut old = self.at + 1;
        loop {
            let token = lexer.token();
            while self.tokens.get(old).is_some_and(|other| other.span.start < token.span.start) {
                old += 1;
            }
            if self.tokens.get(old).is_none_or(|other| other.span.start == token.span.start) {
                break;
            }
            anew.push(token);
        }
        self.tokens.splice(self.at..old, anew);
        Ok(self.advance())
    }

    fn ident(&mut self) -> Read<Ident> {
        if *self.kind() != TokenKind::Ident {
            return self.unexpected_name(message!("lang.expected_name"));
        }
        let span = self.advance();
        Ok(Ident { name: span.text(self.source).into(), span })
    }

    // --- errors -----------------------------------------------------------------------------

    fn unexpected<T>(&mut self, help: Message) -> Read<T> {
        self.unexpected_with(help, None)
    }

    /// As [`Self::unexpected`], where a name may stand but no keyword.
    fn unexpected_name<T>(&mut self, help: Message) -> Read<T> {
        let TokenKind::Keyword(word) = *self.kind() else { return self.unexpected(help) };
        let message = message!("lang.syntax", text = word.text());
        let found = Diagnostic::error("K04", self.span(), message).with_help(help);
        let note = message!("lang.keyword", word = word.text());
        self.findings.push(found.with_note(None, note));
        Err(Failed)
    }

    fn unexpected_with<T>(&mut self, help: Message, note: Option<(Span, Message)>) -> Read<T> {
        let Token { kind, span, .. } = self.token(0).clone();
        let text = span.text(self.source);
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        if before.is_some_and(|token| token.kind == TokenKind::Wrong) {
            // Whatever is missing here may stand in what could not be read.
            return Err(Failed);
        }
        let (message, help) = match kind {
            TokenKind::Wrong => return Err(Failed),
            TokenKind::End => (message!("lang.syntax.end"), help),
            TokenKind::Path if text.starts_with('/') => {
                (message!("lang.syntax.slash", text = shorten(text)), message!("lang.slash"))
            }
            _ => (message!("lang.syntax", text = shorten(text)), help),
        };
        let mut found = Diagnostic::error("K03", span, message).with_help(help);
        if let Some((place, note)) = note {
            found = found.with_note(Some(place), note);
        }
        self.findings.push(found);
        Err(Failed)
    }

    /// Opens one level of nesting; [`Self::leave`] closes it.
    fn enter(&mut self) -> Read<()> {
        if self.depth >= NESTING_MAX {
            return self.too_deep();
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn too_deep<T>(&mut self) -> Read<T> {
        let span = self.span();
        self.findings.push(
            Diagnostic::error("K15", span, message!("lang.too_deep"))
                .with_help(message!("lang.too_deep.help", max = NESTING_MAX)),
        );
        Err(Failed)
    }

    /// Goes on behind an error: to the next connector, or to the bracket that closes the block.
    /// `dictionaries` of the braces to come close a dictionary.
    fn recover(&mut self, mut dictionaries: u32) {
        let mut open = 0_u32;
        loop {
            match self.kind() {
                TokenKind::End => return,
                TokenKind::Sign(sign) => match sign {
                    Sign::ParenOpen | Sign::BracketOpen | Sign::BraceOpen => open += 1,
                    Sign::BraceClose if open == 0 && dictionaries > 0 => dictionaries -= 1,
                    Sign::BraceClose if open == 0 && self.blocks > 0 => return,
                    Sign::ParenClose | Sign::BracketClose | Sign::BraceClose => {
                        open = open.saturating_sub(1);
                    }
                    _ if open == 0 && connector(*sign).is_some() => return,
                    _ => {}
                },
                _ => {}
            }
            self.advance();
        }
    }

    // --- program and flow -------------------------------------------------------------------

    fn program(&mut self) -> Program {
        let mut program = Program::default();
        while self.is(Sign::Bar) {
            match self.parameter() {
                Ok(parameter) => program.parameters.push(parameter),
                Err(Failed) => self.recover_parameter(),
            }
        }
        if !program.parameters.is_empty() {
            program.lead = self.link();
        }
        if *self.kind() != TokenKind::End {
            program.flow = Some(self.flow());
        }
        // What stands behind the last job belongs to nothing; jobs in it are still read.
        while *self.kind() != TokenKind::End {
            let _ = self.unexpected::<()>(message!("lang.expected_connector"));
            self.depth = 0;
            self.no_angle = false;
            self.advance();
            self.recover(0);
            if self.link().is_some() && *self.kind() != TokenKind::End {
                self.flow();
            }
        }
        program
    }

    fn parameter(&mut self) -> Read<Parameter> {
        let open = self.expect_as(Sign::Bar, Role::BarOpen)?;
        let name = self.ident()?;
        let default = if self.eat(Sign::Assign) { Some(self.expression()?) } else { None };
        self.mark(Role::BarClose);
        self.close(Sign::Bar, open)?;
        Ok(Parameter { name, default, span: self.since(open) })
    }

    /// Goes to what closes the parameter, or to where the jobs seem to begin.
    fn recover_parameter(&mut self) {
        self.depth = 0;
        loop {
            match self.kind() {
                TokenKind::End => return,
                TokenKind::Sign(Sign::Bar) => {
                    self.advance();
                    return;
                }
                TokenKind::Sign(sign) if connector(*sign).is_some() => return,
                _ => self.advance(),
            };
        }
    }

    fn link(&mut self) -> Option<Link> {
        let connector = connector(self.sign_at(0)?)?;
        Some(Link { connector, span: self.advance() })
    }

    /// Jobs up to the first that no connector follows.
    fn flow(&mut self) -> Flow {
        let start = self.span();
        let mut steps = Vec::new();
        loop {
            let (depth, blocks) = (self.depth, self.blocks);
            let from = self.span();
            let job = self.job().unwrap_or_else(|Failed| {
                (self.depth, self.blocks, self.no_angle) = (depth, blocks, false);
                let dictionaries = std::mem::take(&mut self.dictionaries);
                self.recover(dictionaries);
                Job { kind: JobKind::Invalid, span: self.since(from) }
            });
            let then = self.link();
            steps.push(Step { job, then });
            if then.is_none() {
                return Flow { steps, span: self.since(start) };
            }
        }
    }
}

/// The connector of that sign.
const fn connector(sign: Sign) -> Option<Connector> {
    match sign {
        Sign::Arrow => Some(Connector::Success),
        Sign::ArrowFailure => Some(Connector::Failure),
        Sign::ArrowLost => Some(Connector::Lost),
        Sign::ArrowAlways => Some(Connector::Always),
        _ => None,
    }
}

/// The first line of `text`, and of that not more than a message can bear.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > CHARS_MAX || line.len() < text.len() {
        line.chars().take(CHARS_MAX).chain(['…']).collect()
    } else {
        line.to_owned()
    }
}
