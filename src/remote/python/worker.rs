//! One `python3` process and what is said to it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use kompira_schema::path::PATH_CHARS_MAX;
use kompira_schema::value::Value;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, User, geteuid};
use serde_json::{Value as Json, json};

use super::{
    Failure, Found, LOOK, Limit, Loaded, MESSAGE_BYTES_MAX, Needs, PRINT_CHARS_MAX, ROOT_PACKAGE,
    Surroundings, mark, value,
};

/// The program that runs in it.
const HOST: &str = include_str!("host.py");

/// Processor time of one process, in seconds; it is replaced long before. Reason: one that nobody
/// can end any more ends itself.
const CPU_SECONDS: u64 = 3_600;

/// A process that has used this much is replaced before the next order.
const CPU_SPENT: f64 = 1_800.0;

/// Processes and threads of the user `nobody`. Reason: a library may start some, not endlessly.
const PROCESSES: u64 = 256;

/// Modules that one process looks for. Reason: each is looked at again before a call.
const NEEDS_MAX: usize = 1_000;

/// Bytes of the name of a module: more than a path can have.
const NAME_BYTES_MAX: usize = 4 * PATH_CHARS_MAX + ROOT_PACKAGE.len();

/// Characters of a documentation that are kept. Reason: it is part of every answer.
const DOCUMENT_CHARS_MAX: usize = 65_536;

/// Characters of an error that are kept; the host says less.
const ERROR_CHARS_MAX: usize = 8_192;

/// The user of processes whose server is `root`'s, if the system knows no `nobody`.
const NOBODY: u32 = 65_534;

/// How long what is sent may wait for the process to take it.
const TAKE: Duration = Duration::from_secs(10);

/// Bounds that differ from process to process.
pub(super) struct Bounds {
    pub(super) confined: bool,
    pub(super) memory: u64,
    pub(super) file: u64,
}

pub(super) struct Worker {
    child: Child,
    socket: UnixStream,
    /// What came and is not a whole frame yet.
    read: Vec<u8>,
    needs: Needs,
    /// Orders that it got: a frame says which one it belongs to.
    number: u64,
    spent: bool,
}

impl Worker {
    /// Starts a process and waits until it takes orders.
    pub(super) fn start(
        program: &Path,
        env: &[(String, String)],
        bounds: &Bounds,
        limit: &Limit<'_>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        let (socket, theirs) = UnixStream::pair().map_err(told)?;
        let mut command = Command::new(program);
        command.args(["-I", "-X", "utf8"]);
        if bounds.confined {
            // What is installed on the machine is of no use to it.
            command.arg("-S");
        }
        command.args(["-c", HOST]).current_dir("/").process_group(0);
        command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::from(OwnedFd::from(theirs.try_clone().map_err(told)?)));
        command.stdout(Stdio::from(OwnedFd::from(theirs))).stderr(Stdio::null());
        let as_root = geteuid().is_root();
        if as_root {
            let nobody = User::from_name("nobody").ok().flatten();
            let (uid, gid) = nobody
                .map_or((NOBODY, NOBODY), |nobody| (nobody.uid.as_raw(), nobody.gid.as_raw()));
            // Further groups are given up with it.
            command.uid(uid).gid(gid);
        }
        let child = command.spawn().map_err(told)?;
        // It holds the other end of the socket.
        drop(command);
        let (read, needs) = (Vec::new(), Needs::new());
        let mut worker = Self { child, socket, read, needs, number: 0, spent: false };
        let settings = json!({
            "confined": bounds.confined,
            "memory": bounds.memory,
            "file": bounds.file,
            "cpu": CPU_SECONDS,
            "processes": as_root.then_some(PROCESSES),
            "message": MESSAGE_BYTES_MAX,
            "printed": PRINT_CHARS_MAX,
        });
        let ready = worker.send(&settings).and_then(|()| worker.receive(limit, is_cancelled));
        match ready {
            Ok(frame) if frame.get("done").is_some() => Ok(worker),
            Ok(_) => Err("it does not start as expected".to_owned()),
            Err(Failure::Lost(why)) => Err(why),
            Err(_) => Err("it was ended".to_owned()),
        }
    }

    /// Whether it takes another order: it lives, and has not worked too long.
    pub(super) fn is_good(&self) -> bool {
        // Whoever is reaped leaves his number to others, and the group is killed by it.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let state = self.pid().map(|pid| waitid(Id::Pid(pid), flags));
        !self.spent && matches!(state, Some(Ok(WaitStatus::StillAlive)))
    }

    /// Its number, and that of its group.
    pub(super) fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }

    /// What it looked for since it last forgot.
    pub(super) const fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Leaves it alone, as a server does that is killed.
    #[cfg(test)]
    pub(super) fn leave(&self) {
        self.socket.shutdown(std::net::Shutdown::Both).expect("a socket that is connected");
    }

    /// Lets it forget every library.
    pub(super) fn forget(&mut self) -> Result<(), Failure> {
        self.needs.clear();
        self.send(&json!({"do": "forget"}))
    }

    /// Loads a library.
    pub(super) fn load(
        &mut self,
        module: &str,
        limit: Limit<'_>,
        around: &mut dyn Surroundings,
    ) -> Result<Loaded, Failure> {
        let order = json!({"do": "load", "module": module}).to_string();
        let done = self.ask(order.as_bytes(), limit, around)?;
        let document = done.get("document").and_then(Json::as_str);
        let document = document.map(|text| text.chars().take(DOCUMENT_CHARS_MAX).collect());
        Ok(Loaded { document })
    }

    /// Carries out a call.
    pub(super) fn call(
        &mut self,
        order: &[u8],
        zone: &TimeZone,
        limit: Limit<'_>,
        around: &mut dyn Surroundings,
    ) -> Result<Value, Failure> {
        value::read(self.ask(order, limit, around)?, zone).map_err(Failure::Raised)
    }

    /// Gives an order and answers what is asked until it is done.
    fn ask(
        &mut self,
        order: &[u8],
        limit: Limit<'_>,
        around: &mut dyn Surroundings,
    ) -> Result<Json, Failure> {
        self.send_bytes(order)?;
        self.number += 1;
        let mut printed = 0;
        loop {
            let mut frame = self.receive(&limit, &|| around.is_cancelled())?;
            let is_own = frame.get("n").and_then(Json::as_u64) == Some(self.number);
            if let Some(name) = frame.get("find").and_then(Json::as_str) {
                let id = frame.get("id").and_then(Json::as_u64);
                if !is_own {
                    // A thread of an earlier order: what it needs is nobody's.
                    self.send(&json!({"found": null, "id": id}))?;
                    continue;
                }
                if self.needs.len() >= NEEDS_MAX || name.len() > NAME_BYTES_MAX {
                    return Err(Failure::Lost("too many modules are looked for".to_owned()));
                }
                let found = around.find(name);
                self.needs.push((name.to_owned(), mark(found.as_ref())));
                let answer = match found {
                    None => Json::Null,
                    Some(Found::Package) => json!({"source": null}),
                    Some(Found::Library { source, path }) => {
                        json!({"source": source, "path": path})
                    }
                };
                self.send(&json!({"found": answer, "id": id}))?;
                continue;
            }
            if !is_own {
                if frame.get("print").is_some() {
                    // Who called is gone.
                    continue;
                }
                return Err(Failure::Lost("the Python process answers wrongly".to_owned()));
            }
            if let Some(text) = frame.get("print").and_then(Json::as_str) {
                printed += text.len();
                if printed > 4 * PRINT_CHARS_MAX {
                    return Err(Failure::Lost("too much is printed".to_owned()));
                }
                around.print(text);
                continue;
            }
            self.spent = frame.get("cpu").and_then(Json::as_f64).is_some_and(|cpu| cpu > CPU_SPENT);
            let text = |name: &str| {
                let text = frame.get(name).and_then(Json::as_str)?;
                Some(text.chars().take(ERROR_CHARS_MAX).collect::<String>())
            };
            if let Some(error) = text("error") {
                return Err(Failure::Raised(error));
            }
            if let Some(error) = text("arguments") {
                return Err(Failure::Arguments(error));
            }
            if frame.get("missing").is_some() {
                return Err(Failure::NoFunction);
            }
            return match frame.get_mut("done") {
                Some(done) => Ok(done.take()),
                None => Err(Failure::Lost("the Python process answers wrongly".to_owned())),
            };
        }
    }

    fn send(&mut self, frame: &Json) -> Result<(), Failure> {
        self.send_bytes(frame.to_string().as_bytes())
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let lost = |why: &dyn std::fmt::Display| {
            Failure::Lost(format!("the Python process does not listen: {why}"))
        };
        let length = u32::try_from(bytes.len()).map_err(|error| lost(&error))?;
        let until = Instant::now() + TAKE;
        for part in [&length.to_be_bytes()[..], bytes] {
            let mut left = part;
            while !left.is_empty() {
                let wait = until.saturating_duration_since(Instant::now());
                if wait.is_zero() {
                    return Err(lost(&"it took too long"));
                }
                self.socket.set_write_timeout(Some(wait)).map_err(|error| lost(&error))?;
                match self.socket.write(left) {
                    Ok(count) => left = left.get(count..).unwrap_or_default(),
                    Err(error) if again(&error) => {}
                    Err(error) => return Err(lost(&error)),
                }
            }
        }
        Ok(())
    }

    /// The next frame. An error leaves the process as it is: it must not be used again.
    fn receive(
        &mut self,
        limit: &Limit<'_>,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Json, Failure> {
        let ended = || Failure::Lost("the Python process ended".to_owned());
        let begun = Instant::now();
        let mut piece = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.frame()? {
                return Ok(frame);
            }
            if limit.stopped.load(Ordering::SeqCst) || is_cancelled() {
                return Err(Failure::Cancelled);
            }
            let left = limit.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seconds = begun.elapsed().as_secs_f64();
                return Err(Failure::Lost(format!("time limit of {seconds:.0} seconds exceeded")));
            }
            // Nothing waits for less than a moment.
            let wait = left.min(LOOK).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).map_err(|_| ended())?;
            match self.socket.read(&mut piece) {
                Ok(0) => return Err(ended()),
                Ok(count) => self.read.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if again(&error) => {}
                Err(_) => return Err(ended()),
            }
        }
    }

    /// Takes a whole frame out of what came.
    fn frame(&mut self) -> Result<Option<Json>, Failure> {
        let wrong = || Failure::Lost("the Python process says what it should not".to_owned());
        let Some((length, rest)) = self.read.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(wrong());
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        let frame = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        self.read.drain(..4 + length);
        Ok(Some(frame))
    }
}

fn again(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(group) = self.pid() {
            // The leader is not yet reaped, by nobody: the number is its group's.
            let _ = killpg(group, Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
