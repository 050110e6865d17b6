//! The syntax tree of a jobflow (rule: language/grammar).
//!
//! Depth is bounded: chains of one precedence level are lists, and everything that nests
//! (brackets, blocks, prefix operators, postfix chains) counts against the nesting limit of the
//! parser. So passes over the tree may recurse.

use std::fmt;
use std::sync::Arc;

use num_bigint::BigInt;

/// A range of bytes of the normalised source ([`super::syntax::Parsed::source`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range from `start` up to `end`.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The text at this range; empty if the range does not fit `source`.
    #[must_use]
    pub fn text(self, source: &str) -> &str {
        source.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A name where the grammar wants one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    /// The name as written.
    pub name: Arc<str>,
    /// Where.
    pub span: Span,
}

/// A whole jobflow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// The declared parameters, in order.
    pub parameters: Vec<Parameter>,
    /// A connector between the parameters and the first job; it judges nothing.
    pub lead: Option<Link>,
    /// The jobs; `None` for a program that does nothing.
    pub flow: Option<Flow>,
}

/// `|name|` or `|name = default|`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Ident,
    /// Evaluated at each call that leaves the argument out.
    pub default: Option<Expr>,
    /// Both bars included.
    pub span: Span,
}

/// Jobs in sequence; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Each job with the connector that judges it; only the last has none.
    pub steps: Vec<Step>,
    /// From the first job to the last.
    pub span: Span,
}

/// A job and the connector behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The job.
    pub job: Job,
    /// The connector between this job and the next.
    pub then: Option<Link>,
}

/// A connector where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub connector: Connector,
    /// Where.
    pub span: Span,
}

/// What lets the flow go on (rule: `language/connectors`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Connector {
    /// `->`: only after success.
    Success,
    /// `=>`: also after a failure (`$STATUS > 0`).
    Failure,
    /// `->>`: also when the job could not be carried out (`$STATUS < 0`).
    Lost,
    /// `=>>`: always.
    Always,
}

impl Connector {
    /// As written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "->",
            Self::Failure => "=>",
            Self::Lost => "->>",
            Self::Always => "=>>",
        }
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What it is.
    pub kind: JobKind,
    /// From its first to its last character.
    pub span: Span,
}

/// The kinds of jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum JobKind {
    /// `[]`
    Skip,
    /// `[x = e, …]`: one after the other.
    Assign(Vec<Binding>),
    /// `[e >> target]`
    Update(Box<Update>),
    /// `[e << input : args]`
    Execute(Box<Execute>),
    /// `<e ? guard : args>`
    Event(Box<Event>),
    /// `name(args)`
    Call(Box<CallJob>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `{ x = e, … | flow }` or `{ flow }`
    Block(Box<Block>),
    /// `{ if … }`
    If(Box<If>),
    /// `{ case … }`
    Case(Box<Case>),
    /// `{ for v in e | flow }`
    For(Box<For>),
    /// `{ pfor v in e | flow }`
    Pfor(Box<For>),
    /// `{ while c | flow }`
    While(Box<While>),
    /// `{ choice | <ev> -> flow … }`
    Choice(Vec<ChoiceClause>),
    /// `{ fork | flow flow … }`
    Fork(Vec<Flow>),
    /// `{ session s | flow }`
    Session(Box<Session>),
    /// `{ try | flow }`
    Try(Flow),
    /// Could not be read; stands only in a program that has errors.
    Invalid,
}

/// `name = value`
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// What is bound.
    pub name: Ident,
    /// To what.
    pub value: Expr,
}

/// `[value >> target]`
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Evaluated first.
    pub value: Expr,
    /// What is written.
    pub target: Target,
}

/// What an update job writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Variable or object the chain starts at.
    pub base: TargetBase,
    /// Where the base stands.
    pub base_span: Span,
    /// Attributes and subscripts, from left to right; may be empty.
    pub parts: Vec<TargetPart>,
    /// The whole target.
    pub span: Span,
}

/// The start of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetBase {
    /// A variable.
    Variable(Arc<str>),
    /// An object path, as written.
    Path(Arc<str>),
}

/// One step of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetPart {
    /// `.name`
    Attribute(Ident),
    /// `[index]`
    Index(Expr),
}

/// `[callee << input : args]`
#[derive(Debug, Clone, PartialEq)]
pub struct Execute {
    /// Evaluated first; its value decides what runs.
    pub callee: Expr,
    /// Standard input.
    pub input: Option<Expr>,
    /// Arguments.
    pub args: Arguments,
}

/// An event job.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What is waited for; `None` in `<>`.
    pub source: Option<Expr>,
    /// Which messages are wanted.
    pub guard: Option<Guard>,
    /// `timeout` and so on.
    pub args: Arguments,
    /// Angle brackets included.
    pub span: Span,
}

/// The guard of an event job.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// `??`: scans the queue and drops what stands before the match. Else `?`: only the head.
    pub scan: bool,
    /// Evaluated once.
    pub pattern: Expr,
}

/// A built-in used as a job.
#[derive(Debug, Clone, PartialEq)]
pub struct CallJob {
    /// Which.
    pub name: Ident,
    /// Arguments.
    pub args: Arguments,
}

/// `{ bindings | flow }`
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Always new variables of the block; may be empty.
    pub bindings: Vec<Binding>,
    /// The jobs.
    pub body: Flow,
}

/// An `if` block of either form.
#[derive(Debug, Clone, PartialEq)]
pub struct If {
    /// The first condition; `None` stands for `$RESULT`.
    pub condition: Option<Expr>,
    /// Written with `then:`.
    pub clauses: bool,
    /// What runs if the first condition holds.
    pub then: Flow,
    /// Further conditions, in order.
    pub elifs: Vec<Elif>,
    /// What runs if none holds.
    pub otherwise: Option<Flow>,
}

/// `elif condition: body`
#[derive(Debug, Clone, PartialEq)]
pub struct Elif {
    /// When.
    pub condition: Expr,
    /// What.
    pub body: Flow,
}

/// A `case` block.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is looked at; `None` stands for `$RESULT`.
    pub subject: Option<Expr>,
    /// Top to bottom; never empty.
    pub clauses: Vec<CaseClause>,
    /// What runs if nothing matches.
    pub otherwise: Option<Flow>,
}

/// `p1, p2: body`
#[derive(Debug, Clone, PartialEq)]
pub struct CaseClause {
    /// Left to right; never empty.
    pub patterns: Vec<Expr>,
    /// What runs at the first match.
    pub body: Flow,
}

/// `for` and `pfor`.
#[derive(Debug, Clone, PartialEq)]
pub struct For {
    /// The loop's own variable.
    pub variable: Ident,
    /// What is gone through.
    pub over: Expr,
    /// The jobs.
    pub body: Flow,
}

/// `while`.
#[derive(Debug, Clone, PartialEq)]
pub struct While {
    /// Tested before each round.
    pub condition: Expr,
    /// The jobs.
    pub body: Flow,
}

/// One alternative of a `choice`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceClause {
    /// What is waited for.
    pub event: Event,
    /// Judges the event.
    pub then: Link,
    /// What runs when it is chosen.
    pub body: Flow,
}

/// `session`.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Holds the session's channel.
    pub variable: Ident,
    /// The jobs.
    pub body: Flow,
}

/// What stands between the parentheses of a call or behind the colon of a job, in this order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments {
    /// By position.
    pub positional: Vec<Expr>,
    /// `*array`
    pub star: Option<Expr>,
    /// `name = value`
    pub named: Vec<Binding>,
    /// `**dictionary`
    pub double_star: Option<Expr>,
}

impl Arguments {
    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positional.is_empty()
            && self.star.is_none()
            && self.named.is_empty()
            && self.double_star.is_none()
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// From its first to its last character.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A variable, or a built-in function at the head of a call.
    Variable(Arc<str>),
    /// An object path as written: `./a`, `../b`, `/a/../`.
    Path(Arc<str>),
    /// `/` where an operand is expected.
    Root,
    /// `$RESULT` and its like.
    Special(Special),
    /// A string literal: a template, evaluated each time.
    Text(Template),
    /// `b'…'`
    Binary(Arc<[u8]>),
    /// Unbounded, not negative.
    Integer(BigInt),
    /// Finite, not negative.
    Float(f64),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
    /// `r'…'`, `g'…'`, `e'…'`
    Pattern(PatternLiteral),
    /// `( e )`; means `e`.
    Paren(Box<Expr>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{a=1}`, or `{}` with no entries.
    Names(Vec<Binding>),
    /// `{'a': 1}`; never empty.
    Pairs(Vec<(Expr, Expr)>),
    /// `of.name`
    Attribute(Box<Expr>, Ident),
    /// `of[index]`
    Index(Box<Expr>, Box<Expr>),
    /// `function(args)`
    Call(Box<Expr>, Box<Arguments>),
    /// `-x`, `+x`
    Unary(Sign, Box<Expr>),
    /// `a + b - c` or `a * b / c`: one level, applied from left to right; `rest` is never empty.
    Arithmetic(Box<Expr>, Vec<(ArithmeticOp, Expr)>),
    /// `a < b <= c`: a chain, each operand evaluated once; `rest` is never empty.
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    /// `a in b not in c`: applied from left to right; `true` stands for `not in`.
    Member(Box<Expr>, Vec<(bool, Expr)>),
    /// `not e`
    Not(Box<Expr>),
    /// `a and b and c`; at least two.
    And(Vec<Expr>),
    /// `a or b or c`; at least two.
    Or(Vec<Expr>),
    /// Could not be read; stands only in a program that has errors.
    Invalid,
}

/// The status variables (rule: `language/status-variables`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// `$RESULT`
    Result,
    /// `$STATUS`
    Status,
    /// `$ERROR`
    Error,
    /// `$DEBUG`
    Debug,
    /// `$ENV`
    Env,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Result, Self::Status, Self::Error, Self::Debug, Self::Env];

    /// Without the dollar.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Result => "RESULT",
            Self::Status => "STATUS",
            Self::Error => "ERROR",
            Self::Debug => "DEBUG",
            Self::Env => "ENV",
        }
    }

    /// The one of that name (without the dollar).
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.name() == name)
    }
}

/// Text with blanks that are filled at each evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    /// Two texts never stand side by side; empty for the empty text.
    pub segments: Vec<Segment>,
}

impl Template {
    /// The text, if nothing has to be filled in.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [] => Some(""),
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Literal text, escapes resolved.
    Text(Arc<str>),
    /// `$name` or `${name}`. Without such a variable the blank stays as written.
    Variable {
        /// The variable.
        name: Arc<str>,
        /// Written with braces.
        braced: bool,
    },
    /// `${$NAME}`
    Special(Special),
}

impl Segment {
    /// The blank as written; what it yields when there is no such variable.
    #[must_use]
    pub fn as_written(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Variable { name, braced: true } => format!("${{{name}}}"),
            Self::Variable { name, braced: false } => format!("${name}"),
            Self::Special(special) => format!("${{${}}}", special.name()),
        }
    }
}

/// `r'…'i` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternLiteral {
    /// How it matches.
    pub kind: PatternKind,
    /// `i` behind the quote.
    pub ignore_case: bool,
    /// Raw text; only braced blanks are filled.
    pub text: Template,
}

/// How a pattern matches (rule: `language/patterns`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatternKind {
    /// `r`: a regular expression, searched anywhere.
    Regex,
    /// `g`: shell-like, the whole text.
    Glob,
    /// `e`: equal text.
    Exact,
}

impl PatternKind {
    /// The prefix letter.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Regex => 'r',
            Self::Glob => 'g',
            Self::Exact => 'e',
        }
    }
}

/// A prefix sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// `+ - * / %`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl ArithmeticOp {
    /// As written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// `< > <= >= == != =~ !~`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessEqual,
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

impl CompareOp {
    /// As written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::Greater => ">",
            Self::LessEqual => "<=",
            Self::GreaterEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Similar => "=~",
            Self::NotSimilar => "!~",
        }
    }
}
