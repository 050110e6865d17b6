//! The handle on the tree: opening it, views of one moment, writes.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::tz::TimeZone;
use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::tree::Caller;
use kompira_schema::value::Dict;
use quick_cache::sync::Cache;

use super::txn::Txn;
use super::types::Types;
use super::view::View;
use crate::audit::{LevelSource, Sink};
use crate::auth::{Acl, AclId, Principals};
use crate::base::clock::Clock;
use crate::secrets::Keys;
use crate::store::{Durability, Store};

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
    pub(super) levels: LevelSource,
}

/// What a commit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done<T> {
    /// The revision of the commit; the present one if nothing was written.
    pub rev: Rev,
    /// What the closure returned.
    pub value: T,
}

impl Tree {
    /// Opens the tree over a store; an empty store gets the factory tree.
    ///
    /// The second part is the generated password of `root`, if this call made one.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn new(
        _store: Store,
        _keys: Arc<Keys>,
        _clock: Arc<dyn Clock>,
        _options: Options,
    ) -> Result<(Self, Option<String>), Fault> {
        unimplemented!()
    }

    /// The present moment.
    #[must_use]
    pub fn view(&self) -> View {
        unimplemented!()
    }

    /// A handle whose commits carry `origin` in the feed.
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
        _who: &Caller,
        _durability: Durability,
        _work: impl FnMut(&mut Txn) -> Result<T, Fault>,
    ) -> Result<Done<T>, Fault> {
        unimplemented!()
    }

    /// A number for an object that will be created later.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn new_object_id(&self) -> Result<ObjectId, Fault> {
        unimplemented!()
    }

    /// All that was committed is durable when this returns.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn sync(&self) -> Result<(), Fault> {
        unimplemented!()
    }

    /// The store below: blobs, feed and checkpoints are taken from it directly.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }
}
