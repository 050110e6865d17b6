//! Logins from a browser (rule: http/login).
//!
//! The cookie holds a secret that scripts cannot read. What changes something must also send a
//! word that follows from the secret and that only our own pages were told: other sites make a
//! browser send the cookie, but cannot read the word.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::{self, Failure};
use super::body;
use super::route::{Answer, Ask};

/// Name of the cookie.
const COOKIE: &str = "kompira_session";
/// Header that carries the word.
const CSRF_HEADER: &str = "x-csrftoken";
/// Name of the cookie that tells our pages the word.
const CSRF_COOKIE: &str = "csrftoken";
/// Most bytes of a secret; ours have 64.
const SECRET_BYTES_MAX: usize = 128;
/// Two weeks (documented).
const SECONDS: u64 = 336 * 3600;

/// The secret that a request brings.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, secret)| secret)
        .filter(|secret| !secret.is_empty() && secret.len() <= SECRET_BYTES_MAX)
}

/// The word that belongs to a secret.
fn word(secret: &str) -> String {
    let key = blake3::derive_key("kompira csrf 1", secret.as_bytes());
    key.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the request knows the word.
pub(super) fn proves(headers: &HeaderMap, secret: &str) -> bool {
    let said = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    // Compared as hashes: time tells nothing about how much of it is right.
    blake3::hash(said) == blake3::hash(word(secret).as_bytes())
}

/// `POST /-/login {"username", "password"}`.
pub(super) async fn login(ask: &Arc<Ask>, body: Body) -> Answer {
    let body = body::object(ask.body(body).await?)?;
    ask.blocking(move |ask| {
        let missing = |key: &str| Failure::field(key, "This field is required.");
        let name = body::text(&body, "username")?.ok_or_else(|| missing("username"))?;
        let clear = body::text(&body, "password")?.ok_or_else(|| missing("password"))?;
        let clear = Zeroizing::new(clear);
        let tree = &ask.service.tree;
        let who = Caller { interface: Interface::Web, ..ask.who.clone() };
        let id = tree.login(&name, &clear, &who).map_err(|fault| match fault.kind() {
            Kind::Unauthenticated => Failure::Login,
            _ => Failure::Fault(fault),
        })?;
        let secret = tree.open_session(&Caller { user: id, ..who }, id)?;
        let word = word(&secret);
        let body = json!({
            "user": name,
            "abspath": format!("/config/user/id_{id}"),
            "csrf_token": word,
            "max_age": SECONDS,
        });
        let mut response = answer::json(StatusCode::OK, &body);
        set(ask, &mut response, COOKIE, &secret, SECONDS, true);
        set(ask, &mut response, CSRF_COOKIE, &word, SECONDS, false);
        Ok(response)
    })
    .await
}

/// `POST /-/logout`: ends the login whose cookie is sent.
pub(super) fn logout(ask: &Ask) -> Answer {
    let Some(secret) = cookie(&ask.headers) else {
        return Err(Fault::new(Kind::Unauthenticated, message!("http.no_credentials")).into());
    };
    ask.service.tree.close_session(&ask.who, secret)?;
    let mut response = answer::nothing();
    set(ask, &mut response, COOKIE, "", 0, true);
    set(ask, &mut response, CSRF_COOKIE, "", 0, false);
    Ok(response)
}

fn set(ask: &Ask, response: &mut Response, name: &str, value: &str, seconds: u64, hidden: bool) {
    let hidden = if hidden { "; HttpOnly" } else { "" };
    let secure = if ask.base().starts_with("https:") { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{hidden}{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/login
    #[test]
    fn the_word_follows_from_the_secret_alone() {
        let secret = "ab".repeat(32);
        let mut headers = HeaderMap::new();
        let cookies = format!("theme=dark; {COOKIE}={secret}; x=y");
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(cookie(&headers), Some(secret.as_str()));
        assert!(!proves(&headers, &secret));
        headers.insert(CSRF_HEADER, word(&secret).parse().unwrap());
        assert!(proves(&headers, &secret));
        assert!(!proves(&headers, "another"));
        assert!(!word(&secret).contains(&secret));
    }
}
