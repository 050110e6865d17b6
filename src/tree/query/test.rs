//! One comparison of a query.

use std::cmp::Ordering;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use kompira_schema::value::{Ref, Value};

use crate::lang::ast::PatternKind;
use crate::lang::pattern::{Match, Pattern};

/// A value that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tree) enum Scalar {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Instant(Timestamp),
    Date(civil::Date),
    Time(civil::Time),
    Ref(Ref),
}

impl Scalar {
    /// Order among values of one kind; numbers are one kind.
    pub(in crate::tree) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Instant(a), Self::Instant(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Ref(a), Self::Ref(b)) => Some(a.cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    #[allow(clippy::cast_precision_loss)] // both sides lose alike
    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tree) enum Lookup {
    Exact,
    IExact,
    Contains,
    IContains,
    StartsWith,
    IStartsWith,
    EndsWith,
    IEndsWith,
    Regex,
    IRegex,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Range,
    IsNull,
    /// What a search box of a table means by a text (rule: `tree/search`).
    Search,
}

impl Lookup {
    pub(in crate::tree) const STRING: &'static [Self] = &[
        Self::Exact,
        Self::IExact,
        Self::Contains,
        Self::IContains,
        Self::StartsWith,
        Self::IStartsWith,
        Self::EndsWith,
        Self::IEndsWith,
        Self::Regex,
        Self::IRegex,
    ];

    const WORDS: &'static [(&'static str, Self)] = &[
        ("exact", Self::Exact),
        ("iexact", Self::IExact),
        ("contains", Self::Contains),
        ("icontains", Self::IContains),
        ("startswith", Self::StartsWith),
        ("istartswith", Self::IStartsWith),
        ("endswith", Self::EndsWith),
        ("iendswith", Self::IEndsWith),
        ("regex", Self::Regex),
        ("iregex", Self::IRegex),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("in", Self::In),
        ("range", Self::Range),
        ("isnull", Self::IsNull),
        ("search", Self::Search),
    ];

    pub(in crate::tree) fn named(name: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| *word == name).map(|(_, lookup)| *lookup)
    }

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, lookup)| *lookup == self).map_or("", |(word, _)| word)
    }

    /// The failure that this is none of the lookups that `key` takes.
    pub(in crate::tree) fn refused(self, key: &str, allowed: &[Self]) -> Fault {
        if allowed.is_empty() {
            return bad(message!("find.not_comparable", key = key));
        }
        let allowed: Vec<_> = allowed.iter().map(|lookup| lookup.word()).collect();
        let (lookup, allowed) = (self.word(), allowed.join(", "));
        bad(message!("find.bad_lookup", key = key, lookup = lookup, allowed = allowed))
    }

    /// Whether it looks at the characters of a text.
    pub(in crate::tree) fn is_textual(self) -> bool {
        Self::STRING.contains(&self) && self != Self::Exact
    }

    /// Splits `name__lookup`; a name without a known lookup is compared exactly.
    pub(in crate::tree) fn split(key: &str) -> (&str, Self) {
        match key.rsplit_once("__").and_then(|(name, word)| Some((name, Self::named(word)?))) {
            Some((name, lookup)) if !name.is_empty() => (name, lookup),
            _ => (key, Self::Exact),
        }
    }
}

/// A comparison with its right-hand side.
#[derive(Debug)]
pub(in crate::tree) struct Test {
    lookup: Lookup,
    values: Vec<Scalar>,
    pattern: Option<Pattern>,
    /// Wanted answer of `isnull`.
    null: bool,
    /// Times of day, both included, in a zone.
    daily: Option<(civil::Time, civil::Time, TimeZone)>,
}

impl Test {
    /// Reads the right-hand side. `wanted` names the kind of value that it must be. `read` turns a
    /// given value into a comparable one: `None` inside for one that nothing can equal.
    pub(in crate::tree) fn new(
        key: &str,
        lookup: Lookup,
        allowed: &[Lookup],
        wanted: &str,
        value: &Value,
        read: &mut dyn FnMut(&Value) -> Option<Option<Scalar>>,
    ) -> Result<Self, Fault> {
        if !allowed.contains(&lookup) {
            return Err(lookup.refused(key, allowed));
        }
        let misfit = || misfit(key, lookup, wanted, value);
        let mut test = Self { lookup, values: Vec::new(), pattern: None, null: true, daily: None };
        match lookup {
            Lookup::IsNull => match value {
                Value::Bool(truth) => test.null = *truth,
                Value::Str(text) if matches!(text.as_str(), "true" | "True" | "1") => {}
                Value::Str(text) if matches!(text.as_str(), "false" | "False" | "0") => {
                    test.null = false;
                }
                _ => return Err(misfit()),
            },
            Lookup::In | Lookup::Range => {
                let Value::Array(items) = value else { return Err(misfit()) };
                if lookup == Lookup::Range && items.len() != 2 {
                    return Err(misfit());
                }
                for item in items {
                    match read(item).ok_or_else(misfit)? {
                        Some(scalar) => test.values.push(scalar),
                        None if lookup == Lookup::In => {}
                        None => return Err(misfit()),
                    }
                }
            }
            Lookup::Regex | Lookup::IRegex => {
                let Value::Str(text) = value else { return Err(misfit()) };
                let fold = lookup == Lookup::IRegex;
                let pattern = Pattern::new(PatternKind::Regex, text.as_str(), fold);
                pattern
                    .find("")
                    .map_err(|error| bad(message!("find.bad_regex", key = key, what = error)))?;
                test.pattern = Some(pattern);
            }
            _ => {
                let found = match (read(value), value) {
                    (Some(Some(found @ Scalar::Text(_))), _) => Some(found),
                    // A part of the text of a number, a path or a time.
                    (_, Value::Str(text)) if lookup.is_textual() => {
                        Some(Scalar::Text(text.clone()))
                    }
                    (found, _) => found.ok_or_else(misfit)?,
                };
                test.values.extend(found.map(|scalar| fold_of(lookup, scalar)));
            }
        }
        Ok(test)
    }

    /// A comparison with values that were read already.
    pub(super) fn with(lookup: Lookup, values: Vec<Scalar>) -> Self {
        Self { lookup, values, pattern: None, null: true, daily: None }
    }

    /// An instant whose time of day lies between two, both included.
    pub(super) fn on_every_day(from: civil::Time, to: civil::Time, zone: TimeZone) -> Self {
        Self { daily: Some((from, to, zone)), ..Self::with(Lookup::Search, Vec::new()) }
    }

    pub(in crate::tree) fn lookup(&self) -> Lookup {
        self.lookup
    }

    pub(in crate::tree) fn values(&self) -> &[Scalar] {
        &self.values
    }

    /// Whether nothing can satisfy it: it compares with something that does not exist.
    pub(in crate::tree) fn is_impossible(&self) -> bool {
        self.values.is_empty() && self.pattern.is_none() && self.lookup != Lookup::IsNull
    }

    /// Whether any of the values satisfies the comparison; none at all is null.
    pub(in crate::tree) fn accepts(&self, found: &[Scalar]) -> bool {
        if self.lookup == Lookup::IsNull {
            return found.is_empty() == self.null;
        }
        found.iter().any(|value| self.accepts_one(value))
    }

    fn accepts_one(&self, value: &Scalar) -> bool {
        let first = self.values.first();
        let order = || first.and_then(|first| value.compare(first));
        let text = |test: fn(&str, &str) -> bool| match (value, first) {
            (Scalar::Text(text), Some(Scalar::Text(wanted))) => test(text, wanted),
            _ => false,
        };
        let folded = |test: fn(&str, &str) -> bool| match (value, first) {
            (Scalar::Text(text), Some(Scalar::Text(wanted))) => test(&fold(text), wanted),
            _ => false,
        };
        match self.lookup {
            Lookup::Exact => order() == Some(Ordering::Equal),
            Lookup::IExact => folded(|text, wanted| text == wanted),
            Lookup::Contains => text(|text, wanted| text.contains(wanted)),
            Lookup::IContains => folded(|text, wanted| text.contains(wanted)),
            Lookup::StartsWith => text(|text, wanted| text.starts_with(wanted)),
            Lookup::IStartsWith => folded(|text, wanted| text.starts_with(wanted)),
            Lookup::EndsWith => text(|text, wanted| text.ends_with(wanted)),
            Lookup::IEndsWith => folded(|text, wanted| text.ends_with(wanted)),
            Lookup::Regex | Lookup::IRegex => match (value, &self.pattern) {
                (Scalar::Text(text), Some(pattern)) => {
                    !matches!(pattern.find(text), Ok(Match::No) | Err(_))
                }
                _ => false,
            },
            Lookup::Gt => order() == Some(Ordering::Greater),
            Lookup::Gte => order().is_some_and(Ordering::is_ge),
            Lookup::Lt => order() == Some(Ordering::Less),
            Lookup::Lte => order().is_some_and(Ordering::is_le),
            Lookup::In => {
                self.values.iter().any(|wanted| value.compare(wanted) == Some(Ordering::Equal))
            }
            Lookup::Range => match self.values.as_slice() {
                [low, high] => {
                    value.compare(low).is_some_and(Ordering::is_ge)
                        && value.compare(high).is_some_and(Ordering::is_le)
                }
                _ => false,
            },
            Lookup::IsNull => false,
            Lookup::Search => match (value, &self.daily) {
                (Scalar::Instant(at), Some((from, to, zone))) => {
                    (*from..=*to).contains(&at.to_zoned(zone.clone()).time())
                }
                _ => false,
            },
        }
    }
}

fn fold_of(lookup: Lookup, scalar: Scalar) -> Scalar {
    let folds = matches!(
        lookup,
        Lookup::IExact | Lookup::IContains | Lookup::IStartsWith | Lookup::IEndsWith
    );
    match scalar {
        Scalar::Text(text) if folds => Scalar::Text(fold(&text)),
        other => other,
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// The failure that a value is not what `key` is compared with.
pub(super) fn misfit(key: &str, lookup: Lookup, wanted: &str, value: &Value) -> Fault {
    let wanted = match lookup {
        Lookup::IsNull => "true, false".to_owned(),
        Lookup::In => format!("{wanted}, {wanted}, …"),
        Lookup::Range => format!("{wanted}, {wanted}"),
        _ => wanted.to_owned(),
    };
    let shown = match value {
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(","),
        single => shown(single),
    };
    let shown: String = shown.chars().take(80).collect();
    bad(message!("find.bad_value", key = key, value = shown, wanted = wanted))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => other.type_name().to_owned(),
    }
}

pub(in crate::tree) fn bad(told: kompira_schema::error::Message) -> Fault {
    Fault::new(Kind::BadRequest, told)
}
