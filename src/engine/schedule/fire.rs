//! Starting what is due.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::Map;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ScheduleId;
use kompira_schema::tree::{Caller, Interface};

use super::Missed;
use super::agenda::Due;
use super::handled::{self, Handled};
use crate::audit::{Attempt, Class, Target, Verb};
use crate::engine::StartOptions;
use crate::engine::inner::{Inner, myself};
use crate::engine::process::Params;
use crate::engine::{row, start};
use crate::store::{Durability, Family};
use crate::tree::Txn;
use crate::tree::special::Schedule;

/// Sees to a schedule that has something open; `false`: it could not be written, and is due still.
pub(super) fn fire(inner: &Arc<Inner>, id: ScheduleId, due: &mut Due<'_>, now: Timestamp) -> bool {
    let before = due.handled.clone();
    let left_out = match (due.run, due.missed, inner.limits.missed) {
        (None, Some(missed), Missed::Once) => {
            due.run = Some(missed);
            false
        }
        (_, missed, _) => missed.is_some(),
    };
    if left_out && let Some(missed) = due.missed {
        let name = &due.schedule.name;
        tracing::warn!(schedule = id.0, name, %missed, "runs of a schedule were missed");
        tell(inner, due.schedule, &Fault::new(Kind::Timeout, message(missed)));
    }
    let done = match due.run {
        Some(run) => {
            due.ran(run, now);
            begin(inner, due.schedule, due.handled, run)
        }
        None => {
            due.handled.look(now);
            note(inner, id, due.handled)
        }
    };
    if let Err(fault) = done {
        tracing::error!(schedule = id.0, ?fault, "a run of a schedule cannot be written");
        *due.handled = before;
        return false;
    }
    true
}

fn message(missed: Timestamp) -> kompira_schema::error::Message {
    kompira_schema::message!("schedule.missed", at = missed)
}

/// Starts a process, or says why there is none.
fn begin(
    inner: &Arc<Inner>,
    schedule: &Schedule,
    handled: &Handled,
    run: Timestamp,
) -> Result<(), Fault> {
    let started =
        inner.tree.view().check_run(schedule).and_then(|()| parameters(inner, schedule)).and_then(
            |params| {
                let options =
                    StartOptions { schedule: Some(schedule.id), ..StartOptions::default() };
                start::execute(inner, &caller(schedule), schedule.job, &params, &options, &|txn| {
                    put(txn, schedule.id, handled)
                })
            },
        );
    match started {
        Ok(process) => {
            let late = inner.now().duration_since(run);
            tracing::info!(schedule = schedule.id.0, process = process.0, ?late, "scheduled run");
            Ok(())
        }
        // Not the fault of this run: it is tried again.
        Err(fault) if matches!(fault.kind(), Kind::Unavailable | Kind::Full | Kind::Internal) => {
            Err(fault)
        }
        Err(fault) => {
            let name = &schedule.name;
            tracing::error!(schedule = schedule.id.0, name, ?fault, "no process was started");
            tell(inner, schedule, &fault);
            note(inner, schedule.id, handled)
        }
    }
}

/// Whom a schedule acts as.
fn caller(schedule: &Schedule) -> Caller {
    Caller {
        user: schedule.user,
        interface: Interface::Engine,
        remote: None,
        process: None,
        request: format!("schedule-{}", schedule.id).into(),
        exec: None,
    }
}

/// What the job is started with: arguments of a script as they are, parameters of a jobflow in
/// their order, as expressions.
fn parameters(inner: &Arc<Inner>, schedule: &Schedule) -> Result<Params, Fault> {
    let view = inner.tree.view();
    let job = view.stub(&myself(), schedule.job)?;
    let texts = &schedule.parameters;
    if view.type_def(job.head.type_id)?.name != "Jobflow" {
        return Ok(Params::Positional(texts.iter().map(|text| text.as_str().into()).collect()));
    }
    let expressions: IndexMap<_, _> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (format!("parameters[{at}]"), text.clone()))
        .collect();
    let values = start::values_of(inner, &caller(schedule), schedule.job, &expressions)?;
    Ok(Params::Positional(values.into_values().collect()))
}

/// Writes an entry to the audit: a run that was left out.
fn tell(inner: &Inner, schedule: &Schedule, fault: &Fault) {
    let who = Caller { interface: Interface::Mng, ..caller(schedule) };
    let path = Some(format!("/scheduler/id_{}", schedule.id));
    let attempt = Attempt {
        class: Class::Schedule,
        verb: Verb::Execute,
        target: Target { path, kind: None },
        detail: Map::new(),
    };
    if let Err(fault) = inner.tree.audit(&who, attempt, Some(fault)) {
        tracing::error!(?fault, "an audit entry cannot be stored");
    }
}

fn put(txn: &mut Txn, id: ScheduleId, handled: &Handled) -> Result<(), Fault> {
    let key = handled::key(id);
    txn.raw_put(Family::Timer, &key, row::write(Family::Timer, &key, handled)?);
    Ok(())
}

fn note(inner: &Inner, id: ScheduleId, handled: &Handled) -> Result<(), Fault> {
    inner.tree.write(&myself(), Durability::Lazy, |txn| put(txn, id, handled))?;
    Ok(())
}

/// Forgets a schedule that was deleted; its number is never used again.
pub(super) fn forget(inner: &Inner, id: ScheduleId) -> Result<(), Fault> {
    inner.tree.write(&myself(), Durability::Lazy, |txn| {
        txn.raw_delete(Family::Timer, &handled::key(id));
        Ok(())
    })?;
    Ok(())
}
