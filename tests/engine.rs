//! Jobflows on a real server, with real commands, killed and started again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Options, Server};

fn jobflow(server: &Server, name: &str, source: &str) {
    server.client().create("/root", name, "Jobflow", json!({ "source": source }));
}

fn execute(server: &Server, name: &str, body: &Value) -> String {
    let reply = server.client().post(&format!("/root/{name}.execute"), body);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json().as_str().unwrap().to_owned()
}

fn ended(server: &Server, process: &str) -> Value {
    let reply = server.client().post(&format!("{process}.wait"), &json!({"timeout": 60}));
    assert_eq!(reply.status, 200, "{process}: {}", reply.text());
    reply.json()
}

fn state(server: &Server, process: &str) -> Value {
    server.client().get(process).expect(200).json()
}

// rule: operations/execute
#[test]
fn hello_runs_a_real_command_and_answers_over_http() {
    let server = Server::start();
    jobflow(
        &server,
        "hello",
        "|who = 'nobody'|\n{ for i in 2 | [\"echo $i; echo err >&2\"] -> print($RESULT, $ERROR) }\n-> { if who | print(\"hello $who\") }\n-> [__dir__ = '/usr', __timeout__ = 10] -> ['pwd' << '']\n-> return($RESULT)",
    );
    let process = execute(&server, "hello", &json!({"parameters": {"who": "世界"}}));
    let info = ended(&server, &process);
    assert_eq!(info["status"], "DONE", "{info}");
    assert_eq!(info["result"], "/usr");
    let console = info["console"].as_str().unwrap();
    assert!(console.ends_with("hello 世界\n/usr\n"), "{console}");
    assert!(console.contains("1 err\n"), "{console}");
}

// rule: operations/control-variables
#[test]
fn a_command_over_its_time_is_lost_and_a_terminated_one_is_gone() {
    let server = Server::start();
    jobflow(&server, "late", "[__timeout__ = 1] -> ['sleep 300'] ->> return([$STATUS, $ERROR])");
    let info = ended(&server, &execute(&server, "late", &json!({})));
    assert_eq!(info["result"], json!([-1, "time limit of 1 seconds exceeded"]));
    let file = server.data().join("pid");
    let source = format!("['echo kept']\n-> ['echo $$ > {}; exec sleep 300']", file.display());
    jobflow(&server, "long", &source);
    let process = execute(&server, "long", &json!({}));
    let pid = line_of(&file);
    terminated(&server, &process, &json!("kept"));
    gone(&pid);
    jobflow(&server, "busy", "['echo mine']\n-> { while true | [x = 1] }");
    let process = execute(&server, "busy", &json!({}));
    let until = Instant::now() + Duration::from_secs(30);
    while state(&server, &process)["lineno"] != 2 {
        assert!(Instant::now() < until, "{process} never comes to its loop");
        std::thread::sleep(Duration::from_millis(20));
    }
    terminated(&server, &process, &json!("mine"));
}

/// Terminates a process that stands in line 2; its last command gave `result`.
fn terminated(server: &Server, process: &str, result: &Value) {
    let reply = server.client().post(&format!("{process}.terminate"), &json!({}));
    assert_eq!(reply.json(), json!(true));
    let info = state(server, process);
    assert_eq!(info["error"], "terminated", "{info}");
    assert_eq!(info["exit_status"], -1, "{info}");
    assert_eq!((&info["result"], &info["lineno"]), (result, &json!(2)), "{info}");
}

fn line_of(file: &std::path::Path) -> String {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') {
            return text.trim().to_owned();
        }
        assert!(Instant::now() < until, "{} is not written", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn gone(pid: &str) {
    let until = Instant::now() + Duration::from_secs(3);
    while std::path::Path::new(&format!("/proc/{pid}/fd")).exists()
        && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
    {
        assert!(Instant::now() < until, "{pid} still runs");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Each step appends a line to a file of its own, outside the server: a step that was run twice
/// would show there.
const STEPS: &str = "|file|\n|n|\n['echo one >> ' + file] -> sleep(0.3) -> ['sleep 0.2; echo two >> ' + file] \
    -> { fork | ['echo left >> ' + file]\n sleep(0.2) -> ['echo right >> ' + file] } \
    -> [./sub] -> ['echo three >> ' + file] -> print('done')";

// rule: operations/recovery
#[test]
fn a_killed_server_repeats_no_step_and_leaves_no_ghost() {
    // `KOMPIRA_PROCESSES` asks for more of them.
    let many = std::env::var("KOMPIRA_PROCESSES").ok().and_then(|text| text.parse::<usize>().ok());
    let processes_wanted = many.unwrap_or(120).max(3);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    jobflow(&server, "sub", "sleep(0.1) -> return(0)");
    jobflow(&server, "steps", STEPS);
    let file = |n: usize| dir.path().join(format!("steps-{n}"));
    let mut processes = Vec::new();
    for n in 0..processes_wanted {
        let parameters = json!({"file": file(n).display().to_string(), "n": n});
        let body = json!({"parameters": parameters, "checkpoint_mode": n % 4 == 0});
        processes.push(execute(&server, "steps", &body));
        if n % (processes_wanted / 3) == processes_wanted / 6 {
            server.kill();
            server = Server::on(&data, &Options::default());
        }
    }
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(700));
        server.kill();
        server = Server::on(&data, &Options::default());
    }
    let restarted = Instant::now();
    let (mut done, mut interrupted) = (0, 0);
    for (n, process) in processes.iter().enumerate() {
        let info = ended(&server, process);
        let text = std::fs::read_to_string(file(n)).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().collect();
        let again = n % 4 == 0;
        if info["status"] == "DONE" {
            done += 1;
            lines.sort_unstable();
            if again {
                lines.dedup();
            }
            assert_eq!(lines, ["left", "one", "right", "three", "two"], "{process}: {info}");
        } else {
            // Interrupted itself, or because a child of its fork was.
            assert!(!again, "checkpoint mode goes on: {info}");
            interrupted += 1;
            lines.sort_unstable();
            let count = lines.len();
            lines.dedup();
            assert_eq!(count, lines.len(), "{process}: a step was run twice: {text}");
            if info["error"] == "interrupted" {
                assert!(info["console"].as_str().unwrap().contains("interrupted: "), "{info}");
            }
        }
    }
    println!(
        "processes={processes_wanted} done={done} interrupted={interrupted} ghosts=0 settled in {:?}",
        restarted.elapsed()
    );
    let list = server.client().get("/process?status=RUNNING").json();
    assert_eq!(list["count"], 0, "{list}");
    assert!(done > 0 && interrupted > 0);
}

// rule: operations/startup
#[test]
fn startup_jobflows_run_when_the_server_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::on(&data, &Options::default());
    let source = json!({"source": "print('up')"});
    server.client().create("/system/startup", "hello", "Jobflow", source);
    server.kill();
    server = Server::on(&data, &Options::default());
    let list = server.client().get("/process").expect(200).json();
    let process = list["results"][0]["abspath"].as_str().unwrap().to_owned();
    let info = ended(&server, &process);
    assert_eq!(info["console"], "up\n", "{info}");
    assert_eq!(info["invoker"], "/system/startup");
}

// rule: operations/process-command
#[test]
fn the_process_command_takes_the_documented_options() {
    let server = Server::start();
    jobflow(&server, "quick", "print('needle') -> exit(0)");
    jobflow(&server, "failing", "exit(3)");
    jobflow(&server, "waiting", "{ fork | sleep(600)\n sleep(600) }");
    for (name, _) in [("quick", 0), ("quick", 1), ("failing", 2)] {
        ended(&server, &execute(&server, name, &json!({})));
    }
    let waiting = execute(&server, "waiting", &json!({}));
    let pid = waiting.rsplit('_').next().unwrap().to_owned();
    let children = || server.client().get(&format!("{waiting}.children")).json()["count"].clone();
    while children() != 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let count = |options: &[&str]| {
        let all: Vec<&str> = ["process", "-C"].iter().chain(options).copied().collect();
        server.stdout(&all).trim().parse::<usize>().unwrap()
    };
    for (options, expected) in [
        (&[][..], 6),
        (&["--active"], 3),
        (&["--finish"], 3),
        (&["--status", "DONE", "--status", "ABORTED"], 3),
        (&["--status", "done"], 2),
        (&["-i", &pid], 1),
        (&["--parent", &pid], 2),
        (&["--anyones-child"], 2),
        (&["--min-children", "2"], 1),
        (&["--job", "quick$"], 2),
        (&["--job", "quick|failing"], 3),
        (&["--current-job", "/waiting"], 3),
        (&["--scheduled"], 0),
        (&["--not-scheduled", "--not-invoked"], 6),
        (&["--scheduler-id", "1"], 0),
        (&["--scheduler-name", "."], 0),
        (&["--invoked"], 0),
        (&["--invoker", "/root"], 0),
        (&["--invoker-type", "/system/types/Form"], 0),
        (&["--user", "root", "--user", "guest"], 6),
        (&["--user", "guest"], 0),
        (&["--started-since", "2001-01-01 00:00"], 6),
        (&["--started-before", "2001-01-01 00:00"], 0),
        (&["--finished-since", "1 hour ago"], 3),
        (&["--finished-before", "1 hour ago"], 0),
        (&["--elapsed-less", "600", "--elapsed-more", "0"], 6),
        (&["--console", "needle"], 2),
        (&["--suspended"], 0),
        (&["--not-suspended", "--head", "4", "--tail", "3"], 3),
    ] {
        assert_eq!(count(options), expected, "{options:?}");
    }
    // The last operation wins; a list holds the active ones.
    let json = |options: &[&str]| -> Vec<Value> {
        let all: Vec<&str> =
            ["process", "--format", "json"].iter().chain(options).copied().collect();
        serde_json::from_str(&server.stdout(&all)).unwrap()
    };
    assert_eq!(json(&["-D", "-L"]).len(), 3);
    let ids =
        |rows: Vec<Value>| rows.iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>();
    let up = ids(json(&["--all"]));
    let mut down = ids(json(&["--all", "--reverse"]));
    assert_eq!(down, ids(json(&["-a", "--order", "-pid"])));
    down.reverse();
    assert_eq!(up, down);
    let failing = json(&["--all", "--order", "exit_status", "--tail", "1"]);
    assert_eq!(failing[0]["exit_status"], 3);
    let year = json(&["--all", "--datetime-format", "%Y"]);
    assert!(year[0]["started_time"].as_str().unwrap().parse::<u32>().unwrap() > 2000);
    let export = server.stdout(&["process", "-L", "-a", "--job", "failing", "--format", "export"]);
    assert!(export.contains("type_object: /system/types/Process"), "{export}");
    assert!(server.stdout(&["process", "-a"]).contains("/root/quick"));
    // Changes.
    assert!(server.stdout(&["process", "-T", "--dry-run"]).contains("WAITING"));
    assert_eq!(count(&["--active"]), 3);
    server.stdout(&["process", "-S", "-y", "-i", &pid]);
    assert_eq!(count(&["--suspended"]), 3);
    server.stdout(&["process", "-R", "-y", "-i", &pid]);
    assert_eq!(count(&["--suspended"]), 0);
    // Nobody answers: declined.
    assert_eq!(server.run(&["process", "-T"]).status.code(), Some(0));
    assert_eq!(count(&["--active"]), 3);
    server.stdout(&["process", "-T", "--noinput"]);
    assert_eq!(count(&["--active"]), 0);
    server.stdout(&["process", "-D", "--noinput", "--finished-since", "1 hour ago"]);
    assert_eq!(count(&[]), 0);
    assert_eq!(server.run(&["process", "--order", "colour"]).status.code(), Some(2));
}

// rule: operations/delete
#[test]
fn the_process_cleaner_deletes_what_ended_long_ago() {
    const CLEANER: &str = "/system/utilities/CleanProcesses";
    let server = Server::start();
    jobflow(&server, "parts", "{ fork |\n print(1)\n print(2) }");
    jobflow(&server, "waiting", "sleep(600)");
    ended(&server, &execute(&server, "parts", &json!({})));
    let waiting = execute(&server, "waiting", &json!({}));
    let clean = |parameters: Value| {
        let body = json!({ "parameters": parameters });
        let reply = server.client().post(&format!("{CLEANER}.execute"), &body).expect(200);
        let info = ended(&server, reply.json().as_str().unwrap());
        assert_eq!(info["status"], "DONE", "{info}");
        (info["result"].clone(), info["console"].as_str().unwrap().to_owned())
    };
    let count = || server.client().get("/process").json()["count"].clone();
    assert_eq!(clean(json!({})), (json!(0), "0 processes deleted\n".to_owned()));
    let (found, console) = clean(json!({"days": 0, "dry_run": true}));
    assert_eq!((found, console.as_str()), (json!(2), "2 processes would be deleted\n"));
    assert_eq!(count(), 6, "the parent and its two children, two of the cleaner, one that waits");
    assert_eq!(clean(json!({"days": 0, "job": "/root/p"})).0, 1);
    assert_eq!(clean(json!({"days": 0})).0, 3, "those of the cleaner before");
    assert_eq!(count(), 2, "itself and one that waits");
    assert_eq!(state(&server, &waiting)["status"], "WAITING");
    let shown = server.client().get(CLEANER).expect(200).json();
    assert_eq!(shown["fields"]["executable"], true, "{shown}");
}

// rule: operations/trace
// rule: operations/resume-from
// rule: http/trace
#[test]
fn a_process_is_traced_and_taken_up_at_an_earlier_command() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("flag").display().to_string();
    let source = format!("['echo one'] ->\n['test -e {flag}'] ->\nprint('through')");
    jobflow(&server, "job", &source);
    let process = execute(&server, "job", &json!({"trace": true}));
    assert_eq!(ended(&server, &process)["status"], "ABORTED");
    let trace = server.stdout(&["process", "trace", &process]);
    assert!(trace.contains("begins command 2"), "{trace}");
    assert!(trace.contains("/root/job:2"), "{trace}");
    assert_eq!(
        server.stdout(&["process", "trace", &process, "--json"]).lines().count(),
        trace.lines().count()
    );
    std::fs::write(&flag, "").unwrap();
    server.stdout(&["process", "resume", &process, "--from", "2"]);
    let info = ended(&server, &process);
    assert_eq!(info["status"], "DONE", "{info}");
    assert!(info["console"].as_str().unwrap().contains("through"));
    assert_eq!(server.run(&["process", "resume", &process, "--from", "77"]).status.code(), Some(1));
}
