//! What people type into a search box (rule: `tree/search`).

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use kompira_schema::error::Fault;
use kompira_schema::field::Elem;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::Caller;
use kompira_schema::types::FieldDef;
use kompira_schema::validate::time;
use kompira_schema::value::{Ref, Value};

use super::plan::read_field;
use super::test::{Lookup, Scalar, Test, misfit};
use super::{Depth, Query};
use crate::tree::view::View;

/// The last of each kind of word counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    kind: Option<String>,
    owner: Option<String>,
    text: Option<String>,
}

impl Words {
    /// `#type @owner any other text`; `\#` and `\@` are plain.
    fn read(typed: &str) -> Self {
        let mut words = Self::default();
        let mut plain: Option<String> = None;
        for word in typed.split(' ') {
            if let Some(kind) = word.strip_prefix('#') {
                words.text = plain.take().or(words.text);
                words.kind = Some(kind.to_owned());
            } else if let Some(owner) = word.strip_prefix('@') {
                words.text = plain.take().or(words.text);
                words.owner = Some(owner.to_owned());
            } else {
                let word = match word.strip_prefix('\\') {
                    Some(rest) if rest.starts_with(['#', '@']) => rest,
                    _ => word,
                };
                plain = Some(match plain {
                    Some(before) => before + " " + word,
                    None => word.to_owned(),
                });
            }
        }
        words.text = plain.or(words.text);
        for part in [&mut words.kind, &mut words.owner, &mut words.text] {
            part.take_if(|text| text.is_empty());
        }
        words
    }
}

impl View {
    /// The conditions that a search box of a directory means.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn search_words(&self, who: &Caller, typed: &str) -> Result<Vec<(String, Value)>, Fault> {
        let words = Words::read(typed);
        let mut conditions = Vec::new();
        if let Some(kind) = words.kind {
            let named = Query {
                depth: Depth::Descendants,
                conditions: vec![
                    ("type_object".to_owned(), "/system/types/TypeObject".into()),
                    ("display_name__contains".to_owned(), kind.into()),
                ],
                ..Query::default()
            };
            let types = self.find(who, ObjectId::ROOT, &named)?.ids.into_iter();
            let types = types.map(|id| Value::Object(Ref::Object(id))).collect();
            conditions.push(("type_object__in".to_owned(), Value::Array(types)));
        }
        if let Some(owner) = words.owner {
            conditions.push(("owner".to_owned(), owner.into()));
        }
        if let Some(text) = words.text {
            conditions.push(("display_name__contains".to_owned(), text.into()));
        }
        Ok(conditions)
    }
}

impl Test {
    /// What is typed into the search box of a table, for a field.
    pub(super) fn typed(
        view: &View,
        key: &str,
        field: &FieldDef,
        value: &Value,
    ) -> Result<Self, Fault> {
        let elem = field.field_type.shape.elem();
        let misfit = || misfit(key, Lookup::Search, elem.name(), value);
        let Value::Str(text) = value else { return Err(misfit()) };
        if field.field_type.qualifiers.invisible || elem == Elem::Password {
            return Err(Lookup::Search.refused(key, &[]));
        }
        Ok(match elem {
            Elem::Integer | Elem::Float | Elem::Boolean | Elem::Date | Elem::Object => {
                let found = read_field(view, field, value).ok_or_else(misfit)?;
                Self::with(Lookup::Exact, found.into_iter().collect())
            }
            Elem::File => Self::with(Lookup::Exact, vec![Scalar::Text(text.clone())]),
            Elem::Binary => {
                let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                if !digits.chars().all(|c| c.is_ascii_hexdigit()) {
                    return Err(misfit());
                }
                let digits = digits.to_ascii_lowercase();
                Self::with(Lookup::Contains, vec![Scalar::Text(digits)])
            }
            Elem::Datetime => moment(text, &view.zone()).ok_or_else(misfit)?,
            Elem::Time => {
                let (from, to) = clock(text).ok_or_else(misfit)?;
                Self::with(Lookup::Range, vec![Scalar::Time(from), Scalar::Time(to)])
            }
            _ => Self::with(Lookup::Contains, vec![Scalar::Text(text.clone())]),
        })
    }
}

/// The last microsecond before a second has passed.
const REST_OF_SECOND: SignedDuration = SignedDuration::from_micros(999_999);

/// From a time to the end of its second; with a fraction it is itself alone.
fn clock(text: &str) -> Option<(Time, Time)> {
    let at = time::parse_time(text)?;
    if text.contains('.') {
        return Some((at, at));
    }
    Some((at, at.checked_add(REST_OF_SECOND).ok()?))
}

/// A date alone is all its day, a time alone is on every day, both together are a second, with a
/// fraction an instant.
fn moment(text: &str, zone: &TimeZone) -> Option<Test> {
    let between = |from: Timestamp, to: Timestamp| {
        Test::with(Lookup::Range, vec![Scalar::Instant(from), Scalar::Instant(to)])
    };
    if let Some((from, to)) = clock(text) {
        return Some(Test::on_every_day(from, to, zone.clone()));
    }
    let from = time::parse_datetime(text, zone)?;
    if !text.contains(':') {
        let day: Date = from.to_zoned(zone.clone()).date();
        let next = time::instant(day.tomorrow().ok()?.to_datetime(Time::midnight()), zone)?;
        let to = next.checked_sub(SignedDuration::from_micros(1)).ok()?;
        return Some(between(from, to));
    }
    if text.contains('.') {
        return Some(Test::with(Lookup::Exact, vec![Scalar::Instant(from)]));
    }
    Some(between(from, from.checked_add(REST_OF_SECOND).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: tree/search
    #[test]
    fn words_are_types_owners_and_the_rest() {
        let read = |text: &str| {
            let words = Words::read(text);
            [words.kind, words.owner, words.text].map(Option::unwrap_or_default).join("|")
        };
        for (typed, found) in [
            ("", "||"),
            ("disk full", "||disk full"),
            (" disk  full ", "|| disk  full "),
            ("#Text", "Text||"),
            ("#Text @mika disk full", "Text|mika|disk full"),
            ("disk #Text full now", "Text||full now"),
            ("#Text #Wiki @a @b", "Wiki|b|"),
            ("disk @mika", "|mika|disk"),
            (r"\#1 \@home", "||#1 @home"),
            (r"\x", r"||\x"),
            ("# @", "||"),
        ] {
            assert_eq!(read(typed), found, "{typed}");
        }
    }
}
