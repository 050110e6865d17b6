//! Answers that are told line by line while the work goes on: one JSON object a line.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use kompira_schema::error::Fault;
use serde_json::{Value as Json, json};
use tokio_stream::wrappers::ReceiverStream;

use crate::http::answer;
use crate::http::route::{Answer, Ask};

/// Lines that wait for a slow reader; then the work waits, too.
const LINES_MAX: usize = 256;

/// Where the work tells what it does. The work goes on when nobody reads any more.
pub(super) struct Lines(tokio::sync::mpsc::Sender<Result<Bytes, std::io::Error>>);

impl Lines {
    /// Tells one line.
    pub(super) fn tell(&self, line: &Json) {
        // A reader that has gone does not stop an import half way.
        let _ = self.0.blocking_send(Ok(Bytes::from(format!("{line}\n"))));
    }
}

/// What is told of a failure.
pub(super) fn of_fault(fault: &Fault) -> Json {
    let problems: Vec<Json> = fault
        .problems()
        .iter()
        .map(|problem| json!({"at": problem.at, "message": answer::text(&problem.message)}))
        .collect();
    let mut line = json!({
        "code": fault.kind().code(),
        "status": fault.kind().status(),
        "message": answer::text(fault.told()),
    });
    if let Some(map) = line.as_object_mut().filter(|_| !problems.is_empty()) {
        map.insert("problems".to_owned(), problems.into());
    }
    line
}

/// Runs `work`, whose answer is the last line: `{"done": …}` or `{"fault": …}`.
pub(super) fn stream(
    ask: &Arc<Ask>,
    work: impl FnOnce(&Ask, &Lines) -> Result<Json, Fault> + Send + 'static,
) -> Answer {
    let (lines, received) = tokio::sync::mpsc::channel(LINES_MAX);
    let (asked, pool) = (Arc::clone(ask), ask.service.pool.clone());
    tokio::spawn(async move {
        let failed = lines.clone();
        let worked = pool.wait(move || -> Result<(), Fault> {
            let lines = Lines(lines);
            match work(&asked, &lines) {
                Ok(done) => lines.tell(&json!({"done": done})),
                Err(fault) => {
                    tracing::warn!(target: "kompira::http", ?fault, "a long request failed");
                    lines.tell(&json!({"fault": of_fault(&fault)}));
                }
            }
            Ok(())
        });
        if let Err(fault) = worked.await {
            let line = json!({"fault": of_fault(&fault)});
            let _ = failed.send(Ok(Bytes::from(format!("{line}\n")))).await;
        }
    });
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(received)));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
