//! Filters and orders over what a list of special objects shows (rule: http/filters).
//!
//! Stored objects are found by the tree itself; this is for processes, users and groups, whose
//! attributes are few and in memory.

use std::cmp::Ordering;

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use kompira_schema::validate::time;
use serde_json::Value as Json;

use super::answer::{self, Failure};
use super::object::{Want, paged};
use super::query::Query;
use super::route::{Answer, Ask};

/// Of what kind an attribute is; the kind decides its lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// Text: all lookups of text.
    Text,
    /// A number: equal and compared.
    Number,
    /// An instant: equal and compared.
    Time,
    /// A path, a name, a truth value, a word: equal only.
    Exact,
    /// True or false: equal only.
    Truth,
    /// A word out of these that may be repeated: one of them.
    AnyOf(&'static [&'static str]),
    /// A path that may be absent: equal, and `isnull`.
    Nullable,
    /// A part of a time expression: equal, and contained.
    Part,
}

impl Attribute {
    fn lookups(self) -> &'static str {
        match self {
            Self::Text => {
                "exact, contains, startswith, endswith, regex, and each of them with an i in front"
            }
            Self::Number | Self::Time => "exact, gt, gte, lt, lte",
            Self::Exact | Self::Truth | Self::AnyOf(_) => "exact",
            Self::Nullable => "exact, isnull",
            Self::Part => "exact, contains",
        }
    }
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    attribute: String,
    lookup: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Text(TextTest, String, bool),
    Pattern(regex::Regex),
    Compare(Comparison, Operand),
    Same(Json),
    OneOf(Vec<String>),
    Null(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextTest {
    Equal,
    Contains,
    Starts,
    Ends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Number(f64),
    Time(jiff::Timestamp),
}

/// The conditions of a query; attributes are looked up in `table`, times without a zone are those of
/// `zone`.
///
/// # Errors
/// A problem under the key that is unknown or does not read.
pub(super) fn conditions(
    query: &Query,
    table: &[(&str, Attribute)],
    zone: &TimeZone,
) -> Result<Vec<Condition>, Failure> {
    let mut found: Vec<Condition> = Vec::new();
    for (key, value) in query.filters() {
        let (name, lookup) = key.split_once("__").unwrap_or((key, "exact"));
        let attribute = table.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let attribute = attribute.ok_or_else(|| Failure::field(key, unknown(name, table)))?;
        let test = test(key, attribute, lookup, value, zone)?;
        if let Test::OneOf(word) = &test
            && let Some(Test::OneOf(words)) =
                found.iter_mut().find(|c| c.attribute == name).map(|c| &mut c.test)
        {
            words.extend_from_slice(word);
            continue;
        }
        // The same key again: the last one counts.
        found.retain(|condition| condition.attribute != name || condition.lookup != lookup);
        found.push(Condition { attribute: name.to_owned(), lookup: lookup.to_owned(), test });
    }
    Ok(found)
}

fn test(
    key: &str,
    attribute: Attribute,
    lookup: &str,
    value: &str,
    zone: &TimeZone,
) -> Result<Test, Failure> {
    let no_lookup = || {
        let takes = attribute.lookups();
        Failure::field(key, format!("There is no lookup '{lookup}' here; it takes {takes}."))
    };
    Ok(match (attribute, lookup) {
        (Attribute::AnyOf(words), "exact") => {
            if !words.contains(&value) {
                return Err(Failure::field(
                    key,
                    format!("'{value}' is not one of {}.", words.join(", ")),
                ));
            }
            Test::OneOf(vec![value.to_owned()])
        }
        (Attribute::Truth, "exact") => Test::Same(Json::Bool(truth(key, value)?)),
        (Attribute::Nullable, "isnull") => Test::Null(truth(key, value)?),
        (Attribute::Exact | Attribute::Nullable, "exact") => Test::Same(Json::from(value)),
        (Attribute::Part, "exact") => Test::Text(TextTest::Equal, value.to_owned(), false),
        (Attribute::Part, "contains") => Test::Text(TextTest::Contains, value.to_owned(), false),
        (Attribute::Text, lookup) => {
            let (lookup, ignore_case) = match lookup.strip_prefix('i') {
                Some(rest) if rest != "n" => (rest, true),
                _ => (lookup, false),
            };
            let how = match lookup {
                "exact" => TextTest::Equal,
                "contains" => TextTest::Contains,
                "startswith" => TextTest::Starts,
                "endswith" => TextTest::Ends,
                "regex" => {
                    let pattern = regex::RegexBuilder::new(value)
                        .case_insensitive(ignore_case)
                        .size_limit(1 << 20)
                        .build();
                    let pattern = pattern
                        .map_err(|_| Failure::field(key, no_value(value, "regular expression")))?;
                    return Ok(Test::Pattern(pattern));
                }
                _ => return Err(no_lookup()),
            };
            let text = if ignore_case { value.to_lowercase() } else { value.to_owned() };
            Test::Text(how, text, ignore_case)
        }
        (Attribute::Number | Attribute::Time, lookup) => {
            let how = match lookup {
                "exact" => Comparison::Equal,
                "gt" => Comparison::Greater,
                "gte" => Comparison::GreaterOrEqual,
                "lt" => Comparison::Less,
                "lte" => Comparison::LessOrEqual,
                _ => return Err(no_lookup()),
            };
            let operand = if attribute == Attribute::Time {
                instant(key, value, zone)?
            } else {
                let number = value.parse().ok().filter(|number: &f64| number.is_finite());
                let wanted = "number; write one such as 42";
                Operand::Number(number.ok_or_else(|| Failure::field(key, no_value(value, wanted)))?)
            };
            Test::Compare(how, operand)
        }
        _ => return Err(no_lookup()),
    })
}

fn no_value(value: &str, wanted: &str) -> String {
    let shown: String = value.chars().take(80).collect();
    format!("'{shown}' is no {wanted}")
}

fn unknown(name: &str, table: &[(&str, Attribute)]) -> String {
    let known: Vec<_> = table.iter().map(|(known, _)| *known).collect();
    format!("There is no attribute '{name}' to filter by; take one of {}.", known.join(", "))
}

fn instant(key: &str, value: &str, zone: &TimeZone) -> Result<Operand, Failure> {
    time::parse_datetime(value, zone).map(Operand::Time).ok_or_else(|| {
        let wanted = "date with time; write YYYY-MM-DDTHH:MM:SSZ";
        Failure::field(key, no_value(value, wanted))
    })
}

/// `true/True/1` and `false/False/0`.
pub(super) fn truth(key: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "true" | "True" | "1" => Ok(true),
        "false" | "False" | "0" => Ok(false),
        _ => Err(Failure::field(key, no_value(value, "truth value; write true or false"))),
    }
}

impl Condition {
    /// Name of the attribute.
    pub(super) fn attribute(&self) -> &str {
        &self.attribute
    }

    /// Whether the attribute's value satisfies the condition.
    pub(super) fn holds(&self, value: &Json) -> bool {
        match &self.test {
            Test::Text(how, wanted, ignore_case) => value.as_str().is_some_and(|text| {
                let text = if *ignore_case { text.to_lowercase() } else { text.to_owned() };
                match how {
                    TextTest::Equal => text == *wanted,
                    TextTest::Contains => text.contains(wanted.as_str()),
                    TextTest::Starts => text.starts_with(wanted.as_str()),
                    TextTest::Ends => text.ends_with(wanted.as_str()),
                }
            }),
            Test::Pattern(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text)),
            Test::Compare(how, operand) => {
                let order = match operand {
                    Operand::Number(number) => {
                        value.as_f64().and_then(|value| value.partial_cmp(number))
                    }
                    Operand::Time(time) => value
                        .as_str()
                        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
                        .map(|value| value.cmp(time)),
                };
                order.is_some_and(|order| match how {
                    Comparison::Equal => order == Ordering::Equal,
                    Comparison::Greater => order == Ordering::Greater,
                    Comparison::GreaterOrEqual => order != Ordering::Less,
                    Comparison::Less => order == Ordering::Less,
                    Comparison::LessOrEqual => order != Ordering::Greater,
                })
            }
            Test::Same(wanted) => {
                value == wanted
                    || match (value, wanted) {
                        (Json::Number(number), Json::String(text)) => number.to_string() == *text,
                        _ => false,
                    }
            }
            Test::OneOf(words) => {
                value.as_str().is_some_and(|text| words.iter().any(|word| word == text))
            }
            Test::Null(wanted) => value.is_null() == *wanted,
        }
    }
}

/// Filters, orders and pages rows that are in memory.
pub(super) fn rows_answer(ask: &Ask, rows: Vec<Json>, table: &[(&str, Attribute)]) -> Answer {
    let conditions = conditions(&ask.query, table, &ask.service.tree.view().zone())?;
    let keys = order(&ask.query, table)?;
    let mut rows: Vec<(Json, usize)> = rows
        .into_iter()
        .filter(|row| {
            conditions.iter().all(|condition| condition.holds(&row[condition.attribute()]))
        })
        .map(|row| (row, 0))
        .collect();
    sort(&mut rows, &keys);
    let want = Want::of(&ask.query);
    let envelope = paged(ask, rows.len(), |range| {
        let page = rows.get(range).unwrap_or_default();
        let maps = page.iter().filter_map(|(row, _)| row.as_object());
        Ok(maps.map(|row| want.select(row.clone())).collect())
    })?;
    Ok(answer::json(StatusCode::OK, &envelope))
}

/// Keys of `order_by`: name, and whether it descends.
///
/// # Errors
/// A problem of `order_by` for a name that is not in `table` (nor `id`).
pub(super) fn order(
    query: &Query,
    table: &[(&str, Attribute)],
) -> Result<Vec<(String, bool)>, Failure> {
    let mut keys = Vec::new();
    for word in query.get("order_by").unwrap_or_default().split(',').map(str::trim) {
        if word.is_empty() {
            continue;
        }
        let (name, descends) = match word.strip_prefix('-') {
            Some(name) => (name, true),
            None => (word, false),
        };
        if name != "id" && !table.iter().any(|(known, _)| *known == name) {
            return Err(Failure::field("order_by", format!("There is no attribute '{name}'.")));
        }
        keys.push((name.to_owned(), descends));
    }
    Ok(keys)
}

/// Sorts rows by keys; ties go by id.
/// Without keys they stay as they are.
pub(super) fn sort(rows: &mut [(Json, usize)], keys: &[(String, bool)]) {
    if keys.is_empty() {
        return;
    }
    rows.sort_by(|(a, _), (b, _)| {
        for (name, descends) in keys {
            let order = compare(&a[name.as_str()], &b[name.as_str()]);
            let order = if *descends { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        compare(&a["id"], &b["id"])
    });
}

/// Truth, numbers, texts; null last, as among objects.
fn compare(a: &Json, b: &Json) -> Ordering {
    let rank = |value: &Json| match value {
        Json::Bool(_) => 0,
        Json::Number(_) => 1,
        Json::String(_) => 2,
        Json::Array(_) | Json::Object(_) => 3,
        Json::Null => 4,
    };
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            a.total_cmp(&b)
        }
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, Attribute)] = &[
        ("name", Attribute::Text),
        ("lineno", Attribute::Number),
        ("started_time", Attribute::Time),
        ("status", Attribute::AnyOf(&["DONE", "NEW", "RUNNING"])),
        ("suspended", Attribute::Truth),
        ("invoker", Attribute::Nullable),
    ];

    fn holds(query: &str, row: &Json) -> Result<bool, String> {
        let query = Query::parse(Some(query)).unwrap();
        let conditions =
            conditions(&query, TABLE, &TimeZone::UTC).map_err(|failure| format!("{failure:?}"))?;
        Ok(conditions.iter().all(|condition| condition.holds(&row[condition.attribute()])))
    }

    // rule: http/filters
    #[test]
    fn each_kind_of_attribute_has_its_lookups() {
        let row = serde_json::json!({"name": "Night Check", "lineno": 7, "status": "DONE",
            "started_time": "2025-03-02T01:15:02.300000Z", "suspended": false, "invoker": null});
        for (query, wanted) in [
            ("name=Night+Check", true),
            ("name=night+check", false),
            ("name__iexact=night+check", true),
            ("name__contains=ht", true),
            ("name__icontains=CHECK", true),
            ("name__startswith=Ni", true),
            ("name__endswith=eck", true),
            ("name__regex=^N.*k$", true),
            ("name__iregex=^n", true),
            ("name__istartswith=x", false),
            ("lineno=7", true),
            ("lineno__gt=6", true),
            ("lineno__lte=6", false),
            ("status=RUNNING&status=DONE", true),
            ("status=RUNNING", false),
            ("started_time__gte=2025-03-02T01:15:02Z", true),
            ("suspended=false", true),
            ("started_time__lt=2025-03-02T01:15:02.3Z", false),
            ("suspended=True", false),
            ("invoker__isnull=true", true),
            ("invoker__isnull=0", false),
            ("name=x&lineno=7", false),
            ("format=json&attrs=id&page_size=3", true),
        ] {
            assert_eq!(holds(query, &row), Ok(wanted), "{query}");
        }
        for bad in [
            "colour=1",
            "lineno__contains=1",
            "status__in=DONE",
            "lineno=x",
            "name__regex=(",
            "started_time=yesterday-ish",
            "invoker__isnull=perhaps",
            "name__in=a",
        ] {
            assert!(holds(bad, &row).is_err(), "{bad}");
        }
    }

    // rule: http/ordering
    #[test]
    fn rows_are_ordered_by_keys_and_ties_by_id() {
        let query = Query::parse(Some("order_by=-name,lineno")).unwrap();
        let keys = order(&query, TABLE).unwrap();
        let row = |id: u64, name: &str, line: u64| serde_json::json!({"id": id, "name": name, "lineno": line});
        let mut rows: Vec<_> = [row(1, "a", 1), row(2, "b", 2), row(3, "b", 1), row(4, "b", 1)]
            .into_iter()
            .zip(0..)
            .collect();
        sort(&mut rows, &keys);
        let ids: Vec<_> = rows.iter().map(|(row, _)| row["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [3, 4, 2, 1]);
        let bad = Query::parse(Some("order_by=colour")).unwrap();
        assert!(order(&bad, TABLE).is_err());
    }
}
