//! Every editor's way to save (RELIABILITY M1): the content is right; id, owner, type and record
//! stay.

use kompira_schema::tree::{FileTree, RenameMode};

use super::driver::{APPEND, EXCLUSIVE, Mount, READ, TRUNCATE, WRITE, errno};

/// A jobflow with a record of its own, and what must survive a save.
struct Kept {
    mount: Mount,
    id: u64,
    record: String,
}

const OLD: &str = "print('old')\n";
const NEW: &str = "print('new and longer')\n";
const RECORD: &str =
    "type_object: /system/types/Jobflow\ndescription: mine\nfields:\n  multiplicity: 3\n";

impl Kept {
    fn new() -> Self {
        let mount = Mount::new();
        mount.write("/d/note", OLD).unwrap();
        mount.write("/d/.note", RECORD).unwrap();
        assert_eq!(mount.type_of("/d/note"), "Jobflow", "a record retypes a bare object");
        let record = mount.read("/d/.note").unwrap();
        assert!(record.contains("description: mine"), "{record}");
        let id = mount.id("/d/note");
        Self { mount, id, record }
    }

    fn check(&self, files: &[&str]) {
        assert_eq!(self.mount.read("/d/note").unwrap(), NEW);
        assert_eq!(self.mount.id("/d/note"), self.id, "the same object");
        assert_eq!(self.mount.type_of("/d/note"), "Jobflow");
        assert_eq!(self.mount.read("/d/.note").unwrap(), self.record, "with its record");
        assert_eq!(self.mount.list("/d"), files);
    }
}

// rule: files/saving
#[test]
fn truncate_and_write() {
    let kept = Kept::new();
    kept.mount.write("/d/note", NEW).unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn write_a_temporary_and_rename_it_over() {
    let kept = Kept::new();
    kept.mount.fill("/d/.note.Xa81bC", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.mount.rename("/d/.note.Xa81bC", "/d/note").unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn sed_in_place_writes_an_object_first() {
    let kept = Kept::new();
    let (old, handle) = kept.mount.create("/d/sedAb12Cd", EXCLUSIVE).unwrap();
    kept.mount.put(handle, 0, NEW.as_bytes()).unwrap();
    kept.mount.close(handle).unwrap();
    assert_eq!(kept.mount.type_of("/d/sedAb12Cd"), "Text");
    kept.mount.rename("/d/sedAb12Cd", "/d/note").unwrap();
    kept.check(&[".note", "note"]);
    // The kernel calls the file by the number of the temporary one until it is told.
    let attr = kept.mount.files.attr(&kept.mount.who, old, None).unwrap();
    assert_eq!(attr.ino, kept.mount.ino("/d/note").unwrap());
}

// rule: files/saving
#[test]
fn an_open_file_whose_name_is_gone_is_read_to_its_end() {
    let mount = &Kept::new().mount;
    mount.write("/d/gone", "three").unwrap();
    let ino = mount.ino("/d/gone").unwrap();
    let open = mount.open("/d/gone", READ).unwrap();
    mount.unlink("/d/gone").unwrap();
    // The kernel asks by the handle or without it.
    for handle in [Some(open), None] {
        let attr = mount.files.attr(&mount.who, ino, handle).unwrap();
        assert_eq!((attr.size, attr.nlink), (5, 0));
    }
    assert_eq!(mount.files.read(&mount.who, open, 0, 100).unwrap(), b"three");
    mount.close(open).unwrap();
    assert!(mount.files.attr(&mount.who, ino, None).is_err());
}

// rule: files/saving
#[test]
fn sed_in_place_of_a_record() {
    let kept = Kept::new();
    let changed = kept.record.replace("multiplicity: 3", "multiplicity: 4");
    kept.mount.fill("/d/sedAb12Cd", EXCLUSIVE, changed.as_bytes()).unwrap();
    kept.mount.rename("/d/sedAb12Cd", "/d/.note").unwrap();
    assert_eq!(kept.mount.read("/d/.note").unwrap(), changed);
    assert_eq!(kept.mount.read("/d/note").unwrap(), OLD);
    assert_eq!(kept.mount.id("/d/note"), kept.id);
    assert_eq!(kept.mount.list("/d"), [".note", "note"]);
}

// rule: files/backup
#[test]
fn vim_renames_to_a_backup_and_writes_anew() {
    let kept = Kept::new();
    kept.mount.fill("/d/.note.swp", EXCLUSIVE, b"swap").unwrap();
    kept.mount.fill("/d/4913", EXCLUSIVE, b"").unwrap();
    kept.mount.unlink("/d/4913").unwrap();
    kept.mount.rename("/d/note", "/d/note~").unwrap();
    assert!(kept.mount.object("/d/note").is_none(), "no object while it is away");
    kept.mount.fill("/d/note", EXCLUSIVE, NEW.as_bytes()).unwrap();
    assert_eq!(kept.mount.read("/d/note~").unwrap(), OLD);
    kept.mount.unlink("/d/note~").unwrap();
    kept.mount.unlink("/d/.note.swp").unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/backup
#[test]
fn a_backup_that_stays_is_a_plain_copy() {
    let kept = Kept::new();
    kept.mount.rename("/d/note", "/d/note~").unwrap();
    kept.mount.fill("/d/note", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.check(&[".note", "note", "note~"]);
    assert_eq!(kept.mount.read("/d/note~").unwrap(), OLD);
    kept.mount.write("/d/note", OLD).unwrap();
    kept.mount.rename("/d/note", "/d/note~").unwrap();
    kept.mount.fill("/d/note", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.check(&[".note", "note", "note~"]);
}

// rule: files/backup
#[test]
fn a_backup_renamed_back_is_the_object_again() {
    let kept = Kept::new();
    kept.mount.rename("/d/note", "/d/note~").unwrap();
    kept.mount.rename("/d/note~", "/d/note").unwrap();
    kept.mount.write("/d/note", NEW).unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/backup
#[test]
fn rename_to_a_backup_then_rename_the_temporary_in() {
    let kept = Kept::new();
    kept.mount.fill("/d/note.tmp", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.mount.rename("/d/note", "/d/note.bak").unwrap();
    kept.mount.rename("/d/note.tmp", "/d/note").unwrap();
    kept.mount.unlink("/d/note.bak").unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn append() {
    let kept = Kept::new();
    kept.mount.write("/d/note", "print('new").unwrap();
    kept.mount.append("/d/note", " and longer')\n").unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn write_in_the_middle_and_truncate_by_handle() {
    let kept = Kept::new();
    let handle = kept.mount.open("/d/note", WRITE).unwrap();
    kept.mount.put(handle, 7, b"new and longer')\n!!!").unwrap();
    let size = kompira_schema::tree::SetAttr { size: Some(24), ..Default::default() };
    let ino = kept.mount.ino("/d/note").unwrap();
    kept.mount.files.set_attr(&kept.mount.who, ino, Some(handle), &size).unwrap();
    kept.mount.close(handle).unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn emacs_locks_with_a_link_and_saves_beside() {
    let kept = Kept::new();
    let dir = kept.mount.ino("/d").unwrap();
    kept.mount.files.symlink(&kept.mount.who, dir, ".#note", "me@host.1:2").unwrap();
    let link = kept.mount.ino("/d/.#note").unwrap();
    assert_eq!(kept.mount.files.readlink(&kept.mount.who, link).unwrap(), "me@host.1:2");
    kept.mount.fill("/d/#note#", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.mount.write("/d/note", NEW).unwrap();
    kept.mount.unlink("/d/#note#").unwrap();
    kept.mount.unlink("/d/.#note").unwrap();
    kept.check(&[".note", "note"]);
}

// rule: files/saving
#[test]
fn rsync_sets_times_on_its_temporary_and_renames_it() {
    let kept = Kept::new();
    kept.mount.fill("/d/.note.A1b2C3", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.mount.utimens("/d/.note.A1b2C3", 1_000_000_000).unwrap();
    kept.mount.chmod("/d/.note.A1b2C3", 0o755).unwrap();
    kept.mount.rename("/d/.note.A1b2C3", "/d/note").unwrap();
    kept.check(&[".note", "note"]);
    let attr = kept.mount.stat("/d/note").unwrap();
    assert_eq!(attr.mtime.as_second(), 1_000_000_000, "no second transfer");
    assert_eq!(attr.mode & 0o777, 0o755);
}

// rule: files/saving
#[test]
fn patch_keeps_an_original_by_a_rename() {
    let kept = Kept::new();
    kept.mount.fill("/d/note.oAb12Cd", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.mount.rename("/d/note", "/d/note.orig").unwrap();
    kept.mount.rename("/d/note.oAb12Cd", "/d/note").unwrap();
    kept.check(&[".note", "note", "note.orig"]);
}

// rule: files/checkout
#[test]
fn git_checkout_unlinks_and_creates() {
    let kept = Kept::new();
    kept.mount.unlink("/d/note").unwrap();
    assert!(kept.mount.object("/d/note").is_none());
    kept.mount.fill("/d/note", EXCLUSIVE, NEW.as_bytes()).unwrap();
    kept.check(&[".note", "note"]);
    // The other branch has no record.
    kept.mount.unlink("/d/note").unwrap();
    kept.mount.unlink("/d/.note").unwrap();
    kept.mount.fill("/d/note", EXCLUSIVE, OLD.as_bytes()).unwrap();
    assert_eq!(kept.mount.list("/d"), ["note"]);
    assert_eq!(kept.mount.type_of("/d/note"), "Text");
    assert_eq!(kept.mount.id("/d/note"), kept.id);
}

// rule: files/close
#[test]
fn a_shell_redirection_is_one_save() {
    let mount = Mount::new();
    mount.write("/d/row.txt", "old").unwrap();
    let before = mount.tree.view().rev();
    // bash: open, dup2, close; then the command writes and exits.
    let handle = mount.open("/d/row.txt", TRUNCATE).unwrap();
    mount.flush(handle).unwrap();
    assert_eq!(mount.tree.view().rev(), before, "an empty file in between is nobody's wish");
    mount.put(handle, 0, b"new").unwrap();
    mount.flush(handle).unwrap();
    mount.flush(handle).unwrap();
    assert_eq!(mount.tree.view().rev().0, before.0 + 1);
    mount.files.release(handle);
    assert_eq!(mount.read("/d/row.txt").unwrap(), "new");
}

// rule: files/close
#[test]
fn an_empty_file_is_saved_at_its_last_close() {
    let mount = Mount::new();
    mount.fill("/d/empty.txt", EXCLUSIVE, b"").unwrap();
    assert_eq!(mount.type_of("/d/empty"), "Text");
    mount.write("/d/empty.txt", "x").unwrap();
    mount.fill("/d/empty.txt", TRUNCATE, b"").unwrap();
    assert_eq!(mount.read("/d/empty.txt").unwrap(), "");
}

// rule: files/close
#[test]
fn create_write_close_is_one_commit() {
    let mount = Mount::new();
    let before = mount.tree.view().rev();
    let (ino, handle) = mount.create("/d/a.jobflow", EXCLUSIVE).unwrap();
    mount.put(handle, 0, b"print(1)\n").unwrap();
    mount.put(handle, 9, b"print(2)\n").unwrap();
    let set = kompira_schema::tree::SetAttr { mode: Some(0o600), ..Default::default() };
    mount.files.set_attr(&mount.who, ino, Some(handle), &set).unwrap();
    assert!(mount.exists("/d/a.jobflow"), "seen through this mount before it is saved");
    assert_eq!(mount.list("/d"), ["a.jobflow"]);
    assert!(mount.object("/d/a").is_none(), "not yet seen by other doors");
    mount.close(handle).unwrap();
    assert_eq!(mount.tree.view().rev().0, before.0 + 1);
    assert_eq!(mount.ino("/d/a.jobflow").unwrap(), ino, "the number stays");
}

// rule: files/saving
#[test]
fn the_unlinked_name_of_an_open_file_saves_nothing() {
    let mount = Mount::new();
    let (_, handle) = mount.create("/d/a.txt", EXCLUSIVE).unwrap();
    mount.put(handle, 0, b"x").unwrap();
    mount.unlink("/d/a.txt").unwrap();
    mount.put(handle, 1, b"y").unwrap();
    assert_eq!(mount.files.read(&mount.who, handle, 0, 10).unwrap(), b"xy", "still its own");
    mount.close(handle).unwrap();
    assert!(!mount.exists("/d/a.txt"));
    mount.write("/d/b.txt", "x").unwrap();
    let handle = mount.open("/d/b.txt", WRITE).unwrap();
    mount.unlink("/d/b.txt").unwrap();
    mount.put(handle, 0, b"y").unwrap();
    mount.close(handle).unwrap();
    assert!(!mount.exists("/d/b.txt"));
}

// rule: files/saving
#[test]
fn a_new_file_unlinked_before_its_release_is_gone() {
    let mount = Mount::new();
    let (_, swp) = mount.create("/d/.a.swp", EXCLUSIVE).unwrap();
    let (_, swx) = mount.create("/d/.a.swx", EXCLUSIVE).unwrap();
    mount.flush(swx).unwrap();
    mount.unlink("/d/.a.swx").unwrap();
    mount.files.release(swx);
    mount.unlink("/d/.a.swp").unwrap();
    mount.flush(swp).unwrap();
    mount.flush(swp).unwrap();
    mount.files.release(swp);
    assert!(mount.list("/d").is_empty());
    // The release may come at any time, also while the unlink is under way.
    for _ in 0..200 {
        let (_, handle) = mount.create("/d/.a.swp", EXCLUSIVE).unwrap();
        mount.flush(handle).unwrap();
        std::thread::scope(|scope| {
            let files = &mount.files;
            scope.spawn(move || files.release(handle));
            mount.unlink("/d/.a.swp").unwrap();
        });
        assert!(mount.list("/d").is_empty());
    }
}

// rule: files/rename
#[test]
fn rename_modes() {
    let mount = Mount::new();
    mount.write("/d/a.txt", "a").unwrap();
    mount.write("/d/b.txt", "b").unwrap();
    let (a, b) = (mount.id("/d/a"), mount.id("/d/b"));
    assert_eq!(errno(mount.rename_as("/d/a.txt", "/d/b.txt", RenameMode::NoReplace)), 17);
    mount.rename_as("/d/a.txt", "/d/b.txt", RenameMode::Exchange).unwrap();
    assert_eq!((mount.id("/d/a"), mount.id("/d/b")), (b, a));
    assert_eq!(mount.read("/d/a.txt").unwrap(), "b");
    assert_eq!(errno(mount.rename("/d/none.txt", "/d/x.txt")), 2);
    mount.rename("/d/a.txt", "/d/a.txt").unwrap();
}

// rule: files/rename
#[test]
fn directories_are_renamed_and_replaced_when_empty() {
    let mount = Mount::new();
    mount.mkdir("/d/one").unwrap();
    mount.mkdir("/d/two").unwrap();
    mount.write("/d/one/x.txt", "x").unwrap();
    let id = mount.id("/d/one");
    mount.rename("/d/one", "/d/two").unwrap();
    assert_eq!(mount.id("/d/two"), id);
    assert_eq!(mount.read("/d/two/x.txt").unwrap(), "x");
    mount.mkdir("/d/one").unwrap();
    assert_eq!(errno(mount.rename("/d/one", "/d/two")), 39, "not empty");
    assert_eq!(errno(mount.rename("/d/two", "/d/two/y")), 22, "into itself");
    assert_eq!(
        errno(mount.rename("/d/two", "/d/two.bak")),
        18,
        "objects and scratch are two worlds"
    );
    mount.write("/d/f.txt", "f").unwrap();
    assert_eq!(errno(mount.rename("/d/two", "/d/f.txt")), 20);
    assert_eq!(errno(mount.rename("/d/f.txt", "/d/two")), 21);
}

// rule: files/durability
#[test]
fn large_content_leaves_memory_and_comes_back() {
    let mount = Mount::new();
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let (_, handle) = mount.create("/d/big.bin", EXCLUSIVE).unwrap();
    for (index, piece) in big.chunks(100_000).enumerate() {
        mount.put(handle, index as u64 * 100_000, piece).unwrap();
    }
    mount.close(handle).unwrap();
    assert_eq!(mount.type_of("/d/big"), "AttachedFile");
    assert_eq!(mount.bytes("/d/big.bin").unwrap(), big);
    let handle = mount.open("/d/big.bin", APPEND).unwrap();
    mount.put(handle, 0, b"end").unwrap();
    mount.close(handle).unwrap();
    assert_eq!(mount.stat("/d/big.bin").unwrap().size, 3_000_003);
    let handle = mount.open("/d/big.bin", READ).unwrap();
    assert_eq!(mount.files.read(&mount.who, handle, 2_999_999, 99).unwrap().len(), 4);
    mount.close(handle).unwrap();
}
