//! `kompira check` and `kompira fmt` on a plain directory, without a server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Options, Server, kompira};

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn run(at: &Path, args: &[&str]) -> Output {
    let mut command: Command = kompira();
    command.args(args).current_dir(at).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const GOOD: &str = "print('ok')\n";
const UGLY: &str = "[x=1,y = 2]->print( x,y )";
const PRETTY: &str = "[x = 1, y = 2] -> print(x, y)\n";
const BAD: &str = "[x = ] ->\n[for = 1]\n";
const UNKNOWN: &str = "print(1) ->\nprint(nothing) -> break\n";

// rule: language/errors
// rule: language/sources
#[test]
fn check_names_every_error_of_every_source_below_a_directory() {
    let home = directory(&[
        ("jobs/a.jobflow", GOOD),
        ("jobs/deep/b.jobflow", BAD),
        ("jobs/deep/names.jobflow", UNKNOWN),
        ("jobs/deep/notes.txt", BAD),
        ("jobs/.hidden/c.jobflow", BAD),
    ]);
    let out = run(home.path(), &["check", "jobs"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(text(&out.stdout), "");
    let said = text(&out.stderr);
    for part in [
        "[K03]",
        "[K04]",
        "[K05]",
        "[K08]",
        "jobs/deep/b.jobflow:1:6",
        "jobs/deep/b.jobflow:2:2",
        "jobs/deep/names.jobflow:2:7",
        "print(nothing) -> break",
        "^^^^^^^",
        "= help: expected a value",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(!said.contains("notes.txt") && !said.contains(".hidden"), "{said}");
    assert_eq!(run(home.path(), &["check", "jobs/a.jobflow"]).status.code(), Some(0));

    let out = run(home.path(), &["check", "--json", "jobs/a.jobflow", "jobs/deep/names.jobflow"]);
    let found: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(found[0]["findings"], serde_json::json!([]));
    assert_eq!(found[1]["findings"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found[1]["findings"][0]["code"], "K08");
    assert_eq!(found[1]["findings"][0]["line"], 2);
}

// rule: language/format
// rule: language/sources
#[test]
fn fmt_sets_a_directory_anew_and_leaves_what_is_wrong() {
    let home = directory(&[("a.jobflow", UGLY), ("d/b.jobflow", PRETTY), ("d/c.jobflow", BAD)]);
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();

    let out = run(home.path(), &["fmt", "--check", "a.jobflow", "d/b.jobflow"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(1), "a.jobflow\n".to_owned()));
    assert_eq!(read("a.jobflow"), UGLY);
    assert_eq!(text(&run(home.path(), &["fmt", "a.jobflow"]).stdout), PRETTY);

    let out = run(home.path(), &["fmt", "--write", "."]);
    assert_eq!(out.status.code(), Some(1), "one cannot be read");
    assert!(text(&out.stderr).contains("c.jobflow:1:6"), "{}", text(&out.stderr));
    assert_eq!((read("a.jobflow"), read("d/b.jobflow")), (PRETTY.to_owned(), PRETTY.to_owned()));
    assert_eq!(read("d/c.jobflow"), BAD);
    let out = run(home.path(), &["fmt", "--check", "a.jobflow", "d/b.jobflow"]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), String::new()));
    assert_eq!(fs::read_dir(home.path().join("d")).unwrap().count(), 2, "nothing is left beside");
}

// rule: language/sources
#[test]
fn an_empty_directory_and_a_missing_file_are_told() {
    let home = directory(&[("d/notes.txt", "")]);
    for (args, part) in [(["check", "d"], "no *.jobflow"), (["fmt", "zzz"], "zzz: ")] {
        let out = run(home.path(), &args);
        assert_eq!(out.status.code(), Some(1));
        assert!(text(&out.stderr).contains(part), "{}", text(&out.stderr));
    }
}

// rule: language/sources
#[test]
fn names_and_sources_may_be_in_any_script() {
    let home = directory(&[
        ("監視/夜間/確認.jobflow", "|対象| [件数=1]->print(対象,件数, 未定義)"),
        ("監視/集計.jobflow", "[結果 = 1]->print( 結果 ) # 終わり"),
    ]);
    let out = run(home.path(), &["check", "監視"]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(said.contains("監視/夜間/確認.jobflow:1:27"), "{said}");
    // A character of two columns is marked by two.
    let marked = said.lines().find(|line| line.contains('^')).unwrap();
    assert_eq!(marked.matches('^').count(), "未定義".chars().count() * 2, "{said}");
    assert!(!said.contains("集計"), "{said}");

    let out = run(home.path(), &["fmt", "--write", "監視"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(read("監視/集計.jobflow"), "[結果 = 1] -> print(結果)  # 終わり\n");
    assert_eq!(read("監視/夜間/確認.jobflow"), "|対象| [件数 = 1] -> print(対象, 件数, 未定義)\n");
}

// rule: language/errors
#[test]
fn the_findings_are_the_same_in_check_mount_http_and_log() {
    let mount = Path::new("/dev/fuse").exists();
    let server = Server::with(&Options { mount, ..Options::default() });
    let client = server.client();
    client.create("/root", "broken", "Jobflow", serde_json::json!({"source": UNKNOWN}));

    let home = directory(&[("broken.jobflow", UNKNOWN)]);
    let said = text(&run(home.path(), &["check", "broken.jobflow"]).stderr);
    assert!(said.contains("[K08]") && said.contains("[K05]"), "{said}");
    let said = said.replace("broken.jobflow:", "/root/broken:");

    let refused = client.post("/root/broken.execute", &serde_json::json!({"parameters": {}}));
    assert_eq!(refused.status, 400);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(&said), "{detail}\n{said}");

    let run = server.run(&["run", "/root/broken"]);
    assert!(!run.status.success());
    assert!(text(&run.stderr).contains("undefined variable: nothing"), "{}", text(&run.stderr));

    if mount {
        let out = Command::new("getfattr")
            .args(["--only-values", "-n", "user.kompira.errors"])
            .arg(server.mount().join("root/broken"))
            .output();
        if let Ok(out) = out {
            assert_eq!(text(&out.stdout), said, "{}", text(&out.stderr));
        }
    }

    let told = |file: &fs::DirEntry| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        said.lines().all(|line| text.contains(line.trim_end()))
    };
    let mut logs = fs::read_dir(server.data().join("log")).unwrap().map(Result::unwrap);
    assert!(logs.any(|file| told(&file)), "no log shows the findings");
}
