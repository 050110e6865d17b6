//! Calls and their arguments.

use std::sync::Arc;

use super::{Lower, Lowered, TooLarge};
use crate::lang::ast::{Arguments, Expr, ExprKind};
use crate::lang::program::{FUNCTIONS, Op, R, Shape};

/// Positional arguments that are passed in registers; more go through an Array.
const POSITIONAL_MAX: usize = 64;

impl Lower<'_> {
    /// Evaluates arguments into registers that are taken in a row from the next free one on.
    pub(super) fn arguments(&mut self, args: &Arguments, input: bool) -> Lowered<u16> {
        let many = args.positional.len() > POSITIONAL_MAX;
        let mut shape = Shape {
            star: many || args.star.is_some(),
            named: args.named.iter().map(|binding| Arc::clone(&binding.name.name)).collect(),
            double_star: args.double_star.is_some(),
            positional: 0,
            input,
        };
        if many {
            let register = self.reserve(1)?;
            let all =
                Expr { kind: ExprKind::Array(args.positional.clone()), span: Default::default() };
            self.into(&all, register)?;
            if let Some(star) = &args.star {
                let mark = self.next;
                let value = self.operand(star)?;
                self.emit(Op::Extend { array: register, value });
                self.next = mark;
            }
        } else {
            shape.positional = u16::try_from(args.positional.len()).map_err(|_| TooLarge)?;
            for value in args.positional.iter().chain(&args.star) {
                let register = self.reserve(1)?;
                self.into(value, register)?;
            }
        }
        for value in args.named.iter().map(|binding| &binding.value).chain(&args.double_star) {
            let register = self.reserve(1)?;
            self.into(value, register)?;
        }
        self.shape(shape)
    }

    /// A call within an expression.
    pub(super) fn call(&mut self, callee: &Expr, args: &Arguments, into: u16) -> Lowered<()> {
        let mark = self.next;
        let base = if let Some(name) = function(callee) {
            let base = self.reserve(1)?;
            // Arguments start where the result goes.
            self.next = base as usize;
            let shape = self.arguments(args, false)?;
            self.keep(base, 1)?;
            let function = self.name(&name)?;
            self.emit(Op::Call { base, function, shape });
            base
        } else {
            let base = self.reserve(1)?;
            let method = self.receiver(callee, base)?;
            if method.is_none() {
                self.callee(callee, base)?;
            }
            let shape = self.arguments(args, false)?;
            self.emit(match method {
                Some(name) => Op::CallMethod { base, shape, name },
                None => Op::CallValue { base, shape },
            });
            base
        };
        self.next = mark;
        if base != into {
            self.emit(Op::Move { into, from: R(base) });
        }
        Ok(())
    }

    /// Makes sure that a frame has at least `count` registers from `base` on.
    pub(super) fn keep(&mut self, base: u16, count: usize) -> Lowered<()> {
        let least = base as usize + count;
        if self.next < least {
            let more = least - self.next;
            self.reserve(more)?;
        }
        Ok(())
    }

    /// If a method is to be called, evaluates whose: the method's name.
    pub(super) fn receiver(&mut self, callee: &Expr, into: u16) -> Lowered<Option<u16>> {
        match &callee.kind {
            ExprKind::Paren(inner) => self.receiver(inner, into),
            ExprKind::Attribute(of, name) => {
                self.into(of, into)?;
                self.name(&name.name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Evaluates what is to be called: behind a dot, methods come before keys.
    pub(super) fn callee(&mut self, callee: &Expr, into: u16) -> Lowered<()> {
        let mut inner = callee;
        while let ExprKind::Paren(next) = &inner.kind {
            inner = next;
        }
        let ExprKind::Attribute(of, name) = &inner.kind else { return self.into(inner, into) };
        let mark = self.next;
        let of = self.operand(of)?;
        let name = self.name(&name.name)?;
        self.emit(Op::Method { into, of, name });
        self.next = mark;
        Ok(())
    }
}

/// The built-in function that a call names.
fn function(callee: &Expr) -> Option<Arc<str>> {
    match &callee.kind {
        ExprKind::Variable(name) if FUNCTIONS.contains(&&**name) => Some(Arc::clone(name)),
        _ => None,
    }
}
