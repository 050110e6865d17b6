//! Runs commands on this machine, through a re-exec of our own binary.
//!
//! Each command hangs on a helper process that hangs on a socket to the server. When the server
//! is killed the socket closes, and the helper ends the command and all that came from it.

mod bury;
mod collect;
mod helper;
mod wire;

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use secrecy::ExposeSecret;

use super::{
    COMMAND_BYTES_MAX, Charset, Data, Done, INPUT_BYTES_MAX, Outcome, Output, Request, Runner,
    Running, Work,
};
use collect::{Collected, Ending};

/// The hidden first argument that makes our binary a helper.
const HELPER_ARGUMENT: &str = "__run";

/// The helper's main: `None` when this process is not a helper, else its exit code.
///
/// The binary calls this before anything else.
#[must_use]
pub fn helper_main() -> Option<i32> {
    if std::env::args_os().nth(1)? != HELPER_ARGUMENT {
        return None;
    }
    Some(i32::from(helper::run().is_err()))
}

/// What local commands find around them. The composition root fills it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Our own binary.
    pub helper: PathBuf,
    /// Working directory of commands without `__dir__`.
    pub home: PathBuf,
    /// Where temporary scripts lie.
    pub temp: PathBuf,
    /// Variables every command gets, such as `PATH`, `LANG`, `TZ`.
    pub env: Vec<(String, String)>,
}

/// Runs commands on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    options: Arc<Options>,
}

impl Local {
    /// A runner with these surroundings.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options) }
    }
}

impl Runner for Local {
    fn start(&self, request: Request, output: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
        let handle = Arc::new(Handle::default());
        let shared = Arc::clone(&handle);
        let options = Arc::clone(&self.options);
        // `done` must be called also when no thread can be had.
        let done = Arc::new(Mutex::new(Some(done)));
        let finish = Arc::clone(&done);
        let thread = std::thread::Builder::new().name("remote-local".to_owned()).spawn(move || {
            let outcome = carry_out(&options, &request, output.as_ref(), &shared)
                .unwrap_or_else(|message| Outcome::Lost { message });
            if let Some(done) = finish.lock().take() {
                done(outcome);
            }
        });
        if let Err(error) = thread
            && let Some(done) = done.lock().take()
        {
            done(Outcome::Lost { message: format!("cannot start a thread: {error}") });
        }
        handle
    }
}

/// A command in progress.
#[derive(Default)]
struct Handle(Mutex<Link>);

#[derive(Default)]
struct Link {
    cancelled: bool,
    session: bool,
    control: Option<UnixStream>,
}

impl Running for Handle {
    fn cancel(&self) {
        let mut link = self.0.lock();
        link.cancelled = true;
        if let Some(control) = &mut link.control {
            let _ = control.write_all(&[wire::END]);
        }
    }

    fn write(&self, bytes: &[u8]) -> bool {
        let mut link = self.0.lock();
        if !link.session {
            return false;
        }
        let Some(control) = &mut link.control else { return false };
        control.write_all(&[wire::TYPED]).and_then(|()| wire::write_bytes(control, bytes)).is_ok()
    }
}

impl Handle {
    fn is_cancelled(&self) -> bool {
        self.0.lock().cancelled
    }
}

/// Runs one request to its end. An error is the message of a lost command.
fn carry_out(
    options: &Options,
    request: &Request,
    output: &dyn Output,
    handle: &Handle,
) -> Result<Outcome, String> {
    check(request)?;
    let empty = matches!(&request.work, Work::Command { line } if line.trim().is_empty());
    if empty && !request.session {
        return Ok(Outcome::Exited { status: 0, stdout: Data::default(), stderr: Data::default() });
    }
    let charset = Charset::find(&request.encoding)
        .ok_or_else(|| format!("unknown encoding: {}", request.encoding))?;
    let input = encode_input(request, charset)?;
    let begun = Instant::now();
    let deadline = request.timeout.and_then(|timeout| begun.checked_add(timeout));

    let (mut child, control) = launch(options)?;
    let sent = send(options, request, &input, &control);
    {
        let mut link = handle.0.lock();
        link.control = control.try_clone().ok();
        link.session = request.session;
        if link.cancelled {
            let _ = (&control).write_all(&[wire::END]);
        }
    }
    let told = sent.and_then(|()| {
        let job = collect::Job { request, charset, output, deadline };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (Some(out), Some(err)) = (out, err) else {
            return Err("the helper has no output".to_owned());
        };
        job.collect(&control, out, err, &|| handle.is_cancelled())
    });
    handle.0.lock().control = None;
    // The end of the stream makes a helper that still lives end its command.
    let _ = control.shutdown(Shutdown::Both);
    bury::bury(&mut child, told.as_ref().map_or(true, |told| told.runs));
    judge(told?, request, handle.is_cancelled())
}

/// Refuses what the language forbids before anything is started.
fn check(request: &Request) -> Result<(), String> {
    let max_kib = COMMAND_BYTES_MAX / 1024;
    match &request.work {
        Work::Command { line } if line.len() > COMMAND_BYTES_MAX => {
            return Err(format!("the command is longer than {max_kib} KB"));
        }
        Work::Script { source, .. } if source.len() > COMMAND_BYTES_MAX => {
            return Err(format!("the script is longer than {max_kib} KB"));
        }
        Work::Script { arguments, .. }
            if arguments.iter().map(String::len).sum::<usize>() > COMMAND_BYTES_MAX =>
        {
            return Err(format!("the arguments of the script are longer than {max_kib} KB"));
        }
        _ => {}
    }
    let holds_nul = match &request.work {
        Work::Command { line } => line.contains('\0'),
        Work::Script { arguments, .. } => arguments.iter().any(|word| word.contains('\0')),
    };
    if holds_nul || request.dir.as_ref().is_some_and(|dir| dir.contains(['\0', '\n'])) {
        return Err("a NUL character in the command".to_owned());
    }
    if request.sudo && !request.use_shell && request.dir.is_some() {
        return Err("__dir__ cannot be used with __sudo__ when __use_shell__ is false".to_owned());
    }
    Ok(())
}

fn encode_input(request: &Request, charset: Charset) -> Result<Vec<u8>, String> {
    let input = match &request.input {
        None => Vec::new(),
        Some(Data::Bytes(bytes)) => bytes.clone(),
        Some(Data::Text(text)) => charset
            .encode(text)
            .ok_or_else(|| format!("the standard input does not fit {}", charset.name()))?,
    };
    if input.len() > INPUT_BYTES_MAX {
        return Err(format!("the standard input is longer than {} MB", INPUT_BYTES_MAX >> 20));
    }
    Ok(input)
}

fn launch(options: &Options) -> Result<(Child, UnixStream), String> {
    let (mine, theirs) =
        UnixStream::pair().map_err(|error| format!("cannot make a socket: {error}"))?;
    let child = Command::new(&options.helper)
        .arg(HELPER_ARGUMENT)
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {}: {error}", options.helper.display()))?;
    Ok((child, mine))
}

fn send(
    options: &Options,
    request: &Request,
    input: &[u8],
    mut control: &UnixStream,
) -> Result<(), String> {
    let limits = &request.limits;
    let start = wire::Start {
        work: match &request.work {
            // The shell of a session reads from its terminal.
            Work::Command { .. } if request.session => wire::Work::Command {
                line: format!("exec '{}'", request.shell.replace('\'', "'\\''")),
            },
            Work::Command { line } => wire::Work::Command { line: line.clone() },
            Work::Script { source, arguments, .. } => {
                wire::Work::Script { source: source.clone(), arguments: arguments.clone() }
            }
        },
        home: options.home.to_string_lossy().into_owned(),
        temp: options.temp.to_string_lossy().into_owned(),
        dir: request.dir.clone().filter(|dir| !dir.is_empty()),
        env: options.env.iter().chain(&request.env).cloned().collect(),
        shell: request.shell.clone(),
        use_shell: request.use_shell,
        use_pty: request.use_pty,
        session: request.session,
        has_input: request.input.is_some(),
        sudo: request.sudo,
        password: request.target.password.as_ref().map(|word| word.expose_secret().to_owned()),
        user: request.target.user.clone(),
        memory: limits.memory,
        processes: limits.processes,
        files: limits.files,
    };
    wire::write_json(&mut control, &start)
        .and_then(|()| wire::write_bytes(&mut control, input))
        .map_err(|error| format!("the helper does not listen: {error}"))
}

fn judge(told: Collected, request: &Request, cancelled: bool) -> Result<Outcome, String> {
    match told.ending {
        _ if cancelled => Ok(Outcome::Cancelled),
        Ending::TimedOut => {
            let seconds = request.timeout.unwrap_or_default().as_secs_f64();
            Err(format!("time limit of {seconds} seconds exceeded"))
        }
        Ending::Failed(message) => Err(message),
        Ending::Vanished => Err("the command's helper was killed".to_owned()),
        Ending::Exited(status) => {
            Ok(Outcome::Exited { status: i64::from(status), stdout: told.out?, stderr: told.err? })
        }
    }
}
