//! HTTP requests of jobflows (rule: `language/urlopen`).
//!
//! Redirects are followed here and not by the client, so that they can be told and bounded. No
//! proxy of the surroundings is used: only what a request names.

use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, multipart, redirect};

use super::Charset;
use super::network::{self, Network, Trust};

/// Most bytes of a response that are taken.
///
/// Ours: the response becomes a value of a process, and values have a limit.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most redirects of one request.
const REDIRECTS_MAX: usize = 30;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE` or `HEAD`.
    pub method: String,
    /// Where, without `params`.
    pub url: String,
    /// Added to the query.
    pub params: Vec<(String, String)>,
    /// Headers beside those of the body.
    pub headers: Vec<(String, String)>,
    /// Sent as one `Cookie` header.
    pub cookies: Vec<(String, String)>,
    /// User and password of basic authentication.
    pub login: Option<(String, String)>,
    /// The body.
    pub body: Body,
    /// Total time; `None` is without end.
    pub timeout: Option<Duration>,
    /// Certificates are checked.
    pub verify: bool,
    /// The charset of the response, whatever it says itself.
    pub charset: Option<String>,
    /// The response is bytes, whatever it says itself.
    pub binary: bool,
    /// Proxies for `http` and `https`.
    pub proxies: Vec<(String, String)>,
}

/// A body.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Bytes and their media type.
    Bytes(Vec<u8>, Option<String>),
    /// Form fields and files.
    Form(Vec<(String, String)>, Vec<Part>),
}

/// A file of a form.
#[derive(Debug, Clone)]
pub struct Part {
    /// The form's field.
    pub field: String,
    /// The file's name.
    pub name: String,
    /// Its content.
    pub data: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Of the last answer, redirects followed.
    pub url: String,
    /// Its status.
    pub code: u16,
    /// 10, 11, 20.
    pub version: u8,
    /// Headers, in order; the values of one name are joined with a comma.
    pub headers: Vec<(String, String)>,
    /// Cookies that were set.
    pub cookies: Vec<(String, String)>,
    /// Redirects: status and address.
    pub history: Vec<(u16, String)>,
    /// The content.
    pub content: Vec<u8>,
    /// The content as text, and its charset; `None` when it is binary.
    pub text: Option<(String, String)>,
}

/// Carries a request out. Every answer is one, whatever its status.
///
/// # Errors
/// No connection, out of time, a bad certificate, a response that is too large: in words.
pub async fn fetch(request: &Request) -> Result<Response, String> {
    let client = client(request, &Network::default())?;
    let work = follow(&client, request);
    match request.timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(format!("time limit of {} seconds exceeded", limit.as_secs_f64()))
        }),
    }
}

/// A client that follows no redirects and takes no proxy of its own accord.
pub(super) fn client(request: &Request, network: &Network) -> Result<Client, String> {
    // The first one wins; all of ours are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("kompira-fs/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(network.names.clone())
        .danger_accept_invalid_certs(!request.verify);
    if let Trust::Only(authorities) = &network.trust {
        let all: Result<Vec<_>, _> =
            authorities.iter().map(|one| reqwest::Certificate::from_der(one)).collect();
        builder = builder.tls_certs_only(all.map_err(|error| told(&error))?);
    }
    for (scheme, url) in &request.proxies {
        let proxy = match scheme.as_str() {
            "http" => reqwest::Proxy::http(url.as_str()),
            "https" => reqwest::Proxy::https(url.as_str()),
            other => return Err(format!("no proxy is used for '{other}'")),
        };
        builder = builder.proxy(proxy.map_err(|error| told(&error))?);
    }
    builder.build().map_err(|error| told(&error))
}

async fn follow(client: &Client, request: &Request) -> Result<Response, String> {
    let mut url = Url::parse(&request.url).map_err(|error| format!("{}: {error}", request.url))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme '{}' is not supported", url.scheme()));
    }
    if !request.params.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.params);
    }
    let origin = url.origin();
    let mut method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("the method '{}' is not supported", request.method))?;
    let mut body = &request.body;
    let mut history = Vec::new();
    let mut cookies = Vec::new();
    loop {
        let mine = url.origin() == origin;
        let sent = one(client, request, &method, url.clone(), body, mine)?;
        let answer = sent.send().await.map_err(|error| told(&error))?;
        cookies.extend(answer.headers().get_all(header::SET_COOKIE).iter().filter_map(cookie));
        let code = answer.status().as_u16();
        let next = answer
            .headers()
            .get(header::LOCATION)
            .and_then(|to| to.to_str().ok())
            .filter(|_| matches!(code, 301 | 302 | 303 | 307 | 308));
        let Some(next) = next else {
            return take(request, answer, history, cookies).await;
        };
        if history.len() >= REDIRECTS_MAX {
            return Err(format!("more than {REDIRECTS_MAX} redirects"));
        }
        let next = url.join(next).map_err(|error| format!("redirect to {next}: {error}"))?;
        history.push((code, url.to_string()));
        url = next;
        if code == 303 || (matches!(code, 301 | 302) && method == Method::POST) {
            if method != Method::HEAD {
                method = Method::GET;
            }
            body = &Body::Empty;
        }
    }
}

/// One request; login, cookies and own headers go to the host that was named, and to no other.
fn one(
    client: &Client,
    request: &Request,
    method: &Method,
    url: Url,
    body: &Body,
    mine: bool,
) -> Result<reqwest::RequestBuilder, String> {
    let mut sent = client.request(method.clone(), url);
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("'{name}' is no name of a header"))?;
        if !mine && matches!(name, header::AUTHORIZATION | header::COOKIE) {
            continue;
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of the header '{name}' cannot be sent"))?;
        headers.insert(name, value);
    }
    if mine && !request.cookies.is_empty() {
        let all: Vec<String> =
            request.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let value = HeaderValue::from_str(&all.join("; "))
            .map_err(|_| "the cookies cannot be sent".to_owned())?;
        headers.insert(header::COOKIE, value);
    }
    match body {
        Body::Empty => {}
        Body::Bytes(bytes, kind) => {
            if let Some(kind) = kind
                && !headers.contains_key(header::CONTENT_TYPE)
            {
                sent = sent.header(header::CONTENT_TYPE, kind);
            }
            sent = sent.body(bytes.clone());
        }
        Body::Form(fields, parts) => {
            let mut form = multipart::Form::new();
            for (name, value) in fields {
                form = form.text(name.clone(), value.clone());
            }
            for part in parts {
                let file = multipart::Part::bytes(part.data.clone()).file_name(part.name.clone());
                form = form.part(part.field.clone(), file);
            }
            sent = sent.multipart(form);
        }
    }
    sent = sent.headers(headers);
    if let Some((user, password)) = request.login.as_ref().filter(|_| mine) {
        sent = sent.basic_auth(user, Some(password));
    }
    Ok(sent)
}

async fn take(
    request: &Request,
    mut answer: reqwest::Response,
    history: Vec<(u16, String)>,
    cookies: Vec<(String, String)>,
) -> Result<Response, String> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in answer.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        match headers.iter_mut().find(|(held, _)| held == name.as_str()) {
            Some((_, held)) => held.extend([", ", &value]),
            None => headers.push((name.as_str().to_owned(), value.into_owned())),
        }
    }
    let kind = headers.iter().find(|(name, _)| name == "content-type");
    let kind = kind.map(|(_, value)| value.to_ascii_lowercase()).unwrap_or_default();
    let (url, code) = (answer.url().to_string(), answer.status().as_u16());
    let version = match answer.version() {
        reqwest::Version::HTTP_09 => 9,
        reqwest::Version::HTTP_10 => 10,
        reqwest::Version::HTTP_2 => 20,
        reqwest::Version::HTTP_3 => 30,
        _ => 11,
    };
    let mut content = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| told(&error))? {
        if content.len() + chunk.len() > RESPONSE_BYTES_MAX {
            return Err(format!("the response is longer than {} MB", RESPONSE_BYTES_MAX >> 20));
        }
        content.extend_from_slice(&chunk);
    }
    let text = match request.binary || is_binary(&kind) {
        true => None,
        false => Some(decode(request.charset.as_deref(), &kind, &content)?),
    };
    Ok(Response { url, code, version, headers, cookies, history, content, text })
}

fn is_binary(kind: &str) -> bool {
    let media = kind.split(';').next().unwrap_or_default();
    let main = media.split('/').next().unwrap_or_default().trim();
    matches!(main, "image" | "audio" | "video")
        || media.contains("octet")
        || media.contains("binary")
}

/// The text and the name of its charset; what does not fit is shown as U+FFFD.
fn decode(asked: Option<&str>, kind: &str, content: &[u8]) -> Result<(String, String), String> {
    let said = kind.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
    let said = said.map(|name| name.trim_matches('"'));
    let charset = match asked {
        Some(name) => Charset::find(name).ok_or_else(|| format!("unknown encoding: {name}"))?,
        None => said.and_then(Charset::find).unwrap_or(Charset::UTF_8),
    };
    let text = charset.decode(content).unwrap_or_else(|| charset.stream().feed(content, true));
    Ok((text, charset.name().to_ascii_lowercase()))
}

fn cookie(value: &HeaderValue) -> Option<(String, String)> {
    let text = value.to_str().ok()?;
    let (name, value) = text.split(';').next()?.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// An error with its causes, in one line.
pub(super) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(why) = network::bad_certificate(error) {
        return why;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.extend([": ", &inner_text]);
        }
        cause = inner.source();
    }
    text
}
