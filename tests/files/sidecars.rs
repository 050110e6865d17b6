//! Records beside their files: what they show, what writing and removing them does.

use kompira_schema::tree::FileTree;

use super::driver::{EXCLUSIVE, Mount, TRUNCATE, errno};

const WIKI: &str = "type_object: /system/types/Wiki\nfields:\n  style: Markdown\n";

// rule: files/bare
#[test]
fn what_you_write_is_what_you_see() {
    let mount = Mount::new();
    mount.mkdir("/d/sub").unwrap();
    for (file, text, kind) in [
        ("flow.jobflow", "print(1)\n", "Jobflow"),
        ("README.md", "# hi\n", "Wiki"),
        ("check.sh", "#!/bin/sh\n", "ScriptJob"),
        ("tool.py", "x = 1\n", "Library"),
        ("plain", "text\n", "Text"),
        ("script", "#!/bin/sh\n", "ScriptJob"),
        ("data.csv", "a,b\n", "Text"),
        ("photo.png", "not a picture", "AttachedFile"),
        ("env.env", "A: '1'\n", "Environment"),
    ] {
        mount.write(&format!("/d/sub/{file}"), text).unwrap();
        let name = file.split('.').next().unwrap();
        assert_eq!(mount.type_of(&format!("/d/sub/{name}")), kind, "{file}");
        assert_eq!(mount.read(&format!("/d/sub/{file}")).unwrap(), text, "{file}");
    }
    assert_eq!(
        mount.list("/d/sub"),
        [
            "README.md",
            "check.sh",
            "data.csv",
            "env.env",
            "flow.jobflow",
            "photo.png",
            "plain",
            "script",
            "tool.py"
        ],
        "no sidecars"
    );
}

// rule: files/sidecar
#[test]
fn writing_a_sidecar_ends_bareness_and_unlinking_it_restores_it() {
    let mount = Mount::new();
    mount.write("/d/page.md", "# x\n").unwrap();
    assert!(!mount.exists("/d/.page"));
    mount
        .write(
            "/d/.page",
            "type_object: /system/types/Wiki\ndescription: d\nfields:\n  style: Creole\n",
        )
        .unwrap();
    assert_eq!(mount.list("/d"), [".page", "page.md"]);
    let text = mount.read("/d/.page").unwrap();
    assert!(text.contains("style: Creole") && text.contains("description: d"), "{text}");
    assert!(!text.contains("wikitext"), "the content is in the file: {text}");
    mount.unlink("/d/.page").unwrap();
    assert_eq!(mount.list("/d"), ["page.md"]);
    assert_eq!(mount.read("/d/page.md").unwrap(), "# x\n");
}

// rule: files/pending
#[test]
fn a_sidecar_may_come_before_its_object() {
    let mount = Mount::new();
    mount.write("/d/.page", WIKI).unwrap();
    assert_eq!(mount.read("/d/.page").unwrap(), WIKI, "kept as it was written");
    mount.write("/d/page", "# text\n").unwrap();
    assert_eq!(mount.type_of("/d/page"), "Wiki");
    assert_eq!(mount.list("/d"), [".page", "page"]);
    mount.write("/d/.racks", "type_object: /system/types/Table\nfields: {}\n").unwrap();
    mount.mkdir("/d/racks").unwrap();
    assert_eq!(mount.type_of("/d/racks"), "Table");
    mount.write("/d/.other", "no record at all").unwrap();
    mount.write("/d/other", "x").unwrap();
    assert_eq!(mount.type_of("/d/other"), "Text", "what is no record does not disturb");
    assert_eq!(mount.read("/d/.other").unwrap(), "no record at all");
}

// rule: files/ghosts
#[test]
fn what_a_rename_or_removal_has_done_already_succeeds() {
    let mount = Mount::new();
    for name in ["a", "b"] {
        mount.write(&format!("/d/{name}"), "# text\n").unwrap();
        mount.write(&format!("/d/.{name}"), WIKI).unwrap();
    }
    mount.mkdir("/d/dest").unwrap();
    let id = mount.id("/d/a");
    mount.rename("/d/a", "/d/dest/a").unwrap();
    assert_eq!(mount.list("/d/dest"), [".a", "a"]);
    mount.rename("/d/.a", "/d/dest/.a").unwrap();
    assert_eq!(mount.id("/d/dest/a"), id);
    assert_eq!(mount.type_of("/d/dest/a"), "Wiki");
    assert_eq!(mount.list("/d"), [".b", "b", "dest"]);
    mount.unlink("/d/b").unwrap();
    mount.unlink("/d/.b").unwrap();
    assert_eq!(errno(mount.unlink("/d/.b")), 2, "once");
    mount.rename("/d/dest/a", "/d/c").unwrap();
    mount.rename("/d/dest/.a", "/d/.c").unwrap();
    assert_eq!(mount.list("/d"), [".c", "c", "dest"]);
    mount.rmdir("/d/dest").unwrap();
}

// rule: files/ghosts
#[test]
fn the_record_may_be_moved_before_its_object() {
    let mount = Mount::new();
    mount.mkdir("/d/dest").unwrap();
    mount.write("/d/a", "# text\n").unwrap();
    mount.write("/d/.a", WIKI).unwrap();
    let record = mount.read("/d/.a").unwrap();
    mount.rename("/d/.a", "/d/dest/.a").unwrap();
    mount.rename("/d/a", "/d/dest/a").unwrap();
    assert_eq!(mount.read("/d/dest/.a").unwrap(), record);
    assert_eq!(mount.type_of("/d/dest/a"), "Wiki");
    assert_eq!(mount.list("/d/dest"), [".a", "a"]);
    assert_eq!(mount.list("/d"), ["dest"]);
}

// rule: files/yaml
#[test]
fn an_object_without_a_file_of_its_own_is_its_record() {
    let mount = Mount::new();
    let text = "type_object: /system/types/Channel\nfields: {}\n";
    mount.write("/d/alerts", text).unwrap();
    assert_eq!(mount.type_of("/d/alerts"), "Channel");
    let shown = mount.read("/d/alerts").unwrap();
    assert!(shown.starts_with("type_object: /system/types/Channel\n"), "{shown}");
    assert_eq!(mount.list("/d"), ["alerts"], "no sidecar");
    let changed = shown.replace("fields:", "description: loud\nfields:");
    let changed = if changed == shown { format!("description: loud\n{shown}") } else { changed };
    mount.write("/d/alerts", &changed).unwrap();
    assert_eq!(mount.object("/d/alerts").unwrap().2.stub.description, "loud");
}

// rule: files/rejected
#[test]
fn a_refused_save_keeps_the_text_and_the_last_good_state() {
    let mount = Mount::new();
    mount.write("/d/alerts", "type_object: /system/types/Channel\nfields: {}\n").unwrap();
    let good = mount.read("/d/alerts").unwrap();
    let broken = "type_object: [\n";
    assert_eq!(errno(mount.write("/d/alerts", broken)), 22);
    assert_eq!(mount.read("/d/alerts").unwrap(), good);
    let kept = mount.read("/d/.alerts.rejected").unwrap();
    assert!(kept.starts_with("# ") && kept.ends_with(broken), "{kept}");
    assert!(!mount.xattr("/d/alerts", "last_error").unwrap().is_empty());
    assert_eq!(mount.list("/.kompira/rejected"), ["d%2F.alerts.rejected"]);
    assert_eq!(mount.read("/.kompira/rejected/d%2F.alerts.rejected").unwrap(), kept);
    mount.unlink("/.kompira/rejected/d%2F.alerts.rejected").unwrap();
    assert!(!mount.exists("/d/.alerts.rejected"));
    // A command that writes piece by piece, each piece closed: only the end counts.
    let handle = mount.open("/d/alerts", TRUNCATE).unwrap();
    mount.put(handle, 0, b"type_object: ").unwrap();
    assert_eq!(errno(mount.flush(handle)), 22);
    mount.put(handle, 13, b"/system/types/Channel\nfields: {}\n").unwrap();
    mount.close(handle).unwrap();
    assert!(!mount.exists("/d/.alerts.rejected"), "it went well in the end");
}

// rule: files/rejected
#[test]
fn a_broken_new_record_is_no_object() {
    let mount = Mount::new();
    assert_eq!(errno(mount.write("/d/web.yaml", "type_object: [\n")), 22);
    assert!(!mount.exists("/d/web.yaml"));
    assert!(mount.read("/d/.web.rejected").unwrap().ends_with("type_object: [\n"));
}

// rule: files/creation
#[test]
fn a_table_says_what_its_files_are() {
    let mount = Mount::new();
    mount
        .write(
            "/d/.hosts",
            "type_object: /system/types/Table\nfields:\n  typeObject: /system/types/NodeInfo\n",
        )
        .unwrap();
    mount.mkdir("/d/hosts").unwrap();
    mount.write("/d/hosts/web01", "fields:\n  hostname: web01.example.net\n").unwrap();
    assert_eq!(mount.type_of("/d/hosts/web01"), "NodeInfo");
    assert!(mount.read("/d/hosts/web01").unwrap().contains("hostname: web01.example.net"));
    assert_eq!(errno(mount.mkdir("/d/hosts/sub")), 22);
}

// rule: files/companions
#[test]
fn attachments_are_files_of_the_companion_directory() {
    let mount = Mount::new();
    mount.write("/d/badge", "type_object: /system/types/AttachedFile\nfields: {}\n").unwrap();
    assert_eq!(mount.list("/d"), ["badge"]);
    mount.write("/d/.badge.files/attached1/badge.svg", "<svg/>").unwrap();
    assert_eq!(mount.list("/d"), [".badge.files", "badge"]);
    assert_eq!(mount.list("/d/.badge.files/attached1"), ["badge.svg"]);
    assert_eq!(mount.read("/d/.badge.files/attached1/badge.svg").unwrap(), "<svg/>");
    let record = mount.read("/d/badge").unwrap();
    assert!(record.contains("path: .badge.files/attached1/badge.svg"), "{record}");
    // rsync: a temporary beside it, renamed over it.
    mount.fill("/d/.badge.files/attached1/.badge.svg.Ab12Cd", EXCLUSIVE, b"<svg></svg>").unwrap();
    mount
        .rename(
            "/d/.badge.files/attached1/.badge.svg.Ab12Cd",
            "/d/.badge.files/attached1/badge.svg",
        )
        .unwrap();
    assert_eq!(mount.read("/d/.badge.files/attached1/badge.svg").unwrap(), "<svg></svg>");
    mount.unlink("/d/.badge.files/attached1/badge.svg").unwrap();
    mount.rmdir("/d/.badge.files/attached1").unwrap();
    mount.rmdir("/d/.badge.files").unwrap();
    assert_eq!(mount.list("/d"), ["badge"]);
}

// rule: files/companions
#[test]
fn a_companion_directory_may_come_before_its_object() {
    let mount = Mount::new();
    mount.mkdir("/d/.badge.files").unwrap();
    mount.mkdir("/d/.badge.files/attached2").unwrap();
    mount.write("/d/.badge.files/attached2/a.txt", "attached").unwrap();
    mount.write("/d/badge", "type_object: /system/types/AttachedFile\nfields: {}\n").unwrap();
    assert_eq!(mount.list("/d"), [".badge.files", "badge"]);
    assert_eq!(mount.read("/d/.badge.files/attached2/a.txt").unwrap(), "attached");
    assert_eq!(
        mount.tree.view().entry(mount.object("/d/badge").unwrap().2.id()).unwrap().unwrap().name,
        "badge"
    );
}

// rule: files/bare
#[test]
fn a_bare_object_follows_its_content() {
    let mount = Mount::new();
    mount.write("/d/x", "text\n").unwrap();
    let id = mount.id("/d/x");
    mount.write("/d/x", "#!/bin/sh\n").unwrap();
    assert_eq!(mount.type_of("/d/x"), "ScriptJob");
    mount.fill("/d/x", TRUNCATE, b"\xff\xfe\0").unwrap();
    assert_eq!(mount.type_of("/d/x"), "AttachedFile");
    mount.write("/d/x", "text again\n").unwrap();
    assert_eq!(mount.type_of("/d/x"), "Text");
    assert_eq!(mount.id("/d/x"), id);
    assert_eq!(mount.list("/d"), ["x"]);
}

// rule: files/xattrs
#[test]
fn attributes_are_read_by_name_and_not_listed() {
    let mount = Mount::new();
    mount.write("/d/x.jobflow", "print(1)\n").unwrap();
    let ino = mount.ino("/d/x.jobflow").unwrap();
    assert!(mount.files.list_xattr(&mount.who, ino).unwrap().is_empty());
    assert_eq!(mount.xattr("/d/x.jobflow", "type").unwrap(), "/system/types/Jobflow");
    assert_eq!(mount.xattr("/d/x.jobflow", "owner").unwrap(), "root");
    assert_eq!(mount.xattr("/d/x.jobflow", "id").unwrap(), mount.id("/d/x").to_string());
    assert_eq!(
        mount.xattr("/d/x.jobflow", "blake3").unwrap(),
        kompira_schema::id::BlobHash::of(b"print(1)\n").to_string()
    );
    assert_eq!(errno(mount.xattr("/d/x.jobflow", "none")), 61);
}

// rule: files/control
#[test]
fn the_control_directory_tells_about_the_service() {
    let mount = Mount::new();
    assert!(!mount.list("/").iter().any(|name| name == ".kompira"), "not listed");
    assert_eq!(mount.list("/.kompira"), ["rejected", "status.yaml", "version"]);
    assert!(mount.read("/.kompira/version").unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    assert!(mount.read("/.kompira/status.yaml").unwrap().contains("store: ok"));
    assert_eq!(errno(mount.write("/.kompira/version", "x")), 30);
    assert_eq!(mount.list("/config/user"), ["id_1", "id_2", "id_3"]);
    assert!(mount.read("/config/user/root").unwrap().contains("username: root"));
}
