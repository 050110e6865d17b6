//! `.authorize` of a mail account, and where its provider sends people back to (rule: http/oauth2).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use serde_json::json;

use super::object::engine;
use crate::engine::tokens::APPROVAL_TIME_MAX;
use crate::http::answer::{self, Failure};
use crate::http::body::{self, text};
use crate::http::identity;
use crate::http::route::{self, Answer, Ask, nothing};
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
            if view.mail_account(&ask.who, id).is_ok() {
                return Ok(id);
            }
            // The door says no, and writes it down.
            let action = if ask.method == Method::DELETE { "clear" } else { "authorize" };
            let refused = ask.write(|txn| {
                txn.set_tokens(id, None, Some(action))?;
                Err::<(), _>(Fault::new(Kind::Denied, message!("http.refused")))
            });
            Err(refused.map_or_else(Failure::from, |_| Failure::from(Fault::internal("denied"))))
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
    let path = engine.authorized(Returned::read(&address), ask.who.user, Some(id)).await?;
    Ok(answer::json(StatusCode::OK, &json!({"authorized": path.as_str()})))
}

/// A provider sends somebody back. Only the browser of the user who began ends anything: who was
/// lured to an address of somebody else approves nothing by that.
pub(super) async fn returned(ask: &Arc<Ask>) -> Answer {
    if ask.method == Method::HEAD {
        return Ok(answer::nothing());
    }
    let who = match identity::again(ask) {
        Err(Failure::Token) => {
            let token = identity::token(&ask.headers, &ask.query)?.unwrap_or_default().to_owned();
            return Err(route::unknown(&ask.service, ask.peer, token).await);
        }
        // It is not looked at what he came with.
        Err(Failure::Fault(fault)) if fault.kind() == Kind::Unauthenticated => {
            return Err(Failure::NotHere);
        }
        found => found?,
    };
    route::check_rate(&ask.service, &who)?;
    let word = |name: &str| ask.query.get(name).map(str::to_owned);
    let returned =
        Returned { state: word("state"), code: word("code").map(Into::into), error: word("error") };
    let path = engine(ask)?.clone().authorized(returned, who.user, None).await?;
    Ok(answer::json(StatusCode::OK, &json!({"authorized": path.as_str()})))
}
