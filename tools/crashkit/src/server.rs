//! The server that is killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::client::PATIENCE;

/// A killed process is gone within this time.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Where and what is served.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) program: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) mount: Option<PathBuf>,
    pub(crate) log: PathBuf,
}

/// A running `kompira serve`.
pub(crate) struct Server {
    child: Child,
    mount: Option<PathBuf>,
    pub(crate) address: String,
}

/// How a start ended.
pub(crate) enum Begun {
    /// It serves.
    Serving(Server),
    /// It ended before it served: killed at a point, or broken.
    Ended(std::process::ExitStatus),
    /// It neither serves nor ends.
    Hung,
}

/// The program that is killed; by default the one beside this.
pub(crate) fn program(given: Option<&Path>) -> Result<PathBuf, String> {
    let program = match given {
        Some(program) => program.to_owned(),
        None => {
            std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("kompira")
        }
    };
    program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
}

impl Site {
    /// The program with the data directory, free of what our own environment says.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in ["KOMPIRA_DATA", "KOMPIRA_URL", "KOMPIRA_TOKEN", "KOMPIRA_LISTEN", "KF_FAIL"] {
            command.env_remove(name);
        }
        command.args(words).env("KOMPIRA_DATA", &self.data).stdin(Stdio::null());
        command
    }

    /// A server with nothing armed; it has to start.
    pub(crate) fn serve(&self) -> Result<Server, String> {
        match self.start("")? {
            Begun::Serving(server) => Ok(server),
            Begun::Ended(status) => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(12).collect();
                Err(format!("the server does not start ({status}):\n{}", tail.join("\n")))
            }
            Begun::Hung => Err("the server does not start within its time".into()),
        }
    }

    /// A token of root, from the server that runs.
    pub(crate) fn token(&self) -> Result<String, String> {
        let made = self.command(&["token", "create", "root"]).output();
        let made = made.map_err(|error| error.to_string())?;
        let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        if token.is_empty() { Err("no token is made".into()) } else { Ok(token) }
    }

    /// Starts a server with this armed (`""`: nothing).
    pub(crate) fn start(&self, armed: &str) -> Result<Begun, String> {
        let log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .map_err(|error| error.to_string())?;
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(&self.data).stdout(Stdio::piped()).stderr(log);
        if let Some(mount) = &self.mount {
            command.arg("--mount").arg(mount);
        }
        if !armed.is_empty() {
            command.env("KF_FAIL", armed);
        }
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("no output")?;
        let (address_is, address) = mpsc::channel();
        std::thread::spawn(move || {
            let mut url = None;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut words = line.split_whitespace();
                match words.next() {
                    Some("URL") => url = words.next().map(str::to_owned),
                    // The last line of the first screen: now everything is up.
                    Some("Ctrl-C") => {
                        let _ = address_is.send(url.take());
                    }
                    _ => {}
                }
            }
        });
        match address.recv_timeout(PATIENCE) {
            Ok(url) => {
                let url = url.ok_or("the server said no URL")?;
                let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
                Ok(Begun::Serving(Server { child, mount: self.mount.clone(), address }))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Ok(child.wait().map(Begun::Ended).map_err(|error| error.to_string())?)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                Ok(Begun::Hung)
            }
        }
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// SIGKILL, now; whether it was gone at once.
    ///
    /// A thread of the server that tells the kernel of a change while a client waits for the dead
    /// server holds both for ever; only an abort of the connection frees them. That is counted as
    /// a hang, and the run goes on.
    pub(crate) fn kill(&mut self) -> bool {
        let _ = self.child.kill();
        let start = Instant::now();
        while start.elapsed() < GONE_WITHIN {
            if self.has_ended() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Some(mount) = &self.mount {
            abort_mount(mount);
        }
        let _ = self.child.wait();
        false
    }

    /// SIGTERM; whether it ended within the patience.
    pub(crate) fn stop(&mut self) -> bool {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.has_ended() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends the connection of a mount whose server is dead.
fn abort_mount(mount: &Path) {
    let _ = Command::new("umount").arg("-f").arg(mount).stderr(Stdio::null()).status();
}

/// The mount point, made new if a dead mount is still on it.
pub(crate) fn clear_mount(mount: &Path) {
    let _ =
        Command::new("fusermount3").args(["-u", "-z"]).arg(mount).stderr(Stdio::null()).status();
}
