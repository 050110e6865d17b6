//! Writes an export below a directory of this machine.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;

use super::sink::{File, Sink};

/// Files below this size are compared with what is there before anything is written.
const COMPARE_BYTES_MAX: u64 = 16 << 20;

/// An output directory. A file whose content would not change is left alone, so that its time
/// stays and git and rsync see nothing (rule: `files/export-dir`).
pub struct Directory {
    root: PathBuf,
    /// A path of another kind in the way is removed, and so is what the export did not write.
    prune: bool,
    written: HashSet<PathBuf>,
}

impl Directory {
    /// The output directory must exist and be writable.
    ///
    /// # Errors
    /// [`Kind::NotContainer`] or [`Kind::Denied`]: nothing was written.
    pub fn new(root: &Path, prune: bool) -> Result<Self, Fault> {
        let shown = root.display();
        if !root.is_dir() {
            return Err(Fault::new(
                Kind::NotContainer,
                message!("export.no_directory", dir = shown),
            ));
        }
        let probe = root.join(".kompira-export.probe");
        let probed = OpenOptions::new().write(true).create(true).truncate(true).open(&probe);
        probed.and_then(|_| fs::remove_file(&probe)).map_err(|error| {
            Fault::new(Kind::Denied, message!("export.not_writable", dir = shown)).because(error)
        })?;
        Ok(Self { root: root.to_owned(), prune, written: HashSet::new() })
    }

    /// Removes what lies below the exported paths and was not written, but for `.gitignore`,
    /// `.hgignore` and what version control keeps (`.git`, `.hg`, `.svn`). Without `prune` this
    /// does nothing.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn finish(self, exported: &[String]) -> Result<(), Fault> {
        if !self.prune {
            return Ok(());
        }
        for path in exported {
            let top = self.root.join(path);
            if top.is_dir() {
                self.prune_below(&top).map_err(|error| failed(&top, &error))?;
            }
        }
        Ok(())
    }

    fn prune_below(&self, dir: &Path) -> io::Result<()> {
        const KEPT: [&str; 5] = [".git", ".gitignore", ".hg", ".hgignore", ".svn"];
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let kept = KEPT.iter().any(|kept| entry.file_name() == *kept);
            if kept {
                continue;
            }
            let is_dir = entry.file_type()?.is_dir();
            match (self.written.contains(&path), is_dir) {
                (true, true) => self.prune_below(&path)?,
                (true, false) => {}
                (false, true) => fs::remove_dir_all(&path)?,
                (false, false) => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// The place of a path, whose parts the export made: no part leaves the directory.
    fn place(&self, path: &str) -> Result<PathBuf, Fault> {
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Fault::new(Kind::BadName, message!("export.bad_path", path = path)));
        }
        Ok(self.root.join(path))
    }

    /// What stands at `place`, if it is not of the wanted kind: removed when pruning, else an error.
    fn clear(&self, place: &Path, dir: bool) -> Result<(), Fault> {
        let Ok(meta) = fs::symlink_metadata(place) else { return Ok(()) };
        if meta.is_dir() == dir && (dir || meta.is_file()) {
            return Ok(());
        }
        if !self.prune {
            let told = message!("export.in_the_way", path = place.display());
            return Err(Fault::new(Kind::Exists, told));
        }
        let removed =
            if meta.is_dir() { fs::remove_dir_all(place) } else { fs::remove_file(place) };
        removed.map_err(|error| failed(place, &error))
    }
}

impl Sink for Directory {
    fn dir(&mut self, path: &str) -> Result<(), Fault> {
        let place = self.place(path)?;
        self.clear(&place, true)?;
        fs::create_dir_all(&place).map_err(|error| failed(&place, &error))?;
        self.written.insert(place);
        Ok(())
    }

    fn file(&mut self, file: File<'_>) -> Result<(), Fault> {
        let place = self.place(file.path)?;
        self.clear(&place, false)?;
        write(&place, file).map_err(|error| failed(&place, &error))?;
        self.written.insert(place);
        Ok(())
    }
}

fn write(place: &Path, file: File<'_>) -> io::Result<()> {
    if file.size > COMPARE_BYTES_MAX {
        return replace(place, file.mode, file.content);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
    file.content.read_to_end(&mut bytes)?;
    let same_size = fs::symlink_metadata(place).is_ok_and(|meta| meta.size() == file.size);
    if same_size && fs::read(place).is_ok_and(|old| old == bytes) {
        let mode = fs::metadata(place)?.permissions().mode() & 0o7777;
        if mode == file.mode {
            return Ok(());
        }
        return fs::set_permissions(place, fs::Permissions::from_mode(file.mode));
    }
    replace(place, file.mode, &mut bytes.as_slice())
}

/// Writes beside the place and renames: a reader sees the old file or the new one.
fn replace(place: &Path, mode: u32, content: &mut dyn Read) -> io::Result<()> {
    let dir = place.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let temp = dir.join(format!(".kompira-export.{}", std::process::id()));
    let mut made =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temp)?;
    // The mode given at creation passes through the umask.
    let written = made
        .set_permissions(fs::Permissions::from_mode(mode))
        .and_then(|()| io::copy(content, &mut made))
        .and_then(|_| made.flush())
        .and_then(|()| made.sync_all())
        .and_then(|()| fs::rename(&temp, place));
    if written.is_err() {
        let _ = fs::remove_file(&temp);
    }
    written
}

fn failed(place: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Full,
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Io,
    };
    let told = message!("export.failed", path = place.display(), reason = error);
    Fault::new(kind, told).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(sink: &mut Directory, path: &str, text: &str) -> Result<(), Fault> {
        let size = text.len() as u64;
        sink.file(File { path, mode: 0o644, size, content: &mut text.as_bytes() })
    }

    // rule: files/export-dir
    #[test]
    fn a_file_that_would_not_change_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Directory::new(dir.path(), false).unwrap();
        sink.dir("a").unwrap();
        put(&mut sink, "a/x", "one").unwrap();
        let path = dir.path().join("a/x");
        let before = fs::metadata(&path).unwrap();
        put(&mut sink, "a/x", "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), before.ino());
        put(&mut sink, "a/x", "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_ne!(fs::metadata(&path).unwrap().ino(), before.ino());
    }

    #[test]
    fn the_output_directory_must_exist() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Directory::new(&dir.path().join("none"), false).map(|_| ()).unwrap_err();
        assert_eq!(missing.kind(), Kind::NotContainer);
    }

    #[test]
    fn nothing_is_written_outside_the_output_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Directory::new(dir.path(), false).unwrap();
        for path in ["../x", "a/../../x", "/x", "a//b", "."] {
            assert_eq!(put(&mut sink, path, "x").unwrap_err().kind(), Kind::BadName, "{path}");
        }
    }

    #[test]
    fn another_kind_in_the_way_is_an_error_unless_pruning() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("x")).unwrap();
        let mut sink = Directory::new(dir.path(), false).unwrap();
        assert_eq!(put(&mut sink, "x", "x").unwrap_err().kind(), Kind::Exists);
        let mut sink = Directory::new(dir.path(), true).unwrap();
        put(&mut sink, "x", "x").unwrap();
    }

    #[test]
    fn pruning_removes_what_is_gone_and_keeps_version_control() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["home/.git", "home/old"] {
            fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["home/.gitignore", "home/gone", "foreign"] {
            fs::write(dir.path().join(path), "x").unwrap();
        }
        let mut sink = Directory::new(dir.path(), true).unwrap();
        sink.dir("home").unwrap();
        put(&mut sink, "home/kept", "x").unwrap();
        sink.finish(&["home".into()]).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path().join("home"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".git", ".gitignore", "kept"]);
        assert!(dir.path().join("foreign").exists());
    }
}
