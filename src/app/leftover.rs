//! What a killed server left below `run/`: archives it was making, sockets nobody answers on.

use std::path::Path;

/// Beginnings of the names of what only the server that made it needs.
const SPOOLS: &[&str] = &["backup-", "restore-", "open-"];
const SOCKET: &str = ".sock";

/// Removes it. To be called by who holds the lock of the data directory: no other server is there.
/// What cannot be removed is logged; it is in nobody's way.
///
/// `own` is the socket this server listens on.
pub(super) fn remove(data: &Path, own: &Path) {
    let Ok(entries) = std::fs::read_dir(data.join("run")) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let spool = SPOOLS.iter().any(|prefix| name.starts_with(prefix));
        let socket = name.ends_with(SOCKET) && path != own;
        if !spool && !socket {
            continue;
        }
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(&path),
            _ => std::fs::remove_file(&path),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "a leftover cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: operations/run-directory
    #[test]
    fn spools_and_dead_sockets_go_and_all_else_stays() {
        let data = tempfile::tempdir().unwrap();
        let run = data.path().join("run");
        std::fs::create_dir_all(run.join("open-0/deep")).unwrap();
        for name in ["backup-7-0", "restore-7-1", "7.sock", "kompira.sock", "root.token", "other"] {
            std::fs::write(run.join(name), "").unwrap();
        }
        remove(data.path(), &run.join("kompira.sock"));
        let mut left: Vec<_> =
            std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["kompira.sock", "other", "root.token"]);
    }
}
