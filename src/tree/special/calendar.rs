//! When a schedule runs: seven expressions joined by AND (rules: `tree/schedule-expressions`,
//! `tree/schedule-times`).

mod parse;
#[cfg(test)]
mod tests;

use jiff::civil::{Date, DateTime, time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use kompira_schema::error::Problem;
use kompira_schema::message;
use serde::{Deserialize, Serialize};

use self::parse::{Day, Set};

/// A part of the expression, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Four digits.
    Year,
    /// 1 to 12, or `jan` to `dec`.
    Month,
    /// 1 to 31, `2nd tue`, `last fri`, `last`.
    Day,
    /// Week of ISO 8601, 1 to 53.
    Week,
    /// 0 (Monday) to 6, or `mon` to `sun`.
    DayOfWeek,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
}

impl Unit {
    /// Every part, from coarse to fine.
    pub const ALL: [Self; 7] =
        [Self::Year, Self::Month, Self::Day, Self::Week, Self::DayOfWeek, Self::Hour, Self::Minute];

    /// The name of the property.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Week => "week",
            Self::DayOfWeek => "day_of_week",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }

    /// The part of a property.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Smallest and largest value.
    const fn range(self) -> (i16, i16) {
        match self {
            Self::Year => (1970, 9999),
            Self::Month => (1, 12),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::DayOfWeek => (0, 6),
            Self::Hour => (0, 23),
            Self::Minute => (0, 59),
        }
    }
}

/// The seven texts as they were given; `""` for one that was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    year: String,
    month: String,
    day: String,
    week: String,
    day_of_week: String,
    hour: String,
    minute: String,
}

impl Times {
    /// The text of a part.
    #[must_use]
    pub fn get(&self, unit: Unit) -> &str {
        match unit {
            Unit::Year => &self.year,
            Unit::Month => &self.month,
            Unit::Day => &self.day,
            Unit::Week => &self.week,
            Unit::DayOfWeek => &self.day_of_week,
            Unit::Hour => &self.hour,
            Unit::Minute => &self.minute,
        }
    }

    /// Sets the text of a part.
    pub fn set(&mut self, unit: Unit, text: String) {
        *match unit {
            Unit::Year => &mut self.year,
            Unit::Month => &mut self.month,
            Unit::Day => &mut self.day,
            Unit::Week => &mut self.week,
            Unit::DayOfWeek => &mut self.day_of_week,
            Unit::Hour => &mut self.hour,
            Unit::Minute => &mut self.minute,
        } = text;
    }

    /// The minute of one instant, and no other.
    #[must_use]
    pub fn once(at: Timestamp, zone: &TimeZone) -> Self {
        let local = at.to_zoned(zone.clone());
        Self {
            year: local.year().to_string(),
            month: local.month().to_string(),
            day: local.day().to_string(),
            week: String::new(),
            day_of_week: String::new(),
            hour: local.hour().to_string(),
            minute: local.minute().to_string(),
        }
    }
}

/// A read expression.
#[derive(Debug, Clone)]
pub struct Calendar {
    sets: [Set; 7],
}

/// The calendar repeats after so many years.
const CYCLE_YEARS: i16 = 400;

impl Calendar {
    /// Reads the seven texts (rule: `tree/schedule-expressions`).
    ///
    /// # Errors
    /// One problem for each part that cannot be read, named after it; one of `minute` when all are
    /// empty.
    pub fn parse(times: &Times) -> Result<Self, Vec<Problem>> {
        let finest = Unit::ALL.into_iter().rfind(|&unit| !times.get(unit).is_empty());
        let Some(finest) = finest else {
            let message = message!("schedule.no_time");
            return Err(vec![Problem { at: Unit::Minute.name().into(), message }]);
        };
        let mut problems = Vec::new();
        let sets = Unit::ALL.map(|unit| {
            let text = times.get(unit);
            if text.is_empty() {
                let counts_as_all = unit < finest || matches!(unit, Unit::Week | Unit::DayOfWeek);
                return if counts_as_all { Set::all(unit) } else { Set::smallest(unit) };
            }
            Set::parse(unit, text).unwrap_or_else(|message| {
                problems.push(Problem { at: unit.name().into(), message });
                Set::all(unit)
            })
        });
        if problems.is_empty() { Ok(Self { sets }) } else { Err(problems) }
    }

    /// The first run after an instant, in the time of `zone`; `None` when there is none any more.
    ///
    /// A local time that the zone leaves out is passed over, one that it has twice runs at the
    /// first (rule: `tree/schedule-times`).
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let first = local.date();
        let last = first.year().saturating_add(CYCLE_YEARS).min(9999);
        let mut date = first;
        while date.year() <= last {
            if !self.has(Unit::Year, date.year()) {
                date = Date::new(date.year().checked_add(1)?, 1, 1).ok()?;
            } else if !self.has(Unit::Month, date.month().into()) {
                date = date.first_of_month().checked_add(1.month()).ok()?;
            } else {
                if self.has_date(date)
                    && let Some(found) = self.next_on(date, after, zone)
                {
                    return Some(found);
                }
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    /// The coming runs, at most `count`.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, zone: &TimeZone, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after, zone), |&at| self.next(at, zone))
            .take(count)
            .collect()
    }

    fn next_on(&self, date: Date, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        for hour in (0..24).filter(|&hour| self.has(Unit::Hour, hour.into())) {
            for minute in (0..60).filter(|&minute| self.has(Unit::Minute, minute.into())) {
                let local = DateTime::from_parts(date, time(hour, minute, 0, 0));
                let ambiguous = zone.to_ambiguous_timestamp(local);
                let at = match ambiguous.offset() {
                    AmbiguousOffset::Gap { .. } => continue,
                    _ => ambiguous.earlier().ok()?,
                };
                if at > after {
                    return Some(at);
                }
            }
        }
        None
    }

    fn has_date(&self, date: Date) -> bool {
        let weekday = date.weekday().to_monday_zero_offset();
        self.has(Unit::DayOfWeek, weekday.into())
            && self.has(Unit::Week, date.iso_week_date().week().into())
            && (self.has(Unit::Day, date.day().into())
                || self.set(Unit::Day).days.iter().any(|day| is_day(*day, date)))
    }

    fn set(&self, unit: Unit) -> &Set {
        &self.sets[unit as usize]
    }

    fn has(&self, unit: Unit, value: i16) -> bool {
        self.set(unit).has(value)
    }
}

fn is_day(day: Day, date: Date) -> bool {
    let weekday = date.weekday().to_monday_zero_offset();
    let left = date.days_in_month() - date.day();
    match day {
        Day::Last => left == 0,
        Day::LastWeekday(wanted) => weekday == wanted && left < 7,
        Day::Weekday(nth, wanted) => weekday == wanted && (date.day() - 1) / 7 + 1 == nth,
    }
}
