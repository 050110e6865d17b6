//! Times in words: `tomorrow`, `3 hours ago`, `in 2 weeks`, `+1 day` (decision C-65).

use jiff::{Span, Zoned};

/// The time `text` means, seen from `now`.
pub(super) fn read(text: &str, now: &Zoned) -> Option<Zoned> {
    let text = text.trim().to_ascii_lowercase();
    let midnight =
        |days: i64| now.checked_add(Span::new().try_days(days).ok()?).ok()?.start_of_day().ok();
    match text.as_str() {
        "now" => return Some(now.clone()),
        "today" => return midnight(0),
        "tomorrow" => return midnight(1),
        "yesterday" => return midnight(-1),
        _ => {}
    }
    let (sign, words) = if let Some(words) = text.strip_suffix(" ago") {
        (-1, words)
    } else if let Some(words) = text.strip_prefix("in ").or_else(|| text.strip_prefix('+')) {
        (1, words)
    } else {
        (-1, text.strip_prefix('-')?)
    };
    let mut words = words.split_ascii_whitespace();
    let (count, unit) = (words.next()?, words.next()?);
    if words.next().is_some() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count = sign * count.parse::<i64>().ok()?;
    let span = Span::new();
    let span = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => span.try_seconds(count),
        "minute" => span.try_minutes(count),
        "hour" => span.try_hours(count),
        "day" => span.try_days(count),
        "week" => span.try_weeks(count),
        "month" => span.try_months(count),
        "year" => span.try_years(count),
        _ => return None,
    };
    now.checked_add(span.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    // rule: language/dates, [C-65]
    #[test]
    fn phrases_count_from_now() {
        let now = date(2024, 1, 31).at(10, 0, 0, 0).in_tz("UTC").unwrap();
        for (text, expected) in [
            ("now", "2024-01-31T10:00:00"),
            ("Today", "2024-01-31T00:00:00"),
            ("tomorrow", "2024-02-01T00:00:00"),
            ("yesterday", "2024-01-30T00:00:00"),
            ("3 hours ago", "2024-01-31T07:00:00"),
            ("in 1 month", "2024-02-29T10:00:00"),
            ("+2 weeks", "2024-02-14T10:00:00"),
            ("-90 minutes", "2024-01-31T08:30:00"),
            ("- 1 year", "2023-01-31T10:00:00"),
        ] {
            let found = read(text, &now).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found.datetime().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "soon",
            "3 hours",
            "in 1.5 days",
            "in 99999999999999999999 days",
            "in 9999999 years",
        ] {
            assert_eq!(read(text, &now), None, "{text}");
        }
    }
}
