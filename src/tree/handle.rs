//! The handle on the tree: opening it, views of one moment, writes.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, ProcessId, Rev};
use kompira_schema::tree::Caller;
use kompira_schema::value::Dict;
use parking_lot::RwLock;
use quick_cache::sync::Cache;

use super::model::Object;
use super::query::Indexes;
use super::txn::Txn;
use super::types::Types;
use super::view::View;
use super::{bootstrap, fault};
use crate::audit::{LevelSource, Levels, Sink, Writer};
use crate::auth::{Acl, AclId, Principals};
use crate::base::clock::Clock;
use crate::secrets::Keys;
use crate::store::{CommitError, Counter, Durability, Store};

/// What compiling a jobflow's source gives; stored with the object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compiled {
    /// Whether it can be executed.
    pub executable: bool,
    /// Parameter name to its default expression, in order of declaration; null without one.
    pub parameters: Dict,
    /// Line number to message.
    pub errors: Dict,
}

/// Compiles jobflows when they are saved.
pub trait Compiler: Send + Sync {
    /// Compiles `source`.
    fn compile(&self, source: &str) -> Compiled;
    /// All that is wrong with a source called `name`, with places and hints; empty if nothing is.
    fn report(&self, _source: &str, _name: &str) -> String {
        String::new()
    }

    /// Changes when the same source could compile to something else.
    fn version(&self) -> String;
}

/// Keeps sources and compiles nothing: for tools that only move data.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCompiler;

impl Compiler for NoCompiler {
    fn compile(&self, _source: &str) -> Compiled {
        Compiled::default()
    }

    fn version(&self) -> String {
        String::new()
    }
}

/// What the tree is told at its start.
#[derive(Clone)]
pub struct Options {
    /// Compiles jobflows on save.
    pub compiler: Arc<dyn Compiler>,
    /// Password of `root` on an empty store; `None`: one is generated.
    pub initial_password: Option<String>,
    /// Zone of the server: for times without one, and for the audit log.
    pub zone: TimeZone,
    /// Where audit entries go; `None`: they stay in the store (tools that only look).
    pub audit: Option<Arc<dyn Sink>>,
    /// The file `kompira_audit.yaml`; its built-in form without one.
    pub audit_levels: Option<PathBuf>,
    /// Name of the running program, for the audit.
    pub program: String,
    /// OS user it runs as, for the audit.
    pub os_user: String,
    /// Unique name of the machine, as the licence shows it.
    pub hardware_id: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            compiler: Arc::new(NoCompiler),
            initial_password: None,
            zone: TimeZone::UTC,
            audit: None,
            audit_levels: None,
            program: "kompira".into(),
            os_user: String::new(),
            hardware_id: String::new(),
        }
    }
}

/// The tree. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    pub(super) inner: Arc<Inner>,
    /// Marks the commits of one mount session in the feed.
    pub(super) origin: u64,
}

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) keys: Arc<Keys>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Options,
    pub(super) types: Types,
    pub(super) acls: Cache<AclId, Arc<Acl>>,
    pub(super) principals: ArcSwapOption<(Rev, Arc<Principals>)>,
    pub(super) indexes: Indexes,
    pub(super) levels: LevelSource,
    pub(super) started: Timestamp,
    /// Our process; the system is asked once, not with every line of the audit.
    pub(super) pid: u32,
    writer: OnceLock<Writer>,
    receivers: RwLock<Vec<Box<dyn Receivers>>>,
    libraries: OnceLock<JudgeLibrary>,
}

/// What is known of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryState {
    /// Whether it loads.
    pub executable: bool,
    /// Its documentation, or why it does not load.
    pub document: Option<String>,
}

/// Tells what is known of a library at once; never waits.
type JudgeLibrary = Box<dyn Fn(&View, &Object) -> LibraryState + Send + Sync>;

/// Somebody who waits for messages of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// A process.
    Process(ProcessId),
    /// A request, by its number in the line.
    Request(u64),
}

/// Knows who waits for the messages of channels at one face.
pub trait Receivers: Send + Sync {
    /// How many wait for those of a channel.
    fn count(&self, channel: ObjectId) -> usize;
    /// The first of them in the order in which they came, at most `limit`.
    fn first(&self, channel: ObjectId, limit: usize) -> Vec<Receiver>;
}

impl Inner {
    /// How many wait for messages of a channel now.
    pub(super) fn receivers(&self, channel: ObjectId) -> usize {
        self.receivers.read().iter().map(|face| face.count(channel)).sum()
    }

    /// Who they are, at most `limit` of each face.
    pub(super) fn first_receivers(&self, channel: ObjectId, limit: usize) -> Vec<Receiver> {
        self.receivers.read().iter().flat_map(|face| face.first(channel, limit)).collect()
    }

    /// What is known of a library; `None`: nobody here runs libraries.
    pub(super) fn library_state(&self, view: &View, library: &Object) -> Option<LibraryState> {
        self.libraries.get().map(|judge| judge(view, library))
    }

    /// Tells the audit writer that there is something to write.
    pub(super) fn audit_bell(&self) {
        if let Some(writer) = self.writer.get() {
            writer.ring();
        }
    }
}

/// What a commit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done<T> {
    /// The revision of the commit; the present one if nothing was written.
    pub rev: Rev,
    /// What the closure returned.
    pub value: T,
}

/// Permission sets kept decoded. Most objects share a few.
const ACLS_KEPT: usize = 10_000;
/// How often a commit is decided anew after conflicts before the caller is told to come again.
const TRIES_MAX: u32 = 200;
/// From this try on, a little time passes before the next.
const PATIENT_TRIES: u32 = 8;

impl Tree {
    /// Says who knows those who wait at one face, such as processes (rule: `tree/channels`). It is
    /// asked whenever somebody looks at a channel.
    pub fn know_receivers_by(&self, face: impl Receivers + 'static) {
        self.inner.receivers.write().push(Box::new(face));
    }

    /// Says who knows whether libraries load (rule: `tree/libraries`). He is asked whenever somebody
    /// looks at one, and must not wait; the first who offers himself is taken.
    pub fn judge_libraries_by(
        &self,
        judge: impl Fn(&View, &Object) -> LibraryState + Send + Sync + 'static,
    ) {
        let _ = self.inner.libraries.set(Box::new(judge));
    }

    /// Opens the tree over a store; an empty store gets the factory tree.
    ///
    /// The second part is the generated password of `root`, if this call made one.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn new(
        store: Store,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<(Self, Option<String>), Fault> {
        let types = Types::new(bootstrap::type_ids(&store)?);
        let started = clock.now();
        let levels = LevelSource::new(options.audit_levels.clone());
        let inner = Arc::new(Inner {
            store,
            keys,
            clock,
            options,
            types,
            acls: Cache::new(ACLS_KEPT),
            principals: ArcSwapOption::empty(),
            indexes: Indexes::default(),
            levels,
            started,
            pid: std::process::id(),
            writer: OnceLock::new(),
            receivers: RwLock::default(),
            libraries: OnceLock::new(),
        });
        let tree = Self { inner, origin: 0 };
        let password = tree.bootstrap()?;
        if let Some(sink) = tree.inner.options.audit.clone() {
            let zone = tree.inner.options.zone.clone();
            let writer = Writer::start(tree.inner.store.clone(), sink, zone)?;
            let _ = tree.inner.writer.set(writer);
        }
        Ok((tree, password))
    }

    /// The present moment.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.inner), self.inner.store.snapshot())
    }

    /// The present moment, for an answer that is kept: see [`View::basis`].
    #[must_use]
    pub fn watched(&self) -> View {
        View::watched(Arc::clone(&self.inner), self.inner.store.snapshot())
    }

    /// The audit's settings of this moment: the same ones until they change.
    #[must_use]
    pub fn audit_levels(&self) -> Arc<Levels> {
        self.inner.levels.now()
    }

    /// A handle whose commits carry `origin` in the feed; 0: none.
    #[must_use]
    pub fn session(&self, origin: u64) -> Self {
        Self { inner: Arc::clone(&self.inner), origin }
    }

    /// Runs `work` and commits what it did, all or nothing. A conflict with another commit runs it
    /// again on the new state, so it must have no effect but through the [`Txn`].
    ///
    /// # Errors
    /// What `work` answers, and failures of the store. A denied attempt is written to the audit.
    pub fn write<T>(
        &self,
        who: &Caller,
        durability: Durability,
        mut work: impl FnMut(&mut Txn) -> Result<T, Fault>,
    ) -> Result<Done<T>, Fault> {
        for tried in 0..TRIES_MAX {
            let mut txn = Txn::new(self, who);
            let value = match work(&mut txn) {
                Ok(value) => value,
                Err(fault) => {
                    self.audit_failure(txn, &fault);
                    return Err(fault);
                }
            };
            if txn.is_empty() && txn.audits.is_empty() {
                return Ok(Done { rev: txn.rev(), value });
            }
            let audited = !txn.audits.is_empty();
            match self.inner.store.commit(txn.into_batch()?, durability) {
                Ok(rev) => {
                    if audited {
                        self.inner.audit_bell();
                    }
                    return Ok(Done { rev, value });
                }
                Err(CommitError::Fault(fault)) => return Err(fault),
                Err(CommitError::Conflict) if tried >= PATIENT_TRIES => {
                    // Real time, whatever the clock shows: the others have to get on meanwhile.
                    std::thread::sleep(Duration::from_micros(u64::from(tried) * 50));
                }
                Err(CommitError::Conflict) => {}
            }
        }
        Err(fault::busy())
    }

    fn audit_failure(&self, mut txn: Txn, fault: &Fault) {
        let Some(attempt) = txn.attempt.take() else { return };
        let Some(mut entry) = txn.view().audit_entry(txn.caller(), attempt, Some(fault)) else {
            return;
        };
        entry.started = txn.now();
        if let Err(fault) = self.put_audit(&entry) {
            tracing::error!(?fault, "a failed attempt cannot be written to the audit");
        }
    }

    /// A number for an object that will be created later.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn new_object_id(&self) -> Result<ObjectId, Fault> {
        self.inner.store.new_id(Counter::Object).map(ObjectId)
    }

    /// All that was committed is durable when this returns.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn sync(&self) -> Result<(), Fault> {
        self.inner.store.sync()
    }

    /// The store below: blobs, feed and checkpoints are taken from it directly.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The clock of the server.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The secret key in use.
    #[must_use]
    pub fn keys(&self) -> &Arc<Keys> {
        &self.inner.keys
    }

    /// Writes all audit entries that wait; called before the server ends.
    pub fn flush_audit(&self) {
        if let Some(writer) = self.inner.writer.get() {
            writer.flush();
        }
    }
}
