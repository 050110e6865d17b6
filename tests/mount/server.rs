//! A real server with a mount: what it does at its death, and that all faces hold the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::place::within;
use crate::support::{Options, Server};

/// A server with a mount below `dir`; `None` where nothing can be mounted.
fn serve(dir: &Path) -> Option<Server> {
    if !Path::new("/dev/fuse").exists() {
        println!("skipped: /dev/fuse is missing, nothing can be mounted here");
        return None;
    }
    Some(Server::on(&dir.join("data"), &Options { mount: true, ..Options::default() }))
}

/// Whether a process runs whose arguments hold these two one after the other.
fn runs(first: &str, second: &str) -> bool {
    let wanted = format!("\0{first}\0{second}\0");
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&wanted)
    })
}

fn sh(dir: &Path, script: &str) -> String {
    let output = Command::new("bash").args(["-euc", script]).current_dir(dir).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// rule: files/killed-server
#[test]
fn a_server_killed_under_load_ends_at_once_and_its_mount_is_taken_over() {
    let base = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let Some(mut server) = serve(base.path()) else { return };
        let (pid, mount) = (server.pid().to_string(), server.mount().join("root"));
        assert!(runs("__guard", &pid), "a server that mounts has a guard");
        let client = server.client();
        // Both doors change one directory until the server is gone.
        let files = std::thread::spawn(move || {
            for number in 0.. {
                if fs::write(mount.join(format!("f{round}_{number}.txt")), "x").is_err() {
                    return number;
                }
            }
            0
        });
        let objects = std::thread::spawn(move || {
            for number in 0.. {
                let name = format!("o{round}_{number}");
                let body = json!({"name": name, "type_object": "/system/types/Text"});
                let reply = std::panic::catch_unwind(|| client.post("/root", &body).status);
                if reply.ok() != Some(201) {
                    return number;
                }
            }
            0
        });
        std::thread::sleep(Duration::from_millis(250));
        let took = std::time::Instant::now();
        server.kill();
        assert!(took.elapsed() < Duration::from_secs(5), "{:?}", took.elapsed());
        let (files, objects) = (files.join().unwrap(), objects.join().unwrap());
        assert!(files > 0 && objects > 0, "{files} files, {objects} objects");
        within(Duration::from_secs(5), || !runs("__guard", &pid));
        let Some(again) = serve(base.path()) else { return };
        assert_eq!(fs::read(again.mount().join(format!("root/f{round}_0.txt"))).unwrap(), b"x");
    }
}

// rule: files/changes
#[test]
fn a_change_through_one_door_is_seen_through_the_other() {
    let base = tempfile::tempdir().unwrap();
    let Some(server) = serve(base.path()) else { return };
    let (client, root) = (server.client(), server.mount().join("root"));
    client.create("/root", "note", "Text", json!({"text": "0"}));
    within(Duration::from_secs(2), || fs::read(root.join("note")).is_ok());
    let mut waits = Vec::new();
    for number in 1..=20 {
        let text = number.to_string();
        client.patch("/root/note", &json!({"fields": {"text": text}})).expect(200);
        let seen = || fs::read_to_string(root.join("note")).unwrap() == text;
        waits.push(within(Duration::from_secs(1), seen));
        // The other way there is nothing to wait for.
        fs::write(root.join("note"), format!("{number} from the mount")).unwrap();
        let read = client.get("/root/note").expect(200).json();
        assert_eq!(read["fields"]["text"], format!("{number} from the mount"));
    }
    waits.sort();
    println!("seen on the mount after {:?} (median), {:?} (longest)", waits[10], waits[19]);
}

// rule: files/plain
#[test]
fn a_copy_of_the_mount_an_export_and_the_archive_are_the_same_bytes() {
    let base = tempfile::tempdir().unwrap();
    let Some(server) = serve(base.path()) else { return };
    let (client, root) = (server.client(), server.mount().join("root"));
    // Bare objects, objects with records, rows of a Table, a file of a field, Japanese names.
    sh(
        &root,
        "mkdir -p ops/日本 && cd ops && printf 'print(1)\\r\\n' > hello.jobflow \
         && printf '#!/bin/sh\\necho 1\\n' > run.sh && chmod +x run.sh \
         && printf '= wiki =\\n' > 日本/page.md && head -c 70000 /dev/urandom > photo.png \
         && printf plain > note && touch -d '2020-01-02 03:04:05' note && printf '' > empty.txt",
    );
    client.patch("/root/ops/note", &json!({"description": "述べる: \"x\"\n"})).expect(200);
    client.patch("/root/ops", &json!({"display_name": "運用"})).expect(200);
    let login = json!({"user": "ops", "password": "s3cret"});
    client.create("/root/ops", "login", "AccountInfo", login);
    client.create("/root/ops", "hosts", "Table", json!({"typeObject": "/system/types/NodeInfo"}));
    let host = json!({"hostname": "web.example", "account": "/root/ops/login"});
    client.create("/root/ops/hosts", "web", "NodeInfo", host);
    let out = base.path().join("out");
    fs::create_dir_all(out.join("copy")).unwrap();
    sh(&root, &format!("cp -a ops .ops '{}/copy/'", out.display()));
    let export = |server: &Server, to: &str| {
        let to = out.join(to);
        fs::create_dir_all(&to).unwrap();
        let to = to.to_str().unwrap();
        let options = ["--property-mode", "--linesep=no_change"];
        server.stdout(&[&["export-dir", "/root/ops", "--current", to], &options[..]].concat());
    };
    export(&server, "export");
    let archive = out.join("b.zip");
    server.stdout(&["backup", archive.to_str().unwrap()]);
    let unzip = "import sys, zipfile; zipfile.ZipFile('b.zip').extractall('archive')";
    sh(&out, &format!("python3 -c \"{unzip}\""));
    for other in ["export", "archive/tree"] {
        sh(&out, &format!("diff -r copy/ops {other}/root/ops && diff copy/.ops {other}/root/.ops"));
    }
    let names = sh(&out, "cd copy && find . -type f | sort");
    for name in ["./.ops", "./ops/.note", "./ops/hello.jobflow", "./ops/日本/page.md"] {
        assert!(names.lines().any(|line| line == name), "{name}: {names}");
    }
    // The same key: sealed passwords are the same text.
    let other = out.join("other");
    fs::create_dir_all(&other).unwrap();
    fs::copy(server.data().join(".secret_key"), other.join(".secret_key")).unwrap();
    let other = Server::on(&other, &Options::default());
    let from = out.join("export");
    other.stdout(&["import-dir", "--linesep=no_change", from.to_str().unwrap()]);
    let read = other.client().get("/root/ops/login").expect(200).json();
    assert_eq!(read["fields"]["password"], "s3cret");
    export(&other, "again");
    sh(&out, "diff -r export again");
}
