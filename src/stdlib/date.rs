//! Dates and times (rule: language/dates).

use jiff::Zoned;
use jiff::civil;
use jiff::tz::TimeZone;

use super::argument::{At, text, text_or_null};
use super::{Functions, Methods, Properties, raise};
use crate::engine::vm::{Context, Raise, Type, Value};

mod phrase;
mod print;
mod read;

pub(super) use print::iso_with_offset;

pub(super) const FUNCTIONS: Functions = &[
    ("now", now),
    ("datetime", datetime),
    ("date", date),
    ("time", time),
    ("timedelta", timedelta),
];

pub(super) const METHODS: Methods = &[
    (Type::Datetime, "format", format),
    (Type::Datetime, "isoformat", isoformat),
    (Type::Date, "format", format),
    (Type::Time, "format", format),
];

pub(super) const PROPERTIES: Properties = &[
    (Type::Datetime, "year", |ctx, of| day(ctx, of, |date| i64::from(date.year()))),
    (Type::Datetime, "month", |ctx, of| day(ctx, of, |date| i64::from(date.month()))),
    (Type::Datetime, "day", |ctx, of| day(ctx, of, |date| i64::from(date.day()))),
    (Type::Datetime, "weekday", |ctx, of| day(ctx, of, weekday)),
    (Type::Datetime, "hour", |ctx, of| clock(ctx, of, |time| i64::from(time.hour()))),
    (Type::Datetime, "minute", |ctx, of| clock(ctx, of, |time| i64::from(time.minute()))),
    (Type::Datetime, "second", |ctx, of| clock(ctx, of, |time| i64::from(time.second()))),
    (Type::Datetime, "date", |ctx, of| Ok(parts(ctx, of).date.map_or(Value::Null, Value::Date))),
    (Type::Datetime, "time", |ctx, of| Ok(parts(ctx, of).time.map_or(Value::Null, Value::Time))),
    (Type::Date, "year", |ctx, of| day(ctx, of, |date| i64::from(date.year()))),
    (Type::Date, "month", |ctx, of| day(ctx, of, |date| i64::from(date.month()))),
    (Type::Date, "day", |ctx, of| day(ctx, of, |date| i64::from(date.day()))),
    (Type::Date, "weekday", |ctx, of| day(ctx, of, weekday)),
    (Type::Time, "hour", |ctx, of| clock(ctx, of, |time| i64::from(time.hour()))),
    (Type::Time, "minute", |ctx, of| clock(ctx, of, |time| i64::from(time.minute()))),
    (Type::Time, "second", |ctx, of| clock(ctx, of, |time| i64::from(time.second()))),
    (Type::Timedelta, "days", |_, of| Ok(Value::Int(micros(of).div_euclid(DAY)))),
    (Type::Timedelta, "seconds", |_, of| Ok(Value::Int(micros(of).rem_euclid(DAY) / SECOND))),
    (Type::Timedelta, "microseconds", |_, of| Ok(Value::Int(micros(of).rem_euclid(SECOND)))),
    (Type::Timedelta, "total_seconds", |_, of| Ok(total_seconds(micros(of)))),
];

/// In microseconds.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A value taken apart.
#[derive(Debug, Clone, Default)]
struct Parts {
    date: Option<civil::Date>,
    time: Option<civil::Time>,
    zoned: Option<Zoned>,
}

fn parts(ctx: &Context<'_>, value: Value) -> Parts {
    match value {
        Value::Date(date) => Parts { date: Some(date), ..Parts::default() },
        Value::Time(time) => Parts { time: Some(time), ..Parts::default() },
        _ => match ctx.heap.as_datetime(value) {
            Some(at) => {
                Parts { date: Some(at.date()), time: Some(at.time()), zoned: Some(at.clone()) }
            }
            None => Parts::default(),
        },
    }
}

fn day(ctx: &Context<'_>, of: Value, get: fn(civil::Date) -> i64) -> Result<Value, Raise> {
    Ok(parts(ctx, of).date.map_or(Value::Null, |date| Value::Int(get(date))))
}

fn clock(ctx: &Context<'_>, of: Value, get: fn(civil::Time) -> i64) -> Result<Value, Raise> {
    Ok(parts(ctx, of).time.map_or(Value::Null, |time| Value::Int(get(time))))
}

/// Monday is 0.
fn weekday(date: civil::Date) -> i64 {
    i64::from(date.weekday().to_monday_zero_offset())
}

const fn micros(of: Value) -> i64 {
    match of {
        Value::Timedelta(micros) => micros,
        _ => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds as a Float are meant")]
fn total_seconds(micros: i64) -> Value {
    Value::Float(micros as f64 / 1e6)
}

fn out_of_range<T>() -> Result<T, Raise> {
    raise("date value out of range")
}

/// The zone of that name; the process's own without one.
fn zone(ctx: &Context<'_>, name: Option<&str>) -> Result<TimeZone, Raise> {
    match name {
        None => Ok(ctx.heap.zone.clone()),
        Some("UTC" | "utc" | "Z") => Ok(TimeZone::UTC),
        Some(name) => match (TimeZone::get(name), read::offset(name)) {
            (Ok(zone), _) => Ok(zone),
            (_, Some(offset)) => Ok(TimeZone::fixed(offset)),
            _ => raise(format!("unknown time zone: {name}")),
        },
    }
}

/// The time, to the microsecond, in the process's zone.
fn present(ctx: &mut Context<'_>) -> Zoned {
    let now = ctx.host.now();
    let now = jiff::Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    now.to_zoned(ctx.heap.zone.clone())
}

fn now(ctx: &mut Context<'_>, _: &[Value]) -> Result<Value, Raise> {
    let now = present(ctx);
    Ok(ctx.heap.datetime(now))
}

/// A moment written in any form that `datetime()` reads; without an offset in the zone of `now`.
#[must_use]
pub fn moment(text: &str, now: &Zoned) -> Option<Zoned> {
    match read::datetime(text.trim()) {
        Some(read::Found { date, time, offset }) => {
            let zone = offset.map_or_else(|| now.time_zone().clone(), TimeZone::fixed);
            date.to_datetime(time).to_zoned(zone).ok()
        }
        None => phrase::read(text, now),
    }
}

fn datetime(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let name = text_or_null(ctx, At("datetime", "zone"), args[2])?;
    let zone = zone(ctx, name.as_deref())?;
    let combine = |date: civil::Date, time: civil::Time, zone: TimeZone| {
        date.to_datetime(time).to_zoned(zone).map_err(|_| Raise::new("date value out of range"))
    };
    let made = match args[0] {
        Value::Datetime(_) => match parts(ctx, args[0]).zoned {
            Some(at) if name.is_some() => at.with_time_zone(zone),
            Some(at) => at,
            None => return out_of_range(),
        },
        Value::Date(date) => match args[1] {
            Value::Time(time) => combine(date, time, zone)?,
            Value::Null | Value::Absent => combine(date, civil::Time::midnight(), zone)?,
            other => return At("datetime", "dt_fmt_or_time").wrong(other),
        },
        Value::Str(_) => {
            let source = text(ctx, At("datetime", "dt_str_or_date"), args[0])?;
            let format = text_or_null(ctx, At("datetime", "dt_fmt_or_time"), args[1])?;
            let found = match format {
                Some(format) => read::by_format(&source, &format),
                None => read::datetime(source.trim()),
            };
            match found {
                Some(read::Found { date, time, offset: Some(offset) }) => {
                    combine(date, time, TimeZone::fixed(offset))?
                }
                Some(read::Found { date, time, offset: None }) => combine(date, time, zone)?,
                None => {
                    let now = present(ctx).with_time_zone(zone);
                    match phrase::read(&source, &now).filter(|_| args[1].is_null()) {
                        Some(at) => at,
                        None => return Err(Raise::convert(&source, Type::Datetime)),
                    }
                }
            }
        }
        other => return At("datetime", "dt_str_or_date").wrong(other),
    };
    Ok(ctx.heap.datetime(made))
}

fn date(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    match args[0] {
        Value::Date(_) => Ok(args[0]),
        Value::Datetime(_) => Ok(parts(ctx, args[0]).date.map_or(Value::Null, Value::Date)),
        _ => {
            let source = text(ctx, At("date", "date_str"), args[0])?;
            let found = match text_or_null(ctx, At("date", "dt_fmt"), args[1])? {
                Some(format) => read::by_format(&source, &format).map(|found| found.date),
                None => match read::date(source.trim()) {
                    Some(found) => Some(found),
                    None => phrase::read(&source, &present(ctx)).map(|at| at.date()),
                },
            };
            found.map(Value::Date).ok_or_else(|| Raise::convert(&source, Type::Date))
        }
    }
}

fn time(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    match args[0] {
        Value::Time(_) => Ok(args[0]),
        Value::Datetime(_) => Ok(parts(ctx, args[0]).time.map_or(Value::Null, Value::Time)),
        _ => {
            let source = text(ctx, At("time", "time_str"), args[0])?;
            let found = match text_or_null(ctx, At("time", "dt_fmt"), args[1])? {
                Some(format) => read::by_format(&source, &format).map(|found| found.time),
                None => match read::time(source.trim()) {
                    Some(found) => Some(found),
                    None => phrase::read(&source, &present(ctx)).map(|at| at.time()),
                },
            };
            found.map(Value::Time).ok_or_else(|| Raise::convert(&source, Type::Time))
        }
    }
}

fn timedelta(_: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let mut whole = 0_i128;
    let mut part = 0.0_f64;
    let units = [
        ("days", DAY),
        ("hours", 3600 * SECOND),
        ("minutes", 60 * SECOND),
        ("seconds", SECOND),
        ("microseconds", 1),
    ];
    for (value, (name, unit)) in args.iter().zip(units) {
        match value {
            Value::Int(number) => {
                whole = whole.saturating_add(i128::from(*number).saturating_mul(i128::from(unit)));
            }
            #[expect(clippy::cast_precision_loss, reason = "units are far below 2^53")]
            Value::Float(number) => part += number * unit as f64,
            other => return At("timedelta", name).wrong(*other),
        }
    }
    if !part.is_finite() || part.abs() > 9e18 {
        return out_of_range();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was looked at")]
    let sum = whole.saturating_add(part.round_ties_even() as i128);
    i64::try_from(sum).map(Value::Timedelta).or_else(|_| out_of_range())
}

fn format(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let format = text(ctx, At("format", "dt_fmt"), args[1])?;
    let made = print::by_format(&format, &parts(ctx, args[0]));
    Ok(ctx.heap.str(made))
}

fn isoformat(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let made = parts(ctx, args[0]).zoned.map(|at| print::iso_utc(&at)).unwrap_or_default();
    Ok(ctx.heap.str(made))
}
