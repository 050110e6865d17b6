//! Runs jobflows: processes, their waits, their consoles, and what is left of them after a crash.
//!
//! A process is a value in the store. A few worker threads take runnable processes from a fair
//! queue and run each for a budget of steps; a process that waits is a row and no thread. Each
//! step's changes to the tree, the checkpoint and the console are one commit.

pub mod console;
pub mod process;
pub mod vm;

use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, ProcessId, ScheduleId};
use kompira_schema::tree::Caller;
use kompira_schema::value::Ref;

pub use console::{ConsoleEvent, ConsoleStream, ConsoleText};
pub use process::{Filter, Modes, Monitoring, Params, ProcessInfo, Status};

/// How a process is started.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Suspend before each command.
    pub step_mode: bool,
    /// Repeat a command that was in flight at a crash; `None`: the jobflow's default.
    pub checkpoint_mode: Option<bool>,
    /// Mail at the end; `None`: the jobflow's default.
    pub monitoring_mode: Option<Monitoring>,
    /// What started it, for the property `invoker`.
    pub invoker: Option<ObjectId>,
    /// The schedule that started it.
    pub schedule: Option<ScheduleId>,
    /// For a script job: where it runs.
    pub node: Option<ObjectId>,
    /// For a script job: as whom.
    pub account: Option<ObjectId>,
}

/// The job engine. Clones are handles of one engine.
#[derive(Clone)]
pub struct Engine {
    _inner: Arc<()>,
}

impl Engine {
    /// Starts a process of the jobflow or script job `job` as `who` (rule: `operations/execute`).
    ///
    /// The process is durable when this returns.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Invalid` (parameters, not executable), `TooMany`.
    pub fn execute(
        &self,
        who: &Caller,
        job: ObjectId,
        params: Params,
        options: StartOptions,
    ) -> Result<ProcessId, Fault> {
        let _ = (who, job, params, options);
        unimplemented!()
    }

    /// The state of a process.
    ///
    /// # Errors
    /// `NotFound` also for a process that `who` may not see.
    pub fn info(&self, who: &Caller, id: ProcessId) -> Result<ProcessInfo, Fault> {
        let _ = (who, id);
        unimplemented!()
    }

    /// Processes that `who` may see, newest first, below `before`, at most `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(
        &self,
        who: &Caller,
        filter: &Filter,
        before: Option<ProcessId>,
        limit: usize,
    ) -> Result<Vec<ProcessInfo>, Fault> {
        let _ = (who, filter, before, limit);
        unimplemented!()
    }

    /// Waits for the end of a process; `None` when it goes on after `timeout`. Blocks the thread.
    ///
    /// # Errors
    /// `NotFound`, also when the process is deleted meanwhile.
    pub fn wait(
        &self,
        who: &Caller,
        id: ProcessId,
        timeout: Option<Duration>,
    ) -> Result<Option<ProcessInfo>, Fault> {
        let _ = (who, id, timeout);
        unimplemented!()
    }

    /// The kept console text of a process.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn console(&self, who: &Caller, id: ProcessId) -> Result<ConsoleText, Fault> {
        let _ = (who, id);
        unimplemented!()
    }

    /// Follows the console of a process from byte offset `from` (0: all that is kept).
    ///
    /// # Errors
    /// `NotFound`.
    pub fn follow(&self, who: &Caller, id: ProcessId, from: u64) -> Result<ConsoleStream, Fault> {
        let _ = (who, id, from);
        unimplemented!()
    }

    /// Ends a process and its children as ABORTED; `false` when it had ended.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub fn terminate(&self, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
        let _ = (who, id);
        unimplemented!()
    }

    /// Pauses a process and its children; `false` when it had ended, was paused, or is a script.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub fn suspend(&self, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
        let _ = (who, id);
        unimplemented!()
    }

    /// Continues a paused process and its children, with other modes if given; `false` when it
    /// was not paused.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub fn resume(&self, who: &Caller, id: ProcessId, modes: Modes) -> Result<bool, Fault> {
        let _ = (who, id, modes);
        unimplemented!()
    }

    /// Changes the modes of a process.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub fn set_modes(&self, who: &Caller, id: ProcessId, modes: Modes) -> Result<(), Fault> {
        let _ = (who, id, modes);
        unimplemented!()
    }

    /// Deletes a process that has ended, with its children.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Busy` when it is active.
    pub fn delete(&self, who: &Caller, id: ProcessId) -> Result<(), Fault> {
        let _ = (who, id);
        unimplemented!()
    }

    /// Stops taking steps, lets running steps end and commands in flight for at most `grace`, and
    /// leaves every process journaled. Further calls answer `Unavailable`.
    pub fn stop(&self, grace: Duration) {
        let _ = grace;
        unimplemented!()
    }
}

/// The object a process is to language and faces.
#[must_use]
pub fn reference(id: ProcessId) -> Ref {
    Ref::Process(id)
}
