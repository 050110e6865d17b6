//! Brings committed entries to the audit file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use parking_lot::Mutex;

/// Where lines of the audit log go.
pub trait Sink: Send + Sync {
    /// Appends lines; `durable`: they are on disk when this returns.
    ///
    /// # Errors
    /// The failure; nothing is lost, the entries stay in the store.
    fn append(&self, lines: &[String], durable: bool) -> std::io::Result<()>;
}

/// The audit file: mode 0640, opened anew after a rotation.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    open: Mutex<Option<File>>,
}

impl FileSink {
    /// Appends to `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    fn same(&self, file: &File) -> bool {
        let (Ok(there), Ok(here)) = (std::fs::metadata(&self.path), file.metadata()) else {
            return false;
        };
        (there.dev(), there.ino()) == (here.dev(), here.ino())
    }
}

impl Sink for FileSink {
    fn append(&self, lines: &[String], durable: bool) -> std::io::Result<()> {
        let mut open = self.open.lock();
        if open.as_ref().is_none_or(|file| !self.same(file)) {
            let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
            *open = Some(file);
        }
        let Some(file) = open.as_mut() else { return Ok(()) };
        for line in lines {
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        if durable { file.sync_data() } else { Ok(()) }
    }
}

impl Sink for Mutex<Vec<String>> {
    fn append(&self, lines: &[String], _durable: bool) -> std::io::Result<()> {
        self.lock().extend_from_slice(lines);
        Ok(())
    }
}
