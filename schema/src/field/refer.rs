//! References inside qualifiers: `/a/b[f]`, `$[d][f]`, `{switch, case}`.

use serde_json::{Map, Value as Json};

use crate::error::{Fault, Kind};
use crate::message;
use crate::path::is_word_char;

/// Where a qualifier takes its value from (rule: `objects/qualifier-references`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object.
    pub source: Source,
    /// The field of that object whose value counts; `None` for the object itself.
    pub field: Option<String>,
}

/// The first part of a [`Reference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An absolute path, or one that starts with `~` or `~(user)`.
    Path(String),
    /// `/path.data[f]`: a setting of a Config object.
    ConfigData(String),
    /// `$[d]`: the present value of field `d` of the same object.
    Dependent(String),
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when `text` has none of the documented forms.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let bad = || Fault::new(Kind::Invalid, message!("qualifier.bad_reference", text = text));
        if let Some(rest) = text.strip_prefix('$') {
            let (dependent, rest) = bracket(rest).ok_or_else(bad)?;
            let field = if rest.is_empty() {
                None
            } else {
                let (field, rest) = bracket(rest).ok_or_else(bad)?;
                if !rest.is_empty() {
                    return Err(bad());
                }
                Some(field)
            };
            return Ok(Self { source: Source::Dependent(dependent), field });
        }
        if !text.starts_with(['/', '~']) {
            return Err(bad());
        }
        let (path, field) = match text.find('[') {
            None => (text, None),
            Some(at) => {
                let (path, rest) = text.split_at(at);
                let (field, rest) = bracket(rest).ok_or_else(bad)?;
                if !rest.is_empty() {
                    return Err(bad());
                }
                (path, Some(field))
            }
        };
        let source = match path.strip_suffix(".data") {
            Some(config) if field.is_some() => Source::ConfigData(config.to_owned()),
            _ => Source::Path(path.to_owned()),
        };
        Ok(Self { source, field })
    }
}

/// `[name]rest` → `(name, rest)`.
fn bracket(text: &str) -> Option<(String, &str)> {
    let (name, rest) = text.strip_prefix('[')?.split_once(']')?;
    let ok = !name.is_empty() && name.chars().all(is_word_char);
    ok.then(|| (name.to_owned(), rest))
}

/// How the patterns of a `case` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CasePattern {
    /// `*`, `?`, `[…]`.
    #[default]
    Glob,
    /// Equal text.
    Exact,
    /// A regular expression for the whole text.
    Regex,
}

/// A qualifier value that depends on another value: the first matching case counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Switch {
    /// What is looked at.
    pub on: Reference,
    /// Pattern and value, in the order written.
    pub cases: Vec<(String, Json)>,
    /// How patterns are read.
    pub pattern: CasePattern,
    /// Whether letter case is ignored.
    pub ignore_case: bool,
}

impl Switch {
    /// Reads `{"switch": …, "case": {…}}`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when one of the two keys is missing or has another form.
    pub fn parse(map: &Map<String, Json>) -> Result<Self, Fault> {
        let bad = || Fault::new(Kind::Invalid, message!("qualifier.bad_switch"));
        let on = map.get("switch").and_then(Json::as_str).ok_or_else(bad)?;
        let cases = map.get("case").and_then(Json::as_object).ok_or_else(bad)?;
        let pattern = match map.get("case_pattern_type").map(Json::as_str) {
            None | Some(Some("glob")) => CasePattern::Glob,
            Some(Some("exact")) => CasePattern::Exact,
            Some(Some("regex")) => CasePattern::Regex,
            Some(_) => return Err(bad()),
        };
        let ignore_case = match map.get("case_ignorecase") {
            None => false,
            Some(Json::Bool(ignore)) => *ignore,
            Some(_) => return Err(bad()),
        };
        Ok(Self {
            on: Reference::parse(on)?,
            cases: cases.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            pattern,
            ignore_case,
        })
    }
}
