//! Blocks.

use super::{Cleanup, Loop, Lower, Lowered, Outcome, TooLarge};
use crate::lang::ast::{Block, Case, ChoiceClause, Connector, Flow, For, If, Session, Span, While};
use crate::lang::program::{Op, R};

impl Lower<'_> {
    /// Lowers a part that may be left out at run time: what it assigns is not certain afterwards.
    pub(super) fn perhaps<T>(&mut self, part: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        let assigned = self.assigned.clone();
        let result = part(self);
        self.assigned = assigned;
        result
    }

    pub(super) fn simple(&mut self, block: &Block) -> Lowered<Outcome> {
        let visible = self.blocks.len();
        for binding in &block.bindings {
            let register = self.reserve(1)?;
            self.into(&binding.value, register)?;
            self.blocks.push((binding.name.name.clone(), register));
        }
        let outcome = self.flow(&block.body)?;
        self.blocks.truncate(visible);
        Ok(outcome)
    }

    pub(super) fn if_block(&mut self, block: &If) -> Lowered<Outcome> {
        let mut ends = Vec::new();
        let mut next = match &block.condition {
            Some(condition) => self.jump_if(condition, false)?,
            None => vec![self.emit(Op::JumpUnless { value: R::RESULT, to: 0 })],
        };
        let line = self.line;
        let mut outcome = self.perhaps(|lower| lower.flow(&block.then))?;
        for clause in &block.elifs {
            ends.push(self.emit(Op::Jump(0)));
            self.land_all(std::mem::take(&mut next))?;
            self.line = line;
            next = self.perhaps(|lower| lower.jump_if(&clause.condition, false))?;
            outcome = outcome.or(self.perhaps(|lower| lower.flow(&clause.body))?);
        }
        ends.push(self.emit(Op::Jump(0)));
        self.land_all(next)?;
        self.line = line;
        outcome = outcome.or(match &block.otherwise {
            Some(flow) => self.perhaps(|lower| lower.flow(flow))?,
            None => {
                self.emit(Op::Ok);
                Outcome::Ok
            }
        });
        self.land_all(ends)?;
        Ok(outcome)
    }

    pub(super) fn case(&mut self, block: &Case) -> Lowered<Outcome> {
        let line = self.line;
        let subject = match &block.subject {
            Some(subject) => self.operand(subject)?,
            None => R::RESULT,
        };
        // The patterns of later clauses are evaluated after jobs only of clauses not taken, so the
        // subject cannot change meanwhile.
        let mut ends = Vec::new();
        let mut outcome = Outcome::Never;
        for clause in &block.clauses {
            self.line = line;
            let mut hits = Vec::new();
            for pattern in &clause.patterns {
                let mark = self.next;
                let into = self.reserve(1)?;
                let pattern = self.perhaps(|lower| lower.operand(pattern))?;
                self.emit(Op::Fits { into, value: subject, pattern });
                hits.push(self.emit(Op::JumpIf { value: R(into), to: 0 }));
                self.next = mark;
            }
            let miss = self.emit(Op::Jump(0));
            self.land_all(hits)?;
            outcome = outcome.or(self.perhaps(|lower| lower.flow(&clause.body))?);
            ends.push(self.emit(Op::Jump(0)));
            self.land(miss)?;
        }
        self.line = line;
        outcome = outcome.or(match &block.otherwise {
            Some(flow) => self.perhaps(|lower| lower.flow(flow))?,
            None => {
                self.emit(Op::Status(1));
                Outcome::Any
            }
        });
        self.land_all(ends)?;
        Ok(outcome)
    }

    fn enter(&mut self, repeats: bool) {
        let cleanups = self.cleanups.len();
        self.loops.push(Loop { repeats, cleanups, breaks: Vec::new(), continues: Vec::new() });
    }

    fn exit(&mut self) -> Lowered<Loop> {
        self.loops.pop().ok_or(TooLarge)
    }

    pub(super) fn for_block(&mut self, block: &For, span: Span) -> Lowered<Outcome> {
        let state = self.reserve(2)?;
        let mark = self.next;
        let value = self.operand(&block.over)?;
        self.emit(Op::Iterate { state, value });
        self.next = mark;
        let variable = self.reserve(1)?;
        let top = self.here()?;
        self.emit(Op::Next { state, into: variable });
        let end = self.emit(Op::Jump(0));
        self.enter(true);
        self.blocks.push((block.variable.name.clone(), variable));
        self.perhaps(|lower| lower.body(&block.body))?;
        self.blocks.pop();
        self.at(span);
        let left = self.exit()?;
        self.land_all(left.continues)?;
        self.emit(Op::Jump(top));
        self.land(end)?;
        self.land_all(left.breaks)?;
        self.emit(Op::Ok);
        Ok(Outcome::Ok)
    }

    pub(super) fn while_block(&mut self, block: &While, span: Span) -> Lowered<Outcome> {
        let first = self.emit(Op::Jump(0));
        let top = self.here()?;
        self.enter(true);
        self.perhaps(|lower| lower.body(&block.body))?;
        self.at(span);
        let left = self.exit()?;
        self.land(first)?;
        self.land_all(left.continues)?;
        for jump in self.jump_if(&block.condition, true)? {
            match self.program.code.get_mut(jump) {
                Some(Op::Jump(to) | Op::JumpIf { to, .. } | Op::JumpUnless { to, .. }) => *to = top,
                other => unreachable!("only jumps are landed, not {other:?}"),
            }
        }
        self.land_all(left.breaks)?;
        self.emit(Op::Ok);
        Ok(Outcome::Ok)
    }

    pub(super) fn try_block(&mut self, flow: &Flow, span: Span) -> Lowered<Outcome> {
        let start = self.emit(Op::Try(0));
        self.cleanups.push(Cleanup::Try);
        self.perhaps(|lower| lower.body(flow))?;
        self.cleanups.pop();
        self.at(span);
        self.emit(Op::TryEnd);
        let end = self.emit(Op::Jump(0));
        self.land(start)?;
        self.emit(Op::Caught);
        self.land(end)?;
        Ok(Outcome::Any)
    }

    /// Lowers what runs in a child process: no jump leaves it.
    fn child(&mut self, flow: &Flow) -> Lowered<()> {
        let loops = std::mem::take(&mut self.loops);
        let cleanups = std::mem::take(&mut self.cleanups);
        self.perhaps(|lower| lower.flow(flow))?;
        self.emit(Op::ChildEnd);
        self.loops = loops;
        self.cleanups = cleanups;
        Ok(())
    }

    pub(super) fn fork(&mut self, flows: &[Flow]) -> Lowered<Outcome> {
        let table = u16::try_from(self.program.forks.len()).map_err(|_| TooLarge)?;
        self.program.forks.push(Vec::new());
        let line = self.line;
        self.emit(Op::Fork { table });
        let end = self.emit(Op::Jump(0));
        let mut entries = Vec::with_capacity(flows.len());
        for flow in flows {
            entries.push(self.here()?);
            self.child(flow)?;
        }
        if let Some(place) = self.program.forks.get_mut(table as usize) {
            *place = entries;
        }
        self.land(end)?;
        self.line = line;
        Ok(Outcome::Any)
    }

    pub(super) fn pfor(&mut self, block: &For) -> Lowered<Outcome> {
        let variable = self.reserve(1)?;
        let value = self.operand(&block.over)?;
        self.emit(Op::Pfor { value, variable });
        let end = self.emit(Op::Jump(0));
        self.next = variable as usize + 1;
        self.blocks.push((block.variable.name.clone(), variable));
        self.child(&block.body)?;
        self.blocks.pop();
        self.land(end)?;
        Ok(Outcome::Any)
    }

    pub(super) fn session(&mut self, block: &Session, span: Span) -> Lowered<Outcome> {
        let session = self.reserve(1)?;
        let controls = self.control_set()?;
        self.emit(Op::Session { into: session, controls });
        let end = self.emit(Op::Jump(0));
        self.cleanups.push(Cleanup::Session(session));
        self.enter(false);
        self.blocks.push((block.variable.name.clone(), session));
        self.perhaps(|lower| lower.body(&block.body))?;
        self.blocks.pop();
        let left = self.exit()?;
        self.cleanups.pop();
        self.at(span);
        self.land_all(left.breaks)?;
        self.emit(Op::SessionEnd { session, result: true });
        self.land(end)?;
        Ok(Outcome::Any)
    }

    pub(super) fn choice(&mut self, clauses: &[ChoiceClause]) -> Lowered<Outcome> {
        let line = self.line;
        let mut alternatives = Vec::with_capacity(clauses.len());
        for clause in clauses {
            self.at(clause.event.span);
            alternatives.push(self.event_parts(&clause.event)?);
        }
        self.line = line;
        let wait = self.emit(Op::Wait { table: 0 });
        let mut ends = Vec::new();
        let mut outcome = Outcome::Never;
        for (clause, alternative) in clauses.iter().zip(&mut alternatives) {
            alternative.to = self.here()?;
            self.at(clause.event.span);
            if clause.then.connector != Connector::Always {
                self.emit(Op::Judge(clause.then.connector));
            }
            outcome = outcome.or(self.perhaps(|lower| lower.flow(&clause.body))?);
            ends.push(self.emit(Op::Jump(0)));
        }
        let table = self.wait(alternatives)?;
        if let Some(op) = self.program.code.get_mut(wait) {
            *op = Op::Wait { table };
        }
        self.land_all(ends)?;
        self.line = line;
        Ok(outcome)
    }
}
