//! Following references of qualifiers (rule: `objects/qualifier-references`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::field::{CasePattern, Reference, Source, Switch};
use kompira_schema::id::ObjectId;
use kompira_schema::value::{Ref, Value};
use serde_json::Value as Json;

use super::Asking;
use crate::lang::ast::PatternKind;
use crate::lang::pattern::Pattern;
use crate::tree::model::Object;

impl Asking<'_> {
    /// The objects that a reference means; what does not exist or cannot be read is none.
    pub(super) fn objects(&self, reference: &Reference) -> Result<Vec<ObjectId>, Fault> {
        let values = match self.value(reference)? {
            Some(Value::Array(items)) => items,
            Some(single) => vec![single],
            None => Vec::new(),
        };
        let mut found = Vec::new();
        for value in values {
            found.extend(self.object(&value)?.map(|object| object.id()));
        }
        Ok(found)
    }

    /// The value that a reference means; `None` when it cannot be followed.
    pub(super) fn value(&self, reference: &Reference) -> Result<Option<Value>, Fault> {
        let (source, data) = match &reference.source {
            Source::Path(path) => (self.at(path), false),
            Source::ConfigData(path) => (self.at(path), true),
            Source::Dependent(field) => (self.values.get(field).cloned(), false),
        };
        let (Some(source), Some(field)) = (source.clone(), &reference.field) else {
            return Ok(source);
        };
        let Some(object) = self.object(&source)? else { return Ok(None) };
        if data {
            return Ok(object.data.as_ref().and_then(|data| data.get(field)).cloned());
        }
        Ok(self.view.field(&object, field).map(std::borrow::Cow::into_owned))
    }

    /// An object that the caller can read, by reference or path.
    fn object(&self, value: &Value) -> Result<Option<Object>, Fault> {
        let id = match value {
            Value::Object(Ref::Object(id)) => *id,
            Value::Str(path) => match self.at(path) {
                Some(Value::Object(Ref::Object(id))) => id,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        match self.view.get(self.who, id) {
            Ok(object) => Ok(Some(object)),
            Err(fault) if matches!(fault.kind(), Kind::NotFound | Kind::Denied) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A path, `~`, `~/x`, `~name/x` or `~(name)/x`.
    fn at(&self, path: &str) -> Option<Value> {
        let found = match path.strip_prefix('~') {
            None => self.view.resolve_from(ObjectId::ROOT, path),
            Some(rest) => {
                let (name, rest) = match rest.strip_prefix('(') {
                    Some(rest) => rest.split_once(')')?,
                    None => rest.split_at(rest.find('/').unwrap_or(rest.len())),
                };
                let user = match name {
                    "" => self.view.principals().ok()?.user(self.who.user).cloned()?,
                    name => self.view.user_by_name(name)?,
                };
                self.view.resolve_from(user.home?, rest.trim_start_matches('/'))
            }
        };
        found.ok().map(|id| Value::Object(Ref::Object(id)))
    }

    /// The case that a switch chooses: the first that fits, in the order written.
    pub(super) fn case<'a>(&self, switch: &'a Switch) -> Result<Option<&'a Json>, Fault> {
        let subjects = match self.value(&switch.on)? {
            Some(value @ Value::Object(Ref::Object(_))) => match self.object(&value)? {
                Some(object) => vec![object.stub.head.name, object.stub.path],
                None => vec![String::new()],
            },
            Some(value) => vec![self.text(value).unwrap_or_default()],
            None => vec![String::new()],
        };
        let kind = match switch.pattern {
            CasePattern::Glob => PatternKind::Glob,
            CasePattern::Exact => PatternKind::Exact,
            CasePattern::Regex => PatternKind::Regex,
        };
        let fits = |text: &str| {
            let whole = match kind {
                PatternKind::Regex => format!(r"\A(?:{text})\z"),
                _ => text.to_owned(),
            };
            let pattern = Pattern::new(kind, whole, switch.ignore_case);
            subjects.iter().any(|subject| pattern.fits(subject).unwrap_or(false))
        };
        Ok(switch.cases.iter().find(|(pattern, _)| fits(pattern)).map(|(_, json)| json))
    }

    /// A value as text; null is empty.
    pub(super) fn text(&self, value: Value) -> Option<String> {
        Some(match value {
            Value::Null => String::new(),
            Value::Str(text) => text,
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Object(target) => self.view.reference_path(target)?,
            _ => return None,
        })
    }
}
