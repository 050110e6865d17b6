use super::*;
use crate::tree::Attach;
use kompira_schema::id::Rev;

fn rev(world: &World, id: ObjectId) -> Rev {
    world.tree.view().head(id).unwrap().rev
}

// rule: tree/history-read
#[test]
fn versions_tell_who_when_and_what() {
    let world = world();
    let id = world.create(&root(), "/root/t", "Text", &[("text", "one".into())]).unwrap();
    let first = rev(&world, id);
    world.clock.advance(std::time::Duration::from_secs(60));
    world.update(&root(), "/root/t", &[("text", "two".into()), ("ext", "html".into())]).unwrap();
    let second = rev(&world, id);
    let view = world.tree.view();
    let history = view.history(&root(), id, 10).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((history[0].rev, history[0].until), (second, None), "newest first");
    assert_eq!((history[1].rev, history[1].until), (first, Some(second)));
    assert!(history.iter().all(|version| version.by == Some(User::ROOT)));
    assert!(history[0].time > history[1].time && history[1].time.is_some());
    let was = view.object_at(&root(), id, first).unwrap();
    assert_eq!(was.fields.get("text"), Some(&"one".into()));
    let record = view
        .record_at(
            &root(),
            id,
            first,
            RecordOptions { attach: Attach::Omit, ..RecordOptions::default() },
        )
        .unwrap();
    assert_eq!(record.fields.get("text"), Some(&"one".into()));
    let differences = view.differences(&root(), id, first, second).unwrap();
    let told: Vec<_> =
        differences.iter().map(|d| (d.at.as_str(), d.before.clone(), d.after.clone())).collect();
    assert_eq!(
        told,
        [("text", Some("one".into()), Some("two".into())), ("ext", None, Some("html".into()))]
    );
    assert_eq!(kind_of(view.history(&guest(), id, 10)), Some(Kind::Denied));
    assert_eq!(kind_of(view.object_at(&root(), id, Rev(0))), Some(Kind::NotFound));
    world.write(&root(), |txn| txn.delete(id)).unwrap();
    let view = world.tree.view();
    assert_eq!(view.object_at(&root(), id, first).unwrap().fields.get("text"), Some(&"one".into()));
    assert_eq!(kind_of(view.object_at(&guest(), id, first)), Some(Kind::NotFound), "deleted");
}

// rule: tree/history-read
#[test]
fn a_changed_password_is_named_but_not_shown() {
    let world = world();
    let fields = [("user", "x".into()), ("password", "first-secret".into())];
    let id = world.create(&root(), "/root/a", "AccountInfo", &fields).unwrap();
    let first = rev(&world, id);
    world.update(&root(), "/root/a", &[("password", "second-secret".into())]).unwrap();
    let differences = world.tree.view().differences(&root(), id, first, rev(&world, id)).unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].at, "password");
    assert_eq!(differences[0].before, Some(Value::Null));
    world.write(&root(), |txn| txn.restore_version(id, first, None)).unwrap();
    let view = world.tree.view();
    let clear = view.password(&root(), id, "password", None).unwrap();
    assert_eq!(clear.as_str(), "first-secret");
}

// rule: tree/history-restore
#[test]
fn a_version_comes_back_as_a_new_one() {
    let world = world();
    let id = world.create(&root(), "/root/j", "Jobflow", &[("source", "print(1)".into())]).unwrap();
    let first = rev(&world, id);
    world
        .update(&root(), "/root/j", &[("source", "x(".into()), ("multiplicity", 3.into())])
        .unwrap();
    let second = rev(&world, id);
    let stale = world.write(&root(), |txn| txn.restore_version(id, first, Some(first)));
    assert_eq!(kind_of(stale), Some(Kind::Stale));
    assert_eq!(
        kind_of(world.write(&guest(), |txn| txn.restore_version(id, first, None))),
        Some(Kind::Denied)
    );
    world.write(&root(), |txn| txn.restore_version(id, first, Some(second))).unwrap();
    assert_eq!(world.field("/root/j", "source"), "print(1)".into());
    assert_eq!(world.field("/root/j", "multiplicity"), Value::Null);
    assert_eq!(world.tree.view().history(&root(), id, 10).unwrap().len(), 3);
    let same = world.write(&root(), |txn| txn.restore_version(id, first, None));
    assert_eq!(kind_of(same), Some(Kind::Exists), "nothing to do");
    let none = world.write(&root(), |txn| txn.restore_version(id, Rev(0), None));
    assert_eq!(kind_of(none), Some(Kind::NotFound));
    let builtin = world.id("/system/types/Text");
    let refused = world.write(&root(), |txn| txn.restore_version(builtin, Rev(1), None));
    assert_eq!(kind_of(refused), Some(Kind::Protected));
}
