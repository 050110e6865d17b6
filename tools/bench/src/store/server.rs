//! A server on a data directory, asked over plain HTTP.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A running `kompira serve`; it is killed when this is dropped.
pub(super) struct Server {
    child: Child,
    address: String,
    token: String,
    connection: RefCell<Option<BufReader<TcpStream>>>,
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Server {
    /// Starts one, and waits until it says that it is ready.
    pub(super) fn start(program: &Path, data: &Path, within: Duration) -> Result<Self, String> {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(told)?;
        let output = child.stdout.take().ok_or("no output")?;
        let (address_is, address) = mpsc::channel();
        std::thread::spawn(move || {
            let mut url = String::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut words = line.split_whitespace();
                match words.next() {
                    Some("URL") => url = words.next().unwrap_or_default().to_owned(),
                    // The last line of the first screen: now everything is up.
                    Some("Ctrl-C") => {
                        let _ = address_is.send(std::mem::take(&mut url));
                    }
                    _ => {}
                }
            }
        });
        let mut server =
            Self { child, address: String::new(), token: String::new(), connection: None.into() };
        let url = address.recv_timeout(within).map_err(|_| "the server is not ready")?;
        server.address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let made = Command::new(program)
            .args(["token", "create", "root", "--data"])
            .arg(data)
            .output()
            .map_err(told)?;
        server.token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        Ok(server)
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks for a path; anything but 200 is an error.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let mut kept = self.connection.borrow_mut();
        let stream = match kept.as_mut() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address).map_err(told)?;
                stream.set_nodelay(true).map_err(told)?;
                kept.insert(BufReader::new(stream))
            }
        };
        let (address, token) = (&self.address, &self.token);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Token {token}\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).map_err(told)?;
        let mut status = String::new();
        stream.read_line(&mut status).map_err(told)?;
        let mut length = None;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).map_err(told)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse::<usize>().ok();
            }
        }
        let mut body = vec![0; length.ok_or_else(|| format!("{path}: no length: {status}"))?];
        stream.read_exact(&mut body).map_err(told)?;
        if status.split_whitespace().nth(1) == Some("200") {
            return Ok(body);
        }
        Err(format!("{path}: {} {}", status.trim_end(), String::from_utf8_lossy(&body)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
