//! `/-/status`: what runs here.

use axum::http::StatusCode;
use serde_json::json;

use crate::http::answer;
use crate::http::route::{Answer, Ask};
use crate::http::value::{datetime, timedelta};

pub(super) fn status(ask: &Ask) -> Answer {
    super::privileged(ask)?;
    let about = &ask.service.about;
    let view = ask.service.tree.view();
    let up = ask.service.clock.now().duration_since(about.started);
    let up = jiff::SignedDuration::from_secs(up.as_secs());
    let store = match ask.service.tree.store().health() {
        Ok(()) => "ok".to_owned(),
        Err(fault) => answer::text(fault.told()),
    };
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "ready": ask.service.is_ready(),
        "started": datetime(about.started),
        "up": timedelta(up),
        "data": about.data.display().to_string(),
        "listen": about.listen,
        "mounts": about.mounts,
        "waiting": ask.service.hub.waiting(),
        "engine": ask.service.engine.is_some(),
        "store": store,
        "revision": view.rev().0,
    });
    Ok(answer::json(StatusCode::OK, &body))
}
