//! Commands beside and without a server.

use std::process::Stdio;

use serde_json::json;

use crate::support::{Options, Server, kompira};

// rule: operations/commands-are-clients
#[test]
fn a_command_without_a_server_starts_one_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    server.stop();
    let token = kompira().args(["token", "create", "root", "--data"]).arg(&data).output().unwrap();
    assert!(token.status.success(), "{}", String::from_utf8_lossy(&token.stderr));
    let token = String::from_utf8(token.stdout).unwrap();
    let server = Server::on(&data, &Options::default());
    server.client().with_token(token.trim()).get("/root").expect(200);
}

// rule: operations/exit-codes
#[test]
fn exit_codes_tell_what_happened() {
    let server = Server::start();
    assert_eq!(server.run(&["status"]).status.code(), Some(0));
    assert_eq!(server.run(&["nosuch"]).status.code(), Some(2));
    assert_eq!(server.run(&["token"]).status.code(), Some(2));
    let empty = tempfile::tempdir().unwrap();
    let unreachable = kompira().args(["status", "--data"]).arg(empty.path()).output().unwrap();
    assert_eq!(unreachable.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("kompira serve"));
    let mut denied = kompira();
    let denied = denied.args(["status", "--url", server.url(), "--token", "bad"]);
    assert_eq!(denied.output().unwrap().status.code(), Some(3));
    let mut nobody = kompira();
    let nobody = nobody.args(["status", "--url", "http://127.0.0.1:1", "--token", "bad"]);
    assert_eq!(nobody.output().unwrap().status.code(), Some(4));
}

// rule: operations/commands-are-clients
#[test]
fn a_command_reaches_a_server_by_url_and_token() {
    let server = Server::start();
    let status = kompira()
        .args(["status", "--json"])
        .env("KOMPIRA_URL", server.url())
        .env("KOMPIRA_TOKEN", server.token())
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["pid"], server.pid());
    assert_eq!(status["ready"], true);
}

// rule: operations/command-names
#[test]
fn the_program_answers_to_its_old_names() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let manage = dir.path().join("manage.py");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kompira"), &manage).unwrap();
    let listed = std::process::Command::new(&manage)
        .args(["process", "list", "--all"])
        .env("KOMPIRA_DATA", server.data())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let daemon = dir.path().join("kompirad");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_kompira"), &daemon).unwrap();
    let help = std::process::Command::new(&daemon).arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("--mount"));
}

// rule: http/identity
#[test]
fn the_private_socket_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    let mode = |path: &str| {
        std::fs::metadata(server.data().join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("run/kompira.sock"), 0o600);
    assert_eq!(mode("run"), 0o700);
    assert_eq!(mode(".secret_key"), 0o600);
}

// rule: operations/terminal
#[test]
fn standard_output_is_data() {
    let server = Server::start();
    let token = server.stdout(&["token", "create", "root"]);
    assert_eq!(token.lines().count(), 1);
    assert!(token.trim().chars().all(|c| c.is_ascii_hexdigit()));
    let list: serde_json::Value =
        serde_json::from_str(&server.stdout(&["process", "list", "--all", "--json"])).unwrap();
    assert_eq!(list, json!([]));
}
