//! What the grammar alone does not forbid (rule: language/errors).

use std::collections::HashSet;
use std::sync::Arc;

use kompira_schema::message;

use super::ast::{
    Arguments, Binding, CallJob, Expr, ExprKind, Flow, Ident, Job, JobKind, PatternKind,
    PatternLiteral, Program, Target, TargetBase, TargetPart,
};
use super::diagnose::{Diagnostic, Findings, Severity};
use super::pattern::Pattern;
use super::syntax::Parsed;

mod block;
mod names;
mod scope;
#[cfg(test)]
mod tests;

use scope::Scope;

/// Most jobs in one sequence. Source: jobflow language, K12.
pub const SEQUENCE_MAX: usize = 4_096;

/// Finds what is wrong with a source that has been read: all its findings, in order of place.
#[must_use]
pub fn check(parsed: &Parsed) -> Vec<Diagnostic> {
    let mut checker = Checker {
        findings: Findings::default(),
        scope: Scope::default(),
        around: Around::default(),
        // An assignment that could not be read would make every later use an error.
        variables: parsed.is_whole(),
    };
    checker.program(&parsed.program);
    let mut all = parsed.diagnostics.clone();
    all.extend(checker.findings.into_vec());
    all.sort_by_key(|found| (found.span.start, found.severity == Severity::Warning));
    all.truncate(super::diagnose::DIAGNOSTICS_MAX);
    all
}

/// The blocks around a job that matter to it.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    /// `break` and `continue` have a loop.
    inside_loop: bool,
    /// `break` has a session.
    inside_session: bool,
    /// A session is open lexically, perhaps outside a fork.
    session: bool,
}

struct Checker {
    findings: Findings,
    scope: Scope,
    around: Around,
    variables: bool,
}

impl Checker {
    fn error(&mut self, code: &'static str, at: &Ident, message: kompira_schema::error::Message) {
        self.findings.push(Diagnostic::error(code, at.span, message));
    }

    fn program(&mut self, program: &Program) {
        let mut seen = HashSet::new();
        for parameter in &program.parameters {
            if let Some(default) = &parameter.default {
                self.expression(default);
            }
            let name = &parameter.name;
            if !seen.insert(&name.name) {
                self.error("K07", name, message!("lang.duplicate_parameter", name = name.name));
            }
            self.control_name(name);
            self.scope.assign(&name.name);
        }
        if let Some(flow) = &program.flow {
            self.flow(flow);
        }
    }

    fn flow(&mut self, flow: &Flow) {
        if let Some(beyond) = flow.steps.get(SEQUENCE_MAX) {
            let span = beyond.job.span;
            self.findings.push(
                Diagnostic::error("K12", span, message!("lang.too_many_jobs"))
                    .with_help(message!("lang.too_many_jobs.help", max = SEQUENCE_MAX)),
            );
        }
        for step in &flow.steps {
            self.job(&step.job);
        }
    }

    fn job(&mut self, job: &Job) {
        match &job.kind {
            JobKind::Skip | JobKind::Invalid => {}
            JobKind::Assign(bindings) => {
                self.duplicates(bindings, "K06");
                for binding in bindings {
                    self.expression(&binding.value);
                    self.assign(&binding.name);
                }
            }
            JobKind::Update(update) => {
                self.expression(&update.value);
                self.target(&update.target);
            }
            JobKind::Execute(execute) => {
                self.expression(&execute.callee);
                execute.input.iter().for_each(|input| self.expression(input));
                self.arguments(&execute.args);
            }
            JobKind::Event(event) => self.event(event),
            JobKind::Call(call) => self.call_job(call),
            JobKind::Break => self.jump(job, self.around.inside_loop || self.around.inside_session),
            JobKind::Continue => self.jump(job, self.around.inside_loop),
            kind => self.block(job.span, kind),
        }
    }

    fn jump(&mut self, job: &Job, allowed: bool) {
        if !allowed {
            let message = if job.kind == JobKind::Break {
                message!("lang.break_outside")
            } else {
                message!("lang.continue_outside")
            };
            self.findings.push(Diagnostic::error("K05", job.span, message));
        }
        self.scope.jump();
    }

    fn call_job(&mut self, call: &CallJob) {
        let name = &*call.name.name;
        if !names::is_job(name) && !names::is_function(name) {
            self.unknown_function(&call.name);
        }
        self.arguments(&call.args);
        if matches!(name, "exit" | "return" | "abort" | "self") {
            self.scope.jump();
        }
    }

    fn unknown_function(&mut self, name: &Ident) {
        let message = message!("lang.undefined_function", name = name.name);
        let mut found = Diagnostic::error("K09", name.span, message);
        if let Some(near) = names::nearest(&name.name, names::callables()) {
            found = found.with_help(message!("lang.did_you_mean", name = near));
        }
        self.findings.push(found);
    }

    /// An assignment: changes a block's variable or makes one of the jobflow.
    fn assign(&mut self, name: &Ident) {
        self.control_name(name);
        self.scope.assign(&name.name);
    }

    fn control_name(&mut self, name: &Ident) {
        let text = &*name.name;
        if text.len() > 4
            && text.starts_with("__")
            && text.ends_with("__")
            && !names::is_control(text)
        {
            let message = message!("lang.unknown_control", name = text);
            let mut found = Diagnostic::warning("W01", name.span, message);
            if let Some(near) = names::nearest(text, names::CONTROL.iter().copied()) {
                found = found.with_help(message!("lang.did_you_mean", name = near));
            }
            self.findings.push(found);
        }
    }

    fn target(&mut self, target: &Target) {
        if let TargetBase::Variable(name) = &target.base {
            let name = Ident { name: name.clone(), span: target.base_span };
            if target.parts.is_empty() {
                self.assign(&name);
            } else {
                self.read(&name.name, target.base_span);
            }
        }
        for part in &target.parts {
            if let TargetPart::Index(index) = part {
                self.expression(index);
            }
        }
    }

    /// Names that stand twice in a list of bindings.
    fn duplicates(&mut self, bindings: &[Binding], code: &'static str) {
        let mut seen = HashSet::new();
        for Binding { name, .. } in bindings {
            if !seen.insert(&name.name) {
                let message = if code == "K06" {
                    message!("lang.duplicate_key", name = name.name)
                } else {
                    message!("lang.duplicate_argument", name = name.name)
                };
                self.error(code, name, message);
            }
        }
    }

    fn arguments(&mut self, args: &Arguments) {
        args.positional.iter().for_each(|value| self.expression(value));
        args.star.iter().for_each(|value| self.expression(value));
        self.duplicates(&args.named, "K07");
        args.named.iter().for_each(|binding| self.expression(&binding.value));
        args.double_star.iter().for_each(|value| self.expression(value));
    }

    fn read(&mut self, name: &Arc<str>, span: super::ast::Span) {
        if !self.variables || self.scope.knows(name) {
            return;
        }
        let message = message!("lang.undefined_variable", name = name);
        let mut found = Diagnostic::error("K08", span, message);
        if names::is_function(name) || names::is_job(name) {
            found = found.with_help(message!("lang.call_it", name = name));
        } else if let Some(near) = names::nearest(name, self.scope.names()) {
            found = found.with_help(message!("lang.did_you_mean", name = near));
        } else if self.scope.was_assigned(name) {
            found = found.with_help(message!("lang.not_on_every_path"));
        }
        self.findings.push(found);
    }

    fn expression(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Variable(name) => self.read(name, expr.span),
            ExprKind::Pattern(literal) => self.pattern(expr, literal),
            ExprKind::Paren(inside) | ExprKind::Unary(_, inside) | ExprKind::Not(inside) => {
                self.expression(inside);
            }
            ExprKind::Array(items) | ExprKind::And(items) | ExprKind::Or(items) => {
                items.iter().for_each(|item| self.expression(item));
            }
            ExprKind::Names(bindings) => {
                self.duplicates(bindings, "K06");
                bindings.iter().for_each(|binding| self.expression(&binding.value));
            }
            ExprKind::Pairs(pairs) => {
                for (key, value) in pairs {
                    self.expression(key);
                    self.expression(value);
                }
            }
            ExprKind::Attribute(of, _) => self.expression(of),
            ExprKind::Index(of, index) => {
                self.expression(of);
                self.expression(index);
            }
            ExprKind::Call(function, args) => {
                self.callee(function);
                self.arguments(args);
            }
            ExprKind::Arithmetic(first, rest) => {
                self.expression(first);
                rest.iter().for_each(|(_, operand)| self.expression(operand));
            }
            ExprKind::Compare(first, rest) => {
                self.expression(first);
                rest.iter().for_each(|(_, operand)| self.expression(operand));
            }
            ExprKind::Member(first, rest) => {
                self.expression(first);
                rest.iter().for_each(|(_, operand)| self.expression(operand));
            }
            ExprKind::Path(_)
            | ExprKind::Root
            | ExprKind::Special(_)
            | ExprKind::Text(_)
            | ExprKind::Binary(_)
            | ExprKind::Integer(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
            | ExprKind::Invalid => {}
        }
    }

    /// The head of a call: a name there is a built-in function before it is a variable.
    fn callee(&mut self, function: &Expr) {
        let ExprKind::Variable(name) = &function.kind else { return self.expression(function) };
        if names::is_function(name) {
            return;
        }
        let ident = Ident { name: name.clone(), span: function.span };
        if self.scope.knows(name) {
        } else if names::is_job(name) {
            self.error("K10", &ident, message!("lang.not_a_function", name = name));
        } else if self.variables {
            self.unknown_function(&ident);
        }
    }

    fn pattern(&mut self, expr: &Expr, literal: &PatternLiteral) {
        let Some(text) = literal.text.constant() else { return };
        if literal.kind == PatternKind::Regex
            && let Err(reason) = Pattern::new(literal.kind, text, literal.ignore_case).check()
        {
            let message = message!("lang.bad_pattern", reason = reason);
            self.findings.push(Diagnostic::error("K13", expr.span, message));
        }
    }
}
