//! Jobflows from start to end.

use super::*;

// rule: operations/execute
#[test]
fn hello_runs_from_start_to_end() {
    let world = World::new();
    let job = world.jobflow(
        "hello",
        "|who = 'nobody'|\n[n = 0]\n-> { for i in 3 | [n = n + i] }\n-> { if n == 3 | print(\"hello $who\") }\n-> [\"uname\"]\n-> print($RESULT)\n-> return(n)",
    );
    let id = world.start_with(job, &[("who", "世界".into())], StartOptions::default());
    let flying = world.runner.next();
    assert_eq!(flying.line(), "uname");
    flying.exit(0, "Linux");
    let info = world.ended(id);
    assert_eq!(info.status, Status::Done, "{}", world.console(id));
    assert_eq!(info.result, Value::Int(3));
    assert_eq!(info.exit_status, Some(0));
    assert_eq!(world.console(id), "hello 世界\nLinux\n");
    assert!(info.started.is_some() && info.finished.is_some());
    assert_eq!(info.current_job, None);
}

// rule: operations/process-ends, operations/process-states, language/end-of-process
#[test]
fn each_end_has_its_state_status_result_and_error() {
    let world = World::new();
    let none: Value = "".into();
    for (source, status, exit, result, error) in [
        ("print('x')", Status::Done, 0, none.clone(), none.clone()),
        ("exit(0, 'r', 'e')", Status::Done, 0, "r".into(), "e".into()),
        ("exit(7, 'r', 'e')", Status::Aborted, 7, "r".into(), "e".into()),
        ("return('r', 3)", Status::Aborted, 3, "r".into(), none.clone()),
        ("abort('gone')", Status::Aborted, 1, none, "gone".into()),
    ] {
        let (info, console) = world.run(source);
        assert_eq!((info.status, info.exit_status), (status, Some(exit)), "{source}: {console}");
        assert_eq!((&info.result, &info.error), (&result, &error), "{source}: {console}");
    }
}

// rule: operations/execute
#[test]
fn a_start_is_refused_with_its_reason() {
    let world = World::new();
    let good = world.jobflow("good", "|a|\nprint(a)");
    let broken = world.jobflow("broken", "print(");
    let text = world.object("/root", "text", "Text", &[("text", "x".into())]);
    let run = |who: &Caller, job, params: &[(&str, Value)]| {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let params = Params::Values(params.collect());
        world.engine().execute(who, job, params, StartOptions::default()).map_err(|f| f.kind())
    };
    assert_eq!(run(&root(), good, &[]), Err(Kind::Invalid), "a parameter is missing");
    assert_eq!(run(&root(), good, &[("b", Value::Null)]), Err(Kind::Invalid), "an unknown one");
    assert_eq!(run(&root(), broken, &[]), Err(Kind::Invalid), "it does not compile");
    assert_eq!(run(&root(), text, &[]), Err(Kind::NoMethod), "no jobflow");
    assert_eq!(run(&caller(User::GUEST), good, &[("a", Value::Null)]), Err(Kind::Denied));
    assert_eq!(run(&root(), ObjectId(987_654), &[]), Err(Kind::NotFound));
    assert!(world.engine().list(&root(), &Filter::default(), None, 10).unwrap().is_empty());
}

// rule: operations/execute
#[test]
fn parameters_may_be_expressions_that_only_read() {
    let world = World::new();
    world.object("/root", "text", "Text", &[("text", "stored".into())]);
    let job = world.jobflow("job", "|a|\n|b|\nreturn([a, b])");
    let run = |a: &str| {
        let params = [("a".to_owned(), a.to_owned()), ("b".to_owned(), "./text".to_owned())];
        let params = Params::Expressions(params.into_iter().collect());
        world.engine().execute(&root(), job, params, StartOptions::default())
    };
    let id = run("1 + 2 * length").err();
    assert!(id.is_some());
    let info = world.ended(run("1 + 2 * 3").unwrap());
    let text = Value::Object(Ref::Object(world.resolve("/root/text")));
    assert_eq!(info.result, Value::Array(vec![Value::Int(7), text]));
    for bad in [
        "1 +",
        "nothing_here",
        "1)) -> ['rm x'] -> return((1",
        "",
        "1)) -> ['x' >> ./text.text] -> return((1",
    ] {
        let fault = run(bad).unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid, "{bad}");
        assert_eq!(fault.problems()[0].at, "a", "{bad}");
    }
    assert!(world.runner.all().is_empty());
}

#[test]
fn objects_are_read_and_written_with_the_step_that_does_it() {
    let world = World::new();
    world.object("/root", "text", "Text", &[("text", "old".into())]);
    let (info, console) = world.run(
        "[t = ./text]\n-> ['new' >> t.text]\n-> print(t['text'], t.name, t.type_name)\n-> ['shown' >> t.display_name]\n-> print(t.display_name)",
    );
    assert_eq!(info.status, Status::Done, "{console}");
    assert_eq!(console, "new text Text\nshown\n");
    let view = world.tree().view();
    let object = view.get(&root(), world.resolve("/root/text")).unwrap();
    assert_eq!(object.fields.get("text"), Some(&"new".into()));
    assert_eq!(object.stub.display_name, "shown");
}

// rule: operations/objects-in-jobflows
#[test]
fn a_process_may_do_what_its_user_may() {
    let world = World::new();
    let secret = world.object("/root", "secret", "Text", &[("text", "x".into())]);
    let job = world.jobflow("job", "|t|\nprint(t.text)");
    let all = crate::auth::Rights::ALL;
    world
        .tree()
        .write(&root(), Durability::Lazy, |txn| {
            let acl = crate::auth::Acl::of_user(User::GUEST, all);
            let patch = crate::tree::Patch { acl: Some(acl), ..Default::default() };
            txn.update(job, None, patch)
        })
        .unwrap();
    let guest = caller(User::GUEST);
    let params = Dict::from_iter([("t".to_owned(), Value::Object(Ref::Object(secret)))]);
    let id = world
        .engine()
        .execute(&guest, job, Params::Values(params), StartOptions::default())
        .unwrap();
    let info = world.ended(id);
    assert_eq!(info.status, Status::Aborted);
    assert_eq!(info.error, "permission denied: /root/secret".into());
    assert!(world.engine().info(&guest, id).is_ok(), "his own");
    let other = world.start_with(job, &[("t", Value::Null)], StartOptions::default());
    let kind = world.engine().info(&guest, other).map_err(|fault| fault.kind());
    assert_eq!(kind.err(), Some(Kind::NotFound), "others are not seen");
}

// rule: operations/children, operations/process-properties
#[test]
fn children_run_beside_each_other_and_are_counted() {
    let world = World::new();
    let (info, console) = world.run(
        "[x = 5]\n-> { pfor i in 3 | [x = x + i] -> exit(i, x) }\n=> print($STATUS)\n-> { for p in $RESULT | print(p.exit_status, p.result, p.status) }\n->print(x)",
    );
    assert_eq!(info.status, Status::Done, "{console}");
    assert_eq!(console, "2\n0 5 DONE\n1 6 ABORTED\n2 7 ABORTED\n5\n");
    let children = world.engine().children(&root(), info.id).unwrap();
    assert_eq!(children.len(), 3);
    assert!(children.iter().all(|child| child.parent == Some(info.id) && child.job == info.job));
}

// rule: operations/children
#[test]
fn a_detached_child_is_an_ordinary_process_and_not_awaited() {
    let world = World::new();
    let job =
        world.jobflow("two", "{ fork | detach() -> sleep(1000)\n exit(4) }\n=> print($STATUS)");
    let id = world.start(job);
    let info = world.ended(id);
    assert_eq!(world.console(id), "1\n", "{info:?}");
    let filter = Filter { active: Some(true), ..Filter::default() };
    let left = world.engine().list(&root(), &filter, None, 10).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].parent, None);
    assert!(world.engine().terminate(&root(), left[0].id).unwrap());
}

#[test]
fn a_sleep_ends_when_its_time_comes_and_holds_no_thread() {
    let world = World::new();
    let job = world.jobflow("job", "print('a') -> sleep(3600) -> print('b')");
    let ids: Vec<_> = (0..50).map(|_| world.start(job)).collect();
    ids.iter().for_each(|&id| world.waits(id));
    world.advance(3599);
    assert!(ids.iter().all(|&id| world.info(id).status == Status::Waiting));
    world.advance(1);
    for id in ids {
        assert_eq!(world.ended(id).status, Status::Done);
        assert_eq!(world.console(id), "a\nb\n");
    }
}

// rule: operations/events
#[test]
fn a_process_waits_for_the_end_of_another_and_for_a_message() {
    let world = World::new();
    let sleeper = world.jobflow("sleeper", "sleep(100) -> exit(0, 'woken')");
    let other = world.start(sleeper);
    let channel = world.object("/root", "ch", "Channel", &[]);
    let job = world.jobflow("job", "|p|\n<p> -> print($RESULT.result)\n-> <./ch> -> print($RESULT)\n-> <./ch : timeout=5> => print($STATUS)");
    let params = [("p", Value::Object(Ref::Process(other)))];
    let id = world.start_with(job, &params, StartOptions::default());
    world.waits(id);
    world.waits(other);
    world.advance(100);
    world.until("it waits for the channel", || world.console(id) == "woken\n");
    world.waits(id);
    world
        .tree()
        .write(&root(), Durability::Lazy, |txn| txn.queue_push(channel, &"hi".into()))
        .unwrap();
    world.until("the message came", || world.console(id) == "woken\nhi\n");
    world.waits(id);
    world.advance(5);
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "woken\nhi\n1\n");
}

// rule: operations/multiplicity
#[test]
fn a_jobflow_of_multiplicity_one_has_one_process_inside() {
    let world = World::new();
    let one = world.object(
        "/root",
        "one",
        "Jobflow",
        &[("source", "['inside']".into()), ("multiplicity", Value::Int(1))],
    );
    let _ = one;
    let caller = world.jobflow("caller", "[./one] -> print('out') -> sleep(1)");
    let ids: Vec<_> = (0..3).map(|_| world.start(caller)).collect();
    let first = world.runner.next();
    ids.iter().for_each(|&id| world.waits(id));
    assert_eq!(world.runner.all().len(), 1, "the others wait");
    first.exit(0, "");
    world.runner.next().exit(0, "");
    let last = world.runner.next();
    assert_eq!(world.runner.all().len(), 3);
    last.exit(0, "");
    ids.iter().for_each(|&id| world.waits(id));
    world.advance(1);
    assert!(ids.iter().all(|&id| world.ended(id).status == Status::Done));
}

// rule: operations/multiplicity
#[test]
fn who_calls_again_stands_behind_those_who_wait() {
    let world = World::new();
    let single = [("source", "|n| ['$n']".into()), ("multiplicity", Value::Int(1))];
    world.object("/root", "one", "Jobflow", &single);
    let greedy = world.jobflow("greedy", "{ for i in 3 | [./one: 'greedy'] }");
    let modest = world.jobflow("modest", "[./one: 'modest']");
    let first = world.start(greedy);
    let running = world.runner.next();
    let second = world.start(modest);
    world.waits(second);
    running.exit(0, "");
    (0..3).for_each(|_| world.runner.next().exit(0, ""));
    assert!([first, second].iter().all(|&id| world.ended(id).status == Status::Done));
    assert_eq!(world.runner.all(), ["greedy", "modest", "greedy", "greedy"]);
}

// rule: operations/multiplicity
#[test]
fn a_script_of_multiplicity_one_runs_once_at_a_time_when_jobflows_run_it() {
    let world = World::new();
    let single = [("source", "#!/bin/sh".into()), ("multiplicity", Value::Int(1))];
    let script = world.object("/root", "one", "ScriptJob", &single);
    let caller = world.jobflow("caller", "[./one: 1] => print($STATUS) -> [./one: 2]");
    let ids: Vec<_> = (0..3).map(|_| world.start(caller)).collect();
    ids.iter().for_each(|&id| world.waits(id));
    // One that was started directly stands in the same line.
    let direct = world.start(script);
    world.waits(direct);
    for begun in 1..=7 {
        let running = world.runner.next();
        assert_eq!(world.runner.all().len(), begun, "the others wait");
        running.exit(0, "");
    }
    assert!(ids.iter().all(|&id| world.ended(id).status == Status::Done));
    assert_eq!(world.ended(direct).status, Status::Done);
    // Who is ended while it runs gives its place back.
    let [first, second] = [world.start(caller), world.start(caller)];
    world.waits(second);
    let _running = world.runner.next();
    assert!(world.engine().terminate(&root(), first).unwrap());
    world.runner.next().exit(4, "");
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(second).status, Status::Done);
}

// rule: operations/multiplicity
#[test]
fn who_is_ended_or_paused_in_the_line_holds_nobody_up() {
    let world = World::new();
    let single = [("source", "['inside']".into()), ("multiplicity", Value::Int(1))];
    world.object("/root", "one", "Jobflow", &single);
    let caller = world.jobflow("caller", "[./one]");
    let start = || {
        let id = world.start(caller);
        world.waits(id);
        id
    };
    let [_, ended, paused, last] = [start(), start(), start(), start()];
    let first = world.runner.next();
    assert!(world.engine().terminate(&root(), ended).unwrap());
    assert!(world.engine().suspend(&root(), paused).unwrap());
    first.exit(0, "");
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(last).status, Status::Done);
    assert!(world.engine().resume(&root(), paused, Modes::default()).unwrap());
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(paused).status, Status::Done);
}

// rule: operations/pinned-sources
#[test]
fn a_running_process_keeps_the_source_it_started_with() {
    let world = World::new();
    let sub = world.jobflow("sub", "print('old sub')");
    let _ = sub;
    let job = world.jobflow("job", "['x'] -> print('old') -> [./sub]");
    let id = world.start(job);
    let flying = world.runner.next();
    world.jobflow("job", "print('new')");
    world.jobflow("sub", "print('new sub')");
    flying.exit(0, "");
    world.ended(id);
    assert_eq!(world.console(id), "old\nnew sub\n", "the next call uses the new code");
}

// rule: operations/startup
#[test]
fn startup_jobflows_run_in_order_with_the_directory_as_invoker() {
    let world = World::new();
    let dir = world.resolve("/system/startup");
    for name in ["b", "a"] {
        world.object(
            "/system/startup",
            name,
            "Jobflow",
            &[("source", format!("print('{name}')").into())],
        );
    }
    world.object("/system/startup", "c", "Text", &[("text", "x".into())]);
    let ids = world.engine().run_startup(&root()).unwrap();
    let consoles: Vec<_> = ids
        .iter()
        .map(|&id| {
            assert_eq!(world.ended(id).invoker, Some(dir));
            world.console(id)
        })
        .collect();
    assert_eq!(consoles, ["a\n", "b\n"]);
}

// rule: operations/console
#[test]
fn a_console_is_followed_from_an_offset_to_its_end() {
    let world = World::new();
    let job = world.jobflow("job", "print('one') -> ['x'] -> print('two')");
    let id = world.start(job);
    let mut stream = world.engine().follow(&root(), id, 0).unwrap();
    let mut text = String::new();
    let mut take = |text: &mut String| match stream.next(PATIENCE).unwrap() {
        ConsoleEvent::Text(piece) => {
            assert_eq!(piece.from, text.len() as u64);
            text.push_str(&piece.text);
            true
        }
        ConsoleEvent::Ended => false,
        ConsoleEvent::Idle => panic!("nothing came"),
    };
    assert!(take(&mut text));
    assert_eq!(text, "one\n");
    let flying = world.runner.next();
    flying.output.text(crate::remote::Stream::Out, "live\n");
    assert!(take(&mut text));
    assert_eq!(text, "one\nlive\n");
    flying.exit(0, "live");
    while take(&mut text) {}
    assert_eq!(text, "one\nlive\ntwo\n");
    assert_eq!(
        world.engine().follow(&root(), id, 9).unwrap().next(PATIENCE).unwrap(),
        ConsoleEvent::Text(ConsoleText { from: 9, text: "two\n".into() })
    );
}

// rule: operations/events
#[test]
fn a_guard_waits_for_its_message_and_peeking_leaves_it() {
    let world = World::new();
    let channel = world.object("/root", "ch", "Channel", &[]);
    let send = |text: &str| {
        let text = Value::from(text);
        world.tree().write(&root(), Durability::Lazy, |txn| txn.queue_push(channel, &text)).unwrap()
    };
    let left = || {
        let view = world.tree().view();
        let messages = view.queue_messages(&root(), channel, 10).unwrap();
        messages.into_iter().map(|(_, message)| message).collect::<Vec<_>>()
    };
    let head = world.start(world.jobflow("head", "<./ch ? 'b*'> -> print($RESULT)"));
    world.waits(head);
    send("a");
    send("b1");
    world.waits(head);
    assert_eq!(left(), ["a".into(), "b1".into()], "the head does not match");
    let peek = world.start(world.jobflow("peek", "<./ch : peek_mode=true> -> print($RESULT[1])"));
    world.ended(peek);
    assert_eq!(world.console(peek), "a\n");
    let scan = world.start(world.jobflow("scan", "<./ch ?? r'1$'> -> print($RESULT)"));
    world.ended(scan);
    assert_eq!((world.console(scan), left().len()), ("b1\n".to_owned(), 0));
    send("b2");
    world.ended(head);
    assert_eq!(world.console(head), "b2\n");
}
