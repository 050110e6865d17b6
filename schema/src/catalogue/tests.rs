use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::message;

fn blanks(text: &str) -> BTreeSet<String> {
    let text = text.replace("{{", "").replace("}}", "");
    regex::Regex::new(r"\{([a-z_0-9]+)\}")
        .unwrap()
        .captures_iter(&text)
        .map(|found| found[1].to_owned())
        .collect()
}

fn sources(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Arguments of a `message!` by name: top-level `name = value` after the key.
fn arguments(text: &str) -> BTreeSet<String> {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    let mut parts = vec![String::new()];
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => quoted = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
        .iter()
        .filter_map(|part| part.trim_start_matches(',').split_once('='))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

/// Every `message!("key", …)` of the sources: key → argument names.
fn used() -> BTreeMap<String, BTreeSet<String>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "../src", "../fuse/src"] {
        sources(&here.join(dir), &mut files);
    }
    let call = regex::Regex::new(r#"message!\(\s*"([^"]+)""#).unwrap();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        if file.ends_with("catalogue/tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        // Comments only show how it is used.
        let code: Vec<_> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for found in call.captures_iter(&code) {
            let rest = &code[found.get(0).unwrap().end()..];
            used.entry(found[1].to_owned()).or_default().extend(arguments(rest));
        }
    }
    used
}

#[test]
fn every_key_of_the_sources_has_a_text_in_both_languages() {
    let mut wrong = Vec::new();
    for (key, args) in used() {
        for (lang, texts) in [("en", &*EN), ("ja", &*JA)] {
            match texts.get(&key) {
                None => wrong.push(format!("{lang}: {key} is missing, blanks {args:?}")),
                Some(text) if !blanks(text).is_subset(&args) => {
                    wrong.push(format!("{lang}: {key} has blanks that nobody fills: {text}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn both_languages_have_the_same_keys_and_blanks() {
    let keys = |texts: &Texts| texts.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&EN), keys(&JA));
    for (key, text) in EN.iter() {
        assert_eq!(blanks(text), blanks(&JA[key]), "{key}");
        assert!(!JA[key].is_ascii(), "{key} is not Japanese");
    }
}

#[test]
fn the_catalogues_are_sorted() {
    for text in [include_str!("en.yaml"), include_str!("ja.yaml")] {
        let keys: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(keys, sorted);
    }
}

#[test]
fn blanks_are_filled_and_braces_kept() {
    assert_eq!(fill("a {x} {{y}} {z}!", &[("x", "1".to_owned())]), "a 1 {y} !");
    assert_eq!(fill("{x", &[]), "{x");
    let unknown = message!("no.such_key", a = 1);
    assert_eq!(unknown.text(Lang::Ja), "no.such_key (a=1)");
}

#[test]
fn a_fault_tells_its_problems() {
    let fault = Fault::invalid(vec![Problem {
        at: "port".to_owned(),
        message: message!("field.too_big", number = 12, max = 9),
    }]);
    assert_eq!(
        fault.text(Lang::En).lines().nth(1),
        Some("port: 12 is too big; it must be at most 9")
    );
    assert!(fault.text(Lang::Ja).contains("9 以下"));
}

#[test]
fn the_language_is_the_one_asked_for() {
    for (text, lang) in [
        ("ja", Lang::Ja),
        ("ja_JP.UTF-8", Lang::Ja),
        ("C.UTF-8", Lang::En),
        ("", Lang::En),
        ("en-US,en;q=0.9,ja;q=0.8", Lang::En),
        ("fr, ja;q=0.5, en;q=0.4", Lang::Ja),
        ("de", Lang::En),
    ] {
        assert_eq!(Lang::choose(text), lang, "{text}");
    }
}
