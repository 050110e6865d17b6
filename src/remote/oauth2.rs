//! OAuth2 (RFC 6749): sending people to a provider, and getting tokens from it (rule:
//! `operations/mail-oauth2`).
//!
//! What a provider says is taken as hostile: it is bounded in size and time, redirects are not
//! followed since they would carry secrets elsewhere, and nothing secret is in any failure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Url, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::hide;
use super::network::Network;
use super::web;

/// Most bytes of what a provider answers. Ours: tokens have some thousand.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of a token.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// How long a provider may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How long a token lasts of which the provider does not say it.
const LASTS: Duration = Duration::from_secs(3_600);

/// The longest that a token is believed to last.
const LASTS_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// A provider, as an application that is registered there sees it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Name of the application.
    pub client_id: String,
    /// Its password; `None` for one that has none.
    pub client_secret: Option<SecretString>,
    /// Where tokens are had.
    pub token_endpoint: String,
}

/// What a token is given for.
#[derive(Debug)]
pub enum Grant<'a> {
    /// A refresh token.
    Refresh(&'a SecretString),
    /// That somebody approved.
    Code {
        /// What the provider sent him back with.
        code: &'a SecretString,
        /// Where he was sent back to.
        redirect: &'a str,
        /// What the approval sent the hash of.
        verifier: &'a SecretString,
    },
}

/// What a provider gave.
#[derive(Debug)]
pub struct Tokens {
    /// Logs in.
    pub access: SecretString,
    /// Gets the next one; `None`: the old one still does.
    pub refresh: Option<SecretString>,
    /// How long the access token lasts.
    pub lasts: Duration,
}

/// Asks a provider for tokens.
///
/// # Errors
/// No connection, a refusal, an answer that is none: in words, without secrets.
pub async fn ask(
    network: &Network,
    provider: &Provider,
    grant: Grant<'_>,
) -> Result<Tokens, String> {
    let url = endpoint(&provider.token_endpoint)?;
    let mut secrets: Vec<&SecretString> = provider.client_secret.iter().collect();
    let mut form = Zeroizing::new(format!("client_id={}", quoted(&provider.client_id)));
    let mut add = |name: &str, value: &str| {
        form.push('&');
        form.push_str(name);
        form.push('=');
        form.push_str(&quoted(value));
    };
    match grant {
        Grant::Refresh(token) => {
            add("grant_type", "refresh_token");
            add("refresh_token", token.expose_secret());
            secrets.push(token);
        }
        Grant::Code { code, redirect, verifier } => {
            add("grant_type", "authorization_code");
            add("code", code.expose_secret());
            add("redirect_uri", redirect);
            add("code_verifier", verifier.expose_secret());
            secrets.extend([code, verifier]);
        }
    }
    if let Some(secret) = &provider.client_secret {
        add("client_secret", secret.expose_secret());
    }
    let work = send(network, url, form);
    let late = |_| Err(format!("it did not answer within {} seconds", TIME_MAX.as_secs()));
    let answered = Box::pin(tokio::time::timeout(TIME_MAX, work)).await.unwrap_or_else(late);
    let told = answered.and_then(|(status, body)| read(status, &body, &secrets));
    told.map_err(|why| format!("the OAuth2 provider gives no token: {why}"))
}

/// Secrets go nowhere in the clear, but to this machine.
fn endpoint(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("the OAuth2 provider has no token_endpoint".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("token_endpoint: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("token_endpoint must begin with https://".to_owned()),
    }
}

async fn send(
    network: &Network,
    url: Url,
    form: Zeroizing<String>,
) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
    let asked = web::Request { verify: true, ..web::Request::default() };
    let client = web::client(&asked, network)?;
    let sent = client
        .post(url)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.as_bytes().to_vec());
    // The address may hold secrets of its own.
    let told = |error: reqwest::Error| web::told(&error.without_url());
    let mut answer = sent.send().await.map_err(told)?;
    let status = answer.status();
    if status.is_redirection() {
        return Err("it answers with a redirect".to_owned());
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("its answer is longer than {} KB", ANSWER_BYTES_MAX >> 10));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status.as_u16(), body))
}

#[derive(Deserialize)]
struct Said {
    access_token: Option<String>,
    refresh_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Json>,
    error: Option<String>,
    error_description: Option<String>,
}

fn read(status: u16, body: &[u8], secrets: &[&SecretString]) -> Result<Tokens, String> {
    let said: Said = serde_json::from_slice(body)
        .map_err(|_| format!("its answer (status {status}) cannot be read"))?;
    if let Some(error) = said.error {
        let detail = said.error_description.map(|text| format!(" ({text})")).unwrap_or_default();
        return Err(hide::line(&format!("{error}{detail}"), secrets));
    }
    if !(200..300).contains(&status) {
        return Err(format!("it answers with status {status}"));
    }
    if said.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("its token is of an unknown type".to_owned());
    }
    let access = token(said.access_token).ok_or("its answer holds no access token")?;
    let refresh = match said.refresh_token.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(token(Some(text)).ok_or("its refresh token cannot be used")?),
    };
    let seconds = match said.expires_in {
        Some(Json::Number(number)) => number.as_f64(),
        Some(Json::String(text)) => text.parse().ok(),
        _ => None,
    };
    let lasts = match seconds.map(|seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0))) {
        Some(Ok(lasts)) => lasts.min(LASTS_MAX),
        Some(Err(_)) => LASTS_MAX,
        None => LASTS,
    };
    Ok(Tokens { access, refresh, lasts })
}

/// A token that can be sent in a line.
fn token(text: Option<String>) -> Option<SecretString> {
    let fits = |text: &String| {
        !text.is_empty()
            && text.len() <= TOKEN_BYTES_MAX
            && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
    };
    text.filter(fits).map(SecretString::from)
}

/// Where somebody is asked to approve.
#[derive(Debug)]
pub struct Approval<'a> {
    /// The provider's page.
    pub auth_endpoint: &'a str,
    /// Name of the application.
    pub client_id: &'a str,
    /// Where he is sent back to.
    pub redirect: &'a str,
    /// What is asked for.
    pub scope: &'a [String],
    /// What he is known by when he comes back.
    pub state: &'a str,
    /// What [`Grant::Code`] proves by.
    pub verifier: &'a SecretString,
}

impl Approval<'_> {
    /// The address that he opens; what the endpoint asks for itself stays.
    ///
    /// # Errors
    /// The endpoint is no address of the web.
    pub fn url(&self) -> Result<String, String> {
        let mut url = Url::parse(self.auth_endpoint).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err("it is no address of the web".to_owned());
        }
        url.set_fragment(None);
        let scope = self.scope.join(" ");
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", self.redirect);
        if !scope.is_empty() {
            query.append_pair("scope", &scope);
        }
        query
            .append_pair("state", self.state)
            .append_pair("code_challenge", &challenge(self.verifier))
            .append_pair("code_challenge_method", "S256");
        drop(query);
        Ok(url.into())
    }
}

/// What a verifier is shown as beforehand (RFC 7636).
fn challenge(verifier: &SecretString) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret().as_bytes()))
}

/// What a provider sent somebody back with.
#[derive(Debug, Default)]
pub struct Returned {
    /// What he is known by.
    pub state: Option<String>,
    /// That he approved.
    pub code: Option<SecretString>,
    /// That he did not, or why it cannot be.
    pub error: Option<String>,
}

impl Returned {
    /// Reads it from an address, or from the query of one.
    #[must_use]
    pub fn read(address: &str) -> Self {
        let address = address.trim();
        let query = address.split_once('?').map_or(address, |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let mut returned = Self::default();
        // Only the query matters: what the address is called says nothing.
        let Ok(mut url) = Url::parse("http://localhost/") else { return returned };
        url.set_query(Some(query));
        for (name, value) in url.query_pairs() {
            match &*name {
                "state" => returned.state = Some(value.into_owned()),
                "code" => returned.code = Some(value.into_owned().into()),
                "error" => returned.error = Some(value.into_owned()),
                _ => {}
            }
        }
        returned
    }
}

/// A text inside a form.
fn quoted(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests;
