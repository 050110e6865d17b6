//! The servers that are measured, each a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Subcommand;
use kompira::app::{self, Start};
use kompira::base::config::Config;
use kompira::store::Durability;
use kompira::tree::{Draft, Patch, Tree, UserDraft, UserPatch};
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::{Dict, Value};

/// The object that is read.
pub(super) const OBJECT: &str = "/home/bench/text";
/// The channel that is waited for.
pub(super) const CHANNEL: &str = "/home/bench/channel";
/// What objects hold, in turn.
pub(super) const TEXTS: [&str; 2] =
    ["maintenance at 02:00, back at 04:00", "maintenance at 03:00, back at 05:00"];
/// Objects that can be changed at once.
const CHANGED: usize = 64;

/// The object that a writer changes.
pub(super) fn object_of(number: usize) -> String {
    format!("/home/bench/text{}", number % CHANGED)
}

/// What a server process is.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Answers what it reads from standard input as JSON.
    Hello,
    /// Serves a fresh data directory.
    Kompira {
        /// The directory.
        dir: PathBuf,
    },
}

/// A running server process; killed when dropped.
pub(super) struct Child {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    target: SocketAddr,
    tokens: Vec<String>,
}

impl Child {
    /// A bare axum server that answers `body`.
    pub(super) fn hello(body: &str) -> Result<Self, String> {
        Self::start(Command::new("/proc/self/exe").args(["http-peer", "hello"]), Some(body))
    }

    /// A server on a fresh directory.
    pub(super) fn kompira(dir: &Path) -> Result<Self, String> {
        Self::start(Command::new("/proc/self/exe").args(["http-peer", "kompira"]).arg(dir), None)
    }

    fn start(command: &mut Command, told: Option<&str>) -> Result<Self, String> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut input = process.stdin.take().ok_or("no standard input")?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no standard output")?);
        if let Some(told) = told {
            writeln!(input, "{told}").map_err(|error| error.to_string())?;
        }
        let line = line(&mut output)?;
        let mut words = line.split_whitespace();
        let target = words.next().unwrap_or_default();
        let target = target.parse().map_err(|_| format!("no address: {line}"))?;
        let tokens = words.map(str::to_owned).collect();
        Ok(Self { process, input, output, target, tokens })
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.target
    }

    /// The token of a user without privileges.
    pub(super) fn token(&self) -> &str {
        self.tokens.first().map_or("", String::as_str)
    }

    pub(super) fn root_token(&self) -> &str {
        self.tokens.get(1).map_or("", String::as_str)
    }

    /// Changes in a second by threads of the server itself.
    pub(super) fn direct(&mut self, threads: usize, seconds: u64) -> Result<f64, String> {
        writeln!(self.input, "{threads} {seconds}").map_err(|error| error.to_string())?;
        let line = line(&mut self.output)?;
        line.trim().parse().map_err(|_| format!("no rate: {line}"))
    }

    /// Resident memory in bytes.
    pub(super) fn resident(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.process.id());
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| "no resident memory".to_owned())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(from: &mut impl std::io::BufRead) -> Result<String, String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) => Err("the server process ended".to_owned()),
        Ok(_) => Ok(line),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs as a server process until standard input ends.
pub(crate) fn serve(role: &Role) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    match role {
        Role::Hello => hello(&runtime),
        Role::Kompira { dir } => kompira(&runtime, dir),
    }
}

fn hello(runtime: &tokio::runtime::Runtime) -> Result<(), String> {
    let body = line(&mut std::io::stdin().lock())?;
    let json: serde_json::Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let json = std::sync::Arc::new(json);
    let router = axum::Router::new().route(
        "/hello",
        axum::routing::get(move || {
            let json = std::sync::Arc::clone(&json);
            async move { axum::Json(json.as_ref().clone()) }
        }),
    );
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| error.to_string())?;
        println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
        axum::serve(listener, router).await.map_err(|error| error.to_string())
    })
}

fn told(fault: Fault) -> String {
    format!("{fault:?}")
}

fn caller(user: UserId) -> Caller {
    Caller {
        user,
        interface: Interface::Api,
        remote: Some("127.0.0.1".into()),
        process: None,
        request: "bench".into(),
        exec: None,
    }
}

fn kompira(runtime: &tokio::runtime::Runtime, dir: &Path) -> Result<(), String> {
    let config = Config::new(None, &[]).map_err(told)?;
    let start = Start {
        listen: vec!["127.0.0.1:0".into()],
        log: dir.join("log"),
        ..Start::configured(dir, &config)
    };
    let running = runtime.block_on(app::start(start)).map_err(|error| format!("{error:?}"))?;
    let tree = running.service().tree.clone();
    let (user, token, root) = furnish(&tree).map_err(told)?;
    let address = running.addresses().first().copied().ok_or("no address")?;
    println!("{address} {token} {root}");
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (Some(threads), Some(seconds)) = (numbers.next(), numbers.next()) else { continue };
        println!("{}", direct(&tree, user, threads as usize, Duration::from_secs(seconds))?);
    }
    runtime.block_on(running.stop());
    Ok(())
}

/// A user without privileges, its objects, its token and one of `root`.
fn furnish(tree: &Tree) -> Result<(UserId, String, String), Fault> {
    let draft = || UserDraft {
        username: "bench".into(),
        password: Some("correct horse 8".to_owned().into()),
        rest: UserPatch::default(),
    };
    let root = caller(UserId(1));
    let user = tree.write(&root, Durability::Synced, |txn| txn.create_user(draft()))?.value;
    let token = tree
        .write(&root, Durability::Synced, |txn| {
            Ok((txn.create_token(user, "bench")?, txn.create_token(UserId(1), "bench")?))
        })?
        .value;
    tree.write(&caller(user), Durability::Synced, |txn| {
        let home = txn.resolve(&ObjectPath::parse("/home/bench")?)?;
        let text = txn.resolve(&ObjectPath::parse("/system/types/Text")?)?;
        let channel = txn.resolve(&ObjectPath::parse("/system/types/Channel")?)?;
        let mut make = |name: &str, type_id, fields: Dict| {
            txn.create(home, &Name::new(name)?, type_id, Draft { fields, ..Draft::default() })
        };
        let fields = || Dict::from_iter([("text".to_owned(), Value::from(TEXTS[0]))]);
        make("text", text, fields())?;
        make("channel", channel, Dict::new())?;
        for number in 0..CHANGED {
            make(&format!("text{number}"), text, fields())?;
        }
        Ok(())
    })?;
    Ok((user, token.0.to_string(), token.1.to_string()))
}

/// Changes in a second, made in this process.
fn direct(tree: &Tree, user: UserId, threads: usize, time: Duration) -> Result<f64, String> {
    let start = Instant::now();
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || -> Result<usize, Fault> {
                    let path = ObjectPath::parse(&object_of(number))?;
                    let mut count = 0;
                    while start.elapsed() < time {
                        change(tree, user, &path, TEXTS[(count + 1) % TEXTS.len()])?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let mut all = 0;
    for count in counts {
        all += count.map_err(|_| "a thread panicked".to_owned())?.map_err(told)?;
    }
    Ok(all as f64 / start.elapsed().as_secs_f64())
}

fn change(tree: &Tree, user: UserId, path: &ObjectPath, text: &str) -> Result<ObjectId, Fault> {
    let fields = || Dict::from_iter([("text".to_owned(), Value::from(text))]);
    let done = tree.write(&caller(user), Durability::Synced, |txn| {
        let id = txn.resolve(path)?;
        txn.update(id, None, Patch { fields: fields(), ..Patch::default() })?;
        Ok(id)
    })?;
    Ok(done.value)
}
