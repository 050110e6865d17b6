//! The page of the built-ins is made from the table that the checker and the machine use.

use std::fmt::Write as _;
use std::path::Path;

use kompira_schema::signature::{self, Needs, Signature};
use kompira_schema::types::{self, Property};

/// Types of values that have methods or properties, in the order of the manual.
const VALUES: &[&str] = &[
    "String",
    "Binary",
    "Pattern",
    "Array",
    "Dictionary",
    "LazyArray",
    "File",
    "Datetime",
    "Date",
    "Time",
    "Timedelta",
];

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

fn row(page: &mut String, signature: &Signature) {
    let needs = match signature.needs {
        Needs::Nothing => "",
        Needs::Read => "; needs read",
        Needs::Write => "; needs write",
        Needs::ReadWrite => "; needs read and write",
    };
    let returns = cell(&signature.returns);
    writeln!(page, "| `{signature}` | {returns} | {}{needs} |", cell(&signature.doc.en)).unwrap();
}

fn head(page: &mut String, first: &str) {
    writeln!(page, "| {first} | result | meaning |\n|---|---|---|").unwrap();
}

fn properties(page: &mut String, of: &[Property]) {
    for property in of {
        let access =
            if property.access == "ro" { String::new() } else { format!("; {}", property.access) };
        let (kind, doc) = (cell(&property.type_text), cell(&property.doc));
        writeln!(page, "| `{}` | {kind} | {doc}{access} |", property.name).unwrap();
    }
}

fn page() -> String {
    let mut page = "\
# Built-ins

Made from the table of signatures (`schema/src/signature` and `schema/types`) by the test `lang::manual`; `KF_BLESS=1` writes it
anew. `name=default`; `name?` may be left out and has no default; `*rest` takes all further arguments, `**names` all further
keywords.

## Jobs {#jobs}

"
    .to_owned();
    head(&mut page, "job");
    signature::jobs().iter().for_each(|job| row(&mut page, job));
    page.push_str("\n## Functions {#functions}\n\nAs jobs, too.\n\n");
    head(&mut page, "function");
    signature::functions().iter().for_each(|function| row(&mut page, function));
    page.push_str("\n## Values {#values}\n\nMethods and properties of values.\n");
    for name in VALUES {
        writeln!(page, "\n**{name}**\n").unwrap();
        head(&mut page, "method or property");
        signature::methods(name).iter().for_each(|method| row(&mut page, method));
        for property in signature::properties(name) {
            writeln!(page, "| `{property}` | | |").unwrap();
        }
    }
    page.push_str("\n## Objects {#objects}\n\nMethods and properties of objects by their type.\n\n**every object**\n\n");
    head(&mut page, "method or property");
    types::common_methods().iter().for_each(|method| row(&mut page, method));
    properties(&mut page, types::common_properties());
    for def in types::builtins() {
        if def.methods.is_empty() && def.properties.is_empty() {
            continue;
        }
        writeln!(page, "\n**{}**\n", def.name).unwrap();
        head(&mut page, "method or property");
        def.methods.iter().for_each(|method| row(&mut page, method));
        properties(&mut page, &def.properties);
    }
    page.push_str("\n## Special objects {#special}\n\nThey have no fields and no type object.\n");
    for family in types::special() {
        writeln!(page, "\n**{}**, below `{}`\n", family.name, family.root.path).unwrap();
        head(&mut page, "method or property");
        family.methods.iter().for_each(|method| row(&mut page, method));
        for method in &family.root_methods {
            let returns = cell(&method.returns);
            writeln!(page, "| `{}.{method}` | {returns} | {} |", family.root.path, method.doc.en)
                .unwrap();
        }
        for property in &family.properties {
            let (kind, doc) = (cell(&property.type_text), cell(&property.doc));
            let access = match property.access.as_str() {
                "ro" => String::new(),
                access => format!("; {access}"),
            };
            writeln!(page, "| `{}` | {kind} | {doc}{access} |", property.name).unwrap();
        }
    }
    page
}

// rule: builtins/jobs
// rule: builtins/functions
// rule: builtins/values
// rule: builtins/objects
// rule: builtins/special
#[test]
fn the_page_of_the_built_ins_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/builtins.md");
    let page = page();
    if std::env::var_os("KF_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/reference/builtins.md is not what the table says: KF_BLESS=1");
}
