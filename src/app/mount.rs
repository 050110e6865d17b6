//! Mounting the tree beside the server.

use std::path::Path;
use std::sync::Arc;

use kompira_fuse::Mounted;
use kompira_schema::error::Fault;
use kompira_schema::tree::{Caller, FileTree, Interface};

use crate::auth::User;
use crate::base::clock::Clock;
use crate::base::log::request_id;
use crate::files::{self, Files, Processes};
use crate::tree::Tree;

/// Session tokens of mounts begin here; 0 is nobody's.
const FIRST_ORIGIN: u64 = 1;

/// Mounts `tree` on `dir` for the user who runs the server (and the system's root): both act as
/// `root` of the tree. The `number` tells the mounts of one server apart.
pub(super) fn mount(
    tree: &Tree,
    clock: Arc<dyn Clock>,
    processes: Option<Arc<dyn Processes>>,
    data: &Path,
    dir: &Path,
    number: u64,
) -> Result<Mounted, Fault> {
    let options = files::Options {
        origin: FIRST_ORIGIN.saturating_add(number),
        spill: data.join("run").join(format!("open-{number}")),
        processes,
        ..files::Options::default()
    };
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let request = request_id();
    let peers = move |who: u32| {
        (who == uid || who == 0).then(|| Caller {
            user: User::ROOT,
            interface: Interface::Fs,
            remote: None,
            process: None,
            request: Arc::clone(&request),
            exec: None,
        })
    };
    let options_of_mount =
        kompira_fuse::Options::new(data.display().to_string(), Arc::new(peers), uid, gid);
    let files: Arc<dyn FileTree> = Arc::new(Files::new(tree, clock, options));
    kompira_fuse::mount(files, dir, &options_of_mount)
}
