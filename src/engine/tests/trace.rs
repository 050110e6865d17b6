//! Recorded steps, and going back to one of them.

use super::*;

fn traced(world: &World, job: ObjectId) -> ProcessId {
    world.start_with(job, &[], StartOptions { trace: true, ..StartOptions::default() })
}

// rule: operations/trace
#[test]
fn steps_tell_line_values_and_what_was_waited_for() {
    let world = World::new();
    world.jobflow("sub", "|n|\nreturn(n * 2)");
    let source = "[x = 1] ->\n['one'] ->\n[./sub: x + 2] ->\n[y = $RESULT] -> sleep(1) -> exit(3)";
    let id = traced(&world, world.jobflow("job", source));
    world.runner.next().exit(0, "out");
    world.waits(id);
    world.advance(1);
    world.ended(id);
    let trace = world.engine().trace(&root(), id, 0, 100).unwrap();
    assert!(!trace.on, "it has ended");
    let numbers: Vec<_> = trace.steps.iter().map(|step| step.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let with = |name: &str| {
        trace.steps.iter().find(|step| step.changed.iter().any(|(held, _)| held == name)).unwrap()
    };
    assert_eq!((with("x").line, with("x").depth), (1, 1));
    assert_eq!(with("n").changed, [("n".to_owned(), "3".to_owned())]);
    assert_eq!(with("n").depth, 2);
    assert_eq!((with("y").line, with("y").changed.clone()), (4, vec![("y".into(), "6".into())]));
    let command = trace.steps.iter().find(|step| step.command.is_some()).unwrap();
    assert_eq!((command.line, command.command), (2, Some(1)));
    assert_eq!(command.wait.as_deref(), Some("one"));
    let slept = trace.steps.iter().filter_map(|step| step.wait.as_deref());
    assert!(
        slept.clone().any(|wait| wait.starts_with("until ")),
        "{:?}",
        slept.collect::<Vec<_>>()
    );
    // Page by page.
    let page = world.engine().trace(&root(), id, 2, 1).unwrap();
    assert_eq!(page.steps, trace.steps[2..3]);
    // It goes with its process.
    world.engine().delete(&root(), id).unwrap();
    let prefix = crate::store::KeyRange::prefix(&id.0.to_be_bytes());
    let mut left = 0;
    let snapshot = world.store.snapshot();
    let each = &mut |_: &[u8], _: &[u8]| {
        left += 1;
        ControlFlow::Continue(())
    };
    snapshot.scan(crate::store::Family::Journal, &prefix, Direction::Forward, each).unwrap();
    assert_eq!(left, 0);
}

// rule: operations/trace
#[test]
fn a_trace_is_switched_while_a_process_runs_and_costs_nothing_before() {
    let world = World::new();
    let id =
        world.start(world.jobflow("job", "[x = 1] -> sleep(1) -> [x = 2] -> sleep(1) -> [x = 3]"));
    world.waits(id);
    assert_eq!(
        world.engine().trace(&root(), id, 0, 10).unwrap(),
        crate::engine::trace::Trace::default()
    );
    let on = Modes { trace: Some(true), ..Modes::default() };
    world.engine().set_modes(&root(), id, on).unwrap();
    world.advance(1);
    world.until("it records", || {
        !world.engine().trace(&root(), id, 0, 10).unwrap().steps.is_empty()
    });
    world.waits(id);
    let recorded = world.engine().trace(&root(), id, 0, 10).unwrap();
    assert!(recorded.on);
    let changed: Vec<_> = recorded.steps.iter().flat_map(|step| step.changed.clone()).collect();
    assert_eq!(changed, [("x".to_owned(), "2".to_owned())]);
    let off = Modes { trace: Some(false), ..Modes::default() };
    world.engine().set_modes(&root(), id, off).unwrap();
    world.advance(1);
    world.ended(id);
    assert_eq!(world.engine().trace(&root(), id, 0, 10).unwrap().steps, recorded.steps);
}

// rule: operations/trace
#[test]
fn a_trace_of_a_loop_keeps_the_latest_steps() {
    let world = World::new();
    let job = world.jobflow("job", "[n = 0] -> { while n < 12000 | [n = n + 1] } -> print(n)");
    let id = traced(&world, job);
    assert_eq!(world.ended(id).status, Status::Done);
    let mut after = 0;
    let mut count = 0;
    loop {
        let page = world.engine().trace(&root(), id, after, 1_000).unwrap().steps;
        let Some(last) = page.last() else { break };
        after = last.number;
        count += page.len() as u64;
    }
    assert!(after > crate::engine::trace::STEPS_MAX, "{after}");
    assert_eq!(count, crate::engine::trace::STEPS_MAX);
}

// rule: operations/resume-from
#[test]
fn an_ended_process_is_taken_up_before_one_of_its_commands() {
    let mut world = World::new();
    let source =
        "['one'] -> [a = $RESULT] -> ['two'] -> print(a, $RESULT) -> ['three'] -> print('end')";
    let job = world.jobflow("job", source);
    let id = traced(&world, job);
    for _ in 0..2 {
        world.runner.next().exit(0, "first");
    }
    world.runner.next().exit(5, "");
    assert_eq!(world.ended(id).exit_status, Some(5));
    // The source has changed since, and the server was restarted.
    world.jobflow("job", "print('other')");
    world.crash();
    let busy = world.engine().resume_from(&root(), id, 9).unwrap_err();
    assert_eq!(busy.kind(), Kind::NotFound);
    world.engine().resume_from(&root(), id, 2).unwrap();
    let active = world.engine().resume_from(&root(), id, 2).unwrap_err();
    assert_eq!(active.kind(), Kind::Busy);
    for line in ["two", "three"] {
        let flying = world.runner.next();
        assert_eq!(flying.line(), line);
        flying.exit(0, "second");
    }
    let ended = world.ended(id);
    assert_eq!((ended.status, ended.exit_status), (Status::Done, Some(0)));
    assert_eq!(world.console(id).lines().last(), Some("end"));
    assert!(world.console(id).contains("first second"), "{}", world.console(id));
    assert_eq!(world.runner.all(), ["two", "three"]);
}

// rule: operations/process-limits
#[test]
fn a_process_that_takes_too_many_steps_ends_with_its_reason() {
    let world = World::with(Limits { steps: 50_000, ..Limits::default() });
    let (info, console) = world.run("{ while true | [] }");
    assert_eq!((info.status, info.exit_status), (Status::Aborted, Some(1)));
    assert_eq!(info.error, "too many steps: at most 50000".into());
    assert_eq!(console, "too many steps: at most 50000\n");
    assert_eq!(world.run("print('others go on')").1, "others go on\n");
}
