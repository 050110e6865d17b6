//! `/-/token`: API tokens (rule: http/tokens).

use axum::http::StatusCode;
use serde_json::{Value as Json, json};

use crate::http::answer::{self, Failure};
use crate::http::route::{Answer, Ask};

/// Makes a token for `{"user"}`, or revokes all of that user's.
pub(super) fn handle(ask: &Ask, body: Option<Json>, revoke: bool) -> Answer {
    super::privileged(ask)?;
    let name = body.as_ref().and_then(|body| body.get("user")).and_then(Json::as_str);
    let name = name.ok_or_else(|| Failure::field("user", "This field is required."))?;
    let view = ask.service.tree.view();
    let user = view
        .user_by_name(name)
        .ok_or_else(|| Failure::field("user", format!("User '{name}' does not exist.")))?;
    let done = ask.write(|txn| {
        if revoke {
            txn.revoke_tokens(user.id)?;
            return Ok(json!({"user": name}));
        }
        let token = txn.create_token(user.id, "kompira token create")?;
        Ok(json!({"user": name, "token": token.as_str()}))
    })?;
    Ok(answer::json(if revoke { StatusCode::OK } else { StatusCode::CREATED }, &done.value))
}
