//! Opening what blocks: store, keys, tree, engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::compiler::Jobflows;
use super::{Mode, Start, git, hardware, leftover};
use crate::audit::FileSink;
use crate::base::clock::Clock;
use crate::engine::{Engine, Limits};
use crate::remote::Manager;
use crate::remote::local::{self, Local};
use crate::remote::python::{self, Python};
use crate::secrets::Keys;
use crate::store::{self, Store};
use crate::transfer::git::Repositories;
use crate::tree::{self, DEFAULT_REALM, Tree};

/// Variables of the server that commands of jobflows see; all others stay with the server.
const COMMAND_ENVIRONMENT: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];
/// Variables of the server that libraries see.
const PYTHON_ENVIRONMENT: &[&str] = &["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];
/// The key file in the data directory.
const KEY_FILE: &str = ".secret_key";

pub(super) struct Opened {
    pub(super) tree: Tree,
    pub(super) keys: Arc<Keys>,
    pub(super) engine: Option<Engine>,
    pub(super) repositories: Arc<Repositories>,
    pub(super) initial_password: Option<String>,
}

/// How long a killed server may take to end once its mounts are aborted.
const DYING: Duration = Duration::from_secs(3);

/// Opens the store. A holder that was killed, but hangs in a mount of its own, is freed first.
fn open_store(data: &Path, options: &store::Options) -> Result<Store, Fault> {
    let opened = Store::open(data, options);
    let Err(fault) = &opened else { return opened };
    if fault.kind() != Kind::Locked || !is_dead(fault) {
        return opened;
    }
    tracing::warn!("the server that held the data directory was killed and hangs in its mount");
    if kompira_fuse::abort_killed(&data.display().to_string()) == 0 {
        return opened;
    }
    let start = Instant::now();
    loop {
        match Store::open(data, options) {
            Err(fault) if fault.kind() == Kind::Locked && start.elapsed() < DYING => {
                std::thread::sleep(Duration::from_millis(50));
            }
            opened => return opened,
        }
    }
}

/// Whether the holder that a lock's failure names is a process that only waits to be reaped.
fn is_dead(fault: &Fault) -> bool {
    let pid = fault.told().args.iter().find(|(name, _)| *name == "pid");
    pid.and_then(|(_, pid)| pid.parse().ok()).is_some_and(kompira_fuse::is_dying)
}

/// Opens a data directory.
pub(super) fn open(start: &Start, clock: Arc<dyn Clock>) -> Result<Opened, Fault> {
    let options = store::Options { command: start.program.clone(), ..store::Options::default() };
    let store = open_store(&start.data, &options)?;
    leftover::remove(&start.data, &start.socket);
    let keys = Arc::new(keys(&start.data, &store)?);
    std::fs::create_dir_all(&start.log).map_err(|error| {
        let told = message!("app.no_directory", path = start.log.display());
        Fault::new(Kind::Io, told).because(error)
    })?;
    let os_user = os_user();
    let audit = start.log.join(format!("audit-{os_user}.log"));
    let options = tree::Options {
        compiler: Arc::new(Jobflows { lang: start.lang }),
        initial_password: start.initial_password.clone(),
        zone: start.zone.clone(),
        audit: Some(Arc::new(FileSink::new(audit))),
        audit_levels: levels(&start.data),
        program: start.program.clone(),
        os_user,
        hardware_id: hardware::id(),
    };
    let of_engine = Arc::clone(&clock);
    let (tree, initial_password) = Tree::new(store, Arc::clone(&keys), clock, options)?;
    let engine = match start.mode {
        Mode::Full => Some(engine(start, &tree, of_engine)?),
        Mode::Tree => None,
    };
    let dir = start.data.join("repository");
    let git = Arc::new(git::Outside::new(local()));
    let repositories =
        Arc::new(Repositories::new(tree.clone(), dir, git).with_size_max(start.clone_max));
    if let Some(engine) = &engine {
        engine.synchronise_by(Arc::clone(&repositories));
        tree.know_receivers_by(engine.receivers());
    }
    Ok(Opened { tree, keys, engine, repositories, initial_password })
}

/// Runs commands on this machine.
fn local() -> Local {
    Local::new(local::Options {
        // Ours whatever has happened to the file since the start.
        helper: PathBuf::from("/proc/self/exe"),
        home: std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        temp: std::env::temp_dir(),
        env: COMMAND_ENVIRONMENT
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect(),
    })
}

/// The job engine with its manager on this machine.
fn engine(start: &Start, tree: &Tree, clock: Arc<dyn Clock>) -> Result<Engine, Fault> {
    let runner = Manager::new(DEFAULT_REALM, Arc::new(local()), start.pool_size);
    let limits = Limits { commands: start.pool_size, missed: start.missed, ..Limits::default() };
    let engine = Engine::start(
        tree.clone(),
        Arc::new(crate::stdlib::builtins()),
        Arc::new(runner),
        clock,
        limits,
    )?;
    let python = Python::new(python::Options {
        path: std::env::var_os("PATH").unwrap_or_default(),
        env: PYTHON_ENVIRONMENT
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect(),
        ..python::Options::default()
    });
    engine.run_libraries(python, start.data.join("library"))?;
    Ok(engine)
}

/// The key of the directory; a new store gets a new one.
fn keys(data: &Path, store: &Store) -> Result<Keys, Fault> {
    let path = data.join(KEY_FILE);
    // A store that has something in it without its key must not get another one.
    if store.rev().0 == 0 && !path.exists() {
        return Keys::create(&path, None);
    }
    Keys::load(&path)
}

fn levels(data: &Path) -> Option<PathBuf> {
    let path = data.join("kompira_audit.yaml");
    path.exists().then_some(path)
}

/// Name of the operating-system user that runs us.
fn os_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    user.ok().flatten().map_or_else(|| nix::unistd::geteuid().to_string(), |user| user.name)
}
