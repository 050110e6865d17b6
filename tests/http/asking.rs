//! Asking people: forms that are submitted, and tasks.

use serde_json::json;

use crate::support::{Client, Server};

/// A form with one number, sent to `to`.
fn form(client: &Client, name: &str, to: &str) -> String {
    let fields = json!({
        "submitObject": to,
        "fieldNames": ["count"],
        "fieldDisplayNames": ["How many"],
        "fieldTypes": ["Integer"],
    });
    client.create("/root", name, "Form", fields);
    format!("/root/{name}")
}

// rule: http/submit
#[test]
fn a_form_sends_what_was_entered_to_its_channel_or_starts_its_jobflow() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "c", "Channel", json!({}));
    let to_channel = form(&client, "ask", "/root/c");
    let sent = client.post(&format!("{to_channel}.submit"), &json!({"values": {"count": 3}}));
    assert_eq!(sent.expect(200).json(), json!({"sent": "/root/c"}));
    let queue = client.get("/root/c").expect(200).json()["fields"]["message_queue"].clone();
    assert_eq!(queue.as_array().map(Vec::len), Some(1), "{queue}");
    assert!(queue[0].to_string().contains("\"count\":3"), "{queue}");
    client.create("/root", "job", "Jobflow", json!({"source": "|count|\nprint(count + 1)\n"}));
    let to_job = form(&client, "run", "/root/job");
    let started = client.post(&format!("{to_job}.submit"), &json!({"values": {"count": 41}}));
    let process = started.expect(200).json()["process"].as_str().unwrap().to_owned();
    let done = client.post(&format!("{process}.wait"), &json!({"timeout": 20})).expect(200).json();
    assert!(done["console"].as_str().unwrap().contains("42"), "{done}");
}

// rule: http/submit
#[test]
fn a_value_that_does_not_fit_is_told_under_its_name_and_nothing_is_sent() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "c", "Channel", json!({}));
    let form = form(&client, "ask", "/root/c");
    let refused = client.post(&format!("{form}.submit"), &json!({"values": {"count": "many"}}));
    let refused = refused.expect(400).json();
    assert!(refused.get("count").is_some(), "{refused}");
    let channel = client.get("/root/c").expect(200).json();
    assert_eq!(channel["extra_properties"]["message_count"], 0);
    client.post("/root/c.submit", &json!({"values": {}})).expect(404);
}

// rule: http/tasks
#[test]
fn a_task_is_listed_filtered_and_submitted_once() {
    let server = Server::start();
    let client = server.client();
    let source = "[t = /task.add('ask', title='Which?', message='M')] -> <t> -> print($RESULT)\n";
    client.create("/root", "job", "Jobflow", json!({"source": source}));
    let process = client.post("/root/job.execute", &json!({})).expect(200).json();
    let process = process.as_str().unwrap().to_owned();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let task = loop {
        let list = client.get("/task?status=ONGOING").expect(200).json();
        if let Some(task) = list["results"].get(0) {
            break task.clone();
        }
        assert!(std::time::Instant::now() < until, "{list}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(
        (&task["name"], &task["title"], &task["owner"]),
        (&json!("ask"), &json!("Which?"), &json!("root"))
    );
    assert_eq!(client.get("/task?title=Other").expect(200).json()["count"], 0);
    let path = task["abspath"].as_str().unwrap();
    let submit = || client.post(&format!("{path}.submit"), &json!({"result": "this one"}));
    assert_eq!(submit().expect(200).json(), json!(true));
    assert_eq!(submit().status, 409, "it has ended");
    let ended = client.get(path).expect(200).json();
    assert_eq!((&ended["status"], &ended["result"]), (&json!("DONE"), &json!("this one")));
    let done = client.post(&format!("{process}.wait"), &json!({"timeout": 20})).expect(200).json();
    assert!(done["console"].as_str().unwrap().contains("this one"), "{done}");
}
