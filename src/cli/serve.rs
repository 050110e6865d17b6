//! `kompira serve`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Globals;
use super::talk;
use super::trouble::{Exit, Trouble};
use crate::app::{self, Notice, Start, StartError};
use crate::base::config::{Config, Origin, Override};
use crate::base::log;

/// Serve a data directory over HTTP, and as a mounted directory
///
/// The directory is made if it does not exist; the first start prints the generated password of
/// root once. SIGTERM and Ctrl-C stop it cleanly.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  kompira serve --data ./data --mount ./tree --listen 127.0.0.1:8080"
)]
pub(super) struct Serve {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", env = "KOMPIRA_LISTEN")]
    listen: Vec<SocketAddr>,
    /// Mount the tree on this directory
    #[arg(long, value_name = "DIR")]
    mount: Vec<PathBuf>,
    /// Password of root on an empty store, from the first line of this file
    #[arg(long, value_name = "FILE")]
    initial_password_file: Option<PathBuf>,
    /// Listen on other addresses than loopback although nothing is encrypted
    #[arg(long)]
    insecure_bind: bool,
    /// On a new store load the objects below this directory and run one of them; show a token
    #[arg(long, value_name = "DIR")]
    welcome: Option<PathBuf>,
    /// Form of the lines in log files
    #[arg(long, value_name = "FORM", default_value = "line", value_parser = ["line", "json"])]
    log_format: String,
}

impl Serve {
    pub(super) fn main(self, globals: &Globals) -> Result<ExitCode, Trouble> {
        let config = config(globals, &self.overrides())?;
        let data = match &globals.data {
            Some(data) => data.clone(),
            None => config.path("paths", "data").unwrap_or_default(),
        };
        app::make_private(&data).map_err(|error| {
            Trouble::from(error_at(&data, error))
                .advise("name a directory you may write: kompira serve --data DIR")
        })?;
        let data = std::fs::canonicalize(&data).map_err(|error| error_at(&data, error))?;
        let mut start = Start::configured(&data, &config);
        self.check_addresses(&config, &start.listen)?;
        start.initial_password = self.initial_password()?;
        for mount in &self.mount {
            start.mounts.push(std::path::absolute(mount).map_err(|error| error_at(mount, error))?);
        }
        self.start_logs(&data, &config, globals.quiet)?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("kompira-http")
            .build()
            .map_err(|error| Trouble::failed(format!("cannot start: {error}")))?;
        let welcome = match &self.welcome {
            None => None,
            Some(dir) => Some(std::fs::canonicalize(dir).map_err(|error| error_at(dir, error))?),
        };
        runtime.block_on(serve(start, welcome, globals.quiet))
    }

    fn overrides(&self) -> Vec<Override> {
        let mut overrides = Vec::new();
        let option = |name: &str| Origin::CommandLine(name.to_owned());
        if !self.listen.is_empty() {
            let list: Vec<_> = self.listen.iter().map(ToString::to_string).collect();
            overrides.push(Override {
                name: "http.listen",
                text: list.join(", "),
                origin: option("--listen"),
            });
        }
        if self.insecure_bind {
            overrides.push(Override {
                name: "http.insecure_bind",
                text: "true".to_owned(),
                origin: option("--insecure-bind"),
            });
        }
        overrides
    }

    /// Loopback only, unless somebody says that he knows (rule: operations/listen).
    fn check_addresses(&self, config: &Config, listen: &[String]) -> Result<(), Trouble> {
        let open = listen
            .iter()
            .filter_map(|address| address.parse::<SocketAddr>().ok())
            .find(|address| !address.ip().is_loopback());
        match open {
            Some(address) if !config.flag("http", "insecure_bind") => Err(Trouble::usage(format!(
                "{address} can be reached from other machines, and nothing is encrypted"
            ))
            .advise(
                "listen on 127.0.0.1 behind a TLS proxy, or say --insecure-bind \
                 ([http] insecure_bind = true)",
            )),
            _ => Ok(()),
        }
    }

    fn initial_password(&self) -> Result<Option<String>, Trouble> {
        let Some(path) = &self.initial_password_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| error_at(path, error))?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() {
            return Err(Trouble::usage(format!("{}: the first line is empty", path.display())));
        }
        Ok(Some(line.to_owned()))
    }

    fn start_logs(&self, data: &Path, config: &Config, quiet: bool) -> Result<(), Trouble> {
        let dir = config.path("logging", "logdir").unwrap_or_else(|| data.join("log"));
        let size = config.integer("logging", "logmaxsz").unwrap_or_default();
        let options = log::Options {
            level: log::level(config.text("logging", "loglevel")),
            terminal: if quiet { tracing::Level::ERROR } else { tracing::Level::WARN },
            colour: talk::colours(),
            format: if self.log_format == "json" { log::Format::Json } else { log::Format::Line },
            rotation: if size == 0 { log::Rotation::Daily } else { log::Rotation::Size(size) },
            keep: config
                .integer("logging", "logbackup")
                .and_then(|keep| u32::try_from(keep).ok())
                .unwrap_or(7),
            dir: Some(dir.clone()),
            ..log::Options::default()
        };
        log::start(options).map_err(|error| error_at(&dir, error).into())
    }
}

/// Directory of this program, if a shell would not find it.
fn hidden_program() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let dir = program.parent()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|part| part.join("kompira").exists());
    (!found).then(|| dir.display().to_string())
}

/// A signal within this time of the first one is the same wish.
const SECOND_SIGNAL: std::time::Duration = std::time::Duration::from_secs(1);

async fn serve(start: Start, welcome: Option<PathBuf>, quiet: bool) -> Result<ExitCode, Trouble> {
    let data = start.data.clone();
    let mounts: Vec<_> = start.mounts.iter().map(|path| path.display().to_string()).collect();
    // Before anything is started, so that a signal during the start is a clean stop, too.
    let mut stop = Stop::listen()?;
    let running = app::start(start).await.map_err(|error| start_trouble(&data, error))?;
    let url = running.addresses().first().map_or_else(String::new, |at| format!("http://{at}"));
    tracing::info!(%url, data = %data.display(), "ready");
    let first = match welcome {
        None => None,
        Some(dir) => Some(
            running.first_steps(&dir).await.map_err(|fault| start_trouble(&data, fault.into()))?,
        ),
    };
    let notice = Notice {
        token: first.as_ref().map(|first| first.token.clone()),
        example: first
            .and_then(|first| first.example)
            .map(|(path, console)| (path, talk::printable(&console))),
        program: hidden_program(),
        url,
        data: data.display().to_string(),
        mounts,
        password: running.initial_password().map(str::to_owned),
    };
    if !quiet || notice.password.is_some() {
        // Whoever reads our standard output may have gone.
        let _ = std::io::stdout().write_all(app::welcome(&notice).as_bytes());
        let _ = std::io::stdout().flush();
    }
    let reason = stop.wait().await;
    tracing::info!(reason, "stopping");
    if !quiet {
        talk::say("stopping …");
    }
    tokio::select! {
        () = running.stop() => {}
        again = stop.wait_again() => {
            tracing::warn!(reason = again, "stopped at once");
            return Ok(Exit::Failed.into());
        }
    }
    tracing::info!("stopped");
    Ok(Exit::Ok.into())
}

/// The signals that stop a server.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, Trouble> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// A second signal that is meant: tools that stop a group of processes send each twice.
    async fn wait_again(&mut self) -> &'static str {
        let started = tokio::time::Instant::now();
        loop {
            let reason = self.wait().await;
            if started.elapsed() > SECOND_SIGNAL {
                return reason;
            }
        }
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Reads the configuration: `--config`, else `kompira.conf` of the data directory, else
/// `/opt/kompira/kompira.conf` if it is there.
pub(super) fn config(globals: &Globals, overrides: &[Override]) -> Result<Config, Trouble> {
    let mut candidates = Vec::new();
    match (&globals.config, &globals.data) {
        (Some(path), _) => candidates.push((path.clone(), true)),
        (None, Some(data)) => candidates.push((data.join("kompira.conf"), false)),
        (None, None) => candidates.push((PathBuf::from("/opt/kompira/kompira.conf"), false)),
    }
    let mut file = None;
    for (path, required) in candidates {
        match std::fs::read_to_string(&path) {
            Ok(text) => file = Some((path, text)),
            Err(error) if required || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error_at(&path, error).into());
            }
            Err(_) => {}
        }
    }
    let mut all = Vec::new();
    if let Some(data) = &globals.data {
        all.push(Override {
            name: "paths.data",
            text: data.display().to_string(),
            origin: Origin::CommandLine("--data".to_owned()),
        });
    }
    all.extend_from_slice(overrides);
    Config::new(file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), &all)
        .map_err(|fault| Trouble::usage(crate::http::answer::text(fault.told())))
}

fn error_at(path: &Path, error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Says why a server did not start.
pub(super) fn start_trouble(data: &Path, error: StartError) -> Trouble {
    match error {
        StartError::Locked(holder) => super::client::locked(data, &holder),
        StartError::Bind(bind) => {
            let exit = match bind.error.kind() {
                std::io::ErrorKind::PermissionDenied => Exit::Denied,
                _ => Exit::Failed,
            };
            Trouble::new(exit, format!("cannot listen on {}: {}", bind.place, bind.error))
                .advise("choose another port: --listen 127.0.0.1:0 takes a free one")
        }
        StartError::Io { path, error } => error_at(&path, error).into(),
        StartError::Mount { path, fault } => {
            Trouble::failed(format!("cannot mount on {}: {}", path.display(), full_text(&fault)))
                .advise("it needs an empty directory of yours, fuse3 (fusermount3) and /dev/fuse")
        }
        StartError::Fault(fault) => {
            Trouble::failed(format!("cannot open {}: {}", data.display(), full_text(&fault)))
        }
    }
}

/// What a fault says to the owner of the server.
fn full_text(fault: &kompira_schema::error::Fault) -> String {
    let told = crate::http::answer::text(fault.told());
    match fault.inner() {
        Some(inner) => format!("{told} ({}): {inner}", fault.kind().code()),
        None => format!("{told} ({})", fault.kind().code()),
    }
}
