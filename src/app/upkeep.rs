//! Keeps the store from growing for ever: old history, old changes, blobs that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::shutdown::Shutdown;
use crate::store;
use crate::tree::Tree;

/// Between two rounds: often enough that a round is short, seldom enough to cost nothing.
const ROUND: Duration = Duration::from_secs(10 * 60);

/// Runs until the server stops (rule: `operations/retention`).
pub(super) fn start(tree: Tree, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    tokio::spawn(async move {
        let options = store::Options::default();
        loop {
            tokio::time::sleep(ROUND).await;
            if shutdown.begun() {
                return;
            }
            let (tree, options, now) = (tree.clone(), options.clone(), clock.now());
            let round = move || tree.store().maintain(&options, now);
            match tokio::task::spawn_blocking(round).await {
                Ok(Ok(removed)) => tracing::debug!(?removed, "old history and blobs removed"),
                Ok(Err(fault)) => tracing::error!(?fault, "old history and blobs stay"),
                Err(error) => tracing::error!(%error, "the upkeep of the store failed"),
            }
        }
    });
}
