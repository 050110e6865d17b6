//! Rules: the anchors of docs/reference, and who cites them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::sources::{self, Source};

/// A rule, `page/anchor`, with its title.
pub(crate) type Rules = BTreeMap<String, String>;

/// Reads `## Title {#anchor}` lines of every reference page.
pub(crate) fn stated(root: &Path) -> io::Result<Rules> {
    let mut rules = Rules::new();
    for page in sources::read(root, &["docs/reference"], &[".md"])? {
        let Some(stem) = page.path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
        else {
            continue;
        };
        for line in page.text.lines().filter(|line| line.starts_with('#')) {
            if let Some((title, anchor)) = line
                .trim_start_matches('#')
                .trim()
                .strip_suffix('}')
                .and_then(|l| l.split_once("{#"))
            {
                rules.insert(format!("{stem}/{anchor}"), title.trim().to_owned());
            }
        }
    }
    Ok(rules)
}

/// A place that cites a rule.
pub(crate) struct Citation {
    pub(crate) rule: String,
    pub(crate) place: String,
    pub(crate) in_test: bool,
}

/// Finds `rule: page/anchor` in comments, and as a key of examples in YAML; several may stand behind one
/// another with commas.
pub(crate) fn cited(sources: &[Source]) -> Vec<Citation> {
    let mut citations = Vec::new();
    for source in sources {
        let yaml = source.path.extension().is_some_and(|ending| ending == "yaml");
        for (index, line) in source.text.lines().enumerate() {
            let Some((_, rest)) = line
                .split_once("rule: ")
                .filter(|(before, _)| comment(before) || (yaml && before.is_empty()))
            else {
                continue;
            };
            for rule in rest.split(',').map(word).filter(|rule| rule.contains('/')) {
                citations.push(Citation {
                    rule: rule.to_owned(),
                    place: format!("{}:{}", source.path.display(), index + 1),
                    in_test: source.is_test(index),
                });
            }
        }
    }
    citations
}

fn comment(before: &str) -> bool {
    before.contains("//") || before.contains('#') || before.contains("--")
}

fn word(text: &str) -> &str {
    let text = text.trim_start_matches([' ', '`']);
    let end = text.find(|c: char| !(c.is_alphanumeric() || "/-_".contains(c)));
    &text[..end.unwrap_or(text.len())]
}
