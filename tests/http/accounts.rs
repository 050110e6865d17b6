//! Mail accounts of an OAuth2 provider, by a real server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::support::{Client, Reply, Server};

const ACCESS: &str = "access-token-of-the-test";
const REFRESH: &str = "refresh-token-of-the-test";
const SECRET: &str = "client-secret-of-the-test";

/// A provider that gives tokens; what it was asked.
fn provider() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            noted.lock().unwrap().push(String::from_utf8(body).unwrap());
            let given = json!({"access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 1});
            let given = given.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                given.len()
            );
            stream.write_all(format!("{head}{given}").as_bytes()).unwrap();
        }
    });
    (url, heard)
}

fn account(client: &Client, token_endpoint: &str) {
    // Nobody listens there any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fields = json!({
        "client_id": "kompira",
        "client_secret": SECRET,
        "auth_endpoint": "https://example.com/auth",
        "token_endpoint": token_endpoint,
        "scope": ["mail"],
    });
    client.create("/", "provider", "OAuth2Provider", fields);
    let fields = json!({"use_oauth2": true, "oauth2_provider": "/provider", "hostname": "127.0.0.1", "port": port});
    client.create("/", "server", "SmtpServer", fields);
}

/// The cookies of an answer, as a browser sends them back.
fn cookies(reply: &Reply) -> String {
    let set = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.map(|(_, value)| value.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

fn state(begun: &Json) -> String {
    let url = begun["url"].as_str().unwrap();
    let (_, rest) = url.split_once("&state=").unwrap();
    rest.split('&').next().unwrap().to_owned()
}

// rule: http/oauth2
// rule: operations/mail-oauth2
#[test]
fn an_account_is_approved_in_a_browser_renewed_and_cleared() {
    let (token_endpoint, heard) = provider();
    let mut server = Server::start();
    let client = server.client();
    account(&client, &token_endpoint);
    let begin = || client.send("POST", "/server.authorize", &[], b"").expect(200).json();
    let begun = begin();
    let here = format!("{}/-/oauth2", server.url());
    assert_eq!(begun["redirect_url"], here.as_str());
    assert_eq!(begun["expires_in"], 600);
    // The browser comes back; only that of the user who began ends it.
    let stranger = server.stranger();
    let forged = stranger.get("/-/oauth2?state=forged&code=c").expect(401).text();
    assert!(forged.contains("redirected_url"), "{forged}");
    let back = format!("/-/oauth2?code=the-code&state={}", state(&begun));
    assert_eq!(stranger.get(&back).expect(401).text(), forged, "it tells nothing");
    let alice = client.post("/config/user", &json!({"username": "alice", "password": "pw"}));
    alice.expect(201);
    let words = json!({"username": "alice", "password": "pw"});
    let logged_in = |words: &Json| cookies(&server.stranger().post("/-/login", words).expect(200));
    let hers = logged_in(&words);
    let told = stranger.send("GET", &back, &[("Cookie", &hers)], b"").expect(400).text();
    assert!(!told.contains("/server"), "{told}");
    stranger.send("GET", &back, &[("Authorization", "Token bad")], b"").expect(401);
    client.send("HEAD", &back, &[], b"").expect(204);
    assert!(heard.lock().unwrap().is_empty());
    let his = logged_in(&json!({"username": "root", "password": server.password().unwrap()}));
    let with = [("Cookie", his.as_str())];
    let ended = stranger.send("GET", &back, &with, b"").expect(200).json();
    assert_eq!(ended, json!({"authorized": "/server"}));
    stranger.send("GET", &back, &with, b"").expect(400);
    // Who may not write it is refused, and that is written down.
    let user = server.client().post("/-/login", &words).expect(200);
    let word = user.json()["csrf_token"].as_str().unwrap().to_owned();
    let hers = cookies(&user);
    let hers = [("Cookie", hers.as_str()), ("X-CSRFToken", word.as_str())];
    let refused = stranger.send("POST", "/server.authorize", &hers, b"").expect(403).text();
    assert!(!refused.contains("CSRF"), "{refused}");
    // It is pasted.
    let address = format!("http://localhost/?state={}&code=other-code", state(&begin()));
    let paste = json!({"redirected_url": address});
    client.post("/server.authorize", &paste).expect(200);
    client.post("/server.authorize", &paste).expect(400);
    client.post("/server.authorize", &json!({"code": "x"})).expect(400);
    client.post("/provider.authorize", &json!({})).expect(404);
    assert_eq!(heard.lock().unwrap().len(), 2);
    // It ends at once, so each use renews it. Nobody listens at that port.
    let fields = json!({"source": "[/server.conn_check] => print($STATUS, $ERROR)"});
    client.create("/", "asks", "Jobflow", fields);
    let process = client.post("/asks.execute", &json!({})).expect(200).json();
    let process = process.as_str().unwrap();
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200);
    let forms = heard.lock().unwrap().clone();
    assert_eq!(forms.len(), 3);
    assert!(forms[2].contains("grant_type=refresh%5Ftoken"), "{}", forms[2]);
    let shown = client.get(process).expect(200).text();
    assert!(shown.contains("DONE"), "{shown}");
    client.delete("/server.authorize").expect(204);
    let begun = begin();
    server.stop();
    // Nothing of it is told.
    let verifier = forms[0].split("code_verifier=").nth(1).unwrap().split('&').next().unwrap();
    let mut logs = shown;
    for file in crate::support::shim::files(server.data()) {
        if file.extension().is_some_and(|ending| ending == "log") {
            logs += &String::from_utf8_lossy(&std::fs::read(file).unwrap());
        }
    }
    assert!(logs.contains("GET /-/oauth2"), "the logs are read");
    let refused =
        |line: &str| line.contains("\"oauth2\":\"authorize\"") && line.contains("\"alice\"");
    assert!(logs.lines().any(|line| refused(line) && line.contains("\"denied\"")), "{logs}");
    let last = state(&begun);
    for secret in [ACCESS, REFRESH, SECRET, "the-code", "other-code", verifier, &last] {
        assert!(!logs.contains(secret), "{secret}");
    }
}
