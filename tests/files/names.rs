//! File names: what is an object, what is scratch, what is refused.

use kompira_schema::tree::{FileTree, NodeKind};

use super::driver::{EXCLUSIVE, Mount, errno};

// rule: files/scratch
#[test]
fn scratch_is_kept_and_is_never_an_object() {
    let mount = Mount::new();
    for file in [".git", "note~", "#note#", "4913", "a.bak", ".x.swp", "x.oAb12Cd", ".gitignore"] {
        mount.write(&format!("/d/{file}"), file).unwrap();
        assert_eq!(mount.read(&format!("/d/{file}")).unwrap(), file);
    }
    assert_eq!(mount.list("/d").len(), 8);
    let view = mount.tree.view();
    let dir = view.resolve(&kompira_schema::path::ObjectPath::parse("/d").unwrap()).unwrap();
    assert!(view.children(&mount.who, dir, None, 100).unwrap().is_empty());
}

// rule: files/scratch
#[test]
fn anything_goes_below_a_scratch_directory() {
    let mount = Mount::new();
    mount.mkdir("/d/.git").unwrap();
    mount.mkdir("/d/.git/objects").unwrap();
    for file in ["HEAD", "my-script.sh", "a.b.c", "config.lock", ".x", "日 本"] {
        mount.write(&format!("/d/.git/{file}"), file).unwrap();
    }
    let dir = mount.ino("/d/.git").unwrap();
    mount.files.symlink(&mount.who, dir, "link", "HEAD").unwrap();
    assert_eq!(mount.stat("/d/.git/link").unwrap().kind, NodeKind::Symlink);
    mount.rename("/d/.git/config.lock", "/d/.git/config").unwrap();
    assert_eq!(mount.read("/d/.git/config").unwrap(), "config.lock");
    mount.rename("/d/.git/config", "/d/.git/objects/HEAD").unwrap();
    mount.write("/d/.git/HEAD", "ref").unwrap();
    mount.rename("/d/.git/objects/HEAD", "/d/.git/HEAD").unwrap();
    assert_eq!(mount.read("/d/.git/HEAD").unwrap(), "config.lock");
    assert!(mount.object("/d").is_some());
    assert_eq!(errno(mount.rmdir("/d/.git")), 39);
    mount.rmdir("/d/.git/objects").unwrap();
    for file in mount.list("/d/.git") {
        mount.unlink(&format!("/d/.git/{file}")).unwrap();
    }
    mount.rmdir("/d/.git").unwrap();
    assert!(mount.list("/d").is_empty());
}

// rule: files/illegal
#[test]
fn a_name_that_nothing_can_have_is_refused_and_the_directory_says_why() {
    let mount = Mount::new();
    for file in ["my-script.sh", "a.b.c", "1a", "a b"] {
        assert_eq!(errno(mount.fill(&format!("/d/{file}"), EXCLUSIVE, b"x")), 22, "{file}");
        assert_eq!(errno(mount.mkdir(&format!("/d/{file}"))), 22, "{file}");
        assert_eq!(errno(mount.stat(&format!("/d/{file}"))), 2, "{file}");
        assert!(mount.xattr("/d", "last_error").unwrap().contains(file));
    }
    assert!(mount.list("/d").is_empty());
}

// rule: files/suffix
#[test]
fn one_object_name_is_one_file() {
    let mount = Mount::new();
    mount.write("/d/x.txt", "1").unwrap();
    assert_eq!(errno(mount.stat("/d/x")), 2);
    assert_eq!(errno(mount.fill("/d/x.md", EXCLUSIVE, b"2")), 17);
    assert_eq!(errno(mount.mkdir("/d/x")), 17);
    mount.write("/d/x.bak", "2").unwrap();
    let id = mount.id("/d/x");
    mount.rename("/d/x.txt", "/d/x.md").unwrap();
    assert_eq!(mount.list("/d"), ["x.bak", "x.md"]);
    assert_eq!((mount.id("/d/x"), mount.type_of("/d/x").as_str()), (id, "Wiki"));
}

// rule: files/short_stem
#[test]
fn long_and_reserved_names_have_short_stems() {
    let mount = Mount::new();
    let long = "監視".repeat(64);
    mount.write("/d/git", "text").unwrap();
    assert_eq!(mount.type_of("/d/git"), "Text");
    let listed = mount.list("/d");
    assert_eq!(listed.len(), 1);
    assert!(listed[0].starts_with("git~"), "{listed:?}");
    assert_eq!(mount.read(&format!("/d/{}", listed[0])).unwrap(), "text");
    let name = kompira_schema::path::Name::new(&long).unwrap();
    let dir = mount.object("/d").unwrap().2.id();
    let kind = mount.tree.view().builtin("Text").unwrap();
    mount
        .tree
        .write(&mount.who, kompira::store::Durability::Lazy, |txn| {
            txn.create(dir, &name, kind, kompira::tree::Draft::default())
        })
        .unwrap();
    let short = kompira_schema::layout::names::short_stem(&name);
    assert!(mount.list("/d").contains(&short));
    mount.write(&format!("/d/{short}"), "long").unwrap();
    assert_eq!(mount.read(&format!("/d/{short}")).unwrap(), "long");
    assert!(mount.read(&format!("/d/.{short}")).unwrap().contains(&format!("name: {long}")));
}

// rule: files/modes
#[test]
fn the_execute_bit_is_what_chmod_gave() {
    let mount = Mount::new();
    mount.write("/d/x.sh", "#!/bin/sh\n").unwrap();
    assert_eq!(mount.stat("/d/x.sh").unwrap().mode, 0o644);
    assert_eq!(mount.chmod("/d/x.sh", 0o755).unwrap().mode, 0o755);
    assert_eq!(mount.list("/d"), ["x.sh"], "chmod does not end bareness");
    mount.utimens("/d/x.sh", 1_234).unwrap();
    assert_eq!(mount.stat("/d/x.sh").unwrap().mtime.as_second(), 1_234);
}

// rule: files/links
#[test]
fn links_live_among_scratch() {
    let mount = Mount::new();
    let dir = mount.ino("/d").unwrap();
    assert_eq!(errno(mount.files.symlink(&mount.who, dir, "x", "y")), 1);
}
