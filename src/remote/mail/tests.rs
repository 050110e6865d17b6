//! Mail servers of the tests' own that speak TLS.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, BufStream,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use std::time::Duration;

use super::*;
use crate::remote::network::Network;
use crate::remote::trial::{Authority, serve, wait};

/// How a server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    FromTheStart,
    WhenAsked,
    Never,
    /// Without TLS, and it does not say good-bye.
    NeverBye,
    /// Without TLS, and it repeats what it is told and takes nobody.
    Repeats,
}

/// What a server heard, and whether the line was encrypted.
type Heard = Arc<Mutex<Vec<(bool, String)>>>;

/// A server with a certificate for `name`.
fn server(authority: &Authority, name: &str, speaks: Speaks) -> (Server, Heard) {
    let (acceptor, heard) = (authority.acceptor(name), Heard::default());
    let noted = Arc::clone(&heard);
    let port = serve(move |stream| {
        let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
        async move {
            let _ = converse(stream, &acceptor, speaks, &noted).await;
        }
    });
    let server = Server {
        host: "127.0.0.1".into(),
        port: Some(port),
        user: Some("tim".into()),
        password: Some("pass word".to_owned().into()),
        timeout: Some(Duration::from_secs(60)),
        tls: matches!(speaks, Speaks::WhenAsked | Speaks::Never),
        ssl: speaks == Speaks::FromTheStart,
        oauth2: false,
    };
    (server, heard)
}

async fn converse(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    speaks: Speaks,
    heard: &Heard,
) -> std::io::Result<()> {
    if speaks == Speaks::FromTheStart {
        let mut secured = BufStream::new(acceptor.accept(stream).await?);
        secured.write_all(b"220 ready\r\n").await?;
        secured.flush().await?;
        return talk(&mut secured, true, speaks, heard).await.map(drop);
    }
    let mut plain = BufReader::new(stream);
    plain.write_all(b"220 ready\r\n").await?;
    if talk(&mut plain, false, speaks, heard).await? {
        let mut secured = BufStream::new(acceptor.accept(plain.into_inner()).await?);
        talk(&mut secured, true, speaks, heard).await?;
    }
    Ok(())
}

/// Answers until the client leaves, or wants to begin with TLS.
async fn talk<S: tokio::io::AsyncBufRead + AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    secured: bool,
    speaks: Speaks,
    heard: &Heard,
) -> std::io::Result<bool> {
    let mut in_mail = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let line = line.trim_end().to_owned();
        heard.lock().push((secured, line.clone()));
        if speaks == Speaks::Repeats && line.starts_with("AUTH") {
            stream.write_all(format!("535 not {line}\r\n").as_bytes()).await?;
            stream.flush().await?;
            continue;
        }
        let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "." if in_mail => {
                in_mail = false;
                b"250 taken\r\n"
            }
            _ if in_mail => continue,
            "EHLO" if speaks == Speaks::WhenAsked && !secured => {
                b"250-here\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
            }
            "EHLO" => b"250-here\r\n250 AUTH PLAIN XOAUTH2\r\n",
            "STARTTLS" => b"220 go\r\n",
            "AUTH" => b"235 welcome\r\n",
            "QUIT" if speaks == Speaks::NeverBye => continue,
            "DATA" => {
                in_mail = true;
                b"354 go\r\n"
            }
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer).await?;
        stream.flush().await?;
        if line == "STARTTLS" {
            return Ok(true);
        }
    }
}

fn mail() -> (Envelope, Vec<u8>) {
    compose(&Mail {
        from: "a@example.com".into(),
        to: vec!["b@example.com".into()],
        text: Some("hello".into()),
        charset: "UTF-8".into(),
        date: "Mon, 01 Jan 2024 00:00:00 +0000".into(),
        token: "t".into(),
        ..Mail::default()
    })
    .unwrap()
}

// rule: operations/mail-tls
#[test]
fn a_server_with_a_good_certificate_gets_the_mail_encrypted() {
    let authority = Authority::new();
    for speaks in [Speaks::FromTheStart, Speaks::WhenAsked] {
        let (server, heard) = server(&authority, "127.0.0.1", speaks);
        let (envelope, bytes) = mail();
        wait(send(&server, &authority.network(), &envelope, &bytes)).unwrap();
        let heard = heard.lock();
        let plain: Vec<_> = heard.iter().filter(|(secured, _)| !secured).collect();
        assert_eq!(plain.len(), if speaks == Speaks::WhenAsked { 2 } else { 0 }, "{plain:?}");
        assert!(heard.iter().any(|(secured, line)| *secured && line.starts_with("AUTH PLAIN")));
        assert!(heard.iter().any(|(secured, line)| *secured && line == "hello"));
    }
}

// rule: operations/mail-tls
#[test]
fn a_server_that_cannot_be_trusted_learns_nothing() {
    let (known, other) = (Authority::new(), Authority::new());
    for speaks in [Speaks::FromTheStart, Speaks::WhenAsked] {
        for (authority, name, why) in [
            (&other, "127.0.0.1", "signed by no authority that this machine trusts"),
            (&known, "mail.example.com", "for another name"),
        ] {
            let (server, heard) = server(authority, name, speaks);
            let told = wait(greet(&server, &known.network())).unwrap_err();
            assert!(told.starts_with("the mail server cannot be trusted: "), "{told}");
            assert!(told.contains(why), "{told}");
            let secrets = heard.lock().iter().any(|(_, line)| line.starts_with("AUTH"));
            assert!(!secrets, "{:?}", heard.lock());
        }
    }
}

// rule: operations/mail-tls
#[test]
fn a_server_that_does_not_know_tls_learns_nothing_either() {
    let authority = Authority::new();
    let (server, heard) = server(&authority, "127.0.0.1", Speaks::Never);
    wait(greet(&server, &authority.network())).unwrap_err();
    assert!(heard.lock().iter().all(|(_, line)| !line.starts_with("AUTH")));
    let open = Server { tls: false, ..server };
    wait(greet(&open, &authority.network())).unwrap();
}

// rule: operations/mail-tls
#[test]
fn a_token_logs_in_as_xoauth2() {
    use base64::Engine as _;
    let authority = Authority::new();
    let (server, heard) = server(&authority, "127.0.0.1", Speaks::FromTheStart);
    let token = Server { oauth2: true, password: Some("token".to_owned().into()), ..server };
    wait(greet(&token, &authority.network())).unwrap();
    let words =
        base64::engine::general_purpose::STANDARD.encode("user=tim\x01auth=Bearer token\x01\x01");
    let said = format!("AUTH XOAUTH2 {words}");
    assert!(heard.lock().iter().any(|(_, line)| *line == said), "{:?}", heard.lock());
}

/// A server of a port, without TLS and login.
fn plain(port: u16, timeout: Option<Duration>) -> Server {
    Server {
        host: "127.0.0.1".into(),
        port: Some(port),
        user: None,
        password: None,
        timeout,
        tls: false,
        ssl: false,
        oauth2: false,
    }
}

fn patient(send: Duration) -> Network {
    let patience = crate::remote::Patience { send, ..Default::default() };
    Network { patience, ..Network::default() }
}

// rule: operations/mail-sending
#[test]
fn a_silent_server_is_left() {
    let port = serve(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    });
    let short = Duration::from_millis(50);
    let hour = Duration::from_secs(3_600);
    let (envelope, bytes) = mail();
    for (timeout, limit, why) in [
        (None, short, "the mail server did not do its work within 0.05 seconds"),
        // Already while it connects, where that takes its time.
        (Some(short), hour, "0.05 seconds"),
    ] {
        let (server, network) = (plain(port, timeout), patient(limit));
        let told = wait(send(&server, &network, &envelope, &bytes)).unwrap_err();
        assert!(told.contains(why), "{told}");
        let told = wait(greet(&server, &network)).unwrap_err();
        assert!(told.contains(why), "{told}");
        // It waits for a handshake.
        let told = wait(greet(&Server { ssl: true, ..server }, &network)).unwrap_err();
        assert!(told.contains("0.05 seconds"), "{told}");
    }
}

// rule: operations/mail-sending
#[test]
fn a_server_that_ends_no_line_is_left() {
    let port =
        serve(|mut stream| async move { while stream.write_all(&[b'2'; 4096]).await.is_ok() {} });
    let server = plain(port, None);
    let told = wait(greet(&server, &patient(Duration::from_secs(3_600)))).unwrap_err();
    assert!(told.contains("says too much"), "{told}");
}

// rule: operations/mail-sending
#[test]
fn a_mail_that_was_taken_is_sent_whatever_comes_then() {
    let authority = Authority::new();
    let (server, heard) = server(&authority, "127.0.0.1", Speaks::NeverBye);
    let mut network = authority.network();
    network.patience.leave = Duration::from_millis(10);
    let (envelope, bytes) = mail();
    wait(send(&Server { timeout: None, ..server }, &network, &envelope, &bytes)).unwrap();
    assert!(heard.lock().iter().any(|(_, line)| line == "hello"));
}

// rule: operations/mail-tls
#[test]
fn a_token_is_not_sent_in_the_clear() {
    let address = std::net::Ipv4Addr::new(192, 0, 2, 1);
    let names = crate::remote::Names::with(move |_| Ok(vec![address.into()]));
    let network = Network { names, ..Network::default() };
    let server = Server { host: "mail.test".into(), oauth2: true, ..plain(25, None) };
    let told = wait(greet(&server, &network)).unwrap_err();
    let wanted = "the OAuth2 token would be sent in the clear: switch use_tls or use_ssl on";
    assert_eq!(told, wanted);
}

// rule: operations/mail-oauth2
#[test]
fn a_server_that_repeats_a_secret_is_told_without_it() {
    use base64::Engine as _;
    let authority = Authority::new();
    let (server, heard) = server(&authority, "127.0.0.1", Speaks::Repeats);
    let told = wait(greet(&server, &authority.network())).unwrap_err();
    let said = base64::engine::general_purpose::STANDARD.encode("\0tim\0pass word");
    assert!(heard.lock().iter().any(|(_, line)| line.contains(&said)), "{:?}", heard.lock());
    assert!(told.contains("535") && told.contains("***") && !told.contains(&said), "{told}");
}
