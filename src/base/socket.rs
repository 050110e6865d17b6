//! Where the private socket is, also when the path is longer than a socket address holds.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Most bytes of a path in a Unix socket address, one short of the kernel's 108 for its NUL.
const ADDRESS_BYTES_MAX: usize = 107;

/// The socket of the server of a data directory.
#[must_use]
pub fn socket_of(data: &Path) -> PathBuf {
    data.join("run").join("kompira.sock")
}

/// A path that fits a socket address; valid while it lives.
#[derive(Debug)]
pub struct Reachable {
    path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl Reachable {
    /// Shortens `socket` through a descriptor of its directory, if needed.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn new(socket: &Path) -> std::io::Result<Self> {
        if socket.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: socket.to_owned(), _dir: None });
        }
        let dir = socket.parent().unwrap_or_else(|| Path::new("."));
        let name = socket.file_name().unwrap_or_default();
        let dir = open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
        Ok(Self { path, _dir: Some(dir) })
    }

    /// The path to bind or connect to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/data-directory
    #[test]
    fn a_socket_below_a_long_path_is_reachable() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("s.sock");
        let bound = Reachable::new(&socket).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(bound.path()).unwrap();
        assert!(socket.exists());
        let reached = Reachable::new(&socket).unwrap();
        std::os::unix::net::UnixStream::connect(reached.path()).unwrap();
    }
}
