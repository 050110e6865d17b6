//! Commands, scripts and control variables.

use super::*;
use crate::remote::Stream;
use secrecy::ExposeSecret;

// rule: operations/control-variables
#[test]
fn variables_beat_the_account_and_the_account_beats_the_node() {
    let world = World::new();
    let own = world.object(
        "/root",
        "own",
        "AccountInfo",
        &[("user", "own".into()), ("password", "own-secret".into())],
    );
    world.object("/root", "acc", "AccountInfo", &[("user", "acc".into())]);
    world.object(
        "/root",
        "node",
        "NodeInfo",
        &[
            ("conntype", "local".into()),
            ("hostname", "h".into()),
            ("ipaddr", "192.0.2.7".into()),
            ("shell", "/bin/sh".into()),
            ("account", Value::Object(Ref::Object(own))),
        ],
    );
    let first = |source: &str| {
        let job = world.jobflow("job", source);
        let id = world.start(job);
        let flying = world.runner.next();
        let request = flying.request.clone();
        flying.exit(0, "");
        world.ended(id);
        request
    };
    let request = first("[__node__ = ./node] -> ['x']");
    assert_eq!(request.target.user.as_deref(), Some("own"));
    assert_eq!(request.target.password.as_ref().unwrap().expose_secret(), "own-secret");
    assert_eq!(request.target.host.as_deref(), Some("192.0.2.7"));
    assert_eq!(request.shell, "/bin/sh");
    assert!(!request.use_shell, "a node's own default");
    let request = first("[__node__ = ./node, __account__ = ./acc, __use_shell__ = true] -> ['x']");
    assert_eq!(request.target.user.as_deref(), Some("acc"));
    assert!(request.target.password.is_none());
    assert!(request.use_shell);
    let request = first(
        "[__node__ = ./node, __user__ = 'me', __timeout__ = 1.5, __dir__ = '/tmp'] -> ['x' << 'in']",
    );
    assert_eq!(request.target.user.as_deref(), Some("me"));
    assert_eq!(request.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(request.dir.as_deref(), Some("/tmp"));
    assert_eq!(request.input, Some(Data::Text("in".into())));
    let request = first("[__timeout__ = -1] -> ['x']");
    assert_eq!((request.timeout, request.use_shell), (None, true));
}

// rule: operations/realm-choice
#[test]
fn the_realm_of_a_job_is_named_or_found_by_its_host() {
    let world = World::new();
    let range = |pattern: &str| ("range", Value::Array(vec![pattern.into()]));
    world.object("/config/realm", "east", "Realm", &[range("*.east.example")]);
    let off = [range("192.0.2.7"), ("disabled", Value::Bool(true))];
    world.object("/config/realm", "off", "Realm", &off);
    let node = [
        ("conntype", "local".into()),
        ("hostname", "db.east.example".into()),
        ("ipaddr", "192.0.2.7".into()),
    ];
    world.object("/root", "node", "NodeInfo", &node);
    for (set, realm) in [
        ("__sudo__ = false", "default"),
        ("__host__ = 'x.east.example'", "east"),
        ("__host__ = '192.0.2.7'", "default"),
        ("__node__ = ./node", "east"),
        ("__node__ = ./node, __host__ = 'h'", "default"),
        ("__node__ = ./node, __realm__ = 'default'", "default"),
        ("__realm__ = /config/realm/east", "east"),
    ] {
        let id = world.start(world.jobflow("job", &format!("[{set}] -> ['x']")));
        let flying = world.runner.next();
        assert_eq!(flying.request.target.realm.as_deref(), Some(realm), "{set}");
        flying.exit(0, "");
        world.ended(id);
    }
    let (_, console) = world.run("[__realm__ = 'off'] -> ['x'] ->> print($STATUS, $ERROR)");
    assert_eq!(console, "-1 the realm off is disabled\n");
}

// rule: operations/control-variables
#[test]
fn a_wrong_control_variable_is_a_lost_job_with_its_name() {
    let world = World::new();
    for (set, told) in [
        ("__timeout__ = 'x'", "__timeout__ cannot be of type String"),
        ("__node__ = 5", "__node__ cannot be of type Integer"),
        ("__host__ = ['a']", "__host__ cannot be of type Array"),
        ("__realm__ = 'nowhere'", "no such realm: nowhere"),
        ("__node__ = ./job", "__node__: /root/job is no NodeInfo"),
    ] {
        let (info, console) = world.run(&format!("[{set}] -> ['x'] ->> print($STATUS, $ERROR)"));
        assert_eq!(console, format!("-1 {told}\n"), "{info:?}");
    }
    assert!(world.runner.all().is_empty());
}

#[test]
fn connectors_judge_a_command_by_its_end() {
    let world = World::new();
    let job = world.jobflow(
        "job",
        "['a'] => print($STATUS, $RESULT, $ERROR) -> ['b'] ->> print($STATUS, $RESULT, $ERROR) -> ['c'] -> print('never')",
    );
    let id = world.start(job);
    world.runner.next().end(exited(3, "out", "err"));
    world.runner.next().end(Outcome::Lost { message: "no route".into() });
    world.runner.next().end(exited(4, "o", "e"));
    let info = world.ended(id);
    let console = world.console(id);
    assert!(console.starts_with("3 out err\n-1  no route\n"), "{console}");
    assert!(
        console.contains("aborted at line 1 in /root/job: job failed with status 4"),
        "{console}"
    );
    assert_eq!((info.exit_status, info.result, info.error), (Some(4), "o".into(), "e".into()));
}

// rule: operations/scripts
#[test]
fn a_script_started_directly_shows_status_and_output() {
    let world = World::new();
    let script = world.object(
        "/root",
        "s",
        "ScriptJob",
        &[("source", "#!/bin/sh\r\necho".into()), ("ext", "sh".into())],
    );
    let params = Params::CommandLine("one 'two words'".into());
    let id = world.engine().execute(&root(), script, params, StartOptions::default()).unwrap();
    let flying = world.runner.next();
    assert_eq!(flying.line(), "#!/bin/sh\necho [\"one\", \"two words\"]");
    assert!(!world.engine().suspend(&root(), id).unwrap(), "not for scripts");
    flying.end(exited(2, "said", "told"));
    let info = world.ended(id);
    assert_eq!((info.status, info.exit_status), (Status::Aborted, Some(2)));
    assert_eq!(
        world.console(id),
        "exit status: 2\nstandard output:\nsaid\nstandard error:\ntold\n"
    );
}

// rule: language/subscripts
#[test]
fn a_setting_is_found_by_its_key_where_no_field_has_the_name() {
    let world = World::new();
    let (_, console) = world.run(
        "[config = /system/config] ->\n\
         [7 >> config['loginFailureLimit']] ->\n\
         print(config['loginFailureLimit'], config.data.loginFailureLimit, config['fieldNames'] != []) ->\n\
         { try | ['x' >> config['noSuchKey']] } => print($ERROR) ->\n\
         print(config['noSuchKey'])",
    );
    let lines: Vec<_> = console.lines().collect();
    assert_eq!(lines.len(), 3, "{console}");
    assert_eq!(lines[..2], ["7 7 true", "field not found: noSuchKey"], "{console}");
    assert!(lines[2].ends_with("field not found: noSuchKey"), "{console}");
}

// rule: operations/console-settings
#[test]
fn a_restart_of_the_machine_is_shown_as_a_command_of_root() {
    let world = World::new();
    let job = world.jobflow(
        "job",
        "[true >> /system/config.data.showCommandEnabled] ->\n\
         ['{jobtype} {hostname}{sudomark} {command} {now}' >> /system/config.data.showCommandFormat] ->\n\
         [__dir__ = '/tmp'] -> reboot(wait=5) -> reboot('soon') => print($STATUS)",
    );
    let id = world.start(job);
    let flying = world.runner.next();
    assert_eq!(flying.line(), "reboot");
    assert!(flying.request.sudo && flying.request.dir.is_none());
    flying.exit(0, "");
    assert_eq!(world.ended(id).status, Status::Done);
    let wrong = "reboot(): 'wait' cannot be of type String";
    let console = world.console(id);
    let (shown, rest) = console.split_once('\n').unwrap();
    let at = shown.strip_prefix("REBOOT localhost# reboot ").unwrap();
    assert!(jiff::Timestamp::strptime("%Y-%m-%d %H:%M:%S%:z", at).is_ok(), "{at}");
    assert_eq!(rest, format!("{wrong}\n1\n"));
}

// rule: operations/step-mode
#[test]
fn step_mode_shows_each_command_and_waits_for_resume() {
    let world = World::new();
    let job = world.jobflow("job", "['one'] -> ['two'] -> print('done')");
    let id = world.start_with(job, &[], StartOptions { step_mode: true, ..Default::default() });
    world.until("it steps", || world.info(id).suspended);
    assert_eq!(world.console(id), "step: one\n");
    assert!(world.runner.all().is_empty());
    assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    world.runner.next().exit(0, "");
    world.until("it steps again", || world.info(id).suspended);
    let modes = Modes { step: Some(false), ..Modes::default() };
    assert!(world.engine().resume(&root(), id, modes).unwrap());
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "step: one\nstep: two\ndone\n");
}

// rule: operations/console
#[test]
fn output_is_on_the_console_before_what_the_jobflow_prints_of_it() {
    let world = World::new();
    let job = world.jobflow("job", "['x'] -> print('after')");
    let id = world.start(job);
    let flying = world.runner.next();
    for n in 0..100 {
        flying.output.text(Stream::Out, &format!("line {n}\n"));
    }
    flying.exit(0, "");
    world.ended(id);
    let expected: String = (0..100).map(|n| format!("line {n}\n")).collect();
    assert_eq!(world.console(id), expected + "after\n");
}

// rule: operations/realm-choice
#[test]
fn the_realms_are_kept_until_one_of_them_changes_comes_or_goes() {
    let world = World::new();
    let realms = realm::Realms::default();
    let range = |text: &str| ("range", Value::Array(vec![text.into()]));
    let east = world.object("/config/realm", "east", "Realm", &[range("*.east.example")]);
    let names = ["a.east.example".to_owned()];
    let chosen = || {
        let done = world.tree().write(&root(), Durability::Lazy, |txn| {
            Ok(realm::of_host(&realms.seen_by(world.tree(), txn), &names))
        });
        done.unwrap().value
    };
    let held = || realms.read(world.tree()).unwrap();
    assert_eq!(chosen(), Ok("east".to_owned()));
    let first = held();
    world.jobflow("other", "print('x')");
    assert!(Arc::ptr_eq(&first, &held()), "nothing of them changed");
    world.object("/config/realm", "exact", "Realm", &[range("a.east.example")]);
    assert_eq!(chosen(), Ok("exact".to_owned()));
    let write = |work: &dyn Fn(&mut crate::tree::Txn) -> Result<(), Fault>| {
        let done = world.tree().write(&root(), Durability::Lazy, |txn| {
            work(txn)?;
            // It sees what it has done itself.
            Ok(realm::of_host(&realms.seen_by(world.tree(), txn), &names))
        });
        let within = done.unwrap().value;
        assert_eq!(chosen(), within);
        within
    };
    let exact = world.resolve("/config/realm/exact");
    let renamed = write(&|txn| txn.rename(exact, &kompira_schema::path::Name::new("other")?));
    assert_eq!(renamed, Ok("other".to_owned()));
    assert_eq!(write(&|txn| txn.delete(exact)), Ok("east".to_owned()));
    let disabled = [("disabled".to_owned(), Value::Bool(true))];
    let disabled = write(&|txn| {
        let fields = disabled.iter().cloned().collect();
        let patch = crate::tree::Patch { fields, ..Default::default() };
        txn.update(east, None, patch).map(drop)
    });
    assert_eq!(disabled, Ok("default".to_owned()));
    let now = held();
    assert!(Arc::ptr_eq(&now, &held()));
}

// rule: operations/console-settings
#[test]
fn settings_hold_until_they_change_and_a_transaction_sees_its_own() {
    let world = World::new();
    let shows = settings::Shows::default();
    let first = shows.read(world.tree());
    world.jobflow("other", "print('x')");
    assert!(Arc::ptr_eq(&first, &shows.read(world.tree())), "nothing of them changed");
    assert_eq!(first.command, None);
    let config = world.resolve("/system/config");
    let data: Dict = [("showCommandEnabled".to_owned(), Value::Bool(true))].into_iter().collect();
    let within = world.tree().write(&root(), Durability::Lazy, |txn| {
        let patch = crate::tree::Patch { data: Some(data.clone()), ..Default::default() };
        txn.update(config, None, patch)?;
        Ok(shows.read_in(world.tree(), txn))
    });
    assert!(within.unwrap().value.command.is_some());
    assert!(shows.read(world.tree()).command.is_some());
    let id = world.start(world.jobflow("job", "['ls']"));
    world.runner.next().exit(0, "");
    world.ended(id);
    assert_eq!(world.console(id), "[kompira@localhost]$ ls\n");
}
