//! Buries a helper, and ends what it left if it did not end by itself.

use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// The helper needs at most its grace and its rounds, about 2.5 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Looks at what is left of a session: each may have started another before it was killed.
const ROUNDS_MAX: usize = 20;

/// Waits for the helper's end; one that does not end is killed. Then, and when somebody else has
/// killed it, a command that `runs`, as far as is known, has nobody who ends it but us.
pub(super) fn bury(helper: &mut Child, runs: bool) {
    if let Ok(number) = i32::try_from(helper.id()) {
        let pid = Pid::from_raw(number);
        if !has_ended(pid) {
            let _ = helper.kill();
            if runs {
                // It is not yet reaped: its number, and so its session's, is nobody else's.
                end_session(pid);
            }
        }
    }
    let _ = helper.wait();
}

/// Whether it ends by itself, and in time. It is not reaped.
fn has_ended(pid: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let until = Instant::now() + PATIENCE;
    let mut wait = Duration::from_millis(1);
    loop {
        match waitid(Id::Pid(pid), flags) {
            Ok(WaitStatus::Exited(..)) => return true,
            Ok(WaitStatus::StillAlive) if Instant::now() < until => {
                std::thread::sleep(wait);
                wait = (wait * 2).min(LOOK);
            }
            _ => return false,
        }
    }
}

/// Kills all that is left of the session of a process.
fn end_session(leader: Pid) {
    for _ in 0..ROUNDS_MAX {
        let left = members(leader);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All of a session that live, but for its leader.
fn members(leader: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let member = |entry: std::fs::DirEntry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        (pid != leader && session_of(&stat)? == leader).then_some(pid)
    };
    entries.flatten().filter_map(member).collect()
}

/// The session of a process that lives, from `/proc/N/stat`. The name in it may hold anything.
fn session_of(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let lives = !matches!(words.next()?, "Z" | "X");
    let session = words.nth(2)?.parse().ok()?;
    lives.then(|| Pid::from_raw(session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_process_is_in_no_session() {
        assert_eq!(session_of("12 (a) b) S 7 11 10 0"), Some(Pid::from_raw(10)));
        assert_eq!(session_of("12 (x) Z 7 11 10 0"), None);
        assert_eq!(session_of("12 (x) S 7"), None);
    }
}
