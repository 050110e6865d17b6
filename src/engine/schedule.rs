//! Runs the jobs of `/scheduler` when they are due (rule: `operations/scheduler`).
//!
//! One thread keeps the next run of every schedule and sleeps until the first. It follows the
//! wall clock, which may jump: a run is known by the minute it was due in, and what has been
//! started is kept in the store with the process it started, so that none is started twice.

mod agenda;
mod fire;
mod handled;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kompira_schema::id::ScheduleId;

use super::inner::Inner;
use super::news::News;
use agenda::Agenda;

/// A run that is later than this has been missed.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// The clock is looked at so often at least. Reason: it may have been set meanwhile, and nobody
/// tells.
const LOOK: Duration = Duration::from_secs(20);

/// Between two tries of a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Between two tries of a run that could not be written.
const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// What becomes of runs that were missed while the server did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// Each schedule runs once for all it missed.
    Once,
}

/// Fires schedules until the engine stops.
pub(super) fn run(inner: &Arc<Inner>) {
    let mut agenda = Agenda::default();
    let mut news = News { all: true, ..News::default() };
    while !inner.stopping() {
        let mut wait = LOOK;
        if let Err(fault) = take(inner, &mut agenda, &mut news) {
            tracing::error!(?fault, "schedules cannot be read");
            inner.schedules.missed_still();
            wait = LOOK_AGAIN;
        }
        // Before the wall clock is read: what passes in between must not be slept again.
        let begun = inner.clock.monotonic();
        let now = inner.now();
        let next = agenda.look(now, |id, due| fire::fire(inner, id, due, now));
        #[cfg(test)]
        inner.schedules.looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let left = next.map_or(wait, |next| {
            Duration::try_from(next.duration_since(now)).unwrap_or_default().min(wait)
        });
        inner.clock.wait(&inner.schedules.alarm, Some(begun.saturating_add(left)));
        news = inner.schedules.take();
    }
}

/// Brings the agenda in line with the store.
fn take(
    inner: &Arc<Inner>,
    agenda: &mut Agenda,
    news: &mut News<ScheduleId>,
) -> Result<(), kompira_schema::error::Fault> {
    let view = inner.tree.view();
    let now = inner.now();
    if std::mem::take(&mut news.all) {
        let schedules = view.schedules()?;
        agenda.clear();
        for schedule in schedules {
            let handled = handled::read(&inner.snapshot(), schedule.id)?;
            agenda.put(schedule, handled, view.zone(), now);
        }
        return Ok(());
    }
    for id in std::mem::take(&mut news.changed) {
        let known = agenda.remove(id);
        match view.schedule(id)? {
            Some(schedule) => {
                let handled = match known {
                    Some(handled) => handled,
                    None => handled::read(&inner.snapshot(), id)?,
                };
                agenda.put(schedule, handled, view.zone(), now);
            }
            None => fire::forget(inner, id)?,
        }
    }
    Ok(())
}
