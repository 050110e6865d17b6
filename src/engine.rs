//! Runs jobflows: processes, their waits, their consoles, and what is left of them after a crash.
//!
//! A process is a value in the store. A few worker threads take runnable processes from a fair
//! queue and run each for a budget of steps; a process that waits is a row and no thread. Each
//! step's changes to the tree, the checkpoint and the console are one commit.

mod actions;
mod admission;
mod channels;
mod code;
pub mod console;
mod control;
mod delete;
mod events;
mod flight;
mod inner;
mod jobs;
mod library;
mod limits;
mod locks;
mod mails;
mod news;
mod notices;
mod operation;
mod outbox;
pub mod process;
mod queue;
mod realm;
mod recover;
mod row;
mod schedule;
mod sessions;
mod settings;
mod slot;
mod slots;
mod start;
mod timer;
pub mod tokens;
pub mod trace;
mod turn;
pub mod vm;
mod world;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId, ScheduleId, UserId};
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Ref, Value};

pub use console::{ConsoleEvent, ConsoleStream, ConsoleText};
pub use limits::Limits;
pub use operation::Operation;
pub use process::{Filter, Modes, Monitoring, Params, ProcessInfo, Status};
pub use schedule::Missed;

use crate::base::clock::{Alarm, Clock};
use crate::remote::Runner;
pub use crate::remote::python::Failure as LibraryFailure;
use crate::remote::python::{LOADERS, Python};
use crate::store::{Changed, Direction, Durability, Family, Fed, Subscription, What, codec, keys};
use crate::tree::{LibraryState, LibraryText, Tree};
use delete::not_found;
use inner::Inner;
use row::Row;
use slot::{End, Order, Phase, Slot};

/// How a process is started.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Suspend before each command.
    pub step_mode: bool,
    /// Repeat a command that was in flight at a crash; `None`: the jobflow's default.
    pub checkpoint_mode: Option<bool>,
    /// Record its steps.
    pub trace: bool,
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
    inner: Arc<Inner>,
}

/// How long an order may take before its caller is told that it goes on without him.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);

/// How often old processes are looked for, when they expire at all.
const EXPIRY: Duration = Duration::from_secs(600);

impl Engine {
    /// Takes up what ran when the last server ended, and starts to work.
    ///
    /// # Errors
    /// Those of the store; no thread can be had.
    pub fn start(
        tree: Tree,
        builtins: Arc<vm::Builtins>,
        runner: Arc<dyn Runner>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, Fault> {
        let inner = Arc::new(Inner {
            queue: queue::Queue::default(),
            timers: timer::Timers::new(Arc::clone(&clock)),
            admission: admission::Admission::new(limits.active),
            commands: admission::Admission::new(limits.commands),
            calls: admission::Admission::new(limits.calls),
            locks: locks::Locks::default(),
            codes: code::Codes::new(),
            mailbox: events::Mailbox::default(),
            sessions: sessions::Sessions::default(),
            shows: settings::Shows::default(),
            realms: realm::Realms::default(),
            slots: slots::Slots::default(),
            outbox: outbox::Outbox::default(),
            schedules: news::Bell::default(),
            actions: news::Bell::default(),
            libraries: library::Libraries::default(),
            mails: mails::Mails::default(),
            tokens: tokens::Tokens::default(),
            network: std::sync::OnceLock::new(),
            notices: notices::Notices::default(),
            stopping: AtomicBool::new(false),
            landing: RwLock::new(()),
            stopped: Arc::new(Alarm::default()),
            threads: Mutex::new(Vec::new()),
            #[cfg(test)]
            kill: inner::KillSwitch::default(),
            tree,
            builtins,
            runner,
            repositories: std::sync::OnceLock::new(),
            clock,
            limits,
        });
        let engine = Self { inner };
        // Before anybody looks at a queue: a message that comes after the look is told.
        let feed = engine.inner.tree.store().subscribe_for(hurries);
        recover::recover(&engine.inner)?;
        for number in 0..engine.inner.limits.workers.max(1) {
            engine.thread(&format!("engine-{number}"), turn::work)?;
        }
        engine.thread("engine-sync", |inner| inner.outbox.run(|| inner.tree.sync()))?;
        engine.thread("engine-timer", |inner| inner.timers.run(|id| inner.wake(id)))?;
        let weak = Arc::downgrade(&engine.inner);
        engine.spawn("engine-feed", move || listen(&weak, &feed))?;
        engine.thread("engine-action", actions::run)?;
        engine.thread("engine-notice", notices::run)?;
        if engine.inner.limits.keep_finished.is_some() {
            engine.thread("engine-expiry", expire)?;
        }
        Ok(engine)
    }

    /// Says by whom jobflows synchronise Repository objects; the first one counts.
    pub fn synchronise_by(&self, repositories: Arc<crate::transfer::git::Repositories>) {
        let _first = self.inner.repositories.set(repositories);
    }

    /// Begins to run what `/scheduler` holds; until then nothing of it is due.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn run_schedules(&self) -> Result<(), Fault> {
        self.thread("engine-schedule", schedule::run)
    }

    /// Runs the functions of libraries from now on, and says of each whether it loads
    /// (rule: `operations/python`). Modules of the operator are below `modules`.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn run_libraries(&self, python: Python, modules: PathBuf) -> Result<(), Fault> {
        if !self.inner.libraries.begin(python, modules) {
            return Ok(());
        }
        let weak = Arc::downgrade(&self.inner);
        self.inner.tree.judge_libraries_by(move |view, object| match weak.upgrade() {
            Some(inner) => library::state(&inner, view, object),
            None => LibraryState { executable: false, document: None },
        });
        (0..LOADERS).try_for_each(|_| self.thread("engine-library", library::run))
    }

    /// Waits until it is known whether a library loads, but not long (rule: `tree/libraries`).
    pub fn settle_library(&self, library: ObjectId) {
        library::settle(&self.inner, library);
    }

    /// Calls a function of a library (rule: `http/jsonrpc`). What it prints is heard by nobody.
    ///
    /// # Errors
    /// [`LibraryFailure`].
    pub fn call_library(
        &self,
        library: (ObjectId, LibraryText),
        function: &str,
        positional: Vec<Value>,
        named: Dict,
    ) -> Result<Value, LibraryFailure> {
        library::call_for_a_stranger(&self.inner, library, function, positional, named)
    }

    /// Begins to fetch the mails of mail channels (rule: `operations/mail-channels`).
    ///
    /// # Errors
    /// No thread can be had.
    pub fn run_mails(&self) -> Result<(), Fault> {
        self.thread("engine-mail", mails::run)
    }

    /// Somebody outside of the engine begins to wait for messages of a channel.
    pub fn awaited(&self, channel: ObjectId) {
        self.inner.mails.awaited(channel);
    }

    fn thread(
        &self,
        name: &str,
        work: impl FnOnce(&Arc<Inner>) + Send + 'static,
    ) -> Result<(), Fault> {
        let inner = Arc::clone(&self.inner);
        self.spawn(name, move || work(&inner))
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Fault> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(Fault::internal)?;
        self.inner.threads.lock().push(thread);
        Ok(())
    }

    /// Starts the jobflows that lie directly in `/system/startup`, in the order of their names, as
    /// `who` (rule: `operations/startup`). One that cannot be started is told in the log.
    ///
    /// # Errors
    /// Those of the store.
    pub fn run_startup(&self, who: &Caller) -> Result<Vec<ProcessId>, Fault> {
        /// Reason: more than that is no start-up.
        const STARTUP_MAX: usize = 1_000;
        let view = self.inner.tree.view();
        let path = kompira_schema::path::ObjectPath::parse("/system/startup")?;
        let Some(directory) = view.find_path(&path)? else { return Ok(Vec::new()) };
        let mut started = Vec::new();
        for entry in view.children(who, directory, None, STARTUP_MAX)? {
            let def = view.type_def(entry.type_id)?;
            if !entry.is_object() || !def.is_builtin("Jobflow") {
                continue;
            }
            let options = StartOptions { invoker: Some(directory), ..StartOptions::default() };
            match self.execute(who, entry.id, Params::default(), options) {
                Ok(id) => started.push(id),
                Err(fault) => tracing::error!(name = entry.name, ?fault, "startup job not started"),
            }
        }
        Ok(started)
    }

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
        start::execute_here(&self.inner, who, job, &params, &options)
    }

    /// The record of a process that `who` may see.
    fn visible(&self, who: &Caller, id: ProcessId) -> Result<Row, Fault> {
        let row = self.inner.row(id)?.ok_or_else(|| not_found(id))?;
        self.may_see(who, id, row.user)?;
        Ok(row)
    }

    fn may_see(&self, who: &Caller, id: ProcessId, user: UserId) -> Result<(), Fault> {
        let may = user == who.user || self.inner.tree.view().privileged(who.user);
        if may { Ok(()) } else { Err(not_found(id)) }
    }

    /// The state of a process.
    ///
    /// # Errors
    /// `NotFound` also for a process that `who` may not see.
    pub fn info(&self, who: &Caller, id: ProcessId) -> Result<ProcessInfo, Fault> {
        let row = self.visible(who, id)?;
        Ok(self.now_of(id, &row))
    }

    /// The properties, RUNNING included, which only memory knows.
    fn now_of(&self, id: ProcessId, row: &Row) -> ProcessInfo {
        let mut info = row.info(id, self.inner.now());
        if let Some(slot) = self.inner.slots.held(id) {
            let state = slot.lock();
            let runs = matches!(state.phase, Phase::Running | Phase::Again);
            if runs && info.status == Status::Ready && !info.suspended {
                info.status = Status::Running;
            }
        }
        info
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
        let mine = (!self.inner.tree.view().privileged(who.user)).then_some(who.user);
        let mut found = Vec::new();
        let range = row::processes_before(before);
        self.inner.snapshot().try_scan(
            Family::Process,
            &range,
            Direction::Reverse,
            |key, bytes| {
                if found.len() >= limit {
                    return Ok(ControlFlow::Break(()));
                }
                let row: Row = codec::unpack(Family::Process, key, bytes).map_err(Fault::from)?;
                let Some((id, _)) = keys::split_u64(key) else {
                    return Ok(ControlFlow::Continue(()));
                };
                if mine.is_none_or(|mine| mine == row.user) {
                    let info = self.now_of(ProcessId(id), &row);
                    if filter.matches(&info) {
                        found.push(info);
                    }
                }
                Ok::<_, Fault>(ControlFlow::Continue(()))
            },
        )?;
        Ok(found)
    }

    /// The children of a process, in the order in which they came to be.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn children(&self, who: &Caller, id: ProcessId) -> Result<Vec<ProcessInfo>, Fault> {
        self.visible(who, id)?;
        let mut found = Vec::new();
        for child in row::children(&self.inner.snapshot(), id)? {
            if let Some(row) = self.inner.row(child)? {
                found.push(self.now_of(child, &row));
            }
        }
        Ok(found)
    }

    /// Whether a process has ended, and that stays: whoever is told of an end relies on it
    /// (rule: `operations/recovery`).
    ///
    /// # Errors
    /// `NotFound`; the end cannot be made durable.
    pub fn has_ended(&self, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
        if self.visible(who, id)?.status.is_active() {
            return Ok(false);
        }
        self.inner.tree.sync()?;
        Ok(true)
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
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let held = self.inner.slots.held(id).filter(|slot| slot.is_active());
            let slot = if let Some(slot) = held {
                let user = slot.lock().row.user;
                self.may_see(who, id, user)?;
                slot
            } else {
                let row = self.visible(who, id)?;
                if !row.status.is_active() {
                    // An end that somebody is told of must stay.
                    self.inner.tree.sync()?;
                    return Ok(Some(row.info(id, self.inner.now())));
                }
                // It has ended meanwhile.
                let Some(slot) = self.inner.slot(id) else { continue };
                slot
            };
            let Some(end) = slot.await_end(until, || self.inner.stopping()) else {
                return Ok(None);
            };
            if self.inner.stopping() {
                return Err(Fault::new(Kind::Unavailable, message!("engine.stopping")));
            }
            if let End::Durable(row) = end {
                return Ok(Some(row.info(id, self.inner.now())));
            }
        }
    }

    /// The kept console text of a process.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn console(&self, who: &Caller, id: ProcessId) -> Result<ConsoleText, Fault> {
        self.visible(who, id)?;
        console::read(&self.inner.snapshot(), id, 0)
    }

    /// Follows the console of a process from byte offset `from` (0: all that is kept).
    ///
    /// # Errors
    /// `NotFound`.
    pub fn follow(&self, who: &Caller, id: ProcessId, from: u64) -> Result<ConsoleStream, Fault> {
        // Taken before the look at the record: an end in between is seen by either.
        let slot = self.inner.slot(id);
        self.visible(who, id)?;
        Ok(ConsoleStream::new(self.inner.tree.store().clone(), id, from, slot))
    }

    /// The slot of an active process that `who` may command.
    fn active(&self, who: &Caller, id: ProcessId) -> Result<Option<Arc<Slot>>, Fault> {
        self.visible(who, id)?;
        Ok(self.inner.slot(id))
    }

    /// A process and all that came from it, as far as they are active.
    fn family(&self, id: ProcessId) -> Result<Vec<Arc<Slot>>, Fault> {
        let snapshot = self.inner.snapshot();
        let mut found = Vec::new();
        let mut open = vec![(None, id)];
        while let Some((parent, id)) = open.pop() {
            if let Some(slot) = self.inner.slot(id) {
                let mine = parent.is_none() || slot.lock().row.parent == parent;
                if mine {
                    let children = row::children(&snapshot, id)?;
                    open.extend(children.into_iter().map(|child| (Some(id), child)));
                    found.push(slot);
                }
            }
        }
        Ok(found)
    }

    /// Waits until an order has been carried out and is durable.
    fn obeyed(&self, slot: &Slot, order: u64) -> Result<(), Fault> {
        let until = Instant::now().checked_add(ORDER_PATIENCE);
        let obeyed = slot.wait_for(until, |state| {
            (state.obeyed >= order || !state.row.status.is_active()).then_some(())
        });
        if obeyed.is_none() {
            return Err(Fault::new(Kind::Timeout, message!("engine.order_late")));
        }
        self.inner.tree.sync()
    }

    /// Gives an order to a process and its children, and waits until the process itself obeyed.
    fn command(&self, slot: &Arc<Slot>, order: impl Fn() -> Order) -> Result<(), Fault> {
        let number = self.inner.order(slot, order());
        for member in self.family(slot.id)? {
            if member.id != slot.id {
                self.inner.order(&member, order());
            }
        }
        self.obeyed(slot, number)
    }

    /// Ends a process and its children as ABORTED; `false` when it had ended.
    ///
    /// # Errors
    /// `NotFound`; `Timeout` when it has not ended yet, but will.
    pub fn terminate(&self, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
        let Some(slot) = self.active(who, id)? else { return Ok(false) };
        if !slot.lock().row.status.is_active() {
            return Ok(false);
        }
        // Its children follow when it has ended: none can come to be behind our back.
        let order = self.inner.order(&slot, Order::Terminate);
        self.obeyed(&slot, order)?;
        Ok(true)
    }

    /// Pauses a process and its children; `false` when it had ended, was paused, or is a script.
    ///
    /// # Errors
    /// `NotFound`, `Timeout`.
    pub fn suspend(&self, who: &Caller, id: ProcessId) -> Result<bool, Fault> {
        let row = self.visible(who, id)?;
        let Some(slot) = self.inner.slot(id) else { return Ok(false) };
        if row.suspended || row.script.is_some() || !row.status.is_active() {
            return Ok(false);
        }
        self.command(&slot, || Order::Suspend)?;
        Ok(true)
    }

    /// Continues a paused process and its children, with other modes if given; `false` when it
    /// was not paused. An interrupted process is taken up again at its command.
    ///
    /// # Errors
    /// `NotFound`, `Timeout`.
    pub fn resume(&self, who: &Caller, id: ProcessId, modes: Modes) -> Result<bool, Fault> {
        let row = self.visible(who, id)?;
        if row.interrupted {
            return recover::reopen(&self.inner, who, id);
        }
        let Some(slot) = self.inner.slot(id) else { return Ok(false) };
        if !row.suspended || row.script.is_some() {
            return Ok(false);
        }
        self.command(&slot, || Order::Resume(modes))?;
        Ok(true)
    }

    /// Takes a process that has ended up again, before its command number `step`. What it changed
    /// since then stays.
    ///
    /// # Errors
    /// `NotFound`, also when the state before that command was not kept; `Busy` while it is
    /// active.
    pub fn resume_from(&self, who: &Caller, id: ProcessId, step: u64) -> Result<(), Fault> {
        self.visible(who, id)?;
        recover::resume_from(&self.inner, who, id, step)
    }

    /// The recorded steps of a process after number `after`, at most `limit`.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn trace(
        &self,
        who: &Caller,
        id: ProcessId,
        after: u64,
        limit: usize,
    ) -> Result<trace::Trace, Fault> {
        let row = self.visible(who, id)?;
        let steps = trace::steps(&self.inner.snapshot(), id, after, limit)?;
        Ok(trace::Trace { on: row.traced && row.status.is_active(), steps })
    }

    /// Changes the modes of a process.
    ///
    /// # Errors
    /// `NotFound`, `Timeout`; `Busy` when it has ended.
    pub fn set_modes(&self, who: &Caller, id: ProcessId, modes: Modes) -> Result<(), Fault> {
        self.set(who, id, Order::Set(modes))
    }

    /// Gives a process another user; privileged callers only.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Timeout`; `Busy` when it has ended.
    pub fn set_user(&self, who: &Caller, id: ProcessId, user: UserId) -> Result<(), Fault> {
        let view = self.inner.tree.view();
        if !view.privileged(who.user) {
            return Err(Fault::new(Kind::Denied, message!("engine.not_privileged")));
        }
        if view.user(user).is_none() {
            return Err(Fault::new(Kind::NotFound, message!("engine.no_user", user = user)));
        }
        self.set(who, id, Order::User(user))
    }

    fn set(&self, who: &Caller, id: ProcessId, order: Order) -> Result<(), Fault> {
        let Some(slot) = self.active(who, id)? else {
            return Err(Fault::new(Kind::Busy, message!("engine.ended", process = id)));
        };
        let order = self.inner.order(&slot, order);
        self.obeyed(&slot, order)
    }

    /// Deletes a process that has ended, with its children.
    ///
    /// # Errors
    /// `NotFound`, `Busy` when it is active.
    pub fn delete(&self, who: &Caller, id: ProcessId) -> Result<(), Fault> {
        self.visible(who, id)?;
        self.inner
            .tree
            .write(who, Durability::Synced, |txn| delete::delete(&self.inner, txn, id))?;
        Ok(())
    }

    /// How many processes are active.
    #[must_use]
    pub fn count_active(&self) -> usize {
        self.inner.slots.active()
    }

    /// Stops taking steps, lets running steps end and commands in flight for at most `grace`, and
    /// leaves every process journaled. Further starts answer `Unavailable`.
    pub fn stop(&self, grace: Duration) {
        /// Between two looks at the commands in flight.
        const LOOK: Duration = Duration::from_millis(20);
        if self.inner.stopping.swap(true, Ordering::SeqCst) {
            return;
        }
        // Turns that began before that, wherever they run, begin what they have to begin.
        drop(self.inner.landing.write());
        let slots = self.inner.slots.all_held();
        slots.iter().for_each(|slot| slot.tell_all());
        self.inner.close();
        let threads = std::mem::take(&mut *self.inner.threads.lock());
        for thread in threads {
            // The feed's thread ends with the store; the others end now.
            if thread.thread().name() != Some("engine-feed") && thread.join().is_err() {
                tracing::error!("a thread of the engine panicked");
            }
        }
        let until = Instant::now().checked_add(grace);
        let in_flight = || slots.iter().any(|slot| slot.lock().flight.is_some());
        while in_flight() && until.is_none_or(|until| Instant::now() < until) {
            std::thread::sleep(LOOK);
        }
        self.inner.sessions.close_all();
        for slot in slots {
            let flight = slot.lock().flight.take();
            if let Some(flight) = flight {
                flight.running.cancel();
            }
        }
        self.inner.libraries.end();
        self.inner.tokens.settle();
        if let Err(fault) = self.inner.tree.sync() {
            tracing::error!(?fault, "the last steps are not durable");
        }
    }
}

/// Whether a change cannot wait a moment. Who waits for a process is woken by the turn that ends it.
fn hurries(change: &Changed) -> bool {
    match change.subject {
        Ref::Object(_) => change.what == What::Queue,
        Ref::Process(_) => false,
        _ => true,
    }
}

/// Wakes those who wait for what changed. It must not hold the engine while it waits: the store
/// is let go with the engine, and only that ends the feed.
fn listen(weak: &Weak<Inner>, feed: &Subscription) {
    while let Some(fed) = feed.recv() {
        let Some(inner) = weak.upgrade() else { return };
        if inner.stopping() {
            return;
        }
        match fed {
            Fed::Commit(commit) => commit.changes.iter().for_each(|change| tell(&inner, change)),
            Fed::Missed => {
                inner.schedules.missed();
                inner.actions.missed();
                inner.mails.changed();
                for source in inner.mailbox.sources() {
                    inner.wake_all(source);
                }
            }
        }
    }
}

fn tell(inner: &Inner, change: &Changed) {
    let source = vm::request::Source::Reference(change.subject);
    match change.subject {
        Ref::Object(id) if change.what == What::Queue => {
            inner.ask(source);
            inner.actions.changed(id);
            return;
        }
        Ref::Object(_) => inner.mails.changed(),
        Ref::Schedule(id) => inner.schedules.changed(id),
        _ => {}
    }
    inner.wake_all(source);
}

fn expire(inner: &Arc<Inner>) {
    while !inner.stopping() {
        delete::expire(inner);
        let next = inner.clock.monotonic().saturating_add(EXPIRY);
        inner.clock.wait(&inner.stopped, Some(next));
    }
}

/// The object a process is to language and faces.
#[must_use]
pub fn reference(id: ProcessId) -> Ref {
    Ref::Process(id)
}
