//! The REST face: one file per resource, thin over `tree` and `engine`.
//!
//! An object's URL is its path; what follows the first dot of the last segment is a method.
//! Service endpoints are below `/-/`, which is no object name. All that touches the store runs on
//! the bounded threads of `pool`.

pub mod accept;
mod account;
pub mod answer;
mod batch;
mod body;
mod changes;
mod channel;
mod filter;
mod health;
mod history;
mod hub;
mod identity;
mod kept;
pub mod lenient;
mod metrics;
mod object;
pub mod openapi;
mod page;
mod phrases;
mod pool;
mod principal;
mod process;
pub mod query;
mod rate;
mod record;
mod route;
pub mod server;
mod service;
mod session;
mod special;
mod stream;
pub mod table;
pub mod target;
pub mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::clock::Clock;
use crate::base::shutdown::Shutdown;
use crate::engine::Engine;
use crate::secrets::Keys;
use crate::transfer::git::Repositories;
use crate::tree::Tree;

pub use hub::Hub;
pub use identity::{EXEC_HEADER, Peer};
pub use kept::Kept;
pub use metrics::Metrics;
pub use pool::Pool;
pub use rate::Rates;

/// What the handlers work with.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

/// The parts of a [`Service`].
pub struct Parts {
    /// The tree.
    pub tree: Tree,
    /// The key of the store: exports and imports carry passwords.
    pub keys: Arc<Keys>,
    /// Runs jobflows; absent while only the tree is served (`token create` without a server).
    pub engine: Option<Engine>,
    /// Synchronises Repository objects.
    pub repositories: Option<Arc<Repositories>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Says when to stop.
    pub shutdown: Shutdown,
    /// Threads for what blocks.
    pub pool: Pool,
    /// Wakes requests that wait for a change.
    pub hub: Arc<Hub>,
    /// Whether everything has started.
    pub ready: AtomicBool,
    /// Most bytes of a streamed upload.
    pub max_upload: u64,
    /// Answers that still hold.
    pub kept: Kept,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How often somebody may ask.
    pub rates: Rates,
    /// What `status` tells.
    pub about: About,
}

/// What the server knows about itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The data directory.
    pub data: std::path::PathBuf,
    /// Addresses it listens on.
    pub listen: Vec<String>,
    /// Directories where the tree is mounted.
    pub mounts: Vec<String>,
    /// When it started.
    pub started: jiff::Timestamp,
}

impl Service {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Everything has started: `/-/health/ready` says so.
    pub fn set_ready(&self) {
        self.0.ready.store(true, Ordering::Release);
    }

    /// Whether requests are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire) && !self.0.shutdown.begun()
    }
}

impl std::ops::Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
