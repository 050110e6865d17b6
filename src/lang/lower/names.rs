//! Which variables assignments may make.

use std::sync::Arc;

use crate::lang::ast::{Flow, JobKind, TargetBase};

/// Appends the names that assignment and update jobs in `flow` name, in order of appearance.
pub(super) fn assigned(flow: &Flow, into: &mut Vec<Arc<str>>) {
    for step in &flow.steps {
        job(&step.job.kind, into);
    }
}

fn job(kind: &JobKind, into: &mut Vec<Arc<str>>) {
    match kind {
        JobKind::Assign(bindings) => {
            into.extend(bindings.iter().map(|binding| Arc::clone(&binding.name.name)))
        }
        JobKind::Update(update) => {
            if let (TargetBase::Variable(name), []) =
                (&update.target.base, update.target.parts.as_slice())
            {
                into.push(Arc::clone(name));
            }
        }
        JobKind::Block(block) => assigned(&block.body, into),
        JobKind::If(block) => {
            assigned(&block.then, into);
            block.elifs.iter().for_each(|clause| assigned(&clause.body, into));
            block.otherwise.iter().for_each(|flow| assigned(flow, into));
        }
        JobKind::Case(block) => {
            block.clauses.iter().for_each(|clause| assigned(&clause.body, into));
            block.otherwise.iter().for_each(|flow| assigned(flow, into));
        }
        JobKind::For(block) | JobKind::Pfor(block) => assigned(&block.body, into),
        JobKind::While(block) => assigned(&block.body, into),
        JobKind::Choice(clauses) => clauses.iter().for_each(|clause| assigned(&clause.body, into)),
        JobKind::Fork(flows) => flows.iter().for_each(|flow| assigned(flow, into)),
        JobKind::Session(block) => assigned(&block.body, into),
        JobKind::Try(flow) => assigned(flow, into),
        JobKind::Skip
        | JobKind::Execute(_)
        | JobKind::Event(_)
        | JobKind::Call(_)
        | JobKind::Break
        | JobKind::Continue
        | JobKind::Invalid => {}
    }
}
