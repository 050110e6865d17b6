//! Mounts, unmounts, and takes over what a killed server left behind.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::tree::{Caller, FileTree};

use crate::adapt::Adaptor;
use crate::convert::{Owner, TTL_DEFAULT};
use crate::linger::Linger;
use crate::notify;

/// Whose rights a local user has on this mount. `None`: nobody's, every call is `EACCES`.
pub type Peers = Arc<dyn Fn(u32) -> Option<Caller> + Send + Sync>;

/// Worker threads: enough that a call which waits for the store does not hold up the others.
const WORKERS: usize = 4;

/// How to mount.
#[derive(Clone)]
pub struct Options {
    /// Shown as the source in `/proc/mounts`: a data directory or a URL.
    pub source: String,
    /// Maps the number of a local user to a caller.
    pub peers: Peers,
    /// Other local users than the mounting one may enter.
    pub allow_other: bool,
    /// How long the kernel may trust a name or an attribute without being told otherwise.
    pub ttl: Duration,
    /// Owner and group of every node in `stat`.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
}

impl Options {
    /// Everything for one user: the usual mount.
    #[must_use]
    pub fn new(source: impl Into<String>, peers: Peers, uid: u32, gid: u32) -> Self {
        Self { source: source.into(), peers, allow_other: false, ttl: TTL_DEFAULT, uid, gid }
    }
}

/// A mount that stands. Dropping it unmounts.
pub struct Mounted {
    session: Option<BackgroundSession>,
    dir: PathBuf,
    gone: Arc<AtomicBool>,
}

impl Mounted {
    /// Where it stands.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the session has ended by itself (somebody unmounted it).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.session.as_ref().is_none_or(|session| session.guard.is_finished())
    }

    /// Unmounts and waits for the requests under way. A busy mount is detached at once and ends
    /// with its last open file.
    ///
    /// # Errors
    /// [`Kind::Io`] when neither way works.
    pub fn unmount(mut self) -> Result<(), Fault> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.gone.store(true, Ordering::Relaxed);
        let Some(session) = self.session.take() else { return Ok(()) };
        if session.guard.is_finished() {
            return Ok(());
        }
        session.umount_and_join().or_else(|_| detach(&self.dir)).map_err(|error| {
            let dir = self.dir.display();
            Fault::new(Kind::Io, message!("mount.unmount_failed", dir = dir)).because(error)
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(fault) = self.end() {
            tracing::warn!(inner = fault.inner(), dir = %self.dir.display(), "cannot unmount");
        }
    }
}

/// Mounts `tree` on `dir`, which is made if it is missing. A mount point that a killed server left
/// behind is taken over.
///
/// # Errors
/// [`Kind::NotContainer`] when `dir` is no directory, [`Kind::NotEmpty`] when files would be hidden,
/// [`Kind::Unavailable`] when the kernel refuses.
pub fn mount(tree: Arc<dyn FileTree>, dir: &Path, options: &Options) -> Result<Mounted, Fault> {
    release_stale(dir)?;
    prepare(dir)?;
    let gone = Arc::new(AtomicBool::new(false));
    let owner = Owner { uid: options.uid, gid: options.gid };
    let (peers, linger) = (Arc::clone(&options.peers), Arc::new(Linger::new()));
    let adaptor = Adaptor::new(Arc::clone(&tree), peers, owner, options.ttl, Arc::clone(&linger));
    let session = Session::new(adaptor, dir, &config(options))
        .and_then(|session| {
            linger.watch(session.as_fd().try_clone_to_owned()?);
            session.spawn()
        })
        .map_err(|error| refused(dir, &error))?;
    notify::start(&tree, session.notifier(), Arc::clone(&gone));
    Ok(Mounted { session: Some(session), dir: dir.to_owned(), gone })
}

/// Detaches a mount point whose server is gone (`Transport endpoint is not connected`).
///
/// # Errors
/// [`Kind::Io`] when it cannot be detached.
pub fn release_stale(dir: &Path) -> Result<(), Fault> {
    match std::fs::symlink_metadata(dir) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            tracing::info!(dir = %dir.display(), "taking over the mount point of a killed server");
            detach(dir).map_err(|error| {
                let dir = dir.display();
                Fault::new(Kind::Io, message!("mount.stale", dir = dir)).because(error)
            })
        }
        _ => Ok(()),
    }
}

pub(crate) fn detach(dir: &Path) -> io::Result<()> {
    let status = Command::new("fusermount3").args(["-u", "-z", "-q", "--"]).arg(dir).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

fn prepare(dir: &Path) -> Result<(), Fault> {
    let shown = dir.display();
    let unusable = |error: io::Error| {
        Fault::new(Kind::NotContainer, message!("mount.no_directory", dir = shown)).because(error)
    };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let mut entries = std::fs::read_dir(dir).map_err(unusable)?;
    if entries.next().is_some() {
        return Err(Fault::new(Kind::NotEmpty, message!("mount.not_empty", dir = shown)));
    }
    Ok(())
}

fn config(options: &Options) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(options.source.replace(',', "_")),
        MountOption::Subtype("kompira".into()),
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoExec,
        MountOption::NoAtime,
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(WORKERS);
    config.clone_fd = true;
    config
}

fn refused(dir: &Path, error: &io::Error) -> Fault {
    let missing = error.kind() == io::ErrorKind::NotFound || !Path::new("/dev/fuse").exists();
    let told = if missing {
        message!("mount.no_fuse")
    } else {
        message!("mount.refused", dir = dir.display(), reason = error)
    };
    Fault::new(Kind::Unavailable, told).because(error)
}
