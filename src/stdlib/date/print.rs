//! Dates to text.

use std::fmt::Write as _;

use jiff::civil;
use jiff::{Timestamp, Zoned};

use super::Parts;

/// Longest text a format makes: a format must not ask for more than it is.
const TEXT_MAX: usize = 1 << 20;

/// `YYYY-MM-DDTHH:mm:ssZ`, the fraction dropped.
pub(super) fn iso_utc(at: &Zoned) -> String {
    let at = Timestamp::from_second(at.timestamp().as_microsecond().div_euclid(1_000_000))
        .unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `YYYY-MM-DDTHH:MM:SS[.ffffff]±HH:MM`
pub(in super::super) fn iso_with_offset(at: &Zoned) -> String {
    let seconds = at.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    let mut out = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let micros = at.subsec_nanosecond() / 1000;
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
    let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    out
}

const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// By a format of `strftime` in the C locale; what it does not know stays as it is.
pub(super) fn by_format(format: &str, parts: &Parts) -> String {
    let date = parts.date.unwrap_or(civil::Date::constant(1900, 1, 1));
    let time = parts.time.unwrap_or(civil::Time::midnight());
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if out.len() > TEXT_MAX {
            break;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(directive) => directive_text(&mut out, directive, date, time, parts),
            None => out.push('%'),
        }
    }
    out
}

fn directive_text(
    out: &mut String,
    directive: char,
    date: civil::Date,
    time: civil::Time,
    parts: &Parts,
) {
    let weekday = date.weekday().to_sunday_zero_offset();
    let of_year = date.day_of_year();
    let half = if time.hour() % 12 == 0 { 12 } else { time.hour() % 12 };
    let name = |names: &[&'static str], index: i8| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
    };
    let short = |text: &'static str| text.get(..3).unwrap_or_default();
    let month = name(&MONTHS, date.month() - 1);
    let day = name(&DAYS, weekday);
    let iso = date.iso_week_date();
    let _ = match directive {
        'Y' => write!(out, "{:04}", date.year()),
        'm' => write!(out, "{:02}", date.month()),
        'd' => write!(out, "{:02}", date.day()),
        'H' => write!(out, "{:02}", time.hour()),
        'M' => write!(out, "{:02}", time.minute()),
        'S' => write!(out, "{:02}", time.second()),
        'y' => write!(out, "{:02}", date.year().rem_euclid(100)),
        'a' => write!(out, "{}", short(day)),
        'A' => write!(out, "{day}"),
        'b' | 'h' => write!(out, "{}", short(month)),
        'B' => write!(out, "{month}"),
        'j' => write!(out, "{of_year:03}"),
        'p' => write!(out, "{}", if time.hour() < 12 { "AM" } else { "PM" }),
        'I' => write!(out, "{half:02}"),
        'e' => write!(out, "{:2}", date.day()),
        'f' => write!(out, "{:06}", time.subsec_nanosecond() / 1000),
        'u' => write!(out, "{}", date.weekday().to_monday_one_offset()),
        'w' => write!(out, "{weekday}"),
        'U' => write!(out, "{:02}", (of_year + 6 - i16::from(weekday)) / 7),
        'W' => write!(out, "{:02}", (of_year + 6 - i16::from((weekday + 6) % 7)) / 7),
        'V' => write!(out, "{:02}", iso.week()),
        'G' => write!(out, "{:04}", iso.year()),
        'D' | 'x' => {
            write!(out, "{:02}/{:02}/{:02}", date.month(), date.day(), date.year().rem_euclid(100))
        }
        'F' => write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
        'T' | 'X' => write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
        'R' => write!(out, "{:02}:{:02}", time.hour(), time.minute()),
        'c' => write!(
            out,
            "{} {} {:2} {:02}:{:02}:{:02} {:04}",
            short(day),
            short(month),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
            date.year()
        ),
        'z' => match &parts.zoned {
            Some(at) => {
                let seconds = at.offset().seconds();
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                write!(out, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
            }
            None => Ok(()),
        },
        'Z' => match &parts.zoned {
            Some(at) => write!(out, "{}", at.strftime("%Z")),
            None => Ok(()),
        },
        '%' => write!(out, "%"),
        other => write!(out, "%{other}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    // rule: language/dates
    #[test]
    fn every_directive_is_known() {
        let at = date(2024, 2, 3).to_datetime(time(15, 4, 5, 60_000)).in_tz("UTC").unwrap();
        let parts = Parts { date: Some(at.date()), time: Some(at.time()), zoned: Some(at) };
        for (format, expected) in [
            ("%Y/%m/%d %H:%M:%S", "2024/02/03 15:04:05"),
            ("%y %a %A %b %B %j", "24 Sat Saturday Feb February 034"),
            ("%p %I %e|%Z %z %f", "PM 03  3|UTC +0000 000060"),
            ("%u %w %U %W %V %G", "6 6 04 05 05 2024"),
            ("%c|%x|%X|%%", "Sat Feb  3 15:04:05 2024|02/03/24|15:04:05|%"),
            ("年%q%日%", "年%q%日%"),
        ] {
            assert_eq!(by_format(format, &parts), expected, "{format}");
        }
    }
}
