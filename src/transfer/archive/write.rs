//! Writes an archive: absent or complete, never half.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{FORMAT, MANIFEST, Manifest, Member, VERSION};
use crate::base::durable::sync_name;
use crate::fail_point;

const BUFFER_BYTES: usize = 128 << 10;

/// Writes beside the target and renames at the end, so that a reader never sees half an archive.
pub struct Writer {
    /// Taken when the archive is finished.
    zip: Option<ZipWriter<BufWriter<File>>>,
    target: PathBuf,
    partial: PathBuf,
    members: Vec<Member>,
}

impl Writer {
    /// Starts an archive that will be `target`, mode 0600.
    ///
    /// # Errors
    /// [`Kind::Exists`] when `target` is there, [`Kind::Io`] or [`Kind::Full`] when it cannot be written.
    pub fn create(target: &Path) -> Result<Self, Fault> {
        if target.exists() {
            let told = message!("archive.exists", path = target.display());
            return Err(Fault::new(Kind::Exists, told));
        }
        let mut partial = target.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|error| unwritable(target, &error))?;
        let zip = ZipWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { zip: Some(zip), target: target.to_owned(), partial, members: Vec::new() })
    }

    /// Adds a member from a reader.
    ///
    /// # Errors
    /// As [`Writer::create`]; what was written so far is removed when the writer is dropped.
    pub fn add(&mut self, name: &str, mode: u32, content: &mut dyn Read) -> Result<(), Fault> {
        let options = SimpleFileOptions::default().unix_permissions(mode).large_file(true);
        let zip = self.zip.as_mut().expect("taken by `finish` alone, which ends the writer");
        zip.start_file(name, options).map_err(|error| unwritable_zip(&self.target, error))?;
        let mut hash = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut size = 0;
        loop {
            let count =
                content.read(&mut buffer).map_err(|error| unwritable(&self.target, &error))?;
            if count == 0 {
                break;
            }
            let (chunk, _) = buffer.split_at(count);
            hash.update(chunk);
            zip.write_all(chunk).map_err(|error| unwritable(&self.target, &error))?;
            size += count as u64;
        }
        let blake3 = hash.finalize().to_hex().to_string();
        self.members.push(Member { name: name.to_owned(), size, blake3 });
        Ok(())
    }

    /// Adds a directory, so that an empty one is there after extraction.
    ///
    /// # Errors
    /// As [`Writer::add`].
    pub fn add_dir(&mut self, name: &str, mode: u32) -> Result<(), Fault> {
        let options = SimpleFileOptions::default().unix_permissions(mode);
        let name = format!("{}/", name.trim_end_matches('/'));
        let zip = self.zip.as_mut().expect("taken by `finish` alone, which ends the writer");
        zip.add_directory(name.as_str(), options)
            .map_err(|error| unwritable_zip(&self.target, error))?;
        let blake3 = blake3::hash(b"").to_hex().to_string();
        self.members.push(Member { name, size: 0, blake3 });
        Ok(())
    }

    /// Writes the manifest, makes the file durable and gives it its name.
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn finish(
        mut self,
        revision: u64,
        created: String,
        key_id: &str,
    ) -> Result<Manifest, Fault> {
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            version: VERSION,
            generator: format!("kompira-fs {}", env!("CARGO_PKG_VERSION")),
            created,
            revision,
            key_id: key_id.to_owned(),
            members: std::mem::take(&mut self.members),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(Fault::internal)?;
        self.add(MANIFEST, 0o600, &mut text.as_slice())?;
        fail_point!("backup.before_finish");
        self.complete()?;
        fail_point!("backup.after_rename");
        Ok(manifest)
    }

    fn complete(&mut self) -> Result<(), Fault> {
        let zip = self.zip.take().expect("taken here alone, and `finish` ends the writer");
        let buffered = zip.finish().map_err(|error| unwritable_zip(&self.target, error))?;
        let done = buffered
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all());
        done.map_err(|error| unwritable(&self.target, &error))?;
        fail_point!("backup.before_rename");
        fs::rename(&self.partial, &self.target)
            .and_then(|()| sync_name(&self.target))
            .map_err(|error| unwritable(&self.target, &error))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After the rename nothing is there any more: then this does nothing.
        let _ = fs::remove_file(&self.partial);
    }
}

fn unwritable_zip(path: &Path, error: zip::result::ZipError) -> Fault {
    match error {
        zip::result::ZipError::Io(error) => unwritable(path, &error),
        other => Fault::internal(other),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::Full,
        _ => Kind::Io,
    };
    Fault::new(kind, message!("archive.unwritable", path = path.display())).because(error)
}
