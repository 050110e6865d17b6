//! `/process` and its members (rule: http/processes).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::message;
use serde_json::{Map, Value as Json};

use super::answer::{self, Failure};
use super::object::{Want, engine, flag, monitoring, paged};
use super::route::{Answer, Ask, nothing, verbs};
use super::value::{datetime, timedelta, to_json};
use crate::engine::{Engine, Filter, Modes, ProcessInfo};
use crate::tree::View;

mod filter;

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const OF_MEMBER: &[Method] = &[Method::GET, Method::PATCH, Method::DELETE];
/// Processes read at a time.
const CHUNK: usize = 1000;
/// Longest wait of one request in seconds (documented cap of long polls).
const WAIT_SECONDS_MAX: f64 = 3600.0;

/// `/process` and `/process.children`.
pub(super) async fn collection(ask: &Arc<Ask>) -> Answer {
    match ask.target.method.as_deref() {
        None | Some("children" | "descendant") => {}
        Some(_) => return Err(nothing()),
    }
    match verbs(ask, GET)? {
        Some(options) => Ok(options),
        None => ask.blocking(|ask| list(ask, &Filter::default())).await,
    }
}

/// `/process/id_N` and its methods.
pub(super) async fn member(ask: &Arc<Ask>, id: ProcessId, body: Body) -> Answer {
    let taken = match ask.target.method.as_deref() {
        None => OF_MEMBER,
        Some("children") => GET,
        Some("terminate" | "suspend" | "resume" | "wait") => POST,
        Some(_) => return Err(nothing()),
    };
    // Whether it is there comes before what it takes.
    ask.blocking(move |ask| Ok(engine(ask)?.info(&ask.who, id).map(drop)?)).await?;
    if let Some(options) = verbs(ask, taken)? {
        return Ok(options);
    }
    match (ask.target.method.as_deref(), &ask.method) {
        (Some("children"), _) => {
            let filter = Filter { parent: Some(Some(id)), ..Filter::default() };
            ask.blocking(move |ask| list(ask, &filter)).await
        }
        (Some("wait"), _) => {
            let timeout = timeout(ask.body(body).await?)?;
            wait(ask, id, timeout).await
        }
        (Some("resume"), _) => {
            let modes = modes(ask.body(body).await?)?;
            let modes = Modes { monitoring: None, ..modes };
            order(ask, move |engine, ask| engine.resume(&ask.who, id, modes)).await
        }
        (Some("suspend"), _) => order(ask, move |engine, ask| engine.suspend(&ask.who, id)).await,
        (Some(_), _) => order(ask, move |engine, ask| engine.terminate(&ask.who, id)).await,
        (None, &Method::DELETE) => {
            ask.blocking(move |ask| Ok(engine(ask)?.delete(&ask.who, id)?)).await?;
            Ok(answer::nothing())
        }
        (None, &Method::PATCH) => {
            let modes = modes(ask.body(body).await?)?;
            ask.blocking(move |ask| {
                engine(ask)?.set_modes(&ask.who, id, modes)?;
                detail(ask, id)
            })
            .await
        }
        (None, _) => ask.blocking(move |ask| detail(ask, id)).await,
    }
}

async fn order(
    ask: &Arc<Ask>,
    work: impl FnOnce(&Engine, &Ask) -> Result<bool, Fault> + Send + 'static,
) -> Answer {
    let done = ask.blocking(move |ask| Ok(work(engine(ask)?, ask)?)).await?;
    Ok(answer::json(StatusCode::OK, &Json::Bool(done)))
}

async fn wait(ask: &Arc<Ask>, id: ProcessId, timeout: Duration) -> Answer {
    let asked = Arc::clone(ask);
    // The client is served by the end of the process or told to ask again at a stop.
    let waiting = ask.service.pool.wait(move || -> Result<_, Failure> {
        let engine = engine(&asked)?;
        let ended = asked.service.clock.monotonic().saturating_add(timeout);
        loop {
            let left = ended.saturating_sub(asked.service.clock.monotonic());
            // In slices, so that a stop of the server is not held up.
            let slice = left.min(Duration::from_secs(1));
            if let Some(info) = engine.wait(&asked.who, id, Some(slice))? {
                let view = asked.service.tree.view();
                let console = engine.console(&asked.who, id)?.text;
                let json = render(&view, &info, &console, &Want::of(&asked.query))?;
                return Ok(answer::json(StatusCode::OK, &json));
            }
            if left <= slice || asked.service.shutdown.begun() {
                return Err(Fault::new(Kind::Timeout, message!("http.timeout")).into());
            }
        }
    });
    waiting.await
}

fn timeout(body: Option<Json>) -> Result<Duration, Failure> {
    let bad = || Failure::field("timeout", "A number of seconds from 0.");
    let seconds = match body {
        None | Some(Json::Null) => 0.0,
        Some(Json::Object(map)) => match map.get("timeout") {
            None | Some(Json::Null) => 0.0,
            Some(value) => value.as_f64().ok_or_else(bad)?,
        },
        Some(_) => return Err(Failure::field("", "Send a JSON object.")),
    };
    // JSON knows no NaN.
    if seconds < 0.0 {
        return Err(bad());
    }
    Ok(Duration::from_secs_f64(seconds.min(WAIT_SECONDS_MAX)))
}

fn modes(body: Option<Json>) -> Result<Modes, Failure> {
    let map = match body {
        None | Some(Json::Null) => Map::new(),
        Some(Json::Object(map)) => map,
        Some(_) => return Err(Failure::field("", "Send a JSON object.")),
    };
    Ok(Modes {
        step: flag(&map, "step_mode")?,
        checkpoint: flag(&map, "checkpoint_mode")?,
        monitoring: monitoring(&map)?,
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
