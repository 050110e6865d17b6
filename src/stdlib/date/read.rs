//! Text to dates.

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

/// What a text says; without an offset the zone is chosen elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) date: civil::Date,
    pub(super) time: civil::Time,
    pub(super) offset: Option<Offset>,
}

/// A number of exactly so many digits at the head of `text`, and what follows.
fn digits<N: std::str::FromStr>(text: &str, count: usize) -> Option<(N, &str)> {
    let (head, rest) = text.split_at_checked(count)?;
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((head.parse().ok()?, rest))
}

fn head_date(text: &str) -> Option<(civil::Date, &str)> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    Some((civil::Date::new(year, month, day).ok()?, rest))
}

/// `hh:mm[:ss[.f]]`, one to six digits of fraction.
fn head_time(text: &str) -> Option<(civil::Time, &str)> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (mut second, mut nanos) = (0, 0);
    if let Some((found, behind)) = rest.strip_prefix(':').and_then(|rest| digits(rest, 2)) {
        (second, rest) = (found, behind);
        if let Some(fraction) = rest.strip_prefix('.') {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=6).contains(&count) {
                return None;
            }
            let (number, behind): (i32, _) = digits(fraction, count)?;
            nanos = number * 10_i32.pow(9 - u32::try_from(count).ok()?);
            rest = behind;
        }
    }
    Some((civil::Time::new(hour, minute, second, nanos).ok()?, rest))
}

/// `Z`, `±hh:mm`, `±hhmm`.
pub(super) fn offset(text: &str) -> Option<Offset> {
    if text == "Z" {
        return Some(Offset::UTC);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, rest): (i32, _) = digits(text.get(1..)?, 2)?;
    let (minutes, rest): (i32, _) = digits(rest.strip_prefix(':').unwrap_or(rest), 2)?;
    if !rest.is_empty() || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// `YYYY-MM-DD[T ]hh:mm(:ss(.f{1,6})?)?(Z|±hh:?mm)?`
pub(super) fn datetime(text: &str) -> Option<Found> {
    let (date, rest) = head_date(text)?;
    let (time, rest) = head_time(rest.strip_prefix(['T', ' '])?)?;
    let found = if rest.is_empty() { None } else { Some(offset(rest)?) };
    Some(Found { date, time, offset: found })
}

pub(super) fn date(text: &str) -> Option<civil::Date> {
    head_date(text).filter(|(_, rest)| rest.is_empty()).map(|(date, _)| date)
}

pub(super) fn time(text: &str) -> Option<civil::Time> {
    head_time(text).filter(|(_, rest)| rest.is_empty()).map(|(time, _)| time)
}

/// By a format of `strptime`; what it leaves open is the first of January 1900, midnight.
pub(super) fn by_format(text: &str, format: &str) -> Option<Found> {
    let mut read = BrokenDownTime::parse(format, text).ok()?;
    if read.year().is_none() {
        read.set_year(Some(1900)).ok()?;
    }
    if read.month().is_none() && read.day_of_year().is_none() {
        read.set_month(Some(1)).ok()?;
    }
    if read.day().is_none() && read.day_of_year().is_none() {
        read.set_day(Some(1)).ok()?;
    }
    let date = read.to_date().ok()?;
    let time = read.to_time().unwrap_or(civil::Time::midnight());
    Some(Found { date, time, offset: read.offset() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date as day, time as clock};

    // rule: language/dates
    #[test]
    fn the_common_form_is_read() {
        let found = |date, time, seconds: Option<i32>| {
            Some(Found { date, time, offset: seconds.map(|s| Offset::from_seconds(s).unwrap()) })
        };
        let noon = clock(12, 30, 0, 0);
        let feb = day(2024, 2, 29);
        for (text, expected) in [
            ("2024-02-29 12:30", found(feb, noon, None)),
            ("2024-02-29T12:30:00Z", found(feb, noon, Some(0))),
            ("2024-02-29T12:30:00.5+0900", found(feb, clock(12, 30, 0, 500_000_000), Some(32400))),
            ("2024-02-29 12:30-03:30", found(feb, noon, Some(-12600))),
            ("2023-02-29 12:30", None),
            ("2024-02-29", None),
            ("2024-02-29 1:30", None),
            ("2024-02-29 12:30:00.1234567", None),
            ("2024-02-29 12:30 JST", None),
            ("２０２４-02-29 12:30", None),
        ] {
            assert_eq!(datetime(text), expected, "{text}");
        }
    }

    // rule: language/dates
    #[test]
    fn formats_of_strptime_are_read() {
        let found = by_format("03/Feb/2024:10:11:12 +0900", "%d/%b/%Y:%H:%M:%S %z").unwrap();
        assert_eq!((found.date, found.time), (day(2024, 2, 3), clock(10, 11, 12, 0)));
        assert_eq!(found.offset.map(Offset::seconds), Some(32400));
        assert_eq!(by_format("10:30", "%H:%M").map(|found| found.date), Some(day(1900, 1, 1)));
        assert_eq!(by_format("2024", "%Y").map(|found| found.date), Some(day(2024, 1, 1)));
        assert_eq!(by_format("x", "%Y"), None);
    }
}
