//! The job manager inside the server: a bounded pool and the choice of the runner.

use std::sync::Arc;

use super::{Done, Output, Request, Runner, Running};

/// Takes requests for every connection type and bounds how many run at once.
pub struct Manager {
    local: Arc<dyn Runner>,
}

impl Manager {
    /// A manager whose local jobs go to `local`.
    #[must_use]
    pub fn new(local: Arc<dyn Runner>) -> Self {
        Self { local }
    }
}

impl Runner for Manager {
    fn start(&self, request: Request, output: Arc<dyn Output>, done: Done) -> Arc<dyn Running> {
        self.local.start(request, output, done)
    }
}
