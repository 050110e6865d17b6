//! Dates and times as text (rule: `objects/dates-and-times`).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, Zoned};

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`, no fraction when it is zero.
#[must_use]
pub fn datetime_text(at: Timestamp) -> String {
    let utc = at.to_zoned(TimeZone::UTC).datetime();
    format!("{}T{}Z", date_text(utc.date()), time_text(utc.time()))
}

/// `YYYY-MM-DD`.
#[must_use]
pub fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

/// `HH:MM:SS[.ffffff]`, no fraction when it is zero.
#[must_use]
pub fn time_text(at: Time) -> String {
    let micros = at.subsec_nanosecond() / 1_000;
    let mut text = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    if micros != 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    text
}

/// Takes up to `most` digits (at least `least`) off the front of `text`.
fn digits(text: &mut &str, least: usize, most: usize) -> Option<i32> {
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if end < least {
        return None;
    }
    let (number, rest) = text.split_at(end);
    *text = rest;
    number.parse().ok()
}

fn skip(text: &mut &str, c: char) -> Option<()> {
    *text = text.strip_prefix(c)?;
    Some(())
}

fn small<T: TryFrom<i32>>(number: i32) -> Option<T> {
    T::try_from(number).ok()
}

/// `YYYY-MM-DD`, `MM/DD/YYYY` or `MM/DD/YY` (69 and above are 19YY) off the front of `text`.
fn take_date(text: &mut &str) -> Option<Date> {
    let (year, month, day);
    if text.as_bytes().get(4) == Some(&b'-') {
        year = digits(text, 4, 4)?;
        skip(text, '-')?;
        month = digits(text, 1, 2)?;
        skip(text, '-')?;
        day = digits(text, 1, 2)?;
    } else {
        month = digits(text, 1, 2)?;
        skip(text, '/')?;
        day = digits(text, 1, 2)?;
        skip(text, '/')?;
        let before = text.len();
        let number = digits(text, 2, 4)?;
        year = match before - text.len() {
            4 => number,
            2 if number >= 69 => 1900 + number,
            2 => 2000 + number,
            _ => return None,
        };
    }
    Date::new(small(year)?, small(month)?, small(day)?).ok()
}

/// `HH:MM[:SS[.f{1,6}]]` off the front of `text`.
fn take_time(text: &mut &str) -> Option<Time> {
    let hour = digits(text, 1, 2)?;
    skip(text, ':')?;
    let minute = digits(text, 2, 2)?;
    let (mut second, mut nanos) = (0, 0);
    if skip(text, ':').is_some() {
        second = digits(text, 2, 2)?;
        if skip(text, '.').is_some() {
            let before = text.len();
            let fraction = digits(text, 1, 6)?;
            let places = u32::try_from(before - text.len()).ok()?;
            nanos = fraction * 10_i32.pow(9 - places);
        }
    }
    Time::new(small(hour)?, small(minute)?, small(second)?, nanos).ok()
}

/// `Z` or `±hh[:]mm`, all of `text`; `None` inside when there is no zone.
fn zone(text: &str) -> Option<Option<Offset>> {
    let mut rest = text.trim_start_matches(' ');
    if rest.is_empty() {
        return Some(None);
    }
    if matches!(rest, "Z" | "z") {
        return Some(Some(Offset::UTC));
    }
    let sign = match rest.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    rest = rest.get(1..)?;
    let hours = digits(&mut rest, 2, 2)?;
    let _colon = skip(&mut rest, ':');
    let minutes = digits(&mut rest, 2, 2)?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(Some)
}

/// An instant: ISO 8601 or one of the nine forms of input fields. Without a zone it is local to
/// `here`; in a gap or fold of local time the usual choice is made.
#[must_use]
pub fn parse_datetime(text: &str, here: &TimeZone) -> Option<Timestamp> {
    let mut rest = text.trim();
    let date = take_date(&mut rest)?;
    let mut at = Time::midnight();
    if !rest.is_empty() {
        rest = rest.strip_prefix(['T', 't', ' '])?;
        at = take_time(&mut rest)?;
    }
    let local = DateTime::from_parts(date, at);
    match zone(rest)? {
        Some(offset) => offset.to_timestamp(local).ok(),
        None => instant(local, here),
    }
}

/// The instant of a local time.
#[must_use]
pub fn instant(local: DateTime, here: &TimeZone) -> Option<Timestamp> {
    here.to_ambiguous_timestamp(local).compatible().ok()
}

/// `YYYY-MM-DD`.
#[must_use]
pub fn parse_date(text: &str) -> Option<Date> {
    let mut rest = text.trim();
    if rest.contains('/') {
        return None;
    }
    let date = take_date(&mut rest)?;
    rest.is_empty().then_some(date)
}

/// `HH:MM[:SS[.ffffff]]`.
#[must_use]
pub fn parse_time(text: &str) -> Option<Time> {
    let mut rest = text.trim();
    let at = take_time(&mut rest)?;
    rest.is_empty().then_some(at)
}

/// `now`, `today`, `tomorrow`, `yesterday`, `N UNIT ago`, `in N UNIT`, `[+-]N UNIT` with UNIT
/// `second minute hour day week month year`, plural or not (rule: `objects/relative-times`).
#[must_use]
pub fn parse_relative(text: &str, now: &Zoned) -> Option<Zoned> {
    let text = text.trim().to_ascii_lowercase();
    let midnight =
        |days: i64| now.start_of_day().ok()?.checked_add(Span::new().try_days(days).ok()?).ok();
    match text.as_str() {
        "now" => return Some(now.clone()),
        "today" => return midnight(0),
        "tomorrow" => return midnight(1),
        "yesterday" => return midnight(-1),
        _ => {}
    }
    let (sign, rest) = if let Some(rest) = text.strip_suffix(" ago") {
        (-1, rest)
    } else if let Some(rest) = text.strip_prefix("in ") {
        (1, rest)
    } else if let Some(rest) = text.strip_prefix('+') {
        (1, rest)
    } else if let Some(rest) = text.strip_prefix('-') {
        (-1, rest)
    } else {
        return None;
    };
    let (number, unit) = rest.trim().split_once(' ')?;
    let number = sign * i64::from(number.parse::<u32>().ok()?);
    let unit = unit.trim();
    let span = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => Span::new().try_seconds(number),
        "minute" => Span::new().try_minutes(number),
        "hour" => Span::new().try_hours(number),
        "day" => Span::new().try_days(number),
        "week" => Span::new().try_weeks(number),
        "month" => Span::new().try_months(number),
        "year" => Span::new().try_years(number),
        _ => return None,
    };
    now.checked_add(span.ok()?).ok()
}

/// Cuts an instant to the microsecond, which is what is stored.
#[must_use]
pub fn to_micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}
