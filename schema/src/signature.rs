//! Built-in jobs, functions and methods as data: for the checker, the machine and the manual.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::types::Labels;

#[cfg(test)]
mod tests;

/// What is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A built-in job: `[print: …]`.
    Job,
    /// A built-in function, usable in expressions and as a job.
    Function,
    /// A method of a value or object.
    #[default]
    Method,
}

/// How a parameter takes its arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Take {
    /// One, by position or keyword.
    #[default]
    One,
    /// All remaining positional ones: `*args`.
    Rest,
    /// All remaining keyword ones: `**kw`.
    Keywords,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its default as it would be written in a jobflow; `None`: an argument is required (or, after
    /// `?`, may be left out without a default).
    pub default: Option<String>,
    /// Whether it may be left out though it has no default.
    pub optional: bool,
    /// How it takes its arguments.
    pub take: Take,
}

impl From<String> for Param {
    /// `name`, `name=default`, `name?`, `*rest`, `**keywords`.
    fn from(text: String) -> Self {
        let plain = |name: &str, take| Self {
            name: name.to_owned(),
            default: None,
            optional: take != Take::One,
            take,
        };
        if let Some(name) = text.strip_prefix("**") {
            plain(name, Take::Keywords)
        } else if let Some(name) = text.strip_prefix('*') {
            plain(name, Take::Rest)
        } else if let Some((name, default)) = text.split_once('=') {
            Self { default: Some(default.to_owned()), optional: true, ..plain(name, Take::One) }
        } else if let Some(name) = text.strip_suffix('?') {
            Self { optional: true, ..plain(name, Take::One) }
        } else {
            plain(&text, Take::One)
        }
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.take, &self.default) {
            (Take::Rest, _) => write!(f, "*{}", self.name),
            (Take::Keywords, _) => write!(f, "**{}", self.name),
            (Take::One, Some(default)) => write!(f, "{}={default}", self.name),
            (Take::One, None) if self.optional => write!(f, "{}?", self.name),
            (Take::One, None) => f.write_str(&self.name),
        }
    }
}

/// What the caller must be allowed to do with the receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Needs {
    /// Nothing: the receiver is a value.
    #[default]
    #[serde(rename = "none")]
    Nothing,
    /// Read it.
    #[serde(rename = "read")]
    Read,
    /// Write it.
    #[serde(rename = "write")]
    Write,
    /// Both.
    #[serde(rename = "read+write")]
    ReadWrite,
}

/// How something built in is called.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// Job, function or method.
    #[serde(default)]
    pub kind: Kind,
    /// Its parameters.
    #[serde(rename = "args")]
    pub params: Vec<Param>,
    /// What it answers with, as the manual writes it.
    pub returns: String,
    /// What the caller needs on the receiver.
    #[serde(default)]
    pub needs: Needs,
    /// Its meaning.
    #[serde(default, deserialize_with = "doc")]
    pub doc: Labels,
}

fn doc<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Labels, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Doc {
        One(String),
        Both(Labels),
    }
    Ok(match Doc::deserialize(input)? {
        Doc::One(en) => Labels { en, ja: String::new() },
        Doc::Both(labels) => labels,
    })
}

impl Signature {
    /// The parameter `name`, `*rest` and `**keywords` left out.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.take == Take::One && param.name == name)
    }

    /// Fewest and most positional arguments; `None` for any number.
    #[must_use]
    pub fn arity(&self) -> (usize, Option<usize>) {
        let least = self.params.iter().filter(|param| !param.optional).count();
        // What stands behind `*rest` can be given by keyword alone.
        let rest = self.params.iter().any(|param| param.take == Take::Rest);
        let most = self.params.iter().filter(|param| param.take == Take::One).count();
        (least, (!rest).then_some(most))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (index, param) in self.params.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            param.fmt(f)?;
        }
        f.write_str(")")
    }
}

#[derive(Deserialize)]
struct BuiltinFile {
    jobs: Vec<Signature>,
    functions: Vec<Signature>,
    methods: indexmap::IndexMap<String, Vec<Signature>>,
    properties: indexmap::IndexMap<String, Vec<String>>,
}

struct Builtins {
    file: BuiltinFile,
    jobs: HashMap<String, usize>,
    functions: HashMap<String, usize>,
}

static BUILTINS: LazyLock<Builtins> = LazyLock::new(|| {
    let mut file: BuiltinFile = serde_yaml::from_str(include_str!("signature/builtins.yaml"))
        .unwrap_or_else(|error| panic!("signature/builtins.yaml: {error}"));
    file.jobs.iter_mut().for_each(|job| job.kind = Kind::Job);
    file.functions.iter_mut().for_each(|function| function.kind = Kind::Function);
    let index = |list: &[Signature]| {
        list.iter().enumerate().map(|(at, signature)| (signature.name.clone(), at)).collect()
    };
    Builtins { jobs: index(&file.jobs), functions: index(&file.functions), file }
});

/// The built-in jobs, in the order of the manual.
#[must_use]
pub fn jobs() -> &'static [Signature] {
    &BUILTINS.file.jobs
}

/// The built-in functions, in the order of the manual.
#[must_use]
pub fn functions() -> &'static [Signature] {
    &BUILTINS.file.functions
}

/// The built-in job `name`.
#[must_use]
pub fn job(name: &str) -> Option<&'static Signature> {
    jobs().get(*BUILTINS.jobs.get(name)?)
}

/// The built-in function `name`.
#[must_use]
pub fn function(name: &str) -> Option<&'static Signature> {
    functions().get(*BUILTINS.functions.get(name)?)
}

/// The methods of values of type `String`, `Array`, … (as `type()` names them).
#[must_use]
pub fn methods(type_name: &str) -> &'static [Signature] {
    BUILTINS.file.methods.get(type_name).map_or(&[], Vec::as_slice)
}

/// The method `name` of values of a type.
#[must_use]
pub fn method(type_name: &str, name: &str) -> Option<&'static Signature> {
    methods(type_name).iter().find(|method| method.name == name)
}

/// The names of the properties of values of a type.
#[must_use]
pub fn properties(type_name: &str) -> &'static [String] {
    BUILTINS.file.properties.get(type_name).map_or(&[], Vec::as_slice)
}
