//! The way to a server: the socket of the data directory, a URL, or a server started in-process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value as Json;

use super::Globals;
use super::talk;
use super::trouble::{Exit, Trouble};
use crate::app;
use crate::base::socket::Reachable;
use crate::http::EXEC_HEADER;
use crate::http::answer::CLIENT_HEADER;

/// How long another command that holds the data directory is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(15);
/// Pause between two looks at it.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A connection to a server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    /// Kept alive for as long as the client; ended by [`Client::close`].
    own: Option<app::Running>,
    /// Keeps the short way to a socket with a long path open.
    _reachable: Option<Reachable>,
}

/// What a command needs of the server it talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The tree: if no server runs, one is started in-process and resumes no process.
    Tree,
    /// The engine, until the command ends: likewise, with processes.
    Full,
    /// As [`Need::Tree`]; a data directory that does not exist is made.
    New,
    /// A server that already runs.
    Running,
}

impl Client {
    /// Finds or starts the server.
    pub(super) async fn connect(globals: &Globals, need: Need) -> Result<Self, Trouble> {
        // A second call finds it installed, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(url) = &globals.url {
            return Self::at_url(url, globals.token.clone());
        }
        let place = place(globals)?;
        let deadline = std::time::Instant::now() + BUSY_WAIT;
        let mut told = false;
        loop {
            match try_socket(&place.socket()).await {
                Socket::Answers => return Self::at_socket(&place.socket(), None),
                Socket::Forbidden => {
                    return Err(Trouble::new(
                        Exit::Denied,
                        format!("{} belongs to another user", place.data.display()),
                    )
                    .advise("run the command as the user who runs the server, or with KOMPIRA_URL and KOMPIRA_TOKEN"));
                }
                Socket::Silent => {}
            }
            if need == Need::Running || (need != Need::New && !place.data.exists()) {
                return Err(unreachable(&place.data));
            }
            let mode = if need == Need::Full { app::Mode::Full } else { app::Mode::Tree };
            let start =
                app::Start { create: need == Need::New, ..app::Start::private(&place.data, mode) };
            match app::start(start).await {
                Ok(running) => {
                    let socket = running.socket().to_owned();
                    return Self::at_socket(&socket, Some(running));
                }
                Err(app::StartError::Locked(holder)) => {
                    if std::time::Instant::now() >= deadline {
                        return Err(locked(&place.data, &holder));
                    }
                    if !told && !globals.quiet {
                        talk::say(format!("waiting for {holder} …"));
                        told = true;
                    }
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) => return Err(super::serve::start_trouble(&place.data, error)),
            }
        }
    }

    fn at_url(url: &str, token: Option<String>) -> Result<Self, Trouble> {
        let url = reqwest::Url::parse(url)
            .map_err(|error| Trouble::usage(format!("{url} is no URL: {error}")))?;
        if token.is_none() {
            return Err(Trouble::usage("KOMPIRA_URL is set but KOMPIRA_TOKEN is not")
                .advise("make one on the server: kompira token create USER"));
        }
        let http = builder().build().map_err(|error| Trouble::failed(error.to_string()))?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http, base, token, own: None, _reachable: None })
    }

    fn at_socket(socket: &Path, own: Option<app::Running>) -> Result<Self, Trouble> {
        let reachable = Reachable::new(socket)?;
        let http = builder()
            .unix_socket(reachable.path())
            .build()
            .map_err(|error| Trouble::failed(error.to_string()))?;
        Ok(Self {
            http,
            base: "http://localhost".to_owned(),
            token: None,
            own,
            _reachable: Some(reachable),
        })
    }

    /// A request to `path`, which is encoded already.
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("accept", "application/json")
            .header(CLIENT_HEADER, env!("CARGO_PKG_VERSION"))
            .header(EXEC_HEADER, exec());
        match &self.token {
            Some(token) => request.header("authorization", format!("Token {token}")),
            None => request,
        }
    }

    /// Sends a request and gives back the answer if it is a success.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Trouble> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response).await)
    }

    /// Sends a request and reads the JSON of the answer.
    pub(super) async fn json(&self, request: reqwest::RequestBuilder) -> Result<Json, Trouble> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| self.lost(&error))
    }

    /// `GET` of JSON.
    pub(super) async fn get(&self, path: &str) -> Result<Json, Trouble> {
        self.json(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON.
    pub(super) async fn post(&self, path: &str, body: &Json) -> Result<Json, Trouble> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// Trouble on the way.
    pub(super) fn lost(&self, error: &reqwest::Error) -> Trouble {
        let mut why: &dyn std::error::Error = error;
        while let Some(deeper) = why.source() {
            why = deeper;
        }
        Trouble::new(
            Exit::Unreachable,
            format!("the server at {} does not answer: {why}", self.base),
        )
        .advise("is it running? kompira status tells")
    }

    /// Ends the server if this command started one.
    pub(super) async fn close(mut self) {
        if let Some(running) = self.own.take() {
            running.stop().await;
        }
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
}

/// Program name and user, for the audit.
fn exec() -> String {
    let command = std::env::args().nth(1).unwrap_or_default();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid());
    let user = user.ok().flatten().map_or_else(|| "?".to_owned(), |user| user.name);
    let text = format!("kompira {command} as {user}");
    text.chars().filter(|c| c.is_ascii() && !c.is_control()).collect()
}

/// The answer's words, and the exit status they mean.
async fn refused(response: Response) -> Trouble {
    let status = response.status().as_u16();
    let body: Json = response.json().await.unwrap_or_default();
    let word = |key: &str| body.get(key).and_then(Json::as_str);
    let mut what = word("message").or_else(|| word("detail")).unwrap_or("").to_owned();
    if let Some(body) = body.as_object() {
        for (field, texts) in body {
            for text in texts.as_array().into_iter().flatten().filter_map(Json::as_str) {
                if !what.is_empty() {
                    what.push_str("\n  ");
                }
                what.push_str(&format!("{field}: {text}"));
            }
        }
    }
    if what.is_empty() {
        what = format!("the server answers {status}");
    }
    let what = match word("code") {
        Some(code) => format!("{} ({code})", talk::printable(what.trim_end())),
        None => talk::printable(&what),
    };
    let trouble = Trouble::new(Exit::of_status(status), what);
    match status {
        401 => trouble.advise("the token is missing or not valid: kompira token create USER"),
        _ => trouble,
    }
}

/// Where a server's files are.
pub(super) struct Place {
    pub(super) data: PathBuf,
}

impl Place {
    pub(super) fn socket(&self) -> PathBuf {
        app::socket_of(&self.data)
    }
}

/// The data directory: option, environment, configuration, in this order.
pub(super) fn place(globals: &Globals) -> Result<Place, Trouble> {
    if let Some(data) = &globals.data {
        return Ok(Place { data: data.clone() });
    }
    let config = super::serve::config(globals, &[])?;
    if config.setting("paths", "data").origin == crate::base::config::Origin::Default
        && let Some(data) = mounted_here()
    {
        return Ok(Place { data });
    }
    let data = config.path("paths", "data").unwrap_or_else(|| PathBuf::from("/var/opt/kompira"));
    Ok(Place { data })
}

/// The data directory of the server whose mount holds the working directory, if one does.
fn mounted_here() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    // A directory of another program's mount may have any source.
    mount_around(&mounts, &here).filter(|data| data.join("db").is_dir())
}

/// Finds the innermost mount around `here`; answers its source if it is one of ours.
fn mount_around(mountinfo: &str, here: &Path) -> Option<PathBuf> {
    let mut best: Option<(usize, &str, &str)> = None;
    for line in mountinfo.lines() {
        let (front, back) = line.split_once(" - ")?;
        let point = front.split(' ').nth(4)?;
        let mut back = back.split(' ');
        let (kind, source) = (back.next()?, back.next()?);
        let depth = Path::new(point).components().count();
        if here.starts_with(unescaped(point)) && best.is_none_or(|(most, ..)| depth >= most) {
            best = Some((depth, kind, source));
        }
    }
    match best {
        Some((_, "fuse.kompira" | "fuse", source)) if source.starts_with('/') => {
            Some(unescaped(source))
        }
        _ => None,
    }
}

/// Undoes the octal escapes of `mountinfo`.
fn unescaped(text: &str) -> PathBuf {
    let text = text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
    PathBuf::from(text)
}

enum Socket {
    Answers,
    Silent,
    Forbidden,
}

async fn try_socket(path: &Path) -> Socket {
    let Ok(reachable) = Reachable::new(path) else { return Socket::Silent };
    match tokio::net::UnixStream::connect(reachable.path()).await {
        Ok(_) => Socket::Answers,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Socket::Forbidden,
        Err(_) => Socket::Silent,
    }
}

fn unreachable(data: &Path) -> Trouble {
    Trouble::new(Exit::Unreachable, format!("no server holds {}", data.display())).advise(
        "start one: kompira serve --data DIR; or name its directory: --data DIR or KOMPIRA_DATA",
    )
}

/// The data directory is held by somebody who does not answer.
pub(super) fn locked(data: &Path, holder: &str) -> Trouble {
    Trouble::new(Exit::Unreachable, format!("{} is held by {holder}", data.display()))
        .advise("wait for it, or stop it: only one server may open a data directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/data-directory
    #[test]
    fn a_command_inside_a_mount_finds_its_server() {
        let info = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            40 22 0:50 / /home/u/my\\040tree rw,nosuid - fuse.kompira /srv/my\\040data rw\n\
            41 40 0:51 / /home/u/my\\040tree/x rw - tmpfs tmpfs rw\n";
        let found = |here: &str| mount_around(info, Path::new(here));
        assert_eq!(found("/home/u/my tree/root"), Some(PathBuf::from("/srv/my data")));
        assert_eq!(found("/home/u/my tree/x/y"), None);
        assert_eq!(found("/home/u"), None);
    }
}
