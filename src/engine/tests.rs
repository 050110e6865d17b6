//! The engine on the memory twin, with a fake clock and a fake runner.

mod commands;
mod crash;
mod crowd;
mod flow;
mod kill;
mod limits;
mod mails;
mod orders;
mod schedule;
mod tokens;
mod trace;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::id::{ObjectId, ProcessId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::{Dict, Value};
use parking_lot::{Condvar, Mutex};

use super::*;
use crate::auth::User;
use crate::base::clock::Fake;
use crate::remote::{Data, Done, NoOutput, Outcome, Output, Request, Running, Work};
use crate::secrets::Keys;
use crate::store::Store;
use crate::tree::{Compiled, Compiler, Content, Draft, Options};

const PATIENCE: Duration = Duration::from_secs(20);

/// Commands that do what the test says.
#[derive(Default)]
pub(super) struct FakeRunner {
    state: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    /// Commands that were started, in order, and are not taken by the test.
    started: VecDeque<Flying>,
    /// All that ever were.
    all: Vec<String>,
    cancelled: Vec<String>,
}

/// A command in flight.
pub(super) struct Flying {
    pub(super) request: Request,
    pub(super) output: Arc<dyn Output>,
    done: Arc<Mutex<Option<Done>>>,
}

impl Flying {
    pub(super) fn line(&self) -> String {
        line(&self.request)
    }

    pub(super) fn end(self, outcome: Outcome) {
        let done = self.done.lock().take();
        if let Some(done) = done {
            done(outcome);
        }
    }

    pub(super) fn exit(self, status: i64, stdout: &str) {
        self.end(exited(status, stdout, ""));
    }
}

pub(super) fn exited(status: i64, stdout: &str, stderr: &str) -> Outcome {
    let text = |text: &str| Data::Text(text.to_owned());
    Outcome::Exited { status, stdout: text(stdout), stderr: text(stderr) }
}

fn line(request: &Request) -> String {
    match &request.work {
        Work::Command { line } => line.clone(),
        Work::Script { source, arguments, .. } => format!("{source} {arguments:?}"),
    }
}

struct Handle {
    runner: Arc<FakeRunner>,
    line: String,
    done: Arc<Mutex<Option<Done>>>,
}

impl Running for Handle {
    fn cancel(&self) {
        self.runner.state.lock().cancelled.push(self.line.clone());
        self.runner.changed.notify_all();
        let done = self.done.lock().take();
        if let Some(done) = done {
            done(Outcome::Cancelled);
        }
    }
}

pub(super) struct Shared(Arc<FakeRunner>);

impl Runner for Shared {
    fn start(&self, request: Request, output: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
        let done = Arc::new(Mutex::new(Some(done)));
        let line = line(&request);
        let handle =
            Handle { runner: Arc::clone(&self.0), line: line.clone(), done: Arc::clone(&done) };
        let mut state = self.0.state.lock();
        state.all.push(line);
        state.started.push_back(Flying { request, output, done });
        self.0.changed.notify_all();
        Arc::new(handle)
    }
}

impl FakeRunner {
    /// The next command that is started.
    pub(super) fn next(&self) -> Flying {
        let mut state = self.state.lock();
        loop {
            if let Some(flying) = state.started.pop_front() {
                return flying;
            }
            let late = self.changed.wait_for(&mut state, PATIENCE).timed_out();
            assert!(!late, "no command was started; so far {:?}", state.all);
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.state.lock().all.clone()
    }

    pub(super) fn cancelled(&self) -> Vec<String> {
        self.state.lock().cancelled.clone()
    }
}

struct Jobflows;

impl Compiler for Jobflows {
    fn compile(&self, source: &str) -> Compiled {
        let compiled = crate::lang::compile(source);
        Compiled { executable: compiled.program.is_some(), ..Compiled::default() }
    }

    fn version(&self) -> String {
        "test".to_owned()
    }
}

/// A server without faces, which can be ended and begun again on the same store.
pub(super) struct World {
    pub(super) store: Store,
    pub(super) clock: Arc<Fake>,
    pub(super) runner: Arc<FakeRunner>,
    pub(super) limits: Limits,
    tree: Option<Tree>,
    engine: Option<Engine>,
}

pub(super) fn root() -> Caller {
    caller(User::ROOT)
}

pub(super) fn caller(user: UserId) -> Caller {
    Caller {
        user,
        interface: Interface::Api,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let mut world = Self {
            store: Store::memory(),
            clock: Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap())),
            runner: Arc::new(FakeRunner::default()),
            limits,
            tree: None,
            engine: None,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let options = Options {
            compiler: Arc::new(Jobflows),
            initial_password: Some("root-password".into()),
            ..Options::default()
        };
        let keys = Arc::new(Keys::from_text("a key of the tests"));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let (tree, _) = Tree::new(self.store.clone(), keys, clock.clone(), options).unwrap();
        self.runner = Arc::new(FakeRunner::default());
        let runner = Arc::new(Shared(Arc::clone(&self.runner)));
        let builtins = Arc::new(vm::Builtins::new());
        let limits = self.limits.clone();
        let engine = Engine::start(tree.clone(), builtins, runner, clock, limits).unwrap();
        self.tree = Some(tree);
        self.engine = Some(engine);
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn tree(&self) -> &Tree {
        self.tree.as_ref().unwrap()
    }

    /// Ends the server as a kill does: commands in flight leave nothing behind. What the old
    /// runner says after that is not heard.
    pub(super) fn crash(&mut self) {
        let engine = self.engine.take().unwrap();
        // Nobody may write any more; a process that is killed does not say goodbye.
        engine.inner.stopping.store(true, Ordering::SeqCst);
        engine.inner.close();
        let threads = std::mem::take(&mut *engine.inner.threads.lock());
        for thread in threads {
            if thread.thread().name() != Some("engine-feed") {
                thread.join().unwrap();
            }
        }
        for slot in engine.inner.slots.all_held() {
            slot.lock().flight = None;
        }
        self.runner.state.lock().started.clear();
        self.open();
    }

    pub(super) fn resolve(&self, path: &str) -> ObjectId {
        self.tree().view().resolve(&ObjectPath::parse(path).unwrap()).unwrap()
    }

    /// Makes or changes a jobflow of `root`.
    pub(super) fn jobflow(&self, name: &str, source: &str) -> ObjectId {
        self.object("/root", name, "Jobflow", &[("source", source.into())])
    }

    pub(super) fn object(
        &self,
        dir: &str,
        name: &str,
        type_name: &str,
        fields: &[(&str, Value)],
    ) -> ObjectId {
        let dir = self.resolve(dir);
        let view = self.tree().view();
        let type_id = view.builtin(type_name).unwrap();
        let fields: Dict =
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let there = view.child(dir, name).unwrap();
        let name = Name::new(name).unwrap();
        self.tree()
            .write(&root(), Durability::Lazy, |txn| match &there {
                Some(entry) => {
                    let fields = fields.clone();
                    let patch = crate::tree::Patch { fields, ..Default::default() };
                    txn.update(entry.id, None, patch).map(|()| entry.id)
                }
                None => {
                    let draft = Draft { fields: fields.clone(), ..Draft::default() };
                    txn.create(dir, &name, type_id, draft)
                }
            })
            .unwrap()
            .value
    }

    pub(super) fn start(&self, job: ObjectId) -> ProcessId {
        self.start_with(job, &[], StartOptions::default())
    }

    pub(super) fn start_with(
        &self,
        job: ObjectId,
        params: &[(&str, Value)],
        options: StartOptions,
    ) -> ProcessId {
        let params: Dict =
            params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.engine().execute(&root(), job, Params::Values(params), options).unwrap()
    }

    pub(super) fn ended(&self, id: ProcessId) -> ProcessInfo {
        let ended = self.engine().wait(&root(), id, Some(PATIENCE)).unwrap();
        ended.unwrap_or_else(|| panic!("{id} goes on: {:?} {}", self.info(id), self.console(id)))
    }

    /// Runs a jobflow without commands to its end.
    pub(super) fn run(&self, source: &str) -> (ProcessInfo, String) {
        let job = self.jobflow("job", source);
        let id = self.start(job);
        (self.ended(id), self.console(id))
    }

    pub(super) fn info(&self, id: ProcessId) -> ProcessInfo {
        self.engine().info(&root(), id).unwrap()
    }

    pub(super) fn console(&self, id: ProcessId) -> String {
        self.engine().console(&root(), id).unwrap().text
    }

    pub(super) fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the process waits and nobody works on it.
    pub(super) fn waits(&self, id: ProcessId) {
        self.until("it waits", || {
            let info = self.info(id);
            assert!(info.status.is_active(), "{info:?} {}", self.console(id));
            let slot = self.engine().inner.slots.held(id);
            let idle = slot.is_none_or(|slot| slot.lock().phase == Phase::Idle);
            info.status == Status::Waiting && idle
        });
    }

    /// Moves the clock when the timer thread sleeps.
    pub(super) fn advance(&self, seconds: u64) {
        self.until("the timer sleeps", || self.clock.waiting() > 0);
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[allow(unused, reason = "shared by the themes")]
fn nothing() -> (NoOutput, Content) {
    (NoOutput, Content::from(""))
}
