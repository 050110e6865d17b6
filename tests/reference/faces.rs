//! The real things: calls on the file tree, and a directory of the operating system.

use std::fs;
use std::io::{Error, Write};
use std::path::PathBuf;

use kompira_schema::error::Fault;
use kompira_schema::tree::{FileTree, NodeKind, SetAttr};

use super::run::{EINVAL, EISDIR, ENOTEMPTY, Face};
use crate::files::driver::{APPEND, Mount, TRUNCATE};

/// The file tree without a kernel; the operations play below `/d`.
pub(crate) struct Calls(pub(crate) Mount);

fn at(path: &str) -> String {
    if path.is_empty() { "/d".to_owned() } else { format!("/d/{path}") }
}

fn told<T>(result: Result<T, Fault>) -> Result<T, i32> {
    result.map_err(|fault| fault.kind().errno())
}

impl Face for Calls {
    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        told(self.0.fill(&at(path), TRUNCATE, data))
    }

    fn append(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        told(self.0.fill(&at(path), APPEND, data))
    }

    fn truncate(&mut self, path: &str, size: u64) -> Result<(), i32> {
        let ino = told(self.0.ino(&at(path)))?;
        let set = SetAttr { size: Some(size), ..SetAttr::default() };
        told(self.0.files.set_attr(&self.0.who, ino, None, &set)).map(|_| ())
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, i32> {
        if told(self.0.stat(&at(path)))?.kind == NodeKind::Dir {
            return Err(EISDIR);
        }
        told(self.0.bytes(&at(path)))
    }

    fn mkdir(&mut self, path: &str) -> Result<(), i32> {
        told(self.0.mkdir(&at(path))).map(|_| ())
    }

    fn unlink(&mut self, path: &str) -> Result<(), i32> {
        told(self.0.unlink(&at(path)))
    }

    fn rmdir(&mut self, path: &str) -> Result<(), i32> {
        told(self.0.rmdir(&at(path)))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        // The kernel itself refuses these two, before any file system is asked.
        let kind = told(self.0.stat(&at(from)))?.kind;
        let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
        told(self.0.stat(&at(parent)))?;
        if kind == NodeKind::Dir && to.starts_with(&format!("{from}/")) {
            return Err(EINVAL);
        }
        if from.starts_with(&format!("{to}/")) {
            return Err(ENOTEMPTY);
        }
        told(self.0.rename(&at(from), &at(to)))
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>, i32> {
        let ino = told(self.0.ino(&at(path)))?;
        let handle = told(self.0.files.open_dir(&self.0.who, ino))?;
        self.0.files.release_dir(handle);
        Ok(self.0.list(&at(path)))
    }
}

/// A directory of the operating system: also a mount.
pub(crate) struct Disk(pub(crate) PathBuf);

fn number<T>(result: Result<T, Error>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(-1))
}

impl Face for Disk {
    fn write(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        number(fs::write(self.0.join(path), data))
    }

    fn append(&mut self, path: &str, data: &[u8]) -> Result<(), i32> {
        let mut options = fs::OpenOptions::new();
        let mut file = number(options.append(true).create(true).open(self.0.join(path)))?;
        number(file.write_all(data))
    }

    fn truncate(&mut self, path: &str, size: u64) -> Result<(), i32> {
        let file = number(fs::OpenOptions::new().write(true).open(self.0.join(path)))?;
        number(file.set_len(size))
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, i32> {
        number(fs::read(self.0.join(path)))
    }

    fn mkdir(&mut self, path: &str) -> Result<(), i32> {
        number(fs::create_dir(self.0.join(path)))
    }

    fn unlink(&mut self, path: &str) -> Result<(), i32> {
        number(fs::remove_file(self.0.join(path)))
    }

    fn rmdir(&mut self, path: &str) -> Result<(), i32> {
        number(fs::remove_dir(self.0.join(path)))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        number(fs::rename(self.0.join(from), self.0.join(to)))
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>, i32> {
        let mut names = Vec::new();
        for entry in number(fs::read_dir(self.0.join(path)))? {
            names.push(number(entry)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}
