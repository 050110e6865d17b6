//! Text: its media type (rule: `tree/texts`).

use kompira_schema::error::Fault;
use kompira_schema::value::{Dict, Value};

use super::Behaviour;
use crate::tree::model::Stub;
use crate::tree::view::View;

pub(super) struct Text;

impl Behaviour for Text {
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn properties(&self, view: &View, stub: &Stub) -> Result<Dict, Fault> {
        let body = view.body_of(stub.head.id)?;
        let text = |field: &str| match body.field(field) {
            Some(Value::Str(text)) => text.clone(),
            _ => String::new(),
        };
        let given = text("contentType");
        let kind = if given.is_empty() { media_type(&text("ext")).to_owned() } else { given };
        Ok(Dict::from_iter([("content_type".to_owned(), Value::Str(kind))]))
    }
}

/// The media type of an extension.
fn media_type(ext: &str) -> &'static str {
    match ext.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" => "text/javascript",
        "json" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "yaml" | "yml" => "application/yaml",
        "md" => "text/markdown",
        _ => "text/plain",
    }
}
