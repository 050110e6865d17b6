//! The server as a whole: start order, supervision, drain.
//!
//! Order: store (it holds the lock on the directory), keys, tree, engine, sockets, HTTP, mounts;
//! the end goes backwards.

mod compiler;
mod first;
mod git;
mod guard;
mod hardware;
mod leftover;
mod mount;
mod notice;
mod open;
mod processes;
mod upkeep;

pub use guard::guard_main;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::tz::TimeZone;
use kompira_schema::catalogue::Lang;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::limits::REPOSITORY_MAX;

use crate::base::clock::{Clock, System};
use crate::base::config::Config;
use crate::base::shutdown::Shutdown;
use crate::engine::{Engine, Missed};
use crate::files::Processes;
use crate::http::{self, About, Parts, Pool, Service};
use crate::tree::Tree;

pub use crate::base::socket::socket_of;
pub use first::First;
pub use notice::{Notice, welcome};
pub use upkeep::Keep;

/// How much of the server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of it; processes go on.
    Full,
    /// The tree alone; no process goes on.
    Tree,
}

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The data directory; it is made when it does not exist and `create` is set.
    pub data: PathBuf,
    /// Whether a directory that does not exist is made.
    pub create: bool,
    /// How much.
    pub mode: Mode,
    /// Addresses to listen on.
    pub listen: Vec<String>,
    /// The private socket.
    pub socket: PathBuf,
    /// Directories to mount the tree on.
    pub mounts: Vec<PathBuf>,
    /// Password of `root` on an empty store; `None`: one is generated.
    pub initial_password: Option<String>,
    /// Most bytes of a streamed upload.
    pub max_upload: u64,
    /// Most requests of one user per second; 0 is no limit.
    pub rate_limit: u64,
    /// Concurrent commands.
    pub pool_size: usize,
    /// Most bytes of the disk that the clone of a Repository object takes.
    pub clone_max: u64,
    /// What becomes of scheduled runs that were missed.
    pub missed: Missed,
    /// How long earlier versions are kept.
    pub keep: Keep,
    /// Zone of the server.
    pub zone: TimeZone,
    /// Language of texts that are stored.
    pub lang: Lang,
    /// Directory of the audit log.
    pub log: PathBuf,
    /// What runs, for lock and audit.
    pub program: String,
}

/// How long commands in flight may go on at a stop; then they are journaled as in flight.
const COMMAND_GRACE: Duration = Duration::from_secs(5);
/// Most bytes of a streamed upload when nobody configured it (documented).
pub const UPLOAD_BYTES_MAX: u64 = 1 << 30;

impl Start {
    /// A server for one command: on a socket of its own, on no address.
    #[must_use]
    pub fn private(data: &Path, mode: Mode) -> Self {
        Self {
            data: data.to_owned(),
            create: false,
            mode,
            listen: Vec::new(),
            socket: data.join("run").join(format!("{}.sock", std::process::id())),
            mounts: Vec::new(),
            initial_password: None,
            max_upload: UPLOAD_BYTES_MAX,
            rate_limit: 0,
            pool_size: crate::remote::Manager::POOL,
            clone_max: REPOSITORY_MAX,
            missed: Missed::default(),
            keep: Keep::default(),
            zone: TimeZone::system(),
            lang: Lang::En,
            log: data.join("log"),
            program: program(),
        }
    }

    /// A server as configured.
    #[must_use]
    pub fn configured(data: &Path, config: &Config) -> Self {
        Self {
            create: true,
            mode: Mode::Full,
            listen: config.list("http", "listen").iter().map(ToString::to_string).collect(),
            socket: socket_of(data),
            max_upload: config.integer("http", "max_upload").unwrap_or(UPLOAD_BYTES_MAX),
            rate_limit: config.integer("http", "rate_limit").unwrap_or_default(),
            clone_max: config.integer("repository", "max_size").unwrap_or(REPOSITORY_MAX),
            pool_size: config
                .integer("agent", "pool_size")
                .and_then(|size| usize::try_from(size).ok())
                .unwrap_or(crate::remote::Manager::POOL),
            keep: Keep::configured(config),
            missed: match config.text("scheduler", "missed_runs") {
                "once" => Missed::Once,
                _ => Missed::Skip,
            },
            zone: match config.text("locale", "timezone") {
                "auto" => TimeZone::system(),
                name => TimeZone::get(name).unwrap_or_else(|_| TimeZone::system()),
            },
            lang: if config.text("locale", "language").eq_ignore_ascii_case("ja") {
                Lang::Ja
            } else {
                Lang::En
            },
            log: config.path("logging", "logdir").unwrap_or_else(|| data.join("log")),
            ..Self::private(data, Mode::Full)
        }
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The data directory is held by this one.
    Locked(String),
    /// An address or socket cannot be listened on.
    Bind(http::server::BindError),
    /// A file or directory cannot be used.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A directory cannot be mounted on.
    Mount {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: Fault,
    },
    /// The store, the keys or the engine.
    Fault(Fault),
}

impl From<Fault> for StartError {
    fn from(fault: Fault) -> Self {
        if fault.kind() != Kind::Locked {
            return Self::Fault(fault);
        }
        let arg = |name: &str| {
            let found = fault.told().args.iter().find(|(key, _)| *key == name);
            found.map_or("?", |(_, text)| text.as_str())
        };
        // Whoever holds it may just be writing its name.
        Self::Locked(match (arg("command"), arg("pid")) {
            (_, "?") => "another kompira".to_owned(),
            (command, pid) => format!("{command} (pid {pid})"),
        })
    }
}

/// `kompira serve` and the like.
fn program() -> String {
    let command = std::env::args().nth(1).filter(|word| !word.starts_with('-'));
    command.map_or_else(|| "kompira".to_owned(), |word| format!("kompira {word}"))
}

/// A server that runs.
pub struct Running {
    service: Service,
    addresses: Vec<SocketAddr>,
    socket: PathBuf,
    initial_password: Option<String>,
    serving: tokio::task::JoinHandle<()>,
    mounts: Mounts,
}

/// The mounts of a server, and who frees them should it be killed at a bad moment.
#[derive(Default)]
struct Mounts {
    mounted: Vec<kompira_fuse::Mounted>,
    guard: Option<guard::Guard>,
}

/// Starts a server.
///
/// # Errors
/// [`StartError`]; whatever had been started is stopped again.
pub async fn start(start: Start) -> Result<Running, StartError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| StartError::Io { path, error }
    };
    if start.create {
        make_private(&start.data).map_err(io(&start.data))?;
    }
    no_core_dumps();
    let clock: Arc<dyn Clock> = Arc::new(System::new());
    let started = clock.now();
    let (wanted, of_engine) = (start.clone(), Arc::clone(&clock));
    let opened = tokio::task::spawn_blocking(move || open::open(&wanted, of_engine));
    let opened = opened.await.map_err(Fault::internal)??;
    let listeners = http::server::Listeners::bind(&start.listen, Some(&start.socket))
        .await
        .map_err(StartError::Bind)?;
    let addresses = listeners.addresses();
    let shutdown = Shutdown::new();
    let hub = http::Hub::start(opened.tree.store(), &shutdown).map_err(Fault::internal)?;
    opened.tree.know_receivers_by(hub.receivers());
    let service = Service::new(Parts {
        tree: opened.tree.clone(),
        keys: opened.keys,
        engine: opened.engine.clone(),
        repositories: Some(opened.repositories),
        clock: Arc::clone(&clock),
        shutdown: shutdown.clone(),
        pool: Pool::default(),
        hub,
        ready: AtomicBool::new(false),
        max_upload: start.max_upload,
        kept: http::Kept::default(),
        metrics: Arc::default(),
        rates: http::Rates::new(start.rate_limit),
        about: About {
            data: start.data.clone(),
            listen: addresses.iter().map(ToString::to_string).collect(),
            mounts: start.mounts.iter().map(|path| path.display().to_string()).collect(),
            started,
        },
    });
    let serving = tokio::spawn(http::server::serve(listeners, service.clone()));
    let mounting = {
        let (tree, clock, start) = (opened.tree.clone(), Arc::clone(&clock), start.clone());
        tokio::task::spawn_blocking(move || mount_all(&tree, opened.engine, &clock, &start))
    };
    let running = Running {
        service,
        addresses,
        socket: start.socket,
        initial_password: opened.initial_password,
        serving,
        mounts: Mounts::default(),
    };
    match mounting.await.map_err(Fault::internal)? {
        Ok(mounts) => {
            running.service.set_ready();
            upkeep::start(opened.tree, start.keep, clock, running.service.shutdown.clone());
            run_startup(&running.service);
            Ok(Running { mounts, ..running })
        }
        Err(error) => {
            running.stop().await;
            Err(error)
        }
    }
}

/// Starts the jobflows of `/system/startup`, once everything stands.
fn run_startup(service: &Service) {
    let service = service.clone();
    tokio::task::spawn_blocking(move || {
        let Some(engine) = &service.engine else { return };
        if let Err(fault) = engine.run_startup(&first::owner("kompira serve")) {
            tracing::error!(?fault, "the start-up jobflows could not be started");
        }
        if let Err(fault) = engine.run_schedules() {
            tracing::error!(?fault, "the scheduler could not be started");
        }
        if let Err(fault) = engine.run_mails() {
            tracing::error!(?fault, "mails cannot be fetched");
        }
    });
}

fn mount_all(
    tree: &Tree,
    engine: Option<Engine>,
    clock: &Arc<dyn Clock>,
    start: &Start,
) -> Result<Mounts, StartError> {
    let live = engine.map(|engine| -> Arc<dyn Processes> {
        Arc::new(processes::Live { engine, tree: tree.clone() })
    });
    let mut mounts = Mounts::default();
    if !start.mounts.is_empty() {
        let guard = guard::Guard::start(&start.data.display().to_string());
        let told = "no guard of the mounts: a server killed at a bad moment may hang in them";
        mounts.guard = guard.inspect_err(|error| tracing::warn!(%error, told)).ok();
    }
    for (number, dir) in (0..).zip(&start.mounts) {
        let mounted = mount::mount(tree, Arc::clone(clock), live.clone(), &start.data, dir, number);
        mounts
            .mounted
            .push(mounted.map_err(|fault| StartError::Mount { path: dir.clone(), fault })?);
    }
    Ok(mounts)
}

impl Running {
    /// Addresses it listens on.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its private socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The generated password of `root`, if this start made the store.
    #[must_use]
    pub fn initial_password(&self) -> Option<&str> {
        self.initial_password.as_deref()
    }

    /// Makes a token for `root`; on a store that this start made also loads the examples below
    /// `examples` and runs one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn first_steps(&self, examples: &Path) -> Result<First, Fault> {
        let (service, examples) = (self.service.clone(), examples.to_owned());
        let new = self.initial_password.is_some();
        let steps = tokio::task::spawn_blocking(move || first::first(&service, &examples, new));
        steps.await.map_err(Fault::internal)?
    }

    /// The service, for those who make further faces.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Stops: no new requests, those in flight end, mounts go, the engine journals, all is synced.
    pub async fn stop(self) {
        self.service.shutdown.begin("stop");
        // Mounts first: the kernel's last writes come back through the tree.
        let mounts = self.mounts;
        let _unmounted = tokio::task::spawn_blocking(move || drop(mounts)).await;
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the HTTP server ended by a panic");
        }
        let service = self.service;
        let _stopped = tokio::task::spawn_blocking(move || {
            if let Some(engine) = &service.engine {
                engine.stop(COMMAND_GRACE);
            }
            if let Err(fault) = service.tree.sync() {
                tracing::error!(critical = true, ?fault, "the last sync failed");
            }
        })
        .await;
    }
}

/// Makes a directory that strangers cannot enter; one that exists stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// A core dump would hold keys and passwords.
fn no_core_dumps() {
    use nix::sys::resource::{Resource, setrlimit};
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
}
