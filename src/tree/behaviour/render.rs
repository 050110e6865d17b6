//! Rendering of Text and Template objects (rule: `tree/texts`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Ref, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use crate::tree::view::View;

/// Steps that one rendering may take: a template is data of users and must end.
const FUEL: u64 = 1_000_000;
/// Nesting of included templates.
const DEPTH_MAX: usize = 32;

impl View {
    /// The rendered text of a Text or Template; the caller needs read on it and on what it
    /// includes. Without a context (its own Environment or `variables`) the text is served as it
    /// is.
    ///
    /// # Errors
    /// [`Kind::NoMethod`] for another type, [`Kind::Invalid`] with the line of a template error.
    pub fn render(
        &self,
        who: &Caller,
        id: ObjectId,
        variables: Option<&Dict>,
    ) -> Result<String, Fault> {
        let text = self.template_text(who, id)?;
        let context = match variables {
            Some(variables) => Some(variables.clone()),
            None => self.template_context(who, id)?,
        };
        let Some(context) = context else { return Ok(text) };
        let base = self.head(id)?.parent;
        self.render_text(who, base, &text, &context)
    }

    /// Renders a template text; `include` and `extends` name objects by path, relative to the
    /// container `base`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] with the line of a template error.
    pub fn render_text(
        &self,
        who: &Caller,
        base: ObjectId,
        text: &str,
        context: &Dict,
    ) -> Result<String, Fault> {
        let mut sources = vec![("".to_owned(), text.to_owned())];
        let mut at = 0;
        // What a template includes by a literal path is read before: the engine borrows nothing.
        while let Some((_, text)) = sources.get(at) {
            for path in included(text) {
                if sources.iter().all(|(known, _)| *known != path) && sources.len() < DEPTH_MAX * 8
                {
                    let found = self.resolve_from(base, &path);
                    if let Ok(text) = found.and_then(|id| self.template_text(who, id)) {
                        sources.push((path, text));
                    }
                }
            }
            at += 1;
        }
        let mut engine = Environment::new();
        engine.set_fuel(Some(FUEL));
        engine.set_recursion_limit(DEPTH_MAX);
        engine.set_undefined_behavior(UndefinedBehavior::Lenient);
        engine.set_auto_escape_callback(|_| AutoEscape::None);
        for (path, text) in sources {
            engine.add_template_owned(path, text).map_err(template_fault)?;
        }
        let values = minijinja::value::Serde(self.plain(&Value::Dict(context.clone())));
        let template = engine.get_template("").map_err(template_fault)?;
        template.render(values).map_err(template_fault)
    }

    fn template_text(&self, who: &Caller, id: ObjectId) -> Result<String, Fault> {
        let object = self.get(who, id)?;
        let field = if self.builtin("Text") == Some(object.stub.head.type_id) {
            "text"
        } else if self.builtin("Template") == Some(object.stub.head.type_id) {
            "template"
        } else {
            return Err(Fault::new(Kind::NoMethod, message!("tree.no_template")));
        };
        Ok(match object.fields.get(field) {
            Some(Value::Str(text)) => text.clone(),
            _ => String::new(),
        })
    }

    fn template_context(&self, who: &Caller, id: ObjectId) -> Result<Option<Dict>, Fault> {
        let object = self.get(who, id)?;
        let Some(Value::Object(Ref::Object(id))) = object.fields.get("context") else {
            return Ok(None);
        };
        let environment = self.get(who, *id)?;
        Ok(match environment.fields.get("environment") {
            Some(Value::Dict(variables)) => Some(variables.clone()),
            _ => Some(Dict::new()),
        })
    }

    /// A value as templates see it: references as paths, no passwords.
    fn plain(&self, value: &Value) -> serde_json::Value {
        kompira_schema::layout::json::from_value(value, &mut |target| self.reference_path(target))
    }
}

/// Literal paths after `include`, `extends`, `import` and `from`.
fn included(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for block in text.split("{%").skip(1) {
        let block = block.trim_start_matches(['-', '+']).trim_start();
        let word = ["include", "extends", "import", "from"]
            .into_iter()
            .find_map(|word| block.strip_prefix(word));
        let Some(rest) = word.map(str::trim_start) else { continue };
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else { continue };
        if let Some((path, _)) = rest.get(1..).and_then(|rest| rest.split_once(quote)) {
            found.push(path.to_owned());
        }
    }
    found
}

fn template_fault(error: minijinja::Error) -> Fault {
    let line = error.line().unwrap_or(0);
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let kind = match error.kind() {
        ErrorKind::OutOfFuel => Kind::TooLarge,
        ErrorKind::TemplateNotFound => Kind::NotFound,
        _ => Kind::Invalid,
    };
    Fault::new(kind, message!("tree.template", line = line, what = what))
}
