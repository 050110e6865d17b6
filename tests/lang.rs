//! Jobflow sources: the examples of the language, and what is said about wrong ones.

mod conformance;
mod equal;
mod fuzz;
mod library;
mod manual;
mod outside;
mod random;
mod sources;
mod walk;

use std::path::{Path, PathBuf};

use kompira::lang::diagnose::{Look, render_all};
use kompira::lang::{check, format, parse};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang").join(folder);
    let mut sources: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "kf"))
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect();
    sources.sort();
    assert!(sources.len() > 10, "{}", folder.display());
    sources
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn said(path: &Path, source: &str) -> String {
    let parsed = parse(source);
    let look = Look { plain: true, ..Look::default() };
    render_all(&check(&parsed), &parsed.source, &name(path), look)
}

// rule: language/grammar
#[test]
fn every_example_is_accepted() {
    for (path, source) in sources("ok") {
        assert_eq!(said(&path, &source), "");
    }
}

// rule: language/format
#[test]
fn every_example_can_be_set_anew_and_then_stays() {
    for (path, source) in sources("ok") {
        let once = format(&source).unwrap();
        assert_eq!(format(&once).unwrap(), once, "{}", path.display());
        let (before, after) = (parse(&source), parse(&once));
        assert_eq!(after.diagnostics, []);
        assert_eq!(before.comments.len(), after.comments.len());
    }
}

/// What is said about each `err/NAME.kf` stands in `err/NAME.txt`; `KF_BLESS=1` writes it.
// rule: language/errors
#[test]
fn wrong_sources_get_the_findings_that_are_written_down() {
    for (path, source) in sources("err") {
        let said = said(&path, &source);
        let golden = path.with_extension("txt");
        if std::env::var_os("KF_BLESS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
        let code = name(&path)[..3].to_uppercase();
        assert!(said.contains(&std::format!("[{code}]")), "{}: {said}", path.display());
    }
}

#[test]
fn ten_thousand_parentheses_are_one_error() {
    let source = std::format!("[x = {}1{}]", "(".repeat(10_000), ")".repeat(10_000));
    let parsed = parse(&source);
    assert_eq!(parsed.diagnostics.len(), 1);
    assert_eq!(parsed.diagnostics[0].code, "K15");
}
