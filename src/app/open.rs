//! Opening what blocks: store, keys, tree, engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::compiler::Jobflows;
use super::{Mode, Start};
use crate::audit::FileSink;
use crate::base::clock::Clock;
use crate::engine::Engine;
use crate::secrets::Keys;
use crate::store::{self, Store};
use crate::tree::{self, Tree};

/// The key file in the data directory.
const KEY_FILE: &str = ".secret_key";

pub(super) struct Opened {
    pub(super) tree: Tree,
    pub(super) keys: Arc<Keys>,
    pub(super) engine: Option<Engine>,
    pub(super) initial_password: Option<String>,
}

/// Opens a data directory.
pub(super) fn open(start: &Start, clock: Arc<dyn Clock>) -> Result<Opened, Fault> {
    let options = store::Options { command: start.program.clone(), ..store::Options::default() };
    let store = Store::open(&start.data, &options)?;
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
        ..tree::Options::default()
    };
    let (tree, initial_password) = Tree::new(store, Arc::clone(&keys), clock, options)?;
    let engine = match start.mode {
        Mode::Full => None,
        Mode::Tree => None,
    };
    Ok(Opened { tree, keys, engine, initial_password })
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
