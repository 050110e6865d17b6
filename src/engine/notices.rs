//! Mails about processes that end (rule: `operations/monitoring`).
//!
//! The commit that ends a process puts a note beside it that a mail is due; whoever has sent the
//! mail takes the note away. So no crash loses a mail; one that a crash cut short is sent again.

mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kompira_schema::error::Fault;
use kompira_schema::id::ProcessId;

use super::inner::{Inner, myself};
use super::jobs::{self, Around, Cancel};
use super::news::Bell;
use super::process::{Monitoring, Status};
use super::row::{self, Row};
use crate::remote::Running as _;
use crate::remote::mail::Mail;
use crate::store::{Durability, Family};
use crate::tree::Txn;

/// How long a mail that could not be sent is put off each time; after the last it is given up, and
/// the log says so.
const PUT_OFF: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
];

/// Mails that are due.
#[derive(Default)]
pub(super) struct Notices {
    bell: Bell<ProcessId>,
    /// Asks the one that is being sent to end.
    cancel: Arc<Cancel>,
}

impl Notices {
    /// A process has ended about which somebody is to be told.
    pub(super) fn tell(&self, id: ProcessId) {
        self.bell.changed(id);
    }

    /// Lets the thread see that the engine stops.
    pub(super) fn close(&self) {
        self.cancel.cancel();
        self.bell.close();
    }
}

/// Whether a mail is due about a process that has ended.
pub(super) fn is_due(row: &Row) -> bool {
    match (row.monitoring_mode, row.status) {
        (Monitoring::Nothing, _) => false,
        (Monitoring::Mail, status) => !status.is_active(),
        (Monitoring::AbortMail, status) => status == Status::Aborted,
    }
}

/// Notes that a mail is due, in the commit that ends the process.
pub(super) fn note(txn: &mut Txn, id: ProcessId, row: &Row) {
    if is_due(row) {
        txn.raw_put(Family::Process, &row::notice_key(id), Vec::new());
    }
}

/// A mail that is not sent yet.
struct Due {
    next: Duration,
    tries: usize,
}

/// Sends what is due until the engine stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let mut due: BTreeMap<ProcessId, Due> = BTreeMap::new();
    inner.notices.bell.missed();
    while !inner.stopping() {
        let now = inner.clock.monotonic();
        let mut news = inner.notices.bell.take();
        let mut again = None;
        if news.all {
            match row::notices(&inner.snapshot()) {
                Ok(ids) => news.changed.extend(ids),
                Err(fault) => {
                    tracing::error!(?fault, "mails that are due cannot be read");
                    inner.notices.bell.missed_still();
                    again = PUT_OFF.first().map(|wait| now.saturating_add(*wait));
                }
            }
        }
        for id in news.changed {
            due.entry(id).or_insert(Due { next: now, tries: 0 });
        }
        due.retain(|&id, one| {
            if one.next > now || inner.stopping() {
                return true;
            }
            match attend(inner, id, one, now) {
                Ok(done) => !done,
                Err(fault) => {
                    tracing::error!(process = id.0, ?fault, "a mail cannot be looked at");
                    put_off(one, now)
                }
            }
        });
        let next = due.values().map(|one| one.next).chain(again).min();
        inner.clock.wait(&inner.notices.bell.alarm, next);
    }
}

/// Sends one mail; whether it is done with.
fn attend(inner: &Arc<Inner>, id: ProcessId, one: &mut Due, now: Duration) -> Result<bool, Fault> {
    let mail = match inner.row(id)? {
        Some(row) => compose(inner, id, &row)?,
        // It was deleted.
        None => None,
    };
    if let Some(mail) = mail {
        match send(inner, mail) {
            Ok(()) => tracing::info!(process = id.0, "mail sent"),
            Err(_) if inner.stopping() => return Ok(false),
            Err(why) if put_off(one, now) => {
                tracing::warn!(process = id.0, why, "a mail is not sent; it is tried again");
                return Ok(false);
            }
            Err(why) => tracing::error!(process = id.0, why, "a mail is given up"),
        }
    }
    inner.tree.write(&myself(), Durability::Lazy, |txn| {
        txn.raw_delete(Family::Process, &row::notice_key(id));
        Ok(())
    })?;
    Ok(true)
}

/// Puts a mail off; `false` when it was tried often enough.
fn put_off(one: &mut Due, now: Duration) -> bool {
    let Some(wait) = PUT_OFF.get(one.tries) else { return false };
    one.tries += 1;
    one.next = now.saturating_add(*wait);
    true
}

/// The mail about a process; `None` if there is nobody to send it to.
fn compose(inner: &Arc<Inner>, id: ProcessId, row: &Row) -> Result<Option<Mail>, Fault> {
    let view = inner.tree.view();
    let address = view.user(row.user).map(|user| user.email.trim().to_owned());
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        tracing::warn!(process = id.0, "no mail: its user has no address");
        return Ok(None);
    };
    let (subject, body) = text::written(&view, id, row, inner.now())?;
    Ok(Some(Mail {
        from: jobs::system_sender(&view),
        to: vec![address],
        subject,
        text: Some(body),
        charset: "UTF-8".to_owned(),
        ..Mail::default()
    }))
}

fn send(inner: &Arc<Inner>, mail: Mail) -> Result<(), String> {
    let server = jobs::system_server(&inner.tree.view())?;
    let cancelled = Arc::clone(&inner.notices.cancel);
    let around = Around { inner: Arc::clone(inner), who: myself(), cancelled };
    jobs::hand_over(&around, mail, &server)
}
