//! `.send` and `.recv` of channels (rules: http/send, http/recv).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::json;
use kompira_schema::limits::POLL_SECONDS_MAX;
use kompira_schema::message;
use kompira_schema::value::{Ref, Value};
use serde_json::Value as Json;
use tokio::time::Sleep;

use super::answer::{self, Failure};
use super::hub::Place;
use super::route::{Answer, Ask, nothing};
use super::value::to_json;
use crate::tree::View;

/// The channel that the path names; another type has no such method.
fn channel(ask: &Ask, view: &View) -> Result<ObjectId, Failure> {
    let id = view.resolve(&ask.target.path)?;
    let def = view.type_of(id)?;
    let is_channel = def.builtin && matches!(def.name.as_str(), "Channel" | "MailChannel");
    if is_channel { Ok(id) } else { Err(nothing()) }
}

/// `POST <channel>.send`: the body is the message.
pub(super) async fn send(ask: &Arc<Ask>, body: Body) -> Answer {
    let message = ask.body(body).await?.map_or(Value::Null, |body| json::to_value(&body));
    ask.blocking(move |ask| {
        let sent = ask.write(|txn| {
            // Answered after: a path to nothing is 404 whatever the message is.
            let Ok(id) = channel(ask, txn) else { return Ok(false) };
            txn.queue_push(id, &message).map(|_| true)
        });
        let sent = sent.map_err(|fault| match fault.kind() {
            // A full queue is a state, not a rate.
            Kind::TooMany => Fault::new(Kind::Busy, fault.told().clone()),
            _ => fault,
        })?;
        if !sent.value {
            channel(ask, &ask.service.tree.view())?;
            return Err(nothing());
        }
        Ok(answer::json(StatusCode::OK, &Json::Bool(true)))
    })
    .await
}

/// The `timeout` of a long poll in seconds; absent means 0.
pub(super) fn timeout(body: Option<&Json>) -> Result<Duration, Failure> {
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
    let most = Duration::from_secs(POLL_SECONDS_MAX);
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(most).min(most))
}

/// `408`.
pub(super) fn timed_out() -> Failure {
    Fault::new(Kind::Timeout, message!("http.timeout")).into()
}

/// Waits until a long poll is to look again: when there may be something to see, and a last time at
/// its `end`, which makes it `over`.
///
/// # Errors
/// `408` when it was over already, or the server stops.
pub(super) async fn look_again(
    ask: &Ask,
    place: &Place,
    end: Pin<&mut Sleep>,
    over: &mut bool,
) -> Result<(), Failure> {
    if *over {
        return Err(timed_out());
    }
    tokio::select! {
        () = place.woken() => {}
        () = end => *over = true,
        () = ask.service.shutdown.wait() => return Err(timed_out()),
    }
    Ok(())
}

/// `POST <channel>.recv`: takes a message, waiting for one if it is asked to.
pub(super) async fn recv(ask: &Arc<Ask>, body: Body) -> Answer {
    let timeout = timeout(ask.body(body).await?.as_ref())?;
    let id = ask
        .blocking(|ask| {
            let view = ask.service.tree.view();
            let id = channel(ask, &view)?;
            let access = view.access(&ask.who, id)?;
            if access.read && access.write {
                return Ok(id);
            }
            // The door says no, and writes it down, whether there is a message or not.
            let refused = ask.write(|txn| {
                txn.queue_pop(id, 0)?;
                Err::<(), _>(Fault::new(Kind::Denied, message!("http.refused")))
            });
            Err(refused.map_or_else(Failure::from, |_| Failure::from(Fault::internal("denied"))))
        })
        .await?;
    let place = ask.service.hub.join(Ref::Object(id));
    if let Some(engine) = ask.service.engine.as_ref().filter(|_| !timeout.is_zero()) {
        engine.awaited(id);
    }
    let end = tokio::time::sleep(timeout);
    tokio::pin!(end);
    let mut over = timeout.is_zero();
    loop {
        // Whoever came earlier is served first; who does not wait sees only what nobody waits for.
        if place.is_first()
            && let Some(taken) = attempt(ask, id).await?
        {
            return Ok(taken);
        }
        look_again(ask, &place, end.as_mut(), &mut over).await?;
    }
}

/// One try. The message comes with a guard from the first moment: when the client has gone
/// before it is handed to the connection, it returns to its place in the queue.
async fn attempt(ask: &Arc<Ask>, id: ObjectId) -> Result<Option<Response>, Failure> {
    let asked = Arc::clone(ask);
    let (pool, guarded) = (ask.service.pool.clone(), Arc::clone(ask));
    let taken = pool.run(move || -> Result<_, Failure> {
        let Some((number, message)) = take(&asked, id)? else { return Ok(None) };
        let text = to_json(&asked.service.tree.view(), &message)?.to_string();
        Ok(Some((Taken { ask: Some(guarded), channel: id, number, message }, text)))
    });
    let Some((taken, text)) = taken.await? else { return Ok(None) };
    let body = Delivery { text: Some(Bytes::from(text)), taken };
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
    Ok(Some(response))
}

fn take(ask: &Ask, id: ObjectId) -> Result<Option<(u64, Value)>, Failure> {
    // Looked at first: an empty queue costs no commit and no line in the audit.
    let view = ask.service.tree.view();
    match view.queue_peek(&ask.who, id, 0) {
        Err(fault) if fault.kind() == Kind::NoMessage => return Ok(None),
        _ => {}
    }
    let taken = ask.write(|txn| txn.queue_pop(id, 0));
    match taken {
        Ok(done) => Ok(Some(done.value)),
        Err(fault) if fault.kind() == Kind::NoMessage => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// A message that was taken and not yet handed over.
struct Taken {
    ask: Option<Arc<Ask>>,
    channel: ObjectId,
    number: u64,
    message: Value,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(ask) = self.ask.take() else { return };
        let (channel, number) = (self.channel, self.number);
        let message = std::mem::take(&mut self.message);
        let back = move || {
            let done = ask.write(|txn| txn.queue_put_back(channel, number, &message));
            if let Err(fault) = done {
                tracing::error!(?fault, "a message whose receiver has gone is lost");
            }
        };
        // Dropped where nothing may block, or at the end of the program.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(back)),
            Err(_) => back(),
        }
    }
}

/// The body of the answer; the message is delivered once the connection takes it.
struct Delivery {
    text: Option<Bytes>,
    taken: Taken,
}

impl hyper::body::Body for Delivery {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let text = self.text.take();
        if text.is_some() {
            self.taken.ask = None;
        }
        Poll::Ready(text.map(|text| Ok(hyper::body::Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.text.as_ref().map_or(0, |text| text.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // rule: http/long-polls
    #[test]
    fn a_timeout_is_a_number_of_seconds_from_0() {
        for (body, seconds) in [
            (json!(null), Some(0.0)),
            (json!({}), Some(0.0)),
            (json!({"timeout": null}), Some(0.0)),
            (json!({"timeout": 1.5}), Some(1.5)),
            (json!({"timeout": 1e300}), Some(3600.0)),
            (json!({"timeout": -1}), None),
            (json!({"timeout": "1"}), None),
            (json!([1]), None),
        ] {
            let found = timeout(Some(&body)).ok().map(|time| time.as_secs_f64());
            assert_eq!(found, seconds, "{body}");
        }
    }
}
