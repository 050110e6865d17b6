//! What is read goes to the audit, too, as far as its levels ask for it (rule: http/audit).
//!
//! What changes something is written down by the commit that does it.

use std::sync::Arc;

use axum::http::StatusCode;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::layout::json;
use kompira_schema::tree::Interface;
use kompira_schema::value::Value;
use serde_json::{Map, Value as Json};

use super::answer::Failure;
use super::object::engine;
use super::route::{Answer, Ask};
use super::table::Resource;
use crate::audit::{Attempt, Class, Target, Verb};
use crate::engine::{Params, StartOptions};
use crate::store::Durability;
use crate::tree::{Done, Txn, View};

impl Ask {
    /// Changes the tree on behalf of the caller; the audit hears by which request.
    ///
    /// # Errors
    /// Those of `work` and of the commit.
    pub(super) fn write<T>(
        &self,
        mut work: impl FnMut(&mut Txn) -> Result<T, Fault>,
    ) -> Result<Done<T>, Fault> {
        let by_http = matches!(self.who.interface, Interface::Api | Interface::Web);
        self.service.tree.write(&self.who, Durability::Synced, |txn| {
            if by_http {
                txn.audit_detail("http_method", self.method.as_str());
            }
            let done = work(txn)?;
            if by_http && let Some(verb) = self.row.verb(&self.method) {
                txn.audit_detail("http_status", verb.status);
            }
            Ok(done)
        })
    }
}

/// Of what kind the thing is, and what a `GET` of it is called; `None`: not written down.
fn kind(ask: &Ask) -> Option<(Class, Verb)> {
    let class = match ask.row.resource {
        Resource::Object
        | Resource::Children
        | Resource::Descendant
        | Resource::Attachment
        | Resource::AttachmentElement
        | Resource::Rendered
        | Resource::History
        | Resource::HistoryAt
        | Resource::HistoryDiff => Class::Object,
        Resource::Processes
        | Resource::Process
        | Resource::ProcessChildren
        | Resource::Wait
        | Resource::Trace
        | Resource::Console => Class::Process,
        Resource::Schedules | Resource::Schedule => Class::Schedule,
        Resource::Incidents | Resource::Incident | Resource::Worklogs => Class::Incident,
        Resource::Tasks | Resource::Task => Class::Task,
        Resource::Users | Resource::User => Class::User,
        Resource::Groups | Resource::Group => Class::Group,
        _ => return None,
    };
    let lists = matches!(
        ask.row.resource,
        Resource::Children
            | Resource::Descendant
            | Resource::Processes
            | Resource::ProcessChildren
            | Resource::Schedules
            | Resource::Incidents
            | Resource::Worklogs
            | Resource::Tasks
            | Resource::Users
            | Resource::Groups
    );
    Some(match (lists, ask.query.filters().next()) {
        (false, _) => (class, Verb::Read),
        (true, None) => (class, Verb::List),
        (true, Some(_)) => (class, Verb::Search),
    })
}

fn target(ask: &Ask, class: Class) -> Target {
    let view = ask.service.tree.view();
    if class == Class::Object {
        let path = match ask.query.get("path") {
            Some(path) if ask.raw_path.starts_with("/-/") => {
                kompira_schema::path::ObjectPath::parse(path).ok()
            }
            _ => Some(ask.target.path.clone()),
        };
        let found = path.and_then(|path| view.resolve(&path).ok());
        return found.map(|id| view.audit_target(id)).unwrap_or_default();
    }
    let path = match ask.row.resource {
        Resource::Console | Resource::Trace => format!("/process/id_{}", ask.id),
        _ => ask.target.path.as_str().to_owned(),
    };
    Target { path: Some(path), kind: None }
}

/// What is to be written down of how a `GET` ended: what was answered, and what was denied.
pub(super) fn of_read(ask: &Ask, answer: &Answer) -> Option<(Attempt, Option<Fault>)> {
    let (class, verb) = kind(ask)?;
    let (status, fault) = match answer {
        Ok(response) => (response.status(), None),
        Err(Failure::Fault(fault)) if fault.kind() == Kind::Denied => {
            (StatusCode::FORBIDDEN, Some(fault.clone()))
        }
        Err(_) => return None,
    };
    let view = ask.service.tree.view();
    let path = (!ask.raw_path.starts_with("/-/")).then(|| ask.target.path.as_str());
    if !view.may_audit(&ask.who, class, verb, path, fault.is_some()) {
        return None;
    }
    let target = target(ask, class);
    if !view.audits(&ask.who, class, verb, &target, fault.is_some()) {
        return None;
    }
    let mut detail = Map::from_iter([
        ("http_method".to_owned(), Json::from(ask.method.as_str())),
        ("http_status".to_owned(), Json::from(status.as_u16())),
    ]);
    if verb == Verb::Search {
        let filters = ask.query.filters();
        let filters: Map<String, Json> =
            filters.map(|(name, value)| (name.to_owned(), value.into())).collect();
        detail.insert("search_params".to_owned(), Json::Object(filters));
    }
    Some((Attempt { class, verb, target, detail }, fault))
}

/// Starts a process and writes down what was started: by the job, its parameters, and the form or
/// table from which it came.
pub(super) fn execute(
    ask: &Ask,
    job: ObjectId,
    params: Params,
    options: StartOptions,
) -> Result<ProcessId, Fault> {
    let view = ask.service.tree.view();
    let target = view.audit_target(job);
    let is_told = view.audits(&ask.who, Class::Object, Verb::Execute, &target, false)
        || view.audits(&ask.who, Class::Object, Verb::Execute, &target, true);
    let mut detail = Map::new();
    if is_told {
        detail = started_with(&view, &params, options.invoker);
        detail.insert("http_method".to_owned(), ask.method.as_str().into());
    }
    let done = engine(ask)?.execute(&ask.who, job, params, options);
    if is_told {
        if let Ok(process) = &done {
            detail.insert("execute_pid".to_owned(), process.0.into());
            detail.insert("http_status".to_owned(), StatusCode::OK.as_u16().into());
        }
        let attempt = Attempt { class: Class::Object, verb: Verb::Execute, target, detail };
        write_down(ask, attempt, done.as_ref().err());
    }
    done
}

/// Writes down a call of a library's function, or that it was not permitted.
pub(super) fn call(ask: &Ask, library: ObjectId, function: Option<&str>, fault: Option<&Fault>) {
    let view = ask.service.tree.view();
    let target = view.audit_target(library);
    if !view.audits(&ask.who, Class::Object, Verb::Execute, &target, fault.is_some()) {
        return;
    }
    let mut detail = Map::from_iter([("http_method".to_owned(), Json::from(ask.method.as_str()))]);
    if let Some(function) = function {
        detail.insert("target_attr".to_owned(), function.into());
        detail.insert("http_status".to_owned(), StatusCode::OK.as_u16().into());
    }
    let attempt = Attempt { class: Class::Object, verb: Verb::Execute, target, detail };
    write_down(ask, attempt, fault);
}

fn started_with(view: &View, params: &Params, invoker: Option<ObjectId>) -> Map<String, Json> {
    let json = |value: &Value| json::from_value(value, &mut |target| view.reference_text(target));
    let given: Json = match params {
        Params::Values(values) => {
            values.iter().map(|(name, value)| (name.clone(), json(value))).collect()
        }
        Params::Positional(values) => values.iter().map(json).collect(),
        Params::Expressions(texts) => {
            texts.iter().map(|(name, text)| (name.clone(), Json::from(text.as_str()))).collect()
        }
        Params::CommandLine(line) => line.as_str().into(),
    };
    let mut detail = Map::from_iter([("execute_params".to_owned(), given)]);
    let by = invoker.and_then(|id| {
        let key = match view.type_of(id).ok()?.name.as_str() {
            "Form" => "execute_form",
            "Table" => "execute_table",
            _ => return None,
        };
        Some((key, view.path_of(id)?))
    });
    if let Some((key, path)) = by {
        detail.insert(key.to_owned(), path.as_str().into());
    }
    detail
}

/// Writes down what was done to a process, unless there was nothing to do.
pub(super) fn of_process(ask: &Ask, verb: Verb, done: Result<bool, &Fault>) {
    match done {
        Ok(true) => process(ask, ProcessId(ask.id), verb, None),
        Ok(false) => {}
        Err(fault) => process(ask, ProcessId(ask.id), verb, Some(fault)),
    }
}

/// Writes down what was done to a process, or could not be.
pub(super) fn process(ask: &Ask, id: ProcessId, verb: Verb, fault: Option<&Fault>) {
    let path = format!("/process/id_{id}");
    let mut detail = Map::from_iter([("http_method".to_owned(), Json::from(ask.method.as_str()))]);
    if let (None, Some(taken)) = (fault, ask.row.verb(&ask.method)) {
        detail.insert("http_status".to_owned(), taken.status.into());
    }
    if verb == Verb::Delete {
        detail.insert("delete_objects".to_owned(), Json::from_iter([path.as_str()]));
    }
    let target = Target { path: Some(path), kind: None };
    write_down(ask, Attempt { class: Class::Process, verb, target, detail }, fault);
}

/// Writes down an order for many processes: how they were found, and those it was done to.
pub(super) fn of_command(ask: &Ask, verb: Verb, query: Json, told: (&str, Json)) {
    let detail = Map::from_iter([
        ("http_method".to_owned(), Json::from(ask.method.as_str())),
        ("http_status".to_owned(), StatusCode::OK.as_u16().into()),
        ("process_query".to_owned(), query),
        (told.0.to_owned(), told.1),
    ]);
    let target = Target { path: Some("/process".to_owned()), kind: None };
    write_down(ask, Attempt { class: Class::Process, verb, target, detail }, None);
}

/// Writes down what has happened already: a failure of the audit cannot take it back.
fn write_down(ask: &Ask, attempt: Attempt, fault: Option<&Fault>) {
    if let Err(fault) = ask.service.tree.audit(&ask.who, attempt, fault) {
        tracing::error!(target: "kompira::http", ?fault, "what was done is not in the audit");
    }
}

/// Writes it down.
pub(super) async fn write(ask: &Arc<Ask>, attempt: Attempt, fault: Option<Fault>) {
    let written =
        ask.blocking(move |ask| Ok(ask.service.tree.audit(&ask.who, attempt, fault.as_ref())?));
    if let Err(failure) = written.await {
        tracing::error!(target: "kompira::http", ?failure, "a read cannot be written to the audit");
    }
}
