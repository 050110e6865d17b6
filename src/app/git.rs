//! Runs git for Repository objects as any other command of this machine: below a helper that ends
//! it with all that came from it, also when the server is killed (rule: `tree/repository`).

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::remote::local::Local;
use crate::remote::{Data, Limits, NoOutput, Outcome, Request, Runner};
use crate::transfer::git::{self, Broken, Call, Ended};

/// Variables of the server that lead out of this machine, or say whom to trust there.
const ENVIRONMENT: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];
/// Between two looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Runs programs on this machine.
pub(super) struct Outside {
    local: Local,
    env: Vec<(String, String)>,
}

impl Outside {
    pub(super) fn new(local: Local) -> Self {
        let env = ENVIRONMENT
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        Self { local, env }
    }
}

impl git::Runner for Outside {
    fn run(&self, call: Call, stop: &dyn Fn() -> bool) -> Result<Ended, Broken> {
        let line: Vec<String> = call.words.iter().map(|word| quoted(word)).collect();
        let request = Request {
            use_shell: false,
            env: self.env.iter().cloned().chain(call.env).collect(),
            input: Some(Data::Bytes(call.input)),
            raw_stdout: true,
            raw_stderr: true,
            timeout: Some(call.time),
            limits: Limits { output: call.output, ..Limits::default() },
            ..Request::command(line.join(" "))
        };
        // Room for the one outcome: whoever is done waits for nobody.
        let (done, ended) = sync_channel(1);
        let finish = Box::new(move |outcome| {
            let _ = done.send(outcome);
        });
        let running = self.local.start(request, Arc::new(NoOutput), finish);
        let outcome = loop {
            match ended.recv_timeout(LOOK) {
                Ok(outcome) => break outcome,
                Err(RecvTimeoutError::Timeout) if stop() => running.cancel(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Broken::Lost("the command was lost".to_owned()));
                }
            }
        };
        match outcome {
            Outcome::Exited { status, stdout, stderr } => {
                Ok(Ended { status, out: bytes(stdout), err: bytes(stderr) })
            }
            Outcome::Lost { message } => Err(Broken::Lost(message)),
            Outcome::Cancelled => Err(Broken::Stopped),
        }
    }
}

/// A word as the splitting of command lines reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn bytes(data: Data) -> Vec<u8> {
    match data {
        Data::Bytes(bytes) => bytes,
        Data::Text(text) => text.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        let words = ["a b", "it's", "", "\\", "\"$x\"", "'"];
        let line = words.map(quoted).join(" ");
        assert_eq!(crate::remote::words::split(&line).unwrap(), words);
    }
}
