//! Named places at which a test kills, delays or fails the process.
//!
//! `KF_FAIL=point@n` kills with SIGKILL at the n-th hit; `point@n:delay=ms` sleeps there once;
//! `point@n:error=enospc` and `point@n:error=eio` fail once. Several are joined with `,`. This is
//! the one place of the library that reads an environment variable of its own accord: a fault that
//! has to be armed by the code under test would be forgotten there. Without the feature
//! `failpoints` every point compiles to nothing.

/// Every fail point. A point that is not listed here does not compile.
///
/// `store.*` stand before and after each durable step of the store, `engine.*` around the commits
/// of processes and the life of a command.
pub const POINTS: &[&str] = &[
    "backup.after_rename",
    "backup.before_finish",
    "backup.before_rename",
    "engine.command.after_end",
    "engine.command.after_journal",
    "engine.command.before_start",
    "engine.command.before_sync",
    "engine.recover.between",
    "engine.start.after_commit",
    "engine.turn.after_commit",
    "engine.turn.before_commit",
    "store.blob.after_link",
    "store.blob.after_sync",
    "store.blob.before_link",
    "store.blob.before_sync",
    "store.blob.before_unlink",
    "store.blob.before_write",
    "store.check.before_repair",
    "store.checkpoint.after_blobs",
    "store.checkpoint.after_db",
    "store.checkpoint.before_db",
    "store.commit.after_publish",
    "store.commit.after_sync",
    "store.commit.after_wal",
    "store.commit.before_reply",
    "store.commit.before_sync",
    "store.commit.before_wal",
    "store.counter.after_block",
    "store.counter.before_block",
    "store.migrate.after_chunk",
    "store.migrate.after_version",
    "store.migrate.before_chunk",
    "store.migrate.before_version",
    "store.open.after_format",
    "store.open.before_format",
    "store.purge.after_delete",
    "store.purge.before_delete",
];

/// Whether `name` is listed; used in constant expressions.
#[must_use]
pub const fn listed(name: &str) -> bool {
    let mut at = 0;
    while at < POINTS.len() {
        if same(POINTS[at].as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Passes a fail point that can die or delay; an armed error is ignored.
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {{
        const _: () = assert!($crate::base::failpoint::listed($name), "list the point in POINTS");
        let _ = $crate::base::failpoint::hit($name);
    }};
}

/// Passes a fail point that can also fail: a `std::io::Result<()>`.
#[macro_export]
macro_rules! fail_point_io {
    ($name:literal) => {{
        const _: () = assert!($crate::base::failpoint::listed($name), "list the point in POINTS");
        $crate::base::failpoint::hit($name)
    }};
}

/// Counts a hit of `name` and does what is armed for it.
///
/// # Errors
/// The armed error.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, hit};

#[cfg(feature = "failpoints")]
mod armed {
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Kill,
        Delay(Duration),
        Error(i32),
    }

    #[derive(Debug)]
    struct Armed {
        point: String,
        at: u64,
        hits: AtomicU64,
        action: Action,
    }

    static ANY: AtomicBool = AtomicBool::new(false);

    fn table() -> &'static Mutex<Vec<Armed>> {
        static TABLE: OnceLock<Mutex<Vec<Armed>>> = OnceLock::new();
        TABLE.get_or_init(|| {
            let text = std::env::var("KF_FAIL").unwrap_or_default();
            let armed = parse(&text);
            ANY.store(!armed.is_empty(), Ordering::Release);
            Mutex::new(armed)
        })
    }

    fn parse(text: &str) -> Vec<Armed> {
        text.split(',').filter(|part| !part.is_empty()).filter_map(parse_one).collect()
    }

    fn parse_one(text: &str) -> Option<Armed> {
        let (point, rest) = text.split_once('@').unwrap_or((text, "1"));
        let (at, action) = match rest.split_once(':') {
            None => (rest, Action::Kill),
            Some((at, "error=enospc")) => (at, Action::Error(libc::ENOSPC)),
            Some((at, "error=eio")) => (at, Action::Error(libc::EIO)),
            Some((at, what)) => {
                let ms = what.strip_prefix("delay=")?.parse().ok()?;
                (at, Action::Delay(Duration::from_millis(ms)))
            }
        };
        let at = at.parse().ok()?;
        Some(Armed { point: point.to_owned(), at, hits: AtomicU64::new(0), action })
    }

    /// Arms points from inside a test, in the syntax of `KF_FAIL`; `""` disarms all.
    pub fn arm(text: &str) {
        let armed = parse(text);
        let mut table = table().lock().unwrap_or_else(PoisonError::into_inner);
        ANY.store(!armed.is_empty(), Ordering::Release);
        *table = armed;
    }

    /// Counts a hit of `name` and does what is armed for it.
    ///
    /// # Errors
    /// The armed error.
    pub fn hit(name: &'static str) -> io::Result<()> {
        let table = table();
        if !ANY.load(Ordering::Acquire) {
            return Ok(());
        }
        let action = {
            let table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table
                .iter()
                .filter(|armed| armed.point == name)
                .find(|armed| armed.hits.fetch_add(1, Ordering::Relaxed) + 1 == armed.at)
                .map(|armed| armed.action)
        };
        match action {
            None => Ok(()),
            Some(Action::Delay(time)) => {
                std::thread::sleep(time);
                Ok(())
            }
            Some(Action::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(Action::Kill) => {
                let me = nix::unistd::Pid::this();
                let _ = nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL);
                // The signal is delivered before this thread goes on; should it not be:
                std::process::abort()
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_armed_text_is_read() {
            let armed = parse("a.b@3,c@1:delay=20,d@2:error=enospc,bad@x");
            let got: Vec<_> = armed.iter().map(|a| (a.point.as_str(), a.at, a.action)).collect();
            assert_eq!(
                got,
                [
                    ("a.b", 3, Action::Kill),
                    ("c", 1, Action::Delay(Duration::from_millis(20))),
                    ("d", 2, Action::Error(libc::ENOSPC)),
                ]
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_point_once() {
        let mut sorted = POINTS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, POINTS);
        assert!(listed("store.commit.before_wal"));
        assert!(!listed("store.commit.before"));
    }
}
