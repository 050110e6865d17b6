//! The phases over small files: single calls in a loop, each timed.

use super::body::body;
use super::probe::Probe;
use crate::report::Sample;
use crate::statistics::Latencies;
use rustix::fs::{AtFlags, Dir, FileType, lstat, statat};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

/// Phase a: the directories, then every file by open(O_EXCL), write, close.
pub(super) fn create(probe: &mut Probe<'_>) {
    let dirs = probe.settings.dirs;
    let start = Instant::now();
    let tree = probe.tree();
    probe.check("mkdir", &tree, fs::create_dir(&tree));
    for number in 0..dirs {
        let path = probe.directory(number);
        probe.check("mkdir", &path, fs::create_dir(&path));
    }
    probe.took("mkdir", "ops/s", dirs + 1, start);
    let mut each = Latencies::default();
    let start = Instant::now();
    for number in 0..probe.settings.files {
        let (path, bytes) = (probe.file(number), body(probe.settings, number, 0));
        let one = Instant::now();
        let done = put(&path, &bytes, false);
        each.add(one.elapsed());
        probe.check("write", &path, done);
    }
    probe.took_each("create", "files/s", probe.settings.files, start, &each);
}

/// Phase b: lstat of every file by its full path.
pub(super) fn stat(probe: &mut Probe<'_>, metric: &str) {
    let mut each = Latencies::default();
    let start = Instant::now();
    for number in 0..probe.settings.files {
        let path = probe.file(number);
        let one = Instant::now();
        let done = lstat(&path);
        each.add(one.elapsed());
        if probe.check("lstat", &path, done).is_some_and(|stat| stat.st_size < 1) {
            probe.fail("lstat", &path, "the file is empty");
        }
    }
    probe.took_each(metric, "ops/s", probe.settings.files, start, &each);
}

/// Phase c: every directory listed, with the attributes of every entry when `attributes`.
pub(super) fn list(probe: &mut Probe<'_>, metric: &str, attributes: bool) {
    let mut found = 0;
    let start = Instant::now();
    for number in 0..probe.settings.dirs {
        let path = probe.directory(number);
        let listed = list_one(&path, attributes);
        found += probe.check("list", &path, listed).unwrap_or(0);
    }
    probe.took(metric, "entries/s", found, start);
    if found != probe.settings.files {
        let tree = probe.tree();
        probe.fail("list", &tree, format!("{found} entries, not {}", probe.settings.files));
    }
}

fn list_one(path: &Path, attributes: bool) -> io::Result<usize> {
    let mut directory = Dir::new(File::open(path)?)?;
    let mut found = 0;
    while let Some(entry) = directory.read() {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        found += 1;
        if attributes {
            let stat = statat(directory.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(io::Error::other("an entry is no file"));
            }
        }
    }
    Ok(found)
}

/// Phase d: open, read, close of every file; what was read is compared.
pub(super) fn read(probe: &mut Probe<'_>, metric: &str) {
    let mut each = Latencies::default();
    let mut buffer = vec![0; 70_000];
    let start = Instant::now();
    for number in 0..probe.settings.files {
        let path = probe.file(number);
        let one = Instant::now();
        // One read call, as the files are small: a second one for the end would be a request more.
        let done = File::open(&path).and_then(|mut file| file.read(&mut buffer));
        each.add(one.elapsed());
        let Some(length) = probe.check("read", &path, done) else { continue };
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes != body(probe.settings, number, 0) && bytes != body(probe.settings, number, 1) {
            probe.fail("read", &path, "the content is not what was written");
        }
    }
    probe.took_each(metric, "files/s", probe.settings.files, start, &each);
}

/// Phase e: what an editor does: a temporary file, written, synced when `sync`, renamed over the old.
pub(super) fn save(probe: &mut Probe<'_>, metric: &str, count: usize, sync: bool) {
    let mut each = Latencies::default();
    let start = Instant::now();
    for turn in 0..count {
        // A prime stride: saves that follow one another lie in different directories.
        let number = turn * 7919 % probe.settings.files;
        let (path, beside) = (probe.file(number), probe.beside(number));
        let bytes = body(probe.settings, number, 1);
        let one = Instant::now();
        let done = put(&beside, &bytes, sync).and_then(|()| fs::rename(&beside, &path));
        each.add(one.elapsed());
        probe.check("save", &path, done);
    }
    probe.took_each(metric, "saves/s", count, start, &each);
}

/// Phase f: the folder of all files gets another name and its own back; one file is looked up each time.
pub(super) fn rename_tree(probe: &mut Probe<'_>) {
    let (tree, moved) = (probe.tree(), probe.root.join("moved"));
    let last = probe.settings.dirs - 1;
    let name = format!("d{last:03}/obj{last:05}.{}", probe.settings.ext);
    let mut each = Latencies::default();
    for turn in 0..probe.settings.renames {
        let (from, to) = if turn % 2 == 0 { (&tree, &moved) } else { (&moved, &tree) };
        let one = Instant::now();
        let done = fs::rename(from, to);
        each.add(one.elapsed());
        probe.check("rename", from, done);
        let below = to.join(&name);
        probe.check("lstat after rename", &below, lstat(&below));
    }
    let sample = Sample::new("rename_tree", "ops/s", probe.settings.renames as f64, each.sum_s());
    probe.samples.push(sample.with(&each));
}

/// Phase h: every file, then the directories.
pub(super) fn unlink(probe: &mut Probe<'_>) {
    let mut each = Latencies::default();
    let start = Instant::now();
    for number in 0..probe.settings.files {
        let path = probe.file(number);
        let one = Instant::now();
        let done = fs::remove_file(&path);
        each.add(one.elapsed());
        probe.check("unlink", &path, done);
    }
    probe.took_each("unlink", "ops/s", probe.settings.files, start, &each);
    let start = Instant::now();
    for number in 0..probe.settings.dirs {
        let path = probe.directory(number);
        probe.check("rmdir", &path, fs::remove_dir(&path));
    }
    let tree = probe.tree();
    probe.check("rmdir", &tree, fs::remove_dir(&tree));
    probe.took("rmdir", "ops/s", probe.settings.dirs + 1, start);
}

/// A new file by one write. The close is asked for its result: a mount may only then say that it
/// could not keep the file.
fn put(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    Ok(nix::unistd::close(file)?)
}
