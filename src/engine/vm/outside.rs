//! Jobs that wait, and what their answers do (rules: `language/event-jobs`, `language/fork`,
//! `language/sessions`, `language/built-in-jobs`).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kompira_schema::value::Value as Plain;

use super::builtin::{twice, unexpected};
use super::host::{Given, Host};
use super::machine::{Linked, Machine, State, linked};
use super::raise::Raise;
use super::request::{
    Answer, Awaited, Guard, LIBRARY_CALL, Outcome, Pause, Received, Request, Source, Wanted,
};
use super::run::{Flow, truth};
use super::unwind::Abend;
use super::value::{Handle, RefKind, Value};
use crate::lang::program::{Alternative, Op, R, Shape};

/// Children one `pfor` may start: the parent holds every one of them.
const CHILDREN_MAX: usize = 100_000;

type Flowed = Result<Flow, Box<Abend>>;

impl Machine {
    /// Carries out a job that may wait.
    pub(super) fn outside(
        &mut self,
        host: &mut dyn Host,
        unit: &Linked,
        op: Op,
        base: usize,
    ) -> Flowed {
        match op {
            Op::Job { base: first, name, shape } => {
                let name = unit.program.names.get(name as usize).cloned().unwrap_or_default();
                let shape = unit.program.shapes.get(shape as usize).cloned().unwrap_or_default();
                let controls = match unit
                    .program
                    .code
                    .get(self.frames.last().map_or(0, |frame| frame.ip as usize))
                {
                    Some(Op::Word(controls)) => *controls,
                    _ => u16::MAX,
                };
                match self.builtin_job(host, unit, &name, base, (first, &shape, controls)) {
                    Ok(Some(request)) => self.block(request),
                    Ok(None) => Ok(Flow::Frame),
                    Err(raise) => {
                        self.failed(host, raise.message());
                        Ok(Flow::Frame)
                    }
                }
            }
            Op::Suspend => self.block(Request::Suspend),
            Op::Event { base: first, shape } => {
                let shape = unit.program.shapes.get(shape as usize).cloned().unwrap_or_default();
                self.event(host, base + first as usize, &shape)?;
                Ok(Flow::Frame)
            }
            Op::Wait { table } => {
                let alternatives =
                    unit.program.waits.get(table as usize).map(Vec::as_slice).unwrap_or_default();
                self.wait(host, alternatives, base)
            }
            Op::Fork { table } => {
                let count = unit.program.forks.get(table as usize).map_or(0, Vec::len);
                self.block(Request::Children { count })
            }
            Op::Pfor { value, variable } => {
                let value = self.operand(unit, base, value);
                self.pfor(host, value, base + variable as usize)
            }
            Op::Session { controls, .. } => {
                if !self.sessions.is_empty() {
                    return Err(Raise::new("nested session").into());
                }
                match self.control(host, unit, controls, base) {
                    Ok(control) => self.block(Request::Session { control }),
                    Err(raise) => {
                        self.lost(raise.message());
                        Ok(Flow::Frame)
                    }
                }
            }
            Op::SessionEnd { session, result } => {
                let channel = self.stack.get(base + session as usize).copied().unwrap_or_default();
                let keep = self.sessions.len().saturating_sub(1);
                self.close_sessions(host, keep);
                if let Some(status) = self.stack.get_mut(base) {
                    *status = Value::Int(0);
                }
                if result && let Some(place) = self.stack.get_mut(base + 1) {
                    *place = channel;
                }
                Ok(Flow::Frame)
            }
            other => unreachable!("{other:?} does not wait"),
        }
    }

    fn operand(&self, unit: &Linked, base: usize, operand: R) -> Value {
        match operand.as_constant() {
            Some(index) => unit.constants.get(index as usize),
            None => self.stack.get(base + operand.0 as usize),
        }
        .copied()
        .unwrap_or_default()
    }

    /// A job of the built-ins failed: status 1, the message in `$ERROR` and on the console.
    fn failed(&mut self, host: &mut dyn Host, message: &str) {
        host.print(&format!("{message}\n"));
        let error = self.heap.str(message);
        if let Some(base) = self.frames.last().map(|frame| frame.base as usize) {
            for (offset, value) in [(0, Value::Int(1)), (2, error)] {
                if let Some(place) = self.stack.get_mut(base + offset) {
                    *place = value;
                }
            }
        }
    }

    fn succeeded(&mut self) {
        if let Some(base) = self.frames.last().map(|frame| frame.base as usize)
            && let Some(place) = self.stack.get_mut(base)
        {
            *place = Value::Int(0);
        }
    }

    fn builtin_job(
        &mut self,
        host: &mut dyn Host,
        unit: &Linked,
        name: &str,
        base: usize,
        (first, shape, controls): (u16, &Shape, u16),
    ) -> Result<Option<Request>, Raise> {
        let given = self.given(host, base + first as usize, shape, name)?;
        match name {
            "print" => {
                self.print(host, &given)?;
                self.succeeded();
                Ok(None)
            }
            "sleep" => {
                let [timeout] = arguments("sleep", &["timeout"], &given)?;
                let Some(timeout) = timeout else {
                    return Err(super::builtin::missing("sleep", "timeout"));
                };
                if timeout.is_null() {
                    return Err(Raise::argument("sleep", "timeout", timeout));
                }
                let now = host.now();
                match self.deadline("sleep", now, timeout)? {
                    Some(until) if until > now => Ok(Some(Request::Sleep(until))),
                    _ => {
                        self.succeeded();
                        Ok(None)
                    }
                }
            }
            _ => {
                let control = self.control(host, unit, controls, base)?;
                let positional = given
                    .positional
                    .iter()
                    .map(|value| self.heap.export(host, *value))
                    .collect::<Result<_, _>>()?;
                let mut named = Vec::with_capacity(given.named.len());
                for (name, value) in &given.named {
                    named.push((name.to_string(), self.heap.export(host, *value)?));
                }
                Ok(Some(Request::Builtin { name: name.to_owned(), positional, named, control }))
            }
        }
    }

    fn print(&mut self, host: &mut dyn Host, given: &Given) -> Result<(), Raise> {
        let mut delimiter = " ".to_owned();
        for (name, value) in &given.named {
            if &**name != "delim" {
                return Err(unexpected("print", name));
            }
            delimiter = self.heap.text(host, *value)?;
        }
        let mut out = String::new();
        for (index, value) in given.positional.iter().enumerate() {
            if index > 0 {
                out.push_str(&delimiter);
            }
            self.heap.append_text(host, &mut out, *value)?;
        }
        out.push('\n');
        host.print(&out);
        Ok(())
    }

    /// When a wait of `timeout` gives up; `None`: never.
    fn deadline(
        &self,
        job: &str,
        now: Timestamp,
        timeout: Value,
    ) -> Result<Option<Timestamp>, Raise> {
        let after = |span: Option<SignedDuration>| {
            // Beyond the calendar is as good as never.
            Some(span.and_then(|span| now.checked_add(span).ok()).unwrap_or(Timestamp::MAX))
        };
        match timeout {
            Value::Absent | Value::Null => Ok(None),
            Value::Int(seconds) => Ok(after(Some(SignedDuration::from_secs(
                seconds.clamp(-1, i64::from(u32::MAX) * 100),
            )))),
            Value::Float(seconds) if seconds.is_nan() => {
                Err(Raise::argument(job, "timeout", timeout))
            }
            Value::Float(seconds) => {
                Ok(after(SignedDuration::try_from_secs_f64(seconds.clamp(-1.0, 4.0e11)).ok()))
            }
            Value::Timedelta(micros) => Ok(after(Some(SignedDuration::from_micros(micros)))),
            Value::Datetime(_) => Ok(self.heap.as_datetime(timeout).map(|at| at.timestamp())),
            _ => Err(Raise::argument(job, "timeout", timeout)),
        }
    }

    /// Puts an event job's arguments where [`Machine::wait`] finds them: the deadline as microseconds,
    /// then two truths.
    fn event(&mut self, host: &mut dyn Host, first: usize, shape: &Shape) -> Result<(), Raise> {
        let given = self.given(host, first + 2, shape, "event")?;
        let [timeout, peek, detect] =
            arguments("event", &["timeout", "peek_mode", "detect_error"], &given)?;
        let now = host.now();
        let deadline = self.deadline("event", now, timeout.unwrap_or_default())?;
        let peek = truth(&mut self.heap, host, peek.unwrap_or_default())?;
        let detect = truth(&mut self.heap, host, detect.unwrap_or_default())?;
        let deadline = deadline.map_or(Value::Absent, |at| Value::Int(at.as_microsecond()));
        if let Some(places) = self.stack.get_mut(first + 2..first + 5) {
            places.copy_from_slice(&[deadline, Value::Bool(peek), Value::Bool(detect)]);
        }
        Ok(())
    }

    fn wait(&mut self, host: &mut dyn Host, alternatives: &[Alternative], base: usize) -> Flowed {
        let mut awaited = Vec::with_capacity(alternatives.len());
        for alternative in alternatives {
            awaited.push(self.awaited(host, alternative, base + alternative.base as usize)?);
        }
        if let (Some(first), Some(to)) =
            (awaited.first(), alternatives.first().map(|first| first.to))
            && first.always
        {
            self.succeeded();
            self.go_to(to);
            return Ok(Flow::Frame);
        }
        self.block(Request::Events(awaited))
    }

    fn go_to(&mut self, to: u32) {
        if let Some(frame) = self.frames.last_mut() {
            frame.ip = to;
        }
    }

    fn awaited(
        &mut self,
        host: &mut dyn Host,
        alternative: &Alternative,
        first: usize,
    ) -> Result<Awaited, Raise> {
        let register = |machine: &Self, offset: usize| {
            machine.stack.get(first + offset).copied().unwrap_or_default()
        };
        let deadline = match register(self, 2) {
            Value::Int(micros) => Timestamp::from_microsecond(micros).ok(),
            _ => None,
        };
        let mut awaited = Awaited {
            sources: Vec::new(),
            guard: None,
            deadline,
            peek: matches!(register(self, 3), Value::Bool(true)),
            detect_error: matches!(register(self, 4), Value::Bool(true)),
            always: alternative.always,
        };
        if alternative.always {
            return Ok(awaited);
        }
        let source = register(self, 0);
        let all = self.heap.elements(host, source)?;
        let single = [all];
        let items = self.heap.as_array(all).unwrap_or(&single);
        for item in items {
            awaited.sources.push(match item.handle() {
                Some(handle) => match handle.reference() {
                    Some(reference) => Source::Reference(reference),
                    None => Source::Queue(handle.id),
                },
                None => {
                    return Err(Raise::new(format!(
                        "'{}' cannot be waited for",
                        item.kind().name()
                    )));
                }
            });
        }
        if awaited.sources.is_empty() && deadline.is_none() {
            return Err(Raise::new("'Array' cannot be waited for"));
        }
        // The elements of a query are kept, so that the answer names the same ones.
        if let Some(place) = self.stack.get_mut(first) {
            *place = all;
        }
        let guard = register(self, 1);
        if !guard.is_absent() {
            let wanted = match guard {
                Value::Pattern(_) => match self.heap.as_pattern(guard) {
                    Some(held) => Wanted::Pattern(
                        held.kind().letter(),
                        held.text().to_owned(),
                        held.ignore_case(),
                    ),
                    None => Wanted::Equal(Plain::Null),
                },
                Value::Str(_) => {
                    Wanted::Glob(self.heap.as_str(guard).unwrap_or_default().to_owned())
                }
                _ => Wanted::Equal(self.heap.export(host, guard)?),
            };
            awaited.guard = Some(Guard { scan: alternative.scan, wanted });
        }
        Ok(awaited)
    }

    fn pfor(&mut self, host: &mut dyn Host, value: Value, variable: usize) -> Flowed {
        let source = self.iterate(host, value)?;
        let source = match source {
            Value::Str(_) => {
                let chars: Vec<String> = self
                    .heap
                    .as_str(source)
                    .unwrap_or_default()
                    .chars()
                    .map(String::from)
                    .collect();
                let items = chars.into_iter().map(|char| self.heap.str(char)).collect();
                self.heap.array(items)
            }
            source => source,
        };
        let count = match source {
            Value::Int(count) => usize::try_from(count.max(0)).unwrap_or(usize::MAX),
            _ => self.heap.as_array(source).map_or(0, <[Value]>::len),
        };
        if count > CHILDREN_MAX {
            return Err(Raise::new("too many children").into());
        }
        if let Some(place) = self.stack.get_mut(variable) {
            *place = source;
        }
        if count == 0 {
            let none = self.heap.array(Vec::new());
            self.set_status(Value::Int(0), none, self.empty);
            return Ok(Flow::Frame);
        }
        self.block(Request::Children { count })
    }

    /// Does what an answer says, at the job that waited for it.
    pub(super) fn answered(
        &mut self,
        programs: &[Linked],
        answer: Answer,
        request: &Request,
        host: &mut dyn Host,
    ) -> Result<(), Box<Abend>> {
        if let Request::Script { script, placed: true, .. } = request {
            self.leave_script(*script, host);
        }
        let frame = *self.frames.last().expect("a machine that waits has a frame");
        let unit = linked(programs, frame.program);
        let base = frame.base as usize;
        let unfit = || Box::<Abend>::from(Raise::new("a wait was answered wrongly"));
        if let Answer::Refused(message) = answer {
            return Err(Raise::new(message).into());
        }
        // Whoever waits for a place asks for it again.
        if self.lock.is_some() || matches!(request, Request::Lock { .. }) {
            return if answer == Answer::Done { Ok(()) } else { Err(unfit()) };
        }
        let op =
            (frame.ip as usize).checked_sub(1).and_then(|at| unit.program.code.get(at)).copied();
        if matches!(request, Request::Builtin { name, .. } if name == LIBRARY_CALL) {
            let Answer::Job(outcome) = answer else { return Err(unfit()) };
            return self.called(op, base, &outcome);
        }
        match (op, answer) {
            (
                Some(
                    Op::Execute { .. }
                    | Op::ExecuteLast { .. }
                    | Op::ExecuteMethod { .. }
                    | Op::Job { .. }
                    | Op::Session { .. },
                ),
                Answer::Job(outcome),
            ) => {
                let result = self.heap.import(&outcome.result);
                let error = self.heap.import(&outcome.error);
                self.set_status(Value::Int(outcome.status), result, error);
                Ok(())
            }
            (Some(Op::Job { .. } | Op::Suspend), Answer::Done) => {
                self.succeeded();
                Ok(())
            }
            (Some(Op::Wait { table }), Answer::Event(received)) => {
                let alternatives =
                    unit.program.waits.get(table as usize).map(Vec::as_slice).unwrap_or_default();
                let alternative = *alternatives.get(received.alternative).ok_or_else(unfit)?;
                self.received(&received, &alternative, base + alternative.base as usize);
                Ok(())
            }
            (Some(Op::Fork { .. } | Op::Pfor { .. }), Answer::Children { children, aborted }) => {
                let children =
                    children.into_iter().map(|id| Value::Ref(RefKind::Process, id.0)).collect();
                let children = self.heap.array(children);
                self.set_status(Value::Int(aborted.into()), children, self.empty);
                Ok(())
            }
            (Some(Op::Session { into, .. }), Answer::Session(queue)) => {
                if let Some(place) = self.stack.get_mut(base + into as usize) {
                    *place = Value::Ref(RefKind::Queue, queue);
                }
                self.sessions.push((u32::try_from(self.frames.len()).unwrap_or(u32::MAX), queue));
                self.succeeded();
                self.go_to(frame.ip + 1);
                Ok(())
            }
            (_, Answer::Session(queue)) => {
                host.close_session(Handle { kind: RefKind::Queue, id: queue });
                Err(unfit())
            }
            _ => Err(unfit()),
        }
    }

    /// Gives the result of a library's function to the expression or the job that called it; a
    /// failure is a runtime error there.
    fn called(&mut self, op: Option<Op>, base: usize, outcome: &Outcome) -> Result<(), Box<Abend>> {
        if outcome.status != 0 {
            let told = match &outcome.error {
                Plain::Str(text) => text.as_str(),
                _ => "",
            };
            return Err(Raise::new(told).into());
        }
        let result = self.heap.import(&outcome.result);
        match op {
            Some(Op::CallValue { base: first, .. } | Op::CallMethod { base: first, .. }) => {
                if let Some(place) = self.stack.get_mut(base + first as usize) {
                    *place = result;
                }
            }
            _ => self.set_status(Value::Int(0), result, self.empty),
        }
        Ok(())
    }

    fn received(&mut self, received: &Received, alternative: &Alternative, first: usize) {
        self.go_to(alternative.to);
        if alternative.always {
            self.succeeded();
            return;
        }
        if received.status != 0 {
            let error = self.heap.str(received.error.as_str());
            self.set_status(Value::Int(received.status), self.empty, error);
            return;
        }
        let mut value = self.heap.import(&received.message);
        if let Some(id) = received.id {
            let id = Value::Int(i64::try_from(id).unwrap_or(i64::MAX));
            value = self.heap.array(vec![id, value]);
        }
        let source = self.stack.get(first).copied().unwrap_or_default();
        if let Some(items) = self.heap.as_array(source) {
            let source = items.get(received.source).copied().unwrap_or(Value::Null);
            value = self.heap.array(vec![source, value]);
        }
        self.set_status(Value::Int(0), value, self.empty);
    }

    /// The child `index` of the `fork` or `pfor` this machine waits at, with a deep copy of the frame.
    ///
    /// # Errors
    /// Not enough memory; or this machine waits for no such child.
    pub fn child(&self, index: usize) -> Result<Self, Raise> {
        let none = || Raise::new("no such child");
        let State::Blocked(Request::Children { count }) = &self.state else { return Err(none()) };
        let frame = self.frames.last().copied().ok_or_else(none)?;
        let unit = linked(&self.programs, frame.program);
        let op =
            (frame.ip as usize).checked_sub(1).and_then(|at| unit.program.code.get(at)).copied();
        if index >= *count {
            return Err(none());
        }
        let registers = self.stack.get(frame.base as usize..).unwrap_or_default();
        let (entry, element) = match op {
            Some(Op::Fork { table }) => {
                let entry =
                    unit.program.forks.get(table as usize).and_then(|entries| entries.get(index));
                (*entry.ok_or_else(none)?, None)
            }
            Some(Op::Pfor { variable, .. }) => {
                let source = registers.get(variable as usize).copied().unwrap_or_default();
                let element = match source {
                    Value::Int(_) => Value::Int(i64::try_from(index).map_err(|_| none())?),
                    _ => self
                        .heap
                        .as_array(source)
                        .and_then(|items| items.get(index))
                        .copied()
                        .ok_or_else(none)?,
                };
                // Behind the jump that the parent takes.
                (frame.ip + 1, Some((variable as usize, element)))
            }
            _ => return Err(none()),
        };
        let mut roots = registers.to_vec();
        if let Some((variable, element)) = element
            && let Some(place) = roots.get_mut(variable)
        {
            *place = element;
        }
        self.copy(unit, entry, roots)
    }

    fn copy(&self, unit: &Linked, entry: u32, mut roots: Vec<Value>) -> Result<Self, Raise> {
        let options =
            super::machine::Options { memory_max: self.heap.limit(), zone: self.heap.zone.clone() };
        let mut child = Self::empty(Arc::clone(&self.builtins), &options);
        let jobflow = super::host::Jobflow {
            object: unit.object,
            path: Arc::clone(&unit.path),
            program: Arc::clone(&unit.program),
            multiplicity: None,
        };
        let mut programs = Vec::new();
        let number = super::machine::link(&mut programs, &mut child.heap, &jobflow);
        roots.push(self.debug);
        let mut copied = super::graph::copy(&self.heap, &mut child.heap, &roots)?;
        child.debug = copied.pop().unwrap_or(child.empty);
        child.stack = copied;
        child.frames.push(super::machine::Frame {
            program: number,
            ip: entry,
            base: 0,
            locked: false,
        });
        child.programs = programs;
        Ok(child)
    }
}

/// Puts the arguments of a job of ours in the order of its parameters.
fn arguments<const N: usize>(
    job: &str,
    parameters: &[&str; N],
    given: &Given,
) -> Result<[Option<Value>; N], Raise> {
    if given.positional.len() > N {
        return Err(super::builtin::too_many(job, N));
    }
    let mut values = [None; N];
    for (place, value) in values.iter_mut().zip(&given.positional) {
        *place = Some(*value);
    }
    for (name, value) in &given.named {
        let place =
            parameters.iter().position(|held| **held == **name).and_then(|at| values.get_mut(at));
        match place {
            Some(place @ None) => *place = Some(*value),
            Some(_) => return Err(twice(job, name)),
            None => return Err(unexpected(job, name)),
        }
    }
    Ok(values)
}

impl Pause {
    /// Whether the process has ended.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}
