//! Commands that outlive their server.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A killed server leaves no command behind for longer than this.
pub(crate) const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Waits until no process but the server itself (0: there is none) is of this data directory; those
/// that are still there when the time is over.
pub(crate) fn wait(data: &Path, steps: &Path, server: u32, within: Duration) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let left = find(data, steps, server);
        if left.is_empty() || begun.elapsed() > within {
            return left;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Helpers have the environment of their server, and every shell that notes a step names the
/// directory of the notes.
fn find(data: &Path, steps: &Path, server: u32) -> Vec<String> {
    let variable = format!("KOMPIRA_DATA={}", data.display());
    let steps = steps.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if number == server {
            continue;
        }
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let ours = read("environ").split(|&byte| byte == 0).any(|one| one == variable.as_bytes());
        if ours || line.contains(&steps) {
            found.push(format!("{number} {line}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_environment_and_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let (data, steps) = (dir.path().join("data"), dir.path().join("steps"));
        let mut one = std::process::Command::new("sleep");
        let mut one = one.arg("600").env("KOMPIRA_DATA", &data).spawn().unwrap();
        // It reads until it is killed, and starts nothing.
        let line = format!("read line; echo >> {}/1", steps.display());
        let mut two = std::process::Command::new("sh");
        let mut two = two.args(["-c", &line]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while find(&data, &steps, 0).len() != 2 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(find(&data, &steps, one.id()).len(), 1);
        for child in [&mut one, &mut two] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(wait(&data, &steps, 0, Duration::from_secs(60)), [""; 0]);
    }
}
