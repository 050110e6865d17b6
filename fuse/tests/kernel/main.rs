//! The adaptor before a real kernel, over a tree in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod memory;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kompira_fuse::{Mounted, Options, mount, release_stale};
use kompira_schema::error::Kind;
use kompira_schema::id::UserId;
use kompira_schema::tree::{Caller, Interface};
use memory::Memory;

struct Fixture {
    tree: Arc<Memory>,
    dir: PathBuf,
    mounted: Option<Mounted>,
    _temp: tempfile::TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(mounted) = self.mounted.take() {
            mounted.unmount().unwrap();
        }
    }
}

fn options(known: bool) -> Options {
    let caller = Caller {
        user: UserId(1),
        interface: Interface::Fs,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    };
    Options::new("memory", Arc::new(move |_| known.then(|| caller.clone())), 7, 8)
}

/// `None` on a machine without FUSE: said on standard error, since nothing was shown then.
fn fixture() -> Option<Fixture> {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("no /dev/fuse: the adaptor was not tested");
        return None;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("mount");
    let tree = Arc::new(Memory::new());
    let mounted = Some(mount(Arc::clone(&tree) as _, &dir, &options(true)).unwrap());
    Some(Fixture { tree, dir, mounted, _temp: temp })
}

#[test]
fn files_are_written_read_appended_and_truncated() {
    let Some(fixture) = fixture() else { return };
    let path = fixture.dir.join("メモ");
    fs::write(&path, "one").unwrap();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b" two").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one two");
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(4)).unwrap();
    file.write_all(b"six").unwrap();
    file.set_len(6).unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one si");
    fs::write(&path, "").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    let large: Vec<u8> = (0..3_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
    fs::write(&path, &large).unwrap();
    assert_eq!(fs::read(&path).unwrap(), large);
}

#[test]
fn directories_are_made_listed_and_removed() {
    let Some(fixture) = fixture() else { return };
    let dir = fixture.dir.join("d");
    fs::create_dir(&dir).unwrap();
    for index in 0..3000 {
        fs::write(dir.join(format!("f{index}")), "x").unwrap();
    }
    let listed: Vec<_> = fs::read_dir(&dir).unwrap().map(|e| e.unwrap()).collect();
    assert_eq!(listed.len(), 3000);
    assert!(listed.iter().all(|entry| entry.metadata().unwrap().len() == 1));
    let refused = fs::remove_dir(&dir).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(&dir).unwrap();
    assert!(!dir.exists());
}

#[test]
fn renames_replace_refuse_and_exchange() {
    let Some(fixture) = fixture() else { return };
    let (a, b) = (fixture.dir.join("a"), fixture.dir.join("b"));
    fs::write(&a, "a").unwrap();
    fs::write(&b, "b").unwrap();
    let exchange =
        |flags| nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &a, nix::fcntl::AT_FDCWD, &b, flags);
    let refused = exchange(nix::fcntl::RenameFlags::RENAME_NOREPLACE);
    assert_eq!(refused, Err(nix::errno::Errno::EEXIST));
    exchange(nix::fcntl::RenameFlags::RENAME_EXCHANGE).unwrap();
    assert_eq!(fs::read_to_string(&a).unwrap(), "b");
    fs::rename(&a, &b).unwrap();
    assert_eq!(fs::read_to_string(&b).unwrap(), "b");
    assert!(!a.exists());
}

#[test]
fn a_refused_save_is_told_at_close() {
    let Some(fixture) = fixture() else { return };
    let mut file = fs::File::create(fixture.dir.join("x")).unwrap();
    file.write_all(b"refuse me").unwrap();
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(nix::libc::EINVAL));
}

#[test]
fn attributes_are_those_of_the_tree_and_the_mount() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(fixture) = fixture() else { return };
    let path = fixture.dir.join("x");
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o750).open(&path).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (7, 8, 0o750));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    symlink("../target", fixture.dir.join("link")).unwrap();
    assert_eq!(fs::read_link(fixture.dir.join("link")).unwrap(), Path::new("../target"));
    assert_eq!(fs::hard_link(&path, fixture.dir.join("hard")).unwrap_err().raw_os_error(), Some(1));
    let long = fixture.dir.join("x".repeat(256));
    assert_eq!(fs::metadata(long).unwrap_err().raw_os_error(), Some(nix::libc::ENAMETOOLONG));
}

#[test]
fn a_change_by_another_door_is_seen_at_once() {
    let Some(fixture) = fixture() else { return };
    let path = fixture.dir.join("x");
    fs::write(&path, "old").unwrap();
    let mut open = fs::File::open(&path).unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    fixture.tree.change("x", b"longer than before");
    let start = Instant::now();
    while fs::read_to_string(&path).unwrap() != "longer than before" {
        assert!(start.elapsed() < Duration::from_millis(500), "the kernel was not told");
        std::thread::sleep(Duration::from_millis(5));
    }
    fixture.tree.remove("x");
    while path.exists() {
        assert!(start.elapsed() < Duration::from_millis(1000), "the kernel was not told");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_open_is_released() {
    let Some(fixture) = fixture() else { return };
    fs::write(fixture.dir.join("x"), "x").unwrap();
    assert_eq!(fs::read_dir(&fixture.dir).unwrap().count(), 1);
    let start = Instant::now();
    while fixture.tree.open_handles() != 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "a handle leaked");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_user_the_mount_does_not_know_may_do_nothing() {
    if fixture().is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("mount");
    let mounted = mount(Arc::new(Memory::new()), &dir, &options(false)).unwrap();
    assert_eq!(fs::write(dir.join("x"), "").unwrap_err().kind(), ErrorKind::PermissionDenied);
    mounted.unmount().unwrap();
}

#[test]
fn a_directory_with_files_is_not_hidden_under_a_mount() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("mine"), "").unwrap();
    let refused = mount(Arc::new(Memory::new()), temp.path(), &options(true)).map(|_| ());
    assert_eq!(refused.unwrap_err().kind(), Kind::NotEmpty);
}

#[test]
fn an_ordinary_directory_is_no_stale_mount() {
    let temp = tempfile::tempdir().unwrap();
    release_stale(temp.path()).unwrap();
    release_stale(&temp.path().join("missing")).unwrap();
    assert!(temp.path().exists());
}
