//! Runs functions of Python libraries in `python3` processes of their own (rules:
//! `operations/python`, `operations/safe-python`).
//!
//! There is at most one process that calls functions of ordinary libraries and one, confined, for
//! safe ones; each is started when it is first needed and carries out one order after the other. A
//! few more only look whether libraries load. A process that takes too long, or says what it should
//! not, is killed, and the next order gets a new one. What a library is, and where others are
//! found, is the caller's to say.

mod value;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use kompira_schema::value::{Dict, Value};
use parking_lot::{Mutex, MutexGuard};
use worker::{Bounds, Worker};

/// Most bytes of one message, such as the arguments or the result of a call.
///
/// Ours: a result is a value of a process, and processes have a memory limit.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most characters that one call may print. Ours: a console keeps less.
pub const PRINT_CHARS_MAX: usize = 1024 * 1024;

/// The package whose modules are the libraries.
pub const ROOT_PACKAGE: &str = "kompira.library.objects";

/// The package whose other modules are the operator's.
pub const BASE_PACKAGE: &str = "kompira.library";

/// Processes that look whether libraries load. Reason: one that loads slowly holds up others of
/// them, but not all.
pub const LOADERS: usize = 2;

/// How often one who waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Surroundings and bounds of the processes. The composition root fills them in.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directories to look for `python3` in, as `PATH` has them.
    pub path: OsString,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// How long one call may take.
    pub call: Duration,
    /// How long it may take to load a library.
    pub load: Duration,
    /// How long a process may take to start.
    pub start: Duration,
    /// Address space of a process, in bytes.
    pub memory: u64,
    /// Size of a file that a process may write, in bytes.
    pub file: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            path: OsString::new(),
            env: Vec::new(),
            call: Duration::from_secs(60),
            load: Duration::from_secs(10),
            start: Duration::from_secs(30),
            memory: 2 << 30,
            file: 64 << 20,
        }
    }
}

/// Which process runs a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The ordinary one.
    Source,
    /// The one that reaches nothing outside of itself.
    Safe,
}

/// What is found under the name of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A container of libraries.
    Package,
    /// A library.
    Library {
        /// Its text.
        source: String,
        /// Its path, for messages.
        path: String,
    },
}

/// Which answer [`Surroundings::find`] gave: another one means that what was loaded is outdated.
pub type Mark = [u8; 32];

/// The mark of an answer.
#[must_use]
pub fn mark(found: Option<&Found>) -> Mark {
    match found {
        None => [0; 32],
        Some(Found::Package) => [1; 32],
        Some(Found::Library { source, path }) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(path.as_bytes()).update(&[0]).update(source.as_bytes());
            *hasher.finalize().as_bytes()
        }
    }
}

/// Names that were looked for, and what was found.
pub type Needs = Vec<(String, Mark)>;

/// What an order finds around it.
pub trait Surroundings {
    /// What there is under the name of a module, as in `kompira.library.objects.root.lib`.
    fn find(&mut self, module: &str) -> Option<Found>;
    /// Something was printed.
    fn print(&mut self, _text: &str) {}
    /// Whether nobody waits for it any more.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A library that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its documentation.
    pub document: Option<String>,
}

/// A function to be called.
#[derive(Debug, Clone)]
pub struct Call {
    /// Name of the module.
    pub module: String,
    /// Name of the function.
    pub function: String,
    /// Arguments by position.
    pub positional: Vec<Value>,
    /// Arguments by name.
    pub named: Dict,
    /// Zone of results that name none.
    pub zone: TimeZone,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// There is no interpreter that runs.
    NoPython(String),
    /// The library does not load, or the function raised.
    Raised(String),
    /// The library has no such function.
    NoFunction,
    /// The function does not take these arguments.
    Arguments(String),
    /// An argument cannot be given to Python.
    Value(String),
    /// It took too long, said too much, or its process ended.
    Lost(String),
    /// Others were before it for too long.
    Busy,
    /// Nobody waits for it any more.
    Cancelled,
}

/// The processes.
pub struct Python {
    options: Options,
    source: Mutex<Slot>,
    safe: Mutex<Slot>,
    loading: [Mutex<Slot>; LOADERS],
    stopped: AtomicBool,
}

/// Room for a process.
type Slot = Option<(Kind, Worker)>;

impl Python {
    /// No process is started yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            source: Mutex::default(),
            safe: Mutex::default(),
            loading: Default::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Loads a library anew, beside the calls, and says what it looked for.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn load(
        &self,
        kind: Kind,
        module: &str,
        around: &mut dyn Surroundings,
    ) -> (Needs, Result<Loaded, Failure>) {
        let mut needs = Needs::new();
        let free = || self.loader(kind);
        let loaded = self.with(kind, &free, None, around, |worker, limit, around| {
            worker.forget()?;
            let loaded = worker.load(module, limit.after(self.options.load), around);
            needs.clone_from(worker.needs());
            loaded
        });
        (needs, loaded)
    }

    /// Calls a function, after others for at most `patience`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn call(
        &self,
        kind: Kind,
        call: &Call,
        patience: Option<Duration>,
        around: &mut dyn Surroundings,
    ) -> Result<Value, Failure> {
        let order = value::order(call)?;
        let slot = match kind {
            Kind::Source => &self.source,
            Kind::Safe => &self.safe,
        };
        let free = || slot.try_lock_for(LOOK);
        self.with(kind, &free, patience, around, |worker, limit, around| {
            // What was loaded before is as the libraries are now, or is loaded again.
            let limit = limit.after(self.options.call);
            let mut fresh = true;
            for (name, held) in worker.needs() {
                limit.check(around)?;
                fresh &= mark(around.find(name).as_ref()) == *held;
            }
            if !fresh {
                worker.forget()?;
            }
            worker.call(&order, &call.zone, limit, around)
        })
    }

    /// Ends the processes; orders in progress fail.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        for slot in [&self.source, &self.safe].into_iter().chain(&self.loading) {
            drop(slot.lock().take());
        }
    }

    /// Ends the processes that loaded libraries and have nothing to do.
    pub fn rest(&self) {
        for slot in &self.loading {
            if let Some(mut slot) = slot.try_lock() {
                drop(slot.take());
            }
        }
    }

    /// A place to load in: one that has a process of this kind, else an empty one, else any.
    fn loader(&self, kind: Kind) -> Option<MutexGuard<'_, Slot>> {
        let rank = |slot: &Slot| match slot {
            Some((held, _)) if *held == kind => 0,
            None => 1,
            Some(_) => 2,
        };
        let free = self.loading.iter().filter_map(Mutex::try_lock);
        let best = free.min_by_key(|slot| rank(slot));
        if best.is_none() {
            std::thread::sleep(LOOK);
        }
        best
    }

    /// Gives a process of this kind an order in a place that `free` finds.
    fn with<'a, T>(
        &'a self,
        kind: Kind,
        free: &dyn Fn() -> Option<MutexGuard<'a, Slot>>,
        patience: Option<Duration>,
        around: &mut dyn Surroundings,
        work: impl FnOnce(&mut Worker, &Limit<'_>, &mut dyn Surroundings) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut slot = loop {
            if self.stopped.load(Ordering::SeqCst) || around.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            if let Some(slot) = free() {
                break slot;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(Failure::Busy);
            }
        };
        let limit = Limit { stopped: &self.stopped, until: Instant::now() };
        let held = slot.take().filter(|(held, worker)| *held == kind && worker.is_good());
        let held = held.map(|(_, worker)| worker);
        let mut worker = match held {
            Some(worker) => worker,
            None => self.begin(kind, &|| around.is_cancelled())?,
        };
        let done = work(&mut worker, &limit, around);
        // One that was lost is in the middle of something.
        if !matches!(done, Err(Failure::Lost(_) | Failure::Cancelled)) {
            *slot = Some((kind, worker));
        }
        done
    }

    /// Starts a process with the first interpreter that runs.
    fn begin(&self, kind: Kind, is_cancelled: &dyn Fn() -> bool) -> Result<Worker, Failure> {
        let mut why = "there is no python3 in PATH".to_owned();
        let bounds = Bounds {
            confined: kind == Kind::Safe,
            memory: self.options.memory,
            file: self.options.file,
        };
        for program in self.programs() {
            let limit = Limit { stopped: &self.stopped, until: Instant::now() };
            let limit = limit.after(self.options.start);
            match Worker::start(&program, &self.options.env, &bounds, &limit, is_cancelled) {
                Ok(worker) => return Ok(worker),
                Err(error) => why = format!("{}: {error}", program.display()),
            }
            if self.stopped.load(Ordering::SeqCst) || is_cancelled() {
                return Err(Failure::Cancelled);
            }
        }
        Err(Failure::NoPython(why))
    }

    fn programs(&self) -> Vec<PathBuf> {
        std::env::split_paths(&self.options.path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join("python3"))
            .filter(|program| program.is_file())
            .collect()
    }
}

/// When an order is given up.
#[derive(Clone, Copy)]
struct Limit<'a> {
    stopped: &'a AtomicBool,
    until: Instant,
}

impl Limit<'_> {
    /// Whether to go on.
    fn check(&self, around: &dyn Surroundings) -> Result<(), Failure> {
        if self.stopped.load(Ordering::SeqCst) || around.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        match Instant::now() < self.until {
            true => Ok(()),
            false => Err(Failure::Lost("the libraries took too long to be looked at".to_owned())),
        }
    }

    fn after(&self, time: Duration) -> Self {
        let until = Instant::now();
        Self { until: until.checked_add(time).unwrap_or(until), ..*self }
    }
}

#[cfg(test)]
mod tests;
