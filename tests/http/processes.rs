//! Running jobflows over HTTP and from the command line.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Server};

fn jobflow(client: &Client, name: &str, source: &str) {
    client.create("/root", name, "Jobflow", json!({"source": source}));
}

fn ended(client: &Client, process: &str) -> serde_json::Value {
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200).json()
}

// rule: http/execute
#[test]
fn a_jobflow_is_executed_and_its_process_read() {
    let server = Server::start();
    let client = server.client();
    jobflow(&client, "hello", "|who = 'world'|\nprint('hello ' + who)\n");
    let started =
        client.post("/root/hello.execute", &json!({"parameters": {"who": "世界"}})).expect(200);
    let process = started.json().as_str().unwrap().to_owned();
    assert!(process.starts_with("/process/id_"));
    assert_eq!(started.header("location"), Some(process.as_str()));
    let end = ended(&client, &process);
    let keys: Vec<_> = end.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "abspath",
            "user",
            "elapsed_time",
            "started_time",
            "finished_time",
            "status",
            "exit_status",
            "result",
            "error",
            "suspended",
            "lineno",
            "console",
            "job",
            "schedule",
            "parent",
            "current_job",
            "invoker",
            "step_mode",
            "checkpoint_mode",
            "monitoring_mode"
        ]
    );
    assert_eq!(end["status"], "DONE", "{end}");
    assert_eq!(end["exit_status"], 0);
    assert_eq!(end["console"], "hello 世界\n");
    assert_eq!(end["job"], "/root/hello");
    assert_eq!(end["user"], "root");
    assert_eq!(end["abspath"], process);
    assert_eq!(client.get(&process).expect(200).json(), end);
    let list = client.get("/process?status=DONE&attrs=abspath").expect(200).json();
    assert_eq!(list["results"], json!([{"abspath": process}]));
    assert_eq!(client.get("/process?status=RUNNING").json()["count"], 0);
    assert_eq!(client.get(&format!("{process}.terminate")).status, 405);
    assert_eq!(client.post(&format!("{process}.terminate"), &json!({})).json(), json!(false));
    client.delete(&process).expect(204);
    client.get(&process).expect(404);
}

// rule: http/execute, tree/jobflows
#[test]
fn what_cannot_be_executed_is_refused() {
    let server = Server::start();
    let client = server.client();
    jobflow(&client, "needs", "|who|\nprint(who)\n");
    jobflow(&client, "broken", "print('\n");
    for body in [
        json!({}),
        json!({"parameters": {"who": 1, "nosuch": 2}}),
        json!({"parameters": []}),
        json!({"parameters": {"who": 1}, "monitoring_mode": "LOUD"}),
        json!({"parameters": {"who": 1}, "step_mode": "yes"}),
    ] {
        client.post("/root/needs.execute", &body).expect(400);
    }
    client.post("/root/broken.execute", &json!({})).expect(400);
    client.post("/root.execute", &json!({})).expect(404);
    client.post("/root/nosuch.execute", &json!({})).expect(404);
    client.get("/process/id_999999").expect(404);
    client.get("/process/id_x").expect(404);
    assert_eq!(client.get("/process").json()["count"], 0);
}

// rule: http/processes
#[test]
fn a_process_is_waited_for_and_terminated() {
    let server = Server::start();
    let client = server.client();
    jobflow(&client, "long", "print('in') -> sleep(600) -> print('never')\n");
    let process = client.post("/root/long.execute", &json!({})).json().as_str().unwrap().to_owned();
    let timeout = client.post(&format!("{process}.wait"), &json!({"timeout": 0})).expect(408);
    assert_eq!(timeout.json(), json!({"detail": "Request timed out."}));
    client.post(&format!("{process}.wait"), &json!({"timeout": -1})).expect(400);
    client.delete(&process).expect(409);
    assert_eq!(
        client.post(&format!("{process}.terminate"), &json!({})).expect(200).json(),
        json!(true)
    );
    let end = ended(&client, &process);
    assert_eq!(end["status"], "ABORTED");
    assert_eq!(end["console"], "in\n");
}

// rule: operations/run
#[test]
fn run_shows_the_console_and_exits_as_the_process_did() {
    let server = Server::start();
    let client = server.client();
    jobflow(&client, "hello", "|who = 'world'|\n[\"echo hello $who\"]\n");
    assert_eq!(server.stdout(&["run", "/root/hello", "--param", "who=世界"]), "hello 世界\n");
    jobflow(&client, "fails", "print('before') -> exit(3)\n");
    let failed = server.run(&["run", "/root/fails"]);
    assert_eq!(failed.status.code(), Some(3));
    assert_eq!(failed.stdout, b"before\n");
    let missing = server.run(&["run", "/root/nosuch"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(!missing.stderr.is_empty());
    let wrong = server.run(&["run", "/root/hello", "--param", "who"]);
    assert_eq!(wrong.status.code(), Some(2));
}

// rule: operations/run, http/console
#[test]
fn the_console_is_live() {
    let server = Server::start();
    jobflow(&server.client(), "slow", "print('first') -> sleep(2) -> print('second')\n");
    let started = Instant::now();
    let mut run = server.command(&["run", "/root/slow"]);
    let mut run = run.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    assert!(run.wait().unwrap().success());
}

// rule: operations/run
#[test]
fn an_interrupted_run_ends_its_process() {
    let server = Server::start();
    jobflow(&server.client(), "long", "print('in') -> sleep(600)\n");
    let mut run = server.command(&["run", "/root/long"]);
    let mut run = run.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "in");
    Command::new("kill").arg("-INT").arg(run.id().to_string()).status().unwrap();
    assert!(!run.wait().unwrap().success());
    let list = server.client().get("/process?status=ABORTED").json();
    assert_eq!(list["count"], 1);
}
