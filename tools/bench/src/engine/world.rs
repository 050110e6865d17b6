//! A store on disk with an engine, and commands that answer at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};
use kompira::base::clock::{Clock, System};
use kompira::engine::{Engine, Filter, Limits, Params, ProcessInfo, StartOptions};
use kompira::remote::{Data, Done, Outcome, Output, Request, Runner, Running};
use kompira::secrets::Keys;
use kompira::store::{Durability, Store};
use kompira::tree::{self, Draft, Tree};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::{Dict, Value};

/// Processes that are read at once.
const PAGE: usize = 10_000;

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) store: Store,
    tree: Tree,
    who: Caller,
    /// How long it took to open the store, and all of it.
    pub(super) opened: (Duration, Duration),
}

pub(super) fn told(fault: Fault) -> String {
    format!("{fault:?}")
}

/// Threads that answer commands: as many as a small machine has processors.
const ANSWERING: usize = 2;

/// Answers every command with success, on threads of its own, as commands beside the engine end.
struct Answering(Sender<Done>);

struct Answered;

impl Running for Answered {
    fn cancel(&self) {}
}

impl Answering {
    fn start() -> Self {
        let (sender, commands) = unbounded::<Done>();
        for _ in 0..ANSWERING {
            let commands = commands.clone();
            std::thread::spawn(move || {
                for done in commands {
                    let text = |text: &str| Data::Text(text.to_owned());
                    done(Outcome::Exited { status: 0, stdout: text("1"), stderr: text("") });
                }
            });
        }
        Self(sender)
    }
}

impl Runner for Answering {
    fn start(&self, _: Request, _: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
        // The engine has ended when nobody listens any more.
        let _ = self.0.send(done);
        Arc::new(Answered)
    }
}

/// Opens the store, as soon as the last one to hold it has let it go; since then.
fn open(dir: &Path) -> Result<(Store, Instant), String> {
    /// The engine's thread of the feed may hold it a moment longer.
    const PATIENCE: Duration = Duration::from_secs(60);
    let until = Instant::now() + PATIENCE;
    loop {
        let begin = Instant::now();
        match Store::open(dir, &kompira::store::Options::default()) {
            Ok(store) => return Ok((store, begin)),
            Err(fault) if fault.kind() == Kind::Locked && begin < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(fault) => return Err(told(fault)),
        }
    }
}

impl World {
    /// Opens or makes the world in `dir`.
    pub(super) fn open(dir: &Path, processes: usize) -> Result<Self, String> {
        let (store, begin) = open(dir)?;
        let store_opened = begin.elapsed();
        let key: PathBuf = dir.join("key");
        let keys = if key.exists() { Keys::load(&key) } else { Keys::create(&key, None) };
        let keys = Arc::new(keys.map_err(told)?);
        let options = tree::Options {
            initial_password: Some("bench-bench".into()),
            ..tree::Options::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(System::new());
        let (tree, _) =
            Tree::new(store.clone(), keys, Arc::clone(&clock), options).map_err(told)?;
        let limits =
            Limits { active: processes, queued: processes, commands: 64, ..Limits::default() };
        let builtins = Arc::new(kompira::stdlib::builtins());
        let runner = Arc::new(Answering::start());
        let engine = Engine::start(tree.clone(), builtins, runner, clock, limits).map_err(told)?;
        let who = Caller {
            user: UserId(1),
            interface: Interface::Api,
            remote: None,
            process: None,
            request: "bench".into(),
            exec: None,
        };
        Ok(Self { engine, store, tree, who, opened: (store_opened, begin.elapsed()) })
    }

    /// Makes an object in `/home`.
    pub(super) fn object(
        &self,
        name: &str,
        type_name: &str,
        field: &str,
        text: &str,
    ) -> Result<ObjectId, String> {
        let home = ObjectPath::parse("/home").map_err(told)?;
        let view = self.tree.view();
        let home = view.resolve(&home).map_err(told)?;
        let type_id = view
            .resolve(&ObjectPath::parse(&format!("/system/types/{type_name}")).map_err(told)?)
            .map_err(told)?;
        let name = Name::new(name).map_err(told)?;
        let fields: Dict = [(field.to_owned(), Value::Str(text.to_owned()))].into_iter().collect();
        let done = self.tree.write(&self.who, Durability::Synced, |txn| {
            let draft = Draft { fields: fields.clone(), ..Draft::default() };
            txn.create(home, &name, type_id, draft)
        });
        Ok(done.map_err(told)?.value)
    }

    /// Starts one process; it is durable when this returns.
    pub(super) fn start(
        &self,
        job: ObjectId,
        params: &[(&str, Value)],
    ) -> Result<ProcessId, String> {
        let params: Dict =
            params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.engine
            .execute(&self.who, job, Params::Values(params), StartOptions::default())
            .map_err(told)
    }

    /// Starts a process and waits for its good end.
    pub(super) fn run(&self, job: ObjectId) -> Result<(), String> {
        let id = self.start(job, &[])?;
        let info = self.engine.wait(&self.who, id, None).map_err(told)?;
        match info {
            Some(info) if info.exit_status == Some(0) => Ok(()),
            other => Err(format!("not a good end: {other:?}")),
        }
    }

    /// Gives every process to `each`, newest first.
    pub(super) fn processes(&self, each: &mut dyn FnMut(&ProcessInfo)) -> Result<(), String> {
        let mut before = None;
        loop {
            let page =
                self.engine.list(&self.who, &Filter::default(), before, PAGE).map_err(told)?;
            page.iter().for_each(&mut *each);
            match page.last() {
                Some(last) => before = Some(last.id),
                None => return Ok(()),
            }
        }
    }

    /// Ends the engine as a server does; the store is closed with the last handle.
    pub(super) fn close(self) {
        self.engine.stop(Duration::from_secs(5));
    }
}
