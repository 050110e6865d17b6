//! The end of a process (rule: `operations/process-ends`).

use kompira_schema::error::Fault;
use kompira_schema::value::Value;

use super::{Turn, lost};
use crate::engine::process::Status;
use crate::engine::row::{self, Wait};
use crate::engine::vm::request::End;
use crate::engine::{channels, console, notices};
use crate::store::Family;
use crate::tree::Txn;

/// Ended by the engine.
pub(super) fn abend(why: &str) -> End {
    End { done: false, status: 1, result: Value::Null, error: why.into() }
}

impl Turn<'_> {
    /// Writes the end: the record stays, what only a running process needs goes.
    pub(super) fn finish(&mut self, txn: &mut Txn, end: &End) -> Result<(), Fault> {
        let id = self.id();
        self.dirty = true;
        let row = &mut self.row;
        row.status = if end.done { Status::Done } else { Status::Aborted };
        row.exit_status = Some(end.status);
        row.result = end.result.clone();
        row.error = end.error.clone();
        row.finished = Some(self.inner.now());
        row.suspended = false;
        row.current_job = None;
        self.out.released.append(&mut row.locks);
        row.programs.clear();
        row.wait = None;
        row.output = None;
        let queues = std::mem::take(&mut row.queues);
        self.out.told.extend(&queues);
        channels::forget(txn, &queues)?;
        txn.raw_delete(Family::Frame, &row::process_key(id));
        txn.raw_delete(Family::Process, &row::active_key(id));
        if row.sequence > 0 {
            txn.raw_delete(Family::Journal, &row::journal_key(id, row.sequence));
        }
        notices::note(txn, id, row);
        self.keep(txn, None)
    }

    /// Writes the end of a process whose command was in flight when the server ended: state and
    /// journal stay, so that an operator can take it up again.
    pub(in crate::engine) fn interrupt(&mut self, txn: &mut Txn) -> Result<(), Fault> {
        let Some(Wait::Command { shown, .. }) = &self.row.wait else {
            return Err(lost("an interrupted process without a command"));
        };
        let line = format!("interrupted: {shown}\n");
        // What the command had said need not have ended its line.
        if !self.at_line_start(txn)? {
            self.console.push("\n");
        }
        self.console.push(&line);
        self.dirty = true;
        let row = &mut self.row;
        row.status = Status::Aborted;
        row.exit_status = Some(-1);
        row.error = "interrupted".into();
        row.finished = Some(self.inner.now());
        row.interrupted = true;
        row.output = None;
        notices::note(txn, self.slot.id, row);
        txn.raw_delete(Family::Process, &row::active_key(self.slot.id));
        self.keep(txn, None)
    }

    /// Whether what comes next on the console begins a line.
    fn at_line_start(&self, txn: &Txn) -> Result<bool, Fault> {
        if let Some(ends) = self.console.ends_line() {
            return Ok(ends);
        }
        let last = console::read(txn.snapshot(), self.id(), self.row.console.1.saturating_sub(1))?;
        Ok(last.text.is_empty() || last.text.ends_with('\n'))
    }
}
