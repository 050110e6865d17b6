//! Byte code of one jobflow: what the lowering makes and the machine runs.
//!
//! A frame is a window of registers. The first three are `$STATUS`, `$RESULT`, `$ERROR`, then come
//! the parameters, then the other variables and what expressions need in passing. An operand
//! ([`R`]) names a register, or a constant if its top bit is set.

use std::sync::Arc;

use num_bigint::BigInt;

use super::ast::{Connector, PatternKind};
use super::quick::Quick;

/// Goes up with every change of the byte code's meaning; part of each [`CodeHash`].
pub const COMPILER_VERSION: u32 = 1;

/// Names byte code: the source and the compiler that read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeHash(pub [u8; 32]);

impl CodeHash {
    /// The name of the byte code this compiler makes of `source` (as stored, not normalised).
    #[must_use]
    pub fn of(source: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&COMPILER_VERSION.to_le_bytes());
        hasher.update(source.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CodeHash({})", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// A register, or with the top bit set a constant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct R(pub u16);

impl R {
    const CONSTANT: u16 = 0x8000;
    /// How many registers and how many constants an operand can name.
    pub const COUNT: usize = 0x7fff;

    /// `$STATUS`
    pub const STATUS: Self = Self(0);
    /// `$RESULT`
    pub const RESULT: Self = Self(1);
    /// `$ERROR`
    pub const ERROR: Self = Self(2);

    /// Names a constant.
    #[must_use]
    pub const fn constant(index: u16) -> Self {
        Self(index | Self::CONSTANT)
    }

    /// Which constant it names.
    #[must_use]
    pub const fn as_constant(self) -> Option<u16> {
        if self.0 & Self::CONSTANT == 0 { None } else { Some(self.0 & !Self::CONSTANT) }
    }
}

/// The first register of parameters.
pub const FIRST_PARAMETER: u16 = 3;

/// One instruction: eight bytes.
///
/// `into` is always a register. "The next word" is an [`Op::Jump`] behind an instruction that either
/// takes it or skips it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// Goes on elsewhere.
    Jump(u32),
    /// End of a job that cannot fail: `$STATUS = 0`, a boundary of instructions.
    Ok,
    /// A boundary of instructions, then goes on elsewhere.
    Again(u32),
    /// `$STATUS = n`; a boundary of instructions.
    Status(i16),
    /// Copies; a variable that is not there is an error.
    Move { into: u16, from: R },
    /// Makes a register absent: there is no source or guard.
    Nothing { into: u16 },
    /// A variable that nothing assigns: an error.
    Undefined { name: u16 },
    /// A variable that is not there is an error.
    Check { variable: u16 },
    /// `into = left OP right`
    Add { into: u16, left: R, right: R },
    /// See [`Op::Add`].
    Subtract { into: u16, left: R, right: R },
    /// See [`Op::Add`].
    Multiply { into: u16, left: R, right: R },
    /// See [`Op::Add`].
    Divide { into: u16, left: R, right: R },
    /// See [`Op::Add`].
    Remainder { into: u16, left: R, right: R },
    /// `into = left + number`, or for a negative number `left - (-number)`.
    AddSmall { into: u16, left: R, number: i16 },
    /// `into = left OP right` for a comparison.
    Compare { op: Cmp, into: u16, left: R, right: R },
    /// Takes the jump in the next word if `left < right` is as wanted, else skips it.
    IfLess { left: R, right: R, want: bool },
    /// See [`Op::IfLess`].
    IfLessEqual { left: R, right: R, want: bool },
    /// See [`Op::IfLess`].
    IfGreater { left: R, right: R, want: bool },
    /// See [`Op::IfLess`].
    IfGreaterEqual { left: R, right: R, want: bool },
    /// See [`Op::IfLess`].
    IfEqual { left: R, right: R, want: bool },
    /// Jumps if the value is true.
    JumpIf { value: R, to: u32 },
    /// Jumps if the value is false.
    JumpUnless { value: R, to: u32 },
    /// Jumps if the register is not absent.
    JumpPresent { value: u16, to: u32 },
    /// `into = -value` or `+value`
    Sign { into: u16, value: R, minus: bool },
    /// `into = not value`
    Not { into: u16, value: R },
    /// `into = item in container`
    Member { into: u16, item: R, container: R },
    /// `into` = whether `value` fits the "value used as a pattern".
    Fits { into: u16, value: R, pattern: R },
    /// Fills a template.
    Template { into: u16, template: u32 },
    /// Fills a template and makes a Pattern of it.
    PatternOf { into: u16, template: R, kind: PatternKind, ignore_case: bool },
    /// Finds the object of a path (a String constant).
    Path { into: u16, path: u32 },
    /// `$DEBUG`
    Debug { into: u16 },
    /// `$ENV`
    Env { into: u16 },
    /// An empty Array.
    Array { into: u16 },
    /// Appends registers `first ..= first + count - 1`.
    Append { array: u16, first: u16, count: u16 },
    /// Appends what `*value` yields.
    Extend { array: u16, value: R },
    /// An empty Dictionary.
    Dict { into: u16 },
    /// Sets an element of a new Dictionary.
    Entry { dict: u16, key: R, value: R },
    /// `into = of.name`
    Attribute { into: u16, of: R, name: u16 },
    /// `into = of[index]`
    Index { into: u16, of: R, index: R },
    /// The function, method or library function `of.name`, to be called.
    Method { into: u16, of: R, name: u16 },
    /// Calls a built-in function: arguments from register `base` on, result in `base`.
    Call { base: u16, function: u16, shape: u16 },
    /// Calls the value in register `base`: arguments behind it, result in `base`.
    CallValue { base: u16, shape: u16 },
    /// Calls the method `name` of the value in register `base`: arguments behind it, result in `base`.
    CallMethod { base: u16, shape: u16, name: u16 },
    /// `[value.name: args]`: as [`Op::Execute`] with the value in `base`; the next word numbers the
    /// control variables.
    ExecuteMethod { base: u16, shape: u16, name: u16 },
    /// As a job: sets all three status variables from register `base`.
    Result { base: u16 },
    /// `[callee << input : args]`: callee in `base`, input in `base + 1`, then the arguments.
    Execute { base: u16, shape: u16, controls: u16 },
    /// The same as the last job of a jobflow.
    ExecuteLast { base: u16, shape: u16, controls: u16 },
    /// A built-in job that is no control job: arguments from `base` on; the next word numbers the
    /// control variables it sees.
    Job { base: u16, name: u16, shape: u16 },
    /// A number for the instruction before it.
    Word(u16),
    /// Puts arguments from `base` on in the order of a control job's parameters, to `base`.
    Bind { base: u16, job: ControlJob, shape: u16 },
    /// Leaves the jobflow with result, status, error from `base` on.
    Return { base: u16 },
    /// The same with `$RESULT = value`, `$STATUS = 0`, `$ERROR = ''`.
    ReturnValue { value: R },
    /// Leaves the jobflow as it stands: the end of its text.
    End,
    /// Ends the process with status, result, error from `base` on.
    Exit { base: u16 },
    /// Message in `base`.
    Abort { base: u16 },
    /// Value and message from `base` on.
    Assert { base: u16 },
    /// Starts the jobflow again.
    SelfCall,
    /// Parts from the parent.
    Detach,
    /// Suspends the process.
    Suspend,
    /// What the connector behind a job says to its status.
    Judge(Connector),
    /// Evaluates nothing; starts going through `value`: registers `state`, `state + 1`.
    Iterate { state: u16, value: R },
    /// The next element into `into`; the next word is a jump taken at the end. A boundary.
    Next { state: u16, into: u16 },
    /// Catches abnormal ends until the matching [`Op::TryEnd`]; the handler is at the target.
    Try(u32),
    /// Leaves a `try`.
    TryEnd,
    /// `$STATUS = 1`, `$ERROR` = the message: a handler's start.
    Caught,
    /// Starts children at the entries of a table and waits for them.
    Fork { table: u16 },
    /// Starts a child for each element of `value` behind the next word, which the parent takes. The
    /// register of the loop's variable holds the elements in the parent, the element in a child.
    Pfor { value: R, variable: u16 },
    /// A child ends as it stands.
    ChildEnd,
    /// Waits for events; the alternatives are in a table.
    Wait { table: u16 },
    /// Evaluates an event's guard, source and arguments: source in `base`, guard in `base + 1`, then
    /// the arguments; afterwards `base` holds what [`Op::Wait`] needs.
    Event { base: u16, shape: u16 },
    /// Opens a session into `into`; the next word is a jump taken if it cannot start.
    Session { into: u16, controls: u16 },
    /// Leaves a session block: closes `session`. `true` sets `$RESULT`.
    SessionEnd { session: u16, result: bool },
    /// `of[index] = value` for a variable `of`.
    SetIndex { of: R, index: R, value: R },
    /// Updates what lies behind a chain of attributes and subscripts: value in `base`, start of the
    /// chain behind it, then the keys.
    Update { base: u16, target: u16 },
    /// Updates named fields of the object of a path.
    SetObject { object: R, value: R },
}

/// Comparisons that yield a Boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cmp {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Similar,
    /// `!~`
    NotSimilar,
}

/// The built-in jobs that neither steer the process nor are functions (rule: `language/built-in-jobs`).
pub const JOBS: [&str; 9] =
    ["print", "sleep", "urlopen", "mailto", "download", "upload", "put", "get", "reboot"];

/// The built-in functions (rule: `language/functions`).
pub const FUNCTIONS: [&str; 24] = [
    "now",
    "current",
    "channel",
    "datetime",
    "date",
    "time",
    "timedelta",
    "int",
    "float",
    "pattern",
    "path",
    "user",
    "group",
    "string",
    "bytes",
    "type",
    "decode",
    "encode",
    "length",
    "has_key",
    "json_parse",
    "json_dump",
    "mail_parse",
    "iprange",
];

/// The built-in jobs that steer the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlJob {
    /// `exit(status=0, result='', error='')`
    Exit,
    /// `return(result='', status=0, error='')`
    Return,
    /// `abort(message='')`
    Abort,
    /// `assert(value, message='')`
    Assert,
    /// `self()`
    SelfCall,
    /// `detach()`
    Detach,
    /// `suspend()`
    Suspend,
}

impl ControlJob {
    /// The one of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "exit" => Self::Exit,
            "return" => Self::Return,
            "abort" => Self::Abort,
            "assert" => Self::Assert,
            "self" => Self::SelfCall,
            "detach" => Self::Detach,
            "suspend" => Self::Suspend,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Return => "return",
            Self::Abort => "abort",
            Self::Assert => "assert",
            Self::SelfCall => "self",
            Self::Detach => "detach",
            Self::Suspend => "suspend",
        }
    }

    /// Its parameters; all have a default but the first of `assert`.
    #[must_use]
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Exit => &["status", "result", "error"],
            Self::Return => &["result", "status", "error"],
            Self::Abort => &["message"],
            Self::Assert => &["value", "message"],
            Self::SelfCall | Self::Detach | Self::Suspend => &[],
        }
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An Integer of 64 bits.
    Int(i64),
    /// A larger Integer.
    Big(BigInt),
    /// A Float.
    Float(f64),
    /// A String.
    Str(Arc<str>),
    /// A Binary.
    Bytes(Arc<[u8]>),
    /// A Pattern without blanks.
    Pattern(PatternKind, Arc<str>, bool),
}

/// How the arguments of a call lie in registers: positionals, then `*array`, then the named ones in
/// order, then `**dictionary`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    /// Positional arguments.
    pub positional: u16,
    /// `*array` is there.
    pub star: bool,
    /// Names of the named ones.
    pub named: Vec<Arc<str>>,
    /// `**dictionary` is there.
    pub double_star: bool,
    /// An execution job has standard input.
    pub input: bool,
}

impl Shape {
    /// Registers the arguments take.
    #[must_use]
    pub fn registers(&self) -> usize {
        self.positional as usize
            + usize::from(self.star)
            + self.named.len()
            + usize::from(self.double_star)
    }

    /// Whether all arguments are given by position.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        !self.star && !self.double_star && self.named.is_empty()
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As is.
    Text(Box<str>),
    /// The text of a variable; as written if it was never assigned.
    Variable {
        /// Its register.
        register: u16,
        /// The blank as written.
        written: Box<str>,
    },
    /// `${$STATUS}` and its like by register.
    Status(u16),
    /// `${$DEBUG}`
    Debug,
    /// `${$ENV}`
    Env,
}

/// One alternative of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// What to wait for: source, guard, timeout, `peek_mode`, `detect_error` in registers from here on.
    pub base: u16,
    /// There is no source: fires at once.
    pub always: bool,
    /// The guard scans the queue.
    pub scan: bool,
    /// Where to go on when it is chosen.
    pub to: u32,
}

/// Registers an [`Alternative`] takes.
pub const ALTERNATIVE_REGISTERS: u16 = 5;

/// A parameter of a jobflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it may be left out.
    pub has_default: bool,
    /// The default as written, for people.
    pub default: Option<Arc<str>>,
}

/// The byte code of a jobflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Names it.
    pub hash: CodeHash,
    /// Parameters, in registers from [`FIRST_PARAMETER`] on.
    pub parameters: Vec<Parameter>,
    /// Instructions. Execution starts at 0, with the defaults of parameters.
    pub code: Vec<Op>,
    /// Their short forms, with the same numbers.
    pub quick: Vec<Quick>,
    /// Where the first job starts: `self()` goes there.
    pub body: u32,
    /// Registers of a frame.
    pub registers: u16,
    /// Constants.
    pub constants: Vec<Constant>,
    /// Names behind dots and of built-ins.
    pub names: Vec<Arc<str>>,
    /// Shapes of calls.
    pub shapes: Vec<Shape>,
    /// Templates.
    pub templates: Vec<Vec<Part>>,
    /// Control variables that a job sees: name and register.
    pub controls: Vec<Vec<(Arc<str>, u16)>>,
    /// Entries of the children of each `fork`.
    pub forks: Vec<Vec<u32>>,
    /// Chains of update jobs: for each key whether it is an attribute (else a subscript).
    pub targets: Vec<Vec<bool>>,
    /// Alternatives of each wait.
    pub waits: Vec<Vec<Alternative>>,
    /// Names of the variables in registers, for messages; sorted by register.
    pub variables: Vec<(u16, Arc<str>)>,
    /// Line of the job that the instructions from here on belong to; sorted.
    pub lines: Vec<(u32, u32)>,
}

impl Program {
    /// The line (from 1) of the job that instruction `at` belongs to.
    #[must_use]
    pub fn line(&self, at: u32) -> u32 {
        let after = self.lines.partition_point(|(start, _)| *start <= at);
        after.checked_sub(1).and_then(|index| self.lines.get(index)).map_or(1, |(_, line)| *line)
    }

    /// The name of the variable in a register.
    #[must_use]
    pub fn variable(&self, register: u16) -> &str {
        self.variables
            .binary_search_by_key(&register, |(held, _)| *held)
            .ok()
            .and_then(|index| self.variables.get(index))
            .map_or("?", |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_eight_bytes() {
        assert_eq!(size_of::<Op>(), 8);
    }
}
