//! Jobs but for blocks (rule: language/jobs).

use kompira_schema::message;

use super::super::ast::{
    Arguments, CallJob, Event, Execute, Guard, Ident, Job, JobKind, Target, TargetBase, TargetPart,
    Update,
};
use super::super::lex::{Keyword, Role, Sign, TokenKind};
use super::{NESTING_MAX, Parser, Read};

impl Parser<'_> {
    pub(super) fn job(&mut self) -> Read<Job> {
        let start = self.span();
        let kind = match self.kind() {
            TokenKind::Sign(Sign::BracketOpen) => self.bracket_job()?,
            TokenKind::Sign(Sign::Less) => JobKind::Event(Box::new(self.event()?)),
            TokenKind::Sign(Sign::BraceOpen) => self.block()?,
            TokenKind::Ident => self.call_job()?,
            TokenKind::Keyword(Keyword::Break) => {
                self.advance();
                JobKind::Break
            }
            TokenKind::Keyword(Keyword::Continue) => {
                self.advance();
                JobKind::Continue
            }
            _ => return self.unexpected(message!("lang.expected_job")),
        };
        Ok(Job { kind, span: self.since(start) })
    }

    fn call_job(&mut self) -> Read<JobKind> {
        let span = self.advance();
        let name = Ident { name: span.text(self.source).into(), span };
        if !self.is(Sign::ParenOpen) {
            return self.unexpected(message!("lang.expected_call", name = name.name));
        }
        let args = self.call_arguments()?;
        Ok(JobKind::Call(Box::new(CallJob { name, args })))
    }

    /// Skip, assignment, update or execution.
    fn bracket_job(&mut self) -> Read<JobKind> {
        let open = self.advance();
        let kind = if self.is(Sign::BracketClose) {
            JobKind::Skip
        } else if self.binding_follows() {
            JobKind::Assign(self.bindings(Role::Plain)?)
        } else {
            let first = self.expression()?;
            if self.eat(Sign::ShiftRight) {
                let target = self.target()?;
                JobKind::Update(Box::new(Update { value: first, target }))
            } else {
                let input = if self.eat(Sign::ShiftLeft) { Some(self.expression()?) } else { None };
                let args = self.colon_arguments()?;
                JobKind::Execute(Box::new(Execute { callee: first, input, args }))
            }
        };
        self.close(Sign::BracketClose, open)?;
        Ok(kind)
    }

    fn colon_arguments(&mut self) -> Read<Arguments> {
        if self.eat(Sign::Colon) { self.arguments() } else { Ok(Arguments::default()) }
    }

    fn target(&mut self) -> Read<Target> {
        let base_span = self.span();
        let text = base_span.text(self.source);
        let base = match self.kind() {
            TokenKind::Ident => TargetBase::Variable(text.into()),
            TokenKind::Path => TargetBase::Path(text.into()),
            _ => return self.unexpected(message!("lang.expected_target")),
        };
        self.advance();
        let mut parts = Vec::new();
        loop {
            match self.sign_at(0) {
                Some(Sign::Dot) => {
                    self.advance();
                    parts.push(TargetPart::Attribute(self.ident()?));
                }
                Some(Sign::BracketOpen) => parts.push(TargetPart::Index(self.index()?)),
                _ => break,
            }
            if parts.len() > NESTING_MAX as usize {
                return self.too_deep();
            }
        }
        Ok(Target { base, base_span, parts, span: self.since(base_span) })
    }

    pub(super) fn event(&mut self) -> Read<Event> {
        let open = self.expect_as(Sign::Less, Role::AngleOpen)?;
        let (mut source, mut guard, mut args) = (None, None, Arguments::default());
        if !matches!(self.sign_at(0), Some(Sign::Greater | Sign::GreaterEqual | Sign::ShiftRight)) {
            self.no_angle = true;
            source = Some(self.expression()?);
            let scan = self.is(Sign::QuestionTwo);
            if scan || self.is(Sign::Question) {
                self.advance();
                guard = Some(Guard { scan, pattern: self.expression()? });
            }
            args = self.colon_arguments()?;
            self.no_angle = false;
        }
        self.close_angle(open)?;
        Ok(Event { source, guard, args, span: self.since(open) })
    }
}
