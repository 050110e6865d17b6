//! What POSIX promises of names, directories and open files, for objects and for scratch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use crate::support::{Options, Server};

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ENAMETOOLONG: i32 = 36;
const ENOTEMPTY: i32 = 39;

/// The error number of a call that must fail.
#[track_caller]
fn refused<T>(done: io::Result<T>, numbers: &[i32]) {
    let error = done.err().expect("it is refused");
    let number = error.raw_os_error().unwrap_or_default();
    assert!(numbers.contains(&number), "{error} is none of {numbers:?}");
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// The list, in a directory that is there and empty; `ending` is that of its files.
fn all(dir: &Path, ending: &str) {
    let at = |name: &str| dir.join(name);
    let file = |name: &str| dir.join(format!("{name}{ending}"));

    // Names that are not there, and paths through files.
    refused(fs::read(file("none")), &[ENOENT]);
    refused(fs::remove_file(file("none")), &[ENOENT]);
    refused(fs::rename(file("none"), file("other")), &[ENOENT]);
    fs::write(file("a"), "one").unwrap();
    refused(fs::read(file("a").join("below")), &[ENOTDIR]);
    refused(fs::create_dir(file("a").join("below")), &[ENOTDIR]);
    refused(fs::read(at(&"x".repeat(256))), &[ENAMETOOLONG]);

    // Creating.
    refused(File::create_new(file("a")), &[EEXIST]);
    fs::create_dir(at("d")).unwrap();
    refused(fs::create_dir(at("d")), &[EEXIST]);
    refused(File::create(at("d")), &[EISDIR]);
    assert!(fs::metadata(at("d")).unwrap().is_dir());

    // Removing.
    refused(fs::remove_dir(file("a")), &[ENOTDIR]);
    refused(fs::remove_file(at("d")), &[EISDIR]);
    let below = at("d").join(format!("b{ending}"));
    fs::write(&below, "below").unwrap();
    refused(fs::remove_dir(at("d")), &[ENOTEMPTY, EEXIST]);

    // Renaming: over a file, into itself, of a directory with what is in it.
    let number = fs::metadata(&below).unwrap().ino();
    fs::rename(at("d"), at("e")).unwrap();
    let below = at("e").join(format!("b{ending}"));
    assert_eq!(text(&below), "below");
    assert_eq!(fs::metadata(&below).unwrap().ino(), number, "the same file");
    refused(fs::rename(at("e"), at("e").join("f")), &[EINVAL]);
    refused(fs::rename(at("e"), file("a")), &[ENOTDIR, EEXIST]);
    refused(fs::rename(file("a"), at("e")), &[EISDIR]);
    fs::write(file("c"), "three").unwrap();
    fs::rename(file("c"), file("a")).unwrap();
    assert_eq!(text(&file("a")), "three");
    refused(fs::read(file("c")), &[ENOENT]);
    fs::rename(file("a"), file("a")).unwrap();

    // Appending, cutting, holes.
    let mut append = OpenOptions::new().append(true).open(file("a")).unwrap();
    append.write_all(b" four").unwrap();
    drop(append);
    assert_eq!(text(&file("a")), "three four");
    let open = OpenOptions::new().write(true).open(file("a")).unwrap();
    open.set_len(5).unwrap();
    drop(open);
    assert_eq!((text(&file("a")).as_str(), fs::metadata(file("a")).unwrap().len()), ("three", 5));
    let mut both = OpenOptions::new().read(true).write(true).open(file("a")).unwrap();
    both.seek(SeekFrom::Start(2)).unwrap();
    both.write_all(b"REE").unwrap();
    both.seek(SeekFrom::Start(0)).unwrap();
    let mut read = String::new();
    both.read_to_string(&mut read).unwrap();
    assert_eq!(read, "thREE", "what was written is read before it is closed");
    drop(both);

    // An open file that is removed stays readable, and its name is free.
    let mut open = File::open(file("a")).unwrap();
    fs::remove_file(file("a")).unwrap();
    let mut read = String::new();
    open.read_to_string(&mut read).unwrap();
    assert_eq!(read, "thREE");
    refused(fs::metadata(file("a")), &[ENOENT]);
    drop(open);
    refused(fs::metadata(file("a")), &[ENOENT]);

    // The execute bit, and the times of files and directories.
    let mut script = OpenOptions::new();
    let made = script.write(true).create_new(true).mode(0o755).open(file("s")).unwrap();
    (&made).write_all(b"#!/bin/sh\necho\n").unwrap();
    drop(made);
    assert_ne!(fs::metadata(file("s")).unwrap().permissions().mode() & 0o100, 0);
    let before = fs::metadata(dir).unwrap().modified().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    fs::remove_file(file("s")).unwrap();
    assert!(fs::metadata(dir).unwrap().modified().unwrap() > before, "the directory changed");

    // And away with all.
    fs::remove_file(&below).unwrap();
    fs::remove_dir(at("e")).unwrap();
    let left: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

// rule: files/plain
#[test]
fn objects_keep_what_posix_promises() {
    if !Path::new("/dev/fuse").exists() {
        return println!("skipped: there is no /dev/fuse");
    }
    let server = Server::with(&Options { mount: true, ..Options::default() });
    let dir = server.mount().join("root/posix");
    fs::create_dir(&dir).unwrap();
    all(&dir, ".txt");
}

// rule: files/scratch
#[test]
fn scratch_keeps_what_posix_promises() {
    if !Path::new("/dev/fuse").exists() {
        return println!("skipped: there is no /dev/fuse");
    }
    let server = Server::with(&Options { mount: true, ..Options::default() });
    let dir = server.mount().join("root/.scratch.d");
    fs::create_dir(&dir).unwrap();
    all(&dir, ".txt");
}
