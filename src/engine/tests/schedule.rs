//! The thread that runs `/scheduler`, on a clock that is moved by hand.

use kompira_schema::id::ScheduleId;

use super::*;
use crate::tree::special::{ScheduleDraft, SchedulePatch, Unit};

/// Makes a schedule of root's jobflow.
fn add(world: &World, job: ObjectId, rest: SchedulePatch) -> ScheduleId {
    let draft = || ScheduleDraft {
        name: "s".into(),
        job: Some(job),
        rest: rest.clone(),
        once: None,
        times_later: false,
    };
    write(world, |txn| txn.create_schedule(draft()))
}

/// Changes a schedule, and waits until the thread was told.
fn write<T>(world: &World, work: impl FnMut(&mut crate::tree::Txn) -> Result<T, Fault>) -> T {
    let told = || world.engine().inner.schedules.told.load(Ordering::SeqCst);
    let before = told();
    let done = world.tree().write(&root(), Durability::Lazy, work).unwrap().value;
    world.until("the thread is told", || told() > before);
    done
}

fn every(minutes: &str) -> SchedulePatch {
    SchedulePatch::default().at(Unit::Hour, "*").at(Unit::Minute, minutes)
}

/// How many processes the schedules started, all of them ended.
fn runs(world: &World) -> usize {
    let all = world.engine().list(&root(), &Filter::default(), None, 10_000).unwrap();
    all.iter().filter(|info| info.schedule.is_some()).count()
}

/// Lets the thread look: it stands in its wait before the clock moves, and again afterwards.
fn look(world: &World, seconds: u64) {
    world.until("the scheduler sleeps", || world.clock.waiting() > 2);
    world.clock.advance(Duration::from_secs(seconds));
    settle(world);
}

/// Waits until the scheduler has looked since it was told, and nobody is active.
fn settle(world: &World) {
    let schedules = &world.engine().inner.schedules;
    let looks = || schedules.looks.load(Ordering::SeqCst);
    let before = looks();
    world.until("the scheduler looks", || {
        schedules.close();
        looks() >= before + 2
    });
    world.until("all have ended", || world.engine().count_active() == 0);
}

fn started(limits: Limits) -> World {
    let world = World::with(limits);
    world.engine().run_schedules().unwrap();
    world
}

// rule: operations/scheduler
#[test]
fn a_schedule_runs_once_each_time_it_is_due() {
    let world = started(Limits::default());
    let job = world.jobflow("tick", "|a| |b = 2|\nprint(a + b)");
    // It is 09:05.
    let mut rest = every("*/15");
    rest.parameters = Some(vec!["20 + 1".into()]);
    let id = add(&world, job, rest);
    settle(&world);
    assert_eq!(runs(&world), 0, "nothing is due before it was made");
    for count in 1..=4 {
        look(&world, if count == 1 { 600 } else { 900 });
        assert_eq!(runs(&world), count);
    }
    let process = world.engine().list(&root(), &Filter::default(), None, 1).unwrap().remove(0);
    assert_eq!((process.schedule, process.invoker, process.user), (Some(id), None, User::ROOT));
    assert_eq!(world.console(process.id), "23\n");
    // Switched off, and deleted.
    let off = SchedulePatch { disabled: Some(true), ..SchedulePatch::default() };
    write(&world, |txn| txn.update_schedule(id, off.clone()));
    settle(&world);
    look(&world, 900);
    assert_eq!(runs(&world), 4);
    write(&world, |txn| txn.delete_schedule(id));
    settle(&world);
    look(&world, 900);
    assert_eq!(runs(&world), 4);
    let key = [&b"s"[..], &id.0.to_be_bytes()].concat();
    assert_eq!(world.store.snapshot().get(crate::store::Family::Timer, &key).unwrap(), None);
}

// rule: operations/scheduler
#[test]
fn many_that_are_due_in_one_minute_all_start() {
    let world = started(Limits::default());
    let job = world.jobflow("tick", "[]");
    for _ in 0..200 {
        add(&world, job, every("7"));
    }
    settle(&world);
    look(&world, 120);
    assert_eq!(runs(&world), 200);
    look(&world, 3_600);
    assert_eq!(runs(&world), 400);
}

// rule: operations/scheduler
#[test]
fn a_clock_that_jumps_starts_nothing_twice() {
    for hours in [1, 24] {
        let world = started(Limits::default());
        let job = world.jobflow("tick", "[]");
        add(&world, job, every("*"));
        settle(&world);
        look(&world, 60);
        look(&world, 60);
        assert_eq!(runs(&world), 2);
        let there = world.clock.now();
        // Ahead: the present minute runs, what was passed over does not.
        let ahead = there + jiff::SignedDuration::from_hours(hours);
        world.clock.set_wall(ahead);
        look(&world, 20);
        assert_eq!(runs(&world), 3, "{hours} hours ahead");
        // And back: each minute runs once more, but for the one that ran already.
        world.clock.set_wall(there);
        look(&world, 20);
        assert_eq!(runs(&world), 3);
        for _ in 0..5 {
            look(&world, 60);
        }
        assert_eq!(runs(&world), 8, "{hours} hours back");
        // Back over minutes that have run.
        world.clock.set_wall(there - jiff::SignedDuration::from_mins(2));
        for _ in 0..6 {
            look(&world, 60);
        }
        assert_eq!(runs(&world), 8);
    }
}

// rule: operations/scheduler-missed
#[test]
fn what_was_missed_while_the_server_was_off_is_left_out_or_runs_once() {
    for (missed, expected) in [(Missed::Skip, 1), (Missed::Once, 2)] {
        let mut world = started(Limits { missed, ..Limits::default() });
        let job = world.jobflow("tick", "[]");
        add(&world, job, every("*/10"));
        settle(&world);
        look(&world, 300);
        assert_eq!(runs(&world), 1);
        world.crash();
        // Five are due meanwhile, the last of them three minutes ago.
        world.clock.advance(Duration::from_secs(53 * 60));
        world.engine().run_schedules().unwrap();
        settle(&world);
        assert_eq!(runs(&world), expected, "{missed:?}");
        // Another restart finds nothing left.
        world.crash();
        world.engine().run_schedules().unwrap();
        settle(&world);
        assert_eq!(runs(&world), expected, "{missed:?}");
        look(&world, 420);
        assert_eq!(runs(&world), expected + 1, "{missed:?}");
        // A start shortly after is not too late.
        world.crash();
        world.clock.advance(Duration::from_secs(600 + 40));
        world.engine().run_schedules().unwrap();
        settle(&world);
        assert_eq!(runs(&world), expected + 2, "{missed:?}");
    }
}

// rule: operations/scheduler
#[test]
fn a_server_that_ends_at_any_commit_runs_a_schedule_once() {
    for kill in [crate::engine::inner::Kill::Before, crate::engine::inner::Kill::After] {
        for at in 1..=3 {
            let mut world = started(Limits::default());
            let job = world.jobflow("tick", "[]");
            add(&world, job, every("*"));
            settle(&world);
            world.engine().inner.kill.arm(at, kill);
            world.until("the scheduler sleeps", || world.clock.waiting() > 2);
            world.clock.advance(Duration::from_secs(55));
            world.clock.advance(Duration::from_secs(5));
            world
                .until("the server ends", || world.engine().inner.kill.dead() || runs(&world) == 1);
            world.crash();
            world.engine().inner.kill.disarm();
            world.engine().run_schedules().unwrap();
            settle(&world);
            assert_eq!(runs(&world), 1, "{kill:?} {at}");
        }
    }
}

// rule: operations/scheduler
#[test]
fn who_may_not_run_the_job_starts_nothing() {
    let world = started(Limits::default());
    let job = world.jobflow("tick", "|must|\n[]");
    add(&world, job, every("*"));
    settle(&world);
    look(&world, 60);
    assert_eq!(runs(&world), 0, "a parameter is missing");
    let gone = world.jobflow("gone", "[]");
    add(&world, gone, every("*"));
    settle(&world);
    world.tree().write(&root(), Durability::Lazy, |txn| txn.delete(gone)).unwrap();
    look(&world, 60);
    assert_eq!(runs(&world), 0);
}
