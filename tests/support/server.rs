//! A real `kompira serve` on a fresh directory and a free port.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;

/// Nothing a healthy machine does takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub struct Server {
    child: Option<Child>,
    data: PathBuf,
    mount: Option<PathBuf>,
    url: String,
    token: String,
    password: Option<String>,
    _dir: Option<tempfile::TempDir>,
}

/// How to start a server.
#[derive(Default, Clone)]
pub struct Options {
    /// Also mount the tree; the directory is below the data's parent.
    pub mount: bool,
    /// Further arguments of `serve`.
    pub args: Vec<String>,
    /// Further environment, as `KF_FAIL`.
    pub env: Vec<(String, String)>,
}

/// The program under test; no variable of the caller's environment names a server to it.
pub fn kompira() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kompira"));
    for name in ["KOMPIRA_DATA", "KOMPIRA_URL", "KOMPIRA_TOKEN", "KOMPIRA_LISTEN", "KF_FAIL"] {
        command.env_remove(name);
    }
    command
}

impl Server {
    /// A server on a fresh directory.
    pub fn start() -> Self {
        Self::with(&Options::default())
    }

    /// A server on a fresh directory, with options.
    pub fn with(options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut server = Self::on(&data, options);
        server._dir = Some(dir);
        server
    }

    /// A server on a directory that outlives it.
    pub fn on(data: &Path, options: &Options) -> Self {
        let mount = options.mount.then(|| data.parent().unwrap().join("mount"));
        let mut command = kompira();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        if let Some(mount) = &mount {
            command.arg("--mount").arg(mount);
        }
        command.args(&options.args).envs(options.env.iter().cloned());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("serve starts");
        let (url, password) = announced(&mut child);
        let mut server = Self {
            child: Some(child),
            data: data.to_owned(),
            mount,
            url,
            token: String::new(),
            password,
            _dir: None,
        };
        server.token = server.stdout(&["token", "create", "root"]).trim().to_owned();
        assert!(!server.token.is_empty());
        server
    }

    /// Base URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token of `root`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Password of `root`, if this start made the store.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The mount point.
    pub fn mount(&self) -> &Path {
        self.mount.as_deref().expect("started with a mount")
    }

    /// A client with the token of `root`.
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(&self.token))
    }

    /// A client without credentials.
    pub fn stranger(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// A command that talks to this server.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = kompira();
        command.args(args).env("KOMPIRA_DATA", &self.data);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub fn stdout(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kompira {args:?}: {:?} {error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Process number of the server.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal, as in `TERM`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Stops it cleanly; its exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("the server does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(10) {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads URL and password from the first screen; keeps reading what comes after.
fn announced(child: &mut Child) -> (String, Option<String>) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut url, mut password) = (None, None);
    for line in lines.by_ref() {
        let line = line.unwrap();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("URL") => url = words.next().map(str::to_owned),
            Some("login") => password = words.nth(2).map(str::to_owned),
            Some("Ctrl-C") => break,
            _ => {}
        }
    }
    std::thread::spawn(move || lines.for_each(drop));
    let Some(url) = url else {
        let status = child.wait().unwrap();
        panic!("the server announced no URL and ended with {status}");
    };
    (url, password)
}
