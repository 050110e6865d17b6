//! Values between what is stored and what is shown.

use std::collections::BTreeSet;

use jiff::Zoned;
use kompira_schema::id::BlobHash;
use kompira_schema::types::{FieldDef, TypeDef};
use kompira_schema::validate::absent_value;
use kompira_schema::value::{Dict, Ref, Value};

use crate::store::Body;

/// Name under which a scratch node's bytes lie in its body. No field can be called so.
pub(super) const CONTENT: &str = ".content";
/// Name under which the values of a Config lie in its body. No field can be called so.
pub(super) const DATA: &str = ".data";

/// What a field reads as when nothing is stored.
pub(super) fn initial(def: &FieldDef, now: &Zoned) -> Value {
    absent_value(&def.field_type, now)
}

/// The stored fields, without what is no field.
pub(super) fn fields_of(body: Body) -> Dict {
    body.fields.into_iter().filter(|(name, _)| !name.starts_with('.')).collect()
}

/// Takes the values of a Config out of its body.
pub(super) fn data_of(body: &Body) -> Dict {
    match body.field(DATA) {
        Some(Value::Dict(data)) => data.clone(),
        _ => Dict::new(),
    }
}

/// The definition that the three arrays of a Config or Form give.
pub(super) fn definition(name: &str, fields: &Dict) -> TypeDef {
    TypeDef::from_type_object(name, fields)
}

/// Field (top level) and target of each reference.
pub(super) fn references(body: &Body) -> BTreeSet<(Ref, String)> {
    let mut found = BTreeSet::new();
    for (name, value) in &body.fields {
        for target in crate::store::codec::references_of([value]) {
            found.insert((target, name.clone()));
        }
    }
    found
}

/// Blobs that a body holds.
pub(super) fn blobs(body: &Body) -> BTreeSet<BlobHash> {
    crate::store::codec::blobs_of(body.fields.iter().map(|(_, value)| value))
}

/// Replaces every dangling reference by null.
pub(super) fn clear_dangling(value: &mut Value, alive: &mut dyn FnMut(Ref) -> bool) {
    match value {
        Value::Object(target) if !alive(*target) => *value = Value::Null,
        Value::Array(items) => {
            for item in items {
                clear_dangling(item, alive);
            }
        }
        Value::Dict(items) => {
            for item in items.values_mut() {
                clear_dangling(item, alive);
            }
        }
        _ => {}
    }
}

/// Whether any File value lies in the fields, `but` left out.
pub(super) fn holds_files(fields: &[(String, Value)], but: Option<&str>) -> bool {
    let others = fields.iter().filter(|(name, _)| Some(name.as_str()) != but);
    !crate::store::codec::blobs_of(others.map(|(_, value)| value)).is_empty()
}
