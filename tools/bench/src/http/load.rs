//! Sends requests over connections that stay open, and counts the answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most bytes of the head of an answer.
const HEAD_MAX: usize = 16 * 1024;

pub(super) type Target = SocketAddr;

/// The bytes of a request; several are sent in turn.
#[derive(Debug, Clone)]
pub(super) struct Request(Vec<Vec<u8>>);

impl Request {
    fn new(method: &str, path: &str, token: &str, body: &str) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
        if !token.is_empty() {
            head.push_str(&format!("Authorization: Token {token}\r\n"));
        }
        head.push_str("Accept: application/json\r\n");
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(body);
        Self(vec![head.into_bytes()])
    }

    pub(super) fn get(path: &str, token: &str) -> Self {
        Self::new("GET", path, token, "")
    }

    /// A change of an object of its own, there and back again: one that changes nothing is
    /// nothing to write.
    pub(super) fn patch(number: usize, token: &str) -> Self {
        let path = super::peer::object_of(number);
        let bodies =
            super::peer::TEXTS.map(|text| format!(r#"{{"fields": {{"text": "{text}"}}}}"#));
        let requests = bodies.iter().flat_map(|body| Self::new("PATCH", &path, token, body).0);
        Self(requests.collect())
    }

    pub(super) fn wait(seconds: u64, token: &str) -> Self {
        let body = format!("{{\"timeout\": {seconds}}}");
        Self::new("POST", &format!("{}.recv", super::peer::CHANNEL), token, &body)
    }
}

/// A connection and what was read from it beyond the answers so far.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(target: Target) -> Result<Self, String> {
        let stream = TcpStream::connect(target).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(HEAD_MAX) })
    }

    /// Sends the request whose turn it is.
    async fn send(&mut self, request: &Request, turn: usize) -> Result<(), String> {
        let bytes = request.0.get(turn % request.0.len()).map_or(&[][..], Vec::as_slice);
        self.stream.write_all(bytes).await.map_err(|error| error.to_string())
    }

    /// Reads one answer whose length is said; its body.
    async fn answer(&mut self) -> Result<Vec<u8>, String> {
        self.buffer.clear();
        let (body, length) = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.get(..end).unwrap_or_default();
                if !head.starts_with(b"HTTP/1.1 2") {
                    return Err(String::from_utf8_lossy(&self.buffer).into_owned());
                }
                break (end + 4, length(head).ok_or("an answer without a length")?);
            }
            if self.buffer.len() > HEAD_MAX {
                return Err("an endless head".to_owned());
            }
            self.more().await?;
        };
        while self.buffer.len() < body + length {
            self.more().await?;
        }
        Ok(self.buffer.get(body..body + length).unwrap_or_default().to_vec())
    }

    async fn more(&mut self) -> Result<(), String> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|&byte| byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))
        .and_then(|line| std::str::from_utf8(&line[NAME.len()..]).ok()?.trim().parse().ok())
}

/// One request; the body of its answer.
pub(super) async fn once(target: &Target, request: &Request) -> Result<String, String> {
    let mut connection = Connection::open(*target).await?;
    connection.send(request, 0).await?;
    String::from_utf8(connection.answer().await?).map_err(|error| error.to_string())
}

/// Answers in a second: one connection for each of `requests`, which sends it again and again.
pub(super) async fn rate(
    target: &Target,
    requests: &[Request],
    seconds: Duration,
) -> Result<f64, String> {
    let mut connections = Vec::with_capacity(requests.len());
    for request in requests {
        let mut connection = Connection::open(*target).await?;
        // Warm, and known to be answered.
        connection.send(request, 0).await?;
        connection.answer().await?;
        connections.push((connection, request.clone()));
    }
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut connection, request) in connections {
        tasks.spawn(async move {
            let mut count = 0;
            while start.elapsed() < seconds {
                connection.send(&request, count + 1).await?;
                connection.answer().await?;
                count += 1;
            }
            Ok::<usize, String>(count)
        });
    }
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        all += done.map_err(|error| error.to_string())??;
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

/// Sends a request over each of many connections and leaves them open.
pub(super) async fn hold(
    target: &Target,
    request: &Request,
    count: usize,
) -> Result<Vec<TcpStream>, String> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(*target).await?;
        connection.send(request, 0).await?;
        held.push(connection.stream);
    }
    Ok(held)
}

/// Takes as many descriptors as there may be.
pub(super) fn raise_descriptors() -> Result<(), String> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|error| error.to_string())
}
