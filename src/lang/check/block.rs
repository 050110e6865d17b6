//! Checks of blocks: what they assign, and what may stand in them.

use kompira_schema::message;

use super::super::ast::{Event, Expr, Flow, Ident, JobKind, Span};
use super::super::diagnose::Diagnostic;
use super::scope::Branch;
use super::{Around, Checker};

impl Checker {
    pub(super) fn block(&mut self, span: Span, kind: &JobKind) {
        match kind {
            JobKind::Block(block) => {
                self.duplicates(&block.bindings, "K06");
                let mark = self.scope.mark();
                for binding in &block.bindings {
                    self.expression(&binding.value);
                    self.bind(&binding.name);
                }
                self.flow(&block.body);
                self.scope.close(mark);
            }
            JobKind::If(block) => {
                block.condition.iter().for_each(|condition| self.expression(condition));
                let mut branches = vec![self.branch(&[], &block.then)];
                for elif in &block.elifs {
                    self.expression(&elif.condition);
                    branches.push(self.branch(&[], &elif.body));
                }
                match &block.otherwise {
                    Some(body) => branches.push(self.branch(&[], body)),
                    None => branches.push(Branch::Names(Vec::new())),
                }
                self.scope.join(&branches);
            }
            JobKind::Case(block) => {
                block.subject.iter().for_each(|subject| self.expression(subject));
                let mut branches = Vec::new();
                for clause in &block.clauses {
                    clause.patterns.iter().for_each(|pattern| self.expression(pattern));
                    branches.push(self.branch(&[], &clause.body));
                }
                if let Some(body) = &block.otherwise {
                    branches.push(self.branch(&[], body));
                }
                self.scope.join(&branches);
            }
            JobKind::Choice(clauses) => {
                clauses.iter().for_each(|clause| self.event(&clause.event));
                let branches: Vec<_> =
                    clauses.iter().map(|clause| self.branch(&[], &clause.body)).collect();
                self.scope.join(&branches);
            }
            JobKind::For(block) => {
                let around = Around { inside_loop: true, ..self.around };
                self.apart(around, &block.over, Some(&block.variable), &block.body);
            }
            JobKind::While(block) => {
                let around = Around { inside_loop: true, ..self.around };
                self.apart(around, &block.condition, None, &block.body);
            }
            JobKind::Pfor(block) => {
                let around = Around { session: self.around.session, ..Around::default() };
                self.apart(around, &block.over, Some(&block.variable), &block.body);
            }
            JobKind::Fork(children) => {
                let around = Around { session: self.around.session, ..Around::default() };
                let before = std::mem::replace(&mut self.around, around);
                for child in children {
                    self.branch(&[], child);
                }
                self.around = before;
            }
            JobKind::Session(block) => self.session(span, &block.variable, &block.body),
            JobKind::Try(body) => {
                self.branch(&[], body);
            }
            JobKind::Skip
            | JobKind::Assign(_)
            | JobKind::Update(_)
            | JobKind::Execute(_)
            | JobKind::Event(_)
            | JobKind::Call(_)
            | JobKind::Break
            | JobKind::Continue
            | JobKind::Invalid => {}
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        event.source.iter().for_each(|source| self.expression(source));
        event.guard.iter().for_each(|guard| self.expression(&guard.pattern));
        self.arguments(&event.args);
    }

    fn bind(&mut self, name: &Ident) {
        self.control_name(name);
        self.scope.bind(&name.name);
    }

    /// A body that may not run, with its own variables; what it assigns is taken back.
    fn branch(&mut self, variables: &[&Ident], body: &Flow) -> Branch {
        let mark = self.scope.mark();
        variables.iter().for_each(|variable| self.bind(variable));
        self.flow(body);
        self.scope.back(mark)
    }

    /// The body of a loop: nothing it assigns is certain afterwards.
    fn apart(&mut self, around: Around, head: &Expr, variable: Option<&Ident>, body: &Flow) {
        self.expression(head);
        let before = std::mem::replace(&mut self.around, around);
        self.branch(variable.as_slice(), body);
        self.around = before;
    }

    fn session(&mut self, span: Span, variable: &Ident, body: &Flow) {
        if self.around.session {
            let span = Span::new(span.start, variable.span.end);
            self.findings.push(Diagnostic::error("K14", span, message!("lang.nested_session")));
        }
        let around = Around { inside_session: true, session: true, ..self.around };
        let before = std::mem::replace(&mut self.around, around);
        // A `break` at the end leaves the session alone, so what follows is reached.
        let (Branch::Jumps(names) | Branch::Names(names)) = self.branch(&[variable], body);
        self.scope.join(&[Branch::Names(names)]);
        self.around = before;
    }
}
