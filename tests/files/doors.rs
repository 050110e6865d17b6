//! One object, two doors: conflicts are told, changes are seen.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use kompira::store::Durability;
use kompira::tree::{Content, Patch};
use kompira_schema::id::ObjectId;
use kompira_schema::tree::{Change, FileTree, Interface};

use super::driver::{APPEND, Mount, READ, WRITE, errno, root};

/// Another door saves.
fn save(mount: &Mount, path: &str, text: &str) {
    let id = ObjectId(mount.id(path));
    let content = Content::Inline(text.to_owned().into());
    mount
        .tree
        .write(&root(Interface::Api), Durability::Synced, |txn| {
            txn.update(id, None, Patch { content: Some(content.clone()), ..Patch::default() })
        })
        .unwrap();
}

// rule: files/conflicts
#[test]
fn a_save_over_a_foreign_save_is_refused_and_kept() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "one").unwrap();
    let handle = mount.open("/d/x.txt", WRITE).unwrap();
    save(&mount, "/d/x", "theirs");
    mount.put(handle, 0, b"mine!!").unwrap();
    assert_eq!(errno(mount.close(handle)), 116);
    assert_eq!(mount.read("/d/x.txt").unwrap(), "theirs");
    assert!(mount.read("/d/.x.rejected").unwrap().ends_with("mine!!"));
}

// rule: files/conflicts
#[test]
fn a_change_that_is_not_the_content_is_no_conflict() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "one").unwrap();
    let handle = mount.open("/d/x.txt", WRITE).unwrap();
    mount.chmod("/d/x.txt", 0o600).unwrap();
    mount.write("/d/.x", "type_object: /system/types/Text\ndescription: d\nfields: {}\n").unwrap();
    mount.put(handle, 0, b"two").unwrap();
    mount.close(handle).unwrap();
    assert_eq!(mount.read("/d/x.txt").unwrap(), "two");
}

// rule: files/conflicts
#[test]
fn an_append_goes_to_the_end_of_what_others_saved() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "one\n").unwrap();
    let handle = mount.open("/d/x.txt", APPEND).unwrap();
    save(&mount, "/d/x", "one\ntheirs\n");
    mount.put(handle, 0, b"mine\n").unwrap();
    save(&mount, "/d/x", "one\ntheirs\nagain\n");
    mount.close(handle).unwrap();
    assert_eq!(mount.read("/d/x.txt").unwrap(), "one\ntheirs\nagain\nmine\n");
}

// rule: files/conflicts
#[test]
fn the_text_for_a_file_that_another_door_deleted_is_kept() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "one").unwrap();
    let handle = mount.open("/d/x.txt", WRITE).unwrap();
    let id = ObjectId(mount.id("/d/x"));
    let other = root(Interface::Api);
    mount.tree.write(&other, Durability::Synced, |txn| txn.delete(id)).unwrap();
    mount.put(handle, 0, b"mine").unwrap();
    assert_eq!(errno(mount.close(handle)), 2);
    assert!(mount.read("/d/.x.rejected").unwrap().ends_with("mine"));
}

// rule: files/conflicts
#[test]
fn two_writers_of_one_mount_share_the_file() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "....").unwrap();
    let a = mount.open("/d/x.txt", WRITE).unwrap();
    let b = mount.open("/d/x.txt", WRITE).unwrap();
    mount.put(a, 0, b"a").unwrap();
    mount.put(b, 3, b"b").unwrap();
    mount.close(a).unwrap();
    mount.close(b).unwrap();
    assert_eq!(mount.read("/d/x.txt").unwrap(), "a..b");
}

// rule: files/reading
#[test]
fn a_reader_never_sees_a_mixture() {
    let mount = Mount::new();
    mount.write("/d/x.txt", &"a".repeat(10_000)).unwrap();
    let handle = mount.open("/d/x.txt", READ).unwrap();
    let first = mount.files.read(&mount.who, handle, 0, 4096).unwrap();
    save(&mount, "/d/x", &"b".repeat(12_000));
    let second = mount.files.read(&mount.who, handle, 4096, 100_000).unwrap();
    assert!(first.iter().chain(&second).all(|byte| *byte == b'a'));
    assert_eq!(first.len() + second.len(), 10_000);
    assert_eq!(mount.files.read(&mount.who, handle, 10_000, 9_999).unwrap(), vec![b'b'; 2_000]);
    assert_eq!(mount.files.read(&mount.who, handle, 0, 1).unwrap(), b"b");
    mount.close(handle).unwrap();
}

// rule: files/changes
#[test]
fn what_another_door_changes_is_told_and_what_this_one_did_is_not() {
    let mount = Mount::new();
    let (sender, receiver) = channel();
    mount.files.watch(Box::new(move |changes| sender.send(changes.clone()).is_ok()));
    mount.write("/d/x.txt", "own").unwrap();
    mount.mkdir("/d/sub").unwrap();
    mount.unlink("/d/x.txt").unwrap();
    mount.write("/d/y.txt", "own").unwrap();
    let start = Instant::now();
    save(&mount, "/d/y", "theirs");
    let changes = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(start.elapsed() < Duration::from_millis(500));
    let ino = mount.ino("/d/y.txt").unwrap();
    assert!(changes.changes.contains(&Change::Content(ino)), "{changes:?}");
    // A rename over another file: the kernel has to look again.
    mount.write("/d/y.tmp", "new").unwrap();
    mount.rename("/d/y.tmp", "/d/y.txt").unwrap();
    let changes = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    let dir = mount.ino("/d").unwrap();
    assert!(
        changes.changes.contains(&Change::Name { dir, name: "y.txt".to_owned() }),
        "{changes:?}"
    );
}
