//! Reads a directory of this machine as an export tree (rule: `files/import-dir`).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::layout::names::{self, FileName, Stem};
use kompira_schema::layout::record;
use kompira_schema::limits;
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::record::Record;

use crate::transfer::git::spelled;

/// Directories below one another: a path of 1,024 characters has no more.
const DEPTH_MAX: usize = 512;
/// The advisory file that `export_dir --manifest` writes.
const EXPORT_MANIFEST: &str = ".kompira-export.yaml";

/// One object as its files.
#[derive(Debug)]
pub(super) struct Found {
    /// Names below the source directory.
    pub(super) path: Vec<Name>,
    /// The same as the file system spells it: stems joined by `/`.
    pub(super) place: String,
    /// The object's directory.
    pub(super) dir: bool,
    /// The object's file.
    pub(super) file: Option<PathBuf>,
    /// What followed the dot of the file's name.
    pub(super) suffix: Option<String>,
    /// Its record, with what is odd about it.
    pub(super) record: Option<Record>,
    /// The directory that its attachments' paths are relative to.
    pub(super) base: PathBuf,
    /// Bits of the file's mode.
    pub(super) mode: Option<u16>,
}

/// What a scan tells besides objects.
#[derive(Debug)]
pub(super) enum Note {
    /// Counts as a warning.
    Warning(Fault),
    /// An object that cannot be read: counts as an error.
    Error(Fault),
}

/// Objects in path order, containers before what is in them.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) found: Vec<Found>,
    pub(super) notes: Vec<Note>,
}

/// Reads one source.
///
/// # Errors
/// [`Kind::NotFound`] when it is no readable directory, [`Kind::TooLarge`] over the entry limit.
pub(super) fn scan(source: &Path) -> Result<Scan, Fault> {
    let mut scan = Scan::default();
    let mut count = 0;
    // Depth first with an explicit stack: a hostile tree must not end ours.
    let mut stack = vec![(source.to_owned(), Vec::new(), String::new())];
    while let Some((dir, path, place)) = stack.pop() {
        let groups = match read_dir(&dir, &mut scan, path.is_empty(), &mut count) {
            Ok(groups) => groups,
            Err(error) if path.is_empty() => {
                let told = message!("import.no_source", path = dir.display());
                return Err(Fault::new(Kind::NotFound, told).because(error));
            }
            Err(error) => {
                scan.notes.push(Note::Error(unreadable(&dir, &error)));
                continue;
            }
        };
        if count > limits::ARCHIVE_ENTRIES_MAX {
            let told = message!("import.too_many", max = limits::ARCHIVE_ENTRIES_MAX);
            return Err(Fault::new(Kind::TooLarge, told));
        }
        let mut below = Vec::new();
        for (_, group) in groups {
            let sub = group.dir.clone();
            match group.object(&dir, (&path, &place), &mut scan.notes) {
                Ok(found) => {
                    if let Some(sub) = sub {
                        below.push((sub, found.path.clone(), found.place.clone()));
                    }
                    scan.found.push(found);
                }
                Err(fault) => scan.notes.push(Note::Error(fault)),
            }
        }
        if path.len() < DEPTH_MAX {
            stack.extend(below.into_iter().rev());
        }
    }
    Ok(scan)
}

/// The files of one stem.
#[derive(Default)]
struct Group {
    stem: Option<Stem>,
    dir: Option<PathBuf>,
    file: Option<PathBuf>,
    suffix: Option<String>,
    sidecar: Option<PathBuf>,
    /// A second file or suffix for the stem.
    clash: Option<PathBuf>,
}

fn read_dir(
    dir: &Path,
    scan: &mut Scan,
    top: bool,
    count: &mut u64,
) -> io::Result<BTreeMap<String, Group>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        *count += 1;
        let place = entry.path();
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            scan.notes.push(ignored(&place));
            continue;
        };
        if name == EXPORT_MANIFEST {
            continue;
        }
        let (stem, part) = match names::classify(name) {
            FileName::Object { stem, suffix } => (stem, Part::Object(suffix)),
            FileName::Sidecar(stem) => (stem, Part::Sidecar),
            // Read through the paths that records name.
            FileName::Companion(_) => continue,
            FileName::Scratch if names::is_reserved(name) => {
                tracing::debug!(path = %place.display(), "reserved name ignored");
                continue;
            }
            FileName::Scratch | FileName::Illegal => {
                scan.notes.push(ignored(&place));
                continue;
            }
        };
        // The control directory of a mount that somebody imports from.
        if top && name == names::CONTROL {
            continue;
        }
        if kind.is_symlink() || !(kind.is_dir() || kind.is_file()) {
            scan.notes.push(ignored(&place));
            continue;
        }
        let group = groups.entry(spelled(&stem)).or_default();
        group.stem.get_or_insert(stem);
        match part {
            Part::Sidecar => group.sidecar = Some(place),
            Part::Object(_) if group.dir.is_some() || group.file.is_some() => {
                group.clash = Some(place);
            }
            Part::Object(suffix) => {
                group.suffix = suffix;
                if kind.is_dir() { group.dir = Some(place) } else { group.file = Some(place) }
            }
        }
    }
    Ok(groups)
}

enum Part {
    Object(Option<String>),
    Sidecar,
}

impl Group {
    fn object(
        self,
        base: &Path,
        (path, place): (&[Name], &str),
        notes: &mut Vec<Note>,
    ) -> Result<Found, Fault> {
        let shown = || base.join(self.stem.as_ref().map(spelled).unwrap_or_default());
        if let Some(clash) = &self.clash {
            let told = message!("import.two_files", path = clash.display());
            return Err(Fault::new(Kind::Exists, told));
        }
        let record = match &self.sidecar {
            None => None,
            Some(sidecar) => {
                let (record, odd) = read_record(sidecar)?;
                notes.extend(odd.into_iter().map(|problem| {
                    let told = message!("import.odd_record", path = sidecar.display());
                    Note::Warning(Fault::new(Kind::Invalid, told).with_problems(vec![problem]))
                }));
                Some(record)
            }
        };
        let name = match (&self.stem, record.as_ref().and_then(|record| record.name.as_deref())) {
            (_, Some(name)) => Name::new(name)?,
            (Some(Stem::Name(name)), None) => name.clone(),
            _ => {
                let told = message!("import.short_stem", path = shown().display());
                return Err(Fault::new(Kind::BadName, told));
            }
        };
        let mode = self.file.as_deref().and_then(mode_of);
        let mut path = path.to_vec();
        path.push(name);
        let stem = self.stem.as_ref().map(spelled).unwrap_or_default();
        let place = if place.is_empty() { stem } else { format!("{place}/{stem}") };
        Ok(Found {
            path,
            place,
            dir: self.dir.is_some(),
            file: self.file,
            suffix: self.suffix,
            record,
            base: base.to_owned(),
            mode,
        })
    }
}

/// Only the execute bit is taken over: the others follow from permissions.
fn mode_of(file: &Path) -> Option<u16> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o100 != 0).then_some(0o755)
}

pub(super) fn read_record(
    path: &Path,
) -> Result<(Record, Vec<kompira_schema::error::Problem>), Fault> {
    let text = read_text(path, limits::RECORD_MAX as u64)?;
    record::from_yaml(&text).map_err(|fault| {
        let told = message!("import.bad_record", path = path.display());
        let inner = fault.text(kompira_schema::catalogue::Lang::En);
        Fault::new(fault.kind(), told).with_problems(fault.problems().to_vec()).because(inner)
    })
}

/// Reads a text file of bounded size.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, Fault> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > limit {
        let told = message!("import.too_large", path = path.display(), limit = limit);
        return Err(Fault::new(Kind::TooLarge, told));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| {
        let told = message!("import.no_text", path = path.display());
        Fault::new(Kind::Invalid, told).because(error.utf8_error())
    })
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let told = message!("import.unreadable", path = path.display(), reason = error);
    Fault::new(Kind::Io, told).because(error)
}

fn ignored(path: &Path) -> Note {
    let told = message!("import.ignored", path = path.display());
    Note::Warning(Fault::new(Kind::BadName, told))
}
