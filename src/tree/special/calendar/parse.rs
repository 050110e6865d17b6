//! Reading one part of a schedule's expression (rule: `tree/schedule-expressions`).

use kompira_schema::error::Message;
use kompira_schema::message;

use super::Unit;

/// Characters of one part.
const TEXT_MAX: usize = 1024;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const ORDINALS: [&str; 5] = ["1st", "2nd", "3rd", "4th", "5th"];

/// A day that no number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// The last of the month.
    Last,
    /// The last such weekday of the month; Monday is 0.
    LastWeekday(i8),
    /// The n-th such weekday of the month.
    Weekday(i8, i8),
}

/// The values of one part.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// From, to, step.
    ranges: Vec<(i16, i16, i16)>,
    pub(super) days: Vec<Day>,
}

impl Set {
    pub(super) fn all(unit: Unit) -> Self {
        let (low, high) = unit.range();
        Self { ranges: vec![(low, high, 1)], days: Vec::new() }
    }

    pub(super) fn smallest(unit: Unit) -> Self {
        let (low, _) = unit.range();
        Self { ranges: vec![(low, low, 1)], days: Vec::new() }
    }

    pub(super) fn has(&self, value: i16) -> bool {
        self.ranges
            .iter()
            .any(|&(low, high, step)| (low..=high).contains(&value) && (value - low) % step == 0)
    }

    pub(super) fn parse(unit: Unit, text: &str) -> Result<Self, Message> {
        let length = text.chars().count();
        if length > TEXT_MAX {
            return Err(message!("schedule.too_long", count = length, max = TEXT_MAX));
        }
        let mut set = Self { ranges: Vec::new(), days: Vec::new() };
        for form in text.to_ascii_lowercase().split(',') {
            if let Some(day) = special_day(form).filter(|_| unit == Unit::Day) {
                set.days.push(day);
            } else {
                set.ranges.push(range(unit, form)?);
            }
        }
        Ok(set)
    }
}

fn special_day(form: &str) -> Option<Day> {
    if form == "last" {
        return Some(Day::Last);
    }
    let (which, weekday) = form.split_once(' ')?;
    let weekday = place(&WEEKDAYS, weekday)?;
    if which == "last" {
        return Some(Day::LastWeekday(weekday));
    }
    Some(Day::Weekday(place(&ORDINALS, which)? + 1, weekday))
}

fn place(words: &[&str], word: &str) -> Option<i8> {
    words.iter().position(|known| *known == word).and_then(|at| i8::try_from(at).ok())
}

fn range(unit: Unit, form: &str) -> Result<(i16, i16, i16), Message> {
    let (low, high) = unit.range();
    let unknown = || message!("schedule.bad_form", form = form);
    let (span, step) = match form.split_once('/') {
        Some((span, step)) => (span, Some(step)),
        None => (form, None),
    };
    let step = match step.map(digits) {
        None => 1,
        Some(Some(0)) => return Err(message!("schedule.step_zero", form = form)),
        Some(step) => step.ok_or_else(unknown)?,
    };
    if span == "*" {
        return Ok((low, high, step));
    }
    let value = |word: &str| -> Result<i16, Message> {
        let named: Option<i16> = match unit {
            Unit::Month => place(&MONTHS, word).map(|at| i16::from(at) + 1),
            Unit::DayOfWeek => place(&WEEKDAYS, word).map(i16::from),
            _ => None,
        };
        let value = named.or_else(|| digits(word)).ok_or_else(unknown)?;
        if !(low..=high).contains(&value) {
            let (low, high) = (i64::from(low), i64::from(high));
            return Err(message!("schedule.out_of_range", form = word, low = low, high = high));
        }
        Ok(value)
    };
    match span.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (value(first)?, value(last)?);
            if first > last {
                return Err(message!("schedule.reversed", form = form));
            }
            Ok((first, last, step))
        }
        // A step needs something to step through.
        None if form.contains('/') => Err(unknown()),
        None => value(span).map(|only| (only, only, 1)),
    }
}

/// A number of digits alone; one that is too large for any part is the largest there is.
fn digits(word: &str) -> Option<i16> {
    let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| word.parse().unwrap_or(i16::MAX))
}
