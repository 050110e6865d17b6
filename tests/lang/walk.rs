//! A plain evaluator that walks the syntax tree: slow, simple, and written from the rules alone,
//! as a measure for the virtual machine.

mod value;

use std::collections::HashMap;

use kompira::lang::ast::{
    Arguments, Connector, Expr, ExprKind, Flow, Job, JobKind, Program, Segment, Sign, Special,
    TargetBase, TargetPart, Template,
};

pub(super) use value::{Stop, V};
use value::{arithmetic, compare, contains, equal, fail, glob, index, text};

/// Where a flow goes instead of on.
enum Jump {
    Break,
    Continue,
    Return,
    Abend {
        status: i128,
        message: String,
        told: bool,
        error: Option<V>,
    },
    /// The program is outside of what is compared.
    Skip,
}

impl From<Stop> for Jump {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Skip => Self::Skip,
            Stop::Raise(message) => Self::Abend { status: 1, message, told: false, error: None },
        }
    }
}

type Done = Result<(), Jump>;

struct Frame {
    path: &'static str,
    status: V,
    result: V,
    error: V,
    variables: HashMap<String, V>,
    blocks: Vec<HashMap<String, V>>,
}

impl Frame {
    fn new(path: &'static str) -> Self {
        let empty = || V::from("");
        Self {
            path,
            status: V::Int(0),
            result: empty(),
            error: empty(),
            variables: HashMap::new(),
            blocks: Vec::new(),
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut V> {
        let block = self.blocks.iter_mut().rev().find_map(|block| block.get_mut(name));
        block.or_else(|| self.variables.get_mut(name))
    }

    fn assign(&mut self, name: &str, value: V) {
        match self.find(name) {
            Some(place) => *place = value,
            None => drop(self.variables.insert(name.to_owned(), value)),
        }
    }
}

pub(super) struct Walker<'p> {
    main: &'p Program,
    callee: &'p Program,
    pub(super) console: String,
    debug: String,
    frames: Vec<Frame>,
    /// Jobs that may still be run: more is not compared.
    room: usize,
}

/// How a program ended: DONE, exit status, `error`.
pub(super) type Ended = (bool, i128, V);

impl<'p> Walker<'p> {
    pub(super) fn new(main: &'p Program, callee: &'p Program) -> Self {
        Self {
            main,
            callee,
            console: String::new(),
            debug: String::new(),
            frames: vec![Frame::new("/t/main")],
            room: 4_000,
        }
    }

    /// Runs the program; `None`: not to be compared.
    pub(super) fn run(&mut self) -> Option<Ended> {
        let main = self.main;
        let jump = main.flow.as_ref().map_or(Ok(()), |flow| self.flow(flow));
        match jump {
            Ok(()) | Err(Jump::Return) => {
                let frame = self.frame();
                let V::Int(status) = frame.status else { return None };
                let error = frame.error.clone();
                Some((status == 0, status, error))
            }
            Err(Jump::Abend { status, message, told, error }) => {
                let report = self.report(&message, told);
                self.console.push_str(&report);
                self.console.push('\n');
                Some((false, status, error.unwrap_or_else(|| V::from(message.as_str()))))
            }
            Err(_) => None,
        }
    }

    fn report(&self, message: &str, told: bool) -> String {
        let mut report = String::new();
        for (depth, frame) in self.frames.iter().rev().enumerate() {
            match depth {
                0 => report.push_str(&format!("aborted at {}", frame.path)),
                _ => report.push_str(&format!("\n  called at {}", frame.path)),
            }
            if depth == 0 && !told {
                report.push_str(&format!(": {message}"));
            }
        }
        report
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().unwrap()
    }

    fn ok(&mut self) -> Done {
        self.frame().status = V::Int(0);
        Ok(())
    }

    fn status(&mut self) -> i128 {
        match self.frame().status {
            V::Int(status) => status,
            _ => 0,
        }
    }

    fn forced(&mut self) -> Jump {
        let status = self.status();
        let error = Some(self.frame().error.clone());
        Jump::Abend {
            status,
            message: format!("job failed with status {status}"),
            told: false,
            error,
        }
    }

    fn flow(&mut self, flow: &Flow) -> Done {
        for step in &flow.steps {
            self.job(&step.job)?;
            let Some(link) = step.then else { break };
            let status = self.status();
            let on = match link.connector {
                Connector::Success => status == 0,
                Connector::Failure => status >= 0,
                Connector::Lost => status <= 0,
                Connector::Always => true,
            };
            if !on {
                return Err(self.forced());
            }
        }
        Ok(())
    }

    /// A body whose last job is judged as if `->` followed.
    fn body(&mut self, flow: &Flow) -> Done {
        self.flow(flow)?;
        if self.status() == 0 { Ok(()) } else { Err(self.forced()) }
    }

    /// Runs something in a block of its own.
    fn block(&mut self, work: impl FnOnce(&mut Self) -> Done) -> Done {
        let depth = self.frame().blocks.len();
        self.frame().blocks.push(HashMap::new());
        let done = work(self);
        // An abnormal end in a called jobflow has left its frame behind.
        if let Err(Jump::Abend { .. } | Jump::Skip) = done {
            return done;
        }
        self.frame().blocks.truncate(depth);
        done
    }

    fn bind(&mut self, name: &str, value: V) {
        let block = self.frame().blocks.last_mut().unwrap();
        block.insert(name.to_owned(), value);
    }

    fn condition(&mut self, condition: Option<&Expr>) -> Result<bool, Jump> {
        Ok(match condition {
            Some(condition) => self.value(condition)?.truth(),
            None => self.frame().result.truth(),
        })
    }

    fn job(&mut self, job: &Job) -> Done {
        self.room = self.room.checked_sub(1).ok_or(Jump::Skip)?;
        match &job.kind {
            JobKind::Skip => self.ok(),
            JobKind::Assign(bindings) => {
                for binding in bindings {
                    let value = self.value(&binding.value)?;
                    self.frame().assign(&binding.name.name, value);
                }
                self.ok()
            }
            JobKind::Update(update) => {
                let value = self.value(&update.value)?;
                let TargetBase::Variable(name) = &update.target.base else {
                    return Err(Jump::Skip);
                };
                let Some((last, before)) = update.target.parts.split_last() else {
                    self.frame().assign(name, value);
                    return self.ok();
                };
                assert!(before.is_empty(), "the writer makes no longer targets");
                let of = self.variable(name)?;
                match last {
                    TargetPart::Attribute(name) => of.set_attribute(&name.name, value)?,
                    TargetPart::Index(at) => {
                        let at = self.value(at)?;
                        of.set_index(at, value)?;
                    }
                }
                self.ok()
            }
            JobKind::Execute(execute) => match &execute.callee.kind {
                ExprKind::Path(_) => self.call(&execute.args),
                ExprKind::Attribute(of, name) => {
                    let of = self.value(of)?;
                    let arguments = self.positional(&execute.args)?;
                    let result = of.method(&name.name, &arguments)?;
                    let frame = self.frame();
                    (frame.status, frame.result, frame.error) = (V::Int(0), result, V::from(""));
                    Ok(())
                }
                _ => Err(Jump::Skip),
            },
            JobKind::Call(call) => self.built_in(&call.name.name, &call.args),
            JobKind::Break => Err(Jump::Break),
            JobKind::Continue => Err(Jump::Continue),
            JobKind::Block(block) => self.block(|walker| {
                for binding in &block.bindings {
                    let value = walker.value(&binding.value)?;
                    walker.bind(&binding.name.name, value);
                }
                walker.flow(&block.body)
            }),
            JobKind::If(block) => {
                if self.condition(block.condition.as_ref())? {
                    return self.block(|walker| walker.flow(&block.then));
                }
                for elif in &block.elifs {
                    if self.condition(Some(&elif.condition))? {
                        return self.block(|walker| walker.flow(&elif.body));
                    }
                }
                match &block.otherwise {
                    Some(otherwise) => self.block(|walker| walker.flow(otherwise)),
                    None => self.ok(),
                }
            }
            JobKind::Case(block) => {
                let subject = match &block.subject {
                    Some(subject) => self.value(subject)?,
                    None => self.frame().result.clone(),
                };
                for clause in &block.clauses {
                    for pattern in &clause.patterns {
                        let fits = match (self.value(pattern)?, &subject) {
                            // Sets of characters are tested with the rule.
                            (V::Text(pattern), _) if pattern.contains('[') => {
                                return Err(Jump::Skip);
                            }
                            (V::Text(pattern), V::Text(subject)) => glob(&pattern, subject),
                            (V::Text(_), _) => false,
                            (pattern, subject) => equal(&pattern, subject)?,
                        };
                        if fits {
                            return self.block(|walker| walker.flow(&clause.body));
                        }
                    }
                }
                match &block.otherwise {
                    Some(otherwise) => self.block(|walker| walker.flow(otherwise)),
                    None => {
                        self.frame().status = V::Int(1);
                        Ok(())
                    }
                }
            }
            JobKind::For(block) => {
                for value in self.value(&block.over)?.elements()? {
                    let round = self.block(|walker| {
                        walker.bind(&block.variable.name, value);
                        walker.body(&block.body)
                    });
                    match round {
                        Err(Jump::Break) => break,
                        Ok(()) | Err(Jump::Continue) => {}
                        Err(jump) => return Err(jump),
                    }
                }
                self.ok()
            }
            JobKind::While(block) => {
                while self.condition(Some(&block.condition))? {
                    match self.block(|walker| walker.body(&block.body)) {
                        Err(Jump::Break) => break,
                        Ok(()) | Err(Jump::Continue) => {}
                        Err(jump) => return Err(jump),
                    }
                }
                self.ok()
            }
            JobKind::Try(body) => {
                let (frames, blocks) = (self.frames.len(), self.frame().blocks.len());
                match self.block(|walker| walker.body(body)) {
                    Err(Jump::Abend { message, told, .. }) => {
                        self.debug = self.report(&message, told);
                        self.frames.truncate(frames);
                        let frame = self.frame();
                        frame.blocks.truncate(blocks);
                        frame.status = V::Int(1);
                        frame.error = V::from(message.as_str());
                        Ok(())
                    }
                    Err(jump) => Err(jump),
                    Ok(()) => self.ok(),
                }
            }
            _ => Err(Jump::Skip),
        }
    }

    fn positional(&mut self, arguments: &Arguments) -> Result<Vec<V>, Jump> {
        let mut values = Vec::new();
        for argument in &arguments.positional {
            values.push(self.value(argument)?);
        }
        if let Some(star) = &arguments.star {
            values.extend(self.value(star)?.elements()?);
        }
        Ok(values)
    }

    /// `[./f: …]`
    fn call(&mut self, arguments: &Arguments) -> Done {
        let mut values = self.positional(arguments)?.into_iter();
        let mut named = HashMap::new();
        for binding in &arguments.named {
            named.insert(binding.name.name.to_string(), self.value(&binding.value)?);
        }
        let callee = self.callee;
        self.frames.push(Frame::new("/t/f"));
        for parameter in &callee.parameters {
            let name = &*parameter.name.name;
            let value = match values.next().or_else(|| named.remove(name)) {
                Some(value) => value,
                None => self.value(parameter.default.as_ref().unwrap())?,
            };
            self.frame().variables.insert(name.to_owned(), value);
        }
        match callee.flow.as_ref().map_or(Ok(()), |flow| self.flow(flow)) {
            Ok(()) | Err(Jump::Return) => {}
            Err(jump) => return Err(jump),
        }
        let ended = self.frames.pop().unwrap();
        let frame = self.frame();
        (frame.status, frame.result, frame.error) = (ended.status, ended.result, ended.error);
        Ok(())
    }

    fn built_in(&mut self, name: &str, arguments: &Arguments) -> Done {
        let values = self.positional(arguments)?;
        let mut named = HashMap::new();
        for binding in &arguments.named {
            named.insert(&*binding.name.name, self.value(&binding.value)?);
        }
        match name {
            "print" => {
                let words: Vec<String> = values.iter().map(text).collect::<Result<_, _>>()?;
                self.console.push_str(&words.join(" "));
                self.console.push('\n');
                self.ok()
            }
            "assert" if values[0].truth() => self.ok(),
            "assert" | "abort" => {
                let message = text(values.last().unwrap())?;
                if !message.is_empty() {
                    self.console.push_str(&format!("{message}\n"));
                }
                Err(Jump::Abend { status: 1, message, told: true, error: None })
            }
            "return" => {
                let mut part = |name: &str, at: usize, default: V| {
                    values.get(at).cloned().or_else(|| named.remove(name)).unwrap_or(default)
                };
                let result = part("result", 0, V::from(""));
                let status = part("status", 1, V::Int(0));
                let error = part("error", 2, V::from(""));
                let frame = self.frame();
                (frame.status, frame.result, frame.error) = (status, result, error);
                Err(Jump::Return)
            }
            _ => {
                let result = function(name, &values)?;
                let frame = self.frame();
                (frame.status, frame.result, frame.error) = (V::Int(0), result, V::from(""));
                Ok(())
            }
        }
    }

    fn variable(&mut self, name: &str) -> Result<V, Stop> {
        let found = self.frame().find(name).cloned();
        found.ok_or_else(|| Stop::Raise(format!("undefined variable: {name}")))
    }

    fn special(&mut self, special: Special) -> Result<V, Stop> {
        Ok(match special {
            Special::Result => self.frame().result.clone(),
            Special::Status => self.frame().status.clone(),
            Special::Error => self.frame().error.clone(),
            Special::Debug => V::from(self.debug.as_str()),
            Special::Env => return Err(Stop::Skip),
        })
    }

    fn template(&mut self, template: &Template) -> Result<V, Stop> {
        let mut filled = String::new();
        for segment in &template.segments {
            match segment {
                Segment::Text(piece) => filled.push_str(piece),
                Segment::Variable { name, .. } => match self.frame().find(name).cloned() {
                    Some(value) => filled.push_str(&text(&value)?),
                    None => filled.push_str(&segment.as_written()),
                },
                Segment::Special(special) => filled.push_str(&text(&self.special(*special)?)?),
            }
        }
        V::text(filled)
    }

    fn value(&mut self, expression: &Expr) -> Result<V, Stop> {
        Ok(match &expression.kind {
            ExprKind::Variable(name) => self.variable(name)?,
            ExprKind::Special(special) => self.special(*special)?,
            ExprKind::Text(template) => self.template(template)?,
            ExprKind::Integer(number) => V::Int(number.to_string().parse().unwrap()),
            ExprKind::Float(number) => V::Float(*number),
            ExprKind::Bool(truth) => V::Bool(*truth),
            ExprKind::Null => V::Null,
            ExprKind::Paren(inner) => self.value(inner)?,
            ExprKind::Array(items) => {
                let items = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                V::array(items)?
            }
            ExprKind::Names(bindings) => {
                let mut entries = Vec::new();
                for binding in bindings {
                    entries.push((V::from(&*binding.name.name), self.value(&binding.value)?));
                }
                V::dict(entries)
            }
            ExprKind::Pairs(pairs) => {
                let dict = V::dict(Vec::new());
                let mut entries = Vec::new();
                for (key, value) in pairs {
                    entries.push((self.value(key)?, self.value(value)?));
                }
                for (key, value) in entries {
                    dict.set_index(key, value)?;
                }
                dict
            }
            ExprKind::Attribute(of, name) => self.value(of)?.attribute(&name.name)?,
            ExprKind::Index(of, at) => {
                let of = self.value(of)?;
                let at = self.value(at)?;
                index(&of, &at)?
            }
            ExprKind::Call(callee, arguments) => {
                let ExprKind::Variable(name) = &callee.kind else { return Err(Stop::Skip) };
                let mut values = Vec::new();
                for argument in &arguments.positional {
                    values.push(self.value(argument)?);
                }
                function(name, &values)?
            }
            ExprKind::Unary(sign, inner) => match (sign, self.value(inner)?) {
                (Sign::Minus, V::Int(number)) => V::Int(-number),
                (Sign::Minus, V::Float(number)) => V::Float(-number),
                (Sign::Plus, value @ (V::Int(_) | V::Float(_))) => value,
                (sign, value) => {
                    let sign = if *sign == Sign::Minus { "-" } else { "+" };
                    let kind = value.kind();
                    return fail(format!(
                        "Failed to execute unary operation: bad operand type for {sign}: '{kind}'"
                    ));
                }
            },
            ExprKind::Arithmetic(first, rest) => {
                let mut value = self.value(first)?;
                for (operator, operand) in rest {
                    let operand = self.value(operand)?;
                    value = arithmetic(*operator, value, operand)?;
                }
                value
            }
            ExprKind::Compare(first, rest) => {
                let mut left = self.value(first)?;
                for (operator, operand) in rest {
                    let right = self.value(operand)?;
                    if !compare(*operator, &left, &right)? {
                        return Ok(V::Bool(false));
                    }
                    left = right;
                }
                V::Bool(true)
            }
            ExprKind::Member(first, rest) => {
                let mut value = self.value(first)?;
                for (not, holder) in rest {
                    let holder = self.value(holder)?;
                    value = V::Bool(contains(&holder, &value)? != *not);
                }
                value
            }
            ExprKind::Not(inner) => V::Bool(!self.value(inner)?.truth()),
            ExprKind::And(all) => {
                let mut value = V::Null;
                for one in all {
                    value = self.value(one)?;
                    if !value.truth() {
                        break;
                    }
                }
                value
            }
            ExprKind::Or(all) => {
                let mut value = V::Null;
                for one in all {
                    value = self.value(one)?;
                    if value.truth() {
                        break;
                    }
                }
                value
            }
            _ => return Err(Stop::Skip),
        })
    }
}

fn function(name: &str, values: &[V]) -> Result<V, Stop> {
    let value = &values[0];
    match name {
        "string" => V::text(text(value)?),
        "type" => Ok(V::from(value.kind())),
        "length" => match value.length() {
            Some(length) => Ok(V::Int(length as i128)),
            None => fail(format!("'{}' has no length", value.kind())),
        },
        "int" => match value {
            V::Int(_) => Ok(value.clone()),
            V::Float(number) if number.abs() < 9e15 => Ok(V::Int(number.trunc() as i128)),
            V::Text(text) => match text.trim().parse() {
                Ok(number) => Ok(V::Int(number)),
                Err(_) => fail(format!("cannot convert '{text}' to Integer")),
            },
            _ => Err(Stop::Skip),
        },
        _ => Err(Stop::Skip),
    }
}
