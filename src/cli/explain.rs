//! `kompira explain`.

use std::process::ExitCode;

use clap::Args;
use kompira_schema::error::Kind;

use super::run::println;
use super::trouble::{Exit, Trouble};

/// Explain the code of a failure
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira explain KF1004")]
pub(super) struct Explain {
    /// The code, as in KF1004; all codes without one
    code: Option<String>,
}

impl Explain {
    pub(super) fn main(&self) -> Result<ExitCode, Trouble> {
        let Some(code) = &self.code else {
            for &kind in Kind::ALL {
                println(&format!("{} {:<16} {}", kind.code(), kind.name(), meaning(kind).0));
            }
            return Ok(Exit::Ok.into());
        };
        let code = code.to_uppercase();
        let found = Kind::ALL.iter().find(|kind| kind.code() == code);
        let kind = *found.ok_or_else(|| {
            Trouble::usage(format!("there is no failure {code}"))
                .advise("kompira explain lists all of them")
        })?;
        let (what, advice) = meaning(kind);
        println(&format!("{} {}", kind.code(), kind.name()));
        println(&format!("  {what}"));
        println(&format!("  What to do: {advice}"));
        println(&format!(
            "  HTTP status {}, error number {} in the mount",
            kind.status(),
            kind.errno()
        ));
        Ok(Exit::Ok.into())
    }
}

/// What a failure means and what to do about it.
fn meaning(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::NotFound => {
            ("Nothing is at that path.", "check the spelling; names are case-sensitive")
        }
        Kind::Exists => (
            "The name is taken in that container.",
            "choose another name, or change the object that is there",
        ),
        Kind::Denied => (
            "You lack a permission on the object.",
            "ask its owner or a privileged user for read, write or execute",
        ),
        Kind::Stale => ("Somebody else saved after you had read.", "read again, merge, save"),
        Kind::TooLarge => ("Over a size limit.", "make it smaller, or send it as an attachment"),
        Kind::Full => (
            "The disk of the data directory is full; nothing was lost.",
            "free space, then try again",
        ),
        Kind::Corrupt => (
            "Stored bytes are not what was written.",
            "restore from a backup, and look at the disk",
        ),
        Kind::Protected => (
            "The object or field belongs to the system.",
            "nobody may do this; copy the object and change the copy",
        ),
        Kind::Invalid => {
            ("A value does not fit its field.", "the message names each field and what it takes")
        }
        Kind::BadName => (
            "Not a legal object name.",
            "letters, digits and _, no digit first, at most 128 characters",
        ),
        Kind::NameTooLong => {
            ("A name or path is too long.", "names have at most 128 characters, paths 1024")
        }
        Kind::NotContainer => {
            ("Something that has no children is used as a directory.", "name a Directory or Table")
        }
        Kind::WrongType => (
            "That type cannot be created there.",
            "a Table takes its own type alone; some types are the system's",
        ),
        Kind::Cycle => ("A container would contain itself.", "move it to a place outside itself"),
        Kind::NoMessage => ("The queue holds no such message.", "somebody else may have taken it"),
        Kind::Timeout => {
            ("The wait ended without its event.", "wait longer, or look why it does not come")
        }
        Kind::Busy => (
            "Not possible in the present state.",
            "wait for the end of the process, or end it first",
        ),
        Kind::Licence => ("A licence limit is reached.", "see /config/license"),
        Kind::IsContainer => ("A file operation met a directory.", "name the file inside it"),
        Kind::NotEmpty => (
            "The container still has children.",
            "delete them first, or delete it with all that is below",
        ),
        Kind::Unauthenticated => (
            "Nobody is logged in, or the credentials are wrong.",
            "make a token: kompira token create USER",
        ),
        Kind::NoMethod => ("The object has no such operation.", "OPTIONS tells which it has"),
        Kind::BadRequest => ("The request cannot be understood.", "the message says which part"),
        Kind::Unavailable => (
            "Going down, not yet up, or an outside service does not answer.",
            "try again in a moment",
        ),
        Kind::TooMany => ("Over a rate or count limit.", "try later"),
        Kind::Locked => {
            ("Another server holds the data directory.", "the message names it; stop it or wait")
        }
        Kind::ReadOnly => {
            ("The place is read-only (history, status).", "write to the object itself")
        }
        Kind::NoAttribute => ("No such extended attribute.", "getfattr -d lists those there are"),
        Kind::Io => ("An outside system answered with an I/O error.", "the log says which"),
        Kind::Version => {
            ("The data were written by a newer version.", "use that version or a later one")
        }
        Kind::Outside => (
            "A system outside, such as a git repository, refused or failed.",
            "the message says what it answered: check its address, the account and the network",
        ),
        Kind::CrossDevice => (
            "Objects and plain files are kept apart.",
            "copy it and remove the original: mv does so by itself",
        ),
        Kind::Internal => ("A fault of ours.", "report it with the request id; the log says more"),
    }
}
