//! The language rule by rule, on a real server over HTTP: each file of `lang/cases` is named as the
//! rule's anchor in `docs/reference/language.md` and holds many small programs.
//!
//! A case is `=== title`, a program, `---` and what its console must show. Lines that begin with
//! `!` after that say how it ends (`! ABORTED 2`; `! error TEXT`; `! result TEXT`), or that it is
//! refused: `! K08 3`, code and line. Before the program, `@ jobflow NAME` and `@ script NAME` make
//! neighbours (up to the next `@`, or `@ main`), `@ channel NAME`, `@ text NAME CONTENT` and `@ object NAME TYPE FIELDS` (JSON) objects.
//! `@ as bob` runs it as an ordinary user, who may read and execute what is there and no more;
//! `@ grant NAME rwx` says what he may do with one object (none of the letters: nothing).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::Client;

/// Fewer would mean that files are not found.
const CASES_MIN: usize = 600;

#[derive(Debug, Default, Clone)]
struct Case {
    file: String,
    title: String,
    around: Vec<(String, String, String)>,
    program: String,
    console: String,
    ends: Vec<String>,
    as_bob: bool,
}

fn read(file: &str, text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let text = text.strip_suffix('\n').unwrap_or(text);
    for block in text.split("\n=== ").skip(1) {
        let block = &format!("{block}\n");
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        let (before, after) = rest.split_once("---\n").unwrap_or((rest, ""));
        let mut case = Case { file: file.to_owned(), title: title.to_owned(), ..Case::default() };
        // What the lines go to: the program, or a neighbour.
        let mut neighbour: Option<(String, String, String)> = None;
        for line in before.split_inclusive('\n') {
            if let Some(directive) = line.strip_prefix("@ ") {
                case.around.extend(neighbour.take());
                let mut words = directive.trim_end().splitn(3, ' ');
                let kind = words.next().unwrap_or_default().to_owned();
                let name = words.next().unwrap_or_default().to_owned();
                let content = words.next().unwrap_or_default().to_owned();
                match kind.as_str() {
                    "main" => {}
                    "as" => case.as_bob = name == "bob",
                    "channel" | "grant" | "text" | "object" => {
                        case.around.push((kind, name, content))
                    }
                    _ => neighbour = Some((kind, name, String::new())),
                }
                continue;
            }
            match &mut neighbour {
                Some((_, _, source)) => source.push_str(line),
                None => case.program.push_str(line),
            }
        }
        case.around.extend(neighbour.take());
        for line in after.split_inclusive('\n') {
            match line.strip_prefix("! ") {
                Some(end) => case.ends.push(end.trim_end().to_owned()),
                None => case.console.push_str(line),
            }
        }
        cases.push(case);
    }
    cases
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang/cases");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = format!("\n{}", std::fs::read_to_string(&path).unwrap());
        let found = read(&name, &text);
        assert!(!found.is_empty(), "{name} has no cases");
        all.extend(found);
    }
    all
}

/// Makes the objects of a case and runs it; what went wrong.
fn play(client: &Client, bob: &Client, number: usize, case: &Case) -> Result<(), String> {
    let dir = format!("/root/cases/c{number}");
    let wanted: Vec<&str> =
        case.ends.iter().map(String::as_str).filter(|end| end.starts_with('K')).collect();
    if wanted.iter().any(|end| end.starts_with("K01")) {
        // Too long a source is not even stored.
        let said = diagnostics(&case.program);
        return if said == wanted { Ok(()) } else { Err(format!("found {said:?}")) };
    }
    client.create("/root/cases", &format!("c{number}"), "Directory", json!({}));
    let grant = |path: &str, rights: &str| {
        let may = |letter: char| json!(rights.contains(letter));
        let entry = json!({"readable": may('r'), "writable": may('w'), "executable": may('x')});
        client.patch(path, &json!({"user_permissions": {"bob": entry}})).expect(200);
    };
    if case.as_bob {
        grant(&dir, "rx");
    }
    for (kind, name, content) in &case.around {
        let (kind, fields) = match kind.as_str() {
            "grant" => {
                grant(&format!("{dir}/{name}"), content);
                continue;
            }
            "jobflow" => ("Jobflow", json!({"source": content})),
            "script" => ("ScriptJob", json!({"source": content})),
            "channel" => ("Channel", json!({})),
            "text" => ("Text", json!({"text": content})),
            "object" => {
                let (kind, fields) = content.split_once(' ').unwrap_or((content, "{}"));
                (kind, serde_json::from_str(fields).map_err(|error| error.to_string())?)
            }
            other => return Err(format!("unknown word: @ {other}")),
        };
        client.create(&dir, name, kind, fields);
    }
    let made = client.create(&dir, "main", "Jobflow", json!({"source": case.program}));
    let found = client.get(&format!("{dir}/main")).expect(200).json();
    let errors = &found["fields"]["errors"];
    if !wanted.is_empty() {
        let said: Vec<String> = diagnostics(&case.program);
        return if said == wanted {
            Ok(())
        } else {
            Err(format!("found {said:?}: {errors} {made}"))
        };
    }
    let starter = if case.as_bob { bob } else { client };
    let reply = starter.post(&format!("{dir}/main.execute"), &json!({"parameters": {}}));
    if reply.status != 200 {
        return Err(format!("it does not start: {}; {errors}", reply.text()));
    }
    let process = reply.json().as_str().unwrap_or_default().to_owned();
    let end = client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200).json();
    let text = |key: &str| end[key].as_str().map_or_else(|| end[key].to_string(), str::to_owned);
    let mut wrong = Vec::new();
    let console = text("console").replace(&dir, "/c");
    if console != case.console {
        wrong.push(format!("console:\n{console}"));
    }
    let ended = format!("{} {}", text("status"), end["exit_status"]);
    let mut status = "DONE 0";
    for line in &case.ends {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        match key {
            "error" | "result" if text(key).replace(&dir, "/c") == value => {}
            "error" | "result" => wrong.push(format!("{key}: {}", text(key))),
            _ => status = line,
        }
    }
    if ended != status {
        wrong.push(format!("end: {ended}; error: {}", end["error"]));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Code and line of what the compiler says.
fn diagnostics(source: &str) -> Vec<String> {
    let parsed = kompira::lang::parse(source);
    let lines = kompira::lang::syntax::Lines::new(&parsed.source);
    kompira::lang::check(&parsed)
        .iter()
        .filter(|found| found.severity == kompira::lang::diagnose::Severity::Error)
        .map(|found| format!("{} {}", found.code, lines.line(found.span.start)))
        .collect()
}

// rule: language/jobs
// rule: language/events
// rule: language/blocks
// rule: language/built-in-jobs
// rule: language/objects
// rule: language/object-methods
// rule: language/queries
// rule: language/special-objects
#[test]
fn every_case_of_every_rule_holds_on_a_server() {
    let (server, _home) = super::outside::at_home();
    let client = server.client();
    client.create("/root", "cases", "Directory", json!({}));
    let bob = json!({"username": "bob", "password": "a long one, 7", "email": "bob@example.com"});
    client.post("/config/user", &bob).expect(201);
    let bob = client.with_token(server.stdout(&["token", "create", "bob"]).trim());
    let all = cases();
    assert!(all.len() >= CASES_MIN, "{} cases", all.len());
    let next = AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = all.get(number) else { return };
                    let played = std::panic::catch_unwind(|| play(&client, &bob, number, case))
                        .unwrap_or_else(|_| Err("the server answered as it should not".to_owned()));
                    if let Err(why) = played {
                        let told =
                            format!("{} / {}\n{}\n{why}\n", case.file, case.title, case.program);
                        failures.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} fail:\n{}",
        failures.len(),
        all.len(),
        failures.join("\n")
    );
}

/// Each decision of the language's specification is exercised by a case that names it.
// rule: language/decisions
#[test]
fn every_decision_has_a_case() {
    let all = cases();
    let titles: String = all.iter().map(|case| format!("{}\n", case.title)).collect();
    let missing: Vec<String> = (1..=80)
        .map(|number| format!("C-{number:02}"))
        .filter(|tag| match ELSEWHERE.iter().find(|(other, _)| other == tag) {
            Some((_, file)) => {
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                !std::fs::read_to_string(file).unwrap().contains(tag.as_str())
            }
            None => !titles.contains(tag.as_str()),
        })
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
    let pages = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/language.md"),
    )
    .unwrap();
    let files: BTreeSet<&str> = all.iter().map(|case| case.file.as_str()).collect();
    for file in files {
        assert!(pages.contains(&format!("{{#{file}}}")), "no rule language/{file}");
    }
}

/// Decisions that need more than a program, and the test that names them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("C-54", "tests/lang/outside.rs"),
    ("C-71", "src/engine/tests/orders.rs"),
    ("C-76", "src/engine/tests/limits.rs"),
    ("C-78", "src/engine/tests/crash.rs"),
    ("C-79", "src/lang/syntax/tests.rs"),
];
