use super::*;
use crate::auth::Group;
use crate::tree::special::{Family, IncidentStatus, TaskStatus, Unit};
use kompira_schema::id::ScheduleId;
use kompira_schema::value::Ref;

fn user(world: &World, name: &str) -> UserId {
    let draft = UserDraft {
        username: name.into(),
        password: Some("pass-word".to_owned().into()),
        rest: UserPatch::default(),
    };
    world.write(&root(), |txn| txn.create_user(draft.clone())).unwrap()
}

fn nightly(world: &World, name: &str) -> ScheduleDraft {
    ScheduleDraft {
        name: name.into(),
        job: world.find("/root/job"),
        rest: SchedulePatch::default().at(Unit::Hour, "3"),
        ..ScheduleDraft::default()
    }
}

fn job(world: &World) {
    world.create(&root(), "/root/job", "Jobflow", &[("source", "print(1)".into())]).unwrap();
    // Everyone may read and run it.
    let all = crate::auth::Rights::ALL;
    let mut acl = crate::auth::Acl::default();
    acl.groups.push(crate::auth::GroupEntry { group: Group::OTHER, rights: all, priority: 0 });
    let id = world.id("/root/job");
    let patch = Patch { acl: Some(acl), ..Patch::default() };
    world.write(&root(), |txn| txn.update(id, None, patch.clone())).unwrap();
}

fn listed(world: &World, who: &Caller, root: &str, conditions: &[(&str, Value)]) -> Vec<String> {
    let query = SpecialQuery {
        conditions: conditions.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        ..SpecialQuery::default()
    };
    let view = world.tree.view();
    let found = view.find_special(who, Family::at(root).unwrap(), &query).unwrap();
    assert_eq!(found.total, found.refs.len());
    found.refs.iter().map(|found| view.reference_path(*found).unwrap()).collect()
}

// rule: tree/schedules
// rule: tree/special-visibility
#[test]
fn a_schedule_belongs_to_its_user() {
    let world = world();
    job(&world);
    let (sato, abe) = (caller(user(&world, "sato")), caller(user(&world, "abe")));
    let id = world.write(&sato, |txn| txn.create_schedule(nightly(&world, "night"))).unwrap();
    let row = world.tree.view().schedule(id).unwrap().unwrap();
    assert_eq!((row.user, row.disabled), (sato.user, false));
    let next = world.tree.view().upcoming_runs(&row, 2);
    assert_eq!(next.len(), 2);
    assert!(world.tree.view().check_run(&row).is_ok());
    assert_eq!(listed(&world, &sato, "/scheduler", &[]), ["/scheduler/id_1"]);
    assert!(listed(&world, &abe, "/scheduler", &[]).is_empty());
    assert_eq!(listed(&world, &root(), "/scheduler", &[]).len(), 1);
    let off = SchedulePatch { disabled: Some(true), ..SchedulePatch::default() };
    let foreign = world.write(&abe, |txn| txn.update_schedule(id, off.clone()));
    assert_eq!(kind_of(foreign), Some(Kind::Denied));
    assert_eq!(kind_of(world.write(&abe, |txn| txn.delete_schedule(id))), Some(Kind::Denied));
    let given = SchedulePatch { user: Some(abe.user), ..SchedulePatch::default() };
    let gift = world.write(&sato, |txn| txn.update_schedule(id, given.clone()));
    assert_eq!(kind_of(gift), Some(Kind::Denied));
    world.write(&sato, |txn| txn.update_schedule(id, off.clone())).unwrap();
    let row = world.tree.view().schedule(id).unwrap().unwrap();
    assert!(world.tree.view().upcoming_runs(&row, 2).is_empty(), "switched off");
    world.write(&root(), |txn| txn.update_schedule(id, given.clone())).unwrap();
    assert_eq!(listed(&world, &abe, "/scheduler", &[]).len(), 1);
    world.write(&abe, |txn| txn.delete_schedule(id)).unwrap();
    let again = world.write(&sato, |txn| txn.create_schedule(nightly(&world, "night"))).unwrap();
    assert_ne!(again, id, "a number is never used again");
    assert!(!world.tree.view().sees_special(&root(), Ref::Schedule(id)).unwrap());
    let gone = world.write(&root(), |txn| txn.update_schedule(ScheduleId(99), off.clone()));
    assert_eq!(kind_of(gone), Some(Kind::NotFound));
}

// rule: tree/schedules
// rule: tree/schedule-expressions
#[test]
fn a_schedule_says_which_property_is_wrong() {
    let world = world();
    job(&world);
    world.create(&root(), "/root/text", "Text", &[]).unwrap();
    let problems = |draft: ScheduleDraft| {
        let fault = world.write(&root(), |txn| txn.create_schedule(draft.clone())).unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid);
        fault.problems().iter().map(|problem| problem.at.clone()).collect::<Vec<_>>()
    };
    let good = nightly(&world, "x");
    assert_eq!(problems(ScheduleDraft { job: None, ..good.clone() }), ["job"]);
    assert_eq!(problems(ScheduleDraft { name: " ".into(), ..good.clone() }), ["name"]);
    assert_eq!(problems(ScheduleDraft { job: world.find("/root/text"), ..good.clone() }), ["job"]);
    let rest = SchedulePatch::default().at(Unit::Hour, "25").at(Unit::Day, "last xyz");
    assert_eq!(problems(ScheduleDraft { rest, ..good.clone() }), ["day", "hour"]);
    let none = SchedulePatch::default();
    assert_eq!(problems(ScheduleDraft { rest: none, ..good.clone() }), ["minute"]);
    let rest = SchedulePatch { user: Some(UserId(99)), ..good.rest.clone() };
    assert_eq!(problems(ScheduleDraft { rest, ..good.clone() }), ["user"]);
    let once = Some("2031-07-05T10:11:12Z".parse().unwrap());
    let draft = ScheduleDraft { once, rest: SchedulePatch::default(), ..good };
    let id = world.write(&root(), |txn| txn.create_schedule(draft.clone())).unwrap();
    let row = world.tree.view().schedule(id).unwrap().unwrap();
    let runs = world.tree.view().upcoming_runs(&row, 5);
    assert_eq!(runs.len(), 1, "once");
    assert_eq!(runs[0].to_string(), "2031-07-05T10:11:00Z");
}

// rule: tree/schedules
#[test]
fn a_run_needs_an_active_user_with_the_right() {
    let world = world();
    world.create(&root(), "/root/job", "Jobflow", &[]).unwrap();
    let id = world.write(&root(), |txn| txn.create_schedule(nightly(&world, "n"))).unwrap();
    let check = || {
        let view = world.tree.view();
        let row = view.schedule(id).unwrap().unwrap();
        kind_of(view.check_run(&row))
    };
    assert_eq!(check(), None);
    let given = SchedulePatch { user: Some(user(&world, "sato")), ..SchedulePatch::default() };
    world.write(&root(), |txn| txn.update_schedule(id, given.clone())).unwrap();
    assert_eq!(check(), Some(Kind::Denied), "no execute right");
    let given = SchedulePatch { user: Some(User::GUEST), ..SchedulePatch::default() };
    world.write(&root(), |txn| txn.update_schedule(id, given.clone())).unwrap();
    assert_eq!(check(), Some(Kind::Denied), "not active");
    let job = world.id("/root/job");
    world.write(&root(), |txn| txn.delete(job)).unwrap();
    let given = SchedulePatch { user: Some(User::ROOT), ..SchedulePatch::default() };
    world.write(&root(), |txn| txn.update_schedule(id, given.clone())).unwrap();
    assert_eq!(check(), Some(Kind::NotFound));
}

// rule: tree/incidents
#[test]
fn incidents_are_for_everyone_and_deleted_by_their_owner() {
    let world = world();
    let (sato, abe) = (caller(user(&world, "sato")), caller(user(&world, "abe")));
    let draft = IncidentDraft { name: "db01 down".into(), ..IncidentDraft::default() };
    let id = world.write(&sato, |txn| txn.create_incident(draft.clone())).unwrap();
    let state = |status| IncidentPatch { status: Some(status), ..IncidentPatch::default() };
    let row = || world.tree.view().incident(id).unwrap().unwrap();
    assert_eq!((row().status, row().owner), (IncidentStatus::Opened, sato.user));
    world.write(&abe, |txn| txn.update_incident(id, state(IncidentStatus::Closed))).unwrap();
    assert!(row().closed.is_some());
    world.write(&abe, |txn| txn.update_incident(id, state(IncidentStatus::Working))).unwrap();
    assert_eq!(row().closed, None, "opened again");
    let first = world.write(&abe, |txn| txn.add_worklog(id, None, "rebooted")).unwrap();
    let second = world.write(&abe, |txn| txn.add_worklog(id, Some(sato.user), "left")).unwrap();
    assert_eq!((first.id, first.user, second.id, second.user), (1, abe.user, 2, sato.user));
    assert_eq!(
        kind_of(world.write(&abe, |txn| txn.add_worklog(id, None, ""))),
        Some(Kind::Invalid)
    );
    let nobody = world.write(&abe, |txn| txn.add_worklog(id, Some(UserId(99)), "x"));
    assert_eq!(kind_of(nobody), Some(Kind::Invalid));
    assert_eq!(kind_of(world.write(&abe, |txn| txn.delete_incident(id))), Some(Kind::Denied));
    world.write(&sato, |txn| txn.delete_incident(id)).unwrap();
    assert!(world.tree.view().incident(id).unwrap().is_none());
    let empty = world.write(&sato, |txn| txn.create_incident(IncidentDraft::default()));
    assert_eq!(kind_of(empty), Some(Kind::Invalid));
}

// rule: tree/tasks
// rule: tree/special-visibility
#[test]
fn a_task_is_answered_once_by_those_it_concerns() {
    let world = world();
    let (sato, abe, ito) =
        (caller(user(&world, "sato")), caller(user(&world, "abe")), caller(user(&world, "ito")));
    let draft = GroupDraft { name: "ops".into(), ldap: false };
    let ops = world.write(&root(), |txn| txn.create_group(draft.clone())).unwrap();
    let members = GroupPatch { users: Some(vec![abe.user]), ..GroupPatch::default() };
    world.write(&root(), |txn| txn.update_group(ops, members.clone())).unwrap();
    let draft =
        TaskDraft { name: "approve".into(), assigned_groups: vec![ops], ..TaskDraft::default() };
    let id = world.write(&sato, |txn| txn.create_task(draft.clone())).unwrap();
    let row = || world.tree.view().task(id).unwrap().unwrap();
    assert_eq!((row().status, row().action_text.as_str()), (TaskStatus::Waiting, "OK"));
    assert_eq!(listed(&world, &abe, "/task", &[]).len(), 1);
    assert!(listed(&world, &ito, "/task", &[]).is_empty());
    assert_eq!(kind_of(world.write(&ito, |txn| txn.submit_task(id, None))), Some(Kind::Denied));
    world.write(&sato, |txn| txn.offer_task(id)).unwrap();
    assert_eq!(row().status, TaskStatus::Ongoing);
    world.write(&abe, |txn| txn.submit_task(id, None)).unwrap();
    assert_eq!((row().status, row().answer().cloned()), (TaskStatus::Done, Some("OK".into())));
    assert!(row().closed.is_some());
    assert_eq!(kind_of(world.write(&abe, |txn| txn.cancel_task(id))), Some(Kind::Busy));
    assert_eq!(kind_of(world.write(&abe, |txn| txn.delete_task(id))), Some(Kind::Denied));
    world.write(&sato, |txn| txn.delete_task(id)).unwrap();
    let nobody = TaskDraft { assigned_users: vec![UserId(99)], ..draft.clone() };
    assert_eq!(
        kind_of(world.write(&sato, |txn| txn.create_task(nobody.clone()))),
        Some(Kind::Invalid)
    );
    let id = world.write(&sato, |txn| txn.create_task(draft.clone())).unwrap();
    world.write(&abe, |txn| txn.cancel_task(id)).unwrap();
    let row = world.tree.view().task(id).unwrap().unwrap();
    assert_eq!((row.status, row.answer()), (TaskStatus::Canceled, None));
}

// rule: tree/special-find
#[test]
fn special_objects_are_found_by_their_properties() {
    let world = world();
    job(&world);
    for (name, device) in [("db01 down", "db01"), ("web down", "web"), ("db01 slow", "db01")] {
        let rest = IncidentPatch { device: Some(device.into()), ..IncidentPatch::default() };
        let draft = IncidentDraft { name: name.into(), rest, ..IncidentDraft::default() };
        world.write(&root(), |txn| txn.create_incident(draft.clone())).unwrap();
        world.clock.advance(std::time::Duration::from_secs(60));
    }
    let find = |conditions: &[(&str, Value)]| listed(&world, &guest(), "/incident", conditions);
    assert_eq!(find(&[]), ["/incident/id_3", "/incident/id_2", "/incident/id_1"], "newest first");
    assert_eq!(find(&[("device", "db01".into())]), ["/incident/id_3", "/incident/id_1"]);
    assert_eq!(
        find(&[("name__iendswith", "DOWN".into()), ("device", "web".into())]),
        ["/incident/id_2"]
    );
    assert_eq!(find(&[("created_date__lt", "2031-07-04T09:06:00Z".into())]), ["/incident/id_1"]);
    assert_eq!(find(&[("owner", "root".into())]).len(), 3);
    assert!(find(&[("owner", "nobody_here".into())]).is_empty());
    assert_eq!(listed(&world, &guest(), "/config/user", &[("is_active", "false".into())]).len(), 2);
    let id = world.write(&root(), |txn| txn.create_schedule(nightly(&world, "n"))).unwrap();
    let path = format!("/scheduler/id_{id}");
    for (key, value) in [
        ("job", "/root/job".into()),
        ("hour__contains", "3".into()),
        ("disabled", Value::Bool(false)),
        ("disabled__contains", "false".into()),
        ("user", "root".into()),
    ] {
        assert_eq!(
            listed(&world, &root(), "/scheduler", &[(key, value)]),
            [path.as_str()],
            "{key}"
        );
    }
    let view = world.tree.view();
    for bad in ["colour", "id", "created_date__contains", "status__in", "alerts"] {
        let query =
            SpecialQuery { conditions: vec![(bad.into(), "x".into())], ..SpecialQuery::default() };
        let fault = view.find_special(&root(), Family::Incident, &query).unwrap_err();
        assert_eq!(fault.kind(), Kind::BadRequest, "{bad}");
    }
    let query = SpecialQuery {
        order_by: Some("device,-name".into()),
        offset: 1,
        limit: Some(1),
        ..SpecialQuery::default()
    };
    let found = view.find_special(&root(), Family::Incident, &query).unwrap();
    assert_eq!((found.refs.len(), found.total), (1, 3));
    assert_eq!(view.reference_path(found.refs[0]).unwrap(), "/incident/id_1");
}
