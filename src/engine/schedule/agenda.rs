//! The next run of every schedule.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use kompira_schema::id::ScheduleId;

use super::handled::Handled;
use super::{GRACE, RETRY};
use crate::tree::special::{Calendar, Schedule};

/// A look at one schedule that has something open.
pub(super) struct Due<'a> {
    pub(super) schedule: &'a Schedule,
    /// The run to start; `None`: all have been missed.
    pub(super) run: Option<Timestamp>,
    /// The first run that was missed.
    pub(super) missed: Option<Timestamp>,
    pub(super) handled: &'a mut Handled,
    calendar: &'a Calendar,
    zone: &'a TimeZone,
}

impl Due<'_> {
    /// Notes that a run was started, or cannot be.
    pub(super) fn ran(&mut self, run: Timestamp, now: Timestamp) {
        let (calendar, zone) = (self.calendar, self.zone);
        self.handled.add(run, now, |before| calendar.next(before, zone) == Some(run));
    }
}

struct Entry {
    schedule: Schedule,
    /// `None`: it never runs.
    calendar: Option<Calendar>,
    zone: TimeZone,
    handled: Handled,
    /// Runs until then have been looked for.
    from: Timestamp,
    /// When to look at it.
    next: Option<Timestamp>,
}

/// All schedules by the time of their next run.
#[derive(Default)]
pub(super) struct Agenda {
    entries: HashMap<ScheduleId, Entry>,
    order: BTreeSet<(Timestamp, ScheduleId)>,
    /// The clock at the last look.
    seen: Option<Timestamp>,
}

impl Agenda {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    pub(super) fn put(
        &mut self,
        schedule: Schedule,
        handled: Handled,
        zone: TimeZone,
        now: Timestamp,
    ) {
        // Nothing is due before it was made or its times were changed.
        let from = handled.from(now).unwrap_or(schedule.since).max(schedule.since.min(now));
        let calendar = if schedule.disabled { None } else { Calendar::parse(&schedule.times).ok() };
        let id = schedule.id;
        let mut entry = Entry { schedule, calendar, zone, handled, from, next: None };
        entry.next = entry.open_after(from);
        self.order.extend(entry.next.map(|next| (next, id)));
        self.entries.insert(id, entry);
    }

    /// Forgets a schedule; answers what was known of its runs.
    pub(super) fn remove(&mut self, id: ScheduleId) -> Option<Handled> {
        let entry = self.entries.remove(&id)?;
        if let Some(next) = entry.next {
            self.order.remove(&(next, id));
        }
        Some(entry.handled)
    }

    /// Gives what is due at `now` to `fire`, which answers whether it was seen to; answers when to
    /// look again.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        mut fire: impl FnMut(ScheduleId, &mut Due<'_>) -> bool,
    ) -> Option<Timestamp> {
        if self.seen.is_some_and(|seen| now < seen) {
            self.set_back(now);
        }
        self.seen = Some(now);
        while let Some(&(next, id)) = self.order.first()
            && next <= now
        {
            self.order.pop_first();
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.next = if entry.look(now, &mut fire) {
                entry.from = now;
                entry.open_after(now)
            } else {
                now.checked_add(RETRY).ok()
            };
            self.order.extend(entry.next.map(|next| (next, id)));
        }
        self.order.first().map(|&(next, _)| next)
    }

    /// The clock was set back: what is due from there on and has not run is due again.
    fn set_back(&mut self, now: Timestamp) {
        self.order.clear();
        for (id, entry) in &mut self.entries {
            entry.from = entry.from.min(now);
            entry.next = entry.open_after(entry.from);
            self.order.extend(entry.next.map(|next| (next, *id)));
        }
    }
}

impl Entry {
    /// The first run after an instant that has not been seen to.
    fn open_after(&self, mut after: Timestamp) -> Option<Timestamp> {
        let calendar = self.calendar.as_ref()?;
        loop {
            let run = calendar.next(after, &self.zone)?;
            match self.handled.end_of(run) {
                None => return Some(run),
                Some(end) => after = end,
            }
        }
    }

    fn look(
        &mut self,
        now: Timestamp,
        fire: &mut impl FnMut(ScheduleId, &mut Due<'_>) -> bool,
    ) -> bool {
        let Some(first) = self.open_after(self.from).filter(|first| *first <= now) else {
            return true;
        };
        // The latest that is not too late.
        let mut run = None;
        let mut after = now.checked_sub(GRACE).unwrap_or(now).max(self.from);
        if first >= after {
            run = Some(first);
        }
        while let Some(next) = self.open_after(after).filter(|next| *next <= now) {
            run = Some(next);
            after = next;
        }
        let missed = (run != Some(first)).then_some(first);
        let Some(calendar) = &self.calendar else { return true };
        let mut due = Due {
            schedule: &self.schedule,
            run,
            missed,
            handled: &mut self.handled,
            calendar,
            zone: &self.zone,
        };
        fire(self.schedule.id, &mut due)
    }
}
