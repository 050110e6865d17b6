use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn object(stem: &str, suffix: Option<&str>) -> FileName {
    FileName::Object { stem: Stem::Name(name(stem)), suffix: suffix.map(str::to_owned) }
}

// rule: files/short_stem
#[test]
fn short_stems_are_those_of_the_specification() {
    let long = name(&"監視".repeat(64));
    let short = stem(&long, None);
    assert_eq!(short, format!("{}~84ab511811ea6021", "監視".repeat(30)));
    assert_eq!(stem(&name("gitignore"), None), "gitignore~c81ac631c8df859b");
    assert_eq!(sidecar(&name("gitignore"), None), ".gitignore~c81ac631c8df859b");
}

// rule: files/stem
#[test]
fn a_stem_is_the_name_up_to_its_limit() {
    let at = name(&format!("{}aa", "監".repeat(82)));
    assert_eq!(at.as_str().len(), STEM_BYTES_MAX);
    assert_eq!(stem(&at, None), at.as_str());
    assert_eq!(companion(&at, None).len(), FILE_NAME_BYTES_MAX);
    let past = name(&format!("{}aaa", "監".repeat(82)));
    assert!(is_short(&stem(&past, None)));
    assert!(is_short(&stem(&at, Some("jobflow"))), "the suffix counts too");
    assert!(!is_short(&stem(&at, Some("abcdef"))), "up to 255 bytes");
}

// rule: files/names
#[test]
fn a_file_name_says_what_it_is() {
    for (file, meant) in [
        ("deploy", object("deploy", None)),
        ("deploy.jobflow", object("deploy", Some("jobflow"))),
        ("か\u{3099}.txt", object("が", Some("txt"))),
        (".deploy", FileName::Sidecar(Stem::Name(name("deploy")))),
        (".deploy.files", FileName::Companion(Stem::Name(name("deploy")))),
        (".gitignore~c81ac631c8df859b", FileName::Sidecar(Stem::Name(name("gitignore")))),
        ("sedAb12Cd", object("sedAb12Cd", None)),
        ("git", object("git", None)),
        ("archive.c++", object("archive", Some("c++"))),
        ("note.origin", object("note", Some("origin"))),
    ] {
        assert_eq!(classify(file), meant, "{file}");
    }
    assert!(matches!(
        classify("abc~0123456789abcdef"),
        FileName::Object { stem: Stem::Short(_), suffix: None }
    ));
}

// rule: files/scratch
#[test]
fn names_of_tools_are_scratch() {
    for file in [
        ".git",
        ".gitignore",
        ".deploy.swp",
        ".deploy.jobflow.Xa81bC",
        "..deploy.Xa81bC",
        ".#deploy",
        "deploy~",
        "my-script.sh~",
        "#deploy#",
        "4913",
        "deploy.bak",
        "deploy.sh.orig",
        "a.rej",
        "deploy.tmp",
        "x.lock",
        "repo.git",
        "x.oAb12Cd",
        ".nfs000123",
        ".fuse_hidden01",
        ".Trash-1000",
        ".a.rejected",
        ".kompira",
        ".a-b",
        ".1",
        ".x.yaml",
        ".a-b.files",
        ".files",
        ".goutputstream-1A2B3C",
    ] {
        if file == ".files" {
            // `files` is a name like any other.
            assert!(matches!(classify(file), FileName::Sidecar(_)), "{file}");
        } else {
            assert_eq!(classify(file), FileName::Scratch, "{file}");
        }
    }
}

// rule: files/illegal
#[test]
fn other_names_are_refused() {
    for file in [
        "",
        "my-script.sh",
        "a.b.c",
        "a.",
        "1a",
        "2024.txt",
        "a b",
        "x.a b",
        "~",
        "a~b",
        "##",
        "a\0b",
        "a/b",
        "a\nb",
        "x.tar.gz",
    ] {
        assert_eq!(classify(file), FileName::Illegal, "{file:?}");
    }
    assert_eq!(classify(&"a".repeat(129)), FileName::Illegal, "one past a name's limit");
    assert_eq!(classify(&format!("a.{}", "b".repeat(SUFFIX_BYTES_MAX + 1))), FileName::Illegal);
    assert_eq!(classify(&format!("{}~", "b".repeat(255))), FileName::Illegal, "256 bytes");
    assert_eq!(classify(&format!("{}~", "b".repeat(254))), FileName::Scratch, "255 bytes");
}

// rule: files/reserved
#[test]
fn an_object_whose_sidecar_is_reserved_has_a_short_stem() {
    for text in ["git", "gitignore", "hg", "kompira", "nfsserver", "DS_Store", "Trashcan", "vscode"]
    {
        let name_of = name(text);
        let stem = stem(&name_of, None);
        assert!(is_short(&stem), "{text}");
        assert_eq!(classify(&stem), object(text, None), "{text}");
        assert_eq!(classify(&format!(".{stem}")), FileName::Sidecar(Stem::Name(name(text))));
    }
}

// rule: files/creation
#[test]
fn a_new_file_becomes_what_its_place_suffix_and_content_say() {
    let suffixes =
        Suffixes::new([("jobflow", "Jobflow"), ("py", "Library"), ("txt", "Text"), ("md", "Wiki")]);
    let made = |table, suffix, content: &[u8]| {
        rule(table, suffix, &suffixes, content, |c| c.starts_with(b"type_object:"))
    };
    let of = |name: &str| Made::Type(name.to_owned());
    assert_eq!(made(true, Some("jobflow"), b"x"), Made::TableType);
    assert_eq!(made(false, Some("jobflow"), b"#! x"), of("Jobflow"));
    assert_eq!(made(false, Some("JOBFLOW"), b""), of("Jobflow"));
    assert_eq!(made(false, Some("py"), b"import os"), of("Library"));
    assert_eq!(made(false, Some("py"), b"#!/usr/bin/python"), of("ScriptJob"));
    assert_eq!(made(false, Some("png"), b"text"), Made::Attached);
    assert_eq!(made(false, Some("txt"), b"\xff\xfe"), Made::Attached);
    assert_eq!(made(false, Some("yaml"), b"type_object: /system/types/Text"), Made::Record);
    assert_eq!(made(false, Some("yaml"), b"a: 1"), of("Text"));
    assert_eq!(made(false, None, b"#!/bin/sh\n"), of("ScriptJob"));
    assert_eq!(made(false, None, b"type_object: x"), Made::Record);
    assert_eq!(made(false, None, b"# type_object"), of("Text"));
    assert_eq!(made(false, None, b""), of("Text"));
    assert_eq!(made(false, None, b"a\0b"), Made::Attached);
}

// rule: files/attachments
#[test]
fn an_attachment_may_have_any_name() {
    assert_eq!(escape("quick/start"), "quick%2Fstart");
    assert_eq!(escape(".."), "%2E.");
    assert_eq!(escape("100%\n"), "100%25%0A");
    assert_eq!(escape("報告.pdf"), "報告.pdf");
    assert_eq!(unescape(&escape("")), "");
    let long = format!("{}.pdf", "長".repeat(100));
    let cut = escape(&long);
    assert!(cut.len() <= 200 && cut.ends_with(".pdf") && cut.contains('~'), "{cut}");
}

#[test]
fn a_refused_text_has_a_reserved_name() {
    for file in ["deploy", ".deploy", "deploy.jobflow", &"監".repeat(85)] {
        let name = rejected(file);
        assert!(is_reserved(&name) && name.len() <= FILE_NAME_BYTES_MAX, "{name}");
    }
}

fn any_name() -> impl Strategy<Value = Name> {
    "[\\p{L}_][\\p{L}\\p{Nd}_]{0,127}"
        .prop_filter_map("not NFC stable or too long", |text| Name::new(&text).ok())
}

fn any_suffix() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(
        "[a-z0-9A-Z+_-]{1,12}"
            .prop_filter("a tool's ending", |suffix| !is_scratch(&format!("a.{suffix}"))),
    )
}

proptest! {
    #[test]
    fn a_name_comes_back_from_its_file_names(name in any_name(), suffix in any_suffix()) {
        let suffix = suffix.as_deref();
        let shown = stem(&name, suffix);
        for file in [file_name(&name, suffix), sidecar(&name, suffix), companion(&name, suffix)] {
            prop_assert!(file.len() <= FILE_NAME_BYTES_MAX);
        }
        let back = |stem: &Stem| match stem {
            Stem::Name(back) => *back == name,
            Stem::Short(text) => *text == *shown && name.as_str().starts_with(prefix_of_short(text).unwrap()),
        };
        let FileName::Object { stem, suffix: again } = classify(&file_name(&name, suffix)) else {
            return Err(TestCaseError::fail("an object's file"));
        };
        prop_assert!(back(&stem));
        prop_assert_eq!(again.as_deref(), suffix);
        let FileName::Sidecar(stem) = classify(&sidecar(&name, suffix)) else {
            return Err(TestCaseError::fail("a sidecar"));
        };
        prop_assert!(back(&stem));
        let FileName::Companion(stem) = classify(&companion(&name, suffix)) else {
            return Err(TestCaseError::fail("a companion"));
        };
        prop_assert!(back(&stem));
    }

    #[test]
    fn no_file_name_makes_the_reader_stumble(file in "\\PC{0,40}") {
        let _ = classify(&file);
        prop_assert!(!escape(&file).contains('/'));
        prop_assert_eq!(unescape(&escape(&file)), file);
    }
}
