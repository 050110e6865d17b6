//! Wiki: a page made from a file takes its notation from the suffix.

use kompira_schema::error::Problem;
use kompira_schema::value::Value;

use super::{Behaviour, Saving};

pub(super) struct Wiki;

impl Behaviour for Wiki {
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

/// The notation of a suffix, where it is not the default.
fn style_of(suffix: &str) -> Option<&'static str> {
    match suffix.to_ascii_lowercase().as_str() {
        "md" => Some("Markdown"),
        "textile" => Some("Textile"),
        _ => None,
    }
}
