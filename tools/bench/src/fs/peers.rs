//! Where the workload runs: folders that are there, and file systems mounted for one run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a file system may take to mount, and its server to end.
const PATIENCE: Duration = Duration::from_secs(20);
const MERGERFS: &str = "use_ino,cache.files=partial,dropcacheonclose=false,cache.attr=60,\
                        cache.entry=60,cache.readdir=true,category.create=mfs";

/// One column of the tables.
#[derive(Debug)]
pub(super) enum Place {
    /// A folder that is there already.
    Given { label: String, directory: PathBuf },
    /// A file system made afresh for every run.
    Peer(Peer),
}

/// A file system that is mounted before a run and gone after it.
#[derive(Debug)]
pub(super) struct Peer {
    kind: Kind,
    base: PathBuf,
    kompira: PathBuf,
    server: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Tmpfs,
    Bindfs,
    Mergerfs,
    Kompira,
}

impl Kind {
    const ALL: [(&'static str, Self); 5] = [
        ("plain", Self::Plain),
        ("tmpfs", Self::Tmpfs),
        ("bindfs", Self::Bindfs),
        ("mergerfs", Self::Mergerfs),
        ("kompira", Self::Kompira),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl Place {
    /// A folder as `DIR` or `LABEL=DIR`.
    pub(super) fn given(text: &str) -> Result<Self, String> {
        let (label, directory) = text.split_once('=').unwrap_or((text, text));
        let directory =
            fs::canonicalize(directory).map_err(|error| format!("{directory}: {error}"))?;
        Ok(Self::Given { label: label.to_owned(), directory })
    }

    /// A file system by name, with its data below `work`.
    pub(super) fn peer(name: &str, work: &Path, kompira: &Path) -> Result<Self, String> {
        let found = Kind::ALL.iter().find(|(known, _)| *known == name);
        let Some((_, kind)) = found else {
            let known: Vec<&str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
            return Err(format!("--with: {name} is none of {}", known.join(", ")));
        };
        let work = std::path::absolute(work).map_err(|error| error.to_string())?;
        Ok(Self::Peer(Peer {
            kind: *kind,
            base: work.join(name),
            kompira: kompira.to_owned(),
            server: None,
        }))
    }

    pub(super) fn label(&self) -> &str {
        match self {
            Self::Given { label, .. } => label,
            Self::Peer(peer) => peer.kind.name(),
        }
    }

    /// The program that serves it, where one does.
    pub(super) fn program(&self) -> Option<PathBuf> {
        match self {
            Self::Peer(peer) if peer.kind == Kind::Kompira => Some(peer.kompira.clone()),
            Self::Peer(peer) if matches!(peer.kind, Kind::Bindfs | Kind::Mergerfs) => {
                Some(peer.kind.name().into())
            }
            _ => None,
        }
    }

    /// Mounts it where it has to be; answers the folder to work in.
    pub(super) fn start(&mut self) -> Result<PathBuf, String> {
        match self {
            Self::Given { directory, .. } => Ok(directory.clone()),
            Self::Peer(peer) => peer.start(),
        }
    }

    pub(super) fn stop(&mut self) -> Result<(), String> {
        match self {
            Self::Given { .. } => Ok(()),
            Self::Peer(peer) => peer.stop(),
        }
    }
}

impl Peer {
    fn start(&mut self) -> Result<PathBuf, String> {
        let (data, mount) = (self.base.join("data"), self.base.join("mnt"));
        if self.base.exists() {
            self.clean()?;
        }
        for path in [&data, &mount] {
            fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let (from, to) = (data.as_os_str(), mount.as_os_str());
        match self.kind {
            Kind::Plain => return Ok(data),
            Kind::Tmpfs => {
                let options = ["-t", "tmpfs", "-o", "size=2g", "tmpfs"];
                finish(Command::new("mount").args(options).arg(to))?;
            }
            Kind::Bindfs => self.serve(Command::new("bindfs").arg("-f").args([from, to]))?,
            Kind::Mergerfs => {
                let mut command = Command::new("mergerfs");
                self.serve(command.args(["-f", "-o", MERGERFS]).args([from, to]))?;
            }
            Kind::Kompira => {
                let mut command = Command::new(&self.kompira);
                command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(from);
                self.serve(command.arg("--mount").arg(to))?;
            }
        }
        self.wait_until_mounted(&mount)?;
        // The tree of objects holds files below its table /root.
        Ok(if self.kind == Kind::Kompira { mount.join("root") } else { mount })
    }

    /// Starts the server, its words in a file beside its data.
    fn serve(&mut self, command: &mut Command) -> Result<(), String> {
        let name = self.kind.name();
        let log = fs::File::create(self.base.join("log")).map_err(|error| error.to_string())?;
        let again = log.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        self.server = Some(command.spawn().map_err(|error| format!("start {name}: {error}"))?);
        Ok(())
    }

    fn wait_until_mounted(&mut self, mount: &Path) -> Result<(), String> {
        let (name, start) = (self.kind.name(), Instant::now());
        while start.elapsed() < PATIENCE {
            if is_mounted(mount) {
                return Ok(());
            }
            if let Some(server) = &mut self.server
                && let Ok(Some(status)) = server.try_wait()
            {
                let log = fs::read_to_string(self.base.join("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default();
                return Err(format!("{name} ended with {status}: {last}"));
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!("{name} did not mount in {} s", PATIENCE.as_secs()))
    }

    fn stop(&mut self) -> Result<(), String> {
        let mount = self.base.join("mnt");
        let start = Instant::now();
        // Peers end when they are unmounted; ours is told to end, and unmounts by itself.
        if self.kind == Kind::Kompira
            && let Some(server) = &self.server
        {
            finish(Command::new("kill").arg(server.id().to_string()))?;
            self.wait_for_end(start)?;
        }
        while is_mounted(&mount) {
            let done = finish(Command::new("umount").arg(&mount));
            if let Err(text) = done
                && start.elapsed() > PATIENCE
            {
                return Err(text);
            }
            sleep(Duration::from_millis(50));
        }
        self.wait_for_end(start)?;
        self.clean()
    }

    /// Waits for the server; one that does not end in time is killed, and that is an error.
    fn wait_for_end(&mut self, start: Instant) -> Result<(), String> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        while start.elapsed() < PATIENCE {
            if !matches!(server.try_wait(), Ok(None)) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        let _ = server.kill();
        let _ = server.wait();
        Err(format!("{} did not end by itself", self.kind.name()))
    }

    /// Removes what lies below the base, never through a mount.
    fn clean(&self) -> Result<(), String> {
        if is_mounted(&self.base.join("mnt")) {
            return Err(format!("{} is still mounted", self.base.join("mnt").display()));
        }
        fs::remove_dir_all(&self.base).map_err(|error| format!("{}: {error}", self.base.display()))
    }
}

/// True when a file system is mounted exactly there.
fn is_mounted(path: &Path) -> bool {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().any(|line| line.split(' ').nth(4).is_some_and(|at| Path::new(at) == path))
}

fn finish(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_be_given_a_label() {
        let place = Place::given("disk=/tmp").expect("a folder that is there");
        assert_eq!(place.label(), "disk");
        assert!(Place::given("disk=/nowhere/at/all").is_err());
    }

    #[test]
    fn an_unknown_peer_is_refused_with_the_known_ones() {
        let error = Place::peer("zfs", Path::new("/tmp"), Path::new("kompira")).expect_err("none");
        assert!(error.contains("bindfs"), "{error}");
    }
}
