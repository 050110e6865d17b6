//! `render()` of a Text: a template engine with the entries of its Environment.

use kompira_schema::id::ObjectId;
use kompira_schema::value::{Ref, Value as Plain};

use super::World;
use crate::engine::vm::Raise;

/// Instructions of one rendering. Reason: a template may loop, and nothing interrupts it.
const FUEL: u64 = 1_000_000;

impl World<'_> {
    /// The text with its variables filled in; without an Environment it stays as it is.
    pub(super) fn render_text(&mut self, id: ObjectId) -> Result<String, Raise> {
        let path = self.path(id);
        let object = self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
        let text = match object.fields.get("text") {
            Some(Plain::Str(text)) => text.clone(),
            _ => String::new(),
        };
        let Some(Plain::Object(Ref::Object(context))) = object.fields.get("context") else {
            return Ok(text);
        };
        let context = *context;
        let environment =
            self.txn.get(&self.who, context).map_err(|fault| self.raise(&fault, &path))?;
        let variables = self.txn.field(&environment, "environment");
        let variables = variables.as_deref().map(plain).unwrap_or(minijinja::Value::UNDEFINED);

        let mut engine = minijinja::Environment::new();
        engine.set_fuel(Some(FUEL));
        // Other Texts are found by path; what is read is read as the process's user.
        let mut sources = std::collections::HashMap::new();
        self.gather_texts(id, &text, &mut sources, 0)?;
        for (name, source) in &sources {
            engine
                .add_template_owned(name.clone(), source.clone())
                .map_err(|error| Raise::new(format!("{name}: {error}")))?;
        }
        engine.render_str(&text, variables).map_err(|error| Raise::new(format!("{path}: {error}")))
    }

    /// Reads the Texts that `include` and `extends` name.
    fn gather_texts(
        &mut self,
        base: ObjectId,
        text: &str,
        into: &mut std::collections::HashMap<String, String>,
        depth: usize,
    ) -> Result<(), Raise> {
        /// Texts within Texts. Reason: a text that includes itself.
        const DEPTH: usize = 16;
        if depth > DEPTH {
            return Err(Raise::new("templates are nested too deeply"));
        }
        for tag in text.split("{%").skip(1) {
            let tag = tag.trim_start_matches(['-', '+']).trim_start();
            let Some(rest) = tag.strip_prefix("include").or_else(|| tag.strip_prefix("extends"))
            else {
                continue;
            };
            let rest = rest.trim_start();
            let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
                continue;
            };
            let Some((name, _)) = rest.get(1..).and_then(|rest| rest.split_once(quote)) else {
                continue;
            };
            if into.contains_key(name) {
                continue;
            }
            let found = self.find(base, name)?;
            let Some(id) = found.object() else { continue };
            let path = self.path(id);
            let object = self.txn.get(&self.who, id).map_err(|fault| self.raise(&fault, &path))?;
            let source = match object.fields.get("text") {
                Some(Plain::Str(text)) => text.clone(),
                _ => String::new(),
            };
            into.insert(name.to_owned(), source.clone());
            self.gather_texts(id, &source, into, depth + 1)?;
        }
        Ok(())
    }
}

/// A value as the template engine sees it: plain data, no way back to the host.
fn plain(value: &Plain) -> minijinja::Value {
    match value {
        Plain::Null | Plain::Sealed(_) => minijinja::Value::from(()),
        Plain::Bool(truth) => (*truth).into(),
        Plain::Int(number) => (*number).into(),
        Plain::Float(number) => (*number).into(),
        Plain::Str(text) => text.as_str().into(),
        Plain::Array(items) => items.iter().map(plain).collect(),
        Plain::Dict(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
        }
        Plain::Big(number) => number.to_string().into(),
        Plain::Datetime(at) => at.to_string().into(),
        Plain::Date(date) => date.to_string().into(),
        Plain::Time(time) => time.to_string().into(),
        Plain::Timedelta(span) => span.to_string().into(),
        Plain::File(file) => file.name.as_str().into(),
        Plain::Bytes(_) | Plain::Object(_) => minijinja::Value::UNDEFINED,
    }
}
