//! Starts the jobflow that a channel's action names, for messages nobody waits for
//! (rule: `tree/channel-action`).
//!
//! A message first lies in its queue, whoever sent it. One thread looks at the channels whose
//! queues changed: the receivers that wait are asked first, and a message they leave is taken and
//! its process started in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::tree::{Caller, Interface};
use kompira_schema::value::Ref;

use super::StartOptions;
use super::inner::{Inner, myself};
use super::process::Params;
use super::start;
use super::vm::request::Source;
use crate::store::Durability;
use crate::tree::Unsettled;

/// How long the receivers of a channel get before they are looked at, and again while they work.
const RECEIVERS: Duration = Duration::from_millis(20);
/// A receiver that has not looked by then is passed over. Reason: it may wait for a worker as long
/// as others keep them all.
const RECEIVERS_MAX: Duration = Duration::from_secs(5);
/// Between two tries of a start that the server's state refused, and of a look that failed.
const RETRY: Duration = Duration::from_secs(1);

/// A channel that is looked at.
struct Watched {
    /// Since when its oldest open message is known: receivers are asked from then on.
    since: Duration,
    /// The message that is meant.
    number: Option<u64>,
    /// When it is looked at again.
    next: Duration,
}

/// Sees to messages until the engine stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let mut watched: BTreeMap<ObjectId, Watched> = BTreeMap::new();
    inner.actions.missed();
    while !inner.stopping() {
        let now = inner.clock.monotonic();
        let (channels, failed) = news(inner);
        for channel in channels {
            watched.entry(channel).or_insert(Watched { since: now, number: None, next: now });
        }
        watched.retain(|&channel, watched| {
            watched.next > now
                || attend(inner, channel, watched, now).unwrap_or_else(|fault| {
                    tracing::error!(channel = channel.0, ?fault, "an action cannot be looked at");
                    watched.next = now.saturating_add(RETRY);
                    true
                })
        });
        let again = failed.then(|| now.saturating_add(RETRY));
        let next = watched.values().map(|watched| watched.next).chain(again).min();
        inner.clock.wait(&inner.actions.alarm, next);
    }
}

/// Channels whose queues may have changed, and whether that could not be found out for all.
fn news(inner: &Inner) -> (BTreeSet<ObjectId>, bool) {
    let mut news = inner.actions.take();
    let mut failed = false;
    if news.all {
        match inner.tree.view().unsettled_channels() {
            Ok(channels) => news.changed.extend(channels),
            Err(fault) => {
                tracing::error!(?fault, "channels cannot be read");
                inner.actions.missed_still();
                failed = true;
            }
        }
    }
    (news.changed, failed)
}

/// Sees to the open messages of a channel; whether it has to be looked at again.
fn attend(
    inner: &Arc<Inner>,
    channel: ObjectId,
    watched: &mut Watched,
    now: Duration,
) -> Result<bool, Fault> {
    loop {
        let due = match inner.tree.view().unsettled(channel) {
            Ok(Some(due)) => due,
            Ok(None) => return Ok(false),
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(false),
            Err(fault) => return Err(fault),
        };
        if watched.number != Some(due.number) {
            *watched = Watched { since: now, number: Some(due.number), next: now };
        }
        if receivers_may_take_it(inner, channel, now.saturating_sub(watched.since)) {
            watched.next = now.saturating_add(RECEIVERS);
            return Ok(true);
        }
        match begin(inner, channel, &due) {
            Ok(()) => {}
            // A receiver was faster.
            Err(fault) if fault.kind() == Kind::NoMessage => {}
            Err(fault) if is_passing(fault.kind()) => {
                watched.next = now.saturating_add(RETRY);
                return Ok(true);
            }
            Err(fault) => {
                tracing::warn!(
                    channel = channel.0,
                    message = due.number,
                    ?fault,
                    "the action of a channel starts nothing; the message stays in its queue"
                );
                inner.tree.write(&myself(), Durability::Lazy, |txn| {
                    txn.settle(channel, due.number, false)
                })?;
            }
        }
    }
}

/// Not the message's fault: it is tried again.
const fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Full | Kind::Internal | Kind::TooMany | Kind::Busy)
}

/// Whether a process waits for the channel that may not have looked at the message yet.
fn receivers_may_take_it(inner: &Inner, channel: ObjectId, waited: Duration) -> bool {
    let source = Source::Reference(Ref::Object(channel));
    if waited >= RECEIVERS_MAX || inner.mailbox.waiting(source).is_empty() {
        return false;
    }
    // The feed tells them at about the same time as us.
    waited < RECEIVERS || inner.mailbox.is_asking(source)
}

/// Takes the message and starts the process, in one commit.
fn begin(inner: &Arc<Inner>, channel: ObjectId, due: &Unsettled) -> Result<(), Fault> {
    let job = due.target.ok_or_else(|| Fault::new(Kind::Invalid, message!("channel.no_target")))?;
    let who = Caller {
        user: due.owner,
        interface: Interface::Engine,
        remote: None,
        process: None,
        request: format!("channel-{}", channel.0).into(),
        exec: None,
    };
    if inner.tree.view().type_of(job)?.name != "Jobflow" {
        return Err(Fault::new(Kind::WrongType, message!("channel.no_target")));
    }
    let params = Params::Positional(vec![due.message.clone()]);
    let options = StartOptions { invoker: Some(channel), ..StartOptions::default() };
    let process = start::execute(inner, &who, job, &params, &options, &|txn| {
        txn.settle(channel, due.number, true)
    })?;
    tracing::info!(channel = channel.0, message = due.number, process = process.0, "action");
    Ok(())
}
