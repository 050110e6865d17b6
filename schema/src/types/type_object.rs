//! Type objects: three parallel arrays that define a type (also inside Form and Config).

use indexmap::IndexMap;

use super::{Container, Creatable, Executable, FieldDef, FileForm, Labels, TypeDef};
use crate::catalogue::Lang;
use crate::error::Problem;
use crate::field::{Elem, FieldType, Shape};
use crate::limits::FIELDS_MAX;
use crate::message;
use crate::path::is_word_char;
use crate::value::{Dict, Value};

/// Names of the fields of a type object.
pub struct TypeObjectFields;

impl TypeObjectFields {
    /// Extension module; data only.
    pub const EXTEND: &str = "extend";
    /// Identifiers, one per field.
    pub const NAMES: &str = "fieldNames";
    /// Labels in the same order.
    pub const LABELS: &str = "fieldDisplayNames";
    /// Field types in the same order.
    pub const TYPES: &str = "fieldTypes";
}

fn texts(fields: &Dict, key: &str) -> Vec<String> {
    match fields.get(key) {
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| match item {
                Value::Str(text) => text.clone(),
                Value::Int(number) => number.to_string(),
                _ => String::new(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn is_identifier(text: &str) -> bool {
    text.chars().next().is_some_and(|first| !first.is_ascii_digit())
        && text.chars().all(is_word_char)
}

/// Everything that is wrong with a definition, at `fieldNames[i]` or `fieldTypes[i]`
/// (rule: `objects/type-objects`). A shorter list of labels is no problem: names fill it.
#[must_use]
pub fn check_type_object(fields: &Dict) -> Vec<Problem> {
    let names = texts(fields, TypeObjectFields::NAMES);
    let labels = texts(fields, TypeObjectFields::LABELS);
    let types = texts(fields, TypeObjectFields::TYPES);
    let mut problems = Vec::new();
    if names.len() > FIELDS_MAX {
        problems.push(Problem {
            at: TypeObjectFields::NAMES.to_owned(),
            message: message!("type.too_many_fields", count = names.len(), max = FIELDS_MAX),
        });
    }
    if types.len() != names.len() {
        problems.push(Problem {
            at: TypeObjectFields::TYPES.to_owned(),
            message: message!("type.unequal_lengths", names = names.len(), count = types.len()),
        });
    }
    if labels.len() > names.len() {
        problems.push(Problem {
            at: TypeObjectFields::LABELS.to_owned(),
            message: message!("type.unequal_lengths", names = names.len(), count = labels.len()),
        });
    }
    let mut seen = std::collections::HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let at = || format!("{}[{index}]", TypeObjectFields::NAMES);
        if !is_identifier(name) {
            problems
                .push(Problem { at: at(), message: message!("type.bad_field_name", name = name) });
        } else if !seen.insert(name) {
            problems.push(Problem { at: at(), message: message!("type.field_twice", name = name) });
        }
    }
    for (index, text) in types.iter().enumerate() {
        if let Err(fault) = FieldType::parse(text) {
            problems.push(Problem {
                at: format!("{}[{index}]", TypeObjectFields::TYPES),
                message: fault.told().clone(),
            });
        }
    }
    problems
}

pub(super) fn read(name: &str, fields: &Dict) -> TypeDef {
    let labels = texts(fields, TypeObjectFields::LABELS);
    let types = texts(fields, TypeObjectFields::TYPES);
    let mut defs = IndexMap::new();
    for (index, field) in
        texts(fields, TypeObjectFields::NAMES).into_iter().take(FIELDS_MAX).enumerate()
    {
        if field.is_empty() || defs.contains_key(&field) {
            continue;
        }
        let field_type = types.get(index).map_or_else(
            || FieldType::plain(Shape::One(Elem::String)),
            |text| FieldType::parse_lenient(text),
        );
        let mut def = FieldDef::new(&field, field_type);
        if let Some(label) = labels.get(index).filter(|label| !label.is_empty()) {
            def.display_name = Labels::same(label);
        }
        defs.insert(field, def);
    }
    TypeDef {
        name: name.to_owned(),
        builtin: false,
        display_name: Labels::same(name),
        doc: String::new(),
        container: Container::No,
        creatable: Creatable::Any,
        singleton: None,
        only_under: None,
        executable: Executable::No,
        licence_counted: false,
        deprecated: false,
        file: FileForm::default(),
        methods: Vec::new(),
        properties: Vec::new(),
        actions: Vec::new(),
        fields: defs,
    }
}

pub(super) fn write<'a>(fields: impl Iterator<Item = &'a FieldDef>, lang: Lang) -> Dict {
    let (mut names, mut labels, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        names.push(Value::from(field.name.as_str()));
        labels.push(Value::from(field.display_name.of(lang)));
        types.push(Value::from(field.field_type.to_string()));
    }
    Dict::from_iter([
        (TypeObjectFields::EXTEND.to_owned(), Value::from("kompira.extends")),
        (TypeObjectFields::NAMES.to_owned(), Value::Array(names)),
        (TypeObjectFields::LABELS.to_owned(), Value::Array(labels)),
        (TypeObjectFields::TYPES.to_owned(), Value::Array(types)),
    ])
}
