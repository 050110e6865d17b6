//! Starting a process from outside (rule: `operations/execute`).

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Value};

use super::StartOptions;
use super::console::Tail;
use super::inner::{Inner, caller, myself};
use super::process::{Monitoring, Params, Status};
use super::row::{self, Row, Script, Wait};
use super::slot::Slot;
use super::turn::{self, options, put_frame};
use super::vm::{Arguments, Jobflow, Machine, Pause, Raise};
use super::world::{World, jobflow_of};
use crate::fail_point;
use crate::remote::words;
use crate::store::{Counter, Durability, Family, What};
use crate::tree::{Object, Txn};

/// Steps of one parameter expression. Reason: it is evaluated while the caller waits.
const EXPRESSION_STEPS: u64 = 100_000;

/// Starts a process of `job` as `who`; it is durable when this returns, and with it what `also`
/// wrote.
pub(super) fn execute(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    params: &Params,
    options: &StartOptions,
    also: &dyn Fn(&mut Txn) -> Result<(), Fault>,
) -> Result<ProcessId, Fault> {
    let (id, params) = prepare(inner, who, job, params)?;
    commit(inner, who, id, job, &params, options, also)?;
    inner.enter(id);
    inner.tree.sync()?;
    Ok(id)
}

/// As [`execute`], for a caller with nothing else to do: he gives the process its first turn, so
/// that its first command begins with the sync that he waits for.
pub(super) fn execute_here(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    params: &Params,
    options: &StartOptions,
) -> Result<ProcessId, Fault> {
    let (id, params) = prepare(inner, who, job, params)?;
    // Nobody else knows of it before it is committed, and then it is already in hand.
    let slot = inner.slots.take_new(id, Row::new(job, who.user, inner.now()));
    let born = commit(inner, who, id, job, &params, options, &|_| Ok(()));
    let born = born.inspect_err(|_| inner.slots.forget(&slot))?;
    {
        let mut state = slot.lock();
        state.row = born.row;
        state.machine = born.machine;
        state.saved = inner.clock.monotonic();
    }
    inner.slots.begun(1);
    turn::begin(inner, &slot);
    inner.tree.sync()?;
    Ok(id)
}

/// A number for a new process, and its parameters as values.
fn prepare<'a>(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    params: &'a Params,
) -> Result<(ProcessId, Cow<'a, Params>), Fault> {
    inner.refuse_when_stopping()?;
    if inner.is_full(1) {
        return Err(Fault::new(Kind::TooMany, message!("engine.too_many")));
    }
    let id = ProcessId(inner.tree.store().new_id(Counter::Process)?);
    Ok(match params {
        Params::Expressions(expressions) => {
            (id, Cow::Owned(Params::Values(evaluate(inner, who, job, id, expressions)?)))
        }
        _ => (id, Cow::Borrowed(params)),
    })
}

/// A process that came to be: as it stands in the store.
struct Born {
    row: Row,
    /// What runs it; a script has none.
    machine: Option<Box<Machine>>,
}

fn commit(
    inner: &Arc<Inner>,
    who: &Caller,
    id: ProcessId,
    job: ObjectId,
    params: &Params,
    options: &StartOptions,
    also: &dyn Fn(&mut Txn) -> Result<(), Fault>,
) -> Result<Born, Fault> {
    let done = inner.tree.write(who, Durability::Lazy, |txn| {
        let born = create(inner, txn, who, id, job, params, options)?;
        also(txn)?;
        inner.before_commit()?;
        Ok(born)
    })?;
    fail_point!("engine.start.after_commit");
    if !inner.after_commit() {
        return Err(Fault::new(Kind::Unavailable, message!("engine.stopping")));
    }
    Ok(done.value)
}

fn create(
    inner: &Arc<Inner>,
    txn: &mut Txn,
    who: &Caller,
    id: ProcessId,
    job: ObjectId,
    params: &Params,
    options: &StartOptions,
) -> Result<Born, Fault> {
    let mut row = Row::new(job, who.user, inner.now());
    row.step_mode = options.step_mode;
    row.traced = options.trace;
    row.invoker = options.invoker;
    row.schedule = options.schedule;
    let object = executable(txn, who, job)?;
    let path = &object.stub.path;
    let mut started = None;
    match object.stub.def.name.as_str() {
        "Jobflow" if object.stub.def.builtin => {
            let jobflow = jobflow_of(inner, txn, &object)
                .map_err(|raise| not_executable(txn, who, job, path, &raise))?;
            let arguments = arguments(path, params)?;
            let builtins = Arc::clone(&inner.builtins);
            let machine = Machine::start(jobflow, &arguments, builtins, &self::options(inner))
                .map_err(|raise| refused(path, raise.message()))?;
            let fields = &object.fields;
            row.checkpoint_mode = options.checkpoint_mode.unwrap_or_else(|| {
                matches!(fields.get("defaultCheckpointMode"), Some(Value::Bool(true)))
            });
            let of_job = match fields.get("defaultMonitoringMode") {
                Some(Value::Str(word)) => Monitoring::parse(word),
                _ => None,
            };
            row.monitoring_mode = options.monitoring_mode.or(of_job).unwrap_or_default();
            for hash in machine.programs() {
                let key = row::pinned_key(hash);
                if txn.raw_get(Family::Frame, &key)?.is_none() {
                    let code = inner.codes.find(txn.snapshot(), hash).map_err(Fault::internal)?;
                    txn.raw_put(Family::Frame, &key, code.source.as_bytes().to_vec());
                }
                row.programs.push(hash.0);
            }
            let mut bytes = Vec::new();
            machine.save(&mut bytes);
            put_frame(txn, id, &bytes)?;
            started = Some(Box::new(machine));
        }
        "ScriptJob" if object.stub.def.builtin => {
            let arguments = match params {
                Params::CommandLine(line) => words::split(line)
                    .ok_or_else(|| refused(path, "unbalanced quotes in the arguments"))?,
                Params::Positional(values) => values.iter().map(shown).collect(),
                Params::Values(values) if values.is_empty() => Vec::new(),
                _ => return Err(refused(path, "a script takes a line of arguments")),
            };
            row.checkpoint_mode = options.checkpoint_mode.unwrap_or(false);
            row.monitoring_mode = options.monitoring_mode.unwrap_or_default();
            let (node, account) = (options.node, options.account);
            row.script = Some(Script { arguments, node, account });
        }
        _ => {
            return Err(Fault::new(Kind::NoMethod, message!("engine.no_job", path = path)));
        }
    }
    row.status = Status::New;
    row.wait = Some(Wait::Room);
    put_new(txn, id, &row)?;
    Ok(Born { row, machine: started })
}

/// Puts the record of a process that is new.
pub(super) fn put_new(txn: &mut Txn, id: ProcessId, row: &Row) -> Result<(), Fault> {
    let key = row::process_key(id);
    txn.raw_put(Family::Process, &key, row::write(Family::Process, &key, row)?);
    txn.raw_put(Family::Process, &row::active_key(id), Vec::new());
    txn.process_changed(id, What::Created);
    Ok(())
}

fn refused(path: &str, why: &str) -> Fault {
    Fault::new(Kind::Invalid, message!("engine.refused", path = path, why = why))
}

/// The object that `who` wants to start.
fn executable(txn: &Txn, who: &Caller, job: ObjectId) -> Result<Object, Fault> {
    let may = txn.access(who, job)?.execute;
    // What a process needs of its job it reads as the engine.
    let object = txn.get(&myself(), job)?;
    if !may {
        let path = object.stub.path;
        return Err(Fault::new(Kind::Denied, message!("engine.denied", path = path)));
    }
    Ok(object)
}

fn not_executable(txn: &Txn, who: &Caller, job: ObjectId, path: &str, raise: &Raise) -> Fault {
    let mut why = raise.message().to_owned();
    if let Ok(Some(report)) = txn.compile_report(who, job) {
        tracing::info!(jobflow = %path, "not executable\n{report}");
        why.push('\n');
        why.push_str(&report);
    }
    refused(path, &why)
}

fn arguments(path: &str, params: &Params) -> Result<Arguments, Fault> {
    Ok(match params {
        Params::Values(values) => Arguments {
            positional: Vec::new(),
            named: values.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        },
        Params::Positional(values) => Arguments { positional: values.clone(), named: Vec::new() },
        Params::Expressions(_) | Params::CommandLine(_) => {
            return Err(refused(path, "a jobflow takes named parameters"));
        }
    })
}

/// A value as a word on a command line.
fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// The values of parameter expressions, before there is a process.
pub(super) fn values_of(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    expressions: &IndexMap<String, String>,
) -> Result<Dict, Fault> {
    evaluate(inner, who, job, ProcessId(0), expressions)
}

/// Evaluates parameter expressions in a scratch process that may read but do nothing.
fn evaluate(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    id: ProcessId,
    expressions: &IndexMap<String, String>,
) -> Result<Dict, Fault> {
    let mut values = Dict::new();
    let mut problems = Vec::new();
    for (name, expression) in expressions {
        match one(inner, who, job, id, expression) {
            Ok(value) => {
                values.insert(name.clone(), value);
            }
            Err(why) => problems.push(Problem {
                at: name.clone(),
                message: message!("engine.expression", why = why),
            }),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(Fault::invalid(problems)) }
}

fn one(
    inner: &Arc<Inner>,
    who: &Caller,
    job: ObjectId,
    id: ProcessId,
    expression: &str,
) -> Result<Value, String> {
    let source = format!("return(({expression}\n))");
    let parsed = crate::lang::parse(&source);
    let jobs = parsed.program.flow.as_ref().map_or(0, |flow| flow.steps.len());
    if jobs != 1 {
        return Err("not an expression of the language".to_owned());
    }
    let code = inner.codes.compile(&source).ok_or("not an expression of the language")?;
    let jobflow = Jobflow {
        object: job,
        path: "parameter".into(),
        program: code.program,
        multiplicity: None,
    };
    let mut machine = Machine::start(
        jobflow,
        &Arguments::default(),
        Arc::clone(&inner.builtins),
        &options(inner),
    )
    .map_err(|raise| raise.message().to_owned())?;
    let mut answer = Err("it takes too long".to_owned());
    let row = Row::new(job, who.user, inner.now());
    let slot = Arc::new(Slot::new(id, row.clone()));
    let who = caller(who.user, id);
    // Whatever it does is thrown away with the transaction.
    let thrown: Result<_, Fault> = inner.tree.write(&who, Durability::Lazy, |txn| {
        let (mut row, console, mut acquired) = (row.clone(), Tail::default(), Vec::new());
        let mut world = World::new(inner, txn, &slot, (&mut row, &console), &mut acquired);
        answer = match machine.run(EXPRESSION_STEPS, &mut world) {
            Pause::Ended(end) if end.done => Ok(end.result),
            Pause::Ended(end) => Err(match end.error {
                Value::Str(text) => text,
                _ => "not an expression".to_owned(),
            }),
            Pause::Budget => Err("it takes too long".to_owned()),
            Pause::Blocked(_) => Err("it is no expression".to_owned()),
        };
        let written = world.leave().writes;
        if written > 0 {
            answer = Err("it is no expression".to_owned());
        }
        Err::<(), _>(Fault::new(Kind::Invalid, message!("engine.scratch")))
    });
    drop(thrown);
    answer
}
