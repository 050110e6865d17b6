//! Parts of attachments, rendered texts, the change feed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::support::Server;

// rule: http/ranges
#[test]
fn a_part_of_an_attachment_is_given() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "files", "AttachedFile", json!({}));
    let bytes: Vec<u8> = (0..600_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let at = "/root/files.attachments/attached1";
    client.send("PUT", at, &[], &bytes).expect(204);
    let whole = client.get(at).expect(200);
    assert_eq!(whole.body, bytes);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap().to_owned();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=131070-131080", 131_070, 131_081),
        ("bytes=2399990-", 2_399_990, 2_400_000),
        ("bytes=-5", 2_399_995, 2_400_000),
        ("bytes=1-1000000", 1, 1_000_001),
    ] {
        let part = client.send("GET", at, &[("Range", range), ("If-Range", &tag)], b"").expect(206);
        assert_eq!(part.body, bytes[from..to], "{range}");
        let said = format!("bytes {from}-{}/2400000", to - 1);
        assert_eq!(part.header("content-range"), Some(said.as_str()));
    }
    let behind = client.send("GET", at, &[("Range", "bytes=2400000-")], b"").expect(416);
    assert_eq!(behind.header("content-range"), Some("bytes */2400000"));
    let other = [("Range", "bytes=0-0"), ("If-Range", "\"1\"")];
    assert_eq!(client.send("GET", at, &other, b"").expect(200).body, bytes);
    let head = client.send("HEAD", at, &[], b"").expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("2400000"), 0));
}

// rule: http/texts
#[test]
fn a_text_is_rendered_as_what_it_is() {
    let server = Server::start();
    let client = server.client();
    let environment = json!({"environment": {"site": "tokyo"}});
    client.create("/root", "env", "Environment", environment);
    let fields = json!({"text": "<b>{{ site }}</b>", "ext": "html", "context": "/root/env"});
    client.create("/root", "page", "Text", fields);
    for path in ["/root/page.render", "/root/page.html"] {
        let reply = client.get(path).expect(200);
        assert_eq!(reply.text(), "<b>tokyo</b>");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("sandbox;"), "{policy}");
    }
    client.get("/root/page.css").expect(404);
    client.get("/root/env.render").expect(404);
    client.post("/root/page.render", &json!({})).expect(405);
    client.create("/root", "motd", "Text", json!({"text": "hi", "contentType": "text/plain"}));
    let html = [("Accept", "text/html")];
    assert_eq!(client.send("GET", "/root/motd", &html, b"").expect(200).text(), "hi");
    assert_eq!(client.get("/root/motd").expect(200).json()["fields"]["text"], "hi");
    client.create("/root", "bad", "Text", json!({"text": "{% if %}", "context": "/root/env"}));
    client.get("/root/bad.render").expect(400);
}

/// Reads events until `count` have come.
fn events(server: &Server, token: &str, last: Option<&str>, count: usize) -> Vec<(String, Json)> {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    write!(
        stream,
        "GET /-/changes HTTP/1.1\r\nHost: x\r\nAuthorization: Token {token}\r\n{last}\r\n"
    )
    .unwrap();
    let (mut found, mut name) = (Vec::new(), String::new());
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if let Some(word) = line.strip_prefix("event: ") {
            name = word.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            found.push((name.clone(), serde_json::from_str(data).unwrap()));
            if found.len() == count {
                return found;
            }
        }
    }
    panic!("the feed ended after {found:?}");
}

// rule: http/changes
#[test]
fn the_feed_tells_what_one_may_read_and_goes_on_where_it_stopped() {
    let server = Server::start();
    let client = server.client();
    let status = client.get("/-/status").json();
    let from = status["revision"].to_string();
    client.create("/root", "a", "Text", json!({"text": "1"}));
    client.patch("/root/a", &json!({"fields": {"text": "2"}})).expect(200);
    client.post("/root/a.rename", &json!({"name": "b"})).expect(200);
    client.delete("/root/b").expect(204);
    let found = events(&server, server.token(), Some(&from), 5);
    assert_eq!(found[0].0, "start");
    let told: Vec<_> = found[1..]
        .iter()
        .map(|(_, data)| {
            let first = &data["changes"][0];
            (first["what"].as_str().unwrap(), first["abspath"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("created", "/root/a"),
            ("changed", "/root/a"),
            ("moved", "/root/b"),
            ("removed", "/root/b")
        ]
    );
    assert_eq!(found[3].1["changes"][0]["from"], "/root/a");
    assert_eq!(found[1].1["by"], "root");
    // On from the second: the third is next.
    let second = found[2].1["rev"].to_string();
    assert_eq!(events(&server, server.token(), Some(&second), 2)[1].1, found[3].1);
    // Who may not read it hears nothing of it.
    client.post("/config/user", &json!({"username": "mika", "password": "pw"})).expect(201);
    let mika = server.stdout(&["token", "create", "mika"]).trim().to_owned();
    let deny = json!({"group_permissions": {}});
    let hidden = client.create("/root", "secret", "Text", json!({}));
    client.patch("/root/secret", &deny).expect(200);
    let made = client.create("/home/mika", "open", "Text", json!({}));
    assert_eq!(hidden["abspath"], "/root/secret");
    let seen = events(&server, &mika, Some(&from), 3);
    let text = format!("{seen:?}");
    assert!(!text.contains("secret"), "{text}");
    let last = events(&server, &mika, Some(&(made["id"].to_string())), 1);
    assert_eq!(last[0].0, "start");
}
