//! Small mail servers that do what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Mutex, MutexGuard};

use crate::remote::mailbox::{Account, Mode, Protocol};

/// When a server hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before it does what it is asked.
    Before,
    /// After that, without saying so.
    After,
}

/// What a server holds and how it behaves.
pub(crate) struct State {
    pub(crate) mails: Vec<(u32, String)>,
    pub(crate) seen: Vec<bool>,
    deleted: Vec<u32>,
    pub(crate) password: String,
    pub(crate) cram: bool,
    pub(crate) knows_capabilities: bool,
    pub(crate) names: bool,
    pub(crate) uidplus: bool,
    pub(crate) silent: bool,
    /// It says that each mail has one byte.
    pub(crate) understates: bool,
    pub(crate) greeting: Option<&'static str>,
    /// Bytes of a line that nobody asked for.
    pub(crate) chatter: usize,
    /// It hangs up, once, at a command that holds this word.
    pub(crate) hang_up: Option<(&'static str, Moment)>,
    /// It never answers a command that holds this word.
    pub(crate) stalls: Option<&'static str>,
    /// What it was asked, in order.
    pub(crate) heard: Vec<String>,
}

/// A server on this machine; it lives as long as the test's process.
pub(crate) struct Fake {
    protocol: Protocol,
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start(protocol: Protocol, mails: &[&str]) -> Self {
        let mails: Vec<_> = (11..).zip(mails.iter().map(|mail| (*mail).to_owned())).collect();
        let state = Arc::new(Mutex::new(State {
            seen: vec![false; mails.len()],
            mails,
            deleted: Vec::new(),
            password: "pass word".into(),
            cram: false,
            knows_capabilities: true,
            names: true,
            uidplus: true,
            silent: false,
            understates: false,
            greeting: None,
            chatter: 0,
            hang_up: None,
            stalls: None,
            heard: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), state) = (stream, Arc::clone(&held)) else { continue };
                std::thread::spawn(move || serve(protocol, stream, &state));
            }
        });
        Self { protocol, port, state }
    }

    pub(crate) fn account(&self) -> Account {
        Account {
            protocol: self.protocol,
            host: "127.0.0.1".into(),
            port: Some(self.port),
            tls: false,
            user: "tim".into(),
            secret: Some("pass word".to_owned().into()),
            oauth2: false,
            timeout: Some(Duration::from_secs(60)),
            folder: String::new(),
            mode: Mode::AllAndDelete,
        }
    }

    pub(crate) fn is_pop(&self) -> bool {
        self.protocol == Protocol::Pop
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A mail comes.
    pub(crate) fn add(&self, mail: &str) {
        let mut state = self.state();
        let uid = state.mails.last().map_or(500, |(uid, _)| uid + 1);
        state.mails.push((uid, mail.to_owned()));
        state.seen.push(false);
    }

    pub(crate) fn left(&self) -> Vec<String> {
        self.state().mails.iter().map(|(_, mail)| mail.clone()).collect()
    }

    /// How often somebody logged in.
    pub(crate) fn visits(&self) -> usize {
        let word = if self.protocol == Protocol::Imap { "SELECT" } else { "LIST" };
        self.state().heard.iter().filter(|line| line.contains(word)).count()
    }
}

impl State {
    fn said_size(&self, mail: &str) -> usize {
        if self.understates { 1 } else { mail.len() }
    }

    fn remove_deleted(&mut self) {
        let gone = std::mem::take(&mut self.deleted);
        let mut at = 0;
        self.seen.retain(|_| {
            at += 1;
            !gone.contains(&self.mails[at - 1].0)
        });
        self.mails.retain(|(uid, _)| !gone.contains(uid));
    }

    fn is_right(&self, answer: &[u8]) -> bool {
        use hmac::{KeyInit as _, Mac as _};
        let mut mac = hmac::Hmac::<md5::Md5>::new_from_slice(self.password.as_bytes()).unwrap();
        mac.update(b"<1@x>");
        let digest = mac.finalize().into_bytes();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        STANDARD.decode(answer).unwrap() == format!("tim {digest}").into_bytes()
    }
}

fn is_token(answer: &str) -> bool {
    STANDARD.decode(answer).unwrap() == b"user=tim\x01auth=Bearer token\x01\x01"
}

struct Client {
    lines: BufReader<TcpStream>,
    out: TcpStream,
}

impl Client {
    fn say(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

fn serve(protocol: Protocol, stream: TcpStream, state: &Mutex<State>) {
    let lines = BufReader::new(stream.try_clone().unwrap());
    let mut client = Client { lines, out: stream };
    let greeting = state.lock().greeting;
    if state.lock().silent {
        client.line();
        return;
    }
    match protocol {
        Protocol::Imap => {
            client.say(greeting.unwrap_or("* OK ready\r\n"));
            while imap(&mut client, state).is_some() {}
        }
        Protocol::Pop => {
            client.say(greeting.unwrap_or("+OK ready\r\n"));
            let mut deleted = Vec::new();
            while pop(&mut client, state, &mut deleted).is_some() {}
        }
    }
}

/// Waits for the client to leave, when it is to say nothing.
fn stalls(client: &mut Client, state: &Mutex<State>, line: &str) -> Option<()> {
    if state.lock().stalls.is_some_and(|word| line.contains(word)) {
        while client.line().is_some() {}
        return None;
    }
    Some(())
}

/// Whether to hang up now.
fn hangs_up(state: &Mutex<State>, line: &str, moment: Moment) -> bool {
    let mut state = state.lock();
    let hit = state.hang_up.is_some_and(|(word, at)| at == moment && line.contains(word));
    if hit {
        state.hang_up = None;
    }
    hit
}

fn imap(client: &mut Client, state: &Mutex<State>) -> Option<()> {
    let mut line = client.line()?;
    // A block follows.
    while let Some((_, size)) = line.strip_suffix('}').and_then(|line| line.rsplit_once('{')) {
        let mut block = vec![0; size.parse().unwrap()];
        client.say("+ go on\r\n");
        client.lines.read_exact(&mut block).ok()?;
        let begin = line.rfind('{').unwrap();
        line.truncate(begin);
        line.push_str(&format!("\"{}\"", String::from_utf8(block).unwrap()));
        line.push_str(&client.line()?);
    }
    state.lock().heard.push(line.clone());
    stalls(client, state, &line)?;
    if hangs_up(state, &line, Moment::Before) {
        return None;
    }
    let (tag, command) = line.split_once(' ').unwrap();
    let chatter = state.lock().chatter;
    if chatter > 0 {
        client.say(&format!("* OK {}\r\n", "z".repeat(chatter)));
    }
    let mut out = String::new();
    let mut ok = true;
    let words: Vec<&str> = command.split(' ').collect();
    match words[..] {
        ["CAPABILITY"] => {
            let state = state.lock();
            ok = state.knows_capabilities;
            if ok {
                let cram = if state.cram { " AUTH=CRAM-MD5" } else { "" };
                let plus = if state.uidplus { " UIDPLUS" } else { "" };
                out = format!("* CAPABILITY IMAP4rev1{cram}{plus}\r\n");
            }
        }
        ["LOGIN", ..] => {
            let word = &state.lock().password;
            let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
            let told = [escaped, word.clone()].map(|word| format!("LOGIN \"tim\" \"{word}\""));
            ok = told.iter().any(|told| told == command);
        }
        ["AUTHENTICATE", mechanism] => {
            let cram = mechanism == "CRAM-MD5";
            let text = if cram { STANDARD.encode("<1@x>") } else { String::new() };
            client.say(&format!("+ {text}\r\n"));
            let answer = client.line()?;
            ok = match cram {
                true => state.lock().is_right(answer.as_bytes()),
                false => is_token(&answer),
            };
            if !ok && !cram {
                client.say("+ e30=\r\n");
                assert_eq!(client.line()?, "");
            }
        }
        ["SELECT", ..] => {
            let count = state.lock().mails.len();
            out = format!("* {count} EXISTS\r\n* OK [UIDVALIDITY 7] fine\r\n");
        }
        ["UID", "SEARCH", "UNSEEN"] => {
            let state = state.lock();
            let unseen = state.mails.iter().zip(&state.seen).filter(|(_, seen)| !**seen);
            let unseen: String = unseen.map(|((uid, _), _)| format!(" {uid}")).collect();
            out = format!("* SEARCH{unseen}\r\n");
        }
        ["FETCH", set, "(UID", "RFC822.SIZE)"] => {
            let last: usize = set.strip_prefix("1:").unwrap().parse().unwrap();
            let state = state.lock();
            for (at, (uid, mail)) in state.mails.iter().take(last).enumerate() {
                let size = state.said_size(mail);
                out += &format!("* {} FETCH (UID {uid} RFC822.SIZE {size})\r\n", at + 1);
            }
        }
        ["UID", "FETCH", set, ref items @ ..] => {
            let wanted: Vec<u32> = set.split(',').map(|uid| uid.parse().unwrap()).collect();
            for (at, (uid, mail)) in state.lock().mails.iter().enumerate() {
                let size = mail.len();
                if !wanted.contains(uid) {
                } else if items == ["(UID", "RFC822.SIZE)"] {
                    out += &format!("* {} FETCH (UID {uid} RFC822.SIZE {size})\r\n", at + 1);
                } else if mail.is_empty() {
                    out += &format!("* {} FETCH (UID {uid} BODY[] \"\")\r\n", at + 1);
                } else {
                    out +=
                        &format!("* {} FETCH (UID {uid} BODY[] {{{size}}}\r\n{mail})\r\n", at + 1);
                }
            }
        }
        ["UID", "STORE", uid, "+FLAGS.SILENT", flag] => {
            let uid: u32 = uid.parse().unwrap();
            let mut state = state.lock();
            if flag == "(\\Deleted)" {
                state.deleted.push(uid);
            } else if let Some(at) = state.mails.iter().position(|(one, _)| *one == uid) {
                state.seen[at] = true;
            }
        }
        ["UID", "EXPUNGE", _] | ["EXPUNGE"] => state.lock().remove_deleted(),
        ["LOGOUT"] => out = "* BYE bye\r\n".to_owned(),
        _ => ok = false,
    }
    if hangs_up(state, &line, Moment::After) {
        return None;
    }
    let end = if ok { "OK done" } else { "NO never" };
    client.say(&format!("{out}{tag} {end}\r\n"));
    Some(())
}

fn pop(client: &mut Client, state: &Mutex<State>, deleted: &mut Vec<u32>) -> Option<()> {
    let line = client.line()?;
    state.lock().heard.push(line.clone());
    stalls(client, state, &line)?;
    if hangs_up(state, &line, Moment::Before) {
        return None;
    }
    let words: Vec<&str> = line.split(' ').collect();
    let place = |number: &str| number.parse::<usize>().unwrap() - 1;
    let said = match words[..] {
        ["CAPA"] if state.lock().knows_capabilities => {
            let sasl = if state.lock().cram { "SASL PLAIN CRAM-MD5\r\n" } else { "" };
            Some(format!("+OK\r\nTOP\r\n{sasl}.\r\n"))
        }
        ["USER", "tim"] => Some("+OK\r\n".to_owned()),
        ["PASS", ..] => {
            let right = format!("PASS {}", state.lock().password);
            // The end of a line is no part of a word; a blank is.
            (right.trim_end() == line).then(|| "+OK\r\n".to_owned())
        }
        ["AUTH", mechanism] => {
            let cram = mechanism == "CRAM-MD5";
            let text = if cram { STANDARD.encode("<1@x>") } else { String::new() };
            client.say(&format!("+ {text}\r\n"));
            let answer = client.line()?;
            let right =
                if cram { state.lock().is_right(answer.as_bytes()) } else { is_token(&answer) };
            right.then(|| "+OK\r\n".to_owned())
        }
        ["LIST"] => {
            let state = state.lock();
            let lines = state.mails.iter().enumerate();
            let lines: String = lines
                .map(|(at, (_, mail))| format!("{} {}\r\n", at + 1, state.said_size(mail)))
                .collect();
            Some(format!("+OK {}\r\n{lines}.\r\n", "z".repeat(state.chatter)))
        }
        ["UIDL"] if state.lock().names => {
            let state = state.lock();
            let lines = state.mails.iter().enumerate();
            let lines: String =
                lines.map(|(at, (uid, _))| format!("{} name-{uid}\r\n", at + 1)).collect();
            Some(format!("+OK\r\n{lines}.\r\n"))
        }
        ["RETR", number] => state.lock().mails.get(place(number)).map(|(_, mail)| {
            let stuffed = format!("\r\n{mail}").replace("\r\n.", "\r\n..");
            let end = if mail.is_empty() || mail.ends_with("\r\n") { "" } else { "\r\n" };
            format!("+OK{stuffed}{end}.\r\n")
        }),
        ["DELE", number] => {
            deleted.push(state.lock().mails[place(number)].0);
            Some("+OK\r\n".to_owned())
        }
        ["QUIT"] => {
            let mut state = state.lock();
            state.deleted.append(deleted);
            state.remove_deleted();
            Some("+OK\r\n".to_owned())
        }
        _ => None,
    };
    if hangs_up(state, &line, Moment::After) {
        return None;
    }
    client.say(said.as_deref().unwrap_or("-ERR no\r\n"));
    Some(())
}
