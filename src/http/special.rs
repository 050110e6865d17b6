//! Schedules, incidents, tasks (rules: http/schedules, http/incidents, http/tasks).
//!
//! One shape for all three: what is shown and what filters is a table, what is written is a file
//! of its own.

mod incident;
mod schedule;
mod task;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{IncidentId, ObjectId, ScheduleId, TaskId, UserId};
use kompira_schema::message;
use kompira_schema::path::ObjectPath;
use kompira_schema::value::Ref;
use serde_json::{Map, Value as Json};

use super::answer::{self, Failure};
use super::body::{object, text};
use super::filter::{Attribute, rows_answer};
use super::object::{Want, escape, finish, with_location};
use super::route::{Answer, Ask, nothing};
use super::table::Resource;
use super::value::to_json;
use crate::tree::special::{Family, SpecialQuery};
use crate::tree::{Txn, View};

/// A kind of special objects.
struct Kinds {
    family: Family,
    /// What is shown, in order.
    shown: &'static [&'static str],
    /// What filters and orders.
    table: &'static [(&'static str, Attribute)],
}

static SCHEDULE: Kinds =
    Kinds { family: Family::Schedule, shown: schedule::SHOWN, table: schedule::TABLE };
static INCIDENT: Kinds =
    Kinds { family: Family::Incident, shown: incident::SHOWN, table: incident::TABLE };
static TASK: Kinds = Kinds { family: Family::Task, shown: task::SHOWN, table: task::TABLE };

/// The kind and the member that a request is about.
fn subject(ask: &Ask) -> (&'static Kinds, Ref) {
    match ask.row.resource {
        Resource::Schedules | Resource::Schedule => (&SCHEDULE, Ref::Schedule(ScheduleId(ask.id))),
        Resource::Incidents | Resource::Incident | Resource::Worklogs => {
            (&INCIDENT, Ref::Incident(IncidentId(ask.id)))
        }
        _ => (&TASK, Ref::Task(TaskId(ask.id))),
    }
}

/// `/scheduler`, `/incident`, `/task`.
pub(super) async fn collection(ask: &Arc<Ask>, body: Body) -> Answer {
    if ask.method != Method::POST {
        return ask.blocking(list).await;
    }
    let body = object(ask.body(body).await?)?;
    ask.blocking(move |ask| {
        let mut refused = None;
        let done = ask.write(|txn| {
            refused = None;
            let made = match ask.row.resource {
                Resource::Schedules => schedule::create(txn, &body),
                _ => incident::create(txn, &body),
            };
            made.map_err(|failure| escape(&mut refused, failure))
        });
        let made = finish(done, refused)?.value;
        let (kinds, _) = subject(ask);
        let json = render(&ask.service.tree.view(), kinds, made)?.ok_or_else(nothing)?;
        let path = json.get("abspath").and_then(Json::as_str).unwrap_or_default().to_owned();
        let shown = Want::of(&ask.query).select(json);
        Ok(with_location(answer::json(StatusCode::CREATED, &shown), &path))
    })
    .await
}

fn list(ask: &Ask) -> Answer {
    let (kinds, _) = subject(ask);
    let view = ask.service.tree.view();
    let found = view.find_special(&ask.who, kinds.family, &SpecialQuery::default())?;
    let mut rows = Vec::with_capacity(found.refs.len());
    for target in found.refs {
        rows.extend(render(&view, kinds, target)?.map(Json::Object));
    }
    rows_answer(ask, rows, kinds.table)
}

/// One of them.
pub(super) async fn member(ask: &Arc<Ask>, body: Body) -> Answer {
    match ask.method {
        Method::PUT | Method::PATCH => {
            let body = object(ask.body(body).await?)?;
            change(ask, move |ask, txn, target| {
                let put = ask.method == Method::PUT;
                match target {
                    Ref::Schedule(id) => schedule::update(txn, id, &body, put),
                    Ref::Incident(id) => incident::update(txn, id, &body, put),
                    _ => Err(nothing()),
                }
            })
            .await?;
            ask.blocking(detail).await
        }
        Method::DELETE => {
            change(ask, |_, txn, target| {
                let done = match target {
                    Ref::Schedule(id) => txn.delete_schedule(id),
                    Ref::Incident(id) => txn.delete_incident(id),
                    Ref::Task(id) => txn.delete_task(id),
                    _ => return Err(nothing()),
                };
                done.map_err(Failure::from)
            })
            .await?;
            Ok(answer::nothing())
        }
        _ => ask.blocking(detail).await,
    }
}

/// `.cancel` and `.submit` of a task.
pub(super) async fn end(ask: &Arc<Ask>, body: Body) -> Answer {
    let submits = ask.row.resource == Resource::Submit;
    let result = if submits { task::result(ask.body(body).await?)? } else { None };
    change(ask, move |_, txn, target| {
        let Ref::Task(id) = target else { return Err(nothing()) };
        let done = if submits { txn.submit_task(id, result.clone()) } else { txn.cancel_task(id) };
        done.map_err(Failure::from)
    })
    .await?;
    Ok(answer::json(StatusCode::OK, &Json::Bool(true)))
}

/// `.worklogs` of an incident.
pub(super) async fn worklogs(ask: &Arc<Ask>, body: Body) -> Answer {
    if ask.method != Method::POST {
        return ask
            .blocking(|ask| {
                let (kinds, target) = subject(ask);
                let mut all = seen(ask, &ask.service.tree.view(), kinds, target)?;
                let rows = match all.remove("worklogs") {
                    Some(Json::Array(rows)) => rows,
                    _ => Vec::new(),
                };
                rows_answer(ask, rows, incident::WORKLOG_TABLE)
            })
            .await;
    }
    let body = object(ask.body(body).await?)?;
    let entry = change(ask, move |_, txn, target| {
        let Ref::Incident(id) = target else { return Err(nothing()) };
        incident::log(txn, id, &body)
    })
    .await?;
    Ok(answer::json(StatusCode::CREATED, &Json::Object(entry)))
}

/// Runs a change of the member in one commit.
async fn change<T: Send + 'static>(
    ask: &Arc<Ask>,
    work: impl Fn(&Ask, &mut Txn, Ref) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    ask.blocking(move |ask| {
        let (_, target) = subject(ask);
        let mut refused = None;
        let done = ask.write(|txn| {
            refused = None;
            work(ask, txn, target).map_err(|failure| escape(&mut refused, failure))
        });
        Ok(finish(done, refused)?.value)
    })
    .await
}

fn detail(ask: &Ask) -> Answer {
    let (kinds, target) = subject(ask);
    let json = seen(ask, &ask.service.tree.view(), kinds, target)?;
    Ok(answer::json(StatusCode::OK, &Want::of(&ask.query).select(json)))
}

/// The member, if the caller sees it.
fn seen(ask: &Ask, view: &View, kinds: &Kinds, target: Ref) -> Result<Map<String, Json>, Failure> {
    let json = render(view, kinds, target)?.ok_or_else(nothing)?;
    if view.sees_special(&ask.who, target)? {
        return Ok(json);
    }
    Err(Fault::new(Kind::Denied, message!("http.denied_special")).into())
}

fn render(view: &View, kinds: &Kinds, target: Ref) -> Result<Option<Map<String, Json>>, Fault> {
    let Some(properties) = view.special_properties(target)? else { return Ok(None) };
    let mut json = Map::new();
    for &name in kinds.shown {
        let value = match properties.get(name) {
            Some(value) => to_json(view, value)?,
            None => Json::Null,
        };
        json.insert(name.to_owned(), value);
    }
    Ok(Some(json))
}

/// A user's name in a body.
fn user(view: &View, body: &Map<String, Json>, key: &str) -> Result<Option<UserId>, Failure> {
    let Some(name) = text(body, key)? else { return Ok(None) };
    let missing = || Failure::field(key, format!("User '{name}' does not exist."));
    view.user_by_name(&name).map(|user| Some(user.id)).ok_or_else(missing)
}

/// An object's path in a body.
fn job(view: &View, body: &Map<String, Json>, key: &str) -> Result<Option<ObjectId>, Failure> {
    let Some(text) = text(body, key)? else { return Ok(None) };
    let missing = || Failure::field(key, format!("Object '{text}' does not exist."));
    let path = ObjectPath::parse(&text).map_err(|_| missing())?;
    view.resolve(&path).map(Some).map_err(|_| missing())
}
