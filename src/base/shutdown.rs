//! Stopping: one signal that threads and tasks can both see and wait for.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

/// Says that the server is going down. Clones are the same signal; it is never taken back.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    reason: Arc<parking_lot::Mutex<Option<String>>>,
}

impl Shutdown {
    /// A signal that has not been given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. The first reason stays.
    pub fn begin(&self, reason: &str) {
        self.reason.lock().get_or_insert_with(|| reason.to_owned());
        self.drain.cancel();
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Why, once it was given.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// Waits for the signal.
    pub async fn wait(&self) {
        self.drain.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.begun());
        shutdown.begin("SIGTERM");
        let again = shutdown.clone();
        again.begin("SIGINT");
        assert!(shutdown.begun());
        assert_eq!(shutdown.reason().as_deref(), Some("SIGTERM"));
    }
}
