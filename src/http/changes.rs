//! `/-/changes`: the change feed as server-sent events (rule: http/changes).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use kompira_schema::error::Fault;
use kompira_schema::id::Rev;
use kompira_schema::tree::Caller;
use kompira_schema::value::Ref;
use serde_json::{Value as Json, json};
use tokio::sync::watch;

use super::answer::Failure;
use super::identity;
use super::route::{Answer, Ask};
use super::value::datetime;
use crate::store::{Changed, CommitInfo, EntryKind, Place, What};
use crate::tree::View;

/// Commits read at a time.
const CHUNK: usize = 256;
/// A sign of life for proxies, and how often the login is looked at again.
const BEAT: Duration = Duration::from_secs(15);

struct Feed {
    ask: Arc<Ask>,
    last: Rev,
    news: watch::Receiver<Rev>,
    waiting: VecDeque<String>,
}

/// Opens the feed: after the revision of `Last-Event-ID` (or `from`), else from now on.
pub(super) async fn changes(ask: &Arc<Ask>) -> Answer {
    let news = ask.service.hub.revisions();
    let said = ask.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let said =
        said.map(str::trim).filter(|text| !text.is_empty()).or_else(|| ask.query.get("from"));
    let present = ask.service.tree.store().rev();
    let last = match said.map(str::parse::<u64>) {
        None => present,
        Some(Ok(rev)) if rev <= present.0 => Rev(rev),
        // From another life of this store, restored from an archive perhaps.
        Some(Ok(_)) => Rev(0),
        Some(Err(_)) => return Err(Failure::field("from", "A revision: a whole number.")),
    };
    let first = event("start", last, &json!({"rev": last.0}));
    let waiting = VecDeque::from([format!("retry: 2000\n{first}")]);
    let feed = Feed { ask: Arc::clone(ask), last, news, waiting };
    let stream = futures::stream::unfold(feed, |mut feed| async move {
        let text = feed.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), feed))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Feed {
    /// The next piece of the body; `None` ends it.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(text) = self.waiting.pop_front() {
                return Some(text);
            }
            self.news.borrow_and_update();
            let last = self.last;
            let read = self.ask.blocking(move |ask| read(ask, last)).await;
            match read {
                Ok((last, texts)) if last > self.last => {
                    self.last = last;
                    self.waiting.extend(texts);
                    continue;
                }
                Ok(_) => {}
                Err(failure) => {
                    tracing::debug!(target: "kompira::http", ?failure, "a change feed ends");
                    return None;
                }
            }
            tokio::select! {
                changed = self.news.changed() => changed.ok()?,
                () = tokio::time::sleep(BEAT) => {
                    let known = self.ask.blocking(identity::again).await;
                    known.ok()?;
                    return Some(": \n\n".to_owned());
                }
                () = self.ask.service.shutdown.wait() => return None,
            }
        }
    }
}

fn event(name: &str, rev: Rev, data: &Json) -> String {
    format!("event: {name}\nid: {rev}\ndata: {data}\n\n")
}

/// The events after `last`, and the revision up to which they tell all.
fn read(ask: &Ask, last: Rev) -> Result<(Rev, Vec<String>), Failure> {
    let view = ask.service.tree.view();
    if view.rev() <= last {
        return Ok((last, Vec::new()));
    }
    let Some(commits) = view.snapshot().changes_since(last, CHUNK)? else {
        // Some are no longer kept: whoever follows reads everything anew.
        let rev = view.rev();
        return Ok((rev, vec![event("reset", rev, &json!({"rev": rev.0}))]));
    };
    // A login that has ended meanwhile hears no more.
    identity::again(ask)?;
    let mut texts = Vec::new();
    let mut upto = last;
    for commit in commits {
        upto = commit.rev;
        if let Some(told) = told(ask, &view, &commit)? {
            texts.push(event("change", commit.rev, &told));
        }
    }
    Ok((upto, texts))
}

/// A commit as the caller may know it.
fn told(ask: &Ask, view: &View, commit: &CommitInfo) -> Result<Option<Json>, Fault> {
    let mut changes = Vec::new();
    for changed in &commit.changes {
        if let Some(change) = change(ask, view, changed)? {
            changes.push(change);
        }
    }
    let by = commit.by.and_then(|id| view.user(id)).map(|user| user.username.clone());
    Ok((!changes.is_empty()).then(|| {
        json!({
            "rev": commit.rev.0,
            "time": datetime(commit.time),
            "by": by,
            "changes": changes,
        })
    }))
}

fn change(ask: &Ask, view: &View, changed: &Changed) -> Result<Option<Json>, Fault> {
    let who = &ask.who;
    let is_scratch = changed.place.as_ref().is_some_and(|place| place.kind == EntryKind::Scratch);
    let shown = match changed.subject {
        Ref::Object(_) if is_scratch => false,
        // What is gone by now was listed by its container.
        Ref::Object(id) => match (view.head(id), &changed.place) {
            (Ok(head), _) if head.is_object() => view.access_of(who, &head)?.read,
            (_, Some(place)) => readable(view, who, place)?,
            (_, None) => view.privileged(who.user),
        },
        Ref::User(_) | Ref::Group(_) | Ref::Incident(_) => true,
        Ref::Process(id) => {
            let engine = ask.service.engine.as_ref();
            view.privileged(who.user) || engine.is_some_and(|engine| engine.info(who, id).is_ok())
        }
        target @ (Ref::Schedule(_) | Ref::Task(_)) => {
            view.sees_special(who, target)? || view.privileged(who.user)
        }
    };
    if !shown {
        return Ok(None);
    }
    let path = match (&changed.place, changed.subject) {
        (Some(place), _) => path_at(view, place),
        (None, subject) => view.reference_path(subject),
    };
    let from = match &changed.old {
        Some(place) if readable(view, who, place)? => path_at(view, place),
        _ => None,
    };
    let id = match changed.subject {
        Ref::Object(id) => id.0,
        Ref::User(id) => id.0,
        Ref::Group(id) => id.0,
        Ref::Process(id) => id.0,
        Ref::Schedule(id) => id.0,
        Ref::Task(id) => id.0,
        Ref::Incident(id) => id.0,
    };
    let path = path.or_else(|| root_of(changed.subject).map(|root| format!("{root}/id_{id}")));
    Ok(Some(json!({"what": word(changed.what), "id": id, "abspath": path, "from": from})))
}

/// The collection of a thing that is no object.
const fn root_of(subject: Ref) -> Option<&'static str> {
    Some(match subject {
        Ref::Object(_) => return None,
        Ref::User(_) => "/config/user",
        Ref::Group(_) => "/config/group",
        Ref::Process(_) => "/process",
        Ref::Schedule(_) => "/scheduler",
        Ref::Task(_) => "/task",
        Ref::Incident(_) => "/incident",
    })
}

fn readable(view: &View, who: &Caller, place: &Place) -> Result<bool, Fault> {
    if view.head(place.parent).is_err() {
        return Ok(view.privileged(who.user));
    }
    Ok(view.access(who, place.parent)?.read)
}

fn path_at(view: &View, place: &Place) -> Option<String> {
    let parent = view.path_of(place.parent)?;
    let parent = if parent.is_root() { "" } else { parent.as_str() };
    Some(format!("{parent}/{}", place.name))
}

const fn word(what: What) -> &'static str {
    match what {
        What::Created => "created",
        What::Removed => "removed",
        What::Moved => "moved",
        What::Content | What::Record | What::Queue => "changed",
        What::Attr => "touched",
    }
}
