//! What operators and tools ask: metrics, description, compression, limits.

use serde_json::json;

use crate::support::{Options, Server};

// rule: http/metrics
#[test]
fn metrics_are_for_privileged_users_and_count_requests() {
    let server = Server::start();
    let root = server.client();
    for _ in 0..3 {
        root.get("/root").expect(200);
    }
    root.get("/root/gone").expect(404);
    let reply = root.get("/-/metrics").expect(200);
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = reply.text();
    for line in [
        "kompira_http_requests_total{operation=\"getObject\",status=\"200\"} 3",
        "kompira_http_requests_total{operation=\"getObject\",status=\"404\"} 1",
        "kompira_store_healthy 1",
        "kompira_processes_active 0",
        "kompira_http_in_flight 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("kompira_resident_bytes ") && text.ends_with("# EOF\n"));
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    mika.get("/-/metrics").expect(403);
    server.stranger().get("/-/metrics").expect(401);
}

// rule: http/openapi
#[test]
fn the_description_is_served() {
    let server = Server::start();
    let served = server.client().get("/-/openapi.json").expect(200).json();
    let committed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json"));
    let committed: serde_json::Value = serde_json::from_slice(&committed.unwrap()).unwrap();
    assert_eq!(served, committed);
    server.stranger().get("/-/openapi.json").expect(401);
}

// rule: http/compression
#[test]
fn long_json_is_compressed_for_who_takes_it() {
    let server = Server::start();
    let client = server.client();
    let gzip = [("Accept-Encoding", "gzip")];
    let plain = client.get("/system/types.children").expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    let packed = client.send("GET", "/system/types.children", &gzip, b"").expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 3 < plain.body.len());
    assert_eq!(packed.body[..2], [0x1f, 0x8b]);
    let short = client.send("GET", "/config.children?attrs=id&page_size=1", &gzip, b"");
    assert_eq!(short.expect(200).header("content-encoding"), None);
    client.create("/root", "big", "Text", json!({"text": "x".repeat(5000)}));
    let raw = client.send("GET", "/root/big.render", &gzip, b"").expect(200);
    assert_eq!(raw.header("content-encoding"), None);
}

// rule: http/rates
#[test]
fn who_guesses_tokens_is_slowed_down_and_others_are_not() {
    let server = Server::start();
    let guess = server.client().with_token("0123456789012345678901234567890123456789");
    let mut slowed = None;
    for _ in 0..40 {
        let reply = guess.get("/root");
        match reply.status {
            401 => assert!(slowed.is_none()),
            _ => slowed = Some(reply.expect(429)),
        }
    }
    let slowed = slowed.expect("the limit is below 40");
    assert!(slowed.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    server.client().get("/root").expect(200);
}

// rule: http/rates
#[test]
fn a_user_may_be_limited() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("kompira.conf"), "[http]\nrate_limit = 5\n").unwrap();
    let server = Server::on(&data, &Options::default());
    let client = server.client();
    let statuses: Vec<u16> = (0..30).map(|_| client.get("/root").status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses.contains(&429), "{statuses:?}");
    // Commands of the owner are not limited.
    for _ in 0..12 {
        server.stdout(&["status"]);
    }
}
