//! Execution jobs, calls and returns (rules: `language/execution-jobs`, `language/calls`).

use std::sync::Arc;

use kompira_schema::id::ObjectId;
use kompira_schema::value::Value as Plain;

use super::builtin::{Context, missing, too_many, twice, unexpected};
use super::heap::{Function, Receiver};
use super::host::{Callable, Given, Host};
use super::machine::{CALLS, DEPTH_MAX, Frame, Linked, Machine, STACK_MAX, State, link, linked};
use super::raise::Raise;
use super::request::{Control, End, LIBRARY_CALL, Pause, Request};
use super::run::Flow;
use super::unwind::Abend;
use super::value::{Handle, RefKind, Type, Value};
use crate::lang::program::{ControlJob, FIRST_PARAMETER, Shape};

/// Bytes of a command, and of a script's arguments: what one argument of `execve` may be, less some room.
const COMMAND_BYTES_MAX: usize = 114_688;

/// Methods of objects that wait for another machine.
const WAITING: [&str; 4] = ["conn_check", "initialize", "push", "pull"];

type Flowed = Result<Flow, Box<Abend>>;

/// Whether a script may run.
enum Entry {
    /// Any number may.
    Free,
    /// It has taken a place.
    Placed,
    /// All places are taken.
    Waits(Pause),
}

impl Machine {
    /// Collects arguments from registers.
    pub(super) fn given(
        &mut self,
        host: &mut dyn Host,
        at: usize,
        shape: &Shape,
        name: &str,
    ) -> Result<Given, Raise> {
        let mut next = at;
        let mut take = |stack: &[Value]| {
            let value = stack.get(next).copied().unwrap_or_default();
            next += 1;
            value
        };
        let mut given = Given {
            positional: (0..shape.positional).map(|_| take(&self.stack)).collect(),
            named: Vec::with_capacity(shape.named.len()),
        };
        if shape.star {
            let value = take(&self.stack);
            let all = self.heap.elements(host, value)?;
            let Some(items) = self.heap.as_array(all) else {
                return Err(Raise::new(format!(
                    "argument after * cannot be '{}'",
                    value.kind().name()
                )));
            };
            given.positional.extend_from_slice(items);
        }
        for key in &shape.named {
            given.named.push((Arc::clone(key), take(&self.stack)));
        }
        if shape.double_star {
            let value = take(&self.stack);
            let Some(dict) = self.heap.as_dict(value) else {
                return Err(Raise::new(format!(
                    "argument after ** cannot be '{}'",
                    value.kind().name()
                )));
            };
            for (key, value) in dict.iter() {
                let Some(key) = self.heap.as_str(key) else {
                    return Err(Raise::new(format!(
                        "argument name cannot be '{}'",
                        key.kind().name()
                    )));
                };
                if given.named.iter().any(|(held, _)| **held == *key) {
                    return Err(twice(name, key));
                }
                given.named.push((Arc::from(key), value));
            }
        }
        Ok(given)
    }

    /// Calls a built-in function with arguments from register `at` on.
    pub(super) fn call_builtin(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        number: usize,
        at: usize,
        shape: &Shape,
    ) -> Result<Value, Raise> {
        let Some(builtin) = self.builtins.get(number).copied() else {
            return Err(Raise::new("undefined function"));
        };
        if builtin.fits(shape) {
            let args = self.stack.get(at..at + builtin.parameters.len()).unwrap_or_default();
            let mut context =
                Context { heap: &mut self.heap, host, jobflow, builtins: &self.builtins };
            return (builtin.body)(&mut context, args);
        }
        let given = self.given(host, at, shape, builtin.name)?;
        let args = builtin.bind(&mut self.heap, &given, None)?;
        let mut context = Context { heap: &mut self.heap, host, jobflow, builtins: &self.builtins };
        (builtin.body)(&mut context, &args)
    }

    /// Calls a method of a value, not of an Object, if its arguments are given by position alone: the
    /// receiver in register `at`, arguments behind it.
    pub(super) fn call_method(
        &mut self,
        host: &mut dyn Host,
        unit: &Linked,
        name: u16,
        at: usize,
        shape: &Shape,
    ) -> Result<Option<Value>, Raise> {
        let receiver = self.stack.get(at).copied().unwrap_or_default();
        let kind = receiver.kind();
        let Some(cell) = unit.methods.get(name as usize) else { return Ok(None) };
        let number = match cell.get() {
            Some((held, number)) if held == kind => number as usize,
            _ => {
                let Some(name) = unit.program.names.get(name as usize) else { return Ok(None) };
                let Some(number) = self.builtins.method_number(kind, name) else { return Ok(None) };
                cell.set(u32::try_from(number).ok().map(|number| (kind, number)));
                number
            }
        };
        let Some(method) = self.builtins.method_at(number).copied() else { return Ok(None) };
        if kind == Type::Object || !method.fits(shape) {
            return Ok(None);
        }
        let args = self.stack.get(at..=at + method.parameters.len()).unwrap_or_default();
        let mut context =
            Context { heap: &mut self.heap, host, jobflow: unit.object, builtins: &self.builtins };
        let value = (method.body)(&mut context, args)?;
        Ok(Some(if value.is_absent() { Value::Null } else { value }))
    }

    /// The Function that the method `name` of the value in register `at` is.
    pub(super) fn method_at(
        &mut self,
        host: &mut dyn Host,
        unit: &Linked,
        name: u16,
        at: usize,
    ) -> Result<Value, Raise> {
        let receiver = self.stack.get(at).copied().unwrap_or_default();
        let name = unit.program.names.get(name as usize).map_or("", |name| name);
        self.method(host, unit.object, receiver, name)
    }

    /// Calls a Function with arguments from register `at` on.
    pub(super) fn call_value(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        callee: Value,
        at: usize,
        shape: &Shape,
    ) -> Result<Value, Raise> {
        let Some(function) = self.heap.as_function(callee) else {
            return Err(Raise::new(format!("'{}' is not callable", callee.kind().name())));
        };
        match function {
            Function::Builtin(name) => {
                let number = self.builtins.find(name);
                let number =
                    number.ok_or_else(|| Raise::new(format!("undefined function: {name}")))?;
                self.call_builtin(host, jobflow, number, at, shape)
            }
            // Whoever can wait has done so: see `library_call`.
            Function::Library(_, name) => {
                Err(Raise::new(format!("{name}() of a library cannot be called here")))
            }
            Function::Method(Receiver(receiver), name) => {
                let receiver = *receiver;
                if let Some(object) = receiver.handle() {
                    let name = name.clone();
                    let given = self.given(host, at, shape, &name)?;
                    return host.call(&mut self.heap, object, &name, &given);
                }
                let builtins = Arc::clone(&self.builtins);
                let Some(method) = builtins.find_method(receiver.kind(), name) else {
                    return Err(Raise::attribute(name));
                };
                let given = self.given(host, at, shape, method.name)?;
                let args = method.bind(&mut self.heap, &given, Some(receiver))?;
                let mut context =
                    Context { heap: &mut self.heap, host, jobflow, builtins: &builtins };
                (method.body)(&mut context, &args)
            }
        }
    }

    /// As [`Machine::call_value`], or what is to be asked for instead: a function of a library.
    pub(super) fn call_or_ask(
        &mut self,
        host: &mut dyn Host,
        jobflow: ObjectId,
        callee: Value,
        at: usize,
        shape: &Shape,
    ) -> Result<Result<Value, Box<Request>>, Raise> {
        match self.library_call(host, callee, at, shape)? {
            Some(request) => Ok(Err(Box::new(request))),
            None => self.call_value(host, jobflow, callee, at, shape).map(Ok),
        }
    }

    /// Sets the status variables of the topmost frame.
    pub(super) fn set_status(&mut self, status: Value, result: Value, error: Value) {
        if let Some(frame) = self.frames.last()
            && let Some(places) = self.stack.get_mut(frame.base as usize..frame.base as usize + 3)
        {
            places.copy_from_slice(&[status, result, error]);
        }
    }

    pub(super) fn lost(&mut self, message: &str) {
        let error = self.heap.str(message);
        self.set_status(Value::Int(-1), self.empty, error);
    }

    /// The control variables that are set.
    pub(super) fn control(
        &mut self,
        host: &mut dyn Host,
        unit: &Linked,
        controls: u16,
        base: usize,
    ) -> Result<Control, Raise> {
        let mut control = Control::default();
        let set =
            unit.program.controls.get(controls as usize).map(Vec::as_slice).unwrap_or_default();
        for (name, register) in set {
            let value = self.stack.get(base + *register as usize).copied().unwrap_or_default();
            if !matches!(value, Value::Absent | Value::Null) {
                let plain = self.heap.export(host, value)?;
                control.0.push((name.to_string(), plain));
            }
        }
        Ok(control)
    }

    pub(super) fn block(&mut self, request: Request) -> Flowed {
        self.state = State::Blocked(request.clone());
        Ok(Flow::Pause(Pause::Blocked(request)))
    }

    /// `[callee << input : args]`
    pub(super) fn perform(
        &mut self,
        programs: &mut Vec<Linked>,
        host: &mut dyn Host,
        (first, shape, controls): (u16, u16, u16),
        base: usize,
        last: bool,
    ) -> Flowed {
        let frame = *self.frames.last().expect("the frame being run");
        let first = base + first as usize;
        let callee = self.stack.get(first).copied().unwrap_or_default();
        let unit = linked(programs, frame.program);
        let shape = unit
            .program
            .shapes
            .get(shape as usize)
            .ok_or_else(|| Raise::new("damaged byte code"))?;
        match callee {
            Value::Ref(RefKind::Object, id) => {
                let target = Handle { kind: RefKind::Object, id };
                match host.callable(target)? {
                    Callable::Jobflow(jobflow) => {
                        let name = jobflow.path.rsplit('/').next().unwrap_or_default();
                        let given = self.given(host, first + 2, shape, name)?;
                        if shape.input {
                            return Err(Raise::new("a jobflow takes no standard input").into());
                        }
                        let number = link(programs, &mut self.heap, &jobflow);
                        if jobflow.multiplicity.is_none()
                            && let Some(cell) =
                                linked(programs, frame.program).calls.get(id as usize % CALLS)
                        {
                            cell.set((host.epoch(), id, number));
                        }
                        let places = jobflow.multiplicity.map(|places| (jobflow.object, places));
                        self.call_jobflow(programs, host, number, &given, places, last)
                    }
                    Callable::Script(script) => {
                        let shape = shape.clone();
                        self.script(programs, host, script, (first, &shape, controls), base)
                    }
                    Callable::No => Err(Raise::new("'Object' is not executable").into()),
                }
            }
            Value::Function(_) => {
                if shape.input {
                    return Err(Raise::new("a function takes no standard input").into());
                }
                if let Some((target, method)) = self.slow_method(callee) {
                    let given = self.given(host, first + 2, shape, method)?;
                    let checks = method == "conn_check";
                    if checks && !given.positional.is_empty() {
                        return Err(too_many(method, 0).into());
                    }
                    if let Some((name, _)) = given.named.first().filter(|_| checks) {
                        return Err(unexpected(method, name).into());
                    }
                    let mut positional = vec![self.heap.export(host, target)?];
                    for value in given.positional {
                        positional.push(self.heap.export(host, value)?);
                    }
                    let mut named = Vec::with_capacity(given.named.len());
                    for (name, value) in given.named {
                        named.push((name.to_string(), self.heap.export(host, value)?));
                    }
                    return self.block(Request::Builtin {
                        name: method.to_owned(),
                        positional,
                        named,
                        control: Control::default(),
                    });
                }
                if let Some(request) = self.library_call(host, callee, first + 2, shape)? {
                    return self.block(request);
                }
                let value = self.call_value(host, unit.object, callee, first + 2, shape)?;
                let value = if value.is_absent() { Value::Null } else { value };
                self.set_status(Value::Int(0), value, self.empty);
                Ok(Flow::Frame)
            }
            Value::Str(_) => {
                if shape.registers() > 0 {
                    return Err(Raise::new("a command takes no arguments").into());
                }
                let command = self.heap.as_str(callee).unwrap_or_default().to_owned();
                if command.is_empty() {
                    self.set_status(Value::Int(0), self.empty, self.empty);
                    return Ok(Flow::Frame);
                }
                if command.len() > COMMAND_BYTES_MAX {
                    self.lost("command too long");
                    return Ok(Flow::Frame);
                }
                let input = if shape.input { Some(self.input(host, first + 1)?) } else { None };
                match self.control(host, unit, controls, base) {
                    Ok(control) => self.block(Request::Command { command, input, control }),
                    Err(raise) => {
                        self.lost(raise.message());
                        Ok(Flow::Frame)
                    }
                }
            }
            _ => Err(Raise::new(format!("'{}' is not executable", callee.kind().name())).into()),
        }
    }

    /// What is asked for to call a function of a library, with arguments from register `at` on;
    /// `None` for all other functions. Python may take its time: nobody waits for it in a turn.
    pub(super) fn library_call(
        &mut self,
        host: &mut dyn Host,
        callee: Value,
        at: usize,
        shape: &Shape,
    ) -> Result<Option<Request>, Raise> {
        let Some(Function::Library(library, name)) = self.heap.as_function(callee) else {
            return Ok(None);
        };
        let (library, name) = (*library, name.clone());
        let given = self.given(host, at, shape, &name)?;
        let mut positional = Vec::with_capacity(given.positional.len());
        for value in given.positional {
            positional.push(self.heap.export(host, value)?);
        }
        let mut named = Vec::with_capacity(given.named.len());
        for (name, value) in given.named {
            named.push((name.to_string(), self.heap.export(host, value)?));
        }
        let library = self.heap.export(host, library.into())?;
        let positional = vec![library, Plain::Str(name.into()), Plain::Array(positional)];
        let name = LIBRARY_CALL.to_owned();
        Ok(Some(Request::Builtin { name, positional, named, control: Control::default() }))
    }

    /// The object and the method, if it waits for a machine: it is then run as a job of its own.
    fn slow_method(&self, callee: Value) -> Option<(Value, &'static str)> {
        match self.heap.as_function(callee)? {
            Function::Method(Receiver(target @ Value::Ref(RefKind::Object, _)), name) => {
                let method = WAITING.into_iter().find(|method| **name == **method)?;
                Some((*target, method))
            }
            _ => None,
        }
    }

    /// Standard input: bytes as they are, everything else as text.
    fn input(&mut self, host: &mut dyn Host, register: usize) -> Result<Plain, Raise> {
        let value = self.stack.get(register).copied().unwrap_or_default();
        Ok(match self.heap.as_bytes(value) {
            Some(bytes) => Plain::Bytes(bytes.to_vec()),
            None => Plain::Str(self.heap.text(host, value)?),
        })
    }

    fn script(
        &mut self,
        programs: &[Linked],
        host: &mut dyn Host,
        script: ObjectId,
        (first, shape, controls): (usize, &Shape, u16),
        base: usize,
    ) -> Flowed {
        let given = self.given(host, first + 2, shape, "script")?;
        if let Some((name, _)) = given.named.first() {
            return Err(unexpected("script", name).into());
        }
        let mut arguments = Vec::with_capacity(given.positional.len());
        let mut bytes = 0;
        for value in &given.positional {
            let text = self.heap.text(host, *value)?;
            bytes += text.len();
            arguments.push(text);
        }
        if bytes > COMMAND_BYTES_MAX {
            self.lost("script arguments too long");
            return Ok(Flow::Frame);
        }
        let input = if shape.input { Some(self.input(host, first + 1)?) } else { None };
        let program = self.frames.last().map_or(0, |frame| frame.program);
        match self.control(host, linked(programs, program), controls, base) {
            Ok(control) => {
                let placed = match self.enter_script(host, script)? {
                    Entry::Free => false,
                    Entry::Placed => true,
                    Entry::Waits(pause) => return Ok(Flow::Pause(pause)),
                };
                self.block(Request::Script { script, arguments, input, control, placed })
            }
            Err(raise) => {
                self.lost(raise.message());
                Ok(Flow::Frame)
            }
        }
    }

    /// Takes the place that a script of limited multiplicity needs while it runs, or waits for it;
    /// the job then begins anew.
    fn enter_script(&mut self, host: &mut dyn Host, script: ObjectId) -> Result<Entry, Raise> {
        let Some(multiplicity) = host.multiplicity(script)? else { return Ok(Entry::Free) };
        if host.acquire(script, multiplicity)? {
            self.places.push(script);
            return Ok(Entry::Placed);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.ip -= 1;
        }
        let request = Request::Lock { jobflow: script, multiplicity };
        self.state = State::Blocked(request.clone());
        Ok(Entry::Waits(Pause::Blocked(request)))
    }

    /// Gives the place of a script back that has ended.
    pub(super) fn leave_script(&mut self, script: ObjectId, host: &mut dyn Host) {
        if let Some(at) = self.places.iter().position(|held| *held == script) {
            self.places.swap_remove(at);
            host.release(script);
        }
    }

    /// A call whose target was looked up before and whose arguments, `count` registers from `at` on,
    /// are just the first parameters, the rest having defaults; `false` if it is not that simple.
    pub(super) fn enter_known(
        &mut self,
        programs: &[Linked],
        number: u32,
        at: usize,
        count: usize,
    ) -> bool {
        let Some(unit) = programs.get(number as usize) else { return false };
        let base = self.stack.len();
        let registers = unit.registers;
        if count < unit.required
            || count > unit.program.parameters.len()
            || self.frames.len() >= DEPTH_MAX
            || base + registers > STACK_MAX
        {
            return false;
        }
        self.stack.resize(base + registers, Value::Absent);
        let (callers, callees) = self.stack.split_at_mut(base);
        callees[0] = Value::Int(0);
        callees[1] = self.empty;
        callees[2] = self.empty;
        let first = FIRST_PARAMETER as usize;
        callees[first..first + count].copy_from_slice(&callers[at..at + count]);
        let Ok(base) = u32::try_from(base) else { return false };
        self.frames.push(Frame { program: number, ip: 0, base, locked: false });
        true
    }

    /// Returns a value from a frame in which nothing is open; `false` if it is not that simple.
    pub(super) fn leave_frame(&mut self, value: Value) -> bool {
        let depth = self.frames.len();
        let (Some(frame), true) = (self.frames.last(), depth > 1) else { return false };
        if frame.locked
            || !self.sessions.is_empty()
            || self.tries.last().is_some_and(|held| held.frames as usize >= depth)
        {
            return false;
        }
        self.stack.truncate(frame.base as usize);
        self.frames.pop();
        self.set_status(Value::Int(0), value, self.empty);
        true
    }

    fn call_jobflow(
        &mut self,
        programs: &[Linked],
        host: &mut dyn Host,
        number: u32,
        given: &Given,
        places: Option<(ObjectId, u32)>,
        last: bool,
    ) -> Flowed {
        if last {
            // The callee takes the frame's place: wrong arguments are still an error of the caller.
            super::machine::check(linked(programs, number), given)?;
            self.drop_frame(programs, host);
        }
        self.enter(programs, number, given)?;
        self.lock = places;
        match self.take_lock(host)? {
            Some(pause) => Ok(Flow::Pause(pause)),
            None => Ok(Flow::Frame),
        }
    }

    /// Takes the place that the topmost frame needs, or waits for it.
    pub(super) fn take_lock(&mut self, host: &mut dyn Host) -> Result<Option<Pause>, Box<Abend>> {
        let Some((object, multiplicity)) = self.lock else { return Ok(None) };
        // One place is enough for a process, however often it is inside.
        let inside = self.places.contains(&object);
        if inside || host.acquire(object, multiplicity)? {
            self.lock = None;
            if !inside {
                self.places.push(object);
                if let Some(frame) = self.frames.last_mut() {
                    frame.locked = true;
                }
            }
            return Ok(None);
        }
        let request = Request::Lock { jobflow: object, multiplicity };
        self.state = State::Blocked(request.clone());
        Ok(Some(Pause::Blocked(request)))
    }

    /// `return`, or the end of a jobflow's text.
    pub(super) fn return_with(
        &mut self,
        programs: &[Linked],
        host: &mut dyn Host,
        status: Value,
        result: Value,
        error: Value,
    ) -> Flowed {
        if self.frames.len() == 1 {
            return self.exit(programs, host, status, result, error);
        }
        let status = self.status_number(status);
        self.drop_frame(programs, host);
        self.set_status(Value::Int(status), result, error);
        Ok(Flow::Frame)
    }

    /// A status as a number: what is none is a failure (decision C-57).
    pub(super) fn status_number(&self, status: Value) -> i64 {
        match status {
            Value::Int(number) => number,
            Value::Bool(truth) => truth.into(),
            #[expect(clippy::cast_possible_truncation, reason = "as int() cuts")]
            Value::Float(number) if number.is_finite() => number as i64,
            Value::Str(_) => {
                self.heap.as_str(status).and_then(|text| text.trim().parse().ok()).unwrap_or(1)
            }
            _ => 1,
        }
    }

    /// Ends the process.
    pub(super) fn exit(
        &mut self,
        programs: &[Linked],
        host: &mut dyn Host,
        status: Value,
        result: Value,
        error: Value,
    ) -> Flowed {
        let status = self.status_number(status);
        let result = self.leave_value(host, result);
        let error = self.leave_value(host, error);
        self.drop_all(programs, host);
        let end = End { done: status == 0, status, result, error };
        self.state = State::Ended(end.clone());
        Ok(Flow::Pause(Pause::Ended(end)))
    }

    /// `self()`: parameters stay, everything else begins anew.
    pub(super) fn again(&mut self, host: &mut dyn Host, unit: &Linked) -> Flowed {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        self.leave_blocks(host, depth);
        let empty = self.empty;
        if let Some(frame) = self.frames.last_mut() {
            frame.ip = unit.program.body;
            let base = frame.base as usize;
            let first = base + FIRST_PARAMETER as usize + unit.program.parameters.len();
            if let Some(rest) = self.stack.get_mut(first..) {
                rest.fill(Value::Absent);
            }
        }
        self.set_status(Value::Int(0), empty, empty);
        Ok(Flow::Frame)
    }

    /// Puts arguments of a control job in the order of its parameters.
    pub(super) fn bind_control(
        &mut self,
        host: &mut dyn Host,
        at: usize,
        job: ControlJob,
        shape: &Shape,
    ) -> Result<(), Raise> {
        let given = self.given(host, at, shape, job.name())?;
        let parameters = job.parameters();
        if given.positional.len() > parameters.len() {
            return Err(too_many(job.name(), parameters.len()));
        }
        let mut values: Vec<Option<Value>> = vec![None; parameters.len()];
        for (place, value) in values.iter_mut().zip(&given.positional) {
            *place = Some(*value);
        }
        for (name, value) in &given.named {
            let place = parameters
                .iter()
                .position(|held| **held == **name)
                .and_then(|at| values.get_mut(at));
            match place {
                Some(place @ None) => *place = Some(*value),
                Some(_) => return Err(twice(job.name(), name)),
                None => return Err(unexpected(job.name(), name)),
            }
        }
        for ((name, value), register) in parameters.iter().zip(values).zip(at..) {
            let value = match (value, *name) {
                (Some(value), _) => value,
                (None, "value") => return Err(missing(job.name(), name)),
                (None, "status") => Value::Int(0),
                (None, _) => self.empty,
            };
            if let Some(place) = self.stack.get_mut(register) {
                *place = value;
            }
        }
        Ok(())
    }
}
