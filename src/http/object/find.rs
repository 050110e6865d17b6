//! Which objects a list holds, and in what order (rules: http/filters, http/ordering).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::value::Value;

use crate::http::answer::{self, Failure};
use crate::http::query::{Page, Query as Url};
use crate::http::route::Ask;
use crate::tree::View;
use crate::tree::query::{Depth, Paged, Query};

/// What is wrong with a parameter stands under its key.
pub(in crate::http) fn keyed(url: &Url, fault: Fault) -> Failure {
    let told = fault.told();
    if fault.kind() != Kind::BadRequest || !told.key.starts_with("find.") {
        return fault.into();
    }
    let named = told.args.iter().find(|(name, _)| *name == "key").map(|(_, key)| key.as_str());
    let at = match named {
        Some(key) if url.get(key).is_some() => key,
        Some(_) => "order_by",
        None => "after",
    };
    Failure::field(at, answer::text(told))
}

/// The page of objects below `id` that the query asks for, and its number.
pub(super) fn find(
    ask: &Ask,
    view: &View,
    id: ObjectId,
    deep: bool,
) -> Result<(Paged, usize), Failure> {
    let size = ask.query.page_size();
    let wrong = |fault| keyed(&ask.query, fault);
    let typed = ask.query.get("search").map(|text| view.search_words(&ask.who, text));
    let typed = typed.transpose()?.unwrap_or_default();
    let asked = |skip, size| query(&ask.query, &typed, deep, skip, size);
    // `after` without a value begins (rule: tree/paging).
    if let Some(after) = ask.query.get("after") {
        let after = Some(after).filter(|text| !text.is_empty());
        let found = view.find_page(&ask.who, id, &asked(0, size), after);
        return Ok((found.map_err(wrong)?, 1));
    }
    let number = match ask.query.page()? {
        Page::Number(number) => number,
        Page::Last => {
            let counted = view.find(&ask.who, id, &asked(0, 0)).map_err(wrong)?;
            Page::Last.number(counted.total, size)?
        }
    };
    let skip = (number - 1).saturating_mul(size);
    let paged = view.find_page(&ask.who, id, &asked(skip, size), None).map_err(wrong)?;
    Page::Number(number).number(paged.found.total, size)?;
    Ok((paged, number))
}

fn query(url: &Url, typed: &[(String, Value)], deep: bool, offset: usize, limit: usize) -> Query {
    let mut conditions = conditions(url);
    conditions.extend_from_slice(typed);
    Query {
        depth: if deep { Depth::Descendants } else { Depth::Children },
        conditions,
        order_by: url.get("order_by").map(str::to_owned),
        offset,
        limit: Some(limit),
    }
}

/// The same key again: the last one counts, but `in` takes all.
pub(in crate::http) fn conditions(url: &Url) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for (key, text) in url.filters().filter(|(key, _)| *key != "search") {
        let list = || text.split(',').map(|part| Value::from(part.trim()));
        let value = match key.rsplit_once("__").map(|(_, lookup)| lookup) {
            Some("in") => match found.iter_mut().find(|(known, _)| known == key) {
                Some((_, Value::Array(known))) => {
                    known.extend(list());
                    continue;
                }
                _ => Value::Array(list().collect()),
            },
            Some("range") => Value::Array(list().collect()),
            Some("isnull") => match text {
                "true" | "True" | "1" => Value::Bool(true),
                "false" | "False" | "0" => Value::Bool(false),
                other => Value::from(other),
            },
            _ => Value::from(text),
        };
        found.retain(|(known, _)| known != key);
        found.push((key.to_owned(), value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: http/filters
    #[test]
    fn lists_are_split_and_the_last_of_a_key_counts() {
        let url =
            Url::parse(Some("a=1&a=2&b__in=x,y&b__in=z&c__range=1,5&d__isnull=1&format=json"));
        let texts =
            |list: &[&str]| Value::Array(list.iter().map(|text| Value::from(*text)).collect());
        assert_eq!(
            conditions(&url.unwrap()),
            [
                ("a".to_owned(), Value::from("2")),
                ("b__in".to_owned(), texts(&["x", "y", "z"])),
                ("c__range".to_owned(), texts(&["1", "5"])),
                ("d__isnull".to_owned(), Value::Bool(true)),
            ]
        );
    }
}
