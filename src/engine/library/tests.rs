use std::fs;

use crate::base::clock::Fake;
use crate::secrets::Keys;
use crate::store::Store;
use crate::tree::{Options, Tree};

use super::*;

fn tree() -> Tree {
    let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
    let options = Options { initial_password: Some("root-password".into()), ..Options::default() };
    let keys = Arc::new(Keys::from_text("a key of the tests"));
    Tree::new(Store::memory(), keys, clock, options).unwrap().0
}

// rule: tree/library-modules
#[test]
fn a_module_whose_name_begins_like_the_tree_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("objects_db.py"), "x = 1\n").unwrap();
    let view = tree().view();
    let find = |kind, name: &str| find((&view, dir.path()), kind, name);
    let Some(Found::Library { path, .. }) = find(Kind::Source, "kompira.library.objects_db") else {
        panic!("it is there")
    };
    assert_eq!(path, "kompira.library.objects_db");
    assert!(find(Kind::Safe, "kompira.library.objects_db").is_none());
    assert!(find(Kind::Source, "kompira.library.objects_dc").is_none());
    // Objects are looked for in the tree alone.
    fs::create_dir(dir.path().join("objects")).unwrap();
    fs::write(dir.path().join("objects/db.py"), "x = 1\n").unwrap();
    assert!(find(Kind::Source, "kompira.library.objects.db").is_none());
}

// rule: tree/library-modules
#[test]
fn a_changed_file_is_noticed_after_a_while_though_nothing_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tools.py");
    fs::write(&file, "x = 1\n").unwrap();
    let view = tree().view();
    let from = (&view, dir.path());
    let names = ["kompira.library.objects.none", "kompira.library.tools"];
    let needs = |count| -> Needs {
        let names = names.iter().take(count);
        names
            .map(|name| ((*name).to_owned(), mark(find(from, Kind::Source, name).as_ref())))
            .collect()
    };
    let known = |needs| {
        let which = (Kind::Source, "m".to_owned());
        Known::new(which, needs, Ok(Loaded { document: None }), view.rev().0, None)
    };
    let (of_file, of_tree) = (known(needs(2)), known(needs(1)));
    let holds =
        |known: &Known, later| known.holds_at(from, Kind::Source, "m", Instant::now() + later);
    // Still the same, and looked at.
    assert!(holds(&of_file, RETRY));
    fs::remove_file(&file).unwrap();
    assert!(holds(&of_file, Duration::ZERO));
    assert!(!holds(&of_file, 2 * RETRY));
    assert!(holds(&of_tree, 2 * RETRY));
}
