//! Backup, restore, export and import from the command line.

use serde_json::json;

use crate::support::{Options, Server, kompira};

// rule: http/backup
#[test]
fn a_backup_restored_elsewhere_holds_objects_users_and_passwords() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "note", "Text", json!({"text": "世界\r\n"}));
    let login = json!({"user": "ops", "password": "s3cret"});
    client.create("/root", "login", "AccountInfo", login);
    let user = json!({"username": "mika", "password": "correct horse 8", "groups": ["wheel"]});
    client.post("/config/user", &user).expect(201);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("b.zip");
    let archive_text = archive.to_str().unwrap();
    assert_eq!(server.stdout(&["backup", archive_text]).trim(), archive_text);
    assert!(server.stdout(&["backup", "--verify", archive_text]).contains("is whole"));
    let again = server.run(&["backup", archive_text]);
    assert_eq!(again.status.code(), Some(1), "an archive is not overwritten");
    let new = dir.path().join("new");
    let restored = kompira()
        .args(["restore", archive_text, "--data"])
        .arg(&new)
        .arg("--secret-key-file")
        .arg(server.data().join(".secret_key"))
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let copy = Server::on(&new, &Options::default());
    let copied = copy.client();
    assert_eq!(copied.get("/root/note").expect(200).json()["fields"]["text"], "世界\r\n");
    assert_eq!(copied.get("/root/login").json()["fields"]["password"], "s3cret");
    let users = copied.get("/config/user?username=mika").json();
    assert_eq!(users["results"][0]["groups"], json!(["wheel"]));
    let over = copy.run(&["restore", archive_text]);
    assert_eq!(over.status.code(), Some(1), "a tree that holds something is not touched");
}

// rule: http/backup
#[test]
fn a_damaged_archive_is_told_and_nothing_is_restored() {
    let server = Server::start();
    server.client().create("/root", "note", "Text", json!({"text": "x".repeat(10_000)}));
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("b.zip");
    server.stdout(&["backup", archive.to_str().unwrap()]);
    let mut bytes = std::fs::read(&archive).unwrap();
    // More than one header between two contents, of which some parts do not matter.
    let middle = bytes.len() / 3;
    bytes[middle..middle + 400].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(&archive, bytes).unwrap();
    let verified = server.run(&["backup", "--verify", archive.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(1));
    let new = dir.path().join("new");
    let restored = kompira().arg("restore").arg(&archive).arg("--data").arg(&new).output().unwrap();
    assert_eq!(restored.status.code(), Some(1));
    let copy = Server::on(&new, &Options::default());
    assert_eq!(copy.client().get("/root.children").expect(200).json()["count"], 0);
}

// rule: http/transfer
#[test]
fn what_is_exported_can_be_imported_elsewhere() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "jobs", "Directory", json!({}));
    client.create("/root/jobs", "hello", "Jobflow", json!({"source": "print('hi')\n"}));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    server.stdout(&["export_dir", "/root/jobs", "--current", out, "--property_mode"]);
    let file = std::fs::read_to_string(dir.path().join("root/jobs/hello")).unwrap();
    assert_eq!(file, "print('hi')\n");
    let other = Server::start();
    other.stdout(&["import-dir", "--linesep", "no_change", out]);
    let read = other.client().get("/root/jobs/hello").expect(200).json();
    assert_eq!(read["fields"]["source"], "print('hi')\n");
    assert_eq!(other.stdout(&["run", "/root/jobs/hello"]), "hi\n");
    let missing = server.run(&["export-dir", "/nowhere", "--current", out]);
    assert_eq!(missing.status.code(), Some(1));
    let by_url = kompira()
        .args(["export-dir", "/root", "--current", out, "--url", server.url()])
        .args(["--token", server.token()])
        .output()
        .unwrap();
    assert_eq!(by_url.status.code(), Some(3), "files are the server owner's affair");
}

// rule: http/fsck
#[test]
fn a_store_in_use_is_clean() {
    let server = Server::start();
    let client = server.client();
    for number in 0..20 {
        client.create("/root", &format!("t{number}"), "Text", json!({"text": "x"}));
    }
    client.delete("/root/t3").expect(204);
    let report: serde_json::Value =
        serde_json::from_str(&server.stdout(&["fsck", "--bytes", "--json"])).unwrap();
    assert_eq!(report["clean"], true, "{report:#}");
    assert!(report["nodes"].as_u64().unwrap() > 20);
}

// rule: http/refs
#[test]
fn the_objects_that_refer_to_one_are_found() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "login", "AccountInfo", json!({"user": "ops"}));
    client.create("/root", "web", "NodeInfo", json!({"hostname": "web", "account": "/root/login"}));
    assert_eq!(server.stdout(&["refs", "/root/login"]), "/root/web\taccount\n");
    assert_eq!(server.run(&["refs", "/root/nosuch"]).status.code(), Some(1));
}
