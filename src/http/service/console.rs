//! `/-/console/N`: the console of a process, as it is written (rule: http/console).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use kompira_schema::id::ProcessId;
use tokio_stream::wrappers::ReceiverStream;

use crate::engine::{ConsoleEvent, ConsoleText};
use crate::http::answer::Failure;
use crate::http::object::engine;
use crate::http::route::{Answer, Ask};

/// Pieces that wait for a slow reader; then the follower waits, too.
const PIECES_MAX: usize = 16;
/// How often a follower looks whether its reader or the server has gone.
const LOOK: Duration = Duration::from_millis(500);

/// Text from byte `from`; with `follow` until the process has ended.
pub(super) async fn follow(ask: &Arc<Ask>) -> Answer {
    let id = ProcessId(ask.id);
    let from = match ask.query.get("from").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(from)) => from,
        Some(Err(_)) => return Err(Failure::field("from", "A byte offset from 0.")),
    };
    if !ask.query.switch("follow") {
        let kept = ask.blocking(move |ask| Ok(engine(ask)?.console(&ask.who, id)?)).await?;
        return Ok(text(Body::from(tail(kept, from))));
    }
    let mut stream = ask.blocking(move |ask| Ok(engine(ask)?.follow(&ask.who, id, from)?)).await?;
    let (pieces, received) =
        tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES_MAX);
    let pool = ask.service.pool.clone();
    let shutdown = ask.service.shutdown.clone();
    let copying = async move {
        let copied = pool
            .wait(move || -> Result<(), Failure> {
                loop {
                    match stream.next(LOOK)? {
                        ConsoleEvent::Text(piece) => {
                            if pieces.blocking_send(Ok(Bytes::from(piece.text))).is_err() {
                                return Ok(());
                            }
                        }
                        ConsoleEvent::Ended => return Ok(()),
                        ConsoleEvent::Idle if pieces.is_closed() || shutdown.begun() => {
                            return Ok(());
                        }
                        ConsoleEvent::Idle => {}
                    }
                }
            })
            .await;
        if let Err(failure) = copied {
            tracing::warn!(target: "kompira::http", ?failure, "a console could not be followed");
        }
    };
    tokio::spawn(copying);
    Ok(text(Body::from_stream(ReceiverStream::new(received))))
}

/// What is kept after byte `from` of all that was written.
fn tail(kept: ConsoleText, from: u64) -> String {
    let skip = usize::try_from(from.saturating_sub(kept.from)).unwrap_or(usize::MAX);
    kept.text.get(skip..).unwrap_or_default().to_owned()
}

fn text(body: Body) -> Response {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
