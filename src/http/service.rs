//! `/-/…`: what commands and operators need besides objects.

mod backup;
mod console;
mod fsck;
mod lines;
mod offers;
mod refs;
mod status;
mod token;
mod trace;
mod transfer;

use std::sync::Arc;

use axum::body::Body;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::process::command;
use super::route::{Answer, Ask, nothing};
use super::table::Resource;

/// Routes a request below `/-/`.
pub(super) async fn handle(ask: &Arc<Ask>, body: Body) -> Answer {
    match ask.row.resource {
        Resource::Candidates => ask.blocking(offers::candidates).await,
        Resource::Refs => ask.blocking(refs::refs).await,
        Resource::Status => ask.blocking(status::status).await,
        Resource::Console => console::follow(ask).await,
        Resource::Trace => ask.blocking(trace::trace).await,
        Resource::Token | Resource::TokenRevoke => {
            let body = ask.body(body).await?;
            let revoke = ask.row.resource == Resource::TokenRevoke;
            ask.blocking(move |ask| token::handle(ask, body, revoke)).await
        }
        Resource::ProcessCommand => {
            let body = ask.body(body).await?;
            let asked = Arc::clone(ask);
            // Each of many is a commit.
            ask.service.pool.wait(move || command::command(&asked, body)).await
        }
        Resource::Fsck => {
            let body = ask.body(body).await?;
            let asked = Arc::clone(ask);
            // It may take minutes: it does not hold a place of the quick requests.
            ask.service.pool.wait(move || fsck::fsck(&asked, body)).await
        }
        Resource::Backup => backup::backup(ask).await,
        Resource::Restore => backup::restore(ask, ask.body(body).await?),
        Resource::ExportDir => transfer::export(ask, ask.body(body).await?),
        Resource::ImportDir => transfer::import(ask, ask.body(body).await?),
        _ => Err(nothing()),
    }
}

/// Only for whoever may do everything.
pub(super) fn privileged(ask: &Ask) -> Result<(), Fault> {
    if ask.service.tree.view().privileged(ask.who.user) {
        return Ok(());
    }
    Err(Fault::new(Kind::Denied, message!("http.privileged_only")))
}
