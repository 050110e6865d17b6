//! Frees the mounts of a server that was killed but cannot end.
//!
//! A thread that tells the kernel to forget a name waits for the lock of the directory. A client
//! that holds this lock may itself wait for the server. If the server is killed just then, neither
//! ends, and the dead process keeps its files and locks. Aborting the connection frees both.

use std::path::PathBuf;

use crate::mount::detach;

/// One of our mounts, as `/proc/self/mountinfo` has it.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    /// Number of the connection below `/sys/fs/fuse/connections`.
    connection: u32,
    dir: PathBuf,
}

/// Whether this process was killed and has not ended yet: its main thread is gone, another holds on.
/// Also true of one that only waits for its parent.
#[must_use]
pub fn is_dying(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which may itself hold parentheses.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Aborts the connections of all mounts with this source and takes the mounts away: how many. To be
/// called only when the server they belonged to is known to be dead.
#[must_use]
pub fn abort_killed(source: &str) -> usize {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let standing = standing(&table, source);
    for mount in &standing {
        if let Err(error) = abort(mount) {
            let dir = mount.dir.display();
            tracing::warn!(%error, %dir, "the mount of a killed server cannot be aborted");
        }
        if let Err(error) = detach(&mount.dir) {
            tracing::warn!(%error, dir = %mount.dir.display(), "a dead mount cannot be taken away");
        }
    }
    standing.len()
}

/// The control file is for the user who mounted, where that file system is there at all; the call
/// is for the system's root. To detach alone would leave those who wait, waiting.
fn abort(mount: &Standing) -> std::io::Result<()> {
    let control = format!("/sys/fs/fuse/connections/{}/abort", mount.connection);
    std::fs::write(control, "1")
        .or_else(|_| Ok(nix::mount::umount2(&mount.dir, nix::mount::MntFlags::MNT_FORCE)?))
}

fn standing(table: &str, source: &str) -> Vec<Standing> {
    let wanted = source.replace(',', "_");
    let read = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        // Mounted by a helper program the type has a subtype, mounted by the system's root it has none.
        let kind = after.next()?;
        let ours = matches!(kind, "fuse" | "fuse.kompira") && unescape(after.next()?) == wanted;
        let mut fields = before.split(' ');
        let connection = fields.nth(2)?.split_once(':')?.1.parse().ok()?;
        let dir = PathBuf::from(unescape(fields.nth(1)?));
        ours.then_some(Standing { connection, dir })
    };
    table.lines().filter_map(read).collect()
}

/// The table writes blanks, tabs, line ends and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = text.to_owned();
    for (written, meant) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(written, meant);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_mounts_with_this_source_are_found() {
        let table = "\
26 1 8:1 / / rw,relatime - ext4 /dev/vda rw
61 26 0:45 / /srv/tree rw,nosuid,nodev - fuse.kompira /srv/data rw,user_id=0
62 26 0:46 / /srv/my\\040tree rw,nosuid - fuse /srv/my\\040data rw
63 26 0:47 / /srv/other rw - fuse.sshfs /srv/data rw
";
        let found = |connection, dir: &str| vec![Standing { connection, dir: dir.into() }];
        assert_eq!(standing(table, "/srv/data"), found(45, "/srv/tree"));
        assert_eq!(standing(table, "/srv/my data"), found(46, "/srv/my tree"));
        assert_eq!(standing(table, "/srv"), []);
    }
}
