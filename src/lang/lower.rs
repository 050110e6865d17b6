//! From the syntax tree to byte code.
//!
//! The tree is free of errors: names are checked, jumps have their loops. Each variable becomes a
//! register. The jobflow scope's come first, since an assignment anywhere may make one; those of
//! blocks and what expressions need in passing live above them like a stack.

mod block;
mod call;
mod expr;
mod job;
mod names;

use std::collections::HashMap;
use std::sync::Arc;

use super::ast;
use super::program::{
    Alternative, CodeHash, Constant, FIRST_PARAMETER, Op, Parameter, Part, Program, R, Shape,
};
use super::quick::quick;
use super::syntax::Lines;

/// A program needs more registers, constants or names than byte code can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("program too long")
    }
}

impl std::error::Error for TooLarge {}

/// What is known of `$STATUS` behind a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is 0.
    Ok,
    /// Nothing.
    Any,
    /// The place is not reached.
    Never,
}

impl Outcome {
    /// After either of two branches.
    const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (Self::Never, Self::Never) => Self::Never,
            _ => Self::Ok,
        }
    }
}

/// What has to be left when a jump crosses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleanup {
    Try,
    Session(u16),
}

/// Something `break` leaves.
#[derive(Debug)]
struct Loop {
    /// `continue` counts too; a session is left by `break` alone.
    repeats: bool,
    /// How many cleanups surround it.
    cleanups: usize,
    breaks: Vec<usize>,
    continues: Vec<usize>,
}

#[derive(Debug)]
struct Lower<'a> {
    lines: Lines,
    program: Program,
    line: u32,
    constants: HashMap<Key, u16>,
    names: HashMap<Arc<str>, u16>,
    shapes: HashMap<Shape, u16>,
    controls: HashMap<Vec<(Arc<str>, u16)>, u16>,
    /// Variables of the jobflow scope.
    scope: HashMap<Arc<str>, u16>,
    /// Variables of the open blocks, innermost last.
    blocks: Vec<(Arc<str>, u16)>,
    /// For each register of the jobflow scope whether it is certainly assigned here.
    assigned: Vec<bool>,
    next: usize,
    loops: Vec<Loop>,
    cleanups: Vec<Cleanup>,
    source: &'a str,
}

/// A constant as a key: floats by bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Null,
    Bool(bool),
    Int(i64),
    Big(num_bigint::BigInt),
    Float(u64),
    Str(Arc<str>),
    Bytes(Arc<[u8]>),
    Pattern(ast::PatternKind, Arc<str>, bool),
}

type Lowered<T> = Result<T, TooLarge>;

/// Makes byte code of an error-free program; `source` is its normalised text.
///
/// # Errors
/// [`TooLarge`].
pub fn lower(program: &ast::Program, source: &str, hash: CodeHash) -> Result<Program, TooLarge> {
    let mut lower = Lower {
        lines: Lines::new(source),
        program: Program {
            hash,
            parameters: Vec::new(),
            code: Vec::new(),
            quick: Vec::new(),
            body: 0,
            registers: 0,
            constants: Vec::new(),
            names: Vec::new(),
            shapes: Vec::new(),
            templates: Vec::new(),
            controls: Vec::new(),
            forks: Vec::new(),
            targets: Vec::new(),
            waits: Vec::new(),
            variables: Vec::new(),
            lines: Vec::new(),
        },
        line: 1,
        constants: HashMap::new(),
        names: HashMap::new(),
        shapes: HashMap::new(),
        controls: HashMap::new(),
        scope: HashMap::new(),
        blocks: Vec::new(),
        assigned: Vec::new(),
        next: FIRST_PARAMETER as usize,
        loops: Vec::new(),
        cleanups: Vec::new(),
        source,
    };
    lower.declare(program)?;
    lower.parameters(&program.parameters)?;
    lower.program.body = lower.here()?;
    if let Some(flow) = &program.flow {
        lower.top(flow)?;
    }
    lower.emit(Op::End);
    lower.program.variables.sort_by_key(|(register, _)| *register);
    let Program { code, shapes, constants, .. } = &lower.program;
    lower.program.quick = quick(code, shapes, constants);
    Ok(lower.program)
}

impl Lower<'_> {
    /// Gives every name that the jobflow scope may ever hold its register.
    fn declare(&mut self, program: &ast::Program) -> Lowered<()> {
        let mut found = Vec::new();
        for parameter in &program.parameters {
            found.push(Arc::clone(&parameter.name.name));
        }
        if let Some(flow) = &program.flow {
            names::assigned(flow, &mut found);
        }
        for name in found {
            if !self.scope.contains_key(&name) {
                let register = self.reserve(1)?;
                self.program.variables.push((register, Arc::clone(&name)));
                self.scope.insert(name, register);
            }
        }
        self.assigned = vec![false; self.next];
        Ok(())
    }

    fn parameters(&mut self, parameters: &[ast::Parameter]) -> Lowered<()> {
        for (index, parameter) in parameters.iter().enumerate() {
            self.at(parameter.span);
            let register = FIRST_PARAMETER + u16::try_from(index).map_err(|_| TooLarge)?;
            if let Some(default) = &parameter.default {
                let present = self.emit(Op::JumpPresent { value: register, to: 0 });
                self.into(default, register)?;
                self.land(present)?;
            }
            if let Some(assigned) = self.assigned.get_mut(register as usize) {
                *assigned = true;
            }
            self.program.parameters.push(Parameter {
                name: Arc::clone(&parameter.name.name),
                has_default: parameter.default.is_some(),
                default: parameter
                    .default
                    .as_ref()
                    .map(|default| default.span.text(self.source).into()),
            });
        }
        Ok(())
    }

    /// Instructions from here on belong to the job at `span`.
    fn at(&mut self, span: ast::Span) {
        self.line = self.lines.line(span.start);
    }

    fn here(&self) -> Lowered<u32> {
        u32::try_from(self.program.code.len()).map_err(|_| TooLarge)
    }

    fn emit(&mut self, op: Op) -> usize {
        let at = self.program.code.len();
        if self.program.lines.last().is_none_or(|(_, line)| *line != self.line) {
            self.program.lines.push((u32::try_from(at).unwrap_or(u32::MAX), self.line));
        }
        self.program.code.push(op);
        at
    }

    /// Makes the jump at `at` lead here.
    fn land(&mut self, at: usize) -> Lowered<()> {
        let here = self.here()?;
        match self.program.code.get_mut(at) {
            Some(
                Op::Jump(to)
                | Op::Again(to)
                | Op::Try(to)
                | Op::JumpIf { to, .. }
                | Op::JumpUnless { to, .. }
                | Op::JumpPresent { to, .. },
            ) => *to = here,
            other => unreachable!("only jumps are landed, not {other:?}"),
        }
        Ok(())
    }

    fn land_all(&mut self, jumps: Vec<usize>) -> Lowered<()> {
        jumps.into_iter().try_for_each(|jump| self.land(jump))
    }

    /// Takes `count` registers in a row; the caller gives them back by restoring `next`.
    fn reserve(&mut self, count: usize) -> Lowered<u16> {
        let first = self.next;
        self.next += count;
        if self.next > R::COUNT {
            return Err(TooLarge);
        }
        let used = u16::try_from(self.next).map_err(|_| TooLarge)?;
        self.program.registers = self.program.registers.max(used);
        u16::try_from(first).map_err(|_| TooLarge)
    }

    fn constant(&mut self, key: Key) -> Lowered<R> {
        if let Some(index) = self.constants.get(&key) {
            return Ok(R::constant(*index));
        }
        let index = self.program.constants.len();
        if index >= R::COUNT {
            return Err(TooLarge);
        }
        let index = u16::try_from(index).map_err(|_| TooLarge)?;
        self.program.constants.push(match key.clone() {
            Key::Null => Constant::Null,
            Key::Bool(truth) => Constant::Bool(truth),
            Key::Int(number) => Constant::Int(number),
            Key::Big(number) => Constant::Big(number),
            Key::Float(bits) => Constant::Float(f64::from_bits(bits)),
            Key::Str(text) => Constant::Str(text),
            Key::Bytes(bytes) => Constant::Bytes(bytes),
            Key::Pattern(kind, text, ignore_case) => Constant::Pattern(kind, text, ignore_case),
        });
        self.constants.insert(key, index);
        Ok(R::constant(index))
    }

    fn text(&mut self, text: &str) -> Lowered<R> {
        self.constant(Key::Str(text.into()))
    }

    fn name(&mut self, name: &Arc<str>) -> Lowered<u16> {
        if let Some(index) = self.names.get(name) {
            return Ok(*index);
        }
        let index = u16::try_from(self.program.names.len()).map_err(|_| TooLarge)?;
        self.program.names.push(Arc::clone(name));
        self.names.insert(Arc::clone(name), index);
        Ok(index)
    }

    fn shape(&mut self, shape: Shape) -> Lowered<u16> {
        if let Some(index) = self.shapes.get(&shape) {
            return Ok(*index);
        }
        let index = u16::try_from(self.program.shapes.len()).map_err(|_| TooLarge)?;
        self.program.shapes.push(shape.clone());
        self.shapes.insert(shape, index);
        Ok(index)
    }

    fn template(&mut self, parts: Vec<Part>) -> Lowered<u32> {
        let index = u32::try_from(self.program.templates.len()).map_err(|_| TooLarge)?;
        self.program.templates.push(parts);
        Ok(index)
    }

    fn wait(&mut self, alternatives: Vec<Alternative>) -> Lowered<u16> {
        let index = u16::try_from(self.program.waits.len()).map_err(|_| TooLarge)?;
        self.program.waits.push(alternatives);
        Ok(index)
    }

    /// The register of a variable as it is visible here.
    fn lookup(&self, name: &str) -> Option<u16> {
        self.blocks
            .iter()
            .rev()
            .find(|(held, _)| **held == *name)
            .map(|(_, register)| *register)
            .or_else(|| self.scope.get(name).copied())
    }

    /// The control variables visible here, as a number of [`Program::controls`].
    fn control_set(&mut self) -> Lowered<u16> {
        let is_control =
            |name: &str| name.len() > 4 && name.starts_with("__") && name.ends_with("__");
        let mut set: Vec<(Arc<str>, u16)> = Vec::new();
        let visible = self
            .blocks
            .iter()
            .rev()
            .map(|(name, register)| (name, register))
            .chain(self.scope.iter());
        for (name, register) in visible {
            if is_control(name) && !set.iter().any(|(held, _)| held == name) {
                set.push((Arc::clone(name), *register));
            }
        }
        set.sort();
        if let Some(index) = self.controls.get(&set) {
            return Ok(*index);
        }
        let index = u16::try_from(self.program.controls.len()).map_err(|_| TooLarge)?;
        self.program.controls.push(set.clone());
        self.controls.insert(set, index);
        Ok(index)
    }
}
