//! Which runs of a schedule have been seen to.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use kompira_schema::error::Fault;
use kompira_schema::id::ScheduleId;

use crate::engine::row;
use crate::store::{Family, Snapshot};

/// Spans that are remembered. Reason: each jump of the clock may leave one.
const SPANS_MAX: usize = 16;

/// A clock that was set back further than this begins anew.
const REACH: SignedDuration = SignedDuration::from_hours(48);

/// What has been seen to, as it lies in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handled {
    /// First and last due time of runs of which none in between is open.
    spans: Vec<(Timestamp, Timestamp)>,
    /// Until when runs were looked for.
    looked: Option<Timestamp>,
}

impl Handled {
    /// From when on runs are looked for at `now`.
    pub(super) fn from(&self, now: Timestamp) -> Option<Timestamp> {
        self.looked.map(|looked| looked.min(now))
    }

    /// The end of the span that holds a run.
    pub(super) fn end_of(&self, run: Timestamp) -> Option<Timestamp> {
        self.spans.iter().find(|(first, last)| (first..=last).contains(&&run)).map(|span| span.1)
    }

    /// Notes a run; `follows` says whether it is the next after a given one.
    pub(super) fn add(
        &mut self,
        run: Timestamp,
        now: Timestamp,
        follows: impl Fn(Timestamp) -> bool,
    ) {
        self.looked = Some(now);
        self.spans.retain(|(_, last)| now.duration_since(*last).abs() <= REACH);
        // The newest span that ends before the run is the only one it can follow.
        let before = self.spans.iter_mut().filter(|span| span.1 < run).max_by_key(|span| span.1);
        match before {
            Some(span) if follows(span.1) => span.1 = run,
            _ => self.spans.push((run, run)),
        }
        if self.spans.len() > SPANS_MAX {
            self.spans.remove(0);
        }
    }

    /// Notes that nothing is open until `now`, though nothing ran.
    pub(super) fn look(&mut self, now: Timestamp) {
        self.looked = Some(now);
    }
}

pub(super) fn key(id: ScheduleId) -> Vec<u8> {
    let mut key = vec![b's'];
    key.extend_from_slice(&id.0.to_be_bytes());
    key
}

/// Reads what is known of a schedule.
pub(super) fn read(snapshot: &Snapshot, id: ScheduleId) -> Result<Handled, Fault> {
    let key = key(id);
    let bytes = snapshot.get(Family::Timer, &key)?;
    Ok(row::read(Family::Timer, &key, bytes)?.unwrap_or_default())
}
