//! The short form of byte code: what a jobflow does most, small enough for a loop of its own.
//!
//! It is made anew from the byte code whenever that is made and has the same numbering, so a frame
//! knows nothing of it: any instruction can be run in either form. Where operands are not what the
//! short form is for, the instruction itself is run, which knows all types and all errors.

use super::program::{Cmp, Constant, Op, R, Shape};

/// What stands in place of the instruction of the same number.
///
/// Tests are for two Integers, and take the jump behind them into account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quick {
    /// There is no short form.
    Leave,
    /// See [`Op::Jump`].
    Jump(u32),
    /// See [`Op::Again`].
    Again(u32),
    /// See [`Op::Ok`].
    Ok,
    /// Any connector goes on after status 0.
    Judge,
    /// See [`Op::Move`].
    Move { into: u16, from: R },
    /// The same with the [`Op::Ok`] behind it.
    MoveOk { into: u16, from: R },
    /// See [`Op::Check`].
    Check { variable: u16 },
    /// See [`Op::AddSmall`].
    AddSmall { into: u16, left: R, number: i16 },
    /// The same with the [`Op::Ok`] behind it.
    AddSmallOk { into: u16, left: R, number: i16 },
    /// See [`Op::Add`].
    Add { into: u16, left: R, right: R },
    /// See [`Op::Subtract`].
    Subtract { into: u16, left: R, right: R },
    /// See [`Op::Multiply`].
    Multiply { into: u16, left: R, right: R },
    /// See [`Op::Divide`]; for two Floats.
    Divide { into: u16, left: R, right: R },
    /// See [`Op::Remainder`].
    Remainder { into: u16, left: R, right: R },
    /// See [`Op::Compare`].
    Compare { op: Cmp, into: u16, left: R, right: R },
    /// Jumps if `left < right`.
    IfLess { left: R, right: R, to: u16 },
    /// Jumps unless `left < right`.
    UnlessLess { left: R, right: R, to: u16 },
    /// Jumps if `left < number`.
    IfBelow { left: u16, number: i16, to: u16 },
    /// Jumps unless `left < number`.
    UnlessBelow { left: u16, number: i16, to: u16 },
    /// Jumps if `left == right`.
    IfEqual { left: R, right: R, to: u16 },
    /// Jumps unless `left == right`.
    UnlessEqual { left: R, right: R, to: u16 },
    /// See [`Op::JumpIf`]; for a Boolean.
    JumpIf { value: R, to: u32 },
    /// See [`Op::JumpUnless`]; for a Boolean.
    JumpUnless { value: R, to: u32 },
    /// See [`Op::JumpPresent`].
    JumpPresent { value: u16, to: u32 },
    /// See [`Op::Next`]; for a count.
    Next { state: u16, into: u16 },
    /// See [`Op::Path`].
    Path { into: u16, path: u32 },
    /// See [`Op::Execute`]: with arguments by position alone and no standard input.
    Call { base: u16, count: u16 },
    /// See [`Op::ReturnValue`].
    Return { value: R },
}

/// The short form of `code`, instruction by instruction.
#[must_use]
pub fn quick(code: &[Op], shapes: &[Shape], constants: &[Constant]) -> Vec<Quick> {
    let small = |operand: R| {
        let constant = constants.get(operand.as_constant()? as usize)?;
        let Constant::Int(number) = constant else { return None };
        i16::try_from(*number).ok()
    };
    let one = |(at, op): (usize, &Op)| {
        let next = code.get(at + 1);
        let to = match next {
            Some(Op::Jump(to)) => u16::try_from(*to).ok(),
            _ => None,
        };
        let ok = matches!(next, Some(Op::Ok));
        let test = |left: R, right: R, want: bool, kind: Test| {
            let Some(to) = to else { return Quick::Leave };
            // Everything as `left < right` or its opposite.
            let bound = match kind {
                Test::Less | Test::GreaterEqual => small(right),
                Test::LessEqual | Test::Greater => {
                    small(right).and_then(|number| number.checked_add(1))
                }
            };
            let below = want == matches!(kind, Test::Less | Test::LessEqual);
            if let (Some(number), None) = (bound, left.as_constant()) {
                return if below {
                    Quick::IfBelow { left: left.0, number, to }
                } else {
                    Quick::UnlessBelow { left: left.0, number, to }
                };
            }
            let (left, right, holds) = match kind {
                Test::Less => (left, right, want),
                Test::GreaterEqual => (left, right, !want),
                Test::Greater => (right, left, want),
                Test::LessEqual => (right, left, !want),
            };
            if holds {
                Quick::IfLess { left, right, to }
            } else {
                Quick::UnlessLess { left, right, to }
            }
        };
        match *op {
            Op::Jump(to) => Quick::Jump(to),
            Op::Again(to) => Quick::Again(to),
            Op::Ok => Quick::Ok,
            Op::Judge(_) => Quick::Judge,
            Op::Move { into, from } if ok => Quick::MoveOk { into, from },
            Op::Move { into, from } => Quick::Move { into, from },
            Op::Check { variable } => Quick::Check { variable },
            Op::AddSmall { into, left, number } if ok => Quick::AddSmallOk { into, left, number },
            Op::AddSmall { into, left, number } => Quick::AddSmall { into, left, number },
            Op::Add { into, left, right } => Quick::Add { into, left, right },
            Op::Subtract { into, left, right } => Quick::Subtract { into, left, right },
            Op::Multiply { into, left, right } => Quick::Multiply { into, left, right },
            Op::Divide { into, left, right } => Quick::Divide { into, left, right },
            Op::Remainder { into, left, right } => Quick::Remainder { into, left, right },
            Op::Compare { op: Cmp::Similar | Cmp::NotSimilar, .. } => Quick::Leave,
            Op::Compare { op, into, left, right } => Quick::Compare { op, into, left, right },
            Op::IfLess { left, right, want } => test(left, right, want, Test::Less),
            Op::IfLessEqual { left, right, want } => test(left, right, want, Test::LessEqual),
            Op::IfGreater { left, right, want } => test(left, right, want, Test::Greater),
            Op::IfGreaterEqual { left, right, want } => test(left, right, want, Test::GreaterEqual),
            Op::IfEqual { left, right, want } => match (to, want) {
                (Some(to), true) => Quick::IfEqual { left, right, to },
                (Some(to), false) => Quick::UnlessEqual { left, right, to },
                (None, _) => Quick::Leave,
            },
            Op::JumpIf { value, to } => Quick::JumpIf { value, to },
            Op::JumpUnless { value, to } => Quick::JumpUnless { value, to },
            Op::JumpPresent { value, to } => Quick::JumpPresent { value, to },
            Op::Next { state, into } => Quick::Next { state, into },
            Op::Path { into, path } => Quick::Path { into, path },
            Op::Execute { base, shape, .. } => match shapes.get(shape as usize) {
                Some(shape) if shape.is_plain() && !shape.input => {
                    Quick::Call { base, count: shape.positional }
                }
                _ => Quick::Leave,
            },
            Op::ReturnValue { value } => Quick::Return { value },
            _ => Quick::Leave,
        }
    };
    code.iter().enumerate().map(one).collect()
}

/// An ordering that an instruction tests.
#[derive(Clone, Copy)]
enum Test {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::compile;

    #[test]
    fn a_short_form_is_eight_bytes() {
        assert_eq!(size_of::<Quick>(), 8);
    }

    #[test]
    fn each_instruction_keeps_its_number() {
        let program = compile(
            "|n = 1| { while n <= 9 | [n = n + 1] -> { if n == 3 | [./a: n] } } -> return(n * 2)",
        )
        .program
        .expect("no errors");
        assert_eq!(program.quick.len(), program.code.len());
        for (at, quick) in program.quick.iter().enumerate() {
            match (program.code[at], quick) {
                (Op::IfLessEqual { left, .. }, quick) => {
                    let Some(Op::Jump(to)) = program.code.get(at + 1) else { panic!("a jump") };
                    let to = u16::try_from(*to).expect("short");
                    assert_eq!(*quick, Quick::IfBelow { left: left.0, number: 10, to });
                }
                (Op::Path { into, path }, quick) => {
                    assert_eq!(*quick, Quick::Path { into, path });
                }
                (Op::Execute { base, .. }, quick) => {
                    assert_eq!(*quick, Quick::Call { base, count: 1 });
                }
                (Op::End, quick) => assert_eq!(*quick, Quick::Leave),
                _ => {}
            }
        }
        assert!(program.quick.iter().any(|quick| matches!(quick, Quick::Call { .. })));
        assert!(program.quick.iter().any(|quick| matches!(quick, Quick::AddSmallOk { .. })));
    }
}
