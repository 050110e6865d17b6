//! A server whose disk fails or loses what was not synced (`shim.c`).

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use super::server::{PATIENCE, kompira};

/// The library, built once in a run; `None` without a C compiler.
pub fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&to).arg(source).arg("-ldl");
        let Ok(output) = compiler.output() else {
            println!("skipped: there is no C compiler");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some((dir, to))
    });
    built.as_ref().map(|(_, path)| path.as_path())
}

/// A server under the shim. It may end when it likes.
pub struct Faulty {
    child: Child,
    url: Option<String>,
    said: PathBuf,
}

impl Faulty {
    /// Starts one on `data`; `fail` as `KF_SHIM_FAIL`, `log` as `KF_SHIM_LOG`.
    pub fn start(library: &Path, data: &Path, fail: Option<&str>, log: Option<&Path>) -> Self {
        let said = data.with_extension("said");
        let mut command = kompira();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.env("LD_PRELOAD", library).env("KF_SHIM_ROOT", data);
        if let Some(fail) = fail {
            command.env("KF_SHIM_FAIL", fail);
        }
        if let Some(log) = log {
            command.env("KF_SHIM_LOG", log);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (found, url) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut words = line.split_whitespace();
                if words.next() == Some("URL") {
                    let _ = found.send(words.next().unwrap_or_default().to_owned());
                }
            }
        });
        // The sender is dropped when the server ends.
        let url = match url.recv_timeout(PATIENCE) {
            Ok(url) => Some(url.trim_start_matches("http://").trim_end_matches('/').to_owned()),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("the server neither serves nor ends");
            }
        };
        Self { child, url, said }
    }

    /// Whether it came so far as to say where it listens.
    pub fn serves(&self) -> bool {
        self.url.is_some()
    }

    /// What it wrote to standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// The status and body of an answer; `None` if there was none.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Option<(u16, String)> {
        let address = self.url.as_deref()?;
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Token {token}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split_whitespace().nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Some((status, body.to_owned()))
    }

    /// Makes `/root/NAME` with a text; whether that was acknowledged.
    pub fn make(&self, token: &str, name: &str, text: &str) -> bool {
        let body = serde_json::json!({
            "name": name, "type_object": "/system/types/Text", "fields": {"text": text},
        });
        let answer = self.ask("POST", "/root", token, &body.to_string());
        answer.is_some_and(|(status, _)| status == 201)
    }

    /// Gives `/root/NAME` another text; whether that was acknowledged.
    pub fn change(&self, token: &str, name: &str, text: &str) -> bool {
        let body = serde_json::json!({"fields": {"text": text}}).to_string();
        let answer = self.ask("PATCH", &format!("/root/{name}"), token, &body);
        answer.is_some_and(|(status, _)| status == 200)
    }

    /// Kills it, if it has not ended before.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and sees that it does.
    pub fn stop(&mut self) {
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        for _ in 0..PATIENCE.as_millis() / 20 {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        panic!("the server does not end");
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Every regular file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// How much of each file is on the disk for good, by inode.
pub struct Synced(HashMap<u64, u64>);

impl Synced {
    /// Before anything is written: all of it.
    pub fn all(dir: &Path) -> Self {
        let sizes = files(dir).into_iter().map(|path| {
            let status = fs::metadata(path).unwrap();
            (status.ino(), status.len())
        });
        Self(sizes.collect())
    }

    /// Takes from the end of each file a part that was not synced according to `log`, as a loss of
    /// power does; some of what stays of it is zeroes. Answers how many bytes are gone.
    pub fn lose_the_rest(mut self, dir: &Path, log: &Path, random: &mut Random) -> u64 {
        for line in fs::read_to_string(log).unwrap_or_default().lines() {
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            match numbers.as_slice() {
                [inode] => drop(self.0.insert(*inode, 0)),
                [inode, size] => drop(self.0.insert(*inode, *size)),
                _ => {}
            }
        }
        let mut lost = 0;
        for path in files(dir) {
            let status = fs::metadata(&path).unwrap();
            let safe = self.0.get(&status.ino()).copied().unwrap_or(0);
            if status.len() <= safe {
                continue;
            }
            let left = safe + random.below(status.len() - safe + 1);
            lost += status.len() - left;
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(left).unwrap();
            let torn = (left - safe).min(random.below(600));
            std::os::unix::fs::FileExt::write_all_at(
                &file,
                &vec![0; usize::try_from(torn).unwrap()],
                left - torn,
            )
            .unwrap();
        }
        lost
    }
}

/// Numbers that a seed decides.
pub struct Random(pub u64);

impl Random {
    /// One below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// How many times as much a test is to do: `KF_FAULTS`.
pub fn times() -> u64 {
    std::env::var("KF_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
