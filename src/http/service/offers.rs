//! `/-/candidates`: what a field offers to choose from (rule: http/candidates).

use axum::http::StatusCode;
use kompira_schema::error::Fault;
use kompira_schema::field::Elem;
use kompira_schema::path::ObjectPath;
use kompira_schema::types::FieldDef;
use kompira_schema::value::Dict;
use serde_json::json;

use crate::http::answer::{self, Failure};
use crate::http::object::{Want, conditions, keyed, listed, paged};
use crate::http::route::{Answer, Ask};
use crate::tree::View;
use crate::tree::query::{FieldPlace, Page};

/// Before the name of another field, whose present value is given.
const VALUE: &str = "value:";

/// The objects or choices that a field offers the caller.
pub(super) fn candidates(ask: &Ask) -> Answer {
    let view = ask.service.tree.view();
    let (field, values) = field(ask, &view)?;
    let filters = ask.query.without(|key| {
        matches!(key, "path" | "type" | "field" | "setting") || key.starts_with(VALUE)
    });
    let want = Want::of(&ask.query);
    let envelope = match field.field_type.shape.elem() {
        Elem::Object => {
            let page =
                Page { order_by: ask.query.get("order_by").map(str::to_owned), ..Page::default() };
            let mut conditions = conditions(&filters);
            if let Some(typed) = ask.query.get("search") {
                conditions.extend(view.search_words(&ask.who, typed)?);
            }
            let found = view.candidates_of(&ask.who, &field, &values, &conditions, &page);
            let ids = found.map_err(|fault| keyed(&filters, fault))?.ids;
            paged(ask, ids.len(), |range| {
                let page = ids.get(range).unwrap_or_default().iter();
                let rows = page.map(|&id| listed(&view, &ask.who, id, &want));
                Ok(rows.collect::<Result<_, Fault>>()?)
            })?
        }
        Elem::Enum => {
            if let Some((key, _)) = filters.filters().next() {
                return Err(Failure::field(key, "There is no such attribute to filter by."));
            }
            let choices = view.choices_of(&ask.who, &field, &values)?;
            paged(ask, choices.len(), |range| {
                let page = choices.get(range).unwrap_or_default().iter();
                Ok(page.map(|one| json!({"data": one.data, "label": one.label})).collect())
            })?
        }
        _ => return Err(Failure::field("field", "This field has nothing to choose from.")),
    };
    Ok(answer::json(StatusCode::OK, &envelope))
}

/// The field that is asked about, with the values of the others: the present ones, and those that
/// the query gives instead.
fn field(ask: &Ask, view: &View) -> Result<(FieldDef, Dict), Failure> {
    let (key, new) = match (ask.query.get("path"), ask.query.get("type")) {
        (Some(_), None) => ("path", false),
        (None, Some(_)) => ("type", true),
        _ => return Err(Failure::field("path", "Give the path of an object, or of a type.")),
    };
    let text = ask.query.get(key).unwrap_or_default();
    let bad = |fault: Fault| Failure::field(key, answer::text(fault.told()));
    let path = ObjectPath::parse(text).map_err(bad)?;
    let id = if new { view.type_by_path(&path)?.0 } else { view.resolve(&path)? };
    let place = match (new, ask.query.get("setting").is_some()) {
        (true, _) => FieldPlace::OfType,
        (false, true) => FieldPlace::Declared,
        (false, false) => FieldPlace::OfObject,
    };
    let asked = if place == FieldPlace::Declared { "setting" } else { "field" };
    let (def, mut values) = view.fields_at(&ask.who, id, place)?;
    for (name, text) in ask.query.filters() {
        let Some(name) = name.strip_prefix(VALUE) else { continue };
        let other = def.field(name);
        let other = other.ok_or_else(|| Failure::field(format!("{VALUE}{name}"), NONE))?;
        values.insert(name.to_owned(), view.chosen(id, other, text));
    }
    let found = def.field(ask.query.get(asked).unwrap_or_default());
    let found = found.ok_or_else(|| Failure::field(asked, NONE))?;
    Ok((found.clone(), values))
}

const NONE: &str = "There is no such field.";
