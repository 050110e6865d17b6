//! Ends the command and everything that came from it.
//!
//! The helper adopts orphans, so that whatever the command started, in whatever group or session,
//! is below the helper in the tree of processes.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// How long commands may clean up after themselves before they are killed. A server that was
/// killed leaves nothing after one second, so it is well below that.
const GRACE: Duration = Duration::from_millis(400);

/// Between two looks at who is left.
const LOOK: Duration = Duration::from_millis(10);

/// After this many rounds something survives SIGKILL (a wait in the kernel): nothing more can be
/// done.
const ROUNDS_MAX: usize = 200;

/// Asks all to end, then kills them.
pub(super) fn end_all() {
    for pid in descendants() {
        let _ = kill(pid, Signal::SIGTERM);
        let _ = kill(pid, Signal::SIGCONT);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until {
        if descendants().is_empty() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    for _ in 0..ROUNDS_MAX {
        let left = descendants();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(LOOK);
    }
}

/// Everything below this process that is not a zombie.
fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<(i32, bool)>> = HashMap::new();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some((parent, zombie)) = parent_of(&stat) {
            children.entry(parent).or_default().push((pid, zombie));
        }
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![getpid().as_raw()];
    while let Some(pid) = open.pop() {
        for &(child, zombie) in children.get(&pid).into_iter().flatten() {
            if seen.insert(child) {
                open.push(child);
                if !zombie {
                    found.push(Pid::from_raw(child));
                }
            }
        }
    }
    found
}

/// Parent and whether it is dead, from `/proc/N/stat`. The name in it may hold anything.
fn parent_of(stat: &str) -> Option<(i32, bool)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    Some((words.next()?.parse().ok()?, matches!(state, "Z" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        assert_eq!(parent_of("12 (a) b) S 7 12 12 0"), Some((7, false)));
        assert_eq!(parent_of("12 (x) Z 7 12"), Some((7, true)));
        assert_eq!(parent_of("12"), None);
    }
}
