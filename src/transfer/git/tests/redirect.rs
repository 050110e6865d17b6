//! Web servers that lead elsewhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

/// What a web server that knows no repository answers to every request: the rest of its head after
/// the version, by whether the request has an account.
type Answer = Box<dyn Fn(bool) -> String + Send>;

/// A web server on this machine.
struct Web {
    port: u16,
    /// The lines `Authorization` that came, one a request.
    seen: Arc<Mutex<Vec<String>>>,
}

const ASKS: &str = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"";

impl Web {
    fn start(address: &str, answer: Answer) -> Self {
        let door = TcpListener::bind((address, 0)).unwrap();
        let port = door.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let held = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in door.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut account = String::new();
                for line in BufReader::new(&stream).lines() {
                    let Ok(line) = line else { break };
                    if line.is_empty() {
                        break;
                    }
                    if line.to_ascii_lowercase().starts_with("authorization:") {
                        account = line;
                    }
                }
                let head = answer(!account.is_empty());
                held.lock().push(account);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
            }
        });
        Self { port, seen }
    }

    fn accounts(&self) -> (usize, usize) {
        let seen = self.seen.lock();
        (seen.len(), seen.iter().filter(|line| !line.is_empty()).count())
    }
}

fn asks(lab: &mut Lab, port: u16) -> Fault {
    lab.set("/repo", "URL", &format!("http://127.0.0.1:{port}/x.git").into());
    lab.set("/repo", "username", &"sato".into());
    lab.set("/repo", "password", &"pass-4711".into());
    lab.act(&Action::Initialize).unwrap_err()
}

// rule: tree/repository-redirects
#[test]
fn an_account_goes_to_the_server_that_the_object_names() {
    let web = Web::start(
        "127.0.0.1",
        Box::new(|known| if known { "404 Not Found".to_owned() } else { ASKS.to_owned() }),
    );
    asks(&mut Lab::new(), web.port);
    let seen = web.seen.lock();
    // sato:pass-4711
    assert!(seen.iter().any(|line| line.contains("c2F0bzpwYXNzLTQ3MTE=")), "{seen:?}");
}

// rule: tree/repository-redirects
#[test]
fn no_account_goes_where_a_redirect_leads() {
    // Both at once, and only to somebody it knows: git holds the account then.
    for first_asks in [false, true] {
        let other = Web::start("127.0.0.2", Box::new(|_| ASKS.to_owned()));
        let port = other.port;
        let web = Web::start(
            "127.0.0.1",
            Box::new(move |known| {
                if known || !first_asks {
                    let place = format!("http://127.0.0.2:{port}/y.git/info/refs");
                    format!("302 Found\r\nLocation: {place}?service=git-upload-pack")
                } else {
                    ASKS.to_owned()
                }
            }),
        );
        let fault = asks(&mut Lab::new(), web.port);
        let (asked, accounts) = other.accounts();
        assert!(asked > 0 && accounts == 0, "{asked} {accounts} {fault:?}");
        assert!(!fault.text(Lang::En).contains("4711"));
    }
}
