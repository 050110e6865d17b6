//! vim, sed, cp, rsync, tar, rm, mv, git, patch and two writers.

use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::place::{Place, has, within};
use crate::reference::faces::Disk;
use crate::reference::run::{all, compare, op};

macro_rules! place {
    () => {
        match Place::new() {
            Some(place) => place,
            None => return,
        }
    };
}

/// A small tree: bare objects, one with a record, one that is YAML, scratch.
const TREE: &str = r#"
mkdir -p src/sub src/empty
printf "print('x')\n" > src/flow.jobflow
printf '#!/bin/sh\necho hi\n' > src/check.sh; chmod 755 src/check.sh
printf '# page\n' > src/README.md
printf 'type_object: /system/types/Wiki\ndescription: d\nfields:\n  style: Creole\n' > src/.README
printf 'type_object: /system/types/Channel\nfields: {}\n' > src/alerts
head -c 200000 /dev/urandom > src/sub/photo.png
printf 'text\n' > src/sub/日本
printf 'old\n' > src/note.bak
"#;

// rule: files/saving
#[test]
fn vim_saves_an_object_with_and_without_a_backup() {
    let place = place!();
    if !has("vim") {
        return;
    }
    place.sh("printf 'one\\n' > note; printf 'type_object: /system/types/Jobflow\\ndescription: d\\nfields: {}\\n' > .note");
    let id = place.id("/d/note");
    for options in
        ["", "set backupcopy=no", "set backupcopy=yes", "set backup", "set nowritebackup"]
    {
        place.sh(&format!("vim -es -u NONE -c 'set backupskip=' -c '{options}' -c '%s/one/two/e' -c 'normal ggIx' -c wq note </dev/null"));
    }
    assert_eq!(place.sh("cat note"), "xxxxxtwo\n");
    assert_eq!(place.id("/d/note"), id);
    assert_eq!(place.type_of("/d/note"), "Jobflow");
    assert_eq!(place.sh("ls -A"), ".note\nnote\nnote~\n");
}

// rule: files/saving
#[test]
fn sed_in_place_keeps_the_object() {
    let place = place!();
    place.sh("printf 'one\\n' > flow.jobflow; printf 'type_object: /system/types/Channel\\nfields: {}\\n' > alerts");
    let (id, other) = (place.id("/d/flow"), place.id("/d/alerts"));
    place.sh(
        "sed -i s/one/two/ flow.jobflow; cat flow.jobflow; sed -i.bak s/two/three/ flow.jobflow",
    );
    assert_eq!(place.sh("cat flow.jobflow flow.jobflow.bak"), "three\ntwo\n");
    assert_eq!(place.id("/d/flow"), id);
    place.sh("sed -i 's/^fields:/description: loud\\nfields:/' alerts; grep -q loud alerts");
    assert_eq!(place.id("/d/alerts"), other);
    assert_eq!(place.object("/d/alerts").unwrap().stub.description, "loud");
    assert_eq!(place.sh("ls"), "alerts\nflow.jobflow\nflow.jobflow.bak\n");
}

// rule: files/plain
#[test]
fn cp_tar_and_rsync_in_and_out_give_the_same_bytes() {
    let place = place!();
    place.sh(TREE);
    place
        .sh("cp -a src $OUT/out; diff -r src $OUT/out; cp -a $OUT/out back; diff -r $OUT/out back");
    assert_eq!(place.type_of("/d/back/alerts"), "Channel");
    assert_eq!(place.object("/d/back/README").unwrap().stub.description, "d");
    assert_eq!(place.sh("stat -c %a back/check.sh"), "755\n");
    assert_eq!(place.sh("stat -c %Y src/check.sh"), place.sh("stat -c %Y back/check.sh"));
    place.sh(
        "tar cf $OUT/all.tar src; mkdir there; tar xf $OUT/all.tar -C there; diff -r src there/src",
    );
    place.sh("cp -a src copy; diff -r src copy");
    if has("rsync") {
        place.sh("rsync -a $OUT/out/ synced/; diff -r $OUT/out synced");
        let second = place
            .sh("rsync -ai $OUT/out/ synced/ | grep -v /$ | grep '^>f' | grep -v alerts || true");
        assert_eq!(second, "", "nothing is sent twice");
        place.sh(
            "printf more >> $OUT/out/check.sh; rsync -a $OUT/out/ synced/; diff -r $OUT/out synced",
        );
    }
}

// rule: files/ghosts
#[test]
fn move_all_and_remove_all() {
    let place = place!();
    place.sh(TREE);
    let id = place.id("/d/src/README");
    place.sh("cp -a src $OUT/src; mkdir dest; shopt -s dotglob; mv src/* dest/; diff -r dest $OUT/src; rmdir src");
    assert_eq!(place.id("/d/dest/README"), id);
    place.sh("mv dest other; diff -r other $OUT/src; rm -r other; test -z \"$(ls -A)\"");
    place.sh(TREE);
    place.sh("rm -rf src; test ! -e src; mkdir src; rmdir src");
}

// rule: files/scratch
#[test]
fn git_works_in_the_mount() {
    let place = place!();
    if !has("git") {
        return;
    }
    place.sh(TREE);
    let commit = "git -c user.name=t -c user.email=t@t.example commit -qm";
    place.sh(&format!(
        "set -x; cd src; git init -q -b main; git add -A; {commit} first; git status --porcelain; test -z \"$(git status --porcelain)\"
         git checkout -qb other; printf '# other\\n' > README.md; printf new > new.txt; git rm -q flow.jobflow
         git add -A; {commit} second; git checkout -q main; test -z \"$(git status --porcelain)\"
         cat README.md; test -e flow.jobflow; test ! -e new.txt
         git checkout -q other; test \"$(cat README.md)\" = '# other'; test ! -e flow.jobflow
         git fsck --full 2>&1; git gc -q"
    ));
    assert!(place.object("/d/src/flow").is_none());
    assert_eq!(place.type_of("/d/src/new"), "Text");
    place.sh("git clone -q src clone; cd clone; git checkout -q main; test -z \"$(git status --porcelain)\"; cat .README; rm -rf .git; ls -A");
    assert_eq!(place.object("/d/clone/README").unwrap().stub.description, "d");
    place.sh("git clone -q --bare src repo.git; git -C repo.git fsck 2>&1; rm -rf src/.git; git clone -q repo.git third");
}

// rule: files/saving
#[test]
fn patch_append_and_exchange() {
    let place = place!();
    place.sh("printf 'a\\nb\\nc\\n' > list.txt; echo d >> list.txt; printf 'x\\n' > x.txt");
    let id = place.id("/d/list");
    if has("patch") {
        place.sh("cp list.txt $OUT/list.txt; sed s/b/B/ list.txt > $OUT/new.txt; diff -u $OUT/list.txt $OUT/new.txt | patch -b list.txt");
        assert_eq!(place.sh("cat list.txt"), "a\nB\nc\nd\n");
        assert_eq!(place.sh("cat list.txt.orig"), "a\nb\nc\nd\n");
        assert_eq!(place.id("/d/list"), id);
    }
    place.sh("for n in 1 2 3; do echo $n; done > three.txt; (echo a; cat three.txt) > four.txt; truncate -s 3 four.txt");
    assert_eq!(place.sh("cat three.txt four.txt"), "1\n2\n3\na\n1");
    place.sh(": > three.txt; test ! -s three.txt; touch new.txt; test -f new.txt; dd if=/dev/zero of=z.bin bs=64k count=20 conv=fsync 2>/dev/null; test $(stat -c %s z.bin) = 1310720");
}

// rule: files/conflicts
#[test]
fn two_writers_and_two_doors() {
    let place = place!();
    place.sh("printf start > shared.txt");
    let script = "for i in $(seq 100); do printf '%s' \"$(printf \"$W%.0s\" $(seq 5000))\" > .shared.$W$$ab; mv .shared.$W$$ab shared.txt; done";
    let dir = place.dir();
    std::thread::scope(|scope| {
        for writer in ["a", "b"] {
            let place = &place;
            scope.spawn(move || place.sh(&format!("W={writer}; ab=X; {script}")));
        }
        for _ in 0..2000 {
            let Ok(bytes) = fs::read(dir.join("shared.txt")) else { continue };
            let first = bytes.first().copied().unwrap_or_default();
            assert!(bytes == b"start" || bytes.iter().all(|byte| *byte == first), "a mixture");
        }
    });
    assert_eq!(place.sh("ls -A"), "shared.txt\n");
    // The other door: seen here at once, and the other way round.
    for round in 0..20 {
        let text = format!("from the other door {round}");
        place.save("/d/shared", &text);
        let took = within(Duration::from_millis(1000), || {
            fs::read_to_string(dir.join("shared.txt")).unwrap() == text
        });
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
    place.sh("printf mine > shared.txt");
    assert_eq!(place.object("/d/shared").unwrap().fields["text"], "mine".into());
}

// rule: files/rejected
#[test]
fn a_refused_save_is_told_by_close() {
    let place = place!();
    place.sh("printf 'type_object: /system/types/Channel\\nfields: {}\\n' > alerts");
    let output = place.try_sh("printf 'type_object: [' | dd of=alerts conv=fsync 2>&1");
    assert!(!output.status.success());
    assert_eq!(
        place.sh("cat alerts"),
        "type_object: /system/types/Channel\nfields: {}\n"
            .replace("fields: {}\n", &place.sh("sed -n '2,$p' alerts"))
    );
    place.sh("head -1 .alerts.rejected | grep '^# '; ls ../.kompira/rejected | grep alerts");
    let output = place.try_sh("printf x > my-script.sh");
    assert!(!output.status.success());
    place.sh("test -z \"$(ls my-script.sh 2>/dev/null)\"; cat ../config/user/root | grep 'username: root'");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // rule: files/plain
    #[test]
    fn a_mount_is_a_plain_file_system_for_bare_objects(
        ops in prop::collection::vec(op(), 50..150)
    ) {
        if let Some(place) = Place::new() {
            let plain = tempfile::tempdir().unwrap();
            compare(&mut Disk(plain.path().to_owned()), &mut Disk(place.dir()), &ops);
            prop_assert!(all(&mut Disk(place.dir())) == all(&mut Disk(plain.path().to_owned())));
        }
    }
}
