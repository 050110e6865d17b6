//! Commands on this machine, with real processes.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kompira::remote::local::{Local, Options};
use kompira::remote::{
    Data, Limits, NoOutput, Outcome, Output, Request, Runner, Running, Stream, Work,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn local() -> Local {
    Local::new(Options {
        helper: PathBuf::from(env!("CARGO_BIN_EXE_kompira")),
        home: std::env::temp_dir(),
        temp: std::env::temp_dir(),
        env: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
    })
}

fn start(request: Request) -> (Arc<dyn Running>, Receiver<Outcome>) {
    let (told, end) = channel();
    let done = Box::new(move |outcome| drop(told.send(outcome)));
    (local().start(request, Arc::new(NoOutput), done), end)
}

fn run(request: Request) -> Outcome {
    start(request).1.recv_timeout(PATIENCE).unwrap()
}

fn exited(status: i64, stdout: &str, stderr: &str) -> Outcome {
    let text = |text: &str| Data::Text(text.to_owned());
    Outcome::Exited { status, stdout: text(stdout), stderr: text(stderr) }
}

fn lost(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Lost { message } => message,
        other => panic!("{other:?}"),
    }
}

fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// Waits until the file holds a line, and gives it.
fn line_of(file: &std::path::Path) -> String {
    let mut line = String::new();
    until("the file is written", || {
        line = std::fs::read_to_string(file).unwrap_or_default();
        line.ends_with('\n')
    });
    line.trim().to_owned()
}

// rule: operations/output
#[test]
fn a_command_gives_status_output_and_error_without_the_last_line_end() {
    let outcome = run(Request::command("echo 監視; echo; echo oops >&2; exit 3"));
    assert_eq!(outcome, exited(3, "監視\n", "oops"));
}

// rule: operations/output
#[test]
fn a_command_killed_by_a_signal_has_128_and_its_number() {
    assert_eq!(run(Request::command("kill -9 $$")), exited(137, "", ""));
    assert_eq!(run(Request::command("kill -TERM $$")), exited(143, "", ""));
}

#[test]
fn an_empty_command_succeeds() {
    assert_eq!(run(Request::command("")), exited(0, "", ""));
}

// rule: operations/output
#[test]
fn standard_input_is_fed_and_encoded() {
    let mut request = Request::command("od -An -tx1");
    request.input = Some(Data::Text("監\n".to_owned()));
    request.encoding = "cp932".to_owned();
    assert_eq!(run(request), exited(0, " 8a c4 0a", ""));
    let mut request = Request::command("wc -c");
    request.input = Some(Data::Bytes(vec![b'x'; 1 << 20]));
    assert_eq!(run(request), exited(0, "1048576", ""));
    // One who reads nothing is no failure; without input there is none.
    let mut request = Request::command("true");
    request.input = Some(Data::Bytes(vec![b'x'; 1 << 20]));
    assert_eq!(run(request), exited(0, "", ""));
    assert_eq!(run(Request::command("cat")), exited(0, "", ""));
}

// rule: operations/output
#[test]
fn output_is_decoded_by_the_encoding_or_the_command_is_lost() {
    let mut request = Request::command(r"printf '\x8a\xc4\n'");
    assert!(lost(&run(request.clone())).contains("not valid UTF-8"));
    request.encoding = "shift_jis".to_owned();
    assert_eq!(run(request.clone()), exited(0, "監", ""));
    request.raw_stdout = true;
    let Outcome::Exited { stdout, .. } = run(request.clone()) else { panic!() };
    assert_eq!(stdout, Data::Bytes(b"\x8a\xc4\n".to_vec()));
    request.encoding = "klingon".to_owned();
    assert_eq!(lost(&run(request)), "unknown encoding: klingon");
}

// rule: operations/output
#[test]
fn output_over_the_limit_is_cut_and_said_so() {
    let mut request = Request::command("yes | head -c 3000000; echo end >&2");
    request.limits = Limits { output: 1000, ..Limits::default() };
    let Outcome::Exited { status: 0, stdout: Data::Text(text), stderr: Data::Text(told) } =
        run(request)
    else {
        panic!()
    };
    assert_eq!(text.len(), 999, "one line end removed");
    assert_eq!(told, "end\n[standard output cut at 1000 bytes]");
}

#[test]
fn output_is_shown_while_the_command_runs() {
    struct Shown(std::sync::mpsc::Sender<(Stream, String)>);
    impl Output for Shown {
        fn text(&self, stream: Stream, text: &str) {
            let _ = self.0.send((stream, text.to_owned()));
        }
        fn bytes(&self, _: Stream, _: &[u8]) {}
    }
    let (told, shown) = channel();
    let running = local().start(
        Request::command("echo one; echo two >&2; sleep 60"),
        Arc::new(Shown(told)),
        Box::new(drop),
    );
    let mut parts = [shown.recv_timeout(PATIENCE).unwrap(), shown.recv_timeout(PATIENCE).unwrap()];
    parts.sort_by_key(|part| part.0 == Stream::Err);
    running.cancel();
    assert_eq!(parts, [(Stream::Out, "one\n".to_owned()), (Stream::Err, "two\n".to_owned())]);
}

// rule: operations/control-variables
#[test]
fn a_time_limit_ends_the_command_and_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut request =
        Request::command(format!("setsid sleep 300 & echo $! > {}; wait", file.display()));
    request.timeout = Some(Duration::from_secs(1));
    let begun = Instant::now();
    let outcome = run(request);
    assert_eq!(lost(&outcome), "time limit of 1 seconds exceeded");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(!alive(&line_of(&file)));
}

// rule: operations/control-variables
#[test]
fn a_cancelled_command_may_clean_up_and_then_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (ready, cleaned) = (dir.path().join("ready"), dir.path().join("cleaned"));
    let (running, end) = start(Request::command(format!(
        "trap 'echo x > {}; trap \"\" TERM' TERM; echo $$ > {}; while :; do sleep 0.05; done",
        cleaned.display(),
        ready.display()
    )));
    let pid = line_of(&ready);
    running.cancel();
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), Outcome::Cancelled);
    assert_eq!(line_of(&cleaned), "x");
    assert!(!alive(&pid));
}

// rule: operations/killed-server
#[test]
fn a_killed_server_leaves_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let (outer, inner) = (dir.path().join("outer"), dir.path().join("inner"));
    // This test plays the server in a process of its own.
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remote::plays_a_server", "--nocapture", "--ignored"])
        .env(
            "TEST_COMMAND",
            format!(
                "trap '' TERM; echo $$ > {}; setsid sh -c 'echo $$ > {}; sleep 300' & sleep 300; sleep 300",
                outer.display(),
                inner.display()
            ),
        )
        .spawn()
        .unwrap();
    let (outer, inner) = (line_of(&outer), line_of(&inner));
    assert!(alive(&outer) && alive(&inner));
    server.kill().unwrap();
    server.wait().unwrap();
    let took = until("all are gone", || !alive(&outer) && !alive(&inner));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

// rule: operations/killed-server
#[test]
fn a_command_whose_helper_is_killed_ends_with_all_of_its_session() {
    for use_pty in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        let mut request = Request::command(format!(
            "trap '' HUP; set -m; sleep 300 & echo $! > {}; echo $$ > {}; kill -9 $PPID; sleep 300",
            other.display(),
            own.display()
        ));
        request.use_pty = use_pty;
        let outcome = run(request);
        lost(&outcome);
        until("all are gone", || !alive(&line_of(&own)) && !alive(&line_of(&other)));
    }
}

#[test]
#[ignore = "a part of a_killed_server_leaves_nothing_running"]
fn plays_a_server() {
    let Ok(line) = std::env::var("TEST_COMMAND") else { return };
    run(Request::command(line));
}

#[test]
fn a_background_process_that_holds_the_output_does_not_hold_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let begun = Instant::now();
    let outcome =
        run(Request::command(format!("sleep 300 & echo $! > {}; echo done", file.display())));
    assert_eq!(outcome, exited(0, "done", ""));
    assert!(begun.elapsed() < Duration::from_secs(5));
    let pid = line_of(&file);
    assert!(alive(&pid), "it was left on purpose");
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
}

// rule: operations/control-variables
#[test]
fn the_environment_is_clean() {
    let outcome = run(Request::command("env | cut -d= -f1 | sort | tr '\\n' ' '"));
    let Outcome::Exited { stdout: Data::Text(names), .. } = outcome else { panic!() };
    for name in names.split_whitespace() {
        let known =
            ["HOME", "LOGNAME", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "USER", "_", "OLDPWD"];
        assert!(known.contains(&name), "{name}");
    }
    let mut request = Request::command("echo $WHO; ls /proc/self/fd | wc -l");
    request.env = vec![("WHO".to_owned(), "世界".to_owned())];
    // 0, 1, 2 and the directory itself.
    assert_eq!(run(request), exited(0, "世界\n4", ""));
}

// rule: operations/control-variables
#[test]
fn the_directory_is_read_by_the_shell_and_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("some(dir)")).unwrap();
    let mut request = Request::command("basename \"$PWD\"");
    request.dir = Some(format!("{}/some\\(dir\\)", dir.path().display()));
    assert_eq!(run(request.clone()), exited(0, "some(dir)", ""));
    request.use_shell = false;
    request.work = Work::Command { line: "pwd".to_owned() };
    let Outcome::Exited { stdout: Data::Text(text), .. } = run(request.clone()) else { panic!() };
    assert!(text.ends_with("/some(dir)"), "{text}");
    request.dir = Some("/no/such/place".to_owned());
    assert_eq!(lost(&run(request.clone())), "no such directory: /no/such/place");
    request.use_shell = true;
    assert!(matches!(run(request), Outcome::Exited { status: 1, .. }));
}

// rule: operations/control-variables
#[test]
fn without_a_shell_nothing_is_expanded() {
    let mut request = Request::command("echo '$HOME  *' ; x");
    request.use_shell = false;
    assert_eq!(run(request.clone()), exited(0, "$HOME  * ; x", ""));
    request.work = Work::Command { line: "/no/such/program".to_owned() };
    assert!(lost(&run(request.clone())).starts_with("cannot run /no/such/program: "));
    request.use_shell = true;
    request.shell = "/no/such/shell".to_owned();
    assert!(lost(&run(request)).starts_with("cannot run /no/such/shell: "));
}

// rule: operations/control-variables
#[test]
fn a_terminal_is_one_and_takes_the_error_text_too() {
    let mut request = Request::command("test -t 0 && test -t 1 && echo tty; echo err >&2; cat");
    request.use_pty = true;
    request.input = Some(Data::Text("fed\n".to_owned()));
    assert_eq!(run(request), exited(0, "tty\nerr\nfed", ""));
}

// rule: operations/control-variables
#[test]
fn a_user_that_is_not_there_is_a_lost_command() {
    let mut request = Request::command("id -un");
    request.target.user = Some("no_such_user_here".to_owned());
    assert_eq!(lost(&run(request.clone())), "no such user: no_such_user_here");
    let me = Command::new("id").arg("-un").output().unwrap().stdout;
    if me == b"root\n" {
        request.target.user = Some("nobody".to_owned());
        assert_eq!(run(request), exited(0, "nobody", ""));
    }
}

// rule: operations/scripts
#[test]
fn a_script_is_laid_down_run_with_its_arguments_and_removed() {
    let script = |source: &str, arguments: &[&str]| {
        let mut request = Request::command("");
        request.work = Work::Script {
            source: source.to_owned(),
            ext: String::new(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        };
        request
    };
    let outcome = run(script("#!/bin/sh -e\necho $0 \"$2\"\nfalse\necho never", &["a", "b  c"]));
    let Outcome::Exited { status: 1, stdout: Data::Text(text), .. } = outcome else { panic!() };
    let (file, rest) = text.split_once(' ').unwrap();
    assert_eq!(rest, "b  c");
    assert!(!std::path::Path::new(file).exists(), "{file}");
    assert_eq!(run(script("echo ${BASH_VERSION:+bash} $#", &["x"])), exited(0, "bash 1", ""));
    let mut request = script("#!/bin/sh\npwd", &[]);
    request.dir = Some("/usr".to_owned());
    assert_eq!(run(request), exited(0, "/usr", ""));
}

// rule: operations/command-size
#[test]
fn a_command_over_112_kb_is_lost() {
    let line = |bytes: usize| format!(": {}", "x".repeat(bytes - 2));
    assert_eq!(run(Request::command(line(112 * 1024))), exited(0, "", ""));
    assert_eq!(
        lost(&run(Request::command(line(112 * 1024 + 1)))),
        "the command is longer than 112 KB"
    );
}

// rule: operations/control-variables
#[test]
fn sudo_checks_the_password_first_and_keeps_it_from_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let sudo = dir.path().join("sudo");
    std::fs::write(
        &sudo,
        "#!/bin/sh\nif [ \"$1\" = -S ]; then read p; [ \"$p\" = secret ] || { echo 'Sorry, try again.' >&2; exit 1; }; exit 0; fi\n\
         [ \"$1\" = -n ] || exit 9; shift 2; AS=sudo exec \"$@\"\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&sudo, mode).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let runner = Local::new(Options {
        helper: PathBuf::from(env!("CARGO_BIN_EXE_kompira")),
        home: "/".into(),
        temp: std::env::temp_dir(),
        env: vec![("PATH".to_owned(), path)],
    });
    let run = |password: &str| {
        let mut request = Request::command("AS=sudo; echo $AS; cat");
        request.sudo = true;
        request.input = Some(Data::Text("in".to_owned()));
        request.target.password = Some(password.to_owned().into());
        let (told, end) = channel();
        runner.start(request, Arc::new(NoOutput), Box::new(move |o| drop(told.send(o))));
        end.recv_timeout(PATIENCE).unwrap()
    };
    assert_eq!(run("secret"), exited(0, "sudo\nin", ""));
    assert_eq!(lost(&run("wrong")), "sudo refused: Sorry, try again.");
}
