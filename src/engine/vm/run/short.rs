//! The short loop: arithmetic on small numbers, tests, jumps, calls and returns.
//!
//! It asks the host nothing, allocates nothing and fails at nothing, so that little has to be held
//! and each instruction is a few of the processor's. Whatever is not of that kind it leaves to the
//! long loop: it stops in front of such an instruction, with everything as if the long loop had come
//! there itself.

use super::super::machine::{CALLS, DEPTH_MAX, Frame, Linked, Machine, STACK_MAX, linked};
use super::super::value::{RefKind, Value};
use super::{Budget, floored};
use crate::lang::program::{Cmp, FIRST_PARAMETER, R};
use crate::lang::quick::Quick;

/// A register that holds nothing.
const BLANK: Value = Value::Absent;
/// As many registers do for most frames.
const SHORT: usize = 8;
/// Registers that are made ready at the first call.
const ROOM: usize = 64;

/// Writes a value. A number that was just written in two parts is read in these parts, for which the
/// processor need not wait.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is a load and a store")]
const fn put(place: &mut Value, value: &Value) {
    match value {
        Value::Int(number) => *place = Value::Int(*number),
        value => *place = *value,
    }
}

impl Machine {
    /// Runs what has a short form, in the topmost frame, those it calls and those it returns to.
    /// `epoch` is the host's. At least one step of the budget is left.
    #[inline(never)]
    pub(super) fn hurry(&mut self, programs: &[Linked], budget: &mut Budget, epoch: u64) {
        if self.heap.crowded() || self.lock.is_some() {
            return;
        }
        // Nothing of these changes here. A return from a frame with something open is not simple.
        let empty = self.empty;
        let open = self.tries.last().map_or(1, |held| (held.frames as usize).max(1));
        let open = if self.sessions.is_empty() { open } else { usize::MAX };
        let mut left = budget.0;
        'frame: while let Some(frame) = self.frames.last().copied() {
            let number = frame.program;
            let unit = linked(programs, number);
            let code = &*unit.program.quick;
            let constants = &*unit.constants;
            let mut base = frame.base as usize;
            let mut ip = frame.ip as usize;
            let mut registers = &mut self.stack[base..];

            macro_rules! place {
                ($operand:expr) => {{
                    let R(number) = $operand;
                    if number & 0x8000 == 0 {
                        &registers[number as usize]
                    } else {
                        &constants[(number & 0x7fff) as usize]
                    }
                }};
            }
            macro_rules! get {
                ($operand:expr) => {
                    *place!($operand)
                };
            }
            macro_rules! set {
                ($into:expr, $value:expr) => {
                    registers[$into as usize] = $value
                };
            }
            // In front of the instruction that is not for here.
            macro_rules! leave {
                () => {{
                    if let Some(frame) = self.frames.last_mut() {
                        frame.ip = ip as u32;
                    }
                    break 'frame;
                }};
            }
            macro_rules! boundary {
                () => {
                    if left <= 1 {
                        leave!();
                    }
                    left -= 1;
                };
            }
            macro_rules! arithmetic {
                ($into:expr, $left:expr, $right:expr, $ints:expr, $floats:expr) => {
                    match (get!($left), get!($right)) {
                        (Value::Int(a), Value::Int(b)) => match $ints(a, b) {
                            Some(result) => set!($into, Value::Int(result)),
                            None => leave!(),
                        },
                        (Value::Float(a), Value::Float(b)) => match $floats(a, b) {
                            Some(result) => set!($into, Value::Float(result)),
                            None => leave!(),
                        },
                        _ => leave!(),
                    }
                };
            }
            // A test takes the jump behind it or skips it.
            macro_rules! test {
                ($left:expr, $right:expr, $to:expr, |$a:ident, $b:ident| $holds:expr) => {
                    match ($left, $right) {
                        (Value::Int($a), Value::Int($b)) => {
                            if $holds {
                                ip = $to as usize;
                            } else {
                                ip += 2;
                            }
                            continue;
                        }
                        _ => leave!(),
                    }
                };
            }

            loop {
                let Some(op) = code.get(ip) else { leave!() };
                match *op {
                    Quick::Leave => leave!(),
                    Quick::Jump(to) => {
                        ip = to as usize;
                        continue;
                    }
                    Quick::Again(to) => {
                        boundary!();
                        ip = to as usize;
                        continue;
                    }
                    Quick::Ok => {
                        boundary!();
                        set!(0, Value::Int(0));
                    }
                    Quick::Judge => {
                        let Value::Int(0) = registers[0] else { leave!() };
                    }
                    Quick::Move { into, from } => {
                        let value = *place!(from);
                        put(&mut registers[into as usize], &value);
                    }
                    Quick::MoveOk { into, from } => {
                        boundary!();
                        let value = *place!(from);
                        put(&mut registers[into as usize], &value);
                        set!(0, Value::Int(0));
                        ip += 2;
                        continue;
                    }
                    Quick::Check { variable } => {
                        if registers[variable as usize].is_absent() {
                            leave!();
                        }
                    }
                    Quick::AddSmall { into, left, number } => {
                        let Value::Int(a) = get!(left) else { leave!() };
                        let Some(sum) = a.checked_add(number.into()) else { leave!() };
                        set!(into, Value::Int(sum));
                    }
                    Quick::AddSmallOk { into, left: operand, number } => {
                        let Value::Int(a) = get!(operand) else { leave!() };
                        let Some(sum) = a.checked_add(number.into()) else { leave!() };
                        boundary!();
                        set!(into, Value::Int(sum));
                        set!(0, Value::Int(0));
                        ip += 2;
                        continue;
                    }
                    Quick::Add { into, left, right } => {
                        arithmetic!(into, left, right, i64::checked_add, |a, b| Some(a + b));
                    }
                    Quick::Subtract { into, left, right } => {
                        arithmetic!(into, left, right, i64::checked_sub, |a, b| Some(a - b));
                    }
                    Quick::Multiply { into, left, right } => {
                        arithmetic!(into, left, right, i64::checked_mul, |a, b| Some(a * b));
                    }
                    Quick::Divide { into, left, right } => {
                        arithmetic!(into, left, right, |_, _| None, |a: f64, b: f64| {
                            if b == 0.0 { None } else { Some(a / b) }
                        });
                    }
                    Quick::Remainder { into, left, right } => {
                        arithmetic!(into, left, right, floored, |_, _| None);
                    }
                    Quick::Compare { op, into, left, right } => {
                        let (Value::Int(a), Value::Int(b)) = (get!(left), get!(right)) else {
                            leave!()
                        };
                        let holds = match op {
                            Cmp::Less => a < b,
                            Cmp::LessEqual => a <= b,
                            Cmp::Greater => a > b,
                            Cmp::GreaterEqual => a >= b,
                            Cmp::Equal => a == b,
                            Cmp::NotEqual => a != b,
                            Cmp::Similar | Cmp::NotSimilar => leave!(),
                        };
                        set!(into, Value::Bool(holds));
                    }
                    Quick::IfLess { left, right, to } => {
                        test!(get!(left), get!(right), to, |a, b| a < b);
                    }
                    Quick::UnlessLess { left, right, to } => {
                        test!(get!(left), get!(right), to, |a, b| a >= b);
                    }
                    Quick::IfBelow { left, number, to } => {
                        let number = Value::Int(number.into());
                        test!(registers[left as usize], number, to, |a, b| a < b);
                    }
                    Quick::UnlessBelow { left, number, to } => {
                        let number = Value::Int(number.into());
                        test!(registers[left as usize], number, to, |a, b| a >= b);
                    }
                    Quick::IfEqual { left, right, to } => {
                        test!(get!(left), get!(right), to, |a, b| a == b);
                    }
                    Quick::UnlessEqual { left, right, to } => {
                        test!(get!(left), get!(right), to, |a, b| a != b);
                    }
                    Quick::JumpIf { value, to } => {
                        let Value::Bool(truth) = get!(value) else { leave!() };
                        if truth {
                            ip = to as usize;
                            continue;
                        }
                    }
                    Quick::JumpUnless { value, to } => {
                        let Value::Bool(truth) = get!(value) else { leave!() };
                        if !truth {
                            ip = to as usize;
                            continue;
                        }
                    }
                    Quick::JumpPresent { value, to } => {
                        if !registers[value as usize].is_absent() {
                            ip = to as usize;
                            continue;
                        }
                    }
                    Quick::Next { state, into } => {
                        let (Value::Int(count), Value::Int(at)) =
                            (registers[state as usize], registers[state as usize + 1])
                        else {
                            leave!()
                        };
                        boundary!();
                        if at < count {
                            set!(into, Value::Int(at));
                            set!(state + 1, Value::Int(at + 1));
                            ip += 2;
                            continue;
                        }
                    }
                    Quick::Path { into, path } => {
                        let (since, value) = unit.paths[path as usize].get();
                        if since != epoch || value.is_absent() {
                            leave!();
                        }
                        set!(into, value);
                    }
                    Quick::Call { base: first, count } => {
                        let Value::Ref(RefKind::Object, id) = registers[first as usize] else {
                            leave!()
                        };
                        let (since, object, callee) = unit.calls[id as usize % CALLS].get();
                        if object != id || since != epoch || left <= 1 {
                            leave!();
                        }
                        let count = count as usize;
                        let target = linked(programs, callee);
                        let top = base + unit.registers;
                        if count < target.required
                            || count > target.parameters
                            || self.frames.len() >= DEPTH_MAX
                            || top + target.registers > STACK_MAX
                        {
                            leave!();
                        }
                        if self.stack.len() < top + target.registers.max(SHORT) {
                            self.stack.resize((2 * top).max(ROOM) + target.registers, BLANK);
                        }
                        let (callers, callees) = self.stack.split_at_mut(top);
                        let at = base + first as usize + 2;
                        let given = &callers[at..at + count];
                        // A run of a length known to the compiler is written without a call.
                        match callees.first_chunk_mut::<SHORT>() {
                            Some(chunk) if target.registers <= SHORT => {
                                let zero = Value::Int(0);
                                *chunk = [zero, empty, empty, BLANK, BLANK, BLANK, BLANK, BLANK];
                            }
                            _ => {
                                callees[..target.registers].fill(BLANK);
                                callees[..3].copy_from_slice(&[Value::Int(0), empty, empty]);
                            }
                        }
                        for (place, value) in
                            callees[FIRST_PARAMETER as usize..].iter_mut().zip(given)
                        {
                            put(place, value);
                        }
                        if let Some(frame) = self.frames.last_mut() {
                            frame.ip = ip as u32 + 1;
                        }
                        self.frames.push(Frame {
                            program: callee,
                            ip: 0,
                            base: top as u32,
                            locked: false,
                        });
                        left -= 1;
                        if callee != number {
                            continue 'frame;
                        }
                        (base, ip) = (top, 0);
                        registers = &mut self.stack[base..];
                        continue;
                    }
                    Quick::Return { value } => {
                        let depth = self.frames.len();
                        if left <= 1 || depth <= open || self.frames[depth - 1].locked {
                            leave!();
                        }
                        self.frames.pop();
                        left -= 1;
                        let below = &self.frames[depth - 2];
                        let (callers, callees) = self.stack.split_at_mut(base);
                        base = below.base as usize;
                        ip = below.ip as usize;
                        let status = &mut callers[base..base + 3];
                        status[0] = Value::Int(0);
                        let R(value) = value;
                        if value & 0x8000 == 0 {
                            put(&mut status[1], &callees[value as usize]);
                        } else {
                            status[1] = constants[(value & 0x7fff) as usize];
                        }
                        status[2] = empty;
                        if below.program != number {
                            continue 'frame;
                        }
                        registers = &mut self.stack[base..];
                        // The status is 0: nothing to judge.
                        if let Some(Quick::Judge) = code.get(ip) {
                            ip += 1;
                        }
                        continue;
                    }
                }
                ip += 1;
            }
        }
        if let Some(frame) = self.frames.last() {
            let registers = linked(programs, frame.program).registers;
            self.stack.truncate(frame.base as usize + registers);
        }
        budget.0 = left;
    }
}
