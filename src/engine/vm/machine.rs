//! The machine: frames, registers, heap.

use std::sync::Arc;

use kompira_schema::id::ObjectId;
use kompira_schema::value::Value as Plain;

use super::builtin::Builtins;
use super::heap::Heap;
use super::host::{Host, Jobflow, Programs};
use super::raise::Raise;
use super::request::{Answer, Pause, Position, Request};

/// What a process may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of values and frames.
    pub memory_max: usize,
    /// The zone of instants that come without one.
    pub zone: jiff::tz::TimeZone,
}

/// Arguments a process is started with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments {
    /// By position.
    pub positional: Vec<Plain>,
    /// By name.
    pub named: Vec<(String, Plain)>,
}

/// One process: plain data, run in slices, saved between them.
#[derive(Debug)]
pub struct Machine {
    #[expect(dead_code, reason = "first landing")]
    heap: Heap,
}

/// Why a saved machine cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// Written by a version this one does not know.
    Version(u16),
    /// Not what was saved.
    Corrupt,
    /// Byte code is lost; why.
    Program(String),
}

impl Machine {
    /// A process that is about to call `jobflow`.
    ///
    /// # Errors
    /// The arguments do not fit its parameters.
    pub fn start(
        jobflow: Jobflow,
        arguments: &Arguments,
        builtins: Arc<Builtins>,
        options: &Options,
    ) -> Result<Self, Raise> {
        let _ = (jobflow, arguments, builtins, options);
        unimplemented!()
    }

    /// Runs at most `budget` steps (a step is a job or a round of a loop).
    pub fn run(&mut self, budget: u64, host: &mut dyn Host) -> Pause {
        let _ = (budget, host);
        unimplemented!()
    }

    /// Gives a blocked machine what it waits for; [`Machine::run`] goes on from there. An answer that
    /// does not fit the request is a runtime error of the job.
    pub fn resume(&mut self, answer: Answer) {
        let _ = answer;
        unimplemented!()
    }

    /// What it waits for; after [`Machine::load`] the wait to enter again.
    #[must_use]
    pub fn waiting(&self) -> Option<&Request> {
        unimplemented!()
    }

    /// The child `index` of the `fork` or `pfor` this machine waits at, with a deep copy of the frame.
    ///
    /// # Errors
    /// Not enough memory; or this machine waits for no such child.
    pub fn child(&self, index: usize) -> Result<Self, Raise> {
        let _ = index;
        unimplemented!()
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        unimplemented!()
    }

    /// Jobflows of limited multiplicity it is inside of.
    #[must_use]
    pub fn locks(&self) -> Vec<ObjectId> {
        unimplemented!()
    }

    /// Sessions it has open.
    #[must_use]
    pub fn sessions(&self) -> Vec<u64> {
        unimplemented!()
    }

    /// The byte code its frames need, each once: whoever saves a machine pins these.
    #[must_use]
    pub fn programs(&self) -> Vec<crate::lang::program::CodeHash> {
        unimplemented!()
    }

    /// Its whole state, appended to `out`.
    pub fn save(&self, out: &mut Vec<u8>) {
        let _ = out;
        unimplemented!()
    }

    /// Reads what [`Machine::save`] wrote.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        bytes: &[u8],
        programs: &dyn Programs,
        builtins: Arc<Builtins>,
        options: &Options,
    ) -> Result<Self, LoadError> {
        let _ = (bytes, programs, builtins, options);
        unimplemented!()
    }
}
