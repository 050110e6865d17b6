//! Starting and stopping a server.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::{Options, Server, kompira};

// rule: http/health
#[test]
fn health_needs_no_login() {
    let server = Server::start();
    let stranger = server.stranger();
    for path in ["/-/health", "/-/health/live", "/-/health/ready"] {
        assert_eq!(stranger.get(path).expect(200).json(), json!({"status": "ok"}), "{path}");
    }
}

// rule: http/phrases
#[test]
fn scripts_get_the_phrases_of_their_reader() {
    let server = Server::start();
    let stranger = server.stranger();
    for (asked, accepted, language) in [
        ("/.jsi18n.js", "ja,en;q=0.5", "ja"),
        ("/.jsi18n.js", "de", "en"),
        ("/.jsi18n.js?lang=ja", "en", "ja"),
    ] {
        let answer = stranger.send("GET", asked, &[("Accept-Language", accepted)], b"");
        let answer = answer.expect(200);
        assert_eq!(answer.header("content-language"), Some(language), "{asked} {accepted}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert!(answer.text().contains("globalThis.gettext"));
    }
}

// rule: operations/data-directory
#[test]
fn what_was_answered_is_there_after_a_stop_and_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    assert!(server.password().is_some_and(|password| password.len() >= 12));
    server.client().create("/root", "one", "Text", json!({"text": "1"}));
    assert_eq!(server.stop().code(), Some(0));
    let mut server = Server::on(&data, &Options::default());
    assert_eq!(server.password(), None, "shown once");
    assert_eq!(server.client().get("/root/one").expect(200).json()["fields"]["text"], "1");
    server.client().create("/root", "two", "Text", json!({"text": "2"}));
    server.kill();
    let server = Server::on(&data, &Options::default());
    assert_eq!(server.client().get("/root/two").expect(200).json()["fields"]["text"], "2");
}

// rule: operations/data-directory
#[test]
fn a_second_server_is_told_who_holds_the_directory() {
    let server = Server::start();
    let second = kompira()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(4));
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(error.contains(&format!("kompira serve (pid {})", server.pid())), "{error}");
    server.client().get("/root").expect(200);
}

// rule: operations/listen
#[test]
fn other_machines_are_let_in_only_on_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let refused = kompira()
        .args(["serve", "--listen", "0.0.0.0:0", "--data"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--insecure-bind"));
}

// rule: operations/stop
#[test]
fn a_stop_lets_requests_in_flight_end() {
    let mut server = Server::start();
    let client = server.client();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let client = client.clone();
            std::thread::spawn(move || {
                let mut made = Vec::new();
                for number in 0..1000 {
                    let name = format!("w{writer}_{number}");
                    let body = json!({"name": name, "type_object": "/system/types/Text"});
                    let reply = std::panic::catch_unwind(|| client.post("/root", &body));
                    match reply {
                        Ok(reply) if reply.status == 201 => made.push(name),
                        _ => break,
                    }
                }
                made
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.stop().code(), Some(0));
    let made: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    assert!(!made.is_empty());
    let server = {
        let data = server.data().to_owned();
        let again = Server::on(&data, &Options::default());
        for name in &made {
            again.client().get(&format!("/root/{name}?attrs=id")).expect(200);
        }
        again
    };
    drop(server);
}
