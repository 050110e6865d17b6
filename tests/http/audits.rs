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

// rule: http/process-command
// rule: operations/process-command
#[test]
fn an_order_for_many_processes_is_one_entry_with_its_query() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "waits", "Jobflow", json!({"source": "sleep(600)"}));
    let start = || {
        let process = client.post("/root/waits.execute", &json!({})).expect(200).json();
        process.as_str().unwrap().rsplit('_').next().unwrap().parse::<u64>().unwrap()
    };
    let both = json!([start(), start()]);
    for operation in ["-L", "-C", "-S", "-R", "-T", "-D"] {
        server.stdout(&["process", operation, "-y", "--job", "waits$"]);
    }
    let all = entries(&server, "/process", "delete");
    for (verb, key, told) in [
        ("list", "process_listed", &both),
        ("list", "process_count", &json!(2)),
        ("suspend", "process_suspended", &both),
        ("resume", "process_resumed", &both),
        ("terminate", "process_terminated", &both),
        ("delete", "process_deleted", &both),
    ] {
        let of_key = of(&all, "/process", verb).into_iter();
        let found: Vec<_> = of_key.filter(|entry| entry["detail"].get(key).is_some()).collect();
        assert_eq!(found.len(), 1, "{key}: {all:#?}");
        assert_eq!(found[0]["detail"][key], *told);
        assert_eq!(found[0]["detail"]["process_query"], json!({"job": "waits$"}));
        assert_eq!(
            (&found[0]["interface"], &found[0]["class"]),
            (&json!("mng"), &json!("process"))
        );
        let each = format!("/process/id_{}", both[0]);
        assert!(of(&all, &each, verb).is_empty(), "one operation, one entry");
    }
    let other = start();
    client
        .post("/config/user", &json!({"username": "mika", "password": "correct horse 8"}))
        .expect(201);
    let mika = client.with_token(server.stdout(&["token", "create", "mika"]).trim());
    let order = json!({"operation": "terminate", "processes": [other, both[0]]});
    let answer = mika.post("/-/processes", &order).expect(200).json();
    assert_eq!(answer, json!({"done": 0, "failed": {}}), "what he cannot see is not there");
    let path = format!("/process/id_{other}");
    assert_eq!(client.get(&path).expect(200).json()["status"], "WAITING");
    let order = json!({"operation": "delete", "processes": [other]});
    let answer = client.post("/-/processes", &order).expect(200).json();
    assert_eq!(answer["done"], 0);
    assert!(answer["failed"][other.to_string()].is_string(), "{answer}");
    let all = entries(&server, &path, "delete");
    assert_eq!(of(&all, &path, "delete")[0]["result"], "failed");
}

// rule: http/process-command
#[test]
fn an_order_for_many_processes_is_bounded() {
    let server = Server::start();
    let long = "x".repeat(20_000);
    let many: Vec<u32> = (0..10_001).collect();
    for (field, body) in [
        ("operation", json!({"processes": []})),
        ("operation", json!({"operation": "stop", "processes": []})),
        ("processes", json!({"operation": "delete"})),
        ("processes", json!({"operation": "delete", "processes": ["x"]})),
        ("processes", json!({"operation": "delete", "processes": many})),
        ("count", json!({"operation": "count"})),
        ("query", json!({"operation": "list", "processes": [], "query": "x"})),
        ("query", json!({"operation": "list", "processes": [], "query": {"job": long}})),
    ] {
        let answer = server.client().post("/-/processes", &body).expect(400).json();
        assert!(answer.get(field).is_some(), "{answer}");
    }
}
