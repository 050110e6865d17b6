//! `/process` and its members (rule: http/processes).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::value::Ref;
use serde_json::{Map, Value as Json};

use super::answer::{self, Failure};
use super::body::{self, truth};
use super::channel::{look_again, timeout};
use super::object::{Want, engine, monitoring, paged};
use super::record;
use super::route::{Answer, Ask};
use super::table::Resource;
use super::value::{datetime, timedelta, to_json};
use crate::audit::Verb;
use crate::engine::{Engine, Filter, Modes, ProcessInfo};
use crate::tree::View;

pub(super) mod command;
mod filter;

/// Processes read at a time.
const CHUNK: usize = 1000;

/// `/process`.
pub(super) fn collection(ask: &Ask) -> Answer {
    list(ask, &Filter::default())
}

/// `/process/id_N.children`.
pub(super) fn children(ask: &Ask) -> Answer {
    let id = ProcessId(ask.id);
    engine(ask)?.info(&ask.who, id)?;
    list(ask, &Filter { parent: Some(Some(id)), ..Filter::default() })
}

/// `/process/id_N`.
pub(super) async fn member(ask: &Arc<Ask>, body: Body) -> Answer {
    let id = ProcessId(ask.id);
    match ask.method {
        Method::DELETE => {
            ask.blocking(move |ask| {
                let done = engine(ask)?.delete(&ask.who, id);
                record::of_process(ask, Verb::Delete, done.as_ref().map(|()| true));
                Ok(done?)
            })
            .await?;
            Ok(answer::nothing())
        }
        Method::PATCH => {
            let modes = modes(ask.body(body).await?)?;
            ask.blocking(move |ask| {
                let done = engine(ask)?.set_modes(&ask.who, id, modes);
                record::of_process(ask, Verb::Update, done.as_ref().map(|()| true));
                done?;
                detail(ask, id)
            })
            .await
        }
        _ => ask.blocking(move |ask| detail(ask, id)).await,
    }
}

/// `.terminate`, `.suspend`, `.resume`: `true`, or `false` when there was nothing to do.
pub(super) async fn order(ask: &Arc<Ask>, body: Body) -> Answer {
    let id = ProcessId(ask.id);
    let mut from = None;
    let modes = match ask.row.resource {
        Resource::Resume => {
            let body = ask.body(body).await?;
            from = step(body.as_ref())?;
            Modes { monitoring: None, ..modes(body)? }
        }
        _ => Modes::default(),
    };
    ask.blocking(move |ask| {
        let engine = engine(ask)?;
        let (verb, done) = match ask.row.resource {
            Resource::Resume => {
                let done = match from {
                    Some(step) => engine.resume_from(&ask.who, id, step).map(|()| true),
                    None => engine.resume(&ask.who, id, modes),
                };
                (Verb::Resume, done)
            }
            Resource::Suspend => (Verb::Suspend, engine.suspend(&ask.who, id)),
            _ => (Verb::Terminate, engine.terminate(&ask.who, id)),
        };
        record::of_process(ask, verb, done.as_ref().copied());
        Ok(answer::json(StatusCode::OK, &Json::Bool(done?)))
    })
    .await
}

/// `.wait`: answers when the process has ended. No thread waits.
pub(super) async fn wait(ask: &Arc<Ask>, body: Body) -> Answer {
    let id = ProcessId(ask.id);
    let timeout = timeout(ask.body(body).await?.as_ref())?;
    let place = ask.service.hub.join(Ref::Process(id));
    let end = tokio::time::sleep(timeout);
    tokio::pin!(end);
    let mut over = timeout.is_zero();
    loop {
        let ended = ask.blocking(move |ask| {
            if !engine(ask)?.has_ended(&ask.who, id)? {
                return Ok(None);
            }
            detail(ask, id).map(Some)
        });
        if let Some(answer) = ended.await? {
            return Ok(answer);
        }
        look_again(ask, &place, end.as_mut(), &mut over).await?;
    }
}

/// The command before which an ended process is to be taken up again.
fn step(body: Option<&Json>) -> Result<Option<u64>, Failure> {
    match body.and_then(|body| body.get("from")) {
        None | Some(Json::Null) => Ok(None),
        Some(step) => match step.as_u64().filter(|step| *step > 0) {
            Some(step) => Ok(Some(step)),
            None => Err(Failure::field("from", "Not the number of a command.")),
        },
    }
}

fn modes(body: Option<Json>) -> Result<Modes, Failure> {
    let map = body::optional(body)?;
    Ok(Modes {
        step: truth(&map, "step_mode")?,
        checkpoint: truth(&map, "checkpoint_mode")?,
        monitoring: monitoring(&map)?,
        trace: truth(&map, "trace")?,
    })
}

fn detail(ask: &Ask, id: ProcessId) -> Answer {
    let engine = engine(ask)?;
    let info = engine.info(&ask.who, id)?;
    let want = Want::of(&ask.query);
    let console = console(engine, ask, id, &want)?;
    let json = render(&ask.service.tree.view(), &info, &console, &want)?;
    Ok(answer::json(StatusCode::OK, &json))
}

fn console(engine: &Engine, ask: &Ask, id: ProcessId, want: &Want) -> Result<String, Fault> {
    if !want.has("console") {
        return Ok(String::new());
    }
    Ok(engine.console(&ask.who, id)?.text)
}

fn list(ask: &Ask, base: &Filter) -> Answer {
    let view = ask.service.tree.view();
    let engine = engine(ask)?;
    let wish = filter::read(&view, &ask.query, base)?;
    let mut found: Vec<ProcessInfo> = Vec::new();
    let mut before = None;
    loop {
        let chunk = engine.list(&ask.who, &wish.filter, before, CHUNK)?;
        let whole = chunk.len() < CHUNK;
        before = chunk.last().map(|info| info.id);
        for info in chunk {
            let console = if wish.reads_console() {
                engine.console(&ask.who, info.id)?.text
            } else {
                String::new()
            };
            if wish.matches(&view, &info, &console)? {
                found.push(info);
            }
        }
        if whole {
            break;
        }
    }
    wish.order(&view, &mut found)?;
    let want = Want::of(&ask.query);
    let envelope = paged(ask, found.len(), |range| {
        let page = found.get(range).unwrap_or_default();
        page.iter()
            .map(|info| {
                let console = console(engine, ask, info.id, &want)?;
                Ok(render(&view, info, &console, &want)?)
            })
            .collect()
    })?;
    Ok(answer::json(StatusCode::OK, &envelope))
}

/// A process as JSON: the 17 documented properties and our four.
fn render(view: &View, info: &ProcessInfo, console: &str, want: &Want) -> Result<Json, Fault> {
    let path = |id: Option<ObjectId>| {
        id.and_then(|id| view.path_of(id)).map_or(Json::Null, |path| path.as_str().into())
    };
    let time =
        |time: Option<jiff::Timestamp>| time.map_or(Json::Null, |time| datetime(time).into());
    let mut map = Map::new();
    let mut put = |key: &str, value: Json| {
        map.insert(key.to_owned(), value);
    };
    put("id", info.id.0.into());
    put("abspath", format!("/process/id_{}", info.id).into());
    put("user", view.user(info.user).map_or(Json::Null, |user| user.username.clone().into()));
    put("elapsed_time", timedelta(info.elapsed).into());
    put("started_time", time(info.started));
    put("finished_time", time(info.finished));
    put("status", info.status.word().into());
    put("exit_status", info.exit_status.into());
    put("result", to_json(view, &info.result)?);
    put("error", to_json(view, &info.error)?);
    put("suspended", info.suspended.into());
    put("lineno", info.line.into());
    put("console", console.into());
    put("job", path(Some(info.job)));
    put("schedule", info.schedule.map_or(Json::Null, |id| format!("/scheduler/id_{id}").into()));
    put("parent", info.parent.map_or(Json::Null, |id| format!("/process/id_{id}").into()));
    put("current_job", path(info.current_job));
    put("invoker", path(info.invoker));
    put("step_mode", info.step_mode.into());
    put("checkpoint_mode", info.checkpoint_mode.into());
    put("monitoring_mode", info.monitoring_mode.word().into());
    Ok(want.select(map))
}
