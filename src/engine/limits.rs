//! What the engine and each process may use.

use std::time::Duration;

use super::schedule::Missed;

/// Bounds of the engine; the composition root fills them from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Threads that run slices.
    pub workers: usize,
    /// Processes that are active at once; later starts stay NEW. Decided: 1,000.
    pub active: usize,
    /// Commands that run at once; others have not begun. The pool of the job manager.
    pub commands: usize,
    /// Calls of libraries' functions that run or wait for Python at once; others have not begun.
    pub calls: usize,
    /// Processes that are active or wait to be. Reason: each costs a row and a place in memory.
    pub queued: usize,
    /// Children of one `fork` or `pfor`. Reason: a range is easily mistyped.
    pub children: usize,
    /// Steps of one process, jobs and rounds of loops, counted in strides.
    pub steps: u64,
    /// Bytes of values and frames of one process.
    pub memory: usize,
    /// Bytes of a process's saved state. Reason: it is written at each wait.
    pub frame: usize,
    /// How long a slice may take before others have their turn.
    pub slice: Duration,
    /// Steps between two looks at the clock, at termination and at writes.
    pub stride: u64,
    /// Tree writes of one slice, roughly: a commit stays small. Reason: others wait for it.
    pub writes: usize,
    /// A process that computes without waiting is saved this often.
    pub save: Duration,
    /// Finished processes are deleted after this; `None`: never. Documented: there is no expiry.
    pub keep_finished: Option<Duration>,
    /// What becomes of scheduled runs that were missed.
    pub missed: Missed,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 2,
            active: 1_000,
            commands: kompira_schema::limits::POOL_SIZE,
            calls: kompira_schema::limits::LIBRARY_CALLS_MAX,
            queued: 100_000,
            children: kompira_schema::limits::CHILDREN_MAX,
            steps: 1_000_000_000_000,
            memory: kompira_schema::limits::PROCESS_HEAP_MAX,
            frame: 64 * 1024 * 1024,
            slice: Duration::from_millis(5),
            stride: 1_000,
            writes: 200,
            save: Duration::from_secs(1),
            keep_finished: None,
            missed: Missed::default(),
        }
    }
}
