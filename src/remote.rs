//! Reaches outside: runs commands on machines, asks web servers, hands over mail.
//!
//! Architecture invariant: nothing here knows the store, the tree or jobflows. A request is plain
//! data and its output a stream of events, so that the same code runs in-process and at a distant
//! site.

pub mod charset;
pub mod copy;
pub mod hide;
pub mod local;
pub mod mail;
pub mod mailbox;
pub mod manager;
pub mod names;
pub mod network;
pub mod oauth2;
pub mod python;
#[cfg(test)]
pub(crate) mod trial;
pub mod web;
pub mod words;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use charset::Charset;
pub use manager::Manager;
pub use names::Names;
pub use network::{Network, Patience, Trust};

/// Most bytes of a command line, of a script, and of the arguments of a script.
///
/// Source: jobflow language, limits (112 KB).
pub const COMMAND_BYTES_MAX: usize = 112 * 1024;

/// Most bytes that are kept of each output stream of one command.
///
/// Ours: the result is a value of the process, and processes have a memory limit. What comes after
/// is thrown away, and the end of the error text says so.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most bytes of standard input of one command: as the output.
pub const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A command line.
    Command {
        /// As the author wrote it.
        line: String,
    },
    /// A script: laid down as a temporary file, run, removed.
    Script {
        /// The text; line ends are LF.
        source: String,
        /// Selects the interpreter on Windows.
        ext: String,
        /// Command-line arguments.
        arguments: Vec<String>,
    },
}

/// Where it is to be run and as whom (rule: `operations/control-variables`).
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Management area that carries it out; `None` is any.
    pub realm: Option<String>,
    /// Host name or address; `None` is the job manager's own host.
    pub host: Option<String>,
    /// Connection type, as in `ssh`; `None` is `ssh` with a host and `local` without.
    pub connection: Option<String>,
    /// Port; `None` is the one of the connection type.
    pub port: Option<u16>,
    /// Login user; `None` is the job manager's own.
    pub user: Option<String>,
    /// Login password, also asked for by sudo.
    pub password: Option<SecretString>,
    /// Path of an ssh key on the job manager's host.
    pub key_file: Option<String>,
    /// An ssh key itself, from an account object.
    pub key: Option<SecretString>,
    /// Pass phrase of the key; `None` is the password.
    pub passphrase: Option<SecretString>,
    /// Stepping-stone host.
    pub proxy: Option<Box<Self>>,
    /// Reuse a live connection.
    pub use_cache: bool,
    /// Settings of Windows connections: `ntlm` or `credssp`.
    pub winrs_auth: Option<String>,
    /// Settings of Windows connections: `https` or `http`.
    pub winrs_scheme: Option<String>,
    /// Settings of Windows connections: allow TLS 1.0.
    pub winrs_tls10: bool,
}

impl Target {
    /// The connection type that is meant (rule: `operations/control-variables`).
    #[must_use]
    pub fn connection(&self) -> &str {
        self.connection
            .as_deref()
            .unwrap_or_else(|| if self.host.is_some() { "ssh" } else { "local" })
    }
}

/// Bounds on what one command may use; `None` leaves the service's own bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes kept of each output stream.
    pub output: usize,
    /// Address space of each of its processes, in bytes.
    pub memory: Option<u64>,
    /// Processes of its user.
    pub processes: Option<u64>,
    /// Open files of each of its processes.
    pub files: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { output: OUTPUT_BYTES_MAX, memory: None, processes: None, files: None }
    }
}

/// One piece of work for a job manager.
#[derive(Debug, Clone)]
pub struct Request {
    /// What.
    pub work: Work,
    /// Where and as whom.
    pub target: Target,
    /// Through sudo.
    pub sudo: bool,
    /// Working directory as the author wrote it (with a shell, the shell reads it).
    pub dir: Option<String>,
    /// Variables added to the clean environment.
    pub env: Vec<(String, String)>,
    /// Program that reads command lines.
    pub shell: String,
    /// Whether a shell is used at all.
    pub use_shell: bool,
    /// Allocate a terminal; error text then comes with the output.
    pub use_pty: bool,
    /// Stays open for [`Running::write`]; the command line is the login shell's.
    pub session: bool,
    /// Standard input; `None` is empty.
    pub input: Option<Data>,
    /// Character code of standard input, output and error.
    pub encoding: String,
    /// Deliver standard output as bytes.
    pub raw_stdout: bool,
    /// Deliver standard error as bytes.
    pub raw_stderr: bool,
    /// Total time; `None` is without end.
    pub timeout: Option<Duration>,
    /// Bounds.
    pub limits: Limits,
}

impl Request {
    /// A command line on the job manager's host, all else as by default.
    #[must_use]
    pub fn command(line: impl Into<String>) -> Self {
        Self {
            work: Work::Command { line: line.into() },
            target: Target::default(),
            sudo: false,
            dir: None,
            env: Vec::new(),
            shell: "/bin/bash".to_owned(),
            use_shell: true,
            use_pty: false,
            session: false,
            input: None,
            encoding: "utf-8".to_owned(),
            raw_stdout: false,
            raw_stderr: false,
            timeout: None,
            limits: Limits::default(),
        }
    }
}

/// Text or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Decoded text.
    Text(String),
    /// Bytes as they came.
    Bytes(Vec<u8>),
}

impl Default for Data {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a piece of work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end.
    Exited {
        /// 0 to 255 on Unix (128 + N when killed by signal N); 32-bit unsigned on Windows.
        status: i64,
        /// Standard output; text without its last line end.
        stdout: Data,
        /// Standard error; text without its last line end.
        stderr: Data,
    },
    /// It could not be carried out, or not to its end (`$STATUS` -1).
    Lost {
        /// For `$ERROR`.
        message: String,
    },
    /// It was cancelled by [`Running::cancel`].
    Cancelled,
}

/// Receives the output while it is produced. Calls come from one thread, in order.
pub trait Output: Send + Sync {
    /// A piece of text; what does not decode is shown as U+FFFD.
    fn text(&self, stream: Stream, text: &str);
    /// A piece of a stream that was asked for as bytes.
    fn bytes(&self, stream: Stream, bytes: &[u8]);
    /// The work has begun: a session is open.
    fn started(&self) {}
}

/// Throws output away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOutput;

impl Output for NoOutput {
    fn text(&self, _: Stream, _: &str) {}
    fn bytes(&self, _: Stream, _: &[u8]) {}
}

/// Called once with the end of the work, from a thread of the runner.
pub type Done = Box<dyn FnOnce(Outcome) + Send>;

/// Work in progress. Dropping the handle does not end the work.
pub trait Running: Send + Sync {
    /// Asks for an early end; [`Outcome::Cancelled`] follows unless it had already ended.
    fn cancel(&self);
    /// Types text into a session; `false` when it is no session, or has ended.
    fn write(&self, _bytes: &[u8]) -> bool {
        false
    }
}

/// Carries out work.
pub trait Runner: Send + Sync {
    /// Starts `request` and returns at once; `done` is called exactly once.
    fn start(&self, request: Request, output: Arc<dyn Output>, done: Done) -> Arc<dyn Running>;
}
