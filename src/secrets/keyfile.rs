//! The key file: first line = key text, mode 0600.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::message;
use zeroize::Zeroizing;

use crate::base::durable::sync_name;

/// Fewest characters of a key text.
const KEY_CHARS_MIN: usize = 8;
/// Most bytes of a key file: anything longer is some other file.
const KEY_FILE_BYTES_MAX: u64 = 4096;
/// Characters of a generated key: 40 of 62 give 238 bits.
const GENERATED_CHARS: usize = 40;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Fault::new(Kind::NotFound, message!("secrets.key_missing", path = shown))
        }
        _ => Fault::new(Kind::Io, message!("secrets.key_unreadable", path = shown)).because(error),
    })?;
    if meta.mode() & 0o077 != 0 {
        return Err(Fault::new(Kind::Protected, message!("secrets.key_mode", path = shown)));
    }
    if meta.len() > KEY_FILE_BYTES_MAX {
        return Err(Fault::new(
            Kind::Invalid,
            message!("secrets.key_too_short", min = KEY_CHARS_MIN),
        ));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| {
        Fault::new(Kind::Io, message!("secrets.key_unreadable", path = shown)).because(error)
    })?);
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    check(&line)?;
    Ok(line)
}

pub(super) fn check(text: &str) -> Result<(), Fault> {
    if text.chars().count() < KEY_CHARS_MIN || text.contains(['\n', '\r', '\0']) {
        let told = message!("secrets.key_too_short", min = KEY_CHARS_MIN);
        return Err(Fault::new(Kind::Invalid, told));
    }
    Ok(())
}

pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Fault> {
    let shown = path.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            writeln!(file, "{text}")?;
            file.sync_all()
        })
        .and_then(|()| sync_name(path));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Fault::new(Kind::Exists, message!("secrets.key_exists", path = shown))
        }
        _ => Fault::new(Kind::Io, message!("secrets.key_unwritable", path = shown)).because(error),
    })
}

pub(super) fn generate() -> Result<Zeroizing<String>, Fault> {
    super::token::random_text(ALPHABET, GENERATED_CHARS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_0600_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".secret_key");
        assert_eq!(read(&path).unwrap_err().kind(), Kind::NotFound);
        write_new(&path, "correct-horse-8").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(**read(&path).unwrap(), *"correct-horse-8");
        assert_eq!(write_new(&path, "x").unwrap_err().kind(), Kind::Exists);
    }

    #[test]
    fn a_key_file_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".secret_key");
        write_new(&path, "correct-horse-8").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), Kind::Protected);
    }

    #[test]
    fn a_key_has_at_least_eight_characters() {
        assert!(check("1234567").is_err());
        assert!(check("12345678").is_ok());
        assert!(check("1234\n5678").is_err());
        assert_eq!(generate().unwrap().len(), GENERATED_CHARS);
    }
}
