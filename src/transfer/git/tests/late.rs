//! What happens while an action runs, and how much of it there may be.

use super::*;

fn edit(tree: &Tree, at: &str, text: &str) {
    let done = tree.write(&who(User::ROOT), Durability::Lazy, |txn| {
        let id = txn.resolve(&path(at))?;
        let fields = Dict::from_iter([("text".to_owned(), Value::from(text))]);
        txn.update(id, None, Patch { fields, ..Patch::default() })
    });
    done.unwrap();
}

/// A git that fails.
fn refuses() -> Option<Ended> {
    Some(Ended { status: 1, out: Vec::new(), err: b"no room".to_vec() })
}

// rule: tree/repository-meanwhile
#[test]
fn an_edit_made_while_a_pull_runs_is_told_or_kept() {
    let mut lab = Lab::filled(&[
        ("a.txt", "one"),
        ("gone.txt", "g"),
        ("dropped.txt", "d"),
        ("kind.txt", "z"),
        ("other.txt", "o"),
    ]);
    lab.initialize();
    let files = [("a.txt", "two"), ("gone.txt", ""), ("dropped.txt", "e"), ("new.txt", "theirs")];
    lab.remote(&files, "second");
    // The export that the plan is made from cleans first, in the state it exports.
    lab.hook("clean", 1, |tree| {
        for at in ["/ops/a", "/ops/gone", "/ops/other"] {
            edit(tree, at, "meanwhile");
        }
        let done = tree.write(&who(User::ROOT), Durability::Lazy, |txn| {
            let (ops, kind) =
                (txn.resolve(&path("/ops"))?, txn.resolve(&path("/system/types/Text"))?);
            let fields = Dict::from_iter([("text".to_owned(), Value::from("ours"))]);
            txn.create(ops, &Name::new("new")?, kind, Draft { fields, ..Draft::default() })?;
            let dropped = txn.resolve(&path("/ops/dropped"))?;
            txn.delete(dropped)
        });
        done.unwrap();
        None
    });
    let told = lab.pull().unwrap();
    for at in ["/ops/a", "/ops/new", "/ops/dropped"] {
        assert!(told.contains(&format!("{at}: its change in the tree gave way")), "{at}: {told}");
    }
    assert_eq!(
        (lab.text("/ops/a", "text"), lab.text("/ops/new", "text")),
        ("two".into(), "theirs".into())
    );
    assert_eq!(lab.text("/ops/gone", "text"), "meanwhile");
    assert!(told.contains("/ops/gone: deleted in the repository, kept"), "{told}");
    // One that the pull did not touch is still a change: what deletes it there does not delete it.
    assert_eq!(lab.text("/ops/other", "text"), "meanwhile");
    assert!(!told.contains("/ops/other"), "{told}");
    lab.all.runner = Arc::new(Plain);
    lab.remote(&[("other.txt", "")], "third");
    let told = lab.pull().unwrap();
    assert!(told.contains("/ops/other: deleted in the repository, kept"), "{told}");
    assert_eq!(lab.text("/ops/other", "text"), "meanwhile");
    assert!(!told.contains("gave way"), "{told}");
}

// rule: tree/repository-meanwhile
#[test]
fn an_object_that_changed_while_a_pull_runs_does_not_give_way_to_another_type() {
    let wiki = "type_object: /system/types/Wiki\nfields:\n  wikitext: w\n";
    let text = "type_object: /system/types/Text\nfields:\n  text: f\n";
    let mut lab = Lab::filled(&[("full", text), ("kind.txt", "z")]);
    lab.initialize();
    lab.remote(&[("full", wiki), ("kind.txt", ""), ("kind.sh", "z")], "other types");
    lab.hook("clean", 1, |tree| {
        edit(tree, "/ops/full", "meanwhile");
        edit(tree, "/ops/kind", "meanwhile");
        None
    });
    let fault = lab.pull().unwrap_err();
    assert!(fault.text(Lang::En).contains("exists with another type"), "{fault:?}");
    assert_eq!(lab.text("/ops/full", "text"), "meanwhile");
    assert_eq!(lab.text("/ops/kind", "text"), "meanwhile");
}

// rule: tree/repository-meanwhile
#[test]
fn an_edit_right_after_the_import_is_a_change_since_it() {
    let mut lab = Lab::filled(&[("a.txt", "one"), ("b.txt", "b"), ("c.txt", "c")]);
    lab.initialize();
    lab.remote(&[("a.txt", "two")], "second");
    // The clone is told of the import before anybody looks at the tree again.
    lab.hook("update-ref", 1, |tree| {
        edit(tree, "/ops/a", "after");
        let done = tree.write(&who(User::ROOT), Durability::Lazy, |txn| {
            let c = txn.resolve(&path("/ops/c"))?;
            txn.delete(c)
        });
        done.unwrap();
        None
    });
    let told = lab.pull().unwrap();
    assert!(!told.contains("gave way"), "{told}");
    assert_eq!(lab.text("/ops/a", "text"), "after");
    lab.all.runner = Arc::new(Plain);
    lab.remote(&[("a.txt", "")], "third");
    let told = lab.pull().unwrap();
    assert!(told.contains("/ops/a: deleted in the repository, kept"), "{told}");
    assert_eq!(lab.text("/ops/a", "text"), "after");
    // As with every deletion here that was not pushed: the repository has it still.
    assert!(told.contains("/ops/c: its change in the tree gave way"), "{told}");
    assert_eq!(lab.text("/ops/c", "text"), "c");
}

// rule: tree/repository-pull
#[test]
fn what_is_only_here_gives_way_to_nothing_and_is_not_told() {
    let lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    lab.add("/ops/mine", "Text", &[("text", "mine".into())]);
    let told = lab.pull().unwrap();
    assert!(!told.contains("/ops/mine"), "{told}");
}

// rule: tree/repository-pull
// rule: tree/repository-meanwhile
#[test]
fn an_edit_of_what_was_renamed_there_gives_way_under_its_new_name() {
    for is_late in [false, true] {
        let long = "a text that is long enough for git";
        let mut lab = Lab::filled(&[
            ("a.txt", long),
            ("dir/x.txt", "x text that is long enough for git"),
            ("dir/y.txt", "y"),
            ("same.txt", "s text that is long enough for git"),
        ]);
        lab.initialize();
        let ids = ["/ops/a", "/ops/dir/y"].map(|at| lab.id(at).unwrap());
        let other = lab.dir.path().join("other");
        git(&other, &["mv", "a.txt", "b.txt"]);
        git(&other, &["mv", "dir", "place"]);
        git(&other, &["mv", "same.txt", "other.txt"]);
        // Too short to be recognised: it goes with its directory.
        lab.remote(&[("place/y.txt", "quite another one")], "moved");
        let edits = |tree: &Tree| {
            for at in ["/ops/a", "/ops/dir/y"] {
                edit(tree, at, "mine");
            }
        };
        if is_late {
            lab.hook("clean", 1, move |tree| {
                edits(tree);
                None
            });
        } else {
            edits(&lab.tree);
        }
        let told = lab.pull().unwrap();
        assert_eq!(["/ops/b", "/ops/place/y"].map(|at| lab.id(at).unwrap()), ids, "{told}");
        assert_eq!(lab.text("/ops/b", "text"), long);
        assert_eq!(lab.text("/ops/place/y", "text"), "quite another one");
        for at in ["/ops/b", "/ops/place/y"] {
            assert!(told.contains(&format!("{at}: its change in the tree gave way")), "{told}");
        }
        assert_eq!(told.matches("gave way").count(), 2, "{told}");
    }
}

/// Fetches without end.
struct Endless;

impl Runner for Endless {
    fn run(&self, call: Call, stop: &dyn Fn() -> bool) -> Result<Ended, Broken> {
        let Some(at) = call.words.iter().position(|word| word == "fetch") else {
            return Plain.run(call, stop);
        };
        let pack = Path::new(&call.words[at - 1]).join(".git/objects/pack/tmp_pack_x");
        let mut file = std::fs::File::create(pack).unwrap();
        while !stop() {
            if file.metadata().unwrap().len() < 32 << 20 {
                std::io::Write::write_all(&mut file, &[7; 64 << 10]).unwrap();
            }
            std::thread::yield_now();
        }
        Err(Broken::Stopped)
    }
}

// rule: tree/repository-size
#[test]
fn git_is_ended_when_a_clone_becomes_too_large_and_the_clone_is_as_before() {
    let mut lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    lab.all.size_max = 8 << 20;
    lab.all.runner = Arc::new(Endless);
    let fault = lab.pull().unwrap_err();
    assert_eq!((fault.kind(), fault.told().key), (Kind::TooLarge, "git.too_large"));
    let place = lab.dir.path().join(format!("data/repository/id_{}/work", lab.repo));
    assert!(size::bytes_of(&place) < 4 << 20);
    lab.all.runner = Arc::new(Plain);
    lab.remote(&[("a.txt", "two")], "second");
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "two");
    assert!(lab.push("").unwrap().contains("nothing to commit"));
}

// rule: tree/repository-size
#[test]
fn a_repository_beyond_the_bound_is_not_taken() {
    let mut lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    let place = lab.dir.path().join(format!("data/repository/id_{}", lab.repo));
    lab.all.size_max = size::bytes_of(&place.join("work")) + (1 << 20);
    // Few bytes for git, many on the disk.
    lab.remote(&[("large.txt", &"x".repeat(4 << 20))], "large");
    for action in [Action::Pull { branch: None }, Action::Initialize] {
        let fault = lab.act(&action).unwrap_err();
        assert_eq!((fault.kind(), fault.told().key), (Kind::TooLarge, "git.too_large"));
        assert!(lab.id("/ops/large").is_none() && !place.join("new").exists());
    }
    lab.all.size_max = limits::REPOSITORY_MAX;
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/large", "text").len(), 4 << 20);
}

/// A text that git cannot make smaller.
fn noise(bytes: usize) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap())
    };
    (0..bytes).map(|_| next()).collect()
}

// rule: tree/repository-size
#[test]
fn what_was_fetched_beyond_the_bound_is_taken_back() {
    for is_killed in [false, true] {
        let mut lab = Lab::filled(&[("a.txt", "one")]);
        lab.remote_git(&["branch", "side", "main"]);
        lab.remote_git(&["branch", "kept", "main"]);
        lab.initialize();
        let work = lab.dir.path().join(format!("data/repository/id_{}/work", lab.repo));
        let state = || {
            let mut packs: Vec<_> = std::fs::read_dir(work.join(".git/objects/pack"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            packs.sort();
            (git(&work, &["for-each-ref"]), packs)
        };
        lab.pull().unwrap();
        let before = state();
        lab.all.size_max = size::bytes_of(&work) + (1 << 20);
        lab.remote(&[("large.txt", &noise(2 << 20))], "large");
        lab.remote_git(&["branch", "-D", "side"]);
        lab.remote_git(&["branch", "side/below", "main"]);
        lab.remote_git(&["branch", "-f", "kept", "main"]);
        if is_killed {
            // Nobody takes it back at once.
            lab.hook("--no-deref", 1, |_| refuses());
        }
        let fault = lab.pull().unwrap_err();
        assert_eq!((fault.kind(), fault.told().key), (Kind::TooLarge, "git.too_large"));
        assert_eq!(state() == before, !is_killed);
        lab.all.runner = Arc::new(Plain);
        let fault = lab.pull().unwrap_err();
        assert_eq!((fault.kind(), fault.told().key), (Kind::TooLarge, "git.too_large"));
        assert_eq!(state(), before);
        // There it goes again, and all is well.
        let other = lab.dir.path().join("other");
        git(&other, &["reset", "-q", "--hard", "HEAD~1"]);
        git(&other, &["push", "-q", "-f", "origin", "HEAD:main", "HEAD:kept", "HEAD:side/below"]);
        lab.remote(&[("a.txt", "two")], "second");
        lab.pull().unwrap();
        assert_eq!(lab.text("/ops/a", "text"), "two");
        git(&work, &["fsck", "--strict"]);
        assert!(lab.push("").unwrap().contains("nothing to commit"));
    }
}

// rule: tree/repository-truth
#[test]
fn a_pull_that_fails_after_its_import_says_that_the_tree_has_changed() {
    let mut lab = Lab::filled(&[("a.txt", "one")]);
    lab.initialize();
    lab.remote(&[("a.txt", "two")], "second");
    lab.hook("update-ref", 1, |_| refuses());
    let fault = lab.pull().unwrap_err();
    assert_eq!((fault.kind(), fault.told().key), (Kind::Outside, "git.not_noted"));
    let told = fault.text(Lang::En);
    assert!(told.contains("were imported") && told.contains("no room"), "{told}");
    assert_eq!(lab.text("/ops/a", "text"), "two");
    let log = lab.log();
    assert!(log.contains("to \"/ops/a\"") && log.contains("were imported"), "{log}");
    // Again, and all is well.
    lab.all.runner = Arc::new(Plain);
    lab.pull().unwrap();
    assert_eq!(lab.text("/ops/a", "text"), "two");
    assert!(lab.push("").unwrap().contains("nothing to commit"));
}

// rule: tree/repository-truth
#[test]
fn a_pull_whose_import_is_noted_has_succeeded() {
    let mut lab = Lab::filled(&[("a.txt", "one"), ("gone.txt", "g")]);
    lab.initialize();
    lab.remote(&[("a.txt", "two")], "second");
    lab.hook("write-tree", 2, |_| refuses());
    let told = lab.pull().unwrap();
    assert!(told.contains("warning: what the tree makes of the files"), "{told}");
    assert!(told.trim_end().lines().last().unwrap().contains("main: at "), "{told}");
    assert_eq!(lab.text("/ops/a", "text"), "two");
    lab.all.runner = Arc::new(Plain);
    lab.remote(&[("gone.txt", "")], "third");
    let told = lab.pull().unwrap();
    assert!(told.contains("/ops/gone: deleted") && !told.contains("gave way"), "{told}");
}
