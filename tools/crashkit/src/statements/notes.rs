//! Where steps are noted, outside of the server: files that shells append to, and addresses that
//! append when they are asked for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// A directory of files, one for each run, and a server that writes into them.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    dir: PathBuf,
    address: String,
}

impl Notes {
    pub(crate) fn new(dir: PathBuf) -> Result<Self, String> {
        let told = |error: std::io::Error| error.to_string();
        fs::create_dir(&dir).map_err(told)?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(told)?;
        let address = listener.local_addr().map_err(told)?.to_string();
        let into = dir.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who asked may be dead: then the answer is not heard.
                let _ = answer(&into, &stream);
            }
        });
        Ok(Self { dir, address })
    }

    /// The source with its steps spelt out for run `run`.
    pub(crate) fn spelt(&self, source: &str, run: u64) -> String {
        let file = self.file(run);
        let file = file.display();
        let steps = spell(source, "STEP(", |step| format!("echo {step} >> {file}; echo {step}"));
        spell(&steps, "URL(", |step| format!("http://{}/{run}/{step}", self.address))
    }

    /// The steps noted so far.
    pub(crate) fn steps(&self, run: u64) -> Vec<String> {
        let text = fs::read_to_string(self.file(run)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What the command line of every shell that notes a step contains.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, run: u64) -> PathBuf {
        self.dir.join(run.to_string())
    }
}

fn spell(source: &str, open: &str, with: impl Fn(&str) -> String) -> String {
    let mut pieces = source.split(open);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (step, rest) = piece.split_once(')').unwrap_or((piece, ""));
        text.push_str(&with(step));
        text.push_str(rest);
    }
    text
}

/// Notes what was asked for before it answers.
fn answer(dir: &Path, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut parts = path.trim_start_matches('/').split('/');
    if let (Some(run), Some(step)) = (parts.next(), parts.next()) {
        let run = run.parse::<u64>().unwrap_or_default().to_string();
        let mut file = fs::OpenOptions::new().append(true).create(true).open(dir.join(run))?;
        writeln!(file, "{step}")?;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: 4\r\n\r\nseen").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_shell_and_an_address_note_a_step() {
        let dir = tempfile::tempdir().unwrap();
        let notes = Notes::new(dir.path().join("steps")).unwrap();
        let shell = notes.spelt("STEP(a.1); true", 3);
        assert!(std::process::Command::new("sh").args(["-c", &shell]).status().unwrap().success());
        let url = notes.spelt("URL(b.1)", 3);
        let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nseen"), "{answer}");
        assert_eq!(notes.steps(3), ["a.1", "b.1"]);
    }
}
