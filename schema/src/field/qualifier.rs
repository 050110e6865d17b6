//! The qualifiers of a field: a JSON object, kept as written and read once.

use std::fmt;

use serde_json::{Map, Number, Value as Json};

use super::{Elem, Pattern, Reference, Shape, Switch};
use crate::error::{Fault, Kind};
use crate::limits::QUALIFIER_DEPTH_MAX;
use crate::message;

/// Schemes of a URL field that names none.
const DEFAULT_SCHEMES: [&str; 4] = ["http", "https", "ftp", "ftps"];

/// What a type says about a field besides its type (rule: `objects/qualifiers`).
///
/// In an array or dictionary each applies to the elements, but `default` to the whole value and
/// `key_strip` to the keys. A qualifier that does not belong to the type, or that nobody knows, is
/// kept and has no effect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Qualifiers {
    raw: Map<String, Json>,
    /// Not shown in forms and views; alone it does not move `updated`.
    pub invisible: bool,
    /// Shown while editing.
    pub help_text: Option<String>,
    /// Candidates of an Object field: types and containers.
    pub object: Restriction,
    /// Candidates of an Object field: descendants of containers.
    pub directory: Restriction,
    /// A further condition on candidates, with the keys of `find`.
    pub filter: Option<Map<String, Json>>,
    /// Order of the candidates.
    pub order_by: Option<String>,
    /// An empty Object, File or Enum is refused.
    pub no_empty: bool,
    /// Choices of an Enum field.
    pub choices: Choices,
    /// The whole text must match.
    pub pattern: Option<Pattern>,
    /// Fewest characters.
    pub min_length: Option<u64>,
    /// Most characters.
    pub max_length: Option<u64>,
    /// White space at both ends is removed before the checks.
    pub strip: bool,
    /// The same for the keys of a dictionary.
    pub key_strip: bool,
    /// Smallest number, inclusive.
    pub min_value: Option<Number>,
    /// Largest number, inclusive.
    pub max_value: Option<Number>,
    /// Offered file kinds; a hint.
    pub file_accept: Vec<String>,
    /// Allowed schemes, lower case; `None` for the usual four.
    pub schemes: Option<Vec<String>>,
}

/// Which objects an Object field offers (rule: `objects/candidates`).
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Restriction {
    /// Absent or null: no restriction.
    #[default]
    None,
    /// These are alternatives.
    Of(Vec<Reference>),
    /// Chosen by another value.
    Switch(Box<Switch>),
}

/// What an Enum field offers (rule: `objects/enum`).
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Choices {
    /// No `enum`: nothing is offered.
    #[default]
    None,
    /// Written down; enforced at every door.
    Fixed(Vec<Choice>),
    /// Taken from a field of another object; reported, not enforced.
    Field(Reference),
    /// Chosen by another value; reported, not enforced.
    Switch(Box<Switch>),
}

/// One choice of an Enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is stored.
    pub data: String,
    /// What is shown.
    pub label: String,
}

impl Restriction {
    /// Reads the value of `object` or `directory`, or of a case of theirs.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a value of the wrong form.
    pub fn parse(value: &Json) -> Result<Self, Fault> {
        restriction("object", value)
    }
}

impl Choices {
    /// Reads the value of `enum`, or of a case of it.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a value of the wrong form.
    pub fn parse(value: &Json) -> Result<Self, Fault> {
        choices("enum", value)
    }
}

impl Qualifiers {
    /// Reads the JSON object behind a field type of `shape`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for text that is no JSON object and for values of the wrong form.
    pub fn parse(json: &str, shape: Shape) -> Result<Self, Fault> {
        match serde_json::from_str::<Json>(json) {
            Ok(Json::Object(raw)) => Self::from_map(raw, shape),
            Ok(_) => Err(Fault::new(Kind::Invalid, message!("qualifier.not_an_object"))),
            Err(error) => {
                Err(Fault::new(Kind::Invalid, message!("qualifier.bad_json", why = error)))
            }
        }
    }

    /// As [`Qualifiers::parse`], from JSON that is already read.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for values of the wrong form.
    pub fn from_map(raw: Map<String, Json>, shape: Shape) -> Result<Self, Fault> {
        if raw.values().any(|value| depth(value) > QUALIFIER_DEPTH_MAX) {
            return Err(Fault::new(
                Kind::Invalid,
                message!("qualifier.too_deep", max = QUALIFIER_DEPTH_MAX),
            ));
        }
        let mut this = Self::default();
        for (key, value) in &raw {
            this.read(key, value, shape)?;
        }
        this.raw = raw;
        Ok(this)
    }

    fn read(&mut self, key: &str, value: &Json, shape: Shape) -> Result<(), Fault> {
        let elem = shape.elem();
        let object = elem == Elem::Object;
        let number = matches!(elem, Elem::Integer | Elem::Float);
        let stripped = matches!(elem, Elem::String | Elem::Text | Elem::LargeText | Elem::Password);
        match key {
            "invisible" => self.invisible = flag(key, value)?,
            "help_text" => self.help_text = Some(text(key, value)?),
            "object" if object => self.object = restriction(key, value)?,
            "directory" if object => self.directory = restriction(key, value)?,
            "filter" if object => {
                self.filter =
                    Some(value.as_object().cloned().ok_or_else(|| wrong(key, "a dictionary"))?);
            }
            "order_by" if object => self.order_by = Some(text(key, value)?),
            "no_empty" if object || matches!(elem, Elem::File | Elem::Enum) => {
                self.no_empty = flag(key, value)?;
            }
            "enum" if elem == Elem::Enum => self.choices = choices(key, value)?,
            "pattern" if elem == Elem::String => {
                self.pattern = Some(Pattern::new(&text(key, value)?)?);
            }
            "min_length" if elem == Elem::String => self.min_length = Some(count(key, value)?),
            "max_length" if elem == Elem::String => self.max_length = Some(count(key, value)?),
            "strip" if stripped => self.strip = flag(key, value)?,
            "key_strip" if matches!(shape, Shape::Dictionary(_)) => {
                self.key_strip = flag(key, value)?;
            }
            "min_value" if number => self.min_value = Some(bound(key, value)?),
            "max_value" if number => self.max_value = Some(bound(key, value)?),
            "file_accept" if elem == Elem::File => self.file_accept = texts(key, value)?,
            "schemes" if elem == Elem::URL => {
                let schemes = texts(key, value)?;
                self.schemes = Some(schemes.iter().map(|s| s.to_ascii_lowercase()).collect());
            }
            _ => {} // unknown, or not for this type: kept, without effect
        }
        Ok(())
    }

    /// The qualifier as it was written, known or not.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.raw.get(key)
    }

    /// The default as it was written, unless the type takes none.
    #[must_use]
    pub fn default_json(&self, shape: Shape) -> Option<&Json> {
        if shape.elem() == Elem::File { None } else { self.raw.get("default") }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The schemes that are allowed for a URL.
    #[must_use]
    pub fn scheme_list(&self) -> Vec<&str> {
        match &self.schemes {
            None => DEFAULT_SCHEMES.to_vec(),
            Some(schemes) => schemes.iter().map(String::as_str).collect(),
        }
    }

    /// Whether `scheme` (lower case) is allowed for a URL.
    #[must_use]
    pub fn allows_scheme(&self, scheme: &str) -> bool {
        match &self.schemes {
            None => DEFAULT_SCHEMES.contains(&scheme),
            Some(schemes) => schemes.iter().any(|allowed| allowed == scheme),
        }
    }
}

impl fmt::Display for Qualifiers {
    /// Compact JSON, keys in the order written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.raw).map_err(|_| fmt::Error)?)
    }
}

fn wrong(key: &str, wanted: &str) -> Fault {
    Fault::new(Kind::Invalid, message!("qualifier.wrong_form", key = key, wanted = wanted))
}

fn flag(key: &str, value: &Json) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| wrong(key, "true or false"))
}

fn text(key: &str, value: &Json) -> Result<String, Fault> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong(key, "a string"))
}

fn count(key: &str, value: &Json) -> Result<u64, Fault> {
    value.as_u64().ok_or_else(|| wrong(key, "an integer of 0 or more"))
}

fn bound(key: &str, value: &Json) -> Result<Number, Fault> {
    value.as_number().cloned().ok_or_else(|| wrong(key, "a number"))
}

fn texts(key: &str, value: &Json) -> Result<Vec<String>, Fault> {
    match value {
        Json::String(one) => Ok(vec![one.clone()]),
        Json::Array(list) => list.iter().map(|item| text(key, item)).collect(),
        _ => Err(wrong(key, "a string or a list of strings")),
    }
}

fn restriction(key: &str, value: &Json) -> Result<Restriction, Fault> {
    match value {
        Json::Null => Ok(Restriction::None),
        Json::Object(map) => Ok(Restriction::Switch(Box::new(Switch::parse(map)?))),
        _ => {
            let entries = texts(key, value)?;
            let entries = entries.iter().map(|entry| Reference::parse(entry));
            Ok(Restriction::Of(entries.collect::<Result<_, _>>()?))
        }
    }
}

fn choices(key: &str, value: &Json) -> Result<Choices, Fault> {
    match value {
        Json::Null => Ok(Choices::None),
        Json::String(text) if text.is_empty() => Ok(Choices::None),
        Json::String(text) => Ok(Choices::Field(Reference::parse(text)?)),
        Json::Object(map) if map.is_empty() => Ok(Choices::None),
        Json::Object(map) => Ok(Choices::Switch(Box::new(Switch::parse(map)?))),
        Json::Array(list) => {
            Ok(Choices::Fixed(list.iter().map(|item| choice(key, item)).collect::<Result<_, _>>()?))
        }
        _ => Err(wrong(key, "a list, a reference or a switch")),
    }
}

fn choice(key: &str, value: &Json) -> Result<Choice, Fault> {
    let one = |data: &str, label: &str| Choice { data: data.to_owned(), label: label.to_owned() };
    match value {
        Json::String(data) => Ok(one(data, data)),
        Json::Array(pair) => match pair.as_slice() {
            [Json::String(data), Json::String(label)] => Ok(one(data, label)),
            [Json::String(data)] => Ok(one(data, data)),
            _ => Err(wrong(key, "pairs of data and label")),
        },
        _ => Err(wrong(key, "strings or pairs of data and label")),
    }
}

fn depth(value: &Json) -> usize {
    match value {
        Json::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Json::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
