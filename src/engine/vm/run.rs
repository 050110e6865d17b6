//! The loop over instructions.

mod iterate;
mod short;
mod template;
mod test;

use std::cmp::Ordering;

use super::host::Host;
use super::machine::{CALLS, Linked, Machine, State, UNKNOWN, linked};
use super::raise::Raise;
use super::request::Pause;
use super::unwind::Abend;
use super::value::Value;
use crate::lang::ast::ArithmeticOp;
use crate::lang::pattern::Pattern;
use crate::lang::program::{Op, R};
use crate::lang::quick::Quick;

pub(super) use test::truth;
use test::{compare, floored};

/// What an instruction that leaves the fast path asks for.
#[derive(Debug)]
pub(super) enum Flow {
    /// Another frame is on top, or this one goes on elsewhere.
    Frame,
    /// The machine stops.
    Pause(Pause),
}

/// Steps left in this slice.
#[derive(Debug)]
pub(super) struct Budget(pub(super) u64);

impl Machine {
    /// Runs at most `budget` steps; a step is a job or a round of a loop.
    pub fn run(&mut self, budget: u64, host: &mut dyn Host) -> Pause {
        let mut budget = Budget(budget.max(1));
        let mut programs = std::mem::take(&mut self.programs);
        let pause = loop {
            match self.slice(&mut programs, &mut budget, host) {
                Ok(pause) => break pause,
                Err(abend) => {
                    if let Some(end) = self.unwind(&programs, *abend, host) {
                        self.state = State::Ended(end.clone());
                        break Pause::Ended(end);
                    }
                }
            }
        };
        self.programs = programs;
        pause
    }

    fn slice(
        &mut self,
        programs: &mut Vec<Linked>,
        budget: &mut Budget,
        host: &mut dyn Host,
    ) -> Result<Pause, Box<Abend>> {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Ready => {}
            State::Blocked(request) => {
                self.state = State::Blocked(request.clone());
                return Ok(Pause::Blocked(request));
            }
            State::Ended(end) => {
                self.state = State::Ended(end.clone());
                return Ok(Pause::Ended(end));
            }
            State::Answered(answer, request) => {
                self.answered(programs, answer, &request, host)?;
            }
        }
        if let Some(pause) = self.take_lock(host)? {
            return Ok(pause);
        }
        self.execute(programs, budget, host)
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each instruction")]
    fn execute(
        &mut self,
        programs: &mut Vec<Linked>,
        budget: &mut Budget,
        host: &mut dyn Host,
    ) -> Result<Pause, Box<Abend>> {
        'frame: loop {
            // Only what is asked of the host changes it.
            let mut epoch = host.epoch();
            self.hurry(programs, budget, epoch);
            let frame = *self.frames.last().expect("a machine that has not ended has a frame");
            let unit = linked(programs, frame.program);
            let code = &*unit.program.code;
            let quick = &*unit.program.quick;
            let constants = &*unit.constants;
            let base = frame.base as usize;
            let mut ip = frame.ip as usize;
            let mut registers = &mut self.stack[base..];

            macro_rules! get {
                ($operand:expr) => {{
                    let R(number) = $operand;
                    if number & 0x8000 == 0 {
                        registers[number as usize]
                    } else {
                        constants[(number & 0x7fff) as usize]
                    }
                }};
            }
            macro_rules! set {
                ($into:expr, $value:expr) => {
                    registers[$into as usize] = $value
                };
            }
            macro_rules! keep {
                () => {
                    self.frames.last_mut().expect("the frame being run").ip = ip as u32
                };
            }
            // Work outside the registers: afterwards they are looked up anew.
            macro_rules! attempt {
                ($work:expr) => {
                    match $work {
                        Ok(value) => {
                            registers = &mut self.stack[base..];
                            epoch = host.epoch();
                            value
                        }
                        Err(raise) => {
                            keep!();
                            return Err(Abend::runtime(raise));
                        }
                    }
                };
            }
            // Another round of a loop: the short loop may take it on from here.
            macro_rules! go_to {
                ($to:expr) => {{
                    let to = $to as usize;
                    let back = to < ip && !matches!(quick[to], Quick::Leave);
                    ip = to;
                    if back {
                        keep!();
                        continue 'frame;
                    }
                }};
            }
            macro_rules! boundary {
                () => {
                    budget.0 -= 1;
                    if budget.0 == 0 || self.heap.crowded() {
                        keep!();
                        if let Some(pause) = self.pause(programs, budget)? {
                            return Ok(pause);
                        }
                        continue 'frame;
                    }
                };
            }
            macro_rules! jump_word {
                ($taken:expr) => {
                    if $taken {
                        let Op::Jump(to) = code[ip] else {
                            unreachable!("the next word is a jump")
                        };
                        go_to!(to);
                    } else {
                        ip += 1;
                    }
                };
            }
            macro_rules! arithmetic {
                ($op:expr, $into:expr, $left:expr, $right:expr, $ints:expr, $floats:expr) => {{
                    let (left, right) = (get!($left), get!($right));
                    if let (Value::Int(a), Value::Int(b)) = (left, right) {
                        if let Some(result) = $ints(a, b) {
                            set!($into, Value::Int(result));
                            continue;
                        }
                    } else if let (Value::Float(a), Value::Float(b)) = (left, right) {
                        if let Some(result) = $floats(a, b) {
                            set!($into, Value::Float(result));
                            continue;
                        }
                    }
                    let value = attempt!(self.heap.arithmetic(host, $op, left, right));
                    set!($into, value);
                }};
            }
            macro_rules! compare_jump {
                ($name:literal, $left:expr, $right:expr, $want:expr, $ints:expr, $order:pat) => {{
                    let (left, right) = (get!($left), get!($right));
                    let holds = match (left, right) {
                        (Value::Int(a), Value::Int(b)) => $ints(&a, &b),
                        _ => matches!(attempt!(self.heap.order($name, left, right)), $order),
                    };
                    jump_word!(holds == $want);
                }};
            }
            macro_rules! leave {
                ($flow:expr) => {
                    match $flow? {
                        Flow::Frame => {
                            if budget.0 <= 1 || self.heap.crowded() {
                                budget.0 = budget.0.saturating_sub(1);
                                if let Some(pause) = self.pause(programs, budget)? {
                                    return Ok(pause);
                                }
                            } else {
                                budget.0 -= 1;
                            }
                            continue 'frame;
                        }
                        Flow::Pause(pause) => return Ok(pause),
                    }
                };
            }

            loop {
                let op = code[ip];
                ip += 1;
                match op {
                    Op::Ok => {
                        set!(0, Value::Int(0));
                        boundary!();
                    }
                    Op::Jump(to) => go_to!(to),
                    Op::Again(to) => {
                        ip = to as usize;
                        boundary!();
                    }
                    Op::Status(status) => {
                        set!(0, Value::Int(status.into()));
                        boundary!();
                    }
                    Op::Word(_) => {}
                    Op::Move { into, from } => {
                        let value = get!(from);
                        set!(into, value);
                    }
                    Op::Nothing { into } => set!(into, Value::Absent),
                    Op::Check { variable } => {
                        if registers[variable as usize].is_absent() {
                            keep!();
                            let name = unit.program.variable(variable);
                            return Err(Abend::runtime(Raise::new(format!(
                                "undefined variable: {name}"
                            ))));
                        }
                    }
                    Op::Undefined { name } => {
                        keep!();
                        let name = &unit.program.names[name as usize];
                        return Err(Abend::runtime(Raise::new(format!(
                            "undefined variable: {name}"
                        ))));
                    }
                    Op::AddSmall { into, left, number } => {
                        let left = get!(left);
                        if let Value::Int(a) = left
                            && let Some(sum) = a.checked_add(number.into())
                        {
                            set!(into, Value::Int(sum));
                            continue;
                        }
                        let (op, number) = if number < 0 {
                            (ArithmeticOp::Subtract, -i64::from(number))
                        } else {
                            (ArithmeticOp::Add, i64::from(number))
                        };
                        let value =
                            attempt!(self.heap.arithmetic(host, op, left, Value::Int(number)));
                        set!(into, value);
                    }
                    Op::Add { into, left, right } => {
                        arithmetic!(
                            ArithmeticOp::Add,
                            into,
                            left,
                            right,
                            i64::checked_add,
                            |a, b| Some(a + b)
                        );
                    }
                    Op::Subtract { into, left, right } => {
                        arithmetic!(
                            ArithmeticOp::Subtract,
                            into,
                            left,
                            right,
                            i64::checked_sub,
                            |a, b| Some(a - b)
                        );
                    }
                    Op::Multiply { into, left, right } => {
                        arithmetic!(
                            ArithmeticOp::Multiply,
                            into,
                            left,
                            right,
                            i64::checked_mul,
                            |a, b| Some(a * b)
                        );
                    }
                    Op::Divide { into, left, right } => {
                        arithmetic!(
                            ArithmeticOp::Divide,
                            into,
                            left,
                            right,
                            |_, _| None,
                            |a: f64, b: f64| { if b == 0.0 { None } else { Some(a / b) } }
                        );
                    }
                    Op::Remainder { into, left, right } => {
                        arithmetic!(ArithmeticOp::Remainder, into, left, right, floored, |_, _| {
                            None
                        });
                    }
                    Op::Compare { op, into, left, right } => {
                        let (left, right) = (get!(left), get!(right));
                        let holds = attempt!(compare(&mut self.heap, host, op, left, right));
                        set!(into, Value::Bool(holds));
                    }
                    Op::IfLess { left, right, want } => {
                        compare_jump!("<", left, right, want, i64::lt, Some(Ordering::Less));
                    }
                    Op::IfLessEqual { left, right, want } => {
                        compare_jump!(
                            "<=",
                            left,
                            right,
                            want,
                            i64::le,
                            Some(Ordering::Less | Ordering::Equal)
                        );
                    }
                    Op::IfGreater { left, right, want } => {
                        compare_jump!(">", left, right, want, i64::gt, Some(Ordering::Greater));
                    }
                    Op::IfGreaterEqual { left, right, want } => {
                        compare_jump!(
                            ">=",
                            left,
                            right,
                            want,
                            i64::ge,
                            Some(Ordering::Greater | Ordering::Equal)
                        );
                    }
                    Op::IfEqual { left, right, want } => {
                        let (left, right) = (get!(left), get!(right));
                        let holds = match (left, right) {
                            (Value::Int(a), Value::Int(b)) => a == b,
                            _ => attempt!(self.heap.equal(left, right)),
                        };
                        jump_word!(holds == want);
                    }
                    Op::JumpIf { value, to } => {
                        let value = get!(value);
                        let truth = match value {
                            Value::Bool(truth) => truth,
                            _ => attempt!(truth(&mut self.heap, host, value)),
                        };
                        if truth {
                            go_to!(to);
                        }
                    }
                    Op::JumpUnless { value, to } => {
                        let value = get!(value);
                        let truth = match value {
                            Value::Bool(truth) => truth,
                            _ => attempt!(truth(&mut self.heap, host, value)),
                        };
                        if !truth {
                            go_to!(to);
                        }
                    }
                    Op::JumpPresent { value, to } => {
                        if !registers[value as usize].is_absent() {
                            ip = to as usize;
                        }
                    }
                    Op::Sign { into, value, minus } => {
                        let value = get!(value);
                        let result = attempt!(self.heap.sign(value, minus));
                        set!(into, result);
                    }
                    Op::Not { into, value } => {
                        let value = get!(value);
                        let truth = attempt!(truth(&mut self.heap, host, value));
                        set!(into, Value::Bool(!truth));
                    }
                    Op::Member { into, item, container } => {
                        let (item, container) = (get!(item), get!(container));
                        let held = attempt!(self.heap.member(host, item, container));
                        set!(into, Value::Bool(held));
                    }
                    Op::Fits { into, value, pattern } => {
                        let (value, pattern) = (get!(value), get!(pattern));
                        let fits = attempt!(self.heap.fits(host, value, pattern));
                        set!(into, Value::Bool(fits));
                    }
                    Op::Template { into, template } => {
                        let parts = &unit.program.templates[template as usize];
                        let value = attempt!(self.fill(host, base, parts));
                        set!(into, value);
                    }
                    Op::PatternOf { into, template, kind, ignore_case } => {
                        let text = get!(template);
                        let pattern = Pattern::new(
                            kind,
                            self.heap.as_str(text).unwrap_or_default(),
                            ignore_case,
                        );
                        attempt!(
                            pattern
                                .check()
                                .map_err(|why| Raise::new(format!("invalid pattern: {why}")))
                        );
                        let value = self.heap.pattern(pattern);
                        set!(into, value);
                    }
                    Op::Path { into, path } => {
                        let kept = &unit.paths[path as usize];
                        let (since, value) = kept.get();
                        if since == epoch && !value.is_absent() {
                            set!(into, value);
                            continue;
                        }
                        let text = self.heap.as_str(constants[path as usize]).unwrap_or_default();
                        let found = attempt!(host.resolve(unit.object, text));
                        kept.set((epoch, found.into()));
                        set!(into, found.into());
                    }
                    Op::Debug { into } => set!(into, self.debug),
                    Op::Env { into } => {
                        let value = self.env(host);
                        registers = &mut self.stack[base..];
                        set!(into, value);
                    }
                    Op::Array { into } => {
                        let value = self.heap.array(Vec::new());
                        set!(into, value);
                    }
                    Op::Append { array, first, count } => {
                        let first = first as usize;
                        let array = registers[array as usize];
                        for value in &registers[first..first + count as usize] {
                            self.heap.push(array, *value);
                        }
                    }
                    Op::Extend { array, value } => {
                        let (array, value) = (registers[array as usize], get!(value));
                        attempt!(self.extend(host, array, value));
                    }
                    Op::Dict { into } => {
                        let value = self.heap.dict(super::dict::Dict::new());
                        set!(into, value);
                    }
                    Op::Entry { dict, key, value } => {
                        let (dict, key, value) = (registers[dict as usize], get!(key), get!(value));
                        attempt!(self.heap.dict_set(dict, key, value));
                    }
                    Op::Attribute { into, of, name } => {
                        let of = get!(of);
                        let name = &unit.program.names[name as usize];
                        if matches!(of, Value::Ref(super::value::RefKind::Process, _)) {
                            host.here(unit.object, unit.program.line(ip as u32 - 1));
                        }
                        let value = attempt!(self.attribute(host, unit.object, of, name));
                        set!(into, value);
                    }
                    Op::Index { into, of, index } => {
                        let (of, index) = (get!(of), get!(index));
                        let value = attempt!(self.index(host, unit.object, of, index));
                        set!(into, value);
                    }
                    Op::Method { into, of, name } => {
                        let of = get!(of);
                        let name = &unit.program.names[name as usize];
                        let value = attempt!(self.method(host, unit.object, of, name));
                        set!(into, value);
                    }
                    Op::Call { base: first, function, shape } => {
                        let cell = &unit.functions[function as usize];
                        if cell.get() == UNKNOWN {
                            let name = &unit.program.names[function as usize];
                            let Some(number) = self.builtins.find(name) else {
                                keep!();
                                return Err(Abend::runtime(Raise::new(format!(
                                    "undefined function: {name}"
                                ))));
                            };
                            cell.set(u32::try_from(number).unwrap_or(UNKNOWN));
                        }
                        let shape = &unit.program.shapes[shape as usize];
                        let at = base + first as usize;
                        let value = attempt!(self.call_builtin(
                            host,
                            unit.object,
                            cell.get() as usize,
                            at,
                            shape
                        ));
                        set!(first, value);
                    }
                    Op::CallValue { base: first, shape } => {
                        let callee = registers[first as usize];
                        let shape = &unit.program.shapes[shape as usize];
                        let at = base + first as usize + 1;
                        match attempt!(self.call_or_ask(host, unit.object, callee, at, shape)) {
                            Ok(value) => set!(first, value),
                            Err(request) => {
                                keep!();
                                leave!(self.block(*request));
                            }
                        }
                    }
                    Op::CallMethod { base: first, shape, name } => {
                        let shape = &unit.program.shapes[shape as usize];
                        let at = base + first as usize;
                        let done = attempt!(self.call_method(host, unit, name, at, shape));
                        if let Some(value) = done {
                            set!(first, value);
                            continue;
                        }
                        let called =
                            attempt!(self.method_at(host, unit, name, at).and_then(|callee| {
                                self.call_or_ask(host, unit.object, callee, at + 1, shape)
                            }));
                        match called {
                            Ok(value) => set!(first, value),
                            Err(request) => {
                                keep!();
                                leave!(self.block(*request));
                            }
                        }
                    }
                    Op::ExecuteMethod { base: first, shape, name } => {
                        let plan = &unit.program.shapes[shape as usize];
                        let at = base + first as usize;
                        // The place of standard input, which is none, takes the receiver.
                        if !plan.input {
                            registers[first as usize + 1] = registers[first as usize];
                            if let Some(value) =
                                attempt!(self.call_method(host, unit, name, at + 1, plan))
                            {
                                set!(0, Value::Int(0));
                                set!(1, value);
                                set!(2, self.empty);
                                boundary!();
                                continue;
                            }
                        }
                        let callee = attempt!(self.method_at(host, unit, name, at));
                        set!(first, callee);
                        let Op::Word(controls) = code[ip] else {
                            unreachable!("the next word numbers the controls")
                        };
                        keep!();
                        leave!(self.perform(programs, host, (first, shape, controls), base, false));
                    }
                    Op::Result { base: first } => {
                        let value = registers[first as usize];
                        set!(0, Value::Int(0));
                        set!(1, value);
                        set!(2, self.empty);
                        boundary!();
                    }
                    Op::Judge(connector) => {
                        let status = registers[0];
                        if !matches!(status, Value::Int(0)) && !Self::goes_on(connector, status) {
                            keep!();
                            return Err(self.forced(base));
                        }
                    }
                    Op::Iterate { state, value } => {
                        let value = get!(value);
                        let source = attempt!(self.iterate(host, value));
                        set!(state, source);
                        set!(state + 1, Value::Int(0));
                    }
                    Op::Next { state, into } => {
                        let source = registers[state as usize];
                        let Value::Int(at) = registers[state as usize + 1] else {
                            unreachable!("a loop's state holds its position")
                        };
                        let next = match source {
                            Value::Int(count) => (at < count).then_some((Value::Int(at), at + 1)),
                            _ => {
                                let next = self.next_of(source, at);
                                registers = &mut self.stack[base..];
                                next
                            }
                        };
                        match next {
                            Some((value, after)) => {
                                set!(into, value);
                                set!(state + 1, Value::Int(after));
                                ip += 1;
                            }
                            None => {
                                jump_word!(true);
                            }
                        }
                        boundary!();
                    }
                    Op::SetIndex { of, index, value } => {
                        let (of, index, value) = (get!(of), get!(index), get!(value));
                        attempt!(self.set_index(host, of, index, value));
                    }
                    Op::Update { base: first, target } => {
                        let first = first as usize;
                        let kinds = &unit.program.targets[target as usize];
                        let keys: Vec<(Value, bool)> = registers[first + 2..]
                            .iter()
                            .copied()
                            .zip(kinds.iter().copied())
                            .collect();
                        let (value, start) = (registers[first], registers[first + 1]);
                        attempt!(self.update(host, value, start, &keys));
                    }
                    Op::SetObject { object, value } => {
                        let (object, value) = (get!(object), get!(value));
                        attempt!(self.set_object(host, object, value));
                    }
                    Op::Try(to) => {
                        keep!();
                        self.open_try(to);
                        registers = &mut self.stack[base..];
                    }
                    Op::TryEnd => {
                        self.tries.pop();
                    }
                    Op::Caught => {}
                    Op::Bind { base: first, job, shape } => {
                        let shape = &unit.program.shapes[shape as usize];
                        attempt!(self.bind_control(host, base + first as usize, job, shape));
                    }
                    Op::ReturnValue { value } => {
                        let value = get!(value);
                        if budget.0 > 1 && !self.heap.crowded() && self.leave_frame(value) {
                            budget.0 -= 1;
                            continue 'frame;
                        }
                        keep!();
                        let (status, error) = (Value::Int(0), self.empty);
                        leave!(self.return_with(programs, host, status, value, error));
                    }
                    Op::Return { base: first } => {
                        let first = first as usize;
                        let (result, status, error) =
                            (registers[first], registers[first + 1], registers[first + 2]);
                        keep!();
                        leave!(self.return_with(programs, host, status, result, error));
                    }
                    Op::End => {
                        let (status, result, error) = (registers[0], registers[1], registers[2]);
                        keep!();
                        leave!(self.return_with(programs, host, status, result, error));
                    }
                    Op::Exit { base: first } => {
                        let first = first as usize;
                        let (status, result, error) =
                            (registers[first], registers[first + 1], registers[first + 2]);
                        keep!();
                        leave!(self.exit(programs, host, status, result, error));
                    }
                    Op::ChildEnd => {
                        let (status, result, error) = (registers[0], registers[1], registers[2]);
                        keep!();
                        leave!(self.exit(programs, host, status, result, error));
                    }
                    Op::Abort { base: first } => {
                        let message = registers[first as usize];
                        keep!();
                        return Err(self.abort(host, message));
                    }
                    Op::Assert { base: first } => {
                        let (value, message) =
                            (registers[first as usize], registers[first as usize + 1]);
                        if !attempt!(truth(&mut self.heap, host, value)) {
                            keep!();
                            return Err(self.abort(host, message));
                        }
                    }
                    Op::SelfCall => {
                        keep!();
                        leave!(self.again(host, unit));
                    }
                    Op::Detach => host.detach(),
                    Op::Suspend
                    | Op::Fork { .. }
                    | Op::Wait { .. }
                    | Op::Pfor { .. }
                    | Op::Session { .. }
                    | Op::SessionEnd { .. }
                    | Op::Event { .. }
                    | Op::Job { .. } => {
                        keep!();
                        leave!(self.outside(host, unit, op, base));
                    }
                    Op::Execute { base: first, shape, controls } => {
                        keep!();
                        if let Value::Ref(super::value::RefKind::Object, id) =
                            registers[first as usize]
                            && budget.0 > 1
                            && let (since, object, number) = unit.calls[id as usize % CALLS].get()
                            && object == id
                            && since == epoch
                            && !self.heap.crowded()
                        {
                            let at = base + first as usize + 2;
                            let shape = &unit.program.shapes[shape as usize];
                            let count = shape.positional as usize;
                            if shape.is_plain()
                                && !shape.input
                                && self.enter_known(programs, number, at, count)
                            {
                                budget.0 -= 1;
                                continue 'frame;
                            }
                        }
                        leave!(self.perform(programs, host, (first, shape, controls), base, false));
                    }
                    Op::ExecuteLast { base: first, shape, controls } => {
                        keep!();
                        leave!(self.perform(programs, host, (first, shape, controls), base, true));
                    }
                }
            }
        }
    }

    /// At a boundary: collects garbage if that is due, stops if the budget is used up.
    fn pause(&mut self, programs: &[Linked], budget: &Budget) -> Result<Option<Pause>, Box<Abend>> {
        if self.heap.crowded() {
            self.collect(programs).map_err(Abend::runtime)?;
        }
        Ok((budget.0 == 0).then_some(Pause::Budget))
    }

    fn collect(&mut self, programs: &[Linked]) -> Result<(), Raise> {
        let Self { heap, stack, debug, environment, empty, .. } = self;
        let constants = programs.iter().flat_map(|linked| linked.constants.iter().copied());
        let roots = stack.iter().copied().chain([*debug, *environment, *empty]).chain(constants);
        heap.collect(roots)
    }
}
