use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn times(parts: &[(&str, &str)]) -> Times {
    let mut times = Times::default();
    for (name, text) in parts {
        times.set(Unit::named(name).unwrap(), (*text).to_owned());
    }
    times
}

fn runs(parts: &[(&str, &str)], zone: &TimeZone, after: &str, count: usize) -> Vec<String> {
    let calendar = Calendar::parse(&times(parts)).unwrap();
    let after = after.parse::<DateTime>().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
    let found = calendar.upcoming(after, zone, count);
    found.iter().map(|at| zone.to_datetime(*at).strftime("%F %H:%M").to_string()).collect()
}

fn utc(parts: &[(&str, &str)], after: &str, count: usize) -> Vec<String> {
    runs(parts, &TimeZone::UTC, after, count)
}

// rule: tree/schedule-times
#[test]
fn the_worked_expressions_of_the_manual() {
    assert_eq!(
        utc(&[("month", "3"), ("day", "2nd tue,last thu")], "2031-01-01T00:00", 3),
        ["2031-03-11 00:00", "2031-03-27 00:00", "2032-03-09 00:00"]
    );
    let ten = [("year", "2031"), ("month", "1,7"), ("day", "5-9"), ("hour", "6"), ("minute", "45")];
    let found = utc(&ten, "2030-01-01T00:00", 20);
    assert_eq!(found.len(), 10);
    assert_eq!((found[0].as_str(), found[9].as_str()), ("2031-01-05 06:45", "2031-07-09 06:45"));
    assert_eq!(
        utc(&[("minute", "*/15")], "2031-07-04T09:05", 3),
        ["2031-07-04 09:15", "2031-07-04 09:30", "2031-07-04 09:45"]
    );
    assert_eq!(
        utc(&[("day", "last"), ("hour", "23"), ("minute", "50")], "2032-02-01T00:00", 2),
        ["2032-02-29 23:50", "2032-03-31 23:50"]
    );
}

// rule: tree/schedule-times
#[test]
fn empty_texts_count_by_how_fine_they_are() {
    assert_eq!(
        utc(&[("year", "*")], "2031-07-04T09:05", 2),
        ["2032-01-01 00:00", "2033-01-01 00:00"]
    );
    assert_eq!(
        utc(&[("day_of_week", "mon-fri"), ("hour", "*")], "2031-07-04T22:30", 3),
        ["2031-07-04 23:00", "2031-07-07 00:00", "2031-07-07 01:00"]
    );
    assert_eq!(
        utc(&[("hour", "0"), ("minute", "0")], "2031-07-04T09:05", 1),
        ["2031-07-05 00:00"],
        "0 is not empty"
    );
    assert_eq!(
        utc(&[("week", "1")], "2031-07-04T00:00", 2),
        ["2031-12-29 00:00", "2031-12-30 00:00"]
    );
    assert_eq!(
        utc(&[("day", "13"), ("day_of_week", "fri")], "2031-01-01T00:00", 2),
        ["2031-06-13 00:00", "2032-02-13 00:00"],
        "all of them must fit"
    );
    assert_eq!(
        utc(&[("day", "5th sun"), ("month", "feb")], "2031-01-01T00:00", 1),
        ["2032-02-29 00:00"]
    );
    assert!(utc(&[("month", "2"), ("day", "30")], "2031-01-01T00:00", 1).is_empty());
    assert!(utc(&[("year", "1999")], "2031-01-01T00:00", 1).is_empty());
    assert!(utc(&[("year", "2031"), ("month", "7")], "2031-07-01T00:00", 1).is_empty());
}

// rule: tree/schedule-times
#[test]
fn summer_time_leaves_out_and_does_not_repeat() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let parts = [("hour", "2"), ("minute", "30")];
    // 30 March 2031: 02:00 to 03:00 is not there; 26 October: 02:00 to 03:00 is there twice.
    assert_eq!(
        runs(&parts, &zone, "2031-03-29T12:00", 2),
        ["2031-03-31 02:30", "2031-04-01 02:30"]
    );
    assert_eq!(
        runs(&parts, &zone, "2031-10-25T12:00", 2),
        ["2031-10-26 02:30", "2031-10-27 02:30"]
    );
    let half = [("minute", "0,30")];
    assert_eq!(
        runs(&half, &zone, "2031-10-26T01:45", 4),
        ["2031-10-26 02:00", "2031-10-26 02:30", "2031-10-26 03:00", "2031-10-26 03:30"]
    );
}

// rule: tree/schedule-expressions
#[test]
fn every_broken_rule_names_its_text() {
    for (unit, text, key) in [
        ("minute", "60", "schedule.out_of_range"),
        ("hour", "24", "schedule.out_of_range"),
        ("hour", "99999999", "schedule.out_of_range"),
        ("month", "0", "schedule.out_of_range"),
        ("day", "32", "schedule.out_of_range"),
        ("week", "54", "schedule.out_of_range"),
        ("day_of_week", "7", "schedule.out_of_range"),
        ("year", "31", "schedule.out_of_range"),
        ("day_of_week", "fri-mon", "schedule.reversed"),
        ("minute", "30-10", "schedule.reversed"),
        ("minute", "*/0", "schedule.step_zero"),
        ("minute", "1, 2", "schedule.bad_form"),
        ("minute", "1 -2", "schedule.bad_form"),
        ("minute", "", "schedule.no_time"),
        ("minute", ",", "schedule.bad_form"),
        ("minute", "5/2", "schedule.bad_form"),
        ("minute", "-1", "schedule.bad_form"),
        ("minute", "x", "schedule.bad_form"),
        ("hour", "mon", "schedule.bad_form"),
        ("hour", "last", "schedule.bad_form"),
        ("day", "6th mon", "schedule.bad_form"),
        ("day", "1st  mon", "schedule.bad_form"),
        ("day", "last noday", "schedule.bad_form"),
        ("day_of_week", "1st mon", "schedule.bad_form"),
    ] {
        let problems = Calendar::parse(&times(&[(unit, text)])).unwrap_err();
        assert_eq!(
            (problems[0].at.as_str(), problems[0].message.key),
            (unit, key),
            "{unit} {text}"
        );
    }
    let long = "1,".repeat(600);
    assert!(Calendar::parse(&times(&[("hour", long.as_str())])).is_err());
    for (unit, text) in [
        ("month", "JAN-Mar,12"),
        ("day_of_week", "Mon,wed-fri/2,6"),
        ("day", "*/5,LAST Fri,1ST mon,31"),
        ("year", "2031-2040/3"),
        ("week", "53"),
        ("hour", "00"),
    ] {
        assert!(Calendar::parse(&times(&[(unit, text)])).is_ok(), "{unit} {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // rule: tree/schedule-times
    #[test]
    fn the_next_run_is_the_first_minute_that_fits(
        hour in "[0-9]|1[0-9]|\\*|\\*/5|3-9/2",
        minute in "[0-9]|[1-5][0-9]|\\*/7|10-40/11",
        day in "|[1-9]|last|2nd tue|last sun|\\*/6",
        dow in "|mon|1-3|sun",
        start in 0_i64..40_000_000,
    ) {
        let parts = [("hour", hour.as_str()), ("minute", minute.as_str()), ("day", day.as_str()),
            ("day_of_week", dow.as_str())];
        let calendar = Calendar::parse(&times(&parts)).unwrap();
        let after = Timestamp::from_second(1_900_000_000 + start).unwrap();
        let zone = TimeZone::UTC;
        let fits = |at: Timestamp| {
            let local = zone.to_datetime(at);
            calendar.has_date(local.date())
                && calendar.has(Unit::Hour, local.hour().into())
                && calendar.has(Unit::Minute, local.minute().into())
        };
        // By minutes for two days, whatever the calculation says.
        let first = (after.as_second() / 60 + 1) * 60;
        let slow = (0..2880)
            .map(|step| Timestamp::from_second(first + step * 60).unwrap())
            .find(|at| fits(*at));
        let quick = calendar.next(after, &zone);
        match slow {
            Some(at) => prop_assert_eq!(quick, Some(at)),
            None => prop_assert!(quick.is_none_or(|at| fits(at) && at.as_second() >= first + 2880 * 60)),
        }
    }

    // rule: tree/schedule-expressions
    #[test]
    fn no_text_breaks_the_reader(texts in prop::collection::vec("[0-9a-z*/, -]{0,12}|\\PC{0,6}", 7)) {
        let mut times = Times::default();
        for (unit, text) in Unit::ALL.into_iter().zip(texts) {
            times.set(unit, text);
        }
        if let Ok(calendar) = Calendar::parse(&times) {
            let after = Timestamp::from_second(1_900_000_000).unwrap();
            prop_assert!(calendar.next(after, &TimeZone::UTC).is_none_or(|at| at > after));
        }
    }
}
