use super::super::time::*;
use super::now;
use jiff::tz::TimeZone;

// rule: objects/dates-and-times
#[test]
fn every_documented_form_of_a_datetime_is_read() {
    let tokyo = TimeZone::fixed(jiff::tz::offset(9));
    let read = |text: &str| parse_datetime(text, &tokyo).map(datetime_text);
    for (text, want) in [
        ("2031-07-04 09:05:00", "2031-07-04T00:05:00Z"),
        ("2031-07-04 09:05", "2031-07-04T00:05:00Z"),
        ("2031-07-04", "2031-07-03T15:00:00Z"),
        ("07/04/2031 09:05:00", "2031-07-04T00:05:00Z"),
        ("07/04/2031 09:05", "2031-07-04T00:05:00Z"),
        ("07/04/2031", "2031-07-03T15:00:00Z"),
        ("07/04/31 09:05:00", "2031-07-04T00:05:00Z"),
        ("07/04/31 09:05", "2031-07-04T00:05:00Z"),
        ("07/04/31", "2031-07-03T15:00:00Z"),
        ("07/04/69", "1969-07-03T15:00:00Z"),
        ("2031-07-04T09:05:00Z", "2031-07-04T09:05:00Z"),
        ("2031-07-04T09:05Z", "2031-07-04T09:05:00Z"),
        ("2031-07-04T09:05:00.25Z", "2031-07-04T09:05:00.250000Z"),
        ("2031-07-04T09:05:00.000001Z", "2031-07-04T09:05:00.000001Z"),
        ("2031-07-04T09:05:00+05:30", "2031-07-04T03:35:00Z"),
        ("2031-07-04 09:05:00 -0130", "2031-07-04T10:35:00Z"),
        ("2031-07-04T09:05:00", "2031-07-04T00:05:00Z"),
    ] {
        assert_eq!(read(text).as_deref(), Some(want), "{text}");
    }
    for bad in [
        "",
        "x",
        "2031",
        "2031-13-01",
        "2031-02-29",
        "2031-07-04T",
        "2031-07-04T9",
        "2031-07-04T24:00",
        "2031-07-04T09:05:00+5",
        "2031-07-04T09:05:00 JST",
        "2031-07-04x",
        "13/01/2031",
        "2031-07-04T09:05:00.Z",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

// rule: objects/dates-and-times
#[test]
fn dates_and_times_have_one_text() {
    assert_eq!(parse_date("2031-07-04").map(date_text).as_deref(), Some("2031-07-04"));
    assert_eq!(parse_date("07/04/2031"), None);
    assert_eq!(parse_time("09:05").map(time_text).as_deref(), Some("09:05:00"));
    assert_eq!(parse_time("9:05:06.5").map(time_text).as_deref(), Some("09:05:06.500000"));
    assert_eq!(parse_time("09:60"), None);
    assert_eq!(parse_time("09:05:00.1234567"), None);
}

// rule: objects/relative-times
#[test]
fn relative_times_count_from_now() {
    let at = |text: &str| parse_relative(text, &now()).map(|at| datetime_text(at.timestamp()));
    for (text, want) in [
        ("now", "2031-07-04T00:05:06Z"),
        ("today", "2031-07-03T15:00:00Z"),
        ("tomorrow", "2031-07-04T15:00:00Z"),
        ("Yesterday", "2031-07-02T15:00:00Z"),
        ("2 days ago", "2031-07-02T00:05:06Z"),
        ("in 1 hour", "2031-07-04T01:05:06Z"),
        ("+1 month", "2031-08-04T00:05:06Z"),
        ("-1 year", "2030-07-04T00:05:06Z"),
        ("+ 3 weeks", "2031-07-25T00:05:06Z"),
    ] {
        assert_eq!(at(text).as_deref(), Some(want), "{text}");
    }
    for bad in ["", "soon", "1 day", "+1", "+x days", "in 5000000000 days", "+4000000000 years"] {
        assert_eq!(at(bad), None, "{bad}");
    }
}
