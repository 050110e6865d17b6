//! What a command says when it fails, and how it exits.

use std::io::Write as _;
use std::process::ExitCode;

/// Exit status (rule: operations/exit-codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// Failed, or only in part.
    Failed,
    /// Wrong usage.
    Usage,
    /// Not permitted.
    Denied,
    /// The server cannot be reached.
    Unreachable,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Unreachable => 4,
        }
    }

    pub(super) fn of_clap(error: &clap::Error) -> Self {
        if error.use_stderr() { Self::Usage } else { Self::Ok }
    }

    /// What an HTTP status means for a command.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            401 | 403 => Self::Denied,
            502..=504 => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// How to exit.
    pub exit: Exit,
    /// What went wrong.
    pub what: String,
    /// What to do.
    pub advice: Option<String>,
}

impl Trouble {
    /// Trouble of a kind.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None }
    }

    /// Plain failure.
    #[must_use]
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// Wrong usage.
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Whether the server said that something is not there.
    pub(super) fn is_gone(&self) -> bool {
        self.what.ends_with(&format!("({})", kompira_schema::error::Kind::NotFound.code()))
    }

    /// Says it on standard error.
    pub fn tell(&self) -> ExitCode {
        let mut err = std::io::stderr().lock();
        // When standard error is closed, the exit status still tells.
        let _ = writeln!(err, "kompira: {}", self.what);
        if let Some(advice) = &self.advice {
            let _ = writeln!(err, "  {advice}");
        }
        self.exit.into()
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::Denied,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}
