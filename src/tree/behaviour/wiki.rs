//! Wiki: the notation from the suffix, and pages as HTML (rule: `tree/wiki`).

mod clean;
mod creole;
mod html;
mod inline;
mod list;
mod markdown;
#[cfg(test)]
mod tests;
mod textile;

use kompira_schema::error::{Fault, Kind, Problem};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use super::{Behaviour, Saving};
use crate::tree::view::View;

/// Bytes of a page that is set; a longer one is shown as it is.
const PAGE_MAX: usize = 1024 * 1024;

pub(super) struct Wiki;

impl Behaviour for Wiki {
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn given(&self, field: &str, suffix: Option<&str>) -> Option<Value> {
        suffix.filter(|_| field == "style").and_then(style_of).map(Value::from)
    }

    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        if saving.old.is_none()
            && let Some(style) = saving.suffix.and_then(style_of)
        {
            let style = Value::from(style);
            saving.fields.entry("style".to_owned()).or_insert(style);
        }
        Ok(())
    }
}

impl View {
    /// A Wiki page as an HTML fragment that is safe to show; the caller needs read.
    ///
    /// # Errors
    /// [`Kind::NoMethod`] for another type; [`Kind::Denied`].
    pub fn render_wiki(&self, who: &Caller, id: ObjectId) -> Result<String, Fault> {
        let object = self.get(who, id)?;
        if self.builtin("Wiki") != Some(object.stub.head.type_id) {
            return Err(Fault::new(Kind::NoMethod, message!("wiki.none", path = object.stub.path)));
        }
        let text = |name: &str| match object.fields.get(name) {
            Some(Value::Str(text)) => text.as_str(),
            _ => "",
        };
        Ok(render(text("style"), text("wikitext")))
    }
}

/// A text of a notation (`Creole` when it is none) as HTML.
fn render(style: &str, text: &str) -> String {
    if text.len() > PAGE_MAX {
        let mut out = html::Html::default();
        out.element("pre", text);
        return out.done();
    }
    let html = match style {
        "Markdown" => markdown::render(text),
        "Textile" => textile::render(text),
        _ => creole::render(text),
    };
    clean::clean(&html)
}

/// The notation of a suffix, where it is not the default.
fn style_of(suffix: &str) -> Option<&'static str> {
    match suffix.to_ascii_lowercase().as_str() {
        "md" => Some("Markdown"),
        "textile" => Some("Textile"),
        _ => None,
    }
}
