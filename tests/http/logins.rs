//! Logins by password and cookie.

use serde_json::json;

use crate::support::{Reply, Server};

fn login(server: &Server, name: &str, password: &str) -> Reply {
    server.stranger().post("/-/login", &json!({"username": name, "password": password}))
}

/// The cookies of an answer, as a browser sends them back.
fn cookies(reply: &Reply) -> String {
    let set = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.map(|(_, value)| value.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

// rule: http/login
#[test]
fn a_cookie_logs_in_and_changes_need_the_word_besides() {
    let server = Server::start();
    let opened = login(&server, "root", server.password().unwrap()).expect(200);
    let set: Vec<_> =
        opened.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, v)| v).collect();
    assert!(set[0].contains("HttpOnly") && set[0].contains("SameSite=Lax"), "{set:?}");
    assert!(!set[1].contains("HttpOnly"), "{set:?}");
    let word = opened.json()["csrf_token"].as_str().unwrap().to_owned();
    let cookies = cookies(&opened);
    let stranger = server.stranger();
    let with = [("Cookie", cookies.as_str())];
    assert_eq!(stranger.send("GET", "/root", &with, b"").expect(200).json()["abspath"], "/root");
    let body = br#"{"name": "x", "type_object": "/system/types/Text"}"#;
    let json = ("Content-Type", "application/json");
    let refused = stranger.send("POST", "/root", &[with[0], json], body).expect(403);
    assert!(refused.json()["detail"].as_str().unwrap().starts_with("CSRF Failed:"));
    let proof = ("X-CSRFToken", word.as_str());
    stranger.send("POST", "/root", &[with[0], json, proof], body).expect(201);
    // A token wins over a cookie, also a bad one.
    let bad = ("Authorization", "Token bad");
    stranger.send("GET", "/root", &[with[0], bad], b"").expect(401);
    stranger.send("POST", "/-/logout", &with, b"").expect(403);
    stranger.send("POST", "/-/logout", &[with[0], proof], b"").expect(204);
    stranger.send("GET", "/root", &with, b"").expect(401);
    let log = std::fs::read_to_string(server.data().join("log/kompira.log")).unwrap();
    assert!(!log.contains(server.password().unwrap()));
}

// rule: http/login
#[test]
fn wrong_passwords_lock_and_tell_nothing() {
    let server = Server::start();
    server
        .client()
        .post("/config/user", &json!({"username": "mika", "password": "right one"}))
        .expect(201);
    let nobody = login(&server, "nobody", "x").expect(401).json();
    for _ in 0..3 {
        assert_eq!(login(&server, "mika", "wrong").expect(401).json(), nobody);
    }
    assert_eq!(login(&server, "mika", "right one").expect(401).json(), nobody, "locked");
    login(&server, "root", server.password().unwrap()).expect(200);
    let stranger = server.stranger();
    stranger.post("/-/login", &json!({"username": "root"})).expect(400);
    stranger.get("/-/login").expect(405);
    stranger.send("POST", "/-/logout", &[], b"").expect(401);
}

// rule: http/login, tree/sessions
#[test]
fn a_user_who_is_switched_off_is_logged_out() {
    let server = Server::start();
    let client = server.client();
    let made = client.post("/config/user", &json!({"username": "mika", "password": "pw"}));
    let path = made.expect(201).json()["abspath"].as_str().unwrap().to_owned();
    let cookies = cookies(&login(&server, "mika", "pw").expect(200));
    let stranger = server.stranger();
    let with = [("Cookie", cookies.as_str())];
    stranger.send("GET", "/", &with, b"").expect(200);
    client.patch(&path, &json!({"is_active": false})).expect(200);
    stranger.send("GET", "/", &with, b"").expect(401);
    login(&server, "mika", "pw").expect(401);
}
