//! The unsaved content of an open file: in memory, past a bound in an unlinked temporary file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one open file that are held in memory. Reason: a thousand open files must fit.
pub(super) const MEMORY_MAX: usize = 1 << 20;

/// Bytes that can be read and written at any place.
#[derive(Debug)]
pub(super) enum Buffer {
    Memory(Vec<u8>),
    Spilled { file: File, len: u64 },
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Buffer {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spilled { len, .. } => *len,
        }
    }

    pub(super) fn read(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(bytes) => Ok(slice(bytes, offset, size).to_vec()),
            Self::Spilled { file, len } => {
                let left = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
                let mut out = vec![0; left.min(size)];
                file.read_exact_at(&mut out, offset)?;
                Ok(out)
            }
        }
    }

    /// All of it; the caller has looked at [`Buffer::len`].
    pub(super) fn whole(&self) -> io::Result<Vec<u8>> {
        self.read(0, usize::try_from(self.len()).unwrap_or(usize::MAX))
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8], spill: &Path) -> io::Result<()> {
        let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.make_room(end, spill)?;
        match self {
            Self::Memory(bytes) => {
                let (from, to) = (index(offset), index(end));
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(data);
            }
            Self::Spilled { file, len } => {
                file.write_all_at(data, offset)?;
                *len = (*len).max(end);
            }
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, size: u64, spill: &Path) -> io::Result<()> {
        if size == 0 {
            *self = Self::default();
            return Ok(());
        }
        self.make_room(size, spill)?;
        match self {
            Self::Memory(bytes) => bytes.resize(index(size), 0),
            Self::Spilled { file, len } => {
                file.set_len(size)?;
                *len = size;
            }
        }
        Ok(())
    }

    /// A reader of the whole.
    pub(super) fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::Spilled { file, .. } => {
                file.seek(SeekFrom::Start(0))?;
                Ok(Box::new(file))
            }
        }
    }

    fn make_room(&mut self, end: u64, spill: &Path) -> io::Result<()> {
        let Self::Memory(bytes) = self else { return Ok(()) };
        if end <= MEMORY_MAX as u64 {
            return Ok(());
        }
        let file = temporary(spill)?;
        file.write_all_at(bytes, 0)?;
        *self = Self::Spilled { len: bytes.len() as u64, file };
        Ok(())
    }
}

/// In memory the end was checked against [`MEMORY_MAX`], so it fits.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(MEMORY_MAX)
}

/// The part of `bytes` that a read of `size` at `offset` gives.
pub(super) fn slice(bytes: &[u8], offset: u64, size: usize) -> &[u8] {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[from..from.saturating_add(size).min(bytes.len())]
}

/// A file without a name in `dir`.
fn temporary(dir: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(dir)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("open-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_a_file_on_both_sides_of_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        for start in [0, MEMORY_MAX as u64 - 2, MEMORY_MAX as u64 + 5] {
            let mut buffer = Buffer::default();
            buffer.write(start, b"abcd", dir.path()).unwrap();
            assert_eq!(buffer.len(), start + 4);
            assert_eq!(buffer.read(start + 1, 9).unwrap(), b"bcd");
            assert_eq!(buffer.read(start + 9, 9).unwrap(), b"");
            assert!(buffer.read(0, 1).unwrap()[..].iter().all(|b| *b == 0 || start == 0));
            buffer.truncate(start + 2, dir.path()).unwrap();
            buffer.truncate(start + 3, dir.path()).unwrap();
            assert_eq!(buffer.read(start, 9).unwrap(), b"ab\0");
            let mut all = Vec::new();
            buffer.reader().unwrap().read_to_end(&mut all).unwrap();
            assert_eq!(all, buffer.whole().unwrap());
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file is left");
        }
    }
}
