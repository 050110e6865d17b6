//! Repository objects of a real server, with real git.

use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::support::{Client, Options, Server};

fn git(dir: &Path, words: &[&str]) -> String {
    let done = Command::new("git")
        .args(["-c", "user.name=Other", "-c", "user.email=other@host", "-c", "core.hooksPath="])
        .args(["-c", "init.defaultBranch=main", "-c", "commit.gpgSign=false"])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

/// A bare repository with one jobflow, and a clone of it for another person.
fn remote(dir: &Path) -> String {
    git(dir, &["init", "-q", "--bare", "remote.git"]);
    git(dir, &["clone", "-q", "remote.git", "other"]);
    commit(dir, "hello.jobflow", "print('one')\n");
    format!("file://{}", dir.join("remote.git").display())
}

fn commit(dir: &Path, file: &str, text: &str) {
    let other = dir.join("other");
    std::fs::write(other.join(file), text).unwrap();
    git(&other, &["add", "-A"]);
    git(&other, &["commit", "-q", "-m", "by the other"]);
    git(&other, &["push", "-q", "origin", "HEAD:main"]);
}

/// A server that asks no proxy for this machine.
fn direct() -> Server {
    let env = ["no_proxy", "NO_PROXY"].map(|name| (name.to_owned(), "*".to_owned()));
    Server::with(&Options { env: env.to_vec(), ..Options::default() })
}

fn repository(client: &Client, url: &str) {
    client.create("/", "ops", "Directory", json!({}));
    client.create("/", "repo", "Repository", json!({"URL": url, "directory": "/ops"}));
}

fn source(client: &Client) -> Json {
    client.get("/ops/hello").expect(200).json()["fields"]["source"].clone()
}

// rule: http/repositories
// rule: operations/repository-command
#[test]
fn a_repository_is_synchronised_by_requests_and_by_commands() {
    let dir = tempfile::tempdir().unwrap();
    let url = remote(dir.path());
    let server = Server::start();
    let client = server.client();
    repository(&client, &url);
    client.post("/repo.push", &json!({})).expect(409);
    let log = client.send("POST", "/repo.initialize", &[], b"").expect(200).json();
    assert!(log["log"].as_str().unwrap().contains("(created)"), "{log}");
    assert_eq!(source(&client), "print('one')\n");
    let change = json!({"fields": {"source": "print('two')\n"}});
    client.patch("/ops/hello", &change).expect(200);
    let push = json!({"branch": "main", "message": "from here"});
    client.post("/repo.push", &push).expect(200);
    let bare = dir.path().join("remote.git");
    assert_eq!(git(&bare, &["show", "main:hello.jobflow"]), "print('two')");
    assert_eq!(git(&bare, &["log", "-1", "--format=%s", "main"]), "from here");
    git(&dir.path().join("other"), &["pull", "-q", "origin", "main"]);
    commit(dir.path(), "hello.jobflow", "print('three')\n");
    let told = server.stdout(&["repository", "pull", "/repo"]);
    assert!(told.contains("pull") && told.contains("main: at "), "{told}");
    assert_eq!(source(&client), "print('three')\n");
    let told = server.stdout(&["repository", "push", "/repo", "-b", "main", "-m", "again"]);
    assert!(told.contains("nothing to commit"), "{told}");
    // What does not fit is told, and other objects have no such method.
    client.post("/repo.pull", &json!({"message": "x"})).expect(400);
    client.post("/repo.pull", &json!({"branch": "-x"})).expect(400);
    client.post("/repo.pull", &json!({"branch": "none"})).expect(404);
    client.post("/ops.pull", &json!({})).expect(404);
    let log = client.get("/repo").expect(200).json()["fields"]["log"].as_str().unwrap().to_owned();
    assert!(log.contains("initialize") && log.contains("failed: "), "{log}");
}

// rule: tree/repository-secrets
// rule: http/repositories
#[test]
fn a_wrong_address_is_told_without_the_password() {
    let server = direct();
    let client = server.client();
    // Port 1 of this machine: nobody listens.
    repository(&client, "http://sato:old-4711@127.0.0.1:1/x.git");
    client.patch("/repo", &json!({"fields": {"password": "pass-4711"}})).expect(200);
    let reply = client.post("/repo.initialize", &json!({})).expect(502);
    assert_eq!(reply.header("x-kompira-code"), Some("KF1032"));
    let text = reply.text();
    assert!(text.contains("git clone") && !text.contains("4711"), "{text}");
    let log = client.get("/repo").expect(200).json()["fields"]["log"].as_str().unwrap().to_owned();
    assert!(log.contains("failed: git clone") && !log.contains("4711"), "{log}");
    client.patch("/repo", &json!({"fields": {"repositoryType": "mercurial"}})).expect(200);
    let reply = client.post("/repo.initialize", &json!({})).expect(400).json();
    assert!(reply["repositoryType"][0].as_str().unwrap().contains("not supported"), "{reply}");
    let output = server.run(&["repository", "initialize", "/repo"]);
    assert_eq!(output.status.code(), Some(1));
    // The audit has what was tried, and no secret.
    let logs = server.data().join("log");
    let mut audit = String::new();
    for entry in std::fs::read_dir(logs).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("audit-") {
            audit.push_str(&std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    assert!(!audit.contains("4711"));
}

// rule: language/repository-jobs
#[test]
fn jobflows_synchronise_repositories() {
    let dir = tempfile::tempdir().unwrap();
    let url = remote(dir.path());
    let server = Server::start();
    let client = server.client();
    repository(&client, &url);
    let mut number = 0;
    let mut run = |text: &str| {
        number += 1;
        let name = format!("job{number}");
        client.create("/", &name, "Jobflow", json!({"source": text}));
        let process = client.post(&format!("/{name}.execute"), &json!({})).expect(200).json();
        let path = format!("{}.wait", process.as_str().unwrap());
        client.post(&path, &json!({"timeout": 60})).expect(200).json()
    };
    let ended = run("[/repo.push] => print($STATUS, $ERROR) -> exit(0)");
    assert_eq!(ended["status"], "DONE", "{ended}");
    let text = ended["console"].as_str().unwrap_or_default();
    assert!(text.contains("1 the repository was not initialised"), "{ended}");
    let ended = run("[/repo.initialize] -> [/repo.pull: branch='main']");
    assert_eq!((&ended["status"], &ended["result"]), (&json!("DONE"), &Json::Null), "{ended}");
    assert_eq!(source(&client), "print('one')\n");
    let ended = run(
        "[/ops/hello.update: source='print(2)'] -> [/repo.push: 'main', 'by a jobflow'] -> print('x')",
    );
    assert_eq!(ended["status"], "DONE", "{ended}");
    let bare = dir.path().join("remote.git");
    assert_eq!(git(&bare, &["log", "-1", "--format=%s|%an", "main"]), "by a jobflow|root");
    assert_eq!(git(&bare, &["show", "main:hello.jobflow"]), "print(2)");
    let ended = run("|r = /repo| print(r.pull())");
    assert!(ended.to_string().contains("run it as a job"), "{ended}");
    let ended = run("[/repo.pull: 'main', 'too', 'many']");
    assert_ne!(ended["status"], "DONE", "{ended}");
}

// rule: tree/repository-secrets
#[test]
fn git_gets_the_password_from_its_helper() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let server = direct();
    let client = server.client();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A web server that asks who it is, and lets nobody in.
    let asked = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let account = head.iter().find(|line| line.starts_with("Authorization: ")).cloned();
            let status = if account.is_some() { "403 No" } else { "401 Who" };
            let answer = format!(
                "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\
                 Connection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if let Some(account) = account {
                return account;
            }
        }
        unreachable!("it listens for ever");
    });
    repository(&client, &format!("http://127.0.0.1:{port}/x.git"));
    let fields = json!({"username": "sato", "password": "pass-4711"});
    client.patch("/repo", &json!({"fields": fields})).expect(200);
    let reply = client.post("/repo.initialize", &json!({})).expect(502);
    assert!(!reply.text().contains("4711"), "{}", reply.text());
    // sato:pass-4711
    assert_eq!(asked.join().unwrap(), "Authorization: Basic c2F0bzpwYXNzLTQ3MTE=");
}
