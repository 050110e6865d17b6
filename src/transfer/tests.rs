//! Trees out and in again, on the memory twin.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use kompira_schema::catalogue::Lang;
use kompira_schema::error::Kind;
use kompira_schema::id::{ObjectId, UserId};
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::{Caller, Interface, NodeKind};
use kompira_schema::value::{Dict, Value};
use zeroize::Zeroizing;

use super::backup::{self, backup, restore};
use super::directory::Directory;
use super::export::{self, export_dir};
use super::import::{self, Counters, Event, import_dir};
use super::linesep::LineSep;
use crate::auth::User;
use crate::base::clock::Fake;
use crate::files::shown;
use crate::secrets::Keys;
use crate::store::{Durability, Store};
use crate::tree::{Content, Draft, Options, Tree, Txn, UserDraft};

fn who(user: UserId) -> Caller {
    Caller {
        user,
        interface: Interface::Mng,
        remote: None,
        process: None,
        request: "test".into(),
        exec: None,
    }
}

fn root() -> Caller {
    who(User::ROOT)
}

const KEY: &str = "a key of the tests";

fn tree() -> Tree {
    let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
    let options = Options { initial_password: Some("root-password".into()), ..Options::default() };
    let keys = Arc::new(Keys::from_text(KEY));
    Tree::new(Store::memory(), keys, clock, options).unwrap().0
}

fn write<T>(tree: &Tree, work: impl FnMut(&mut Txn) -> Result<T, super::tests::Fault>) -> T {
    tree.write(&root(), Durability::Lazy, work).unwrap().value
}

type Fault = kompira_schema::error::Fault;

fn path(text: &str) -> ObjectPath {
    ObjectPath::parse(text).unwrap()
}

fn add(tree: &Tree, at: &str, type_name: &str, fields: &[(&str, Value)]) -> ObjectId {
    let at = path(at);
    let fields: Dict =
        fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    write(tree, |txn| {
        let parent = txn.resolve(&at.parent().unwrap())?;
        let type_id = txn.resolve(&path(&format!("/system/types/{type_name}")))?;
        let draft = Draft { fields: fields.clone(), ..Draft::default() };
        txn.create(parent, &Name::new(at.name().unwrap())?, type_id, draft)
    })
}

fn how(linesep: LineSep) -> export::Options {
    export::Options {
        origin: ObjectPath::root(),
        shown: shown::Options::default(),
        linesep,
        recursive: true,
    }
}

fn export(tree: &Tree, at: &str, into: &Path) -> export::Counters {
    let mut sink = Directory::new(into, false).unwrap();
    let mut told = |event: export::Event<'_>| assert_eq!(event.fault, None, "{}", event.path);
    let how = how(LineSep::NoChange);
    export_dir(&tree.view(), &root(), &[path(at)], &how, &mut sink, &mut told).unwrap()
}

fn import(tree: &Tree, from: &Path, options: &import::Options) -> (Counters, Vec<String>) {
    let keys = Keys::from_text(KEY);
    let mut lines = Vec::new();
    let mut told = |event| {
        lines.push(match event {
            Event::Line(line) => line,
            Event::Warning { at, told } => {
                format!("W {at}: {}", kompira_schema::catalogue::render(&told, Lang::En))
            }
            Event::Error { at, fault } => {
                format!("E {at}: {} {:?}", fault.text(Lang::En), fault.problems())
            }
        });
    };
    let counters =
        import_dir(tree, &root(), &[from.to_owned()], &[&keys], options, &mut told).unwrap();
    (counters, lines)
}

/// Every file below a directory with its bytes and execute bit; directories end in `/`.
fn files(dir: &Path) -> BTreeMap<String, (bool, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(at) = stack.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let place = entry.unwrap().path();
            let name = place.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if place.is_dir() {
                found.insert(name + "/", (false, Vec::new()));
                stack.push(place);
            } else {
                let mode = fs::metadata(&place).unwrap().permissions().mode();
                found.insert(name, (mode & 0o100 != 0, fs::read(&place).unwrap()));
            }
        }
    }
    found
}

fn put(dir: &Path, name: &str, text: &str) {
    let place = dir.join(name);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, text).unwrap();
}

/// The worked example of the specification: 19 objects below `home/sato/ops`.
fn example(dir: &Path) {
    let ops = dir.join("home/sato/ops");
    let typed = |name: &str, rest: &str| format!("type_object: /system/types/{name}\n{rest}");
    put(dir, "home/sato/.ops", &typed("Directory", "fields: {}\n"));
    put(&ops, "check_disk", "|target = ./web01|\n|limit = 80|\n\n[__node__ = target]\n");
    put(&ops, ".check_disk", &typed("Jobflow", "fields:\n  multiplicity: 1\n"));
    put(&ops, "df_percent", "#!/bin/sh\ndf -P \"$1\"\n");
    put(&ops, ".df_percent", &typed("ScriptJob", "fields:\n  ext: ''\n  multiplicity: 0\n"));
    put(&ops, "strtools", "def mask(text):\n    return text\n");
    put(&ops, ".strtools", &typed("Library", "fields:\n  libraryType: source\n"));
    put(&ops, "greeting", "hello %{name}\n");
    put(&ops, ".greeting", &typed("Template", "fields: {}\n"));
    put(&ops, "motd", "be kind\n");
    put(&ops, ".motd", &typed("Text", "fields:\n  ext: txt\n  context: /home/sato/ops/prod_env\n"));
    put(&ops, "runbook", "# First steps\n");
    put(&ops, ".runbook", &typed("Wiki", "fields:\n  style: Markdown\n"));
    put(&ops, "prod_env", "REGION: tokyo-2\nMAX_HOSTS: '24'\nBANNER: \"first\\r\\nsecond\"\n");
    put(&ops, ".prod_env", &typed("Environment", "fields: {}\n"));
    put(
        &ops,
        "web01",
        &typed(
            "NodeInfo",
            "fields:\n  nodetype: /system/nodetypes/ssh\n  conntype: ssh\n  hostname: web01\n  \
             ipaddr: 192.0.2.11\n  port: 22\n  account: /home/sato/ops/web01_login\n",
        ),
    );
    put(
        &ops,
        "web01_login",
        &typed(
            "AccountInfo",
            "fields:\n  user: deploy\n  password: kfs1$5abc13b1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYX$06iVmsK5cxw_nRkgRngXgw_MVuSmsltL26r8QHg\n  \
             keyfile: {name: id_ed25519, path: .web01_login.files/keyfile/id_ed25519}\n",
        ),
    );
    put(&ops, ".web01_login.files/keyfile/id_ed25519", "a key\n");
    put(
        &ops,
        "types/Rack",
        &typed(
            "TypeObject",
            "fields:\n  extend: kompira.extends\n  fieldNames: [location, units, contact, photo]\n  \
             fieldDisplayNames: [Location, Height units, Contact, Photo]\n  fieldTypes:\n    - String\n    \
             - 'Integer#{\"min_value\":1,\"max_value\":52,\"default\":42}'\n    - EMail\n    - File\n",
        ),
    );
    put(&ops, ".types", &typed("Directory", "fields: {}\n"));
    put(
        &ops,
        ".racks",
        &typed(
            "Table",
            "fields:\n  typeObject: /home/sato/ops/types/Rack\n  relatedObject: /home/sato/ops/check_form\n",
        ),
    );
    for rack in ["r01", "r02"] {
        put(
            &ops,
            &format!("racks/{rack}"),
            "type_object: /home/sato/ops/types/Rack\nfields:\n  location: Hall B\n  units: 42\n  \
             contact: dc@example.net\n  photo: null\n",
        );
    }
    put(
        &ops,
        "check_form",
        &typed(
            "Form",
            "fields:\n  submitObject: /home/sato/ops/check_disk\n  fieldNames: [limit]\n  fieldDisplayNames: [Limit]\n  fieldTypes: [Integer]\n",
        ),
    );
    put(
        &ops,
        "badge",
        &typed(
            "AttachedFile",
            "fields:\n  attached1: {name: badge.svg, size: 41, blake3: fe99205d29d553d6ccf70255d9e9045a4294a6c044eab06de82928686140486d, path: .badge.files/attached1/badge.svg}\n  attached2: null\n",
        ),
    );
    put(
        &ops,
        ".badge.files/attached1/badge.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".trim_end(),
    );
    put(
        &ops,
        "night_alerts",
        &typed(
            "Channel",
            "fields:\n  action_type: ExecuteJobflow\n  action_target: /home/sato/ops/check_disk\n",
        ),
    );
    put(&ops, ".spare", &typed("Directory", "fields:\n  orderBy: null\n  pageSize: 25\n"));
    put(&ops, "spare/.gitkeep", "");
    put(&ops, ".gitignore", "*.bak\n");
    put(&ops, ".git/HEAD", "ref: refs/heads/main\n");
}

// rule: files/import-dir
#[test]
fn the_worked_example_imports_with_its_counters() {
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let tree = tree();
    add(&tree, "/lab", "Directory", &[]);
    let options = import::Options { origin: path("/lab"), ..import::Options::default() };
    let counted = |created, updated, skipped, warning| Counters {
        created,
        updated,
        skipped,
        error: 0,
        warning,
    };
    let (counters, lines) = import(&tree, dir.path(), &options);
    assert_eq!(counters, counted(21, 0, 0, 1), "{lines:#?}");
    let (counters, lines) = import(&tree, dir.path(), &options);
    assert_eq!(counters, counted(0, 0, 19, 0), "{lines:#?}");
    let (counters, lines) =
        import(&tree, dir.path(), &import::Options { overwrite: true, ..options });
    assert_eq!(counters, counted(0, 19, 0, 1), "{lines:#?}");
    let view = tree.view();
    let motd = view.get(&root(), view.resolve(&path("/lab/home/sato/ops/motd")).unwrap()).unwrap();
    let context = view.resolve(&path("/lab/home/sato/ops/prod_env")).unwrap();
    assert_eq!(
        motd.fields.get("context"),
        Some(&Value::Object(kompira_schema::value::Ref::Object(context))),
        "an absolute reference of the export stays inside the import"
    );
}

#[test]
fn one_broken_object_leaves_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "user/good.txt", "fine");
    put(dir.path(), "user/broken", "type_object: /system/types/NodeInfo\nfields:\n  port: 70000\n");
    put(dir.path(), "user/no_type", "type_object: /nowhere/Rack\nfields: {}\n");
    put(dir.path(), "user/bad", "x");
    put(dir.path(), "user/.bad", "type_object: [\n");
    put(dir.path(), "user/my-script.sh", "x");
    let tree = tree();
    let (counters, lines) = import(&tree, dir.path(), &import::Options::default());
    assert_eq!((counters.created, counters.error, counters.warning), (1, 3, 1), "{lines:#?}");
    let view = tree.view();
    assert!(view.resolve(&path("/user/good")).is_ok());
    for gone in ["/user/broken", "/user/no_type", "/user/bad"] {
        assert_eq!(view.resolve(&path(gone)).unwrap_err().kind(), Kind::NotFound, "{gone}");
    }
}

#[test]
fn atomic_imports_all_or_nothing_and_a_dry_run_nothing() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "user/good.txt", "fine");
    let tree = tree();
    let rev = tree.view().rev();
    let dry = import::Options { dry_run: true, ..import::Options::default() };
    let (counters, _) = import(&tree, dir.path(), &dry);
    assert_eq!((counters.created, counters.error), (1, 0));
    assert_eq!(tree.view().rev(), rev);
    put(dir.path(), "user/broken", "type_object: /system/types/NodeInfo\nfields:\n  port: 70000\n");
    let atomic = import::Options { atomic: true, ..import::Options::default() };
    let sources = [dir.path().to_owned()];
    let failed = import_dir(&tree, &root(), &sources, &[], &atomic, &mut |_| ()).unwrap_err();
    assert_eq!(failed.kind(), Kind::Invalid);
    assert!(tree.view().resolve(&path("/user/good")).is_err());
}

/// A little of everything: bare files, records, attachments, secrets, long names.
fn furnish(tree: &Tree) {
    write(tree, |txn| {
        let groups = Some(vec![txn.group_by_name("wheel").unwrap().id]);
        let rest = crate::tree::UserPatch { groups, ..Default::default() };
        let password = Some(Zeroizing::new("a password of sato".into()));
        txn.create_user(UserDraft { username: "sato".into(), password, rest })
    });
    let dir = tempfile::tempdir().unwrap();
    example(dir.path());
    let bare = dir.path().join("user");
    put(&bare, "hello.jobflow", "print('hello')\r\nprint('世界')");
    put(&bare, "notes.md", "# Notes\n");
    put(&bare, "run.sh", "#!/bin/sh\necho hi\n");
    fs::set_permissions(bare.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(bare.join("photo.png"), [0x89, b'P', 0, 0xff]).unwrap();
    fs::create_dir_all(bare.join("empty")).unwrap();
    let options = import::Options {
        linesep: LineSep::NoChange,
        overwrite: true,
        ..import::Options::default()
    };
    let (counters, lines) = import(tree, dir.path(), &options);
    assert_eq!(counters.error, 0, "{lines:#?}");
    let long = "監視".repeat(64);
    add(tree, &format!("/user/{long}"), "Text", &[("text", "long name".into())]);
    add(tree, "/user/gitignore", "Text", &[("text", "no ignore file".into())]);
    let login = add(
        tree,
        "/user/data/accounts/login",
        "AccountInfo",
        &[("user", "deploy".into()), ("password", "s3cret-日本".into())],
    );
    write(tree, |txn| {
        let content = Content::from(&b"key bytes"[..]);
        let file = Some(("id ed25519", content));
        txn.set_attachment(login, "keyfile", crate::tree::Element::Whole, file)
    });
}

// rule: files/export-dir, files/objects, tree/records
#[test]
fn exported_imported_and_exported_again_is_the_same() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = tree();
    furnish(&one);
    let counters = export(&one, "/", first.path());
    assert_eq!((counters.error, counters.skipped), (0, 0));
    let two = tree();
    write(&two, |txn| {
        let password = Some(Zeroizing::new("a password of sato".into()));
        txn.create_user(UserDraft { username: "sato".into(), password, ..Default::default() })
    });
    let options = import::Options {
        linesep: LineSep::NoChange,
        overwrite: true,
        owner_mode: true,
        ..import::Options::default()
    };
    let (counters, lines) = import(&two, first.path(), &options);
    assert_eq!(counters.error, 0, "{lines:#?}");
    export(&two, "/", second.path());
    let (a, b) = (files(first.path()), files(second.path()));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, content) in &a {
        assert_eq!(content, &b[name], "{name}");
    }
    assert!(a.contains_key("user/hello.jobflow") && !a.contains_key("user/.hello"), "bare");
    assert_eq!(a["user/photo.png"].1, [0x89, b'P', 0, 0xff]);
    assert!(a["user/run.sh"].0, "the execute bit travels");
    assert!(a.contains_key("user/gitignore~c81ac631c8df859b"));
    assert!(!String::from_utf8_lossy(&a["user/data/accounts/login"].1).contains("s3cret"));
}

#[test]
fn an_unchanged_tree_exports_the_same_bytes_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree();
    furnish(&tree);
    export(&tree, "/home", dir.path());
    let before = files(dir.path());
    let place = dir.path().join("home/sato/ops/.badge.files/attached1/badge.svg");
    let time = fs::metadata(&place).unwrap().modified().unwrap();
    export(&tree, "/home", dir.path());
    assert_eq!(files(dir.path()), before);
    assert_eq!(fs::metadata(&place).unwrap().modified().unwrap(), time);
    assert!(dir.path().join("home/sato/.ops").exists());
    assert!(!dir.path().join(".home/").exists());
}

// rule: operations/backup
#[test]
fn a_backup_restores_everything_and_its_tree_is_the_export() {
    let dir = tempfile::tempdir().unwrap();
    let one = tree();
    furnish(&one);
    let user = one.view().resolve(&path("/user")).unwrap();
    write(&one, |txn| {
        let git = txn.scratch_create(user, ".git", NodeKind::Dir, None, 0o755, "".into())?;
        txn.scratch_create(git, "HEAD", NodeKind::File, None, 0o644, "ref: main\n".into())?;
        txn.scratch_create(git, "link", NodeKind::Symlink, None, 0o777, "HEAD".into())?;
        txn.scratch_create(user, "note~", NodeKind::File, None, 0o600, "old".into())
    });
    let archive = dir.path().join("b.zip");
    let options = backup::Options { key_id: "k".into(), ..backup::Options::default() };
    let manifest = backup(&one.view(), &root(), &archive, &options, &mut |_| ()).unwrap();
    assert_eq!(manifest.revision, one.view().rev().0);
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);

    let exported = dir.path().join("exported");
    fs::create_dir(&exported).unwrap();
    export(&one, "/", &exported);
    let mut zip = zip::ZipArchive::new(fs::File::open(&archive).unwrap()).unwrap();
    let extracted = dir.path().join("extracted");
    zip.extract(&extracted).unwrap();
    assert_eq!(files(&extracted.join("tree")), files(&exported));

    let two = tree();
    let keys = Keys::from_text(KEY);
    let mut lines = Vec::new();
    let spool = dir.path().join("spool");
    let mut told = |event| lines.push(format!("{event:?}"));
    let restored = restore(&two, &root(), &archive, &spool, &[&keys], false, &mut told).unwrap();
    assert_eq!(restored.counters.error, 0, "{lines:#?}");
    assert!(!spool.exists());
    let again = dir.path().join("again");
    fs::create_dir(&again).unwrap();
    export(&two, "/", &again);
    let (a, b) = (files(&exported), files(&again));
    for (name, content) in &a {
        assert_eq!(Some(content), b.get(name), "{name}");
    }
    assert_eq!(a.len(), b.len());
    let (before, after) = (one.view(), two.view());
    let head =
        |view: &crate::tree::View, at: &str| view.head(view.resolve(&path(at)).unwrap()).unwrap();
    let (old, new) = (head(&before, "/user/gitignore"), head(&after, "/user/gitignore"));
    assert_eq!((old.created, old.updated, old.mtime), (new.created, new.updated, new.mtime));
    let there = after.resolve(&path("/user")).unwrap();
    let git = after.child(there, ".git").unwrap().unwrap();
    let link = after.child(git.id, "link").unwrap().unwrap();
    assert_eq!(after.content(&root(), link.id).unwrap(), Content::from("HEAD"));
    assert!(after.child(there, "note~").unwrap().is_some());
    let hash = |view: &crate::tree::View| view.user_by_name("sato").unwrap().password.clone();
    assert!(hash(&after).is_some());
    assert_eq!(hash(&before), hash(&after));
    let full = restore(&two, &root(), &archive, &spool, &[&keys], false, &mut |_| ());
    assert_eq!(full.unwrap_err().kind(), Kind::NotEmpty);
}

// rule: tree/privileged
#[test]
fn a_backup_is_for_privileged_callers() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree();
    let archive = dir.path().join("b.zip");
    let options = backup::Options::default();
    let refused = backup(&tree.view(), &who(User::GUEST), &archive, &options, &mut |_| ());
    assert_eq!(refused.unwrap_err().kind(), Kind::Denied);
    assert!(!archive.exists());
}
