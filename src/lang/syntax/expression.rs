//! Expressions by precedence (rule: language/expressions).

use kompira_schema::message;

use super::super::ast::{
    Arguments, ArithmeticOp, Binding, CompareOp, Expr, ExprKind, Sign as Prefix, Span,
};
use super::super::diagnose::Diagnostic;
use super::super::lex::{Keyword, Role, Sign, TokenKind};
use super::{NESTING_MAX, Parser, Read};

/// Levels of binary operators, loosest first; each operand is of the level above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Member,
    Compare,
    Add,
    Multiply,
    Unary,
}

impl Level {
    const fn above(self) -> Self {
        match self {
            Self::Or => Self::And,
            Self::And => Self::Not,
            Self::Not => Self::Member,
            Self::Member => Self::Compare,
            Self::Compare => Self::Add,
            Self::Add => Self::Multiply,
            Self::Multiply | Self::Unary => Self::Unary,
        }
    }
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Read<Expr> {
        self.level(Level::Or)
    }

    fn level(&mut self, level: Level) -> Read<Expr> {
        let mut left = if level <= Level::Not && self.is_word(Keyword::Not) {
            self.not()?
        } else {
            self.unary()?
        };
        while let Some(found) = self.operator().filter(|found| *found >= level) {
            left = self.chain(found, left)?;
        }
        Ok(left)
    }

    /// The level of the binary operator that stands here.
    fn operator(&self) -> Option<Level> {
        match self.kind() {
            TokenKind::Keyword(Keyword::Or) => Some(Level::Or),
            TokenKind::Keyword(Keyword::And) => Some(Level::And),
            TokenKind::Keyword(Keyword::In) => Some(Level::Member),
            TokenKind::Keyword(Keyword::Not) => {
                let within = self.token(1).kind == TokenKind::Keyword(Keyword::In);
                within.then_some(Level::Member)
            }
            TokenKind::Sign(Sign::Plus | Sign::Minus) => Some(Level::Add),
            TokenKind::Sign(Sign::Star | Sign::Slash | Sign::Percent) => Some(Level::Multiply),
            TokenKind::Sign(_) => self.compare_op().map(|_| Level::Compare),
            _ => None,
        }
    }

    fn compare_op(&self) -> Option<CompareOp> {
        Some(match self.sign_at(0)? {
            Sign::Less if !self.no_angle => CompareOp::Less,
            Sign::Greater if !self.no_angle => CompareOp::Greater,
            Sign::LessEqual if !self.no_angle => CompareOp::LessEqual,
            Sign::GreaterEqual if !self.no_angle => CompareOp::GreaterEqual,
            Sign::Equal => CompareOp::Equal,
            Sign::NotEqual => CompareOp::NotEqual,
            Sign::Similar => CompareOp::Similar,
            Sign::NotSimilar => CompareOp::NotSimilar,
            _ => return None,
        })
    }

    fn arithmetic_op(&self) -> Option<ArithmeticOp> {
        Some(match self.sign_at(0)? {
            Sign::Plus => ArithmeticOp::Add,
            Sign::Minus => ArithmeticOp::Subtract,
            Sign::Star => ArithmeticOp::Multiply,
            Sign::Slash => ArithmeticOp::Divide,
            Sign::Percent => ArithmeticOp::Remainder,
            _ => return None,
        })
    }

    /// All operands of one level from `left` on.
    fn chain(&mut self, level: Level, left: Expr) -> Read<Expr> {
        let start = left.span;
        let mut height = self.height;
        let kind = match level {
            Level::Or | Level::And => {
                let mut operands = vec![left];
                while self.operator() == Some(level) {
                    self.advance();
                    operands.push(self.operand(level, &mut height)?);
                }
                if level == Level::Or { ExprKind::Or(operands) } else { ExprKind::And(operands) }
            }
            Level::Member => {
                let mut rest = Vec::new();
                while self.operator() == Some(level) {
                    let negated = self.eat_word(Keyword::Not);
                    self.advance();
                    rest.push((negated, self.operand(level, &mut height)?));
                }
                ExprKind::Member(Box::new(left), rest)
            }
            Level::Compare => {
                let mut rest = Vec::new();
                while let Some(op) = self.compare_op() {
                    self.advance();
                    rest.push((op, self.operand(level, &mut height)?));
                }
                ExprKind::Compare(Box::new(left), rest)
            }
            Level::Add | Level::Multiply | Level::Not | Level::Unary => {
                let mut rest = Vec::new();
                while self.operator() == Some(level)
                    && let Some(op) = self.arithmetic_op()
                {
                    self.advance();
                    rest.push((op, self.operand(level, &mut height)?));
                }
                ExprKind::Arithmetic(Box::new(left), rest)
            }
        };
        self.height = height;
        Ok(Expr { kind, span: self.since(start) })
    }

    fn operand(&mut self, level: Level, height: &mut u32) -> Read<Expr> {
        let operand = self.level(level.above())?;
        *height = self.height.max(*height);
        Ok(operand)
    }

    fn not(&mut self) -> Read<Expr> {
        let start = self.advance();
        self.enter()?;
        let operand = self.level(Level::Not)?;
        self.leave();
        self.height += 1;
        Ok(Expr { kind: ExprKind::Not(Box::new(operand)), span: self.since(start) })
    }

    fn unary(&mut self) -> Read<Expr> {
        let sign = match self.sign_at(0) {
            Some(Sign::Plus) => Prefix::Plus,
            Some(Sign::Minus) => Prefix::Minus,
            _ => return self.postfix(),
        };
        self.mark(Role::Prefix);
        let start = self.advance();
        self.enter()?;
        let operand = self.unary()?;
        self.leave();
        self.height += 1;
        Ok(Expr { kind: ExprKind::Unary(sign, Box::new(operand)), span: self.since(start) })
    }

    fn postfix(&mut self) -> Read<Expr> {
        let mut left = self.atom()?;
        let mut height = self.height;
        let start = left.span;
        loop {
            let of = |left: &mut Expr| {
                Box::new(std::mem::replace(left, Expr { kind: ExprKind::Invalid, span: start }))
            };
            let kind = match self.sign_at(0) {
                Some(Sign::Dot) => {
                    self.advance();
                    let name = self.ident()?;
                    ExprKind::Attribute(of(&mut left), name)
                }
                Some(Sign::BracketOpen) => {
                    let index = self.index()?;
                    ExprKind::Index(of(&mut left), Box::new(index))
                }
                Some(Sign::ParenOpen) => {
                    let args = self.call_arguments()?;
                    ExprKind::Call(of(&mut left), Box::new(args))
                }
                _ => {
                    self.height = height;
                    return Ok(left);
                }
            };
            height = self.height.max(height) + 1;
            if height > NESTING_MAX {
                return self.too_deep();
            }
            left = Expr { kind, span: self.since(start) };
        }
    }

    /// `[ expression ]`
    pub(super) fn index(&mut self) -> Read<Expr> {
        self.mark(Role::Postfix);
        self.bracketed(Sign::BracketClose, Self::expression)
    }

    /// `( arguments? )`
    pub(super) fn call_arguments(&mut self) -> Read<Arguments> {
        self.height = 0;
        self.mark(Role::Postfix);
        self.bracketed(Sign::ParenClose, |parser| {
            if parser.is(Sign::ParenClose) { Ok(Arguments::default()) } else { parser.arguments() }
        })
    }

    /// Takes the bracket that stands here, what `inside` reads, and the closing `close`.
    fn bracketed<T>(&mut self, close: Sign, inside: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let open = self.advance();
        self.enter()?;
        let no_angle = std::mem::replace(&mut self.no_angle, false);
        let dictionary = u32::from(close == Sign::BraceClose);
        self.dictionaries += dictionary;
        let read = inside(self)?;
        self.close(close, open)?;
        self.dictionaries -= dictionary;
        self.no_angle = no_angle;
        self.leave();
        Ok(read)
    }

    fn atom(&mut self) -> Read<Expr> {
        let span = self.span();
        self.height = 0;
        let kind = match self.kind() {
            TokenKind::Ident => ExprKind::Variable(span.text(self.source).into()),
            TokenKind::Path => ExprKind::Path(span.text(self.source).into()),
            TokenKind::Special(Some(special)) => ExprKind::Special(*special),
            TokenKind::Special(None) => {
                let name = span.text(self.source);
                let message = message!("lang.unknown_special", name = name);
                self.findings.push(Diagnostic::error("K11", span, message));
                ExprKind::Invalid
            }
            TokenKind::Text(text) => ExprKind::Text(text.clone()),
            TokenKind::Binary(bytes) => ExprKind::Binary(bytes.clone()),
            TokenKind::Pattern(pattern) => ExprKind::Pattern(pattern.clone()),
            TokenKind::Integer(number) => ExprKind::Integer(number.clone()),
            TokenKind::Float(number) => ExprKind::Float(*number),
            TokenKind::Keyword(Keyword::True) => ExprKind::Bool(true),
            TokenKind::Keyword(Keyword::False) => ExprKind::Bool(false),
            TokenKind::Keyword(Keyword::Null) => ExprKind::Null,
            TokenKind::Sign(Sign::Slash) => ExprKind::Root,
            TokenKind::Wrong => ExprKind::Invalid,
            TokenKind::Sign(Sign::ParenOpen | Sign::BracketOpen | Sign::BraceOpen) => {
                return self.brackets(span);
            }
            _ => return self.unexpected_name(message!("lang.expected_value")),
        };
        self.advance();
        Ok(Expr { kind, span })
    }

    fn brackets(&mut self, start: Span) -> Read<Expr> {
        let kind = match self.sign_at(0) {
            Some(Sign::ParenOpen) => {
                let inside = self.bracketed(Sign::ParenClose, Self::expression)?;
                ExprKind::Paren(Box::new(inside))
            }
            Some(Sign::BracketOpen) => {
                let items = self.bracketed(Sign::BracketClose, |parser| {
                    if parser.is(Sign::BracketClose) {
                        Ok(Vec::new())
                    } else {
                        parser.expression_list()
                    }
                })?;
                ExprKind::Array(items)
            }
            _ => self.bracketed(Sign::BraceClose, Self::dictionary)?,
        };
        self.height += 1;
        Ok(Expr { kind, span: self.since(start) })
    }

    fn dictionary(&mut self) -> Read<ExprKind> {
        if self.is(Sign::BraceClose) {
            return Ok(ExprKind::Names(Vec::new()));
        }
        if self.binding_follows() {
            return Ok(ExprKind::Names(self.bindings(Role::Tight)?));
        }
        let mut pairs = Vec::new();
        let mut height = 0;
        loop {
            let key = self.expression()?;
            height = self.height.max(height);
            self.expect(Sign::Colon)?;
            let value = self.expression()?;
            height = self.height.max(height);
            pairs.push((key, value));
            if !self.eat(Sign::Comma) {
                self.height = height;
                return Ok(ExprKind::Pairs(pairs));
            }
        }
    }

    pub(super) fn expression_list(&mut self) -> Read<Vec<Expr>> {
        let mut items = Vec::new();
        let mut height = 0;
        loop {
            items.push(self.expression()?);
            height = self.height.max(height);
            if !self.eat(Sign::Comma) {
                self.height = height;
                return Ok(items);
            }
        }
    }

    /// Whether `name =` stands here; a keyword in the name's place is meant as a name.
    pub(super) fn binding_follows(&self) -> bool {
        matches!(self.kind(), TokenKind::Ident | TokenKind::Keyword(_))
            && self.sign_at(1) == Some(Sign::Assign)
    }

    pub(super) fn bindings(&mut self, role: Role) -> Read<Vec<Binding>> {
        let mut bindings = Vec::new();
        let mut height = 0;
        loop {
            bindings.push(self.binding(role)?);
            height = self.height.max(height);
            if !self.eat(Sign::Comma) {
                self.height = height;
                return Ok(bindings);
            }
        }
    }

    fn binding(&mut self, role: Role) -> Read<Binding> {
        let name = self.ident()?;
        self.expect_as(Sign::Assign, role)?;
        Ok(Binding { name, value: self.expression()? })
    }

    /// At least one argument: positionals, `*array`, names, `**dictionary`, in this order.
    pub(super) fn arguments(&mut self) -> Read<Arguments> {
        let mut args = Arguments::default();
        let mut height = 0;
        loop {
            if self.is(Sign::StarTwo) {
                self.mark(Role::Prefix);
                self.advance();
                args.double_star = Some(self.atom()?);
                self.height = self.height.max(height);
                return Ok(args);
            }
            if self.binding_follows() {
                args.named.push(self.binding(Role::Tight)?);
            } else if !args.named.is_empty() {
                return self.unexpected(message!("lang.argument_order"));
            } else if self.is(Sign::Star) && args.star.is_none() {
                self.mark(Role::Prefix);
                self.advance();
                args.star = Some(self.atom()?);
            } else if args.star.is_some() {
                return self.unexpected(message!("lang.argument_order"));
            } else {
                args.positional.push(self.expression()?);
            }
            height = self.height.max(height);
            if !self.eat(Sign::Comma) {
                self.height = height;
                return Ok(args);
            }
        }
    }
}
