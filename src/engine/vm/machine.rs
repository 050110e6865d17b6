//! The machine: frames, registers, heap.

use std::cell::Cell;
use std::sync::Arc;

use jiff::tz::TimeZone;
use kompira_schema::id::ObjectId;
use kompira_schema::value::Value as Plain;

use super::builtin::{Builtins, missing, too_many, twice, unexpected};
use super::heap::Heap;
use super::host::{Given, Jobflow};
use super::raise::Raise;
use super::request::{Answer, End, Position, Request};
use super::value::{Type, Value};
use crate::lang::pattern::Pattern;
use crate::lang::program::{CodeHash, Constant, FIRST_PARAMETER, Program};

/// What a process may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of values and frames.
    pub memory_max: usize,
    /// The zone of instants that come without one.
    pub zone: TimeZone,
}

impl Default for Options {
    /// 256 MiB, UTC.
    fn default() -> Self {
        Self { memory_max: 256 << 20, zone: TimeZone::UTC }
    }
}

/// Arguments a process is started with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments {
    /// By position.
    pub positional: Vec<Plain>,
    /// By name.
    pub named: Vec<(String, Plain)>,
}

/// Frames a process may have (decision C-80).
pub const DEPTH_MAX: usize = 1000;

/// Registers all frames together may have that are entered without asking for memory.
pub(super) const STACK_MAX: usize = 1 << 16;

/// Byte code as one machine uses it: constants in its heap, answers it may keep.
#[derive(Debug)]
pub(super) struct Linked {
    /// Parameters up to the last without a default.
    pub(super) required: usize,
    /// How many parameters there are.
    pub(super) parameters: usize,
    /// Registers of a frame.
    pub(super) registers: usize,
    pub(super) program: Arc<Program>,
    pub(super) constants: Vec<Value>,
    pub(super) object: ObjectId,
    pub(super) path: Arc<str>,
    /// For each name the number of the built-in function, once looked up.
    pub(super) functions: Vec<Cell<u32>>,
    /// For each name the type whose method of that name was looked up, and the method's number.
    pub(super) methods: Vec<Cell<Option<(Type, u32)>>>,
    /// For each constant that is a path: the host's epoch and answer.
    pub(super) paths: Vec<Cell<(u64, Value)>>,
    /// What calls of jobflows lead to: epoch, object, number of the linked program.
    pub(super) calls: [Cell<(u64, u64, u32)>; CALLS],
}

/// Call targets remembered for each program.
pub(super) const CALLS: usize = 8;
/// No built-in looked up yet.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// One activation of a jobflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Which [`Linked`].
    pub(super) program: u32,
    /// The next instruction.
    pub(super) ip: u32,
    /// Its first register.
    pub(super) base: u32,
    /// It took a place of limited multiplicity.
    pub(super) locked: bool,
}

/// A `try` that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    /// How many frames there are inside it, its own included.
    pub(super) frames: u32,
    /// Its handler.
    pub(super) to: u32,
    /// How many sessions surround it.
    pub(super) sessions: u32,
}

/// What goes on when the machine runs again.
#[derive(Debug)]
pub(super) enum State {
    /// The next instruction.
    Ready,
    /// Nothing without an answer.
    Blocked(Request),
    /// What the answer to the request says.
    Answered(Answer, Request),
    /// Nothing any more.
    Ended(End),
}

/// One process: plain data, run in slices, saved between them.
#[derive(Debug)]
pub struct Machine {
    pub(super) heap: Heap,
    pub(super) builtins: Arc<Builtins>,
    pub(super) programs: Vec<Linked>,
    pub(super) frames: Vec<Frame>,
    pub(super) stack: Vec<Value>,
    pub(super) tries: Vec<Try>,
    /// Open sessions: how many frames there were, number of the queue.
    pub(super) sessions: Vec<(u32, u64)>,
    /// `$DEBUG`
    pub(super) debug: Value,
    /// `$ENV`, once asked for.
    pub(super) environment: Value,
    /// Jobflows of limited multiplicity it is inside of.
    pub(super) places: Vec<ObjectId>,
    /// The topmost frame still needs a place inside its jobflow.
    pub(super) lock: Option<(ObjectId, u32)>,
    pub(super) state: State,
    /// Line of the outermost frame when the process ended.
    pub(super) left: u32,
    pub(super) empty: Value,
    /// A buffer for templates.
    pub(super) scratch: String,
}

/// Why a saved machine cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// Written by a version this one does not know.
    Version(u16),
    /// Not what was saved.
    Corrupt,
    /// Byte code is lost; why.
    Program(String),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "frame of unknown version {version}"),
            Self::Corrupt => f.write_str("frame is damaged"),
            Self::Program(reason) => write!(f, "byte code of a frame is lost: {reason}"),
        }
    }
}

impl std::error::Error for LoadError {}

impl Machine {
    pub(super) fn empty(builtins: Arc<Builtins>, options: &Options) -> Self {
        let mut heap = Heap::new(options.memory_max);
        heap.zone = options.zone.clone();
        let empty = heap.str("");
        Self {
            heap,
            builtins,
            programs: Vec::new(),
            frames: Vec::new(),
            stack: Vec::new(),
            tries: Vec::new(),
            sessions: Vec::new(),
            debug: empty,
            environment: Value::Absent,
            places: Vec::new(),
            lock: None,
            state: State::Ready,
            left: 0,
            empty,
            scratch: String::new(),
        }
    }

    /// A process that is about to call `jobflow`.
    ///
    /// # Errors
    /// The arguments do not fit its parameters.
    pub fn start(
        jobflow: Jobflow,
        arguments: &Arguments,
        builtins: Arc<Builtins>,
        options: &Options,
    ) -> Result<Self, Raise> {
        let mut machine = Self::empty(builtins, options);
        let given = Given {
            positional: arguments
                .positional
                .iter()
                .map(|value| machine.heap.import(value))
                .collect(),
            named: arguments
                .named
                .iter()
                .map(|(name, value)| (Arc::from(name.as_str()), machine.heap.import(value)))
                .collect(),
        };
        let multiplicity = jobflow.multiplicity;
        let object = jobflow.object;
        let mut programs = Vec::new();
        let number = link(&mut programs, &mut machine.heap, &jobflow);
        machine.enter(&programs, number, &given)?;
        machine.programs = programs;
        machine.lock = multiplicity.map(|places| (object, places));
        Ok(machine)
    }

    /// Pushes a frame with its parameters filled.
    pub(super) fn enter(
        &mut self,
        programs: &[Linked],
        number: u32,
        given: &Given,
    ) -> Result<(), Raise> {
        let linked = linked(programs, number);
        let base = self.stack.len();
        let values = bind(&linked.program, &linked.path, given)?;
        self.push(programs, number)?;
        let first = base + FIRST_PARAMETER as usize;
        if let Some(places) = self.stack.get_mut(first..first + values.len()) {
            places.copy_from_slice(&values);
        }
        Ok(())
    }

    /// Pushes a frame whose variables are all absent.
    pub(super) fn push(&mut self, programs: &[Linked], number: u32) -> Result<(), Raise> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(Raise::new("call depth exceeded"));
        }
        let registers = linked(programs, number).registers;
        let base = self.stack.len();
        self.heap.reserve((base + registers) * size_of::<Value>())?;
        self.stack.resize(base + registers, Value::Absent);
        self.stack[base] = Value::Int(0);
        self.stack[base + 1] = self.empty;
        self.stack[base + 2] = self.empty;
        let base = u32::try_from(base).map_err(|_| Raise::memory())?;
        self.frames.push(Frame { program: number, ip: 0, base, locked: false });
        Ok(())
    }

    /// Gives a blocked machine what it waits for; it goes on from there when it is run again. An
    /// answer that does not fit the request is a runtime error of the job.
    pub fn resume(&mut self, answer: Answer) {
        self.state = match std::mem::replace(&mut self.state, State::Ready) {
            State::Blocked(request) => State::Answered(answer, request),
            state => state,
        };
    }

    /// What it waits for; after [`Machine::load`] the wait to enter again.
    #[must_use]
    pub const fn waiting(&self) -> Option<&Request> {
        match &self.state {
            State::Blocked(request) => Some(request),
            State::Ready | State::Answered(..) | State::Ended(_) => None,
        }
    }

    /// How it ended.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        match &self.state {
            State::Ended(end) => Some(end),
            State::Ready | State::Answered(..) | State::Blocked(_) => None,
        }
    }

    /// Where it stands; after its end only the line, of the job it began with.
    #[must_use]
    pub fn position(&self) -> Position {
        let frame = self.frames.last().copied();
        match frame.map(|frame| (linked(&self.programs, frame.program), frame.ip)) {
            Some((linked, ip)) => Position {
                jobflow: linked.object,
                path: Arc::clone(&linked.path),
                line: linked.program.line(ip.saturating_sub(1)),
            },
            None => Position { jobflow: ObjectId::ROOT, path: Arc::from("/"), line: self.left },
        }
    }

    /// Jobflows of limited multiplicity it is inside of.
    #[must_use]
    pub fn locks(&self) -> Vec<ObjectId> {
        self.places.clone()
    }

    /// Sessions it has open.
    #[must_use]
    pub fn sessions(&self) -> Vec<u64> {
        self.sessions.iter().map(|(_, session)| *session).collect()
    }

    /// The byte code its frames need, each once: whoever saves a machine pins these.
    #[must_use]
    pub fn programs(&self) -> Vec<CodeHash> {
        let mut hashes: Vec<CodeHash> = self
            .frames
            .iter()
            .map(|frame| linked(&self.programs, frame.program).program.hash)
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    /// Bytes of memory it holds, garbage included.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.heap.bytes() + self.stack.capacity() * size_of::<Value>()
    }
}

pub(super) fn linked(programs: &[Linked], number: u32) -> &Linked {
    programs.get(number as usize).expect("frames name programs that are linked")
}

/// Makes byte code known to a machine.
pub(super) fn link(programs: &mut Vec<Linked>, heap: &mut Heap, jobflow: &Jobflow) -> u32 {
    let known = programs.iter().position(|linked| {
        linked.object == jobflow.object
            && linked.program.hash == jobflow.program.hash
            && linked.path == jobflow.path
    });
    let number = known.unwrap_or_else(|| {
        let program = Arc::clone(&jobflow.program);
        let constants = program.constants.iter().map(|constant| load(heap, constant)).collect();
        let parameters = &program.parameters;
        let required =
            parameters.iter().rposition(|held| !held.has_default).map_or(0, |last| last + 1);
        programs.push(Linked {
            required,
            parameters: program.parameters.len(),
            registers: program.registers.max(FIRST_PARAMETER) as usize,
            constants,
            object: jobflow.object,
            path: Arc::clone(&jobflow.path),
            functions: program.names.iter().map(|_| Cell::new(UNKNOWN)).collect(),
            methods: program.names.iter().map(|_| Cell::new(None)).collect(),
            paths: program.constants.iter().map(|_| Cell::new((0, Value::Absent))).collect(),
            calls: Default::default(),
            program,
        });
        programs.len() - 1
    });
    u32::try_from(number).expect("there are fewer programs than frames")
}

fn load(heap: &mut Heap, constant: &Constant) -> Value {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(truth) => Value::Bool(*truth),
        Constant::Int(number) => Value::Int(*number),
        Constant::Big(number) => heap.integer(number.clone()),
        Constant::Float(number) => Value::Float(*number),
        Constant::Str(text) => heap.str(&**text),
        Constant::Bytes(bytes) => heap.binary(&**bytes),
        Constant::Pattern(kind, text, ignore_case) => {
            heap.pattern(Pattern::new(*kind, Arc::clone(text), *ignore_case))
        }
    }
}

/// Whether arguments fit the parameters of a jobflow.
pub(super) fn check(linked: &Linked, given: &Given) -> Result<(), Raise> {
    bind(&linked.program, &linked.path, given).map(|_| ())
}

/// Puts arguments in the order of a jobflow's parameters; absent where the default is to be used.
fn bind(program: &Program, path: &str, given: &Given) -> Result<Vec<Value>, Raise> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let parameters = &program.parameters;
    if given.positional.len() > parameters.len() {
        return Err(too_many(name, parameters.len()));
    }
    let mut values = vec![Value::Absent; parameters.len()];
    for (place, value) in values.iter_mut().zip(&given.positional) {
        *place = *value;
    }
    for (key, value) in &given.named {
        let at = parameters.iter().position(|parameter| parameter.name == *key);
        match at.and_then(|at| values.get_mut(at)) {
            Some(place @ Value::Absent) => *place = *value,
            Some(_) => return Err(twice(name, key)),
            None => return Err(unexpected(name, key)),
        }
    }
    for (parameter, value) in parameters.iter().zip(&values) {
        if value.is_absent() && !parameter.has_default {
            return Err(missing(name, &parameter.name));
        }
    }
    Ok(values)
}
