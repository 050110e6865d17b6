use kompira_schema::types::Access as FieldAccess;
use kompira_schema::value::Ref;

use super::*;
use crate::auth::{Acl, Group, GroupEntry, Rights, UserEntry};

/// The built-in types as the manual has them: label, then each field with its type.
const BUILTIN: &str = include_str!("builtin.txt");

// rule: objects/types
#[test]
fn the_built_in_types_have_the_documented_fields() {
    let world = world();
    let view = world.tree.view();
    let mut fields = Vec::new();
    let mut count = 0;
    let mut def = None;
    for line in BUILTIN.lines() {
        let Some(field) = line.strip_prefix("  ") else {
            let (name, labels) = line.split_once(": ").unwrap();
            let found = view.type_def(world.kind(name)).unwrap();
            let (en, ja) = labels.split_once(" / ").unwrap();
            assert_eq!(found.display_name.en, en);
            assert_eq!(found.display_name.ja, ja);
            count += 1;
            def = Some(found);
            fields.clear();
            continue;
        };
        let def = def.as_ref().unwrap();
        let (name, kind) = field.split_once(' ').unwrap();
        let (system, kind) = match kind.strip_prefix("system ") {
            Some(kind) => (true, kind),
            None => (false, kind),
        };
        let found = def.field(name).unwrap_or_else(|| panic!("{}.{name}", def.name));
        assert_eq!(def.field_index(name), Some(fields.len()), "{}.{name}", def.name);
        fields.push(name);
        let parts = |text: &str| {
            let (kind, said) = text.split_once('#').unwrap_or((text, "{}"));
            (kind.to_owned(), serde_json::from_str::<serde_json::Value>(said).unwrap())
        };
        let written = found.field_type.to_string();
        let long = |kind: String| match kind.as_str() {
            "Array" => "Array<String>".to_owned(),
            "Dictionary" => "Dictionary<String>".to_owned(),
            _ => kind,
        };
        let ((a, b), (c, d)) = (parts(&written), parts(kind));
        assert_eq!((long(a), b), (long(c), d), "{}.{name}", def.name);
        assert_eq!(found.access == FieldAccess::System, system, "{}.{name}", def.name);
    }
    assert_eq!(count, 29);
}

// rule: objects/types
#[test]
fn a_type_of_the_same_name_elsewhere_is_another_type() {
    let world = world();
    let one = |text: &str| Value::Array(vec![Value::from(text)]);
    let fields = [("fieldNames", one("source")), ("fieldTypes", one("String"))];
    let kind = world.create(&root(), "/user/Jobflow", "TypeObject", &fields).unwrap();
    let place = world.id("/user");
    let draft = Draft {
        fields: Dict::from_iter([("source".to_owned(), Value::from("print("))]),
        ..Draft::default()
    };
    let id =
        world.write(&root(), |txn| txn.create(place, &name("j"), kind, draft.clone())).unwrap();
    let view = world.tree.view();
    let object = view.get(&root(), id).unwrap();
    assert!(!object.stub.def.builtin && view.field(&object, "executable").is_none());
    assert_eq!(object.stub.type_path, "/user/Jobflow");
}

// rule: tree/types
#[test]
fn a_type_in_use_stays_and_labels_follow_the_names() {
    let world = world();
    let texts = |list: &[&str]| Value::Array(list.iter().map(|text| Value::from(*text)).collect());
    let fields =
        [("fieldNames", texts(&["a", "b"])), ("fieldTypes", texts(&["String", "Integer"]))];
    let dir = world.create(&root(), "/user/d", "Directory", &[]).unwrap();
    let kind = world.create(&root(), "/user/d/Kind", "TypeObject", &fields).unwrap();
    assert_eq!(world.field("/user/d/Kind", "fieldDisplayNames"), texts(&["a", "b"]));
    let make = |dir: ObjectId, at: &str| {
        world.write(&root(), |txn| txn.create(dir, &name(at), kind, Draft::default())).unwrap()
    };
    let outside = make(world.id("/user"), "x");
    make(dir, "y");
    assert_eq!(kind_of(world.write(&root(), |txn| txn.delete(kind))), Some(Kind::Busy));
    assert_eq!(kind_of(world.write(&root(), |txn| txn.delete(dir))), Some(Kind::Busy));
    world.write(&root(), |txn| txn.delete(outside)).unwrap();
    world.write(&root(), |txn| txn.delete(dir)).unwrap();
    assert!(world.find("/user/d").is_none(), "with its last objects in one deletion");
    let text = world.kind("Text");
    let patch = Patch {
        fields: Dict::from_iter([("fieldNames".to_owned(), texts(&[]))]),
        ..Patch::default()
    };
    let done = world.write(&root(), |txn| txn.update(text, None, patch.clone()));
    assert_eq!(kind_of(done), Some(Kind::Protected));
    let patch = Patch { description: Some("ours".into()), ..Patch::default() };
    world.write(&root(), |txn| txn.update(text, None, patch.clone())).unwrap();
}

// rule: tree/type-changes
#[test]
fn fields_come_go_turn_and_change_places_without_loss() {
    let world = world();
    let texts = |list: &[&str]| Value::Array(list.iter().map(|text| Value::from(*text)).collect());
    let define = |names: &[&str], types: &[&str]| {
        world
            .update(
                &root(),
                "/user/Kind",
                &[("fieldNames", texts(names)), ("fieldTypes", texts(types))],
            )
            .unwrap();
    };
    world
        .create(
            &root(),
            "/user/Kind",
            "TypeObject",
            &[("fieldNames", texts(&["n", "s"])), ("fieldTypes", texts(&["Integer", "String"]))],
        )
        .unwrap();
    let (place, kind) = (world.id("/user"), world.id("/user/Kind"));
    let fields = Dict::from_iter([("n".to_owned(), 7.into()), ("s".to_owned(), "12".into())]);
    let draft = Draft { fields, ..Draft::default() };
    let id =
        world.write(&root(), |txn| txn.create(place, &name("o"), kind, draft.clone())).unwrap();
    let get = |field: &str| {
        let view = world.tree.view();
        let object = view.get(&root(), id).unwrap();
        view.field(&object, field).map(std::borrow::Cow::into_owned)
    };
    define(&["s", "n", "d"], &["String", "Integer", "Integer#{\"default\":5}"]);
    assert_eq!((get("n"), get("s"), get("d")), (Some(7.into()), Some("12".into()), Some(5.into())));
    define(&["s"], &["Integer"]);
    assert_eq!((get("n"), get("s")), (None, Some(12.into())));
    define(&["n", "s"], &["Array<Integer>", "Datetime"]);
    assert_eq!(get("n"), Some(Value::Array(vec![7.into()])));
    assert_eq!(get("s"), Some(Value::Null), "what cannot be converted reads as null");
    define(&["n", "s"], &["Integer", "String"]);
    assert_eq!((get("n"), get("s")), (Some(7.into()), Some("12".into())), "nothing was lost");
    // A renamed field is another one until it has its name again.
    define(&["m", "s"], &["Integer", "String"]);
    assert_eq!((get("n"), get("m")), (None, Some(Value::Null)));
    // In a list an element and its list are found once.
    define(&["n", "s"], &["Array<Integer>", "String"]);
    let query = Query {
        conditions: vec![
            ("type_object".into(), Value::Object(Ref::Object(kind))),
            ("field:s".into(), "12".into()),
        ],
        ..Query::default()
    };
    assert_eq!(world.tree.view().find(&root(), place, &query).unwrap().ids, [id]);
}

// rule: tree/groups
#[test]
fn groups_belong_to_privileged_users_and_two_of_them_stay() {
    let world = world();
    let draft = GroupDraft { name: "ops".into(), ldap: false };
    let denied = world.write(&guest(), |txn| txn.create_group(draft.clone()));
    assert_eq!(kind_of(denied), Some(Kind::Denied));
    let ops = world.write(&root(), |txn| txn.create_group(draft.clone())).unwrap();
    assert_eq!(
        kind_of(world.write(&root(), |txn| txn.create_group(draft.clone()))),
        Some(Kind::Exists)
    );
    let bad = GroupDraft { name: "a-b".into(), ldap: false };
    assert_eq!(
        kind_of(world.write(&root(), |txn| txn.create_group(bad.clone()))),
        Some(Kind::BadName)
    );
    let rename = |to: &str| GroupPatch { name: Some(to.into()), ..GroupPatch::default() };
    for group in [Group::OTHER, Group::WHEEL] {
        let done = world.write(&root(), |txn| txn.delete_group(group));
        assert_eq!(kind_of(done), Some(Kind::Protected));
        let done = world.write(&root(), |txn| txn.update_group(group, rename("x")));
        assert_eq!(kind_of(done), Some(Kind::Protected));
    }
    assert_eq!(
        kind_of(world.write(&guest(), |txn| txn.update_group(ops, rename("x")))),
        Some(Kind::Denied)
    );
    world.write(&root(), |txn| txn.update_group(ops, rename("operators"))).unwrap();
    // `other` contains everyone, and is never a stored membership.
    let all = UserPatch { groups: Some(vec![Group::OTHER, ops]), ..UserPatch::default() };
    world.write(&root(), |txn| txn.update_user(User::GUEST, all.clone())).unwrap();
    let view = world.tree.view();
    assert_eq!(view.user(User::GUEST).unwrap().groups, [ops]);
    world.write(&root(), |txn| txn.delete_group(ops)).unwrap();
    assert!(world.tree.view().user(User::GUEST).unwrap().groups.is_empty());
}

// rule: tree/permissions
#[test]
fn the_table_of_permissions() {
    let world = world();
    let draft = UserDraft {
        username: "mika".into(),
        password: Some("pass-word".to_owned().into()),
        rest: UserPatch::default(),
    };
    let mika = world.write(&root(), |txn| txn.create_user(draft.clone())).unwrap();
    let group = |text: &str| {
        let draft = GroupDraft { name: text.into(), ldap: false };
        world.write(&root(), |txn| txn.create_group(draft.clone())).unwrap()
    };
    let (ops, net) = (group("ops"), group("net"));
    let patch = UserPatch { groups: Some(vec![ops, net]), ..UserPatch::default() };
    world.write(&root(), |txn| txn.update_user(mika, patch.clone())).unwrap();
    let id = world.create(&root(), "/user/o", "Text", &[]).unwrap();
    let rights = |text: &str| Rights {
        read: text.contains('r'),
        write: text.contains('w'),
        execute: text.contains('x'),
    };
    let who = caller(mika);
    for (user, groups, wanted) in [
        (None, &[][..], ""),
        (None, &[(Group::OTHER, "r", 0)][..], "r"),
        (None, &[(Group::OTHER, "rw", 0), (ops, "r", 5)], "r"),
        (None, &[(ops, "r", 5), (net, "w", 5), (Group::OTHER, "rwx", 0)], "rw"),
        (Some(""), &[(Group::OTHER, "rwx", 0)], ""),
        (Some("r"), &[(ops, "rwx", 9)], "r"),
    ] {
        let acl = Acl {
            users: user
                .map(|text| UserEntry { user: mika, rights: rights(text) })
                .into_iter()
                .collect(),
            groups: groups
                .iter()
                .map(|&(group, text, priority)| GroupEntry {
                    group,
                    rights: rights(text),
                    priority,
                })
                .collect(),
        };
        let patch = Patch { acl: Some(acl.clone()), ..Patch::default() };
        world.write(&root(), |txn| txn.update(id, None, patch.clone())).unwrap();
        let access = world.tree.view().access(&who, id).unwrap();
        let found = Rights { read: access.read, write: access.write, execute: access.execute };
        assert_eq!(found, rights(wanted), "{user:?} {groups:?}");
        assert!(!access.own);
        let owned = Patch { owner: Some(mika), ..Patch::default() };
        world.write(&root(), |txn| txn.update(id, None, owned.clone())).unwrap();
        let access = world.tree.view().access(&who, id).unwrap();
        assert!(access.read && access.write && access.execute && access.own, "as the owner");
        let back = Patch { owner: Some(User::ROOT), ..Patch::default() };
        world.write(&root(), |txn| txn.update(id, None, back.clone())).unwrap();
    }
    let wheel = UserPatch { groups: Some(vec![Group::WHEEL]), ..UserPatch::default() };
    world.write(&root(), |txn| txn.update_user(mika, wheel.clone())).unwrap();
    let access = world.tree.view().access(&who, id).unwrap();
    assert!(access.read && access.write && access.execute && access.own, "in wheel");
}

// rule: tree/licence, tree/singletons, tree/realms
#[test]
fn the_singletons_tell_about_the_server() {
    let world = world();
    let of = |view: &View, path: &str| {
        view.extra(&view.stub(&guest(), world.id(path)).unwrap()).unwrap()
    };
    // There is one in the utilities.
    let shipped = of(&world.tree.view(), "/config/license")["jobflow_count"].clone();
    assert_eq!(shipped, 1.into());
    world.create(&root(), "/user/j", "Jobflow", &[]).unwrap();
    world.create(&root(), "/user/s", "ScriptJob", &[]).unwrap();
    let view = world.tree.view();
    let extra = |path: &str| of(&view, path);
    let licence = extra("/config/license");
    for (key, value) in [
        ("edition", Value::from("free")),
        ("expire_date", Value::Null),
        ("remain_days", Value::Null),
        ("node_limit", 0.into()),
        ("jobflow_limit", 0.into()),
        ("script_limit", 0.into()),
        ("jobflow_count", 2.into()),
        ("script_count", 1.into()),
        ("node_count", 0.into()),
    ] {
        assert_eq!(licence.get(key), Some(&value), "{key}");
    }
    for key in ["license_id", "hardware_id", "licensee", "signature"] {
        assert!(matches!(licence.get(key), Some(Value::Str(_))), "{key}");
    }
    let info = extra("/system/info");
    assert!(matches!(info.get("version"), Some(Value::Str(text)) if !text.is_empty()));
    assert_eq!(info.get("server_datetime"), info.get("engine_started"), "no time has passed");
    let realm = extra("/config/realm/default");
    let Some(Value::Array(managers)) = realm.get("job_managers") else { panic!("{realm:?}") };
    let Value::Dict(own) = &managers[0] else { panic!("{managers:?}") };
    assert_eq!(
        own.keys().map(String::as_str).collect::<Vec<_>>(),
        ["host", "pid", "version", "status", "ssl"]
    );
    for kind in ["License", "SystemInfo", "Virtual"] {
        let made = world.create(&root(), "/user/x", kind, &[]);
        assert_eq!(kind_of(made), Some(Kind::WrongType), "{kind}");
    }
    assert_eq!(kind_of(world.create(&root(), "/user/x", "Realm", &[])), Some(Kind::WrongType));
    let range = [("range", Value::Array(vec!["192.0.2.*".into()]))];
    world.create(&root(), "/config/realm/far", "Realm", &range).unwrap();
    let view = world.tree.view();
    let far = view.extra(&view.stub(&root(), world.id("/config/realm/far")).unwrap()).unwrap();
    assert_eq!(far.get("job_managers"), Some(&Value::Array(Vec::new())), "nobody serves it");
}

// rule: tree/relative-paths
#[test]
fn relative_paths_step_and_stop_at_the_root() {
    let world = world();
    for dir in ["/user/flows", "/user/n"] {
        world.create(&root(), dir, "Directory", &[]).unwrap();
    }
    for path in ["/user/flows/x", "/user/n/x"] {
        world.create(&root(), path, "Text", &[]).unwrap();
    }
    let view = world.tree.view();
    let from = world.id("/user/flows");
    for (path, wanted) in [
        ("./x", "/user/flows/x"),
        ("x", "/user/flows/x"),
        ("../n/./x", "/user/n/x"),
        ("./", "/user/flows"),
        ("..", "/user"),
        ("../../../../user", "/user"),
        ("/user/n", "/user/n"),
        ("/", "/"),
    ] {
        let id = view.resolve_from(from, path).unwrap();
        assert_eq!(view.path_of(id).unwrap().to_string(), wanted, "{path}");
    }
    assert_eq!(kind_of(view.resolve_from(from, "../nowhere")), Some(Kind::NotFound));
    assert_eq!(kind_of(view.resolve_from(from, "../1st")), Some(Kind::BadName));
}

// rule: tree/update
#[test]
fn the_time_of_the_update_moves_with_what_is_seen() {
    let world = world();
    let wiki = world.create(&root(), "/user/w", "Wiki", &[("wikitext", "a".into())]).unwrap();
    let channel = world.create(&root(), "/user/c", "Channel", &[]).unwrap();
    let dir = world.create(&root(), "/user/d", "Directory", &[]).unwrap();
    let updated = |id: ObjectId| world.tree.view().head(id).unwrap().updated;
    let moved = |id: ObjectId, work: &dyn Fn(&mut Txn) -> Result<(), Fault>| {
        let before = updated(id);
        world.clock.advance(std::time::Duration::from_secs(1));
        world.write(&root(), |txn| work(txn)).unwrap();
        updated(id) > before
    };
    let patch = |field: &str, value: &str| Patch {
        fields: Dict::from_iter([(field.to_owned(), value.into())]),
        ..Patch::default()
    };
    assert!(moved(wiki, &|txn| txn.update(wiki, None, patch("wikitext", "b"))));
    assert!(
        moved(wiki, &|txn| txn.update(wiki, None, patch("wikitext", "b"))),
        "an equal value too"
    );
    let described = Patch { description: Some("x".into()), ..Patch::default() };
    assert!(moved(wiki, &|txn| txn.update(wiki, None, described.clone())));
    assert!(moved(wiki, &|txn| txn.rename(wiki, &name("w2"))));
    assert!(!moved(wiki, &|txn| txn.rename(wiki, &name("w2"))), "the present name is no change");
    assert!(!moved(channel, &|txn| txn.queue_push(channel, &"m".into()).map(drop)));
    let text = world.kind("Text");
    assert!(!moved(dir, &|txn| txn.create(dir, &name("t"), text, Draft::default()).map(drop)));
    assert!(moved(wiki, &|txn| txn.move_to(wiki, dir, None, None).map(drop)));
}
