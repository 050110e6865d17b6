//! Keeps a clone within its bound on the disk (rule: `tree/repository-size`).

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Least time between two looks at a clone that git works on. Reason: a fast line brings some tens of
/// megabytes meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// Most time between two looks, however long one takes.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Up to that, looks take at most this part of the time.
const SHARE: u32 = 10;
/// Bytes of a block as the system counts them.
const BLOCK: u64 = 512;

/// Looks at a clone while git works on it.
pub(super) struct Watch<'a> {
    /// `None`: nothing is watched.
    dir: Option<&'a Path>,
    max: u64,
    next: Cell<Instant>,
    over: Cell<bool>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(dir: Option<&'a Path>, max: u64) -> Self {
        Self { dir, max, next: Cell::new(Instant::now() + LOOK), over: Cell::new(false) }
    }

    /// Whether it has become too large; looks only now and then.
    pub(super) fn is_over(&self) -> bool {
        let begun = Instant::now();
        if let Some(dir) = self.dir
            && !self.over.get()
            && begun >= self.next.get()
        {
            self.over.set(bytes_of(dir) > self.max);
            self.next.set(begun + pause(begun.elapsed()));
        }
        self.over.get()
    }
}

/// Time from one look, which took so long, to the next.
fn pause(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(LOOK, LOOK_MAX)
}

/// What a directory takes of the disk. What vanishes while it is counted counts for nothing.
pub(super) fn bytes_of(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let mut sum: u64 = 0;
    for entry in entries.flatten() {
        // Of a link: itself.
        let Ok(about) = entry.metadata() else { continue };
        let below = if about.is_dir() { bytes_of(&entry.path()) } else { 0 };
        sum = sum.saturating_add(about.blocks().saturating_mul(BLOCK)).saturating_add(below);
    }
    sum
}

/// Removes what a git that was ended has left among the objects of a clone.
pub(super) fn remove_unfinished(objects: &Path) -> io::Result<()> {
    for entry in fs::read_dir(objects)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_unfinished(&entry.path())?;
        } else if [b"tmp_".as_slice(), b".tmp-"].iter().any(|start| is(&entry, start)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is(entry: &fs::DirEntry, start: &[u8]) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(start)
}

/// Removes the files of a clone, which git can write again; its repository stays.
pub(super) fn remove_files(clone: &Path) -> io::Result<()> {
    for entry in fs::read_dir(clone)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true if entry.file_name() == ".git" => {}
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: tree/repository-size
    #[test]
    fn a_clone_whose_looks_take_long_is_looked_at_all_the_same() {
        let pauses = [1, 50, 100, 5_000, u64::MAX].map(|took| pause(Duration::from_millis(took)));
        assert_eq!(pauses.map(|pause| pause.as_millis()), [250, 500, 1_000, 2_000, 2_000]);
    }
}
