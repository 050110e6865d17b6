//! Channels whose messages start jobflows.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

/// A channel whose messages start `job`.
fn acting(client: &Client, name: &str, job: &str) -> String {
    let fields = json!({"action_type": "ExecuteJobflow", "action_target": job});
    client.create("/root", name, "Channel", fields);
    format!("/root/{name}")
}

/// Processes of a job, once there are `count` that have ended.
fn ended(client: &Client, job: &str, count: usize) -> Vec<Json> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let list = client.get("/process").expect(200).json();
        let all = list["results"].as_array().unwrap().iter();
        let of_job: Vec<Json> = all
            .filter(|process| process["job"] == job && process["status"] == "DONE")
            .cloned()
            .collect();
        if of_job.len() >= count {
            return of_job;
        }
        assert!(Instant::now() < until, "{list}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn count(client: &Client, channel: &str) -> Json {
    client.get(channel).expect(200).json()["extra_properties"]["message_count"].clone()
}

// rule: tree/channel-action
#[test]
fn a_message_nobody_waits_for_starts_the_target_with_it() {
    let server = Server::start();
    let client = server.client();
    let source = json!({"source": "|m|\n|greeting = 'hello'|\nprint(\"$greeting $m\")\n"});
    client.create("/root", "react", "Jobflow", source);
    let channel = acting(&client, "c", "/root/react");
    client.post(&format!("{channel}.send"), &json!("世界")).expect(200);
    let process = ended(&client, "/root/react", 1).remove(0);
    assert_eq!(process["invoker"], channel);
    assert_eq!(process["user"], "root");
    assert!(process["console"].as_str().unwrap().contains("hello 世界"), "{process}");
    assert_eq!(count(&client, &channel), 0);
}

// rule: tree/channel-action
#[test]
fn a_receiver_comes_before_the_action_unless_its_guard_refuses() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "react", "Jobflow", json!({"source": "|m|\nprint(m)\n"}));
    let channel = acting(&client, "c", "/root/react");
    let waits = "</root/c ? 'mine'> -> print('took', $RESULT)\n";
    client.create("/root", "wait", "Jobflow", json!({"source": waits}));
    let started = client.post("/root/wait.execute", &json!({})).expect(200).json();
    let waiting = started.as_str().unwrap().to_owned();
    let until = Instant::now() + Duration::from_secs(20);
    while client.get(&waiting).expect(200).json()["status"] != "WAITING" {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    client.post(&format!("{channel}.send"), &json!("free")).expect(200);
    let processes = ended(&client, "/root/react", 1);
    assert_eq!(processes.len(), 1);
    assert!(processes[0]["console"].as_str().unwrap().contains("free"));
    client.post(&format!("{channel}.send"), &json!("mine")).expect(200);
    let done = client.post(&format!("{waiting}.wait"), &json!({"timeout": 20})).expect(200).json();
    assert!(done["console"].as_str().unwrap().contains("took mine"), "{done}");
    assert_eq!(ended(&client, "/root/react", 1).len(), 1);
}

// rule: tree/channel-action
#[test]
fn a_message_whose_target_cannot_start_stays_and_old_ones_start_nothing() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "react", "Jobflow", json!({"source": "|m|\nprint(m)\n"}));
    client.create("/root", "none", "Jobflow", json!({"source": "print('no parameter')\n"}));
    let unfit = acting(&client, "unfit", "/root/none");
    client.post(&format!("{unfit}.send"), &json!("stays")).expect(200);
    client.create("/root", "c", "Channel", json!({}));
    client.post("/root/c.send", &json!("before")).expect(200);
    let action = json!({"action_type": "ExecuteJobflow", "action_target": "/root/react"});
    client.patch("/root/c", &json!({"fields": action})).expect(200);
    client.post("/root/c.send", &json!("after")).expect(200);
    let processes = ended(&client, "/root/react", 1);
    assert!(processes[0]["console"].as_str().unwrap().contains("after"));
    let queue = |path: &str| client.get(path).expect(200).json()["fields"]["message_queue"].clone();
    assert_eq!(queue("/root/c"), json!(["before"]));
    assert_eq!(queue(&unfit), json!(["stays"]));
}
