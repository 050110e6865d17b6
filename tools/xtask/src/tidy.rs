//! What the compiler does not check: the arrows, forbidden words, cited rules.

use std::io;
use std::path::Path;

use crate::sources::Source;
use crate::{rules, sources};

/// Words that may not stand in the project's sources, each with what to do instead.
/// They are put together here so that this file does not contain them itself.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("todo", "!(", "build it, or leave it out and say so in the documentation"),
    ("unimplemented", "!(", "build it, or leave it out and say so in the documentation"),
    ("SystemTime::", "now", "ask base::clock::Clock, so that tests can set the time"),
    ("dbg", "!(", "use tracing"),
];

/// Runs every check.
pub(crate) fn run(root: &Path) -> io::Result<Vec<String>> {
    let code = sources::read(root, &["schema/src", "fuse/src", "src"], &[".rs"])?;
    let mut findings = Vec::new();
    findings.extend(arrows(root, &code)?);
    findings.extend(forbidden(&code));
    findings.extend(schema_is_pure(&code));
    findings.extend(fail_points_passed(root, &code)?);
    findings.extend(rules_exist(root)?);
    Ok(findings)
}

/// A module may use only those that stand above it in `src/lib.rs`.
fn arrows(root: &Path, code: &[Source]) -> io::Result<Vec<String>> {
    let lib = std::fs::read_to_string(root.join("src/lib.rs"))?;
    let order: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let rank = |module: &str| order.iter().position(|known| *known == module);
    let mut findings = Vec::new();
    for source in code.iter().filter(|source| source.path.starts_with("src")) {
        let Some(own) = module_of(source).filter(|own| rank(own).is_some()) else { continue };
        for (index, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for used in line.split("crate::").skip(1) {
                let end = used.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let used = &used[..end.unwrap_or(used.len())];
                if rank(used) > rank(&own) {
                    let place = format!("{}:{}", source.path.display(), index + 1);
                    findings.push(format!("{place}: arrow points up: {own} uses {used}"));
                }
            }
        }
    }
    Ok(findings)
}

/// The top-level module a file of `src` belongs to.
fn module_of(source: &Source) -> Option<String> {
    let below = source.path.strip_prefix("src").ok()?;
    let first = below.components().next()?.as_os_str().to_string_lossy();
    Some(first.trim_end_matches(".rs").to_owned())
}

fn forbidden(code: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in code {
        for (index, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") || source.is_test(index) {
                continue;
            }
            for (head, tail, instead) in FORBIDDEN {
                let clock = source.path.starts_with("src/base");
                if line.contains(&format!("{head}{tail}")) && !(clock && *tail == "now") {
                    let place = format!("{}:{}", source.path.display(), index + 1);
                    findings.push(format!("{place}: {head}{tail}: {instead}"));
                }
            }
        }
    }
    findings
}

/// `schema` has no I/O and no clock outside its tests.
fn schema_is_pure(code: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in code.iter().filter(|source| source.path.starts_with("schema")) {
        for (index, line) in source.text.lines().enumerate() {
            let impure = ["std::fs", "std::net", "std::env", "std::process", "Timestamp::now"];
            if impure.iter().any(|word| line.contains(word)) && !source.is_test(index) {
                let place = format!("{}:{}", source.path.display(), index + 1);
                findings.push(format!("{place}: schema has no I/O and no clock"));
            }
        }
    }
    findings
}

/// A fail point that is listed stands somewhere in the code. The other way round is the compiler's.
fn fail_points_passed(root: &Path, code: &[Source]) -> io::Result<Vec<String>> {
    let list = std::fs::read_to_string(root.join("src/base/failpoint.rs"))?;
    let listed = list.lines().skip_while(|line| !line.contains("POINTS: &[&str]")).skip(1);
    let listed = listed.take_while(|line| line.trim() != "];");
    let passed = |point: &str| {
        code.iter().any(|source| {
            let text = source.text.as_str();
            ["fail_point!(", "fail_point_io!("]
                .iter()
                .any(|call| text.contains(&format!("{call}{point})")))
        })
    };
    Ok(listed
        .map(|line| line.trim().trim_end_matches(','))
        .filter(|point| !passed(point))
        .map(|point| format!("src/base/failpoint.rs: {point} stands nowhere in the code"))
        .collect())
}

fn rules_exist(root: &Path) -> io::Result<Vec<String>> {
    let stated = rules::stated(root)?;
    let all = sources::read(root, &["schema", "fuse", "src", "tests"], &[".rs", ".yaml", ".kf"])?;
    Ok(rules::cited(&all)
        .into_iter()
        .filter(|citation| !stated.contains_key(&citation.rule))
        .map(|citation| format!("{}: no rule {} in docs/reference", citation.place, citation.rule))
        .collect())
}
