//! Special objects: processes, schedules, users, groups, incidents, tasks. They have properties
//! and methods, but no fields and no type object.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value as Json;

use super::load::parse;
use crate::signature::Signature;

/// A family of special objects.
#[derive(Debug, Deserialize)]
pub struct Special {
    /// Process, Schedule, User, Group, Incident or Task.
    pub name: String,
    /// The Virtual object below which they live.
    pub root: SpecialRoot,
    /// Whether they can be deleted at all.
    #[serde(default)]
    pub deletable: bool,
    /// Names of those that cannot.
    #[serde(default)]
    pub undeletable: Vec<String>,
    /// Properties in the order of the manual.
    pub properties: Vec<SpecialProperty>,
    /// Methods of one of them.
    #[serde(default)]
    pub methods: Vec<Signature>,
    /// Methods of the root.
    #[serde(default)]
    pub root_methods: Vec<Signature>,
    /// Operations that only screens and the HTTP API offer.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// The Virtual object of a family.
#[derive(Debug, Deserialize)]
pub struct SpecialRoot {
    /// Its path.
    pub path: String,
    /// What `type()` says of it.
    pub class: String,
    /// The value of its field `virtual`.
    #[serde(rename = "virtual")]
    pub family: String,
}

/// A property of a special object.
#[derive(Debug, Deserialize)]
pub struct SpecialProperty {
    /// Its name.
    pub name: String,
    /// What it is, as the manual writes it.
    #[serde(rename = "type")]
    pub type_text: String,
    /// `ro`, `rw`, `rw-root`, `wo` or `append`.
    pub access: String,
    /// Whether a creation must give it.
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    rest: Json,
    #[serde(default)]
    filter: Json,
    /// The texts it can have.
    #[serde(default)]
    pub values: Vec<String>,
    /// Its value when none is given.
    #[serde(default)]
    pub default: Option<Json>,
    /// Its meaning.
    pub doc: String,
}

impl SpecialProperty {
    /// Whether the HTTP API shows it.
    #[must_use]
    pub fn in_rest(&self) -> bool {
        self.rest == Json::Bool(true)
    }

    /// Look-ups a query may use on it, `exact` and the like.
    #[must_use]
    pub fn lookups(&self) -> Vec<&str> {
        match &self.filter {
            Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
            Json::String(_) => vec![
                "exact",
                "iexact",
                "contains",
                "icontains",
                "startswith",
                "istartswith",
                "endswith",
                "iendswith",
                "regex",
                "iregex",
            ],
            _ => Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct SpecialFile {
    special: Vec<Special>,
}

static SPECIAL: LazyLock<Vec<Special>> = LazyLock::new(|| {
    parse::<SpecialFile>("special", include_str!("../../types/special.yaml")).special
});

/// Every family.
#[must_use]
pub fn special() -> &'static [Special] {
    &SPECIAL
}
