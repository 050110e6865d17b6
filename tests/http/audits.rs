//! What the audit hears of requests.

use serde_json::{Value as Json, json};

use crate::support::{Server, server::PATIENCE};

/// The entries so far; waits until one has `path` as its target and `verb` as its type.
fn entries(server: &Server, path: &str, verb: &str) -> Vec<Json> {
    let log = server.data().join("log");
    let started = std::time::Instant::now();
    loop {
        let mut all = Vec::new();
        for file in std::fs::read_dir(&log).unwrap().map(|file| file.unwrap().path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("audit-") {
                let text = std::fs::read_to_string(&file).unwrap();
                all.extend(text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()));
            }
        }
        let found = all.iter().any(|entry| {
            let text = entry.to_string();
            text.contains(&format!("\"{path}\"")) && text.contains(&format!("\"{verb}\""))
        });
        if found {
            return all;
        }
        assert!(started.elapsed() < PATIENCE, "no {verb} of {path} in {all:#?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

// rule: http/audit, tree/audit
#[test]
fn reads_that_count_and_denied_ones_are_written_down() {
    let server = Server::start();
    let root = server.client();
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    root.create("/root", "secret", "Text", json!({"text": "x"}));
    root.get("/root/secret").expect(200);
    mika.get("/root/secret").expect(403);
    mika.get("/config/user?username=mika").expect(200);
    root.patch("/root/secret", &json!({"description": "later"})).expect(200);
    let all = entries(&server, "/root/secret", "update");
    let of = |path: &str, verb: &str| -> Vec<&Json> {
        let has = |entry: &Json, word: &str| entry.to_string().contains(&format!("\"{word}\""));
        all.iter().filter(|entry| has(entry, path) && has(entry, verb)).collect()
    };
    let read = of("/root/secret", "read");
    assert_eq!(read.len(), 1, "what is read as usual is below the level: {read:#?}");
    let text = read[0].to_string();
    assert!(text.contains("\"mika\"") && text.contains("\"denied\""), "{text}");
    assert!(text.contains("\"http_status\":403") && text.contains("\"http_method\":\"GET\""));
    let searched = of("/config/user", "search");
    assert!(searched[0].to_string().contains("\"search_params\":{\"username\":\"mika\"}"));
    let updated = of("/root/secret", "update")[0].to_string();
    assert!(updated.contains("\"http_method\":\"PATCH\""), "{updated}");
    assert!(updated.contains("\"http_status\":200"), "{updated}");
}

// rule: http/audit
#[test]
fn what_is_done_to_processes_is_written_down() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "job", "Jobflow", json!({"source": "sleep(600)"}));
    let process = client.post("/root/job.execute", &json!({})).expect(200).json();
    let process = process.as_str().unwrap();
    for order in ["suspend", "resume", "terminate"] {
        let done = client.post(&format!("{process}.{order}"), &json!({})).expect(200).json();
        assert_eq!(done, json!(true), "{order}");
    }
    // There was nothing to do: nothing is told.
    client.post(&format!("{process}.terminate"), &json!({})).expect(200);
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200);
    client.with_token("nonsense").get("/").expect(401);
    client.delete(process).expect(204);
    let all = entries(&server, process, "delete");
    for order in ["suspend", "resume", "terminate", "delete"] {
        let told = of(&all, process, order);
        assert_eq!(told.len(), 1, "{order}: {told:#?}");
        assert_eq!(
            (&told[0]["class"], &told[0]["result"]),
            (&json!("process"), &json!("succeeded"))
        );
        assert_eq!(told[0]["user"], "root");
    }
    assert_eq!(of(&all, process, "delete")[0]["detail"]["delete_objects"], json!([process]));
    let refused = all.iter().find(|entry| entry["detail"].get("invalid_token").is_some()).unwrap();
    assert_eq!(refused["user"], "", "who is nobody has no name");
}

/// What an entry says of a path and a verb.
fn of<'a>(all: &'a [Json], path: &str, verb: &str) -> Vec<&'a Json> {
    all.iter().filter(|entry| entry["target_path"] == path && entry["type"] == verb).collect()
}

// rule: http/audit
#[test]
fn what_is_started_is_written_down() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "job", "Jobflow", json!({"source": "|a='x'|\nprint(a)"}));
    let fields =
        json!({"submitObject": "/root/job", "fieldNames": ["a"], "fieldTypes": ["String"]});
    client.create("/root", "form", "Form", fields);
    let body = json!({"parameters": {"a": "b"}});
    let process = client.post("/root/job.execute", &body).expect(200).json();
    client.post("/root/job.execute", &json!({"parameters": {"wrong": 1}})).expect(400);
    client.post("/root/form.submit", &json!({"values": {"a": "c"}})).expect(200);
    client.delete("/root/form").expect(204);
    let all = entries(&server, "/root/form", "delete");
    let started = of(&all, "/root/job", "execute");
    assert_eq!(started.len(), 3, "{started:#?}");
    let number: u64 = process.as_str().unwrap().rsplit('_').next().unwrap().parse().unwrap();
    assert_eq!(started[0]["detail"]["execute_pid"], number);
    assert_eq!(started[0]["detail"]["execute_params"], json!({"a": "b"}));
    assert_eq!(started[0]["detail"]["http_status"], 200);
    assert_eq!((&started[0]["class"], &started[0]["level"]), (&json!("object"), &json!(3)));
    assert_eq!(started[1]["result"], "failed");
    assert_eq!(started[2]["detail"]["execute_form"], "/root/form");
    assert!(of(&all, "/root/form", "execute").is_empty(), "one operation, one entry");
}
