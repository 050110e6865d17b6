//! `/-/…`: what commands and operators need besides objects.

mod backup;
mod console;
mod fsck;
mod lines;
mod refs;
mod status;
mod token;
mod transfer;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::route::{Answer, Ask, nothing, verbs};

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];

/// Routes a request below `/-/`; `path` is what follows.
pub(super) async fn handle(ask: &Arc<Ask>, path: &str, body: Body) -> Answer {
    let parts: Vec<&str> = path.split('/').collect();
    let taken = match parts.as_slice() {
        ["status"] | ["refs"] | ["console", _] => GET,
        ["token"]
        | ["token", "revoke"]
        | ["export-dir"]
        | ["import-dir"]
        | ["fsck"]
        | ["backup"]
        | ["restore"] => POST,
        _ => return Err(nothing()),
    };
    if let Some(options) = verbs(ask, taken)? {
        return Ok(options);
    }
    match parts.as_slice() {
        ["refs"] => ask.blocking(refs::refs).await,
        ["status"] => ask.blocking(status::status).await,
        ["console", number] => console::follow(ask, number).await,
        ["token", rest @ ..] => {
            let revoke = !rest.is_empty();
            let body = ask.body(body).await?;
            ask.blocking(move |ask| token::handle(ask, body, revoke)).await
        }
        ["fsck"] => {
            let body = ask.body(body).await?;
            let asked = Arc::clone(ask);
            // It may take minutes: it does not hold a place of the quick requests.
            ask.service.pool.wait(move || fsck::fsck(&asked, body)).await
        }
        ["backup"] => backup::backup(ask).await,
        ["restore"] => backup::restore(ask, ask.body(body).await?),
        ["export-dir"] => transfer::export(ask, ask.body(body).await?),
        ["import-dir"] => transfer::import(ask, ask.body(body).await?),
        _ => Err(nothing()),
    }
}

/// Only for whoever may do everything.
fn privileged(ask: &Ask) -> Result<(), Fault> {
    if ask.service.tree.view().privileged(ask.who.user) {
        return Ok(());
    }
    Err(Fault::new(Kind::Denied, message!("http.privileged_only")))
}
