//! Terminate, suspend, resume, delete.

use super::*;

// rule: operations/terminate, decision C-71
#[test]
fn a_process_is_terminated_wherever_it_is() {
    let world = World::new();
    for (name, source) in [
        ("sleep", "{ try | sleep(1000) }"),
        ("loop", "{ while true | [] }"),
        ("command", "{ try | ['x'] }"),
        ("event", "<./ch>"),
        ("children", "{ fork | sleep(1000)\n sleep(1000) }"),
        ("suspended", "suspend()"),
    ] {
        world.object("/root", "ch", "Channel", &[]);
        let job = world.jobflow(name, source);
        let id = world.start(job);
        world.until("it runs", || world.info(id).started.is_some());
        if name == "command" {
            let _ = world.runner.next();
        }
        let children = world.engine().children(&root(), id).unwrap();
        assert!(world.engine().terminate(&root(), id).unwrap(), "{name}");
        let info = world.info(id);
        assert_eq!((info.status, info.exit_status), (Status::Aborted, Some(-1)), "{name}");
        assert_eq!(info.error, "terminated".into(), "{name}");
        assert!(!world.engine().terminate(&root(), id).unwrap(), "once is enough");
        for child in children {
            assert_eq!(world.ended(child.id).error, "terminated".into());
        }
    }
    world.until("all are gone", || world.engine().count_active() == 0);
    assert_eq!(world.runner.cancelled(), ["x"]);
}

// rule: operations/suspend
#[test]
fn a_suspended_process_lets_its_command_end_and_takes_no_step() {
    let world = World::new();
    let job = world.jobflow("job", "['x'] -> print('after')");
    let id = world.start(job);
    let flying = world.runner.next();
    assert!(world.engine().suspend(&root(), id).unwrap());
    assert!(!world.engine().suspend(&root(), id).unwrap(), "already");
    flying.exit(0, "");
    world.waits(id);
    assert_eq!(world.console(id), "");
    assert!(world.info(id).suspended);
    assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    assert_eq!(world.ended(id).status, Status::Done);
    assert!(!world.engine().resume(&root(), id, Modes::default()).unwrap());
}

// rule: operations/suspend
#[test]
fn children_are_suspended_and_resumed_with_their_parent() {
    let world = World::new();
    let job = world.jobflow("job", "{ fork | sleep(10) -> print('a')\n sleep(10) -> print('b') }");
    let id = world.start(job);
    world.until("there are children", || world.engine().children(&root(), id).unwrap().len() == 2);
    let children = world.engine().children(&root(), id).unwrap();
    children.iter().for_each(|child| world.waits(child.id));
    world.waits(id);
    assert!(world.engine().suspend(&root(), id).unwrap());
    for child in &children {
        world.until("the child too", || world.info(child.id).suspended);
    }
    world.advance(10);
    world.waits(id);
    assert!(children.iter().all(|child| world.console(child.id).is_empty()));
    assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    assert_eq!(world.ended(id).status, Status::Done);
    assert_eq!(world.console(children[0].id), "a\n");
}

// rule: operations/suspend
#[test]
fn suspend_as_a_job_waits_for_resume() {
    let world = World::new();
    let job = world.jobflow("job", "print('a') -> suspend() -> print('b')");
    let id = world.start(job);
    world.until("it is suspended", || world.info(id).suspended);
    assert!(world.engine().resume(&root(), id, Modes::default()).unwrap());
    world.ended(id);
    assert_eq!(world.console(id), "a\nb\n");
}

// rule: operations/delete
#[test]
fn only_what_has_ended_is_deleted_and_its_children_with_it() {
    let world = World::new();
    let job = world.jobflow("job", "{ fork | print('a')\n print('b') } -> ['x']");
    let id = world.start(job);
    let flying = world.runner.next();
    let kind = world.engine().delete(&root(), id).map_err(|fault| fault.kind());
    assert_eq!(kind, Err(Kind::Busy));
    flying.exit(0, "");
    world.ended(id);
    world.until("it is settled", || world.engine().count_active() == 0);
    world.engine().delete(&root(), id).unwrap();
    assert_eq!(world.engine().info(&root(), id).map_err(|f| f.kind()).err(), Some(Kind::NotFound));
    assert!(world.engine().list(&root(), &Filter::default(), None, 10).unwrap().is_empty());
    for family in [Family::Console, Family::Journal, Family::Process] {
        let mut left = 0;
        world
            .store
            .snapshot()
            .scan(family, &crate::store::KeyRange::all(), Direction::Forward, &mut |_, _| {
                left += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(left, 0, "{family:?}");
    }
}

#[test]
fn lists_are_filtered_and_paged_newest_first() {
    let world = World::new();
    let job = world.jobflow("job", "|s|\nexit(s)");
    let ids: Vec<_> = (0..5)
        .map(|s| world.start_with(job, &[("s", Value::Int(s % 2))], StartOptions::default()))
        .collect();
    ids.iter().for_each(|&id| drop(world.ended(id)));
    let list = |filter: &Filter, before, limit| {
        let found = world.engine().list(&root(), filter, before, limit).unwrap();
        found.iter().map(|info| info.id).collect::<Vec<_>>()
    };
    let all = Filter::default();
    assert_eq!(list(&all, None, 2), [ids[4], ids[3]]);
    assert_eq!(list(&all, Some(ids[3]), 10), [ids[2], ids[1], ids[0]]);
    let done = Filter { status: vec![Status::Done], ..Filter::default() };
    assert_eq!(list(&done, None, 10), [ids[4], ids[2], ids[0]]);
    assert_eq!(world.engine().list(&caller(User::GUEST), &all, None, 10).unwrap(), []);
}
