//! One run of git: its words, its surroundings, what it may use (rule: `tree/repository-secrets`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::remote::{Remote, SCHEMES, redact};
use super::size::{Watch, bytes_of};

/// Longest time of one command. Source: ours; a first clone over a slow line takes minutes.
const TIME_MAX: Duration = Duration::from_secs(600);
/// Most bytes that are read of one command: the listing of some 300,000 files.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Most bytes of what git says about a failure that are told.
const REASON_BYTES_MAX: usize = 2000;

/// A program to be run to its end, in a process group of its own.
pub struct Call {
    /// The program and its arguments. They hold no secret: everybody on the machine can read them.
    pub words: Vec<String>,
    /// Variables, besides those that every command of the server gets.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub input: Vec<u8>,
    /// Longest time.
    pub time: Duration,
    /// Most bytes kept of each output.
    pub output: usize,
}

impl fmt::Debug for Call {
    /// Without the variables: one may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.words).finish()
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Exit status.
    pub status: i64,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

/// Why it has no end of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It could not be run, or took too long.
    Lost(String),
    /// `stop` asked for it.
    Stopped,
}

/// Runs programs.
pub trait Runner: Send + Sync {
    /// Runs `call` to its end; ends it, and all that came from it, when its time is over or `stop`
    /// says so.
    ///
    /// # Errors
    /// Why there is no exit status.
    fn run(&self, call: Call, stop: &dyn Fn() -> bool) -> Result<Ended, Broken>;
}

/// What git finds around it.
pub(super) struct Git<'a> {
    pub(super) runner: &'a dyn Runner,
    pub(super) stop: &'a dyn Fn() -> bool,
    /// Directory of the Repository object; `HOME` of git.
    pub(super) home: PathBuf,
    pub(super) remote: Remote,
    /// Who commits: name and address.
    pub(super) author: (String, String),
    /// The operator's key for ssh.
    pub(super) key: Option<PathBuf>,
    /// Most bytes of the disk that a clone takes.
    pub(super) size_max: u64,
}

/// The program that gives git (`get`) and ssh what they ask for; the values come by its
/// environment. git is not left to ask by a text, which would hold the user in an argument. It gives
/// git the account for the server of the address alone, or the same over TLS: neither a redirect
/// nor a proxy gets it (rule: `tree/repository-redirects`).
const ASKPASS: &str = r#"#!/bin/sh
case "$1" in
get)
    protocol= host=
    while IFS='=' read -r key value; do
        case "$key" in
        protocol) protocol=$value ;;
        host) host=$value ;;
        esac
    done
    [ "$host" = "$KOMPIRA_GIT_HOST" ] || exit 0
    [ "$protocol" = https ] || [ "$protocol" = "$KOMPIRA_GIT_PROTOCOL" ] || exit 0
    printf 'username=%s\npassword=%s\n' "$KOMPIRA_GIT_USERNAME" "$KOMPIRA_GIT_PASSWORD"
    ;;
store|erase) ;;
*) printf '%s\n' "$KOMPIRA_GIT_PASSWORD" ;;
esac
"#;

/// Settings of every command, whatever the repository says.
const SETTINGS: &[&str] = &[
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.quotePath=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    // What a fetch brings is one pack, so that it can be taken back.
    "fetch.unpackLimit=1",
    "core.logAllRefUpdates=false",
    "transfer.fsckObjects=true",
    "init.defaultBranch=main",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "credential.helper=",
    "advice.addEmbeddedRepo=false",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=120",
];

impl Git<'_> {
    /// Writes the helper that answers questions for a password.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.askpass();
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o700)
            .open(&path)
            .and_then(|mut file| file.write_all(ASKPASS.as_bytes()));
        written.map_err(|error| super::work::unusable(&path, &error))
    }

    fn askpass(&self) -> PathBuf {
        self.home.join("askpass")
    }

    /// Runs git, and ends it when the clone in `dir` becomes too large; its standard output.
    ///
    /// # Errors
    /// [`Kind::Outside`] with what git said, [`Kind::Unavailable`] when it was stopped,
    /// [`Kind::TooLarge`].
    pub(super) fn run(
        &self,
        dir: Option<&Path>,
        words: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let ended = self.ask(dir, words, input)?;
        if ended.status == 0 {
            return Ok(ended.out);
        }
        Err(self.failed(words, &ended))
    }

    /// Runs git; `None` when it answers with another status than 0.
    pub(super) fn try_run(
        &self,
        dir: Option<&Path>,
        words: &[&str],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let ended = self.ask(dir, words, b"")?;
        Ok((ended.status == 0).then_some(ended.out))
    }

    /// Looks at the size of a clone now.
    ///
    /// # Errors
    /// [`Kind::TooLarge`].
    pub(super) fn check_size(&self, clone: &Path) -> Result<(), Fault> {
        if bytes_of(clone) > self.size_max { Err(self.too_large()) } else { Ok(()) }
    }

    fn too_large(&self) -> Fault {
        Fault::new(Kind::TooLarge, message!("git.too_large", max = self.size_max))
    }

    fn ask(&self, dir: Option<&Path>, words: &[&str], input: &[u8]) -> Result<Ended, Fault> {
        let call = self.call(words, input);
        let watch = Watch::new(dir, self.size_max);
        let stop = || (self.stop)() || watch.is_over();
        let ended = self.runner.run(call, &stop).map_err(|broken| match broken {
            Broken::Stopped if watch.is_over() => self.too_large(),
            Broken::Stopped => Fault::new(Kind::Unavailable, message!("git.stopped")),
            Broken::Lost(reason) => {
                let reason = redact(&reason, &self.remote.password);
                let told = message!("git.failed", command = verb(words), reason = reason);
                Fault::new(Kind::Outside, told)
            }
        })?;
        if ended.out.len() >= OUTPUT_BYTES_MAX {
            let told =
                message!("git.too_much", command = verb(words), max = OUTPUT_BYTES_MAX >> 20);
            return Err(Fault::new(Kind::TooLarge, told));
        }
        Ok(ended)
    }

    fn failed(&self, words: &[&str], ended: &Ended) -> Fault {
        let said = String::from_utf8_lossy(&ended.err);
        let said = redact(said.trim(), &self.remote.password);
        let behind = ["[rejected]", "non-fast-forward", "fetch first"];
        if verb(words) == "push" && behind.iter().any(|word| said.contains(word)) {
            return Fault::new(Kind::Busy, message!("git.behind")).because(said);
        }
        let start = said.len().saturating_sub(REASON_BYTES_MAX);
        let reason = said.get(said.ceil_char_boundary(start)..).unwrap_or_default();
        let reason = if reason.is_empty() {
            format!("exit status {}", ended.status)
        } else {
            reason.to_owned()
        };
        Fault::new(Kind::Outside, message!("git.failed", command = verb(words), reason = reason))
    }

    fn call(&self, words: &[&str], input: &[u8]) -> Call {
        let mut all = vec!["git".to_owned()];
        // Nothing else may lead git to the files of this machine.
        let allowed = SCHEMES.iter().filter(|&&scheme| scheme != "file" || self.remote.is_file());
        let allowed = allowed.map(|scheme| format!("protocol.{scheme}.allow=always"));
        let helper = self
            .has_account()
            .then(|| format!("credential.helper=!{}", quoted(&self.askpass().to_string_lossy())));
        let settings = SETTINGS.iter().map(|text| (*text).to_owned());
        for setting in settings.chain(allowed).chain(helper) {
            all.extend(["-c".to_owned(), setting]);
        }
        all.extend(words.iter().map(|word| (*word).to_owned()));
        Call {
            words: all,
            env: self.env(),
            input: input.to_vec(),
            time: TIME_MAX,
            output: OUTPUT_BYTES_MAX,
        }
    }

    /// Whether there is an answer for a server that asks who it is.
    fn has_account(&self) -> bool {
        let user = self.remote.is_web() && !self.remote.username.is_empty();
        user || !self.remote.password.is_empty()
    }

    /// How ssh is run: with no settings, keys and known hosts but those of the clones.
    fn ssh(&self) -> String {
        // ssh reads quotes in values of settings, and `%` in all paths.
        let path = |path: &Path| path.to_string_lossy().replace('%', "%%");
        let known = path(&self.home.join("known_hosts")).replace('"', "\\\"");
        let known = format!("UserKnownHostsFile=\"{known}\"");
        let asks = match self.remote.password.is_empty() {
            true => "BatchMode=yes",
            false => "NumberOfPasswordPrompts=1",
        };
        let key = match &self.key {
            Some(key) => format!("-i {}", quoted(&path(key))),
            None => "-o IdentityFile=none".to_owned(),
        };
        let port = self.remote.port.map(|port| format!(" -p {port}")).unwrap_or_default();
        format!(
            "ssh -F none -o {} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes \
             -o IdentityAgent=none {key} -o StrictHostKeyChecking=accept-new -o {asks}{port}",
            quoted(&known)
        )
    }

    fn env(&self) -> Vec<(String, String)> {
        let home = self.home.to_string_lossy().into_owned();
        let (name, mail) = &self.author;
        let ssh = self.ssh();
        let mut env: Vec<(String, String)> = [
            ("HOME", home.as_str()),
            ("LC_ALL", "C.UTF-8"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_SSH_COMMAND", &ssh),
            ("GIT_SSH_VARIANT", "ssh"),
            ("GIT_AUTHOR_NAME", name),
            ("GIT_AUTHOR_EMAIL", mail),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", mail),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
        if self.has_account() {
            let askpass = self.askpass().to_string_lossy().into_owned();
            let own = if self.remote.is_web() {
                // git must not fall back on a program that it tells nothing but a text.
                let (protocol, rest) = self.remote.url.split_once("://").unwrap_or_default();
                let host = rest.split('/').next().unwrap_or_default();
                [
                    ("KOMPIRA_GIT_PROTOCOL", protocol),
                    ("KOMPIRA_GIT_HOST", host),
                    ("KOMPIRA_GIT_USERNAME", &self.remote.username),
                    ("KOMPIRA_GIT_PASSWORD", &self.remote.password),
                ]
                .to_vec()
            } else {
                [
                    ("SSH_ASKPASS", askpass.as_str()),
                    ("SSH_ASKPASS_REQUIRE", "force"),
                    ("KOMPIRA_GIT_PASSWORD", &self.remote.password),
                ]
                .to_vec()
            };
            env.extend(own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        env
    }
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Which command, for the person who waits: the first word that is no option.
fn verb<'a>(words: &[&'a str]) -> &'a str {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-C" | "-c" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return word,
        }
    }
    "git"
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use zeroize::Zeroizing;

    use super::*;

    /// Remembers what was to be run, and fails as told.
    #[derive(Default)]
    struct Spy {
        seen: Mutex<Vec<Call>>,
        says: &'static str,
    }

    impl Runner for Spy {
        fn run(&self, call: Call, _: &dyn Fn() -> bool) -> Result<Ended, Broken> {
            self.seen.lock().push(call);
            Ok(Ended { status: 128, out: Vec::new(), err: self.says.as_bytes().to_vec() })
        }
    }

    fn git<'a>(spy: &'a Spy, password: &str) -> Git<'a> {
        Git {
            runner: spy,
            stop: &|| false,
            home: "/nowhere".into(),
            remote: Remote {
                url: "https://host/x".into(),
                port: None,
                username: "sato".into(),
                password: Zeroizing::new(password.to_owned()),
            },
            author: ("Sato".into(), "sato@host".into()),
            key: None,
            size_max: u64::MAX,
        }
    }

    // rule: tree/repository-secrets
    #[test]
    fn a_password_goes_by_the_environment_alone() {
        let spy = Spy { says: "fatal: no access with pass-4711", ..Spy::default() };
        let fault =
            git(&spy, "pass-4711").run(None, &["-C", "/x", "fetch", "--"], b"").unwrap_err();
        assert_eq!(fault.kind(), Kind::Outside);
        let told = fault.text(kompira_schema::catalogue::Lang::En);
        assert!(told.contains("git fetch") && told.contains("***"), "{told}");
        assert!(!format!("{fault:?}").contains("pass-4711"));
        let seen = spy.seen.lock();
        assert!(!format!("{:?}", seen[0]).contains("pass-4711"));
        assert!(seen[0].words.iter().all(|word| !word.contains("pass-4711")));
        let holds = seen[0].env.iter().filter(|(_, value)| value.contains("pass-4711"));
        assert_eq!(
            holds.map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
            ["KOMPIRA_GIT_PASSWORD"]
        );
    }

    // rule: tree/repository-address
    #[test]
    fn git_asks_nobody_and_heeds_no_settings_but_ours() {
        let spy = Spy::default();
        let mut alone = git(&spy, "");
        alone.remote.username.clear();
        let _ = alone.run(None, &["fetch"], b"");
        let call = spy.seen.lock().remove(0);
        for word in ["protocol.allow=never", "core.hooksPath=/dev/null", "core.symlinks=false"] {
            assert!(call.words.iter().any(|held| held == word), "{word}");
        }
        for (key, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ] {
            assert!(call.env.iter().any(|(k, v)| k == key && v == value), "{key}");
        }
        assert!(call.env.iter().all(|(key, _)| !key.ends_with("ASKPASS")));
        for scheme in ["ext", "file"] {
            let allowed = format!("{scheme}.allow=always");
            assert!(call.words.iter().all(|word| !word.contains(&allowed)), "{scheme}");
        }
        assert!(call.words.iter().all(|word| !word.contains("credential.helper=!")));
    }

    // rule: tree/repository-secrets
    #[test]
    fn a_user_of_the_web_goes_by_the_environment_too() {
        let spy = Spy::default();
        let _ = git(&spy, "").run(None, &["fetch", "--", "https://host/x"], b"");
        let call = spy.seen.lock().remove(0);
        assert!(call.words.iter().all(|word| !word.contains("sato")));
        assert!(call.words.iter().any(|word| word == "credential.helper=!'/nowhere/askpass'"));
        assert!(call.env.iter().any(|(k, v)| k == "KOMPIRA_GIT_USERNAME" && v == "sato"));
    }

    // rule: tree/repository-address
    #[test]
    fn ssh_heeds_nothing_of_the_servers_user() {
        let spy = Spy::default();
        let mut git = git(&spy, "");
        git.home = "/with space/50%".into();
        let ssh = git.ssh();
        for word in [
            "ssh -F none ",
            " -o 'UserKnownHostsFile=\"/with space/50%%/known_hosts\"' ",
            " -o GlobalKnownHostsFile=/dev/null ",
            " -o IdentitiesOnly=yes ",
            " -o IdentityFile=none ",
            " -o BatchMode=yes",
        ] {
            assert!(ssh.contains(word), "{word}: {ssh}");
        }
        git.key = Some("/it's/id_key".into());
        let ssh = git.ssh();
        assert!(ssh.contains(" -i '/it'\\''s/id_key' "), "{ssh}");
        assert!(!ssh.contains("IdentityFile=none"));
    }

    #[test]
    fn a_push_that_is_behind_says_what_to_do() {
        let spy = Spy { says: " ! [rejected] main -> main (fetch first)", ..Spy::default() };
        let fault = git(&spy, "").run(None, &["-C", "/x", "push", "--", "u"], b"").unwrap_err();
        assert_eq!((fault.kind(), fault.told().key), (Kind::Busy, "git.behind"));
    }
}
