//! git over ssh: how the program `ssh` is called, what it may ask, and that git talks through it.
//! Its other end is this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

/// Notes its arguments, asks for a password if it may, and runs the command here. If there is a
/// true one, that says first what it makes of the arguments.
const SSH: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 9
for word in "$@"; do printf '%s\n' "$word"; done > arguments
if [ -x /usr/bin/ssh ]; then /usr/bin/ssh -G "$@" > understood 2> refused || exit 9; fi
if [ -n "$SSH_ASKPASS" ]; then
    "$SSH_ASKPASS" "sato@host's password: " > told
    [ "$(cat told)" = "it's \$4711" ] || { echo 'Permission denied (password).' >&2; exit 255; }
fi
for command in "$@"; do :; done
exec sh -c "$command"
"#;

/// Runs programs where `ssh` is ours.
struct Elsewhere(PathBuf);

impl Runner for Elsewhere {
    fn run(&self, mut call: Call, stop: &dyn Fn() -> bool) -> Result<Ended, Broken> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.0.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(dirs).unwrap().into_string().unwrap();
        call.env.push(("PATH".to_owned(), path));
        Plain.run(call, stop)
    }
}

impl Lab {
    /// Leads ssh, and the Repository, to the remote repository; where ssh notes what it is told.
    fn by_ssh(&mut self, url: &dyn Fn(&str) -> String) -> PathBuf {
        let dir = self.dir.path().join("bin");
        std::fs::create_dir(&dir).unwrap();
        let program = dir.join("ssh");
        std::fs::write(&program, SSH).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.all.runner = Arc::new(Elsewhere(dir.clone()));
        let place = self.dir.path().join("remote.git");
        self.set("/repo", "URL", &url(&place.to_string_lossy()).into());
        dir
    }
}

fn read(path: PathBuf) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

// rule: tree/repository-ssh
#[test]
fn a_repository_is_cloned_pushed_and_pulled_over_ssh_with_the_operators_key() {
    let mut lab = Lab::filled(&[("a.txt", "one")]);
    let dir = lab.by_ssh(&|place| format!("git@host.example:{place}"));
    lab.set("/repo", "port", &2222.into());
    let clones = lab.dir.path().join("data/repository");
    std::fs::create_dir_all(&clones).unwrap();
    std::fs::write(clones.join("id_key"), "a key").unwrap();
    lab.initialize();
    assert_eq!(lab.text("/ops/a", "text"), "one");
    let said = read(dir.join("arguments"));
    let follows = |word: &str, next: &str| said.windows(2).any(|two| two == [word, next]);
    let key = clones.join("id_key");
    assert!(follows("-i", &key.to_string_lossy()) && follows("-p", "2222"), "{said:?}");
    assert!(follows("-F", "none") && follows("-o", "BatchMode=yes"), "{said:?}");
    assert!(said.iter().any(|word| word == "git@host.example"), "{said:?}");
    assert!(said.last().unwrap().starts_with("git-upload-pack"), "{said:?}");
    assert!(!dir.join("told").exists());
    if let Ok(understood) = std::fs::read_to_string(dir.join("understood")) {
        let known = clones.join(format!("id_{}/known_hosts", lab.repo));
        for line in [
            "user git".to_owned(),
            "hostname host.example".to_owned(),
            "port 2222".to_owned(),
            format!("identityfile {}", key.display()),
            format!("userknownhostsfile {}", known.display()),
            "stricthostkeychecking accept-new".to_owned(),
            "identityagent none".to_owned(),
        ] {
            assert!(understood.lines().any(|held| held == line), "{line}: {understood}");
        }
    }
    lab.set("/ops/a", "text", &"two".into());
    assert!(lab.push("By ssh").unwrap().contains("committed and pushed"));
    assert!(read(dir.join("arguments")).last().unwrap().starts_with("git-receive-pack"));
    assert_eq!(lab.remote_git(&["show", "main:a.txt"]), "two");
    lab.remote(&[("b.txt", "new")], "b");
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/b", "text"), "new");
}

// rule: tree/repository-ssh
#[test]
fn a_password_for_ssh_is_asked_for_and_stands_in_no_argument() {
    let mut lab = Lab::filled(&[("a.txt", "one")]);
    let dir = lab.by_ssh(&|place| format!("ssh://host.example:2200{place}"));
    lab.set("/repo", "username", &"sato".into());
    lab.set("/repo", "password", &"it's $4711".into());
    lab.initialize();
    let said = read(dir.join("arguments"));
    assert!(said.iter().any(|word| word == "sato@host.example"), "{said:?}");
    assert!(said.windows(2).any(|two| two == ["-p", "2200"]), "{said:?}");
    assert!(said.iter().all(|word| !word.contains("4711") && !word.contains("BatchMode")));
    assert!(said.iter().any(|word| word == "IdentityFile=none"), "{said:?}");
    assert_eq!(lab.text("/ops/a", "text"), "one");
    lab.set("/repo", "password", &"other".into());
    let fault = lab.pull().unwrap_err();
    assert_eq!(fault.kind(), Kind::Outside);
    assert!(fault.text(Lang::En).contains("Permission denied"), "{fault:?}");
}
