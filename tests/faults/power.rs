//! Loss of power: what was not synced is gone, or half of it.

use std::sync::Mutex;
use std::time::Duration;

use crate::support::shim::{self, Faulty, Random, Synced};
use crate::support::{Options, Server};

const WRITERS: u32 = 4;
/// Changes of each object.
const CHANGES: u32 = 3;

fn text(name: &str) -> String {
    format!("{name} ").repeat(300)
}

// rule: operations/durability
#[test]
fn a_loss_of_power_takes_nothing_that_was_acknowledged() {
    let Some(library) = shim::library() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    let token = server.token().to_owned();
    assert!(server.stop().success());
    let seed = std::env::var("KF_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_311);
    let mut random = Random(seed);
    let acknowledged = Mutex::new(Vec::new());
    let mut lost = 0;
    for cycle in 0..6 * shim::times() {
        let log = dir.path().join(format!("log{cycle}"));
        let synced = Synced::all(&data);
        let mut server = Faulty::start(library, &data, None, Some(&log));
        assert!(server.serves(), "seed {seed} cycle {cycle}: {}", server.said());
        let life = Duration::from_millis(50 + random.below(900));
        std::thread::scope(|scope| {
            let server = &server;
            for writer in 0..WRITERS {
                let (acknowledged, token) = (&acknowledged, token.as_str());
                scope.spawn(move || {
                    let start = std::time::Instant::now();
                    for number in 0.. {
                        if start.elapsed() > life {
                            return;
                        }
                        let name = format!("c{cycle}w{writer}n{number}");
                        if !server.make(token, &name, &text(&name)) {
                            continue;
                        }
                        // What it may hold: what was acknowledged last, or sent after that.
                        let mut texts = vec![text(&name)];
                        for change in 0..CHANGES {
                            let next = format!("{name} changed {change}");
                            if server.change(token, &name, &next) {
                                texts.clear();
                            }
                            texts.push(next);
                        }
                        acknowledged.lock().unwrap().push((name, texts));
                    }
                });
            }
        });
        server.kill();
        lost += synced.lose_the_rest(&data, &log, &mut random);
        let told = format!("seed {seed}, cycle {cycle}");
        let mut sound = Server::on(&data, &Options::default());
        let client = sound.client();
        for (name, texts) in acknowledged.lock().unwrap().iter() {
            let reply = client.get(&format!("/root/{name}"));
            assert_eq!(reply.status, 200, "{told}: {name} was acknowledged");
            let found = reply.json()["fields"]["text"].as_str().unwrap().to_owned();
            assert!(texts.contains(&found), "{told}: {name} holds '{found}', not one of {texts:?}");
        }
        let checked = sound.run(&["fsck"]);
        assert!(checked.status.success(), "{told}: {}", String::from_utf8_lossy(&checked.stdout));
        assert!(sound.stop().success());
    }
    assert!(lost > 0, "something was not synced yet");
    assert!(acknowledged.into_inner().unwrap().len() > 20);
}
