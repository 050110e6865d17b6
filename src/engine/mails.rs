//! Fetches the mails of mail channels (rule: `operations/mail-channels`).
//!
//! One thread knows the channels and when each is due; it sleeps until then, and is woken when a
//! receiver begins to wait or objects change. What a look at a mailbox does while it waits for the
//! server is no thread: a runtime with one carries all of them, and is there from the first on.
//! Its blocking threads commit mails and do nothing else: names of servers are asked for elsewhere.

mod agenda;
mod budget;
mod failures;
mod round;
mod settings;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kompira_schema::id::ObjectId;
use kompira_schema::value::Ref;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::inner::Inner;
use super::vm::request::Source;
use crate::base::clock::Alarm;
use agenda::Agenda;
use budget::Budget;
use failures::Failures;
use round::Ending;
pub(super) use settings::Settings;

/// Looks at mailboxes at the same time. Reason: each may hold a mail of the largest size.
const ROUNDS_MAX: usize = 32;

/// How long changes of objects gather before the channels are looked through again.
const GATHER: Duration = Duration::from_millis(500);

/// Between two tries of a look at the channels that failed.
const RETRY: Duration = Duration::from_secs(5);

/// How long the engine's end waits for a commit of a look that is under way.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// What the thread that fetches is told, and what it tells.
#[derive(Default)]
pub(super) struct Mails {
    alarm: Arc<Alarm>,
    /// Objects have changed since the channels were last looked through.
    changed: AtomicBool,
    /// They were looked through a moment ago: changes wake nobody.
    rests: AtomicBool,
    news: Mutex<News>,
    failures: Failures,
    /// What all looks together may hold of mails.
    budget: Budget,
}

#[derive(Default)]
struct News {
    /// Mail channels that are switched on.
    known: HashSet<ObjectId>,
    /// Of those, the ones for which somebody began to wait.
    awaited: HashSet<ObjectId>,
    ended: Vec<(ObjectId, Ending)>,
}

impl Mails {
    /// Some object changed.
    pub(super) fn changed(&self) {
        if !self.changed.swap(true, Ordering::SeqCst) && !self.rests.load(Ordering::SeqCst) {
            self.alarm.ring();
        }
    }

    /// Somebody began to wait for messages of a channel.
    pub(super) fn awaited(&self, channel: ObjectId) {
        let mut news = self.news.lock();
        if news.known.contains(&channel) && news.awaited.insert(channel) {
            drop(news);
            self.alarm.ring();
        }
    }

    /// Processes begin to wait for these.
    pub(super) fn awaited_all(&self, sources: &[Source]) {
        for source in sources {
            if let Source::Reference(Ref::Object(channel)) = source {
                self.awaited(*channel);
            }
        }
    }

    /// Why the last fetch failed, until the next is due.
    pub(super) fn failure(&self, channel: ObjectId, now: Duration) -> Option<String> {
        self.failures.get(channel, now)
    }

    /// Lets the thread look whether the engine stops.
    pub(super) fn close(&self) {
        self.alarm.ring();
    }

    fn ended(&self, channel: ObjectId, ending: Ending) {
        self.news.lock().ended.push((channel, ending));
        self.alarm.ring();
    }
}

/// Fetches until the engine stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let mails = &inner.mails;
    let mut agenda = Agenda::default();
    let mut runtime: Option<Runtime> = None;
    let mut look_at = Some(Duration::ZERO);
    while !inner.stopping() {
        let now = inner.clock.monotonic();
        if look_at.is_some_and(|at| at <= now) {
            look_at = None;
            mails.rests.store(false, Ordering::SeqCst);
        }
        let first = agenda.is_new();
        if look_at.is_none() && (mails.changed.swap(false, Ordering::SeqCst) || first) {
            mails.rests.store(true, Ordering::SeqCst);
            look_at = Some(now.saturating_add(GATHER));
            if let Err(fault) = agenda.look(inner, now) {
                tracing::error!(?fault, "mail channels cannot be read");
                mails.changed.store(true, Ordering::SeqCst);
                look_at = Some(now.saturating_add(RETRY));
            }
            mails.news.lock().known = agenda.known();
        }
        let (awaited, ended) = {
            let mut news = mails.news.lock();
            (std::mem::take(&mut news.awaited), std::mem::take(&mut news.ended))
        };
        for (channel, ending) in ended {
            agenda.ended(inner, channel, ending, now);
        }
        for channel in awaited {
            agenda.awaited(inner, channel);
        }
        let next = agenda.begin(inner, now, |channel, work| {
            let runtime = match &runtime {
                Some(runtime) => runtime,
                None => runtime.insert(carrier()?),
            };
            let (inner, mark) = (Arc::clone(inner), work.mark);
            runtime.spawn(async move {
                let done = tokio::spawn(work.begin(Arc::clone(&inner))).await;
                let ending = done.unwrap_or_else(|error| Ending::failed(error.to_string(), mark));
                inner.mails.ended(channel, ending);
            });
            Ok(())
        });
        let next = next.into_iter().chain(look_at).min();
        inner.clock.wait(&mails.alarm, next);
    }
    // Whatever waits for a server ends here; commits end as they would.
    if let Some(runtime) = runtime {
        runtime.shutdown_timeout(LAST_COMMIT);
    }
}

/// What carries the looks.
fn carrier() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(4)
        .thread_name("engine-mail-io")
        .enable_all()
        .build()
}
