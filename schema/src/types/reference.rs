//! The page of the manual that lists the built-in types.

use std::fmt::Write;

use super::{Access, Creatable, TypeDef, builtins, special};
use crate::signature::Signature;

/// Tables of all built-in types and special objects, for `docs/reference/types.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from("# Built-in types\n\nGenerated from `schema/types/*.yaml`.\n");
    for def in builtins() {
        one(&mut out, def);
    }
    out.push_str("\n# Special objects\n");
    for family in special() {
        let _ = write!(out, "\n## {0} {{#{0}}}\n\n`{1}/id_N`\n", family.name, family.root.path);
        out.push_str("\n| property | type | access | meaning |\n|---|---|---|---|\n");
        for property in &family.properties {
            row(
                &mut out,
                &[
                    &code(&property.name),
                    &code(&property.type_text),
                    &property.access,
                    &property.doc,
                ],
            );
        }
        methods(&mut out, family.methods.iter().chain(&family.root_methods));
    }
    out
}

fn one(out: &mut String, def: &TypeDef) {
    let (en, ja) = (&def.display_name.en, &def.display_name.ja);
    let _ = write!(out, "\n## {0} {{#{0}}}\n\n*{en}* / *{ja}*. {1}", def.name, def.doc);
    match def.creatable {
        Creatable::Any => {}
        Creatable::Root => out.push_str(" Only privileged users create one."),
        Creatable::No => out.push_str(" Nobody creates one."),
    }
    if let Some(field) = &def.file.representative {
        let _ = write!(out, " Its file holds `{field}`.");
    }
    if !def.file.suffixes.is_empty() {
        let list: Vec<_> = def.file.suffixes.iter().map(|suffix| format!("`.{suffix}`")).collect();
        let _ = write!(out, " File suffixes: {}.", list.join(" "));
    }
    out.push('\n');
    if def.fields().len() > 0 {
        out.push_str("\n| field | label | type | written by | meaning |\n|---|---|---|---|---|\n");
        for field in def.fields() {
            let access = match field.access {
                Access::Write => "users",
                Access::System => "the server",
                Access::NotInForms => "users, not in forms",
            };
            let label = format!("{} / {}", field.display_name.en, field.display_name.ja);
            let type_text = code(&field.field_type.to_string());
            row(out, &[&code(&field.name), &label, &type_text, access, &field.doc]);
        }
    }
    if !def.properties.is_empty() {
        out.push_str("\n| property | type | access | meaning |\n|---|---|---|---|\n");
        for property in &def.properties {
            row(
                out,
                &[
                    &code(&property.name),
                    &code(&property.type_text),
                    &property.access,
                    &property.doc,
                ],
            );
        }
    }
    methods(out, def.methods.iter());
}

fn methods<'a>(out: &mut String, list: impl Iterator<Item = &'a Signature>) {
    let mut list = list.peekable();
    if list.peek().is_some() {
        out.push_str("\n| method | result | meaning |\n|---|---|---|\n");
    }
    for method in list {
        row(out, &[&code(&method.to_string()), &method.returns, &method.doc.en]);
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn row(out: &mut String, cells: &[&str]) {
    for cell in cells {
        let _ = write!(out, "| {} ", cell.replace('|', "\\|"));
    }
    out.push_str("|\n");
}
