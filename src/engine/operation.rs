//! What the process command does with the processes it is given (rule:
//! `operations/process-command`).

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;
use kompira_schema::tree::Caller;

use super::{Engine, Modes};

/// What is done with processes that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Show them.
    List,
    /// Tell how many there are.
    Count,
    /// Remove those that have ended, with their children.
    Delete,
    /// End them.
    Terminate,
    /// Pause them.
    Suspend,
    /// Go on with them.
    Resume,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::List, Self::Count, Self::Delete, Self::Terminate, Self::Suspend, Self::Resume];

    /// By which requests name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Count => "count",
            Self::Delete => "delete",
            Self::Terminate => "terminate",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

impl Engine {
    /// Does it to one process; `false` when there was nothing to do. Listing and counting do
    /// nothing to a process and are always done.
    ///
    /// # Errors
    /// As [`Engine::delete`], [`Engine::terminate`], [`Engine::suspend`], [`Engine::resume`].
    pub fn operate(
        &self,
        who: &Caller,
        operation: Operation,
        id: ProcessId,
    ) -> Result<bool, Fault> {
        match operation {
            Operation::List | Operation::Count => Ok(true),
            Operation::Delete => self.delete(who, id).map(|()| true),
            Operation::Terminate => self.terminate(who, id),
            Operation::Suspend => self.suspend(who, id),
            Operation::Resume => self.resume(who, id, Modes::default()),
        }
    }
}
