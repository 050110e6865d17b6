//! Python libraries as jobflows and readers see them.

use serde_json::json;

use super::outside::{console, run};
use crate::support::Client;
use crate::support::server::{Options, Server};

fn library(client: &Client, dir: &str, name: &str, source: &str) {
    client.create(dir, name, "Library", json!({"sourceText": source}));
}

/// `executable` and `document` of a library, once they are known.
fn state(client: &Client, path: &str) -> (bool, String) {
    loop {
        let fields = client.get(path).expect(200).json()["fields"].clone();
        let document = fields["document"].as_str().unwrap_or_default().to_owned();
        if !document.contains("is being loaded") {
            return (fields["executable"].as_bool().unwrap(), document);
        }
    }
}

// rule: language/libraries
// rule: language/attributes
#[test]
fn functions_of_a_library_are_jobs_and_parts_of_expressions() {
    let server = Server::start();
    let client = &server.client();
    library(
        client,
        "/root",
        "lib",
        "def add(a, b=1):\n    print('adding', a, b)\n    return a + b\n\
         def fail(text):\n    raise ValueError(text)\n\
         def name():\n    return 'hidden'\ndef none():\n    pass\n\
         def group(x):\n    return {'kind': type(x).__name__, 'items': [x, None, 1.5]}\n",
    );
    let said = console(
        client,
        "calls",
        "[./lib.add: 1, b=2] -> print($RESULT, $STATUS, $ERROR == '') ->\n\
         [x = [./lib.add(1) + ./lib.add(2, 3), ./lib.none() == null]] -> print(x) ->\n\
         [f = ./lib.add] -> [y = f(40, 2)] -> [f: 'a', 'b'] -> print(y, $RESULT) ->\n\
         { if ./lib.add(1) == 2 | print('yes') } ->\n\
         { try | [./lib.fail: 'wrong'] } => print($STATUS, $ERROR) ->\n\
         { try | [x = ./lib.fail('worse')] } => print($ERROR) ->\n\
         { try | [./lib.add] } => print($ERROR) ->\n\
         { try | [./lib.nothing: 1] } => print($ERROR) ->\n\
         { try | [./lib.add: ./lib] } => print($ERROR) ->\n\
         print(./lib.name, ./lib.group(date('2024-02-29')).kind, ./lib.group('日本').items) ->\n\
         { for i in 3 | [x = ./lib.add(i, i)] } -> print('sum', x)",
    );
    let expected = "adding 1 2\n3 0 true\nadding 1 1\nadding 2 3\n[7, true]\n\
        adding 40 2\nadding a b\n42 ab\nadding 1 1\nyes\n\
        1 ValueError: wrong (/root/lib, line 5, in fail)\n\
        ValueError: worse (/root/lib, line 5, in fail)\n\
        add(): missing a required argument: 'a'\nattribute not found: nothing\n\
        'Object' cannot be given to a library\n\
        lib date ['日本', null, 1.5]\nadding 0 0\nadding 1 1\nadding 2 2\nsum 4\n";
    assert_eq!(said, expected);
    let end = run(client, "ends", "print('a') -> [./lib.fail: 'alone'] -> print('b')");
    assert_eq!((end["status"].as_str(), end["exit_status"].as_i64()), (Some("ABORTED"), Some(1)));
    let told = end["console"].as_str().unwrap();
    assert!(told.contains("ValueError: alone (/root/lib, line 5, in fail)"), "{told}");
}

// rule: language/libraries
#[test]
fn a_long_call_holds_up_nobody_and_ends_with_its_process() {
    let server = Server::start();
    let client = &server.client();
    library(
        client,
        "/root",
        "lib",
        "import time\ndef rest():\n    print('rests')\n    time.sleep(50)\n",
    );
    let job = json!({"source": "[x = ./lib.rest()]"});
    client.create("/root", "rests", "Jobflow", job);
    let started = client.post("/root/rests.execute", &json!({})).expect(200).json();
    let process = started.as_str().unwrap().to_owned();
    // It is in the call.
    while client.get(&process).expect(200).json()["console"] != "rests\n" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(console(client, "others", "print('go on')"), "go on\n");
    client.post(&format!("{process}.terminate"), &json!({})).expect(200);
    let end = client.post(&format!("{process}.wait"), &json!({"timeout": 40})).expect(200).json();
    assert_eq!(end["status"], "ABORTED");
    library(client, "/root", "quick", "def f():\n    return 1\n");
    assert_eq!(console(client, "next", "print(./quick.f())"), "1\n");
}

// rule: tree/libraries
// rule: operations/python-imports
#[test]
fn a_library_tells_whether_it_loads_and_follows_what_it_imports() {
    let server = Server::start();
    let client = &server.client();
    client.create("/root", "d", "Directory", json!({}));
    library(
        client,
        "/root/d",
        "a",
        "'''Adds.'''\nfrom .b import two\ndef f():\n    return two()\n",
    );
    let (executable, told) = state(client, "/root/d/a");
    assert!(!executable && told.starts_with("ModuleNotFoundError"), "{told}");
    library(client, "/root/d", "b", "def two():\n    return 2\n");
    assert_eq!(state(client, "/root/d/a"), (true, "Adds.".to_owned()));
    assert_eq!(state(client, "/root/d/b"), (true, String::new()));
    assert_eq!(console(client, "one", "print(./d/a.f())"), "2\n");
    client
        .patch("/root/d/b", &json!({"fields": {"sourceText": "def two():\n    return 3\n"}}))
        .expect(200);
    assert_eq!(console(client, "two", "print(./d/a.f())"), "3\n");
    client.post("/root/d/b.rename", &json!({"name": "c"})).expect(200);
    assert!(!state(client, "/root/d/a").0);
    client.post("/root/d/c.rename", &json!({"name": "b"})).expect(200);
    assert!(state(client, "/root/d/a").0);
    client.post("/root/d.rename", &json!({"name": "e"})).expect(200);
    assert_eq!(console(client, "three", "print(./e/a.f())"), "3\n");
    let broken = json!({"fields": {"sourceText": "def two(:\n"}});
    client.patch("/root/e/b", &broken).expect(200);
    let (executable, told) = state(client, "/root/e/b");
    assert!(!executable && told.starts_with("SyntaxError"), "{told}");
    assert!(!state(client, "/root/e/a").0);
    let end = run(client, "four", "print(./e/a.f())");
    assert_eq!(end["status"], "ABORTED", "{end}");
    let kind = json!({"libraryType": "module", "sourceText": "x = 1\n"});
    client.create("/root", "m", "Library", kind);
    let (executable, told) = state(client, "/root/m");
    assert!(!executable && told.contains("module"), "{told}");
}

// rule: tree/libraries
#[test]
fn without_python_a_library_is_text_and_says_why() {
    let empty = tempfile::tempdir().unwrap();
    let env = vec![("PATH".to_owned(), empty.path().display().to_string())];
    let server = Server::with(&Options { env, ..Options::default() });
    let client = &server.client();
    library(client, "/root", "lib", "def f(x):\n    return x\n");
    let (executable, told) = state(client, "/root/lib");
    assert!(!executable && told.contains("python3"), "{told}");
    let said = console(client, "calls", "{ try | [x = ./lib.f(1)] } => print($ERROR)");
    assert!(said.contains("python3"), "{said}");
}

// rule: operations/safe-python
#[test]
fn a_safe_library_has_neither_files_nor_network() {
    let server = Server::start();
    let client = &server.client();
    let safe = |name: &str, source: &str| {
        let fields = json!({"libraryType": "safe_source", "sourceText": source});
        client.create("/root", name, "Library", fields);
    };
    safe("fine", "import math\ndef f(x):\n    return math.floor(x)\n");
    safe("net", "import socket\n");
    safe("file", "def f():\n    return open('/etc/passwd').read()\n");
    assert!(state(client, "/root/fine").0);
    let (executable, told) = state(client, "/root/net");
    assert!(!executable && told.contains("cannot import socket"), "{told}");
    let said =
        console(client, "calls", "print(./fine.f(1.5)) -> { try | [./file.f] } => print($ERROR)");
    assert_eq!(said, "1\nNameError: name 'open' is not defined (/root/file, line 2, in f)\n");
}

/// Whether a process is gone, or is only not yet reaped.
fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

// rule: language/libraries
// rule: operations/python
#[test]
fn a_killed_server_takes_its_python_along_and_the_call_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    let client = server.client();
    let source = "import os, subprocess\ndef f():\n    started = subprocess.Popen(['sleep', '100000'])\n\
                  \x20   print(os.getpid(), started.pid)\n    while True:\n        pass\n";
    library(&client, "/root", "lib", source);
    client.create("/root", "loops", "Jobflow", json!({"source": "[x = 1 + ./lib.f()]"}));
    let started = client.post("/root/loops.execute", &json!({})).expect(200).json();
    let process = started.as_str().unwrap().to_owned();
    let pids = loop {
        let console = client.get(&process).expect(200).json()["console"].clone();
        match console.as_str().and_then(|text| text.strip_suffix('\n')) {
            Some(pid) => break pid.to_owned(),
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let (pid, started) = pids.split_once(' ').unwrap();
    assert!(!is_gone(pid) && !is_gone(started));
    server.kill();
    while !is_gone(pid) || !is_gone(started) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let server = Server::on(&data, &Options::default());
    let client = server.client();
    let end = client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200).json();
    assert_eq!(end["status"], "ABORTED", "{end}");
    assert!(end["error"].as_str().unwrap().contains("interrupted"), "{end}");
}

// rule: tree/libraries
#[test]
fn the_mounted_file_of_a_library_says_why_it_does_not_load() {
    let mount = std::path::Path::new("/dev/fuse").exists();
    let server = Server::with(&Options { mount, ..Options::default() });
    let client = &server.client();
    library(client, "/root", "lib", "import nothing_of_this_name\n");
    let (_, told) = state(client, "/root/lib");
    if mount {
        let out = std::process::Command::new("getfattr")
            .args(["--only-values", "-n", "user.kompira.errors"])
            .arg(server.mount().join("root/lib"))
            .output();
        if let Ok(out) = out {
            assert_eq!(String::from_utf8_lossy(&out.stdout), told, "{out:?}");
        }
    }
    assert!(told.contains("nothing_of_this_name"), "{told}");
}

// rule: language/libraries
#[test]
fn the_example_of_a_library_runs() {
    let server = Server::start();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
    server.stdout(&["import-dir", examples]);
    let said = server.stdout(&["run", "/root/examples/word_count"]);
    assert!(said.contains("sea: 3\nshe: 2\n"), "{said}");
}
