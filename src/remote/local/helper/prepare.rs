//! Turns a request into a program with arguments, account, environment and bounds.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, User};

use super::super::wire::{Start, Work};
use crate::remote::words;

/// Search path when the server has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that is ready to start.
pub(super) struct Prepared {
    command: Command,
    name: String,
    script: Option<PathBuf>,
}

/// Makes ready; afterwards this process has the command's account and bounds.
pub(super) fn prepare(start: &Start) -> Result<Prepared, String> {
    let account = become_user(start.user.as_deref())?;
    let (arguments, script) = arguments(start)?;
    let mut prepared = Prepared { command: Command::new(""), name: String::new(), script };
    let arguments = if start.sudo { through_sudo(start, arguments)? } else { arguments };
    let (program, rest) = arguments.split_first().ok_or("nothing to run")?;
    prepared.name.clone_from(program);
    prepared.command = Command::new(program);
    prepared.command.args(rest);
    environment(&mut prepared.command, start, account.as_ref());
    prepared.command.current_dir(directory(start)?);
    bounds(start)?;
    Ok(prepared)
}

/// Takes on the account `name` for good; `None` is the account of the service.
fn become_user(name: Option<&str>) -> Result<Option<User>, String> {
    let mine = User::from_uid(Uid::effective()).ok().flatten();
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(mine) };
    if mine.as_ref().is_some_and(|mine| mine.name == name) {
        return Ok(mine);
    }
    let user = match User::from_name(name) {
        Ok(Some(user)) => user,
        Ok(None) => return Err(format!("no such user: {name}")),
        Err(error) => return Err(format!("cannot look up user {name}: {error}")),
    };
    if !Uid::effective().is_root() {
        return Err(format!("cannot become user {name}: the server does not run as root"));
    }
    let told = |error: nix::errno::Errno| format!("cannot become user {name}: {error}");
    let login = CString::new(name).map_err(|_| format!("no such user: {name:?}"))?;
    nix::unistd::initgroups(&login, user.gid).map_err(told)?;
    nix::unistd::setgid(user.gid).map_err(told)?;
    nix::unistd::setuid(user.uid).map_err(told)?;
    Ok(Some(user))
}

/// The program and its arguments, and the temporary file if it is a script.
fn arguments(start: &Start) -> Result<(Vec<String>, Option<PathBuf>), String> {
    match &start.work {
        Work::Command { line } if start.use_shell => {
            // The shell reads the directory too: its metacharacters are the author's to escape.
            let text = match &start.dir {
                Some(dir) => format!("cd {dir} || exit 1\n{line}"),
                None => line.clone(),
            };
            Ok((vec![start.shell.clone(), "-c".to_owned(), text], None))
        }
        Work::Command { line } => {
            let words = words::split(line).ok_or("unbalanced quotes in the command")?;
            Ok((words, None))
        }
        Work::Script { source, arguments } => {
            let path = lay_down(&start.temp, source)?;
            let file = path.to_str().ok_or("the temporary directory has no readable name")?;
            let mut words = interpreter(source).unwrap_or_else(|| vec![start.shell.clone()]);
            words.push(file.to_owned());
            words.extend(arguments.iter().cloned());
            if let (true, Some(dir)) = (start.use_shell, &start.dir) {
                let mut all = vec![
                    start.shell.clone(),
                    "-c".to_owned(),
                    format!("cd {dir} || exit 1\nexec \"$@\""),
                    start.shell.clone(),
                ];
                all.extend(words);
                words = all;
            }
            Ok((words, Some(path)))
        }
    }
}

/// The interpreter a script's first line names, with its one argument, as the kernel reads it.
fn interpreter(source: &str) -> Option<Vec<String>> {
    let line = source.strip_prefix("#!")?.lines().next()?.trim();
    let (program, argument) = match line.split_once([' ', '\t']) {
        Some((program, argument)) => (program, argument.trim()),
        None => (line, ""),
    };
    if program.is_empty() {
        return None;
    }
    let words = [program, argument].into_iter().filter(|word| !word.is_empty());
    Some(words.map(str::to_owned).collect())
}

/// Writes the script under a random name that only its user may read.
fn lay_down(temp: &str, source: &str) -> Result<PathBuf, String> {
    let told = |error: &dyn std::fmt::Display| format!("cannot write the script: {error}");
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| told(&error))?;
    let path = PathBuf::from(temp).join(format!("kompira-{:032x}", u128::from_be_bytes(random)));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&path)
        .map_err(|error| told(&error))?;
    file.write_all(source.as_bytes()).map_err(|error| told(&error))?;
    Ok(path)
}

/// Puts sudo before a command. The password is checked first, so that it never is on the
/// command's standard input, and a wrong one fails at once.
fn through_sudo(start: &Start, arguments: Vec<String>) -> Result<Vec<String>, String> {
    if let Some(password) = &start.password {
        let mut check = Command::new("sudo");
        check.args(["-S", "-v", "-p", ""]).stdin(Stdio::piped());
        check
            .env_clear()
            .env("PATH", PATH)
            .envs(start.env.iter().map(|(name, value)| (name, value)));
        check.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut check = check.spawn().map_err(|error| format!("cannot run sudo: {error}"))?;
        if let Some(mut stdin) = check.stdin.take() {
            let _ = stdin.write_all(password.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        }
        let told = check.wait_with_output().map_err(|error| format!("cannot run sudo: {error}"))?;
        if !told.status.success() {
            let text = String::from_utf8_lossy(&told.stderr);
            return Err(format!("sudo refused: {}", text.trim()));
        }
    }
    let mut words = vec!["sudo".to_owned(), "-n".to_owned(), "--".to_owned()];
    words.extend(arguments);
    Ok(words)
}

/// A clean environment: what the server passes on, what the account gives, what the author adds.
fn environment(command: &mut Command, start: &Start, account: Option<&User>) {
    command.env_clear();
    command.env("PATH", PATH);
    // What a session says is read line by line: nothing may move a cursor.
    command.env("TERM", if start.use_pty && !start.session { "vt100" } else { "dumb" });
    if let Some(account) = account {
        command.env("HOME", &account.dir);
        command.env("USER", &account.name);
        command.env("LOGNAME", &account.name);
        command.env("SHELL", &account.shell);
    }
    command.envs(start.env.iter().map(|(name, value)| (name, value)));
}

/// Where it starts.
fn directory(start: &Start) -> Result<PathBuf, String> {
    match &start.dir {
        Some(dir) if !start.use_shell => {
            let words = words::split(dir).ok_or("unbalanced quotes in the directory")?;
            match <[String; 1]>::try_from(words) {
                Ok([dir]) if std::path::Path::new(&dir).is_dir() => Ok(PathBuf::from(dir)),
                _ => Err(format!("no such directory: {dir}")),
            }
        }
        _ => {
            let home = PathBuf::from(&start.home);
            Ok(if home.is_dir() { home } else { PathBuf::from("/") })
        }
    }
}

/// Sets what the command may use. Cores are off: memory may hold secrets.
fn bounds(start: &Start) -> Result<(), String> {
    let rows = [
        (Resource::RLIMIT_CORE, Some(0)),
        (Resource::RLIMIT_AS, start.memory),
        (Resource::RLIMIT_NPROC, start.processes),
        (Resource::RLIMIT_NOFILE, start.files),
    ];
    for (resource, bound) in rows {
        let Some(bound) = bound else { continue };
        let (_, hard) = getrlimit(resource).map_err(|error| error.to_string())?;
        let bound = bound.min(hard);
        setrlimit(resource, bound, bound)
            .map_err(|error| format!("cannot set the bound {resource:?}: {error}"))?;
    }
    Ok(())
}

impl Prepared {
    /// Connects the standard streams: to a terminal, or to the helper's own.
    pub(super) fn connect(
        &mut self,
        terminal: Option<&OwnedFd>,
        has_input: bool,
    ) -> Result<(), String> {
        let told = |error: std::io::Error| format!("cannot connect the output: {error}");
        if let Some(terminal) = terminal {
            // It stays in the session's foreground group, so that it may read from the terminal.
            self.command.stdin(Stdio::from(terminal.try_clone().map_err(told)?));
            self.command.stdout(Stdio::from(terminal.try_clone().map_err(told)?));
            self.command.stderr(Stdio::from(terminal.try_clone().map_err(told)?));
            return Ok(());
        }
        let out = std::io::stdout().as_fd().try_clone_to_owned().map_err(told)?;
        let err = std::io::stderr().as_fd().try_clone_to_owned().map_err(told)?;
        self.command.stdin(if has_input { Stdio::piped() } else { Stdio::null() });
        self.command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
        self.command.process_group(0);
        Ok(())
    }

    /// Starts it and lets go of its streams.
    pub(super) fn spawn(&mut self) -> Result<Child, String> {
        let child =
            self.command.spawn().map_err(|error| format!("cannot run {}: {error}", self.name));
        // The command object holds copies of the streams.
        self.command = Command::new("");
        if child.is_err() {
            self.clean_up();
        }
        child
    }

    /// Removes the script.
    pub(super) fn clean_up(&mut self) {
        if let Some(script) = self.script.take() {
            let _ = std::fs::remove_file(script);
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.clean_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let words = |text: &str| interpreter(text);
        assert_eq!(words("#!/bin/sh\n"), Some(vec!["/bin/sh".to_owned()]));
        assert_eq!(
            words("#! /usr/bin/env python3 -u\nx"),
            Some(vec!["/usr/bin/env".to_owned(), "python3 -u".to_owned()])
        );
        assert_eq!(words("echo\n#!/bin/sh"), None);
        assert_eq!(words("#!\n"), None);
    }
}
