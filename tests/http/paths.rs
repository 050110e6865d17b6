//! Paths, negotiation, identity.

use serde_json::json;

use crate::support::Server;

// rule: http/paths
#[test]
fn nothing_leads_outside_the_tree() {
    let server = Server::start();
    let client = server.client();
    for path in [
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/%252e%252e/",
        "/..%2f..%2fetc",
        "/root/..",
        "/root/%2e%2e/system",
        "//etc//passwd",
        "/root%00",
        "/root%2fx",
        "/c:%5cwindows",
        "/~root",
        "/-",
        "/-/",
        "/-/../root",
        "/-/nosuch",
        "/.git",
        "/.kompira",
        "/root/.children",
    ] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    for path in ["/%c0%ae%c0%ae", "/%", "/%zz", "/%ff"] {
        assert_eq!(client.get(path).status, 400, "{path}");
    }
    assert_eq!(client.get("//root///").expect(200).json()["abspath"], "/root");
    let long = format!("/{}", "a".repeat(129));
    assert_eq!(client.get(&long).status, 400);
}

// rule: http/identity
#[test]
fn without_a_valid_token_nobody_learns_anything() {
    let server = Server::start();
    let stranger = server.stranger();
    for path in ["/", "/root", "/nowhere", "/process", "/-/status", "/%ff"] {
        let reply = stranger.get(path).expect(401);
        assert_eq!(
            reply.json(),
            json!({"detail": "Authentication credentials were not provided."})
        );
        assert_eq!(reply.header("www-authenticate"), Some("Token"));
    }
    for bad in ["Token nonsense", "Token ", "Bearer x", "nonsense", "Token é"] {
        let reply = stranger.send("GET", "/root", &[("Authorization", bad)], b"").expect(401);
        assert_eq!(reply.json(), json!({"detail": "Invalid token."}), "{bad}");
    }
    let query = format!("/root?token={}&format=json", server.token());
    assert_eq!(stranger.get(&query).expect(200).json()["abspath"], "/root");
    // The header wins: a good token in the query does not help a bad one there.
    stranger.send("GET", &query, &[("Authorization", "Token bad")], b"").expect(401);
    let log = std::fs::read_to_string(server.data().join("log/kompira.log")).unwrap();
    assert!(log.contains("GET /root"), "{log}");
    assert!(!log.contains(server.token()), "a token in the log");
}

// rule: http/tokens
#[test]
fn a_revoked_token_is_worth_nothing() {
    let server = Server::start();
    let client = server.client();
    client.get("/root").expect(200);
    server.stdout(&["token", "revoke", "root"]);
    client.get("/root").expect(401);
    let failed = server.run(&["token", "create", "nobody"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(failed.stdout.is_empty());
}

// rule: http/negotiation
#[test]
fn the_form_of_an_answer_is_negotiated() {
    let server = Server::start();
    let client = server.client();
    let kind = |accept: &str, path: &str| {
        let reply = client.send("GET", path, &[("Accept", accept)], b"");
        (reply.status, reply.header("content-type").unwrap_or_default().to_owned())
    };
    let json = (200, "application/json".to_owned());
    assert_eq!(kind("*/*", "/root"), json);
    assert_eq!(kind("text/html", "/root?format=json"), json);
    assert_eq!(kind("text/html", "/root"), (200, "text/html; charset=utf-8".to_owned()));
    assert_eq!(kind("image/png", "/root").0, 406);
    assert_eq!(kind(";;;,,=", "/root").0, 406);
}

// rule: http/bodies
#[test]
fn bodies_are_json_and_read_leniently() {
    let server = Server::start();
    let client = server.client();
    let post = |kind: &str, body: &str| {
        client.send("POST", "/root", &[("Content-Type", kind)], body.as_bytes())
    };
    post("text/plain", "{}").expect(415);
    post("application/x-www-form-urlencoded", "name=x").expect(415);
    post("application/json", "{").expect(400);
    let raw = "{\"name\": \"raw\", \"type_object\": \"/system/types/Text\", \"fields\": {\"text\": \"a\nb\tc\"}}";
    let made = post("application/json; charset=utf-8", raw).expect(201).json();
    assert_eq!(made["fields"]["text"], "a\nb\tc");
}
