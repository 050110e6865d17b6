//! The helper: one process a command, between the server and the command.
//!
//! It leads a session of its own without a terminal, adopts every orphan of the command, and
//! watches the socket to the server. When the server asks, or is gone, it ends the command and all
//! that came from it. A background process that a command leaves behind after its regular end is
//! left alone, as a login would.

mod family;
mod prepare;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::wire::{self, Report, Start};

/// How long a terminal's last output is copied after the command's end.
const PTY_DRAIN: Duration = Duration::from_millis(200);

/// What the thread that watches the server knows of the command.
#[derive(Default)]
struct Watched {
    /// The command runs and is not reaped.
    running: bool,
    /// The end was asked for.
    ending: bool,
}

type Shared = Arc<Mutex<Watched>>;

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Watched> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one command to its end.
pub(super) fn run() -> io::Result<()> {
    close_inherited();
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    // Signals that a terminal or a command could send to its surroundings do not concern us.
    deaf(true);
    let _ = nix::unistd::setsid();
    let _ = nix::sys::prctl::set_child_subreaper(true);
    // When memory runs out, commands go before the server does.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");

    let start: Start = wire::read_json(&mut control)?;
    let input = wire::read_bytes(&mut control)?;
    let shared = Shared::default();
    let (typed, typing) = std::sync::mpsc::channel();
    let watcher = watch(control.try_clone()?, Arc::clone(&shared), typed)?;
    let input = if start.session { Input::Typed(typing) } else { Input::Whole(input) };

    match carry_out(&start, input, &null, &shared, &mut control) {
        Ok(status) => {
            if lock(&shared).ending {
                let _ = watcher.join();
            }
            wire::write_json(&mut control, &Report::Exited { status })
        }
        Err(message) => wire::write_json(&mut control, &Report::Failed { message }),
    }
}

/// Blocks all signals, or none: a command inherits the mask of the thread that spawns it.
fn deaf(deaf: bool) {
    let mut all = SigSet::all();
    all.remove(Signal::SIGCHLD);
    let _ = if deaf { all.thread_block() } else { all.thread_unblock() };
}

/// Closes whatever the server left open beside the three standard streams.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|&fd| fd > 2) {
        let _ = nix::unistd::close(fd);
    }
}

/// Starts the thread that ends the command when the server says so or is gone.
fn watch(
    mut control: UnixStream,
    shared: Shared,
    typed: Sender<Vec<u8>>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let mut byte = [0];
        // But for input, any answer, also an error or the end of the stream, means: end it.
        while control.read_exact(&mut byte).is_ok() && byte == [wire::TYPED] {
            let Ok(bytes) = wire::read_bytes(&mut control) else { break };
            // A shell that has ended reads no more.
            let _ = typed.send(bytes);
        }
        let running = {
            let mut watched = lock(&shared);
            watched.ending = true;
            watched.running
        };
        if running {
            family::end_all();
        }
    })
}

fn carry_out(
    start: &Start,
    input: Input,
    null: &File,
    shared: &Shared,
    control: &mut UnixStream,
) -> Result<i32, String> {
    deaf(false);
    let mut prepared = prepare::prepare(start)?;
    let terminal = match start.use_pty {
        true => Some(Terminal::open(start.session)?),
        false => None,
    };
    let has_input = start.has_input || start.session;
    prepared.connect(terminal.as_ref().map(|terminal| &terminal.slave), has_input)?;

    let mut child = {
        let mut watched = lock(shared);
        if watched.ending {
            return Err("cancelled".to_owned());
        }
        let child = prepared.spawn()?;
        deaf(true);
        watched.running = true;
        child
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(|error| error.to_string())?);
    let _ = wire::write_json(control, &Report::Started);
    let copier = match terminal {
        Some(terminal) => Some(terminal.attach(input)?),
        None => {
            // Only the command holds the output now, so that its end is seen as such.
            let _ = nix::unistd::dup2_stdout(null);
            let _ = nix::unistd::dup2_stderr(null);
            if let Some(mut stdin) = child.stdin.take() {
                feed(move || input.write(&mut stdin))?;
            }
            None
        }
    };

    let status = reap(pid, shared);
    prepared.clean_up();
    if let Some(copier) = copier {
        copier.drain();
    }
    status
}

/// What a command reads.
enum Input {
    /// All of it.
    Whole(Vec<u8>),
    /// What is typed, as it comes.
    Typed(Receiver<Vec<u8>>),
}

impl Input {
    fn write(self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Whole(bytes) => to.write_all(&bytes),
            Self::Typed(typed) => typed.iter().try_for_each(|bytes| {
                to.write_all(&bytes)?;
                to.flush()
            }),
        }
    }
}

/// Feeds input beside the command; one that reads no input is no failure.
fn feed(write: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<(), String> {
    std::thread::Builder::new()
        .stack_size(128 * 1024)
        .spawn(move || drop(write()))
        .map(drop)
        .map_err(|error| format!("cannot feed standard input: {error}"))
}

/// Waits for the command, burying adopted orphans meanwhile.
fn reap(pid: Pid, shared: &Shared) -> Result<i32, String> {
    loop {
        match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Ok(status) if status.pid() == Some(pid) => {
                // From here on the number may be given to another process.
                lock(shared).running = false;
                let _ = waitpid(pid, None);
                return match status {
                    WaitStatus::Exited(_, code) => Ok(code),
                    WaitStatus::Signaled(_, signal, _) => Ok(128 + signal as i32),
                    other => Err(format!("the command ended in a strange way: {other:?}")),
                };
            }
            Ok(status) => {
                if let Some(orphan) = status.pid() {
                    let _ = waitpid(orphan, None);
                }
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(format!("cannot wait for the command: {error}")),
        }
    }
}

/// A terminal of the command's own.
struct Terminal {
    master: File,
    slave: OwnedFd,
}

impl Terminal {
    fn open(session: bool) -> Result<Self, String> {
        use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
        let told = |error: &dyn std::fmt::Display| format!("cannot allocate a terminal: {error}");
        let pair = nix::pty::openpty(None, None).map_err(|error| told(&error))?;
        // Results are to be the same with and without a terminal: no echo of the input, no CR. A
        // session is to be as people see it.
        if !session {
            let mut settings = tcgetattr(&pair.slave).map_err(|error| told(&error))?;
            settings.local_flags.remove(LocalFlags::ECHO);
            settings.output_flags.remove(OutputFlags::ONLCR);
            tcsetattr(&pair.slave, SetArg::TCSANOW, &settings).map_err(|error| told(&error))?;
        }
        let path = nix::unistd::ttyname(&pair.slave).map_err(|error| told(&error))?;
        // Opened anew by the leader of a session, it becomes the session's terminal.
        let slave =
            File::options().read(true).write(true).open(path).map_err(|error| told(&error))?;
        Ok(Self { master: File::from(pair.master), slave: slave.into() })
    }

    /// Copies between the terminal and the server's pipe.
    fn attach(self, input: Input) -> Result<Copier, String> {
        let told = |error: io::Error| format!("cannot use the terminal: {error}");
        let mut writer = self.master.try_clone().map_err(told)?;
        feed(move || {
            let ends_line = match &input {
                Input::Typed(_) => None,
                Input::Whole(bytes) => Some(bytes.last().is_none_or(|&b| b == b'\n')),
            };
            input.write(&mut writer)?;
            // End of file, as typed; a session has none.
            match ends_line {
                Some(true) => writer.write_all(b"\x04"),
                Some(false) => writer.write_all(b"\x04\x04"),
                None => Ok(()),
            }
        })?;
        // Not through the standard library's buffer: a prompt has no line end.
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(told)?;
        let (mut master, mut out) = (self.master, File::from(out));
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .spawn(move || {
                let _ = io::copy(&mut master, &mut out);
                let _ = ended.send(());
            })
            .map_err(told)?;
        Ok(Copier(end))
    }
}

struct Copier(std::sync::mpsc::Receiver<()>);

impl Copier {
    fn drain(self) {
        let _ = self.0.recv_timeout(PTY_DRAIN);
    }
}
