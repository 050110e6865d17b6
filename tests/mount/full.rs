//! A server whose disk is full.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Disk, Options, Server};

/// Takes all that is free; whether that was something.
fn fill(rest: &mut fs::File) -> bool {
    let before = rest.metadata().unwrap().len();
    while rest.write_all(&[0; 4096]).is_ok() {}
    rest.metadata().unwrap().len() > before
}

// rule: operations/disk-full
#[test]
fn a_full_disk_stops_writes_with_a_clear_error_and_loses_nothing() {
    let Some(disk) = Disk::new("96m") else { return };
    fs::write(disk.at("ballast"), vec![b'7'; 24 << 20]).unwrap();
    let mount = Path::new("/dev/fuse").exists();
    let options = Options { mount, ..Options::default() };
    let data = disk.at("data");
    let mut server = Server::on(&data, &options);
    let client = server.client();
    let text = |number: u32| {
        // Not compressible, and different each time.
        let seed = blake3::hash(&number.to_le_bytes());
        let mut bytes = vec![0; 24_000];
        let mut reader = blake3::Hasher::new().update(seed.as_bytes()).finalize_xof();
        reader.fill(&mut bytes);
        bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect::<String>()
    };
    let body = |number: u32| json!({"name": format!("t{number}"), "type_object": "/system/types/Text", "fields": {"text": text(number)}});
    let mut made = 0;
    let refused = loop {
        let reply = client.post("/root", &body(made));
        if reply.status != 201 {
            break reply;
        }
        made += 1;
        assert!(made < 8_000, "the disk never fills");
    };
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(refused.text().contains("free space"), "{}", refused.text());
    assert!(made > 20, "{made}");
    // The rest is taken too: not even small things fit.
    let mut rest = fs::File::create(disk.at("rest")).unwrap();
    while fill(&mut rest) {
        // What is being written out just now may still free a log.
        std::thread::sleep(Duration::from_millis(300));
    }
    // What is open keeps its space when its name is removed.
    drop(rest);
    assert_eq!(client.post("/root", &body(made)).status, 507);
    for number in 0..made {
        let read = client.get(&format!("/root/t{number}")).expect(200).json();
        assert_eq!(read["fields"]["text"].as_str(), Some(&*text(number)), "t{number}");
    }
    if mount {
        // `cp` looks at what close() answers, as editors and rsync do.
        let source = disk.at("ballast");
        let mut copy = Command::new("cp");
        let copied = copy.arg("-T").arg(source).arg(server.mount().join("root/new.txt")).output();
        let said = String::from_utf8(copied.unwrap().stderr).unwrap();
        assert!(said.contains("No space left on device"), "{said}");
        let mut file = fs::File::create(server.mount().join("root/other.txt")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(28), "ENOSPC");
    }
    fs::remove_file(disk.at("ballast")).unwrap();
    fs::remove_file(disk.at("rest")).unwrap();
    let freed = Instant::now();
    while client.post("/root", &body(made)).status != 201 {
        assert!(freed.elapsed() < Duration::from_secs(15), "writes do not resume");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.kill();
    let again = Server::on(&data, &options);
    let client = again.client();
    for number in 0..=made {
        let read = client.get(&format!("/root/t{number}")).expect(200).json();
        assert_eq!(read["fields"]["text"].as_str(), Some(&*text(number)), "t{number}");
    }
    let report = again.stdout(&["fsck", "--json"]);
    assert!(report.contains("\"clean\": true") || report.contains("\"clean\":true"), "{report}");
}
