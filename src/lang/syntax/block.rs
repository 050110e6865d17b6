//! Blocks (rule: language/blocks).

use kompira_schema::message;

use super::super::ast::{
    Block, Case, CaseClause, ChoiceClause, Elif, Flow, For, If, JobKind, Session, Span, While,
};
use super::super::lex::{Keyword, Role, Sign, TokenKind};
use super::{Parser, Read};

impl Parser<'_> {
    pub(super) fn block(&mut self) -> Read<JobKind> {
        self.mark(Role::BlockOpen);
        let open = self.advance();
        self.enter()?;
        self.blocks += 1;
        let kind = match self.kind() {
            TokenKind::Keyword(word) if self.sign_at(1) != Some(Sign::Assign) => {
                self.keyword_block(*word)?
            }
            TokenKind::Sign(Sign::BraceClose) => {
                return self.unexpected(message!("lang.empty_block"));
            }
            _ => self.simple_block()?,
        };
        self.end_block(open)?;
        self.blocks -= 1;
        self.leave();
        Ok(kind)
    }

    /// The closing brace. What stands before it instead is reported and passed over.
    fn end_block(&mut self, open: Span) -> Read<()> {
        self.mark(Role::BlockClose);
        if self.eat(Sign::BraceClose) {
            return Ok(());
        }
        let note = message!("lang.opened_here", what = open.text(self.source));
        let read: Read<()> =
            self.unexpected_with(message!("lang.expected_block_end"), Some((open, note)));
        // Behind the error the block goes on: the rest of it is read for more errors.
        self.recover(0);
        while self.link().is_some() {
            self.flow();
            if !self.is(Sign::BraceClose) {
                self.recover(0);
            }
        }
        if self.eat(Sign::BraceClose) { Ok(()) } else { read }
    }

    fn keyword_block(&mut self, word: Keyword) -> Read<JobKind> {
        Ok(match word {
            Keyword::If => JobKind::If(Box::new(self.if_block()?)),
            Keyword::Case => JobKind::Case(Box::new(self.case_block()?)),
            Keyword::For => JobKind::For(Box::new(self.for_block()?)),
            Keyword::Pfor => JobKind::Pfor(Box::new(self.for_block()?)),
            Keyword::While => JobKind::While(Box::new(self.while_block()?)),
            Keyword::Choice => JobKind::Choice(self.choice_block()?),
            Keyword::Fork => JobKind::Fork(self.fork_block()?),
            Keyword::Session => JobKind::Session(Box::new(self.session_block()?)),
            Keyword::Try => {
                self.advance();
                JobKind::Try(self.bar_flow()?)
            }
            _ => self.simple_block()?,
        })
    }

    fn bar_flow(&mut self) -> Read<Flow> {
        self.expect(Sign::Bar)?;
        Ok(self.flow())
    }

    fn simple_block(&mut self) -> Read<JobKind> {
        let mut bindings = Vec::new();
        if self.binding_follows() {
            bindings = self.bindings(Role::Plain)?;
            self.expect(Sign::Bar)?;
        }
        Ok(JobKind::Block(Box::new(Block { bindings, body: self.flow() })))
    }

    fn if_block(&mut self) -> Read<If> {
        self.advance();
        let condition = if self.is(Sign::Bar) { None } else { Some(self.expression()?) };
        let bar = self.expect(Sign::Bar)?;
        let clauses = self.eat_clause(Keyword::Then);
        if clauses {
            self.expect(Sign::Colon)?;
        }
        let then = self.flow();
        if !clauses {
            if !self.is_word(Keyword::Elif) && !self.is_word(Keyword::Else) {
                return Ok(If { condition, clauses, then, elifs: Vec::new(), otherwise: None });
            }
            // Reported, and then read as if `then:` were there.
            let note = message!("lang.then_here");
            let _: Read<()> =
                self.unexpected_with(message!("lang.then_missing"), Some((bar, note)));
        }
        let mut elifs = Vec::new();
        while self.eat_clause(Keyword::Elif) {
            let condition = self.expression()?;
            self.expect(Sign::Colon)?;
            elifs.push(Elif { condition, body: self.flow() });
        }
        let otherwise = self.else_clause()?;
        Ok(If { condition, clauses, then, elifs, otherwise })
    }

    fn eat_clause(&mut self, word: Keyword) -> bool {
        let found = self.is_word(word);
        if found {
            self.mark_clause();
            self.advance();
        }
        found
    }

    fn else_clause(&mut self) -> Read<Option<Flow>> {
        if !self.eat_clause(Keyword::Else) {
            return Ok(None);
        }
        self.expect(Sign::Colon)?;
        Ok(Some(self.flow()))
    }

    fn case_block(&mut self) -> Read<Case> {
        self.advance();
        let subject = if self.is(Sign::Bar) { None } else { Some(self.expression()?) };
        self.expect(Sign::Bar)?;
        let mut clauses = Vec::new();
        loop {
            self.mark_clause();
            let patterns = self.expression_list()?;
            self.expect(Sign::Colon)?;
            clauses.push(CaseClause { patterns, body: self.flow() });
            if self.is_word(Keyword::Else) || self.is(Sign::BraceClose) || self.at_end() {
                break;
            }
        }
        let otherwise = self.else_clause()?;
        Ok(Case { subject, clauses, otherwise })
    }

    fn at_end(&self) -> bool {
        *self.kind() == TokenKind::End
    }

    fn for_block(&mut self) -> Read<For> {
        self.advance();
        let variable = self.ident()?;
        if !self.eat_word(Keyword::In) {
            return self.unexpected(message!("lang.expected", what = Keyword::In.text()));
        }
        let over = self.expression()?;
        Ok(For { variable, over, body: self.bar_flow()? })
    }

    fn while_block(&mut self) -> Read<While> {
        self.advance();
        let condition = self.expression()?;
        Ok(While { condition, body: self.bar_flow()? })
    }

    fn choice_block(&mut self) -> Read<Vec<ChoiceClause>> {
        self.advance();
        self.expect(Sign::Bar)?;
        let mut clauses = Vec::new();
        loop {
            self.mark_clause();
            let event = self.event()?;
            let Some(then) = self.link() else {
                return self.unexpected(message!("lang.expected_connector"));
            };
            clauses.push(ChoiceClause { event, then, body: self.flow() });
            if self.is(Sign::BraceClose) || self.at_end() {
                return Ok(clauses);
            }
        }
    }

    fn fork_block(&mut self) -> Read<Vec<Flow>> {
        self.advance();
        self.expect(Sign::Bar)?;
        let mut children = Vec::new();
        loop {
            self.mark_clause();
            children.push(self.flow());
            if self.is(Sign::BraceClose) || self.at_end() {
                return Ok(children);
            }
        }
    }

    fn session_block(&mut self) -> Read<Session> {
        self.advance();
        let variable = self.ident()?;
        Ok(Session { variable, body: self.bar_flow()? })
    }
}
