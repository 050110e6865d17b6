//! Single jobs and sequences.

use std::sync::Arc;

use super::{Cleanup, Key, Lower, Lowered, Outcome, TooLarge};
use crate::lang::ast::{
    Arguments, Binding, CallJob, Connector, Event, Execute, Expr, Flow, Job, JobKind, Target,
    TargetBase, TargetPart, Update,
};
use crate::lang::program::{ALTERNATIVE_REGISTERS, Alternative, ControlJob, JOBS, Op, R};

impl Lower<'_> {
    /// The jobs of the program itself; the last may take the frame's place.
    pub(super) fn top(&mut self, flow: &Flow) -> Lowered<()> {
        let (last, before) = flow.steps.split_last().ok_or(TooLarge)?;
        for step in before {
            self.step(&step.job, step.then.map(|link| link.connector))?;
        }
        if let JobKind::Execute(execute) = &last.job.kind {
            self.at(last.job.span);
            self.execute(execute, true)?;
        } else {
            self.job(&last.job)?;
        }
        Ok(())
    }

    /// Jobs in sequence. The outcome is that of the last.
    pub(super) fn flow(&mut self, flow: &Flow) -> Lowered<Outcome> {
        let mut outcome = Outcome::Ok;
        for step in &flow.steps {
            outcome = self.step(&step.job, step.then.map(|link| link.connector))?;
        }
        Ok(outcome)
    }

    /// Jobs in sequence whose last is judged as if `->` followed.
    pub(super) fn body(&mut self, flow: &Flow) -> Lowered<()> {
        let (last, before) = flow.steps.split_last().ok_or(TooLarge)?;
        for step in before {
            self.step(&step.job, step.then.map(|link| link.connector))?;
        }
        self.step(&last.job, Some(Connector::Success))?;
        Ok(())
    }

    fn step(&mut self, job: &Job, then: Option<Connector>) -> Lowered<Outcome> {
        let outcome = self.job(job)?;
        if let (Outcome::Any, Some(connector)) = (outcome, then)
            && connector != Connector::Always
        {
            self.at(job.span);
            self.emit(Op::Judge(connector));
        }
        Ok(outcome)
    }

    fn ok(&mut self) -> Outcome {
        self.emit(Op::Ok);
        Outcome::Ok
    }

    fn job(&mut self, job: &Job) -> Lowered<Outcome> {
        self.at(job.span);
        let mark = self.next;
        let outcome = match &job.kind {
            JobKind::Skip | JobKind::Invalid => self.ok(),
            JobKind::Assign(bindings) => {
                bindings.iter().try_for_each(|binding| self.binding(binding))?;
                self.ok()
            }
            JobKind::Update(update) => self.update(update)?,
            JobKind::Execute(execute) => self.execute(execute, false)?,
            JobKind::Event(event) => self.event(event)?,
            JobKind::Call(call) => self.call_job(call)?,
            JobKind::Break => self.leave(false)?,
            JobKind::Continue => self.leave(true)?,
            JobKind::Block(block) => self.simple(block)?,
            JobKind::If(block) => self.if_block(block)?,
            JobKind::Case(block) => self.case(block)?,
            JobKind::For(block) => self.for_block(block, job.span)?,
            JobKind::Pfor(block) => self.pfor(block)?,
            JobKind::While(block) => self.while_block(block, job.span)?,
            JobKind::Choice(clauses) => self.choice(clauses)?,
            JobKind::Fork(flows) => self.fork(flows)?,
            JobKind::Session(block) => self.session(block, job.span)?,
            JobKind::Try(flow) => self.try_block(flow, job.span)?,
        };
        self.next = mark;
        Ok(outcome)
    }

    fn binding(&mut self, binding: &Binding) -> Lowered<()> {
        let register = self.variable(&binding.name.name)?;
        self.assign(&binding.value, register)?;
        self.settled(register);
        Ok(())
    }

    fn variable(&self, name: &str) -> Lowered<u16> {
        self.lookup(name).ok_or(TooLarge)
    }

    fn settled(&mut self, register: u16) {
        if let Some(assigned) = self.assigned.get_mut(register as usize) {
            *assigned = true;
        }
    }

    fn update(&mut self, update: &Update) -> Lowered<Outcome> {
        let Target { base, parts, .. } = &update.target;
        match (base, parts.as_slice()) {
            (TargetBase::Variable(name), []) => {
                let register = self.variable(name)?;
                self.assign(&update.value, register)?;
                self.settled(register);
            }
            (TargetBase::Path(path), []) => {
                let value = self.operand(&update.value)?;
                let object = self.reserve(1)?;
                self.path(path, object)?;
                self.emit(Op::SetObject { object: R(object), value });
            }
            (TargetBase::Variable(name), [TargetPart::Index(index)]) => {
                let register = self.variable(name)?;
                let value = self.operand(&update.value)?;
                self.check(register);
                let index = self.operand(index)?;
                self.emit(Op::SetIndex { of: R(register), index, value });
            }
            (_, parts) => {
                let first = self.reserve(1)?;
                self.into(&update.value, first)?;
                let start = self.reserve(1)?;
                match base {
                    TargetBase::Variable(name) => {
                        let from = self.variable(name)?;
                        self.check(from);
                        self.emit(Op::Move { into: start, from: R(from) });
                    }
                    TargetBase::Path(path) => self.path(path, start)?,
                }
                for part in parts {
                    let key = self.reserve(1)?;
                    match part {
                        TargetPart::Attribute(name) => {
                            let from = self.text(&name.name)?;
                            self.emit(Op::Move { into: key, from });
                        }
                        TargetPart::Index(index) => self.into(index, key)?,
                    }
                }
                let target = u16::try_from(self.program.targets.len()).map_err(|_| TooLarge)?;
                let kinds =
                    parts.iter().map(|part| matches!(part, TargetPart::Attribute(_))).collect();
                self.program.targets.push(kinds);
                self.emit(Op::Update { base: first, target });
            }
        }
        Ok(self.ok())
    }

    fn execute(&mut self, execute: &Execute, last: bool) -> Lowered<Outcome> {
        let base = self.reserve(2)?;
        let method = if last { None } else { self.receiver(&execute.callee, base)? };
        if method.is_none() {
            self.callee(&execute.callee, base)?;
        }
        if let Some(input) = &execute.input {
            self.into(input, base + 1)?;
        }
        let shape = self.arguments(&execute.args, execute.input.is_some())?;
        let controls = self.control_set()?;
        if let Some(name) = method {
            self.emit(Op::ExecuteMethod { base, shape, name });
            self.emit(Op::Word(controls));
            return Ok(Outcome::Any);
        }
        self.emit(if last {
            Op::ExecuteLast { base, shape, controls }
        } else {
            Op::Execute { base, shape, controls }
        });
        Ok(Outcome::Any)
    }

    /// Evaluates an event job's parts; the registers they are in stay taken.
    pub(super) fn event_parts(&mut self, event: &Event) -> Lowered<Alternative> {
        let base = self.reserve(2)?;
        let scan = event.guard.as_ref().is_some_and(|guard| guard.scan);
        let always = event.source.is_none();
        for (register, part) in [
            (base, event.source.as_ref()),
            (base + 1, event.guard.as_ref().map(|guard| &guard.pattern)),
        ] {
            match part {
                Some(part) => self.into(part, register)?,
                None => {
                    self.emit(Op::Nothing { into: register });
                }
            }
        }
        let shape = self.arguments(&event.args, false)?;
        self.keep(base, ALTERNATIVE_REGISTERS as usize)?;
        self.emit(Op::Event { base, shape });
        Ok(Alternative { base, always, scan, to: 0 })
    }

    fn event(&mut self, event: &Event) -> Lowered<Outcome> {
        let mut alternative = self.event_parts(event)?;
        alternative.to = self.here()? + 1;
        let table = self.wait(vec![alternative])?;
        self.emit(Op::Wait { table });
        Ok(Outcome::Any)
    }

    fn call_job(&mut self, call: &CallJob) -> Lowered<Outcome> {
        if let Some(job) = ControlJob::by_name(&call.name.name) {
            return self.control(job, &call.args);
        }
        let base = self.reserve(1)?;
        self.next = base as usize;
        let shape = self.arguments(&call.args, false)?;
        self.keep(base, 1)?;
        let name = self.name(&call.name.name)?;
        if JOBS.contains(&&*call.name.name) {
            self.emit(Op::Job { base, name, shape });
            let controls = self.control_set()?;
            self.emit(Op::Word(controls));
            return Ok(Outcome::Any);
        }
        self.emit(Op::Call { base, function: name, shape });
        self.emit(Op::Result { base });
        Ok(Outcome::Ok)
    }

    fn control(&mut self, job: ControlJob, args: &Arguments) -> Lowered<Outcome> {
        if let (ControlJob::Return, Arguments { positional, star: None, named, double_star: None }) =
            (job, args)
            && let ([value], []) = (positional.as_slice(), named.as_slice())
        {
            let value = self.operand(value)?;
            self.emit(Op::ReturnValue { value });
            return Ok(Outcome::Never);
        }
        let base = match self.placed(job, args)? {
            Some(base) => base,
            None => {
                let base = self.reserve(1)?;
                self.next = base as usize;
                let shape = self.arguments(args, false)?;
                self.keep(base, job.parameters().len().max(1))?;
                self.emit(Op::Bind { base, job, shape });
                base
            }
        };
        Ok(match job {
            ControlJob::Exit => {
                self.emit(Op::Exit { base });
                Outcome::Never
            }
            ControlJob::Return => {
                self.emit(Op::Return { base });
                Outcome::Never
            }
            ControlJob::Abort => {
                self.emit(Op::Abort { base });
                Outcome::Never
            }
            ControlJob::SelfCall => {
                self.emit(Op::SelfCall);
                Outcome::Never
            }
            ControlJob::Assert => {
                self.emit(Op::Assert { base });
                self.ok()
            }
            ControlJob::Detach => {
                self.emit(Op::Detach);
                self.ok()
            }
            ControlJob::Suspend => {
                self.emit(Op::Suspend);
                self.ok()
            }
        })
    }

    /// Evaluates arguments right where the parameters are, if it is plain now that they fit.
    fn placed(&mut self, job: ControlJob, args: &Arguments) -> Lowered<Option<u16>> {
        let parameters = job.parameters();
        let Arguments { positional, star: None, named, double_star: None } = args else {
            return Ok(None);
        };
        let mut given: Vec<Option<&Expr>> = vec![None; parameters.len()];
        if positional.len() > parameters.len() {
            return Ok(None);
        }
        for (place, value) in given.iter_mut().zip(positional) {
            *place = Some(value);
        }
        for binding in named {
            let place = parameters.iter().position(|name| **name == *binding.name.name);
            match place.and_then(|place| given.get_mut(place)) {
                Some(place @ None) => *place = Some(&binding.value),
                _ => return Ok(None),
            }
        }
        if job == ControlJob::Assert && given.first().is_none_or(|value| value.is_none()) {
            return Ok(None);
        }
        let base = self.reserve(parameters.len().max(1))?;
        let place = |name: &str| parameters.iter().position(|held| *held == name);
        // In the order in which they are written.
        for (index, value) in positional.iter().enumerate() {
            self.into(value, base + u16::try_from(index).map_err(|_| TooLarge)?)?;
        }
        for binding in named {
            if let Some(index) = place(&binding.name.name) {
                self.into(&binding.value, base + u16::try_from(index).map_err(|_| TooLarge)?)?;
            }
        }
        for (register, (name, value)) in (base..).zip(parameters.iter().zip(&given)) {
            if value.is_none() {
                let from = self.constant(if *name == "status" {
                    Key::Int(0)
                } else {
                    Key::Str(Arc::from(""))
                })?;
                self.emit(Op::Move { into: register, from });
            }
        }
        Ok(Some(base))
    }

    /// `break` and `continue`.
    fn leave(&mut self, again: bool) -> Lowered<Outcome> {
        let Some(index) = self.loops.iter().rposition(|held| held.repeats || !again) else {
            return Ok(Outcome::Never);
        };
        let depth = self.loops.get(index).map_or(0, |held| held.cleanups);
        for cleanup in self.cleanups.get(depth..).unwrap_or_default().to_vec().into_iter().rev() {
            self.emit(match cleanup {
                Cleanup::Try => Op::TryEnd,
                Cleanup::Session(session) => Op::SessionEnd { session, result: false },
            });
        }
        let jump = self.emit(Op::Again(0));
        if let Some(held) = self.loops.get_mut(index) {
            if again { held.continues.push(jump) } else { held.breaks.push(jump) }
        }
        Ok(Outcome::Never)
    }
}
