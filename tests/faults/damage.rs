//! Files of the data directory are damaged while no server runs.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::shim::{self, Faulty, Random, files};
use crate::support::{Options, Server, kompira};

const OBJECTS: u32 = 40;

fn text(number: u32) -> String {
    format!("the text of {number}, line\n").repeat(120)
}

/// A directory with tables, a log and contents in files of their own.
fn filled(data: &Path) -> String {
    let mut server = Server::on(data, &Options::default());
    let client = server.client();
    for number in 0..OBJECTS {
        client.create("/root", &format!("t{number}"), "Text", json!({"text": text(number)}));
        if number == OBJECTS / 2 {
            // A backup writes out what lies in memory: half is in tables, half in the log.
            let to = data.with_extension("zip");
            server.stdout(&["backup", to.to_str().unwrap()]);
        }
    }
    let token = server.token().to_owned();
    assert!(server.stop().success());
    token
}

/// Damages one file; says how.
fn damage(data: &Path, random: &mut Random) -> String {
    let of_store: Vec<_> = files(&data.join("db"))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name != "LOCK" && !name.starts_with("LOG") && fs::metadata(path).unwrap().len() > 0
        })
        .collect();
    let at = usize::try_from(random.below(of_store.len() as u64)).unwrap();
    let path = &of_store[at];
    let size = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let how = match random.below(5) {
        0 => {
            fs::remove_file(path).unwrap();
            "removed".to_owned()
        }
        1 => {
            let left = random.below(size);
            file.set_len(left).unwrap();
            format!("cut to {left} of {size}")
        }
        _ => {
            let place = random.below(size);
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            byte[0] ^= 1 << random.below(8);
            file.write_all_at(&byte, place).unwrap();
            format!("one bit at {place} of {size}")
        }
    };
    format!("{} {how}", path.file_name().unwrap().to_string_lossy())
}

// rule: operations/damage
#[test]
fn a_damaged_store_is_refused_or_tells_only_what_is_right() {
    let Some(library) = shim::library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = filled(&data);
    let seed = std::env::var("KF_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(77);
    let mut random = Random(seed);
    let (mut refused, mut served, mut named) = (0, 0, 0);
    for round in 0..14 * shim::times() {
        let copy = dir.path().join(format!("copy{round}"));
        assert!(Command::new("cp").arg("-a").arg(&data).arg(&copy).status().unwrap().success());
        let told = format!("seed {seed}, round {round}: {}", damage(&copy, &mut random));
        let mut server = Faulty::start(library, &copy, None, None);
        let mut unreadable = 0;
        if server.serves() {
            served += 1;
            for number in 0..OBJECTS {
                let path = format!("/root/t{number}?format=json");
                let Some((status, body)) = server.ask("GET", &path, &token, "") else {
                    panic!("{told}: t{number}: no answer: {}", server.said());
                };
                if status == 200 {
                    let object: serde_json::Value = serde_json::from_str(&body).unwrap();
                    assert_eq!(object["fields"]["text"], text(number), "{told}: t{number}");
                } else {
                    unreadable += u32::from(status >= 500);
                }
            }
        } else {
            refused += 1;
            let said = server.said();
            assert!(!said.trim().is_empty(), "{told}: it says why it does not start");
        }
        let said = server.said();
        assert!(!said.contains("panicked"), "{told}: {said}");
        server.kill();
        if unreadable > 0 {
            let checked =
                kompira().arg("fsck").arg("--data").arg(&copy).stdin(Stdio::null()).output();
            let checked = checked.unwrap();
            assert!(
                !checked.status.success(),
                "{told}: {unreadable} unreadable, and fsck is silent"
            );
            named += 1;
        }
        fs::remove_dir_all(&copy).unwrap();
    }
    println!("{refused} refused, {served} served, {named} named by fsck");
    assert!(refused > 0 && served > 0);
}
