//! Keeps the store from growing for ever: old history, old changes, blobs that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::config::Config;
use crate::base::shutdown::Shutdown;
use crate::store;
use crate::tree::Tree;

/// Between two rounds: often enough that a round is short, seldom enough to cost nothing.
const ROUND: Duration = Duration::from_secs(10 * 60);

/// How long what is no longer true is kept (rule: `operations/retention`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Earlier versions of objects and entries.
    pub history: Duration,
    /// Rows of the change feed.
    pub changes: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        let options = store::Options::default();
        Self { history: options.history_keep, changes: options.change_keep }
    }
}

impl Keep {
    /// As the settings `history.days` and `history.feed_days` say.
    pub(super) fn configured(config: &Config) -> Self {
        let days = |key, usual: Duration| match config.integer("history", key) {
            Some(days) => Duration::from_secs(days.saturating_mul(24 * 60 * 60)),
            None => usual,
        };
        let usual = Self::default();
        Self { history: days("days", usual.history), changes: days("feed_days", usual.changes) }
    }

    fn options(self) -> store::Options {
        store::Options {
            history_keep: self.history,
            change_keep: self.changes,
            ..store::Options::default()
        }
    }
}

/// Runs until the server stops (rule: `operations/retention`).
pub(super) fn start(tree: Tree, keep: Keep, clock: Arc<dyn Clock>, shutdown: Shutdown) {
    tokio::spawn(async move {
        let options = keep.options();
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kompira_schema::id::UserId;
    use kompira_schema::path::Name;
    use kompira_schema::tree::{Caller, Interface};
    use kompira_schema::value::Dict;

    use super::*;
    use crate::base::clock::Fake;
    use crate::secrets::Keys;
    use crate::store::{Durability, Store};
    use crate::tree::{Draft, Options, Patch};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    // rule: operations/retention
    #[test]
    fn earlier_versions_go_after_the_days_of_the_setting() {
        let text = "[history]\ndays = 3\nfeed_days = 2\n";
        let config = Config::new(Some((Path::new("kompira.conf"), text)), &[]).unwrap();
        let keep = Keep::configured(&config);
        assert_eq!(keep, Keep { history: DAY * 3, changes: DAY * 2 });
        let usual = Keep::configured(&Config::new(None, &[]).unwrap());
        assert_eq!((usual, usual.history), (Keep::default(), DAY * 30));

        let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
        let keys = Arc::new(Keys::from_text("a key of the tests"));
        let store = Store::memory();
        let (tree, _) =
            Tree::new(store, keys, Arc::clone(&clock) as _, Options::default()).unwrap();
        let who = Caller {
            user: UserId(1),
            interface: Interface::Api,
            remote: None,
            process: None,
            request: "test".into(),
            exec: None,
        };
        let text = tree.view().builtin("Text").unwrap();
        let place = kompira_schema::id::ObjectId::ROOT;
        let made = tree.write(&who, Durability::Lazy, |txn| {
            txn.create(place, &Name::new("t").unwrap(), text, Draft::default())
        });
        let id = made.unwrap().value;
        for day in 0..6 {
            clock.advance(DAY);
            let fields = Dict::from_iter([("text".to_owned(), day.to_string().as_str().into())]);
            tree.write(&who, Durability::Lazy, |txn| {
                txn.update(id, None, Patch { fields: fields.clone(), ..Patch::default() })
            })
            .unwrap();
        }
        let versions = || tree.view().history(&who, id, 100).unwrap().len();
        assert_eq!(versions(), 7);
        tree.store().maintain(&keep.options(), clock.now()).unwrap();
        let left = versions();
        assert!((3..=5).contains(&left), "three days and what they rest on: {left}");
        tree.store().maintain(&Keep::default().options(), clock.now()).unwrap();
        assert_eq!(versions(), left);
    }
}
