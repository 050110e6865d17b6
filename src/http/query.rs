//! The query string: what negotiates, what pages, what selects, what filters.

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use percent_encoding::percent_decode_str;

use super::answer::Failure;

/// Most parameters of one query: more is no question of a person or a script.
const PARAMETERS_MAX: usize = 256;
/// Entries of a page when nothing is said (documented).
pub const PAGE_SIZE: usize = 25;
/// Most entries of a page; larger wishes are cut to it.
pub const PAGE_SIZE_MAX: usize = 1000;
/// Parameters that are no filters.
const OWN: [&str; 8] =
    ["format", "token", "page", "page_size", "attrs", "order_by", "after", "explain"];

/// A query string, decoded once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=b&c`.
    ///
    /// # Errors
    /// `BadRequest` for text that is not UTF-8 or too many parameters.
    pub fn parse(raw: Option<&str>) -> Result<Self, Fault> {
        let bad = || Fault::new(Kind::BadRequest, message!("http.bad_query"));
        let mut pairs = Vec::new();
        for part in raw.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == PARAMETERS_MAX {
                return Err(bad());
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decode = |text: &str| {
                let text = text.replace('+', " ");
                percent_decode_str(&text).decode_utf8().map(std::borrow::Cow::into_owned)
            };
            pairs.push((decode(name).map_err(|_| bad())?, decode(value).map_err(|_| bad())?));
        }
        Ok(Self { pairs })
    }

    /// The last value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch such as `follow=true` is on; present without a value is on.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.get(name), Some("" | "true" | "True" | "1" | "yes" | "on"))
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The attributes asked for (rule: http/attrs); `None`: all.
    #[must_use]
    pub fn attrs(&self) -> Option<Vec<&str>> {
        let attrs: Vec<&str> = self
            .all("attrs")
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect();
        (!attrs.is_empty()).then_some(attrs)
    }

    /// What filters: everything that has no other meaning.
    pub fn filters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same query without some parameters.
    #[must_use]
    pub fn without(&self, drops: impl Fn(&str) -> bool) -> Self {
        let pairs = self.pairs.iter().filter(|(name, _)| !drops(name)).cloned();
        Self { pairs: pairs.collect() }
    }

    /// The same query with other values.
    #[must_use]
    pub fn rewritten(&self, value: impl Fn(&str, &str) -> String) -> Self {
        let pairs = self.pairs.iter().map(|(name, old)| (name.clone(), value(name, old)));
        Self { pairs: pairs.collect() }
    }

    /// Entries of a page (rule: http/paging): nonsense is the default, too much is cut.
    #[must_use]
    pub fn page_size(&self) -> usize {
        match self.get("page_size").map(str::parse::<usize>) {
            Some(Ok(size)) if size > 0 => size.min(PAGE_SIZE_MAX),
            _ => PAGE_SIZE,
        }
    }

    /// The page asked for.
    ///
    /// # Errors
    /// [`Failure::Page`].
    pub fn page(&self) -> Result<Page, Failure> {
        match self.get("page") {
            None => Ok(Page::Number(1)),
            Some("last") => Ok(Page::Last),
            Some(text) => match text.parse::<usize>() {
                Ok(number) if number > 0 => Ok(Page::Number(number)),
                _ => Err(Failure::Page),
            },
        }
    }

    /// The query with another page, for `next` and `previous`.
    #[must_use]
    pub fn with_page(&self, page: usize) -> String {
        self.with("page", &page.to_string())
    }

    /// The query with another value of one parameter.
    #[must_use]
    pub fn with(&self, key: &str, wanted: &str) -> String {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
        const KEEP: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'_')
            .remove(b'.')
            .remove(b'~')
            .remove(b'/')
            .remove(b':')
            .remove(b',');
        let mut out = String::new();
        let mut push = |name: &str, value: &str| {
            if !out.is_empty() {
                out.push('&');
            }
            out.extend(utf8_percent_encode(name, KEEP));
            out.push('=');
            out.extend(utf8_percent_encode(value, KEEP));
        };
        let mut placed = false;
        for (name, value) in &self.pairs {
            match name.as_str() {
                name if name == key && placed => {}
                name if name == key => {
                    push(key, wanted);
                    placed = true;
                }
                // Credentials do not belong in bodies and logs.
                "token" => {}
                "page_size" if !placed => {
                    push(key, wanted);
                    placed = true;
                    push(name, value);
                }
                _ => push(name, value),
            }
        }
        if !placed {
            push(key, wanted);
        }
        out
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// From 1.
    Number(usize),
    /// The final one.
    Last,
}

impl Page {
    /// The number of the page among `count` entries.
    ///
    /// # Errors
    /// [`Failure::Page`] when there is none; an empty list still has page 1.
    pub fn number(self, count: usize, size: usize) -> Result<usize, Failure> {
        let last = count.div_ceil(size).max(1);
        match self {
            Self::Last => Ok(last),
            Self::Number(number) if number <= last => Ok(number),
            Self::Number(_) => Err(Failure::Page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(raw: &str) -> Query {
        Query::parse(Some(raw)).unwrap()
    }

    // rule: http/attrs
    #[test]
    fn attrs_are_repeated_or_joined_by_commas() {
        assert_eq!(
            query("attrs=id&attrs=abspath,owner").attrs().unwrap(),
            ["id", "abspath", "owner"]
        );
        assert_eq!(query("attrs=").attrs(), None);
        assert_eq!(query("").attrs(), None);
    }

    // rule: http/filters
    #[test]
    fn what_has_another_meaning_is_no_filter() {
        let query = query(
            "format=json&token=t&page=1&page_size=2&attrs=id&order_by=id&a__in=1,2&field%3Ab=%2B+x",
        );
        let filters: Vec<_> = query.filters().collect();
        assert_eq!(filters, [("a__in", "1,2"), ("field:b", "+ x")]);
    }

    // rule: http/paging
    #[test]
    fn sizes_are_bounded_and_pages_checked() {
        for (raw, size) in [
            ("", 25),
            ("page_size=0", 25),
            ("page_size=-3", 25),
            ("page_size=x", 25),
            ("page_size=1000", 1000),
            ("page_size=1001", 1000),
            ("page_size=7", 7),
        ] {
            assert_eq!(query(raw).page_size(), size, "{raw}");
        }
        for (raw, count, number) in [
            ("", 0, Some(1)),
            ("page=1", 0, Some(1)),
            ("page=2", 0, None),
            ("page=last", 0, Some(1)),
            ("page=3", 61, Some(3)),
            ("page=4", 61, None),
            ("page=last", 61, Some(3)),
            ("page=last", 50, Some(2)),
            ("page=3", 50, None),
            ("page=0", 61, None),
            ("page=x", 61, None),
        ] {
            let found = query(raw).page().and_then(|page| page.number(count, 25));
            assert_eq!(found.ok(), number, "{raw} of {count}");
        }
    }

    // rule: http/paging
    #[test]
    fn links_keep_the_other_parameters_and_lose_the_token() {
        assert_eq!(query("page=2&status=DONE").with_page(3), "page=3&status=DONE");
        assert_eq!(
            query("attrs=abspath&attrs=type_object&page_size=2&token=secret").with_page(2),
            "attrs=abspath&attrs=type_object&page=2&page_size=2"
        );
        assert_eq!(query("format=json").with_page(2), "format=json&page=2");
    }
}
