use super::*;
use crate::auth::{Acl, GroupEntry, Rights, UserEntry};
use crate::store::EntryKind;
use kompira_schema::value::Ref;

fn object(id: ObjectId) -> Value {
    Value::Object(Ref::Object(id))
}

fn texts(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(*text)).collect())
}

fn rack(world: &World) -> ObjectId {
    world
        .create(
            &root(),
            "/root/Rack",
            "TypeObject",
            &[
                ("fieldNames", texts(&["units", "secret", "tags"])),
                ("fieldTypes", texts(&["Integer", "Password", "Array<String>"])),
            ],
        )
        .unwrap()
}

fn make(
    world: &World,
    path: &str,
    type_id: ObjectId,
    fields: &[(&str, Value)],
) -> Result<ObjectId, Fault> {
    let path = ObjectPath::parse(path).unwrap();
    let parent = world.id(path.parent().unwrap().as_str());
    let fields: Dict = fields.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    world.write(&root(), |txn| {
        txn.create(
            parent,
            &name(path.name().unwrap()),
            type_id,
            Draft { fields: fields.clone(), ..Draft::default() },
        )
    })
}

// rule: tree/validation
#[test]
fn all_problems_of_an_object_are_told_at_once() {
    let world = world();
    let type_id = rack(&world);
    let fault =
        make(&world, "/root/r", type_id, &[("units", "x".into()), ("nope", 1.into())]).unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    assert_eq!(fault.problems().len(), 2, "{fault:?}");
    assert_eq!(world.find("/root/r"), None);
}

// rule: tree/passwords
#[test]
fn a_password_is_sealed_in_the_store_and_opened_for_writers() {
    let world = world();
    let type_id = rack(&world);
    let id = make(&world, "/root/r", type_id, &[("secret", "pass-1".into())]).unwrap();
    let view = world.tree.view();
    let shown = view.get(&root(), id).unwrap();
    assert!(matches!(shown.fields.get("secret"), Some(Value::Sealed(_))));
    assert_eq!(&*view.password(&root(), id, "secret", None).unwrap(), "pass-1");
    assert_eq!(kind_of(view.password(&guest(), id, "secret", None)), Some(Kind::Denied));
    // A copy is sealed for its own place.
    let copied = world.write(&root(), |txn| txn.copy(id, world.id("/user"), None)).unwrap();
    assert_eq!(&*world.tree.view().password(&root(), copied, "secret", None).unwrap(), "pass-1");
    let record = world.tree.view().record(&root(), id, RecordOptions::default()).unwrap();
    let Some(Value::Str(text)) = record.fields.get("secret") else { panic!("{record:?}") };
    assert!(text.starts_with("kfs1$"));
}

// rule: tree/copy
#[test]
fn a_copy_by_one_who_may_not_read_the_passwords_has_none() {
    let world = world();
    let fields = [
        ("fieldNames", texts(&["units", "secret", "more", "keys"])),
        ("fieldTypes", texts(&["Integer", "Password", "Array<Password>", "Dictionary<Password>"])),
    ];
    let type_id = world.create(&root(), "/root/Vault", "TypeObject", &fields).unwrap();
    let keys = Dict::from_iter([("a".to_owned(), Value::from("pass-3"))]);
    let fields = [
        ("units", 42.into()),
        ("secret", "pass-1".into()),
        ("more", texts(&["pass-2"])),
        ("keys", Value::Dict(keys)),
    ];
    let id = make(&world, "/user/v", type_id, &fields).unwrap();
    let users = vec![UserEntry { user: User::GUEST, rights: Rights::READ }];
    let acl = Acl { users, groups: Vec::new() };
    world
        .write(&root(), |txn| {
            txn.update(id, None, Patch { acl: Some(acl.clone()), ..Patch::default() })
        })
        .unwrap();
    let user = world.id("/user");
    let copy = |who: &Caller, at: &str| {
        let made = world.write(who, |txn| txn.copy(id, user, Some(&name(at)))).unwrap();
        let fields = world.tree.view().get(&root(), made).unwrap().fields;
        assert_eq!(fields.get("units"), Some(&Value::from(42)));
        format!("{fields:?}").matches("Sealed").count()
    };
    assert_eq!(copy(&guest(), "guests"), 0);
    assert_eq!(copy(&root(), "roots"), 3);
}

// rule: tree/type-changes
#[test]
fn a_type_change_shows_in_its_objects_at_once() {
    let world = world();
    let type_id = rack(&world);
    make(&world, "/root/r", type_id, &[("units", 42.into())]).unwrap();
    world
        .update(
            &root(),
            "/root/Rack",
            &[
                ("fieldNames", texts(&["units", "place"])),
                ("fieldTypes", texts(&["String", "String#{\"default\":\"here\"}"])),
            ],
        )
        .unwrap();
    assert_eq!(world.field("/root/r", "units"), Value::from("42"));
    assert_eq!(world.field("/root/r", "place"), Value::from("here"));
    let delete = |path: &str| {
        let id = world.id(path);
        world.write(&root(), |txn| txn.delete(id))
    };
    assert_eq!(kind_of(delete("/root/Rack")), Some(Kind::Busy));
    delete("/root/r").unwrap();
    delete("/root/Rack").unwrap();
}

// rule: tree/containers
#[test]
fn a_table_takes_objects_of_its_type_alone() {
    let world = world();
    let type_id = rack(&world);
    assert_eq!(kind_of(world.create(&root(), "/root/t", "Table", &[])), Some(Kind::Invalid));
    world.create(&root(), "/root/t", "Table", &[("typeObject", object(type_id))]).unwrap();
    make(&world, "/root/t/r1", type_id, &[]).unwrap();
    assert_eq!(kind_of(world.create(&root(), "/root/t/x", "Text", &[])), Some(Kind::WrongType));
    let text = world.create(&root(), "/root/x", "Text", &[]).unwrap();
    let table = world.id("/root/t");
    let moved = world.write(&root(), |txn| txn.move_to(text, table, None, None));
    assert_eq!(kind_of(moved), Some(Kind::WrongType));
    let other = [("typeObject", object(world.kind("Text")))];
    assert_eq!(kind_of(world.update(&root(), "/root/t", &other)), Some(Kind::Invalid));
    for internal in ["Virtual", "License", "SystemInfo"] {
        assert_eq!(kind_of(world.create(&root(), "/root/v", internal, &[])), Some(Kind::WrongType));
    }
    assert_eq!(kind_of(world.create(&root(), "/root/v", "Realm", &[])), Some(Kind::WrongType));
    world.create(&root(), "/config/realm/east", "Realm", &[]).unwrap();
    assert_eq!(kind_of(world.create(&root(), "/process/x", "Text", &[])), Some(Kind::WrongType));
}

// rule: tree/move, tree/copy
#[test]
fn a_container_cannot_be_moved_or_copied_into_itself() {
    let world = world();
    world.create(&root(), "/root/a", "Directory", &[]).unwrap();
    world.create(&root(), "/root/a/b", "Directory", &[]).unwrap();
    let (a, b) = (world.id("/root/a"), world.id("/root/a/b"));
    for dest in [a, b] {
        assert_eq!(
            kind_of(world.write(&root(), |txn| txn.move_to(a, dest, None, None))),
            Some(Kind::Cycle)
        );
        assert_eq!(kind_of(world.write(&root(), |txn| txn.copy(a, dest, None))), Some(Kind::Cycle));
    }
    let user = world.id("/user");
    world.write(&root(), |txn| txn.move_to(a, user, Some(&name("c")), None)).unwrap();
    assert_eq!(world.id("/user/c/b"), b);
}

// rule: tree/protected
#[test]
fn what_came_with_the_product_stays() {
    let world = world();
    for path in ["/", "/system", "/system/types/Jobflow", "/config/user", "/system/config"] {
        let id = world.id(path);
        assert_eq!(
            kind_of(world.write(&root(), |txn| txn.delete(id))),
            Some(Kind::Protected),
            "{path}"
        );
        let rename = world.write(&root(), |txn| txn.rename(id, &name("other")));
        assert_eq!(kind_of(rename), Some(Kind::Protected), "{path}");
    }
    let fields = [("fieldNames", texts(&["x"]))];
    assert_eq!(
        kind_of(world.update(&root(), "/system/types/Text", &fields)),
        Some(Kind::Protected)
    );
    let system = [("executable", Value::Bool(true))];
    world.create(&root(), "/root/j", "Jobflow", &[]).unwrap();
    assert_eq!(kind_of(world.update(&root(), "/root/j", &system)), Some(Kind::Protected));
}

// rule: tree/paths
#[test]
fn no_path_of_a_moved_subtree_gets_longer_than_the_limit() {
    let world = world();
    let long = "n".repeat(128);
    let mut path = "/root".to_owned();
    for _ in 0..7 {
        path = format!("{path}/{long}");
        world.create(&root(), &path, "Directory", &[]).unwrap();
    }
    // 5 + 7 * 129 = 908 characters: 1024 leaves 115 for a slash and a name.
    let fits = format!("{path}/{}", "x".repeat(115));
    world.create(&root(), &fits, "Text", &[]).unwrap();
    let (deep, text) = (world.id(&path), world.kind("Text"));
    let over = world
        .write(&root(), |txn| txn.create(deep, &name(&"x".repeat(116)), text, Draft::default()));
    assert_eq!(kind_of(over), Some(Kind::NameTooLong));
    world.create(&root(), "/user/d", "Directory", &[]).unwrap();
    let top = world.id(&format!("/root/{long}"));
    let deeper = world.id("/user/d");
    let moved = world.write(&root(), |txn| txn.move_to(top, deeper, None, None));
    assert_eq!(kind_of(moved), Some(Kind::NameTooLong), "the deepest one would be one over");
    let shorter = world.id("/user");
    world.write(&root(), |txn| txn.move_to(top, shorter, None, None)).unwrap();
}

// rule: tree/permissions, tree/initial-permissions
#[test]
fn properties_belong_to_the_owner_and_fields_to_writers() {
    let world = world();
    let id = world.create(&root(), "/user/t", "Text", &[]).unwrap();
    let patch = |patch: Patch| world.write(&guest(), |txn| txn.update(id, None, patch.clone()));
    // `/user` grants everything to everyone, and its objects inherit that.
    world.update(&guest(), "/user/t", &[("text", "by guest".into())]).unwrap();
    let described = Patch { description: Some("x".into()), ..Patch::default() };
    assert_eq!(kind_of(patch(described.clone())), Some(Kind::Denied));
    let acl = Acl {
        users: vec![UserEntry { user: User::GUEST, rights: Rights::READ }],
        groups: vec![GroupEntry {
            group: crate::auth::Group::OTHER,
            rights: Rights::ALL,
            priority: 9,
        }],
    };
    world
        .write(&root(), |txn| {
            txn.update(id, None, Patch { acl: Some(acl.clone()), ..Patch::default() })
        })
        .unwrap();
    assert_eq!(
        kind_of(world.update(&guest(), "/user/t", &[("text", "no".into())])),
        Some(Kind::Denied)
    );
    assert!(world.tree.view().get(&guest(), id).is_ok());
    let owner = Patch { owner: Some(User::GUEST), ..Patch::default() };
    world.write(&root(), |txn| txn.update(id, None, owner.clone())).unwrap();
    patch(described).unwrap();
    let hidden = world.create(&root(), "/root/x", "Text", &[]).unwrap();
    assert_eq!(kind_of(world.tree.view().get(&guest(), hidden)), Some(Kind::Denied));
    assert!(world.tree.view().stub(&guest(), hidden).is_ok(), "listed, without fields");
}

// rule: tree/update
#[test]
fn a_save_from_an_old_state_is_refused() {
    let world = world();
    let id = world.create(&root(), "/root/t", "Text", &[]).unwrap();
    let base = world.tree.view().head(id).unwrap().rev;
    world.update(&root(), "/root/t", &[("text", "1".into())]).unwrap();
    let stale = world.write(&root(), |txn| txn.update(id, Some(base), Patch::default()));
    assert_eq!(kind_of(stale), Some(Kind::Stale));
    let base = world.tree.view().head(id).unwrap().rev;
    world.write(&root(), |txn| txn.update(id, Some(base), Patch::default())).unwrap();
}

// rule: tree/bare
#[test]
fn a_bare_object_says_more_only_when_its_record_does() {
    let world = world();
    let dir = world.id("/root");
    let id = world
        .write(&root(), |txn| {
            let draft = Draft {
                suffix: Some("md".into()),
                bare: true,
                content: Some("# hello".into()),
                ..Draft::default()
            };
            txn.create(dir, &name("page"), txn.builtin("Wiki").unwrap(), draft)
        })
        .unwrap();
    let shows = || {
        let view = world.tree.view();
        view.shows_record(&view.head(id).unwrap(), &view.head(dir).unwrap())
    };
    assert_eq!(world.field("/root/page", "style"), Value::from("Markdown"));
    assert!(!shows(), "the style of a .md file is given");
    world.update(&root(), "/root/page", &[("style", "Textile".into())]).unwrap();
    assert!(shows());
    world.write(&root(), |txn| txn.reset_record(id)).unwrap();
    assert_eq!(world.tree.view().entry(id).unwrap().unwrap().kind, EntryKind::Bare);
    let described = Patch { description: Some("about".into()), ..Patch::default() };
    world.write(&root(), |txn| txn.update(id, None, described.clone())).unwrap();
    assert!(shows());
}

// rule: tree/backup-rename
#[test]
fn an_object_that_an_editor_renamed_away_comes_back_with_its_identity() {
    let world = world();
    let dir = world.id("/root");
    let id = world.create(&root(), "/root/note", "Text", &[("text", "old".into())]).unwrap();
    world.write(&root(), |txn| txn.object_to_scratch(id, dir, "note~")).unwrap();
    assert_eq!(world.find("/root/note"), None);
    let view = world.tree.view();
    assert_eq!(view.former(dir, "note").unwrap(), Some(id));
    assert!(view.get(&root(), id).is_err(), "no object for any face");
    assert_eq!(view.content(&root(), id).unwrap(), "old".into());
    let copy = world.write(&root(), |txn| txn.readopt(id, None, "new".into())).unwrap();
    assert_eq!(world.id("/root/note"), id);
    assert_eq!(world.field("/root/note", "text"), Value::from("new"));
    let view = world.tree.view();
    assert_eq!(view.child(dir, "note~").unwrap().unwrap().id, copy);
    assert_eq!(view.content(&root(), copy).unwrap(), "old".into());
    assert_eq!(view.former(dir, "note").unwrap(), None);
    // Deleting the backup before it comes back forgets the object.
    world.write(&root(), |txn| txn.scratch_delete(copy)).unwrap();
    world.write(&root(), |txn| txn.object_to_scratch(id, dir, "note~")).unwrap();
    world.write(&root(), |txn| txn.scratch_delete(id)).unwrap();
    assert_eq!(world.tree.view().former(dir, "note").unwrap(), None);
    assert!(world.tree.view().head(id).is_err());
}

// rule: tree/scratch
#[test]
fn scratch_replaces_content_and_objects_keep_their_identity() {
    let world = world();
    let dir = world.id("/root");
    let id = world.create(&root(), "/root/note", "Text", &[("text", "old".into())]).unwrap();
    let temp = world
        .write(&root(), |txn| {
            txn.scratch_create(dir, "sedAbCdEf", NodeKind::File, None, 0o644, "new".into())
        })
        .unwrap();
    let children = world.tree.view().children(&root(), dir, None, 10).unwrap();
    assert_eq!(children.len(), 1, "scratch is never an object");
    world.write(&root(), |txn| txn.replace(temp, id)).unwrap();
    assert_eq!(world.field("/root/note", "text"), Value::from("new"));
    assert!(world.tree.view().head(temp).is_err());
    let denied = world.write(&guest(), |txn| {
        txn.scratch_create(dir, ".x.swp", NodeKind::File, None, 0o644, "".into())
    });
    assert_eq!(kind_of(denied), Some(Kind::Denied));
    let git = world
        .write(&root(), |txn| {
            txn.scratch_create(dir, ".git", NodeKind::Dir, None, 0o755, "".into())
        })
        .unwrap();
    world
        .write(&root(), |txn| {
            txn.scratch_create(git, "HEAD", NodeKind::File, None, 0o644, "ref".into())
        })
        .unwrap();
    assert_eq!(kind_of(world.write(&root(), |txn| txn.scratch_delete(git))), Some(Kind::NotEmpty));
    assert_eq!(kind_of(world.write(&root(), |txn| txn.delete_empty(git))), Some(Kind::NotEmpty));
}

// rule: tree/channels
#[test]
fn messages_leave_a_channel_in_their_order_and_numbers_are_never_reused() {
    let world = world();
    let id = world.create(&root(), "/root/c", "Channel", &[]).unwrap();
    let push =
        |text: &str| world.write(&root(), |txn| txn.queue_push(id, &Value::from(text))).unwrap();
    assert_eq!((push("a"), push("b"), push("c")), (1, 2, 3));
    let pop = |index| world.write(&root(), |txn| txn.queue_pop(id, index));
    assert_eq!(pop(-1).unwrap(), (3, "c".into()));
    assert_eq!(pop(0).unwrap(), (1, "a".into()));
    assert_eq!(kind_of(pop(1)), Some(Kind::NoMessage));
    assert_eq!(push("d"), 4);
    let view = world.tree.view();
    let stub = view.stub(&root(), id).unwrap();
    assert_eq!(view.extra(&stub).unwrap().get("message_count"), Some(&Value::Int(2)));
    assert_eq!(world.field("/root/c", "message_queue"), texts(&["b", "d"]));
    let gone = world.write(&root(), |txn| txn.queue_delete(id, &[2, 9]));
    assert_eq!(kind_of(gone), Some(Kind::NoMessage));
    world.write(&root(), |txn| txn.queue_delete(id, &[2, 4])).unwrap();
    assert_eq!(kind_of(world.tree.view().queue_peek(&root(), id, 0)), Some(Kind::NoMessage));
}

// rule: tree/config
#[test]
fn settings_show_their_defaults_and_need_execute_to_be_changed() {
    let world = world();
    let view = world.tree.view();
    let id = world.id("/system/config");
    let data = view.get(&root(), id).unwrap().data.unwrap();
    assert_eq!(data.get("loginFailureLimit"), Some(&Value::Int(3)));
    let patch = Patch {
        data: Some(Dict::from_iter([("loginFailureLimit".to_owned(), Value::Int(5))])),
        ..Patch::default()
    };
    assert_eq!(
        kind_of(world.write(&guest(), |txn| txn.update(id, None, patch.clone()))),
        Some(Kind::Denied)
    );
    world.write(&root(), |txn| txn.update(id, None, patch.clone())).unwrap();
    let data = world.tree.view().get(&root(), id).unwrap().data.unwrap();
    assert_eq!(data.get("loginFailureLimit"), Some(&Value::Int(5)));
    let bad = Patch {
        data: Some(Dict::from_iter([("brandTag".to_owned(), Value::from("x".repeat(17)))])),
        ..Patch::default()
    };
    let fault = world.write(&root(), |txn| txn.update(id, None, bad.clone())).unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
}

// rule: tree/texts
#[test]
fn a_text_renders_with_its_context_and_what_it_includes() {
    let world = world();
    let variables = Dict::from_iter([("who".to_owned(), Value::from("世界"))]);
    let env = world
        .create(&root(), "/root/env", "Environment", &[("environment", Value::Dict(variables))])
        .unwrap();
    world.create(&root(), "/root/part", "Text", &[("text", "[{{ who }}]".into())]).unwrap();
    let text = "Hello {% include './part' %}";
    let id = world.create(&root(), "/root/t", "Text", &[("text", text.into())]).unwrap();
    assert_eq!(world.tree.view().render(&root(), id, None).unwrap(), text, "no context");
    world.update(&root(), "/root/t", &[("context", object(env))]).unwrap();
    assert_eq!(world.tree.view().render(&root(), id, None).unwrap(), "Hello [世界]");
    let endless =
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}";
    world.update(&root(), "/root/t", &[("text", endless.into())]).unwrap();
    assert!(world.tree.view().render(&root(), id, None).is_err());
}
