//! The machine a table was measured on, so that nobody compares it with one from elsewhere.

use super::peers::Place;
use std::fs;
use std::process::Command;

/// A line each: processors, memory, kernel, versions of the peers.
pub(super) fn describe(places: &[Place]) -> Vec<String> {
    let mut lines = Vec::new();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    lines.push(format!("processors: {cores} x {model}"));
    if let Some(memory) = field("/proc/meminfo", "MemTotal") {
        lines.push(format!("memory: {memory}"));
    }
    if let Ok(kernel) = fs::read_to_string("/proc/sys/kernel/osrelease") {
        lines.push(format!("kernel: {}", kernel.trim()));
    }
    for place in places {
        if let Some(program) = place.program()
            && let Ok(told) = Command::new(&program).arg("--version").output()
        {
            let text = String::from_utf8_lossy(&told.stdout);
            lines.push(format!("{}: {}", place.label(), text.lines().next().unwrap_or("").trim()));
        }
    }
    lines
}

/// The value of the first line `name: value` of a file of the kernel.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}
