//! Built-in jobs that reach outside: a real web server, a real mail server, real files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value as Json, json};

use crate::support::{Client, Options, Server};

/// Runs a jobflow and answers its record.
pub(super) fn run(client: &Client, name: &str, source: &str) -> Json {
    client.create("/root", name, "Jobflow", json!({"source": source}));
    let started =
        client.post(&format!("/root/{name}.execute"), &json!({"parameters": {}})).expect(200);
    let process = started.json().as_str().unwrap().to_owned();
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200).json()
}

pub(super) fn console(client: &Client, name: &str, source: &str) -> String {
    let end = run(client, name, source);
    assert_eq!(end["status"], "DONE", "{end}");
    end["console"].as_str().unwrap().to_owned()
}

/// A server whose shells do nothing of their own when they start, and show no prompt.
pub(super) fn at_home() -> (Server, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".bashrc"), "PS1=\n").unwrap();
    let env = vec![("HOME".to_owned(), home.path().display().to_string())];
    (Server::with(&Options { env, ..Options::default() }), home)
}

/// A request as the web server of the test got it.
struct Asked {
    line: String,
    headers: Vec<String>,
    body: String,
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines
        .iter()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let line = lines.remove(0);
    Some(Asked { line, headers: lines, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Answers each connection with what its path says.
fn web() -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let Some(asked) = read_request(&mut reader) else { return };
                let path = asked.line.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, extra, body): (&str, &str, &[u8]) = if path.starts_with("/slow") {
                    thread::sleep(std::time::Duration::from_secs(20));
                    ("200 OK", "", b"late")
                } else if path.starts_with("/moved") {
                    ("302 Found", "Location: /there\r\nSet-Cookie: a=1; Path=/\r\n", b"")
                } else if path.starts_with("/image") {
                    ("200 OK", "Content-Type: image/png\r\n", b"\x89PNG")
                } else if path.starts_with("/sjis") {
                    ("200 OK", "Content-Type: text/plain; charset=Shift_JIS\r\n", b"\x8a\xc4")
                } else if path.starts_with("/missing") {
                    ("404 Not Found", "Content-Type: text/plain\r\n", b"no")
                } else {
                    ("200 OK", "Content-Type: text/plain\r\nX-Own: yes\r\n", b"hello")
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\n{extra}Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body);
                let _ = tell.send(asked);
            });
        }
    });
    (url, asked)
}

fn has(asked: &Asked, header: &str) -> bool {
    asked.headers.iter().any(|line| line.eq_ignore_ascii_case(header))
}

// rule: language/urlopen
#[test]
fn urlopen_asks_a_web_server() {
    let server = Server::start();
    let client = &server.client();
    let (url, asked) = web();

    let said = console(
        client,
        "get",
        &format!(
            "urlopen('{url}/a', params={{q='x y'}}, headers={{X-A='b'}}, cookies={{c='d'}}, \
             user='u', password='p') ->\n\
             print($RESULT.code, $RESULT.version, $RESULT.text, $RESULT.body, $RESULT.content, \
             $RESULT.encoding, $RESULT.binary, $RESULT.headers['x-own'], $RESULT.name)"
        )
        .replace("X-A=", "'X-A': "),
    );
    assert_eq!(said, "200 11 hello hello b'hello' utf-8 false yes null\n");
    let got = asked.recv().unwrap();
    assert_eq!(got.line, "GET /a?q=x+y HTTP/1.1");
    assert!(has(&got, "X-A: b") && has(&got, "cookie: c=d"), "{:?}", got.headers);
    assert!(has(&got, "authorization: Basic dTpw"), "{:?}", got.headers);

    let said = console(
        client,
        "posts",
        &format!(
            "urlopen('{url}/form', data={{a=1, b=['x', 'ü&']}}) ->\n\
             urlopen('{url}/json', data={{a=[1, null]}}, encode='json', http_method='PUT') ->\n\
             urlopen('{url}/file', data={{k='v'}}, files={{f={{name='n.txt', data='text'}}}}) ->\n\
             urlopen('{url}/missing') -> print($STATUS, $RESULT.code, $RESULT.text)"
        ),
    );
    assert_eq!(said, "0 404 no\n");
    let form = asked.recv().unwrap();
    assert_eq!(
        (form.line.as_str(), form.body.as_str()),
        ("POST /form HTTP/1.1", "a=1&b=x&b=%C3%BC%26")
    );
    let sent = asked.recv().unwrap();
    assert_eq!(
        (sent.line.as_str(), sent.body.as_str()),
        ("PUT /json HTTP/1.1", "{\"a\":[1,null]}")
    );
    assert!(has(&sent, "content-type: application/json"));
    let file = asked.recv().unwrap();
    assert!(
        file.body.contains("name=\"k\"") && file.body.contains("filename=\"n.txt\""),
        "{}",
        file.body
    );
    asked.recv().unwrap();

    let said = console(
        client,
        "answers",
        &format!(
            "urlopen('{url}/moved') -> [r = $RESULT] ->\n\
             print(r.code, r.url == '{url}/there', r.history[0].code, r.cookies) ->\n\
             urlopen('{url}/image') -> print($RESULT.binary, $RESULT.text == '', $RESULT.body) ->\n\
             urlopen('{url}/sjis') -> print($RESULT.text, $RESULT.encoding) ->\n\
             urlopen('{url}/slow', timeout=0.3) => print($STATUS, $ERROR) ->\n\
             urlopen('http://127.0.0.1:1/') => print($STATUS, $ERROR != '') ->\n\
             urlopen('{url}', nope=1) => print($STATUS, $ERROR) ->\n\
             urlopen() => print($STATUS) ->\n\
             urlopen('{url}', encode='json', files={{f='/etc/hostname'}}) => print($ERROR)"
        ),
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "200 true 302 {a='1'}");
    assert_eq!(lines[1], "true true b'\\x89PNG'");
    assert_eq!(lines[2], "監 shift_jis");
    assert_eq!(lines[3], "1 time limit of 0.3 seconds exceeded");
    assert_eq!(lines[4], "1 true");
    // What is wrong about arguments is said on the console, too.
    let unknown = "urlopen() got an unexpected keyword argument 'nope'";
    assert_eq!(lines[5..7], [unknown, &format!("1 {unknown}")]);
    assert_eq!(lines[7..9], ["urlopen() missing argument 'url'", "1"]);
    assert_eq!(lines[10], "urlopen(): files cannot be sent as JSON");
}

/// A mail server that takes everything and tells what it heard.
fn smtp() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap().port(), takes_mail(listener))
}

fn takes_mail(listener: TcpListener) -> Receiver<String> {
    let (tell, heard) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let mut all = String::new();
                let mut data = false;
                let _ = stream.write_all(b"220 test\r\n");
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    all.push_str(&line);
                    let answer: &[u8] = match line.trim_end() {
                        "." if data => {
                            data = false;
                            let _ = tell.send(std::mem::take(&mut all));
                            b"250 taken\r\n"
                        }
                        _ if data => continue,
                        "DATA" => {
                            data = true;
                            b"354 go on\r\n"
                        }
                        "QUIT" => b"221 bye\r\n",
                        word if word.starts_with("EHLO") => b"250-test\r\n250 8BITMIME\r\n",
                        word if word.contains("refused@") => b"550 nobody here\r\n",
                        _ => b"250 fine\r\n",
                    };
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    heard
}

/// A server whose mail goes to that port, and whose `root` has an address.
fn with_mail(client: &Client, port: u16) {
    client.create("/root", "smtp", "SmtpServer", json!({"hostname": "127.0.0.1", "port": port}));
    let body = "process=$pid exit=${exit_status} error=$error url=$url cost=$$5 $nobody\n$console";
    let template = json!({"subject": "$job $status", "body": body});
    client.create("/root", "told", "MailTemplate", template);
    let said = console(
        client,
        "sets",
        "[d = /system/config.data] -> [./smtp >> d.smtpServer] -> [./told >> d.abortMailTemplate] ->\n\
         ['admin@example.com' >> d.adminEmail] -> ['http://k.example.com/' >> d.serverUrl] ->\n\
         [d >> /system/config.data] -> [u = user('root')] -> ['root@example.com' >> u.email] ->\n\
         print(/system/config.data.smtpServer)",
    );
    assert_eq!(said, "/root/smtp\n");
}

/// Starts a jobflow with a monitoring mode and waits for its end; its path.
fn monitored(client: &Client, name: &str, source: &str, mode: &str) -> String {
    client.create("/root", name, "Jobflow", json!({"source": source}));
    let body = json!({"parameters": {}, "monitoring_mode": mode});
    let started = client.post(&format!("/root/{name}.execute"), &body).expect(200);
    let process = started.json().as_str().unwrap().to_owned();
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200);
    process
}

// rule: operations/monitoring
#[test]
fn a_monitored_process_that_ends_is_told_to_its_user() {
    let server = Server::start();
    let client = &server.client();
    let (port, heard) = smtp();
    with_mail(client, port);
    monitored(client, "fine", "print('fine')", "ABORT_MAIL");
    monitored(client, "silent", "['exit 3']", "NOTHING");
    let failed = monitored(client, "fails", "print('said') -> ['exit 3'] -> []", "ABORT_MAIL");
    // As it is read: soft line ends go.
    let mail = heard.recv().unwrap().replace("=\r\n", "").replace("=3D", "=");
    let number = failed.rsplit('_').next().unwrap();
    for part in [
        "MAIL FROM:<admin@example.com>".to_owned(),
        "RCPT TO:<root@example.com>".to_owned(),
        "Subject: /root/fails ABORTED".to_owned(),
        format!("process={number} exit=3 error= url=http://k.example.com{failed} cost=$5 $nobody"),
        "said".to_owned(),
        "aborted at line 1 in /root/fails: job failed with status 3".to_owned(),
    ] {
        assert!(mail.contains(&part), "{part}: {mail}");
    }
    // Children are monitored as their parent is.
    monitored(client, "forks", "{ fork | exit(0, 'kid') }", "MAIL");
    let mut mails = [heard.recv().unwrap(), heard.recv().unwrap()];
    mails.sort_by_key(|mail| !mail.contains("Result:      kid"));
    for mail in &mails {
        assert!(mail.contains("Subject: /root/forks: DONE (process "), "{mail}");
        assert!(mail.contains("User:        root"), "{mail}");
    }
    assert!(mails[0].contains("Result:      kid") && !mails[1].contains("Result:      kid"));
    // Who has no address gets none, and nobody else is held up.
    console(client, "unsets", "[u = user('root')] -> ['' >> u.email]");
    monitored(client, "unread", "exit(5)", "MAIL");
    console(client, "resets", "[u = user('root')] -> ['again@example.com' >> u.email]");
    monitored(client, "last", "exit(6)", "MAIL");
    // What is due is looked at when its turn comes: the first may have found the new address.
    let last = heard.iter().find(|mail| mail.contains("/root/last ABORTED")).unwrap();
    assert!(last.contains("RCPT TO:<again@example.com>"), "{last}");
}

// rule: operations/monitoring
#[test]
fn no_crash_loses_the_mail_about_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // It takes connections, and says nothing before there is somebody to speak.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::on(&data, &Options::default());
    let client = &server.client();
    with_mail(client, listener.local_addr().unwrap().port());
    let failed = monitored(client, "fails", "exit(3)", "MAIL");
    server.kill();
    let heard = takes_mail(listener);
    let _server = Server::on(&data, &Options::default());
    let mail = heard.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert!(mail.contains(&failed), "{mail}");
}

// rule: language/mailto
#[test]
fn mailto_hands_mail_to_a_server() {
    let server = Server::start();
    let client = &server.client();
    let (port, heard) = smtp();
    client.create("/root", "smtp", "SmtpServer", json!({"hostname": "127.0.0.1", "port": port}));

    let said = console(
        client,
        "plain",
        "mailto('a@example.com', 'me@example.com', 'Grüße', 'one\ntwo', cc=['c@example.com'], \
         bcc='b@example.com', reply_to='r@example.com', headers={'X-Own': 'yes'}, \
         smtp_server=./smtp) -> print($STATUS, $RESULT == '')"
            .replace('\n', "\\n")
            .as_str(),
    );
    assert_eq!(said, "0 true\n");
    let mail = heard.recv().unwrap();
    for part in [
        "MAIL FROM:<me@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "Subject: =?utf-8?b?R3LDvMOfZQ==?=",
        "Reply-To: r@example.com",
        "Cc: c@example.com",
        "X-Own: yes",
        "User-Agent: kompira-fs ver ",
        "Date: ",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert!(!mail.contains("Bcc:"), "{mail}");

    let said = console(
        client,
        "whole",
        "[old = {'Message-ID': '<1@x>', 'From': 'Ann <ann@example.com>', 'References': '<0@x>'}] ->\n\
         mailto([], 'me@example.com', 'Re', '監視', charset='iso-2022-jp', parents=old, as_string=true) ->\n\
         [m = mail_parse($RESULT)] ->\n\
         print(m['In-Reply-To'], m.References, m.To, m.Body.strip()) ->\n\
         mailto('a@b.c', 'me@example.com', 'H', null, html_content='<p>%{Content-ID#1}', \
         inline_content=true, attach_files=[], as_string=true) ->\n\
         [m = mail_parse($RESULT)] -> print(m['Is-Multipart']) ->\n\
         mailto('a@b.c', 'me@example.com', 'S') => print($STATUS, $ERROR) ->\n\
         mailto('refused@b.c', 'me@example.com', 'S', 'B', smtp_server=./smtp) => print($STATUS) ->\n\
         { try | mailto('no address', subject='S', body='B') } => print($ERROR)",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "<1@x> <0@x> <1@x> Ann <ann@example.com> 監視");
    assert_eq!(lines[1], "false");
    let nothing = "mailto(): a mail needs body or html_content";
    assert_eq!(lines[2..4], [nothing, &format!("1 {nothing}")]);
    assert_eq!(lines[4], "1");
    assert_eq!(lines[5], "invalid mail address: no address");
}

// rule: operations/console-settings
#[test]
fn the_settings_of_the_console_hold_from_the_next_command_on() {
    let server = Server::start();
    let client = &server.client();
    client.create(
        "/root",
        "scr",
        "ScriptJob",
        json!({"source": "#!/bin/sh\necho script\n", "ext": "sh"}),
    );
    let set = |key: &str, value: &str| format!("[{value} >> /system/config.data.{key}] -> ");
    let said = console(
        client,
        "shows",
        &[
            set("showCommandEnabled", "true").as_str(),
            "['echo one'] -> ",
            &set(
                "showCommandFormat",
                "'{jobtype} {conntype} {hostname}:{port} {username}{sudomark} {command}{nothing}'",
            ),
            "[./scr: 'a b', 2] -> { session s | [] } -> ",
            &set("showCommandFormat", "'{command'"),
            "['echo two'] -> ",
            &set("showCommandEnabled", "false"),
            &set("showStdoutFilter", "'3'"),
            "['echo hello'] -> print('|') -> ['printf abc'] -> print('|') -> ",
            &set("showStdoutFilter", "'2 LINES'"),
            "['seq 5'] -> print('|') -> ['seq 2'] -> print('|') -> ",
            &set("showStdoutFilter", "'0'"),
            "['seq 5'] -> print('|' + $RESULT[0:0]) -> ",
            &set("showStdoutFilter", "''"),
            &set("showStdoutEnabled", "false"),
            "['echo hidden; echo seen >&2'] -> print($RESULT) -> ",
            &set("showStderrEnabled", "false"),
            "['echo hidden; echo hidden >&2'] -> print($ERROR)",
        ]
        .concat()
        .replace("'|' + $RESULT[0:0]", "'|'"),
    );
    let session = said.lines().find(|line| line.contains("<SESSION")).unwrap_or_default();
    let expected = format!(
        "[kompira@localhost]$ echo one\none\n\
         SCRIPT local localhost: kompira$ /root/scr.sh a b 2\nscript\n{session}\n\
         [kompira@localhost]$ echo two\ntwo\n\
         hel...\n|\nabc|\n1\n2\n...\n|\n1\n2\n|\n|\nseen\nhidden\nhidden\n"
    );
    assert_eq!(said, expected);
    let number = session.strip_prefix("SESSION local localhost: kompira$ <SESSION: ");
    let number = number.and_then(|rest| rest.strip_suffix('>'));
    assert!(number.is_some_and(|number| number.parse::<u64>().is_ok()), "{said}");
}

/// A mailbox that one visitor looks at; answers what he said.
fn pop3() -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        stream.write_all(b"+OK\r\n").unwrap();
        let mut heard = Vec::new();
        for line in lines {
            let line = line.unwrap();
            let said: &[u8] = if line == "CAPA" { b"-ERR what?\r\n" } else { b"+OK\r\n" };
            stream.write_all(said).unwrap();
            heard.push(line);
            if heard.last().is_some_and(|line| line == "QUIT") {
                break;
            }
        }
        heard
    });
    (port, heard)
}

/// A POP3 server with one mail, until that is deleted.
fn mailbox(mail: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut left = true;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"+OK\r\n").unwrap();
            let mut deleted = false;
            for line in lines.map_while(Result::ok) {
                let list = if left { "1 9\r\n" } else { "" };
                let said = match line.as_str() {
                    "CAPA" => "-ERR what?\r\n".to_owned(),
                    "LIST" | "UIDL" => format!("+OK\r\n{list}.\r\n"),
                    "RETR 1" => format!("+OK\r\n{mail}\r\n.\r\n"),
                    _ => "+OK\r\n".to_owned(),
                };
                deleted |= line == "DELE 1";
                left &= !(deleted && line == "QUIT");
                stream.write_all(said.as_bytes()).unwrap();
            }
        }
    });
    port
}

// rule: operations/mail-channels
#[test]
fn a_mail_comes_to_who_waits_for_it_once() {
    let server = Server::start();
    let client = &server.client();
    let port = mailbox("Subject: =?utf-8?B?44GT44KT?=\r\n\r\nhello");
    let fields = json!({"protocol": "POP3", "serverName": "127.0.0.1", "port": port,
        "username": "tim", "password": "word", "disabled": false});
    client.create("/root", "box", "MailChannel", fields);
    let said = console(
        client,
        "waits",
        "<./box> -> [m = mail_parse($RESULT)] -> print(m['Subject'], m['Body'].strip()) ->\n\
         <./box: timeout=1> => print($STATUS)",
    );
    assert_eq!(said, "\u{3053}\u{3093} hello\n1\n");
}

// rule: language/conn-check
#[test]
fn a_mail_server_is_asked_whether_it_answers() {
    let server = Server::start();
    let client = &server.client();
    let (port, _heard) = smtp();
    client.create("/root", "smtp", "SmtpServer", json!({"hostname": "127.0.0.1", "port": port}));
    // Nobody listens where somebody just did.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    client.create("/root", "gone", "SmtpServer", json!({"hostname": "127.0.0.1", "port": gone}));
    let (pop, asked) = pop3();
    let fields = json!({"protocol": "POP3", "serverName": "127.0.0.1", "port": pop,
        "username": "tim", "password": "word"});
    client.create("/root", "box", "MailChannel", fields);
    let fields = json!({"serverName": "127.0.0.1", "port": gone});
    client.create("/root", "lost", "MailChannel", fields);
    let said = console(
        client,
        "asks",
        "[./smtp.conn_check] -> print($STATUS, $RESULT == '', $ERROR == '') ->\n\
         [./gone.conn_check] => print($STATUS, $ERROR != '') ->\n\
         { try | [./smtp.conn_check: 1] } => print($ERROR) ->\n\
         { try | [x = ./smtp.conn_check()] } => print($ERROR) ->\n\
         [./box.conn_check] => print($STATUS, $RESULT == '', $ERROR == '') ->\n\
         [./lost.conn_check] => print($STATUS, $ERROR)",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["0 true true", "1 true"]);
    assert!(lines[2].starts_with("conn_check()"), "{lines:?}");
    assert!(lines[3].contains("run it as a job"), "{lines:?}");
    assert_eq!(lines[4], "0 true true");
    let told = format!("1 cannot connect to 127.0.0.1 port {gone}: ");
    assert!(lines[5].starts_with(&told), "{lines:?}");
    assert_eq!(asked.join().unwrap(), ["CAPA", "USER tim", "PASS word", "QUIT"]);
}

// rule: language/transfer
#[test]
fn files_are_copied_on_the_local_node() {
    let server = Server::start();
    let client = &server.client();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    for name in ["a.log", "b.log"] {
        std::fs::write(at(name), name).unwrap();
    }
    std::fs::create_dir(at("to")).unwrap();
    let base = dir.path().to_string_lossy().into_owned();
    client.create("/root", "files", "AttachedFile", json!({}));
    let said = console(
        client,
        "copies",
        &format!(
            "[__dir__ = '{base}'] -> put('{base}/*.log', 'to') -> print($RESULT) ->\n\
             get('to/a.log', '{base}/c.log') -> print($RESULT) ->\n\
             get('none', '{base}') => print($STATUS, $ERROR) ->\n\
             [__host__ = 'elsewhere'] -> put('{base}/a.log', 'x') ->> print($STATUS) ->\n\
             [__host__ = null] ->\n\
             upload('{base}/a.log', ./files, 'attached1') -> print($RESULT, ./files['attached1'].data) ->\n\
             download(./files['attached1'], '{base}/to/new') -> print($RESULT) ->\n\
             upload('{base}/a.log', ./files, 'nope') => print($STATUS)"
        ),
    );
    let expected = format!(
        "['{base}/to/a.log', '{base}/to/b.log']\n['{base}/c.log']\n1 no such file: none\n-1\n\
         a.log b'a.log'\n{base}/to/new\n1\n"
    );
    assert_eq!(said, expected);
    assert_eq!(std::fs::read(at("to/new")).unwrap(), b"a.log");
}

// rule: language/memory-channels
#[test]
fn channels_in_memory_join_a_process_and_its_children() {
    let server = Server::start();
    let client = &server.client();
    let said = console(
        client,
        "memory",
        "[c = channel()] -> [c.send: 1] -> [c.send: 'two'] -> print(c.message_count) ->\n\
         <c> -> print($RESULT) -> <c ?? g'x*': timeout=0> => print($STATUS) ->\n\
         <c: peek_mode=true> -> print($RESULT[1]) -> print(c.pop_message()) ->\n\
         { fork | [c.send: 'from a child'] <c> -> print('got', $RESULT) -> exit(result=$RESULT) } ->\n\
         [kids = $RESULT] -> print(kids[1].result, c.message_count) ->\n\
         { try | [c.pop_message] } => print($ERROR) ->\n\
         { for i in 3 | [c.send: i] } -> [c.clear_messages] -> print(c.message_count) ->\n\
         <[c, channel()]: timeout=0> => print($STATUS)",
    );
    assert_eq!(said, "2\n1\n1\ntwo\ntwo\nfrom a child 0\nno such message: 0\n0\n1\n");
}

// rule: language/sessions, decision C-54
#[test]
fn a_session_on_this_machine_is_a_shell_with_a_terminal() {
    let (server, _home) = at_home();
    let client = &server.client();
    let end = run(
        client,
        "session",
        "{ session s |\n\
           [s.send: 'PS1=; stty -echo; echo ready\\n'] -> <s ?? 'ready': timeout=20> ->\n\
           [s.send: 'tty -s && echo terminal; echo $$((40+2))\\n'] ->\n\
           <s ?? 'terminal': timeout=20> -> <s ?? '42': timeout=20> -> print('got', $RESULT) ->\n\
           ['echo beside'] ->\n\
           [s.send: 'printf Password:; read -r x; echo \"<$$x>\"\\n'] ->\n\
           <s ?? g'Password:': timeout=20> -> [s.send: 'secret\\n'] ->\n\
           <s ?? '<secret>': timeout=20> -> print($STATUS)\n\
         } -> [c = $RESULT] -> print(type(c.data)) ->\n\
         { try | [c.send: 'x'] } => print($ERROR) ->\n\
         { session s | [s.send: 'exit\\n'] -> <s ?? 'never': timeout=20> ->> print('lost', $STATUS) } ->\n\
         { session s | <s ?? 'never': timeout=0.2> => print('late', $STATUS) } ->\n\
         [__host__ = 'elsewhere'] -> { session s | print('never') } ->> print($STATUS)",
    );
    assert_eq!(end["status"], "DONE", "{end}");
    let said = end["console"].as_str().unwrap();
    let printed: Vec<&str> = said
        .lines()
        .filter(|line| {
            ["got 42", "0", "String", "channel is closed", "lost -1", "late 1", "-1"].contains(line)
        })
        .collect();
    assert_eq!(
        printed,
        ["got 42", "0", "String", "channel is closed", "lost -1", "late 1", "-1"],
        "{said}"
    );
}
