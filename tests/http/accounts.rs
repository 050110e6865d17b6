//! Mail accounts of an OAuth2 provider, by a real server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

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
    let fields = json!({
        "client_id": "kompira",
        "client_secret": SECRET,
        "auth_endpoint": "https://example.com/auth",
        "token_endpoint": token_endpoint,
        "scope": ["mail"],
    });
    client.create("/", "provider", "OAuth2Provider", fields);
    let fields = json!({"use_oauth2": true, "oauth2_provider": "/provider", "hostname": "127.0.0.1", "port": 9});
    client.create("/", "server", "SmtpServer", fields);
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
    // The browser comes back, without a login.
    let browser = server.stranger();
    browser.get("/-/oauth2?state=forged&code=c").expect(400);
    let back = format!("/-/oauth2?code=the-code&state={}", state(&begun));
    assert_eq!(browser.get(&back).expect(200).json(), json!({"authorized": "/server"}));
    browser.get(&back).expect(400);
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
    let last = state(&begun);
    for secret in [ACCESS, REFRESH, SECRET, "the-code", "other-code", verifier, &last] {
        assert!(!logs.contains(secret), "{secret}");
    }
}
