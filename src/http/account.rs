//! `.authorize` of a mail account, and where its provider sends people back to (rule: http/oauth2).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::json;

use super::object::engine;
use crate::engine::tokens::APPROVAL_TIME_MAX;
use crate::http::answer::{self, Failure};
use crate::http::body::{self, text};
use crate::http::route::{Answer, Ask, nothing};
use crate::remote::oauth2::Returned;

/// Where we listen for the end of an approval.
const CALLBACK: &str = "/-/oauth2";

/// Most bytes of the address that a browser was sent back to.
const ADDRESS_BYTES_MAX: usize = 16 * 1024;

/// `POST` begins an approval, or ends it with the address that the browser was sent back to;
/// `DELETE` empties the tokens.
pub(super) async fn authorize(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = ask.body(body).await?;
    let engine = engine(ask)?.clone();
    let id = ask
        .blocking(|ask| {
            let view = ask.service.tree.view();
            let id = view.resolve(&ask.target.path)?;
            let kind = view.type_of(id)?;
            if !kind.is_builtin("MailChannel") && !kind.is_builtin("SmtpServer") {
                return Err(nothing());
            }
            view.mail_account(&ask.who, id)?;
            Ok(id)
        })
        .await?;
    if ask.method == Method::DELETE {
        return ask
            .blocking(move |ask| {
                engine.clear_tokens(&ask.who, id)?;
                Ok(answer::nothing())
            })
            .await;
    }
    let body = body::optional(body)?;
    if let Some(key) = body.keys().find(|key| *key != "redirected_url") {
        return Err(Failure::field(key, "No such parameter."));
    }
    let Some(address) = text(&body, "redirected_url")? else {
        return ask
            .blocking(move |ask| {
                let callback = format!("{}{CALLBACK}", ask.base());
                let begun = engine.authorize(&ask.who, id, &callback)?;
                let begun = json!({
                    "url": begun.url,
                    "redirect_url": begun.redirect,
                    "expires_in": APPROVAL_TIME_MAX.as_secs(),
                });
                Ok(answer::json(StatusCode::OK, &begun))
            })
            .await;
    };
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(Failure::field("redirected_url", "Too long."));
    }
    let path = engine.authorized(Returned::read(&address), Some((id, ask.who.user))).await?;
    Ok(answer::json(StatusCode::OK, &json!({"authorized": path.as_str()})))
}

/// A provider sends somebody back. He need not be logged in here: what he is known by is enough.
pub(super) async fn returned(ask: &Arc<Ask>) -> Answer {
    let word = |name: &str| ask.query.get(name).map(str::to_owned);
    let returned =
        Returned { state: word("state"), code: word("code").map(Into::into), error: word("error") };
    let path = engine(ask)?.clone().authorized(returned, None).await?;
    Ok(answer::json(StatusCode::OK, &json!({"authorized": path.as_str()})))
}
