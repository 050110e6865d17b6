//! Channels and long polls over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value as Json, json};

use crate::support::server::PATIENCE;
use crate::support::{Client, Server};

fn channel(server: &Server) -> Client {
    let client = server.client();
    client.create("/root", "queue", "Channel", json!({}));
    client
}

fn count(client: &Client) -> u64 {
    client.get("/root/queue").json()["extra_properties"]["message_count"].as_u64().unwrap()
}

/// A receiver that waits a minute, as bytes.
fn patient(server: &Server) -> String {
    let body = r#"{"timeout": 60}"#;
    format!(
        "POST /root/queue.recv HTTP/1.1\r\nHost: x\r\nAuthorization: Token {}\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.token(),
        body.len()
    )
}

// rule: http/send
#[test]
fn any_json_is_a_message_and_comes_back_as_it_was() {
    let server = Server::start();
    let client = channel(&server);
    let messages =
        [json!(null), json!(true), json!(1.5), json!("x\n世"), json!([1, {"a": null}]), json!({})];
    for message in &messages {
        assert_eq!(client.post("/root/queue.send", message).expect(200).json(), json!(true));
    }
    client.send("POST", "/root/queue.send", &[], b"").expect(200);
    assert_eq!(count(&client), 7);
    for message in &messages {
        let got = client.send("POST", "/root/queue.recv", &[], b"").expect(200);
        assert_eq!(got.header("content-type"), Some("application/json"));
        assert_eq!(got.json(), *message);
    }
    assert_eq!(client.post("/root/queue.recv", &json!({})).expect(200).json(), json!(null));
    let none = client.post("/root/queue.recv", &json!({"timeout": 0})).expect(408);
    assert_eq!(none.json(), json!({"detail": "Request timed out."}));
    client.post("/root/queue.recv", &json!({"timeout": -1})).expect(400);
    client.post("/root/queue.recv", &json!({"timeout": "soon"})).expect(400);
    client.get("/root/queue.recv").expect(405);
    client.post("/root.send", &json!(1)).expect(404);
    client.post("/root/nothing.recv", &json!({})).expect(404);
}

// rule: http/recv
#[test]
fn receivers_wait_in_line_and_each_message_goes_to_one() {
    let server = Server::start();
    let client = channel(&server);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            let waiter = std::thread::spawn(move || {
                client.post("/root/queue.recv", &json!({"timeout": 30})).expect(200).json()
            });
            std::thread::sleep(Duration::from_millis(150));
            waiter
        })
        .collect();
    for number in 0..4 {
        client.post("/root/queue.send", &json!(number)).expect(200);
        std::thread::sleep(Duration::from_millis(50));
    }
    let got: Vec<_> = waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect();
    assert_eq!(got, [0, 1, 2, 3], "first come, first served");
    let started = Instant::now();
    client.post("/root/queue.recv", &json!({"timeout": 0.5})).expect(408);
    assert!(started.elapsed() >= Duration::from_millis(500));
}

// rule: http/recv
#[test]
fn a_receiver_that_has_gone_swallows_nothing() {
    let server = Server::start();
    let client = channel(&server);
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    let request = patient(&server);
    for _ in 0..5 {
        let mut gone = TcpStream::connect(&address).unwrap();
        gone.write_all(request.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        drop(gone);
    }
    std::thread::sleep(Duration::from_millis(200));
    client.post("/root/queue.send", &json!("kept")).expect(200);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(count(&client), 1, "nobody took it");
    // One that is still there gets it.
    let mut there = TcpStream::connect(&address).unwrap();
    there.write_all(request.as_bytes()).unwrap();
    there.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = [0_u8; 2048];
    let read = there.read(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\"kept\""), "{text}");
    assert_eq!(count(&client), 0);
}

// rule: http/recv
#[test]
fn a_channel_that_is_deleted_ends_its_waits() {
    let server = Server::start();
    let client = channel(&server);
    let waiting = {
        let client = client.clone();
        std::thread::spawn(move || client.post("/root/queue.recv", &json!({"timeout": 30})))
    };
    std::thread::sleep(Duration::from_millis(300));
    client.delete("/root/queue").expect(204);
    waiting.join().unwrap().expect(404);
}

// rule: http/long-polls
#[test]
fn hundreds_wait_at_once_without_a_place_among_the_working() {
    let server = Server::start();
    let client = channel(&server);
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    let request = patient(&server);
    let waiting: Vec<_> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    client.get("/root").expect(200);
    client.post("/root/queue.send", &json!(1)).expect(200);
    assert!(started.elapsed() < Duration::from_secs(10));
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().count();
    assert!(threads < 200, "{threads} threads");
    drop(waiting);
}

/// Looks until the channel tells as many receivers, or gives up.
fn counted(client: &Client, path: &str, wanted: u64) -> Json {
    let started = std::time::Instant::now();
    loop {
        let found = client.get(path).expect(200).json()["extra_properties"].clone();
        if found["event_count"] == wanted || started.elapsed() > PATIENCE {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Who waits for a channel, as its field says.
fn receivers(client: &Client, path: &str) -> Vec<String> {
    let shown = client.get(path).expect(200).json()["fields"]["event_queue"].clone();
    let text = |one: &Json| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(one.as_str().unwrap());
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    shown.as_array().unwrap().iter().map(text).collect()
}

// rule: tree/channels
#[test]
fn a_channel_tells_how_many_wait_for_it() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "ch", "Channel", json!({}));
    client.create("/root", "job", "Jobflow", json!({"source": "<./ch> -> print($RESULT)"}));
    assert_eq!(counted(&client, "/root/ch", 0), json!({"message_count": 0, "event_count": 0}));
    let process = client.post("/root/job.execute", &json!({})).expect(200).json();
    let number = process.as_str().unwrap().rsplit('_').next().unwrap().to_owned();
    let of_process = format!("{{\"process\": {number}}}");
    assert_eq!(counted(&client, "/root/ch", 1)["event_count"], 1);
    assert_eq!(receivers(&client, "/root/ch"), [of_process.as_str()]);
    let waiting = {
        let client = server.client();
        std::thread::spawn(move || client.post("/root/ch.recv", &json!({"timeout": 60})))
    };
    assert_eq!(counted(&client, "/root/ch", 2)["event_count"], 2);
    assert_eq!(receivers(&client, "/root/ch"), [of_process.as_str(), "{\"request\": 0}"]);
    for message in ["a", "b"] {
        client.post("/root/ch.send", &json!(message)).expect(200);
    }
    waiting.join().unwrap().expect(200);
    let process = process.as_str().unwrap();
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200);
    assert_eq!(counted(&client, "/root/ch", 0), json!({"message_count": 0, "event_count": 0}));
    assert_eq!(receivers(&client, "/root/ch"), Vec::<String>::new());
}

// rule: http/recv
// rule: http/send
#[test]
fn rights_are_asked_for_before_there_is_a_message() {
    let server = Server::start();
    let client = channel(&server);
    let user = json!({"username": "mika", "password": "correct horse 8"});
    client.post("/config/user", &user).expect(201);
    let token = server.stdout(&["token", "create", "mika"]);
    let mika = client.with_token(token.trim());
    let may = |read: bool, write: bool| {
        let flags = json!({"readable": read, "writable": write});
        let body = json!({"user_permissions": {"mika": flags}, "group_permissions": {}});
        client.patch("/root/queue", &body).expect(200);
    };
    for (read, write, sends, receives) in [
        (false, false, 403, 403),
        (true, false, 403, 403),
        (false, true, 200, 403),
        (true, true, 200, 200),
    ] {
        may(read, write);
        let empty = if receives == 403 { 403 } else { 408 };
        mika.post("/root/queue.recv", &json!({})).expect(empty);
        mika.post("/root/queue.recv", &json!({"timeout": 0.1})).expect(empty);
        mika.post("/root/queue.send", &json!("m")).expect(sends);
        client.post("/root/queue.send", &json!("n")).expect(200);
        mika.post("/root/queue.recv", &json!({})).expect(receives);
        while count(&client) > 0 {
            client.post("/root/queue.recv", &json!({})).expect(200);
        }
    }
}
