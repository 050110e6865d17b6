//! Clients that misbehave.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::Server;

// rule: http/limits
#[test]
fn too_much_is_refused_and_the_server_goes_on() {
    let server = Server::start();
    let client = server.client();
    let huge = (65 * 1024 * 1024).to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", huge.as_str())];
    client.send("POST", "/root", &headers, b"{").expect(413);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let reply = client.raw(format!("GET /root HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes());
    assert_eq!(reply.status, 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    assert!(matches!(client.raw(long.as_bytes()).status, 400 | 414 | 431));
    for bad in ["GET\r\n\r\n", "\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        assert!(client.raw(bad.as_bytes()).status >= 400, "{bad:?}");
    }
    client.get("/root").expect(200);
}

// rule: http/limits
#[test]
fn a_client_that_sends_nothing_holds_up_nobody() {
    let server = Server::start();
    let address = server.url().strip_prefix("http://").unwrap();
    let idle: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /root HTTP/1.1\r\nHost:").unwrap();
            stream
        })
        .collect();
    server.client().get("/root").expect(200);
    let mut slow = idle.into_iter().next().unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.contains("408"), "{answer}");
}
