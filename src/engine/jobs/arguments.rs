//! Arguments of built-in jobs, by the table of signatures.

use std::collections::HashMap;
use std::time::Duration;

use kompira_schema::signature::Signature;
use kompira_schema::value::{Dict, Value};

use crate::engine::vm::builtin::{missing, too_many, twice, unexpected};

/// Arguments by the names of their parameters; what was left out or is null is not there.
pub(super) struct Args<'a> {
    job: &'a str,
    held: HashMap<&'a str, Value>,
}

impl<'a> Args<'a> {
    /// # Errors
    /// The texts of `language/calls`.
    pub(super) fn bind(
        signature: &'a Signature,
        positional: &[Value],
        named: &[(String, Value)],
    ) -> Result<Self, String> {
        let job = signature.name.as_str();
        let told = |raise: crate::engine::vm::Raise| raise.message().to_owned();
        let mut held = HashMap::new();
        if positional.len() > signature.params.len() {
            return Err(told(too_many(job, signature.params.len())));
        }
        for (parameter, value) in signature.params.iter().zip(positional) {
            held.insert(parameter.name.as_str(), value.clone());
        }
        for (name, value) in named {
            let parameter = signature.param(name).ok_or_else(|| told(unexpected(job, name)))?;
            if held.insert(parameter.name.as_str(), value.clone()).is_some() {
                return Err(told(twice(job, name)));
            }
        }
        for parameter in signature.params.iter().filter(|parameter| !parameter.optional) {
            if !held.contains_key(parameter.name.as_str()) {
                return Err(told(missing(job, &parameter.name)));
            }
        }
        Ok(Self { job, held })
    }

    /// What was given, null too.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.held.get(name)
    }

    /// What was given and is not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.held.get(name).filter(|value| !matches!(value, Value::Null))
    }

    pub(super) fn wrong(&self, name: &str, value: &Value) -> String {
        format!("{}(): '{name}' cannot be of type {}", self.job, value.type_name())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Str(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    pub(super) fn dict(&self, name: &str) -> Result<Option<&Dict>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Dict(dict)) => Ok(Some(dict)),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// Names and texts of a Dictionary; an Array as value repeats its name.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, String> {
        Ok(self.dict(name)?.map(pairs).unwrap_or_default())
    }

    /// A String, or an Array of such.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Str(text)) => Ok(vec![text.clone()]),
            Some(all @ Value::Array(items)) => items
                .iter()
                .map(|item| match item {
                    Value::Str(text) => Ok(text.clone()),
                    _ => Err(self.wrong(name, all)),
                })
                .collect(),
            Some(other) => Err(self.wrong(name, other)),
        }
    }

    /// Seconds; none, zero and less are without end.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, String> {
        #[expect(clippy::cast_precision_loss, reason = "years are precise enough")]
        let seconds = match self.get(name) {
            None => return Ok(None),
            Some(Value::Int(seconds)) => *seconds as f64,
            Some(Value::Float(seconds)) => *seconds,
            Some(other) => return Err(self.wrong(name, other)),
        };
        Ok(Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero()))
    }
}

/// Names and texts of a Dictionary; an Array as value repeats its name.
pub(super) fn pairs(dict: &Dict) -> Vec<(String, String)> {
    let mut all = Vec::with_capacity(dict.len());
    for (name, value) in dict {
        match value {
            Value::Array(items) => {
                all.extend(items.iter().map(|item| (name.clone(), text(item))));
            }
            Value::Null => {}
            value => all.push((name.clone(), text(value))),
        }
    }
    all
}

/// A value as a form or a header has it.
pub(in crate::engine) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Str(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Big(number) => number.to_string(),
        Value::Float(number) => crate::engine::vm::text::float(*number),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => json(other),
    }
}

/// A value as JSON.
pub(super) fn json(value: &Value) -> String {
    kompira_schema::layout::json::from_value(value, &mut |_| None).to_string()
}
