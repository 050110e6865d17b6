//! A small process beside a server that mounts, for the one death the server cannot die alone.
//!
//! A thread of the server that tells the kernel to forget a name waits for the lock of the
//! directory; a client that holds this lock may wait for the server. Killed just then, the server
//! keeps its files open, so the kernel never ends the connection, and both wait for ever
//! (`rule: files/killed-server`). The guard sees the dead server and ends the connection.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// The hidden first argument that makes our binary a guard.
const GUARD_ARGUMENT: &str = "__guard";
/// How often the guard looks at the server.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A running guard. It ends with this value, and with the server.
pub(super) struct Guard(Child);

impl Guard {
    /// Starts a guard for this process and its mounts of `source`.
    ///
    /// # Errors
    /// The operating system's, when no process can be started.
    pub(super) fn start(source: &str) -> std::io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("kompira").arg(GUARD_ARGUMENT).arg(std::process::id().to_string()).arg(source);
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The guard reads to the end of its input, and ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The guard's main: `None` when this process is no guard, else its exit code.
///
/// The binary calls this before anything else.
#[must_use]
pub fn guard_main() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != GUARD_ARGUMENT {
        return None;
    }
    let server =
        arguments.next().as_deref().and_then(OsStr::to_str).and_then(|pid| pid.parse().ok());
    let source = arguments.next().and_then(|source| source.into_string().ok());
    let (Some(server), Some(source)) = (server, source) else { return Some(2) };
    watch(server, &source);
    Some(0)
}

fn watch(server: u32, source: &str) {
    let (ended, end) = channel::<()>();
    std::thread::spawn(move || {
        // Nothing is ever written: the end comes when the server closes the pipe or is gone.
        let _ = std::io::stdin().read(&mut [0]);
        drop(ended);
    });
    let mut looks = 0;
    while end.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        // Once may be an ordinary end whose pipe closes in a moment.
        looks = if kompira_fuse::is_dying(server) { looks + 1 } else { 0 };
        if looks > 1 {
            let _freed = kompira_fuse::abort_killed(source);
        }
    }
}
