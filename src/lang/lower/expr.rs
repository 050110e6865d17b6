//! Expressions.

use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::ToPrimitive as _;

use super::{Key, Lower, Lowered, TooLarge};
use crate::lang::ast::{
    ArithmeticOp, Binding, CompareOp, Expr, ExprKind, PatternLiteral, Segment, Sign, Special,
    Template,
};
use crate::lang::program::{Cmp, Op, Part, R};

/// How many elements of a literal are evaluated before they go into their Array.
const BATCH: usize = 32;

impl Lower<'_> {
    /// The value of an expression where an instruction can read it: a variable or constant itself,
    /// anything else in a register that the caller gives back by restoring `next`.
    pub(super) fn operand(&mut self, expr: &Expr) -> Lowered<R> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.operand(inner),
            ExprKind::Variable(name) => {
                let Some(register) = self.lookup(name) else { return self.missing(name) };
                self.check(register);
                Ok(R(register))
            }
            ExprKind::Special(special) => match special {
                Special::Status => Ok(R::STATUS),
                Special::Result => Ok(R::RESULT),
                Special::Error => Ok(R::ERROR),
                Special::Debug | Special::Env => self.passing(expr),
            },
            _ => match constant(expr) {
                Some(key) => self.constant(key),
                None => self.passing(expr),
            },
        }
    }

    fn passing(&mut self, expr: &Expr) -> Lowered<R> {
        let register = self.reserve(1)?;
        self.into(expr, register)?;
        Ok(R(register))
    }

    /// A name that nothing assigns: a runtime error, if the check let it pass.
    fn missing(&mut self, name: &Arc<str>) -> Lowered<R> {
        let register = self.reserve(1)?;
        let name = self.name(name)?;
        self.emit(Op::Undefined { name });
        Ok(R(register))
    }

    /// Makes sure that a variable is there.
    pub(super) fn check(&mut self, register: u16) {
        // Registers beyond the jobflow scope belong to blocks, whose variables always are.
        if let Some(assigned) = self.assigned.get_mut(register as usize)
            && !*assigned
        {
            *assigned = true;
            self.emit(Op::Check { variable: register });
        }
    }

    /// Evaluates into a register that the expression itself does not read.
    pub(super) fn into(&mut self, expr: &Expr, into: u16) -> Lowered<()> {
        let mark = self.next;
        match &expr.kind {
            ExprKind::Paren(inner) => self.into(inner, into)?,
            ExprKind::Path(path) => self.path(path, into)?,
            ExprKind::Root => self.path("/", into)?,
            ExprKind::Special(Special::Debug) => {
                self.emit(Op::Debug { into });
            }
            ExprKind::Special(Special::Env) => {
                self.emit(Op::Env { into });
            }
            ExprKind::Text(template) if template.constant().is_none() => {
                self.fill(template, into)?
            }
            ExprKind::Pattern(pattern) if pattern.text.constant().is_none() => {
                self.pattern(pattern, into)?
            }
            ExprKind::Array(items) => self.array(items, into)?,
            ExprKind::Names(bindings) => self.names(bindings, into)?,
            ExprKind::Pairs(pairs) => {
                self.emit(Op::Dict { into });
                for (key, value) in pairs {
                    let mark = self.next;
                    let key = self.operand(key)?;
                    let value = self.operand(value)?;
                    self.emit(Op::Entry { dict: into, key, value });
                    self.next = mark;
                }
            }
            ExprKind::Attribute(of, name) => {
                let of = self.operand(of)?;
                let name = self.name(&name.name)?;
                self.emit(Op::Attribute { into, of, name });
            }
            ExprKind::Index(of, index) => {
                let of = self.operand(of)?;
                let index = self.operand(index)?;
                self.emit(Op::Index { into, of, index });
            }
            ExprKind::Call(callee, args) => self.call(callee, args, into)?,
            ExprKind::Unary(sign, value) if constant(expr).is_none() => {
                let value = self.operand(value)?;
                self.emit(Op::Sign { into, value, minus: *sign == Sign::Minus });
            }
            ExprKind::Arithmetic(first, rest) => self.arithmetic(first, rest, into)?,
            ExprKind::Compare(first, rest) => self.compare(first, rest, into)?,
            ExprKind::Member(first, rest) => {
                let mut item = self.operand(first)?;
                for (index, (negated, container)) in rest.iter().enumerate() {
                    let container = self.operand(container)?;
                    let target = if index + 1 == rest.len() { into } else { self.reserve(1)? };
                    self.emit(Op::Member { into: target, item, container });
                    if *negated {
                        self.emit(Op::Not { into: target, value: R(target) });
                    }
                    item = R(target);
                }
            }
            ExprKind::Not(value) => {
                let value = self.operand(value)?;
                self.emit(Op::Not { into, value });
            }
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                let stop_if = matches!(expr.kind, ExprKind::Or(_));
                let mut ends = Vec::new();
                for (index, part) in parts.iter().enumerate() {
                    if index == 0 {
                        self.into(part, into)?;
                    } else {
                        self.perhaps(|lower| lower.into(part, into))?;
                    }
                    if index + 1 < parts.len() {
                        ends.push(self.jump_on(R(into), stop_if));
                    }
                }
                self.land_all(ends)?;
            }
            _ => {
                let from = self.operand(expr)?;
                if from != R(into) {
                    self.emit(Op::Move { into, from });
                }
            }
        }
        self.next = mark;
        Ok(())
    }

    /// `[x = e]`: `e` may read `x`, and `x` keeps its value if `e` fails.
    pub(super) fn assign(&mut self, expr: &Expr, into: u16) -> Lowered<()> {
        let mut inner = expr;
        while let ExprKind::Paren(next) = &inner.kind {
            inner = next;
        }
        let at_once = match &inner.kind {
            ExprKind::Array(_)
            | ExprKind::Names(_)
            | ExprKind::Pairs(_)
            | ExprKind::And(_)
            | ExprKind::Or(_)
            | ExprKind::Call(..)
            | ExprKind::Pattern(_)
            | ExprKind::Member(..) => false,
            ExprKind::Compare(_, rest) => rest.len() == 1,
            _ => true,
        };
        if at_once {
            return self.into(inner, into);
        }
        let mark = self.next;
        let register = self.reserve(1)?;
        self.into(inner, register)?;
        self.emit(Op::Move { into, from: R(register) });
        self.next = mark;
        Ok(())
    }

    pub(super) fn path(&mut self, path: &str, into: u16) -> Lowered<()> {
        let path = self.text(path)?.as_constant().ok_or(TooLarge)?.into();
        self.emit(Op::Path { into, path });
        Ok(())
    }

    fn array(&mut self, items: &[Expr], into: u16) -> Lowered<()> {
        self.emit(Op::Array { into });
        for batch in items.chunks(BATCH) {
            let mark = self.next;
            let first = self.reserve(batch.len())?;
            for (register, item) in (first..).zip(batch) {
                self.into(item, register)?;
            }
            let count = u16::try_from(batch.len()).map_err(|_| TooLarge)?;
            self.emit(Op::Append { array: into, first, count });
            self.next = mark;
        }
        Ok(())
    }

    fn names(&mut self, bindings: &[Binding], into: u16) -> Lowered<()> {
        self.emit(Op::Dict { into });
        for binding in bindings {
            let mark = self.next;
            let key = self.text(&binding.name.name)?;
            let value = self.operand(&binding.value)?;
            self.emit(Op::Entry { dict: into, key, value });
            self.next = mark;
        }
        Ok(())
    }

    fn parts(&mut self, template: &Template) -> Vec<Part> {
        let mut parts = Vec::with_capacity(template.segments.len());
        for segment in &template.segments {
            parts.push(match segment {
                Segment::Text(text) => Part::Text((**text).into()),
                Segment::Variable { name, .. } => match self.lookup(name) {
                    Some(register) => {
                        Part::Variable { register, written: segment.as_written().into() }
                    }
                    None => Part::Text(segment.as_written().into()),
                },
                Segment::Special(Special::Status) => Part::Status(R::STATUS.0),
                Segment::Special(Special::Result) => Part::Status(R::RESULT.0),
                Segment::Special(Special::Error) => Part::Status(R::ERROR.0),
                Segment::Special(Special::Debug) => Part::Debug,
                Segment::Special(Special::Env) => Part::Env,
            });
        }
        parts
    }

    fn fill(&mut self, template: &Template, into: u16) -> Lowered<()> {
        let parts = self.parts(template);
        let template = self.template(parts)?;
        self.emit(Op::Template { into, template });
        Ok(())
    }

    fn pattern(&mut self, pattern: &PatternLiteral, into: u16) -> Lowered<()> {
        self.fill(&pattern.text, into)?;
        self.emit(Op::PatternOf {
            into,
            template: R(into),
            kind: pattern.kind,
            ignore_case: pattern.ignore_case,
        });
        Ok(())
    }

    fn arithmetic(
        &mut self,
        first: &Expr,
        rest: &[(ArithmeticOp, Expr)],
        into: u16,
    ) -> Lowered<()> {
        let mut left = self.operand(first)?;
        let mark = self.next;
        let mut held = None;
        for (index, (op, expr)) in rest.iter().enumerate() {
            let target = if index + 1 == rest.len() {
                into
            } else {
                match held {
                    Some(register) => register,
                    None => *held.insert(self.reserve(1)?),
                }
            };
            let inner = self.next;
            let small = match (op, constant(expr)) {
                (ArithmeticOp::Add, Some(Key::Int(number @ 0..=0x7fff))) => {
                    i16::try_from(number).ok()
                }
                (ArithmeticOp::Subtract, Some(Key::Int(number @ 1..=0x7fff))) => {
                    i16::try_from(-number).ok()
                }
                _ => None,
            };
            if let Some(number) = small {
                self.emit(Op::AddSmall { into: target, left, number });
            } else {
                let right = self.operand(expr)?;
                self.emit(match op {
                    ArithmeticOp::Add => Op::Add { into: target, left, right },
                    ArithmeticOp::Subtract => Op::Subtract { into: target, left, right },
                    ArithmeticOp::Multiply => Op::Multiply { into: target, left, right },
                    ArithmeticOp::Divide => Op::Divide { into: target, left, right },
                    ArithmeticOp::Remainder => Op::Remainder { into: target, left, right },
                });
            }
            self.next = inner;
            left = R(target);
        }
        self.next = mark;
        Ok(())
    }

    fn compare(&mut self, first: &Expr, rest: &[(CompareOp, Expr)], into: u16) -> Lowered<()> {
        let mut left = self.operand(first)?;
        let mut ends = Vec::new();
        for (index, (op, expr)) in rest.iter().enumerate() {
            let right = if index == 0 {
                self.operand(expr)?
            } else {
                self.perhaps(|lower| lower.operand(expr))?
            };
            self.emit(Op::Compare { op: cmp(*op), into, left, right });
            if index + 1 < rest.len() {
                ends.push(self.jump_on(R(into), false));
            }
            left = right;
        }
        self.land_all(ends)
    }

    fn jump_on(&mut self, value: R, when: bool) -> usize {
        self.emit(if when { Op::JumpIf { value, to: 0 } } else { Op::JumpUnless { value, to: 0 } })
    }

    /// Jumps if the truth of an expression is `when`, else falls through; the jumps are to be landed.
    pub(super) fn jump_if(&mut self, expr: &Expr, when: bool) -> Lowered<Vec<usize>> {
        let mark = self.next;
        let jumps = match &expr.kind {
            ExprKind::Paren(inner) => self.jump_if(inner, when)?,
            ExprKind::Not(inner) => self.jump_if(inner, !when)?,
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                let stop = matches!(expr.kind, ExprKind::Or(_));
                let (last, before) = parts.split_last().ok_or(TooLarge)?;
                let mut taken = Vec::new();
                let mut past = Vec::new();
                for (index, part) in before.iter().enumerate() {
                    let jumps = if index == 0 {
                        self.jump_if(part, stop)?
                    } else {
                        self.perhaps(|lower| lower.jump_if(part, stop))?
                    };
                    if stop == when { taken.extend(jumps) } else { past.extend(jumps) }
                }
                taken.extend(self.perhaps(|lower| lower.jump_if(last, when))?);
                self.land_all(past)?;
                taken
            }
            ExprKind::Compare(first, rest) if rest.len() == 1 && direct(rest).is_some() => {
                let left = self.operand(first)?;
                let (op, right) = rest.first().ok_or(TooLarge)?;
                let right = self.operand(right)?;
                self.emit(match op {
                    CompareOp::Less => Op::IfLess { left, right, want: when },
                    CompareOp::LessEqual => Op::IfLessEqual { left, right, want: when },
                    CompareOp::Greater => Op::IfGreater { left, right, want: when },
                    CompareOp::GreaterEqual => Op::IfGreaterEqual { left, right, want: when },
                    CompareOp::Equal | CompareOp::Similar => {
                        Op::IfEqual { left, right, want: when }
                    }
                    CompareOp::NotEqual | CompareOp::NotSimilar => {
                        Op::IfEqual { left, right, want: !when }
                    }
                });
                vec![self.emit(Op::Jump(0))]
            }
            _ => {
                let value = self.operand(expr)?;
                vec![self.jump_on(value, when)]
            }
        };
        self.next = mark;
        Ok(jumps)
    }
}

/// The comparison, if there is an instruction that jumps on it.
fn direct(rest: &[(CompareOp, Expr)]) -> Option<CompareOp> {
    let (op, _) = rest.first()?;
    match op {
        CompareOp::Similar | CompareOp::NotSimilar => None,
        op => Some(*op),
    }
}

const fn cmp(op: CompareOp) -> Cmp {
    match op {
        CompareOp::Less => Cmp::Less,
        CompareOp::Greater => Cmp::Greater,
        CompareOp::LessEqual => Cmp::LessEqual,
        CompareOp::GreaterEqual => Cmp::GreaterEqual,
        CompareOp::Equal => Cmp::Equal,
        CompareOp::NotEqual => Cmp::NotEqual,
        CompareOp::Similar => Cmp::Similar,
        CompareOp::NotSimilar => Cmp::NotSimilar,
    }
}

fn integer(number: BigInt) -> Key {
    number.to_i64().map_or_else(|| Key::Big(number), Key::Int)
}

/// The value of an expression that is a literal.
fn constant(expr: &Expr) -> Option<Key> {
    Some(match &expr.kind {
        ExprKind::Paren(inner) => return constant(inner),
        ExprKind::Null => Key::Null,
        ExprKind::Bool(truth) => Key::Bool(*truth),
        ExprKind::Integer(number) => integer(number.clone()),
        ExprKind::Float(number) => Key::Float(number.to_bits()),
        ExprKind::Text(template) => Key::Str(template.constant()?.into()),
        ExprKind::Binary(bytes) => Key::Bytes(Arc::clone(bytes)),
        ExprKind::Pattern(pattern) => {
            Key::Pattern(pattern.kind, pattern.text.constant()?.into(), pattern.ignore_case)
        }
        ExprKind::Unary(sign, value) => match (sign, constant(value)?) {
            (Sign::Plus, key @ (Key::Int(_) | Key::Big(_) | Key::Float(_))) => key,
            (Sign::Minus, Key::Int(number)) => integer(-BigInt::from(number)),
            (Sign::Minus, Key::Big(number)) => integer(-number),
            (Sign::Minus, Key::Float(bits)) => Key::Float((-f64::from_bits(bits)).to_bits()),
            _ => return None,
        },
        _ => return None,
    })
}
