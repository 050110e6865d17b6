//! A log file that is renamed away each day or at a size, and whose old generations are deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use parking_lot::Mutex;

/// When a file is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// At the first line of a new day.
    Daily,
    /// Before the line that would exceed this many bytes.
    Size(u64),
}

/// A log file. Every write is one whole line (or entry) in one `write(2)`.
#[derive(Debug)]
pub struct RotatingFile {
    dir: PathBuf,
    name: String,
    rotation: Rotation,
    keep: Option<u32>,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    day: Date,
    bytes: u64,
}

impl RotatingFile {
    /// Opens (or makes) `dir/name`. `keep` is the number of rotated files; `None` keeps all.
    ///
    /// # Errors
    /// When directory or file cannot be made.
    pub fn open(dir: &Path, name: &str, rotation: Rotation, keep: Option<u32>) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let open = Mutex::new(Self::reopen(&dir.join(name))?);
        Ok(Self { dir: dir.to_owned(), name: name.to_owned(), rotation, keep, open })
    }

    fn reopen(path: &Path) -> io::Result<Open> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let meta = file.metadata()?;
        let written = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let day = written.unwrap_or_else(Timestamp::now).to_zoned(TimeZone::system()).date();
        Ok(Open { file, day, bytes: meta.len() })
    }

    /// Appends `line`, rotating first when it is time. A failure is told on standard error.
    pub fn write(&self, line: &str, today: Date) {
        let mut open = self.open.lock();
        if let Err(error) = self.append(&mut open, line, today) {
            let _ = writeln!(io::stderr(), "error: cannot write {}: {error}", self.name);
        }
    }

    fn append(&self, open: &mut Open, line: &str, today: Date) -> io::Result<()> {
        let due = match self.rotation {
            Rotation::Daily => open.bytes > 0 && open.day != today,
            Rotation::Size(most) => open.bytes > 0 && open.bytes + line.len() as u64 > most,
        };
        if due {
            self.rotate(open)?;
        }
        open.file.write_all(line.as_bytes())?;
        open.bytes += line.len() as u64;
        open.day = today;
        Ok(())
    }

    fn rotate(&self, open: &mut Open) -> io::Result<()> {
        let from = self.dir.join(&self.name);
        let stamp = match self.rotation {
            Rotation::Daily => open.day.to_string(),
            Rotation::Size(_) => jiff::Zoned::now().strftime("%Y-%m-%d_%H%M%S").to_string(),
        };
        let mut to = self.dir.join(format!("{}.{stamp}", self.name));
        for again in 1.. {
            if !to.exists() {
                break;
            }
            to = self.dir.join(format!("{}.{stamp}.{again}", self.name));
        }
        fs::rename(&from, to)?;
        *open = Self::reopen(&from)?;
        self.prune()
    }

    /// Deletes the oldest generations beyond `keep`.
    fn prune(&self) -> io::Result<()> {
        let Some(keep) = self.keep else { return Ok(()) };
        let prefix = format!("{}.2", self.name);
        let mut old: Vec<PathBuf> = fs::read_dir(&self.dir)?
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        old.sort();
        let surplus = old.len().saturating_sub(keep as usize);
        old.into_iter().take(surplus).try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    // rule: operations/logs
    #[test]
    fn a_new_day_takes_the_name_of_the_day_before_and_old_days_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = RotatingFile::open(dir.path(), "a.log", Rotation::Daily, Some(2)).unwrap();
        for day in 1..=5 {
            file.write("line\n", jiff::civil::date(2025, 3, day));
        }
        assert_eq!(names(dir.path()), ["a.log", "a.log.2025-03-03", "a.log.2025-03-04"]);
    }

    // rule: operations/logs
    #[test]
    fn a_size_rotates_before_the_line_that_exceeds_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = RotatingFile::open(dir.path(), "a.log", Rotation::Size(10), None).unwrap();
        for _ in 0..4 {
            file.write("12345\n", jiff::civil::date(2025, 3, 1));
        }
        assert_eq!(names(dir.path()).len(), 4);
        assert_eq!(fs::metadata(dir.path().join("a.log")).unwrap().len(), 6);
    }
}
