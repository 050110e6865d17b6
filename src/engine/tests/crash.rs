//! A server that ends at every blocking point, and the next one on the same store.

use super::*;

// rule: operations/recovery
#[test]
fn a_command_in_flight_ends_the_process_as_interrupted_and_says_which() {
    let mut world = World::new();
    let job = world.jobflow("job", "print('before') -> ['rm -r /x'] -> print('after')");
    let id = world.start(job);
    let _ = world.runner.next();
    world.waits(id);
    world.crash();
    let info = world.info(id);
    assert_eq!((info.status, info.exit_status), (Status::Aborted, Some(-1)));
    assert_eq!(info.error, "interrupted".into());
    assert_eq!(world.console(id), "before\ninterrupted: rm -r /x\n");
    assert!(world.runner.all().is_empty(), "it is not repeated");
    // An operator takes it up again at that step.
    assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    let flying = world.runner.next();
    assert_eq!(flying.line(), "rm -r /x");
    flying.exit(0, "");
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "before\ninterrupted: rm -r /x\nafter\n");
}

// rule: operations/recovery, decision C-78
#[test]
fn in_checkpoint_mode_a_command_in_flight_is_run_again_and_no_other() {
    let mut world = World::new();
    let job = world.jobflow("job", "['one'] -> ['two'] -> print('done')");
    let options = StartOptions { checkpoint_mode: Some(true), ..StartOptions::default() };
    let id = world.start_with(job, &[], options);
    world.runner.next().exit(0, "");
    let _ = world.runner.next();
    world.crash();
    let flying = world.runner.next();
    assert_eq!(flying.line(), "two");
    flying.exit(0, "");
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.runner.all(), ["two"]);
    assert_eq!(world.console(id), "done\n");
}

// rule: operations/recovery
#[test]
fn a_command_that_had_ended_is_not_run_again_in_any_mode() {
    for checkpoint in [false, true] {
        let mut world = World::new();
        let job = world.jobflow("job", "['one'] -> print($RESULT)");
        let options = StartOptions { checkpoint_mode: Some(checkpoint), ..StartOptions::default() };
        let id = world.start_with(job, &[], options);
        let flying = world.runner.next();
        // Its end is journaled, but no worker makes anything of it.
        world.waits(id);
        world.engine().inner.queue.close();
        flying.exit(0, "result");
        world.crash();
        assert_eq!(world.ended(id).status, Status::Done);
        assert_eq!(world.console(id), "result\n");
        assert!(world.runner.all().is_empty());
    }
}

// rule: operations/recovery
#[test]
fn a_sleep_goes_on_with_the_rest_of_its_time() {
    let mut world = World::new();
    let job = world.jobflow("job", "[x = 7] -> sleep(100) -> print(x)");
    let id = world.start(job);
    world.waits(id);
    world.advance(40);
    world.crash();
    world.waits(id);
    world.advance(59);
    assert_eq!(world.info(id).status, Status::Waiting);
    world.advance(1);
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "7\n");
}

// rule: operations/recovery
#[test]
fn what_a_broken_attempt_said_is_not_said_twice() {
    let mut world = World::new();
    let job = world.jobflow("job", "print('before') -> ['one'] -> print('end')");
    let options = StartOptions { checkpoint_mode: Some(true), ..StartOptions::default() };
    let id = world.start_with(job, &[], options);
    for _ in 0..3 {
        let flying = world.runner.next();
        flying.output.text(crate::remote::Stream::Out, "half\n");
        world.until("it is heard", || world.console(id).contains("half"));
        world.crash();
    }
    let flying = world.runner.next();
    flying.output.text(crate::remote::Stream::Out, "half\nwhole\n");
    flying.exit(0, "");
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "before\nhalf\nwhole\nend\n");
}

// rule: operations/recovery
#[test]
fn the_output_of_a_command_that_ends_while_its_process_is_paused_is_shown() {
    for terminated in [false, true] {
        let world = World::new();
        let job = world.jobflow("job", "['one'] -> print('end')");
        let id = world.start(job);
        let flying = world.runner.next();
        assert!(world.engine().suspend(&root(), id).unwrap());
        world.until("it is paused", || world.info(id).suspended);
        flying.output.text(crate::remote::Stream::Out, "said\n");
        flying.exit(0, "");
        world.until("it is heard", || world.console(id) == "said\n");
        if terminated {
            world.engine().terminate(&root(), id).unwrap();
            world.ended(id);
            assert_eq!(world.console(id), "said\n");
        } else {
            assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
            world.ended(id);
            assert_eq!(world.console(id), "said\nend\n");
        }
    }
}

// rule: operations/recovery
#[test]
fn a_deadline_that_passed_while_the_server_was_down_is_over_at_once() {
    let mut world = World::new();
    let job = world.jobflow("job", "sleep(100) -> print('late')");
    let id = world.start(job);
    world.waits(id);
    world.clock.set_wall("2031-07-05T00:00:00Z".parse().unwrap());
    world.crash();
    assert_eq!(world.ended(id).status, Status::Done);
}

// rule: operations/recovery
#[test]
fn waits_for_events_children_locks_and_resume_are_entered_again() {
    let mut world = World::new();
    let channel = world.object("/root", "ch", "Channel", &[]);
    world.object(
        "/root",
        "one",
        "Jobflow",
        &[("source", "sleep(50)".into()), ("multiplicity", Value::Int(1))],
    );
    let event = world.start(world.jobflow("event", "<./ch> -> print($RESULT)"));
    let fork = world.start(
        world.jobflow("fork", "{ fork | sleep(10) -> exit(3)\n sleep(20) } => print($STATUS)"),
    );
    let inside = world.start(world.jobflow("inside", "[./one] -> print('in')"));
    world.waits(inside);
    let outside = world.start(world.jobflow("outside", "[./one] -> print('out')"));
    let paused = world.start(world.jobflow("paused", "suspend() -> print('on')"));
    for id in [event, fork, inside, outside, paused] {
        world.waits(id);
    }
    let children = world.engine().children(&root(), fork).unwrap();
    assert_eq!(children.len(), 2);
    children.iter().for_each(|child| world.waits(child.id));
    world.crash();
    for id in [event, fork, inside, outside, paused] {
        world.waits(id);
    }
    world
        .tree()
        .write(&root(), Durability::Lazy, |txn| txn.queue_push(channel, &"m".into()))
        .unwrap();
    assert_eq!(world.ended(event).status, Status::Done);
    assert_eq!(world.console(event), "m\n");
    assert!(world.engine().resume(&root(), paused, Modes::default()).unwrap());
    assert_eq!(world.ended(paused).status, Status::Done);
    world.advance(10);
    world.ended(children[0].id);
    world.advance(10);
    assert_eq!(world.ended(fork).status, Status::Done);
    assert_eq!(world.console(fork), "1\n");
    world.advance(30);
    assert_eq!(world.ended(inside).status, Status::Done);
    world.until("the other is inside", || {
        let row = world.engine().inner.row(outside).unwrap().unwrap();
        matches!(row.wait, Some(crate::engine::row::Wait::Until(_)))
    });
    world.waits(outside);
    world.advance(50);
    assert_eq!(world.ended(outside).status, Status::Done);
    assert_eq!(world.runner.all(), [""; 0]);
}

// rule: operations/pinned-sources
#[test]
fn a_deleted_jobflow_goes_on_after_a_restart() {
    let mut world = World::new();
    let job = world.jobflow("job", "sleep(10) -> print('still here')");
    let id = world.start(job);
    world.waits(id);
    world.tree().write(&root(), Durability::Lazy, |txn| txn.delete(job)).unwrap();
    world.crash();
    world.waits(id);
    world.advance(10);
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(id), "still here\n");
}

// rule: operations/recovery
#[test]
fn processes_that_were_new_or_running_are_no_ghosts() {
    let mut world = World::with(Limits { active: 1, ..Limits::default() });
    let job = world.jobflow("busy", "[n = 0] -> { while n < 200000 | [n = n + 1] } -> print(n)");
    let ids: Vec<_> = (0..3).map(|_| world.start(job)).collect();
    world.until("one runs", || world.info(ids[0]).started.is_some());
    world.crash();
    for id in ids {
        assert_eq!(world.ended(id).status, Status::Done);
        assert_eq!(world.console(id), "200000\n");
    }
    world.until("all are gone", || world.engine().count_active() == 0);
}

// rule: operations/recovery
#[test]
fn a_server_that_ends_often_and_anywhere_repeats_no_write_and_no_line() {
    let mut world = World::new();
    world.object("/root", "text", "Text", &[("text", "".into())]);
    let job = world.jobflow(
        "job",
        "[n = 0] -> { while n < 40 | [n = n + 1] -> [./text.text + 'x' >> ./text.text] -> print(n) -> sleep(1) }",
    );
    let id = world.start(job);
    for round in 0..40 {
        world.waits(id);
        if round % 3 == 0 {
            world.crash();
            world.waits(id);
        }
        world.advance(1);
        world.until("it goes on", || world.console(id).lines().count() > round + 1 || round == 39);
    }
    assert_eq!(world.ended(id).status, Status::Done);
    let lines: String = (1..=40).map(|n| format!("{n}\n")).collect();
    assert_eq!(world.console(id), lines);
    let object = world.tree().view().get(&root(), world.resolve("/root/text")).unwrap();
    assert_eq!(object.fields.get("text"), Some(&"x".repeat(40).into()));
}

// rule: operations/recovery
#[test]
fn a_process_whose_code_was_compiled_by_another_version_says_so_and_ends() {
    let mut world = World::new();
    let id = world.start(world.jobflow("job", "sleep(10) -> print('on')"));
    world.waits(id);
    let programs = world.engine().inner.row(id).unwrap().unwrap().programs;
    let key = row::pinned_key(crate::lang::program::CodeHash(programs[0]));
    let write = world.tree().write(&root(), Durability::Lazy, |txn| {
        txn.raw_put(Family::Frame, &key, b"print('other')".to_vec());
        Ok(())
    });
    write.unwrap();
    world.crash();
    world.advance(10);
    assert_eq!(world.ended(id).status, Status::Aborted);
    assert!(world.console(id).contains("compiled by another version"), "{}", world.console(id));
}

// rule: operations/stop
#[test]
fn an_engine_that_was_stopped_lets_go_of_the_store() {
    let mut world = World::new();
    let job = world.jobflow("job", "sleep(60)");
    let id = world.start(job);
    world.waits(id);
    let engine = world.engine.take().unwrap();
    let inner = Arc::downgrade(&engine.inner);
    engine.stop(Duration::ZERO);
    drop(engine);
    world.until("the store is let go", || inner.strong_count() == 0);
}

// rule: operations/recovery
#[test]
fn an_end_that_is_told_is_durable() {
    let world = World::new();
    let id = world.start(world.jobflow("job", "['x']"));
    assert!(!world.engine().has_ended(&root(), id).unwrap());
    let flying = world.runner.next();
    // Nothing but a sync of this count, or a later one, makes the end durable.
    let before = world.store.syncs();
    flying.exit(0, "");
    world.until("it ends", || !world.info(id).status.is_active());
    assert!(world.engine().has_ended(&root(), id).unwrap());
    assert!(world.store.syncs() > before);
}

// rule: operations/recovery
#[test]
fn interrupted_stands_on_a_line_of_its_own() {
    let mut world = World::new();
    let id = world.start(world.jobflow("job", "print('before') -> ['x']"));
    let flying = world.runner.next();
    flying.output.text(crate::remote::Stream::Out, "password: ");
    world.until("it is shown", || world.console(id).ends_with("password: "));
    world.crash();
    assert_eq!(world.console(id), "before\npassword: \ninterrupted: x\n");
}
