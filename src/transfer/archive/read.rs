//! Reads an archive that anybody may have made: everything is checked before anything is used.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use zip::ZipArchive;

use super::{
    FORMAT, MANIFEST, MANIFEST_BYTES_MAX, MEMBERS_MAX, Manifest, Member, RATIO_FREE_BYTES,
    RATIO_MAX, VERSION, is_safe,
};

/// An archive whose names, sizes and manifest are sound.
pub struct Reader {
    zip: ZipArchive<BufReader<File>>,
    path: PathBuf,
    manifest: Manifest,
    /// Member name to its place in the manifest.
    places: HashMap<String, usize>,
}

impl Reader {
    /// Opens an archive and checks all that can be checked without reading the members: names that
    /// leave it, duplicates, overlaps, links, encryption, expansion ratio, completeness.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Invalid`] naming the member, [`Kind::TooLarge`],
    /// [`Kind::Version`] for a newer format.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| {
            let told = message!("archive.missing", path = path.display());
            Fault::new(Kind::NotFound, told).because(error)
        })?;
        let length = file.metadata().map_err(Fault::internal)?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| broken(path, error))?;
        check_entries(path, &mut zip, length)?;
        let manifest = read_manifest(path, &mut zip)?;
        let places = match_members(path, &zip, &manifest)?;
        Ok(Self { zip, path: path.to_owned(), manifest, places })
    }

    /// What the archive says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Members whose names begin with `prefix`, in the order of the archive.
    pub fn members<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Member> {
        self.manifest.members.iter().filter(move |member| member.name.starts_with(prefix))
    }

    /// Permission bits that a member was written with.
    pub fn mode(&mut self, name: &str) -> Option<u16> {
        let mode = self.zip.by_name(name).ok()?.unix_mode()?;
        u16::try_from(mode & 0o7777).ok()
    }

    /// Copies a member out and checks its size and hash.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none, [`Kind::Corrupt`] when it is not what the manifest says.
    pub fn copy(&mut self, name: &str, to: &mut dyn std::io::Write) -> Result<(), Fault> {
        let missing = || {
            let told = message!("archive.no_member", path = self.path.display(), member = name);
            Fault::new(Kind::NotFound, told)
        };
        let member = self.places.get(name).and_then(|&place| self.manifest.members.get(place));
        let member = member.ok_or_else(missing)?;
        let corrupt = |error: &dyn std::fmt::Display| {
            let told = message!("archive.corrupt", path = self.path.display(), member = name);
            Fault::new(Kind::Corrupt, told).because(error)
        };
        let content = self.zip.by_name(name).map_err(|error| corrupt(&error))?;
        // One byte more than promised is enough to know that the size is a lie.
        let mut content = content.take(member.size.saturating_add(1));
        let mut hash = blake3::Hasher::new();
        let mut size = 0;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = content.read(&mut buffer).map_err(|error| corrupt(&error))?;
            if count == 0 {
                break;
            }
            let (chunk, _) = buffer.split_at(count);
            hash.update(chunk);
            size += count as u64;
            to.write_all(chunk).map_err(|error| {
                Fault::new(Kind::Io, message!("archive.copy_failed", member = name)).because(error)
            })?;
        }
        if size != member.size {
            return Err(corrupt(&"another size"));
        }
        if hash.finalize().to_hex().as_str() != member.blake3 {
            return Err(corrupt(&"another hash"));
        }
        Ok(())
    }

    /// A small member as bytes.
    ///
    /// # Errors
    /// As [`Reader::copy`]; [`Kind::TooLarge`] over `limit` bytes.
    pub fn bytes(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let size = self.places.get(name).and_then(|&place| self.manifest.members.get(place));
        if size.is_some_and(|member| member.size > limit) {
            let told = message!("archive.member_too_large", member = name, limit = limit);
            return Err(Fault::new(Kind::TooLarge, told));
        }
        let mut bytes = Vec::new();
        self.copy(name, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads every member once.
    ///
    /// # Errors
    /// As [`Reader::copy`], for the first member that is not what the manifest says.
    pub fn verify(&mut self, mut progress: impl FnMut(usize)) -> Result<(), Fault> {
        let names: Vec<String> = self.manifest.members.iter().map(|m| m.name.clone()).collect();
        for (index, name) in names.iter().enumerate() {
            self.copy(name, &mut std::io::sink())?;
            progress(index + 1);
        }
        Ok(())
    }
}

fn broken(path: &Path, error: impl std::fmt::Display) -> Fault {
    Fault::new(Kind::Invalid, message!("archive.broken", path = path.display())).because(error)
}

fn check_entries(
    path: &Path,
    zip: &mut ZipArchive<BufReader<File>>,
    length: u64,
) -> Result<(), Fault> {
    let unsafe_member = |name: &str, why: &'static str| {
        let told = message!("archive.unsafe", path = path.display(), member = name);
        Fault::new(Kind::Invalid, told).because(why)
    };
    if zip.len() > MEMBERS_MAX {
        let told = message!("archive.too_many", path = path.display(), max = MEMBERS_MAX);
        return Err(Fault::new(Kind::TooLarge, told));
    }
    if zip.has_duplicate_names() {
        return Err(unsafe_member("?", "two members with one name"));
    }
    if zip.has_overlapping_entries().map_err(|error| broken(path, error))? {
        return Err(unsafe_member("?", "overlapping members"));
    }
    let mut expanded = 0u64;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|error| broken(path, error))?;
        let name = entry.name().map_err(|error| broken(path, error))?.into_owned();
        if !is_safe(&name) {
            return Err(unsafe_member(&name, "the name leaves the archive"));
        }
        if entry.is_symlink() || entry.encrypted() {
            return Err(unsafe_member(&name, "a link or encrypted"));
        }
        expanded = expanded.saturating_add(entry.size());
    }
    if expanded > RATIO_FREE_BYTES.saturating_add(length.saturating_mul(RATIO_MAX)) {
        let told = message!("archive.bomb", path = path.display(), ratio = RATIO_MAX);
        return Err(Fault::new(Kind::TooLarge, told));
    }
    Ok(())
}

fn read_manifest(path: &Path, zip: &mut ZipArchive<BufReader<File>>) -> Result<Manifest, Fault> {
    let incomplete =
        || Fault::new(Kind::Invalid, message!("archive.incomplete", path = path.display()));
    let entry = zip.by_name(MANIFEST).map_err(|_| incomplete())?;
    let mut text = Vec::new();
    let read = entry.take(MANIFEST_BYTES_MAX).read_to_end(&mut text);
    read.map_err(|error| broken(path, error))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| broken(path, error))?;
    if manifest.format != FORMAT {
        return Err(broken(path, "another format"));
    }
    if manifest.version > VERSION {
        let told = message!("archive.newer", path = path.display(), generator = manifest.generator);
        return Err(Fault::new(Kind::Version, told));
    }
    Ok(manifest)
}

/// Members of manifest and container are the same.
fn match_members(
    path: &Path,
    zip: &ZipArchive<BufReader<File>>,
    manifest: &Manifest,
) -> Result<HashMap<String, usize>, Fault> {
    let mut places = HashMap::with_capacity(manifest.members.len());
    for (place, member) in manifest.members.iter().enumerate() {
        if zip.index_for_name(&member.name).is_none()
            || places.insert(member.name.clone(), place).is_some()
        {
            return Err(broken(path, format!("member {:?}", member.name)));
        }
    }
    if places.len() + 1 != zip.len() {
        return Err(broken(path, "members that the manifest does not name"));
    }
    Ok(places)
}
