//! Which rules of the reference have a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::{rules, sources};

/// Writes docs/COVERAGE.md; the findings are the rules without a test.
pub(crate) fn run(root: &Path) -> io::Result<Vec<String>> {
    let stated = rules::stated(root)?;
    let folders = ["schema", "fuse", "src", "tests", "tools"];
    let cited = rules::cited(&sources::read(root, &folders, &[".rs", ".yaml", ".kf", ".sh"])?);
    let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for citation in cited.iter().filter(|citation| citation.in_test) {
        tests.entry(&citation.rule).or_default().push(&citation.place);
    }
    let shown = stated.keys().filter(|rule| tests.contains_key(rule.as_str())).count();
    let mut page = format!(
        "# Rules and their tests\n\nMade by `cargo xtask coverage`: {shown} of {} rules have a test \
         that names them.\n\n| rule | title | tests |\n|---|---|--:|\n",
        stated.len()
    );
    let mut missing = Vec::new();
    for (rule, title) in &stated {
        let count = tests.get(rule.as_str()).map_or(0, Vec::len);
        let (file, anchor) = rule.split_once('/').unwrap_or((rule, ""));
        let _ = writeln!(page, "| [{rule}](reference/{file}.md#{anchor}) | {title} | {count} |");
        if count == 0 {
            missing.push(format!("{rule}: no test names this rule ({title})"));
        }
    }
    std::fs::write(root.join("docs/COVERAGE.md"), page)?;
    println!("{shown} of {} rules have a test", stated.len());
    Ok(missing)
}
