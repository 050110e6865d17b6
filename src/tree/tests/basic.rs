use super::*;

// rule: tree/first-start, tree/privileged
#[test]
fn an_empty_store_gets_the_factory_tree() {
    let world = world();
    let view = world.tree.view();
    for object in &kompira_schema::types::factory().objects {
        let id = world.id(object.path.as_str());
        assert_eq!(view.path_of(id).unwrap(), object.path);
        let shown = view.get(&root(), id).unwrap();
        assert_eq!(shown.stub.def.name, object.type_name, "{}", object.path);
    }
    for def in kompira_schema::types::builtins() {
        let id = world.id(&kompira_schema::types::builtin_path(def));
        assert_eq!(view.builtin(&def.name), Some(id));
        assert_eq!(view.get(&root(), id).unwrap().stub.def.name, "TypeObject");
    }
    let numbers = kompira_schema::types::factory().objects.iter();
    let last = numbers.map(|object| world.id(object.path.as_str()).0);
    assert!(last.max().is_some_and(|last| last < 1000));
    world.create(&root(), "/root/mine", "Text", &[]).unwrap();
    assert!(world.id("/root/mine").0 >= 1000);
    assert_eq!(view.user(User::ROOT).unwrap().home, Some(world.id("/root")));
    assert!(view.privileged(User::ADMIN) && !view.user(User::ADMIN).unwrap().active);
}

// rule: tree/create
#[test]
fn what_is_created_is_read_back_and_listed_in_the_order_of_names() {
    let world = world();
    world.create(&root(), "/root/b", "Text", &[("text", "hello".into())]).unwrap();
    world.create(&root(), "/root/a", "Jobflow", &[("source", "print('x')".into())]).unwrap();
    assert_eq!(world.field("/root/b", "text"), Value::from("hello"));
    let view = world.tree.view();
    let names: Vec<_> = view
        .children(&root(), world.id("/root"), None, 10)
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(kind_of(world.create(&root(), "/root/a", "Text", &[])), Some(Kind::Exists));
    assert_eq!(kind_of(world.create(&root(), "/root/a/x", "Text", &[])), Some(Kind::NotContainer));
    assert_eq!(kind_of(world.create(&guest(), "/root/c", "Text", &[])), Some(Kind::Denied));
}

// rule: tree/rename
#[test]
fn a_rename_keeps_identity_and_everything_below() {
    let world = world();
    world.create(&root(), "/root/dir", "Directory", &[]).unwrap();
    let id = world.create(&root(), "/root/dir/x", "Text", &[]).unwrap();
    let dir = world.id("/root/dir");
    world.write(&root(), |txn| txn.rename(dir, &name("other"))).unwrap();
    assert_eq!(world.id("/root/other/x"), id);
    assert_eq!(world.find("/root/dir"), None);
    assert_eq!(world.tree.view().stub(&root(), dir).unwrap().display_name, "other");
}

// rule: tree/delete
#[test]
fn a_deleted_container_takes_what_is_below_and_references_read_null() {
    let world = world();
    world.create(&root(), "/root/dir", "Directory", &[]).unwrap();
    let env = world.create(&root(), "/root/dir/env", "Environment", &[]).unwrap();
    let target = Value::Object(kompira_schema::value::Ref::Object(env));
    world.create(&root(), "/root/t", "Text", &[("context", target.clone())]).unwrap();
    assert_eq!(world.field("/root/t", "context"), target);
    let dir = world.id("/root/dir");
    world.write(&root(), |txn| txn.delete(dir)).unwrap();
    assert_eq!(world.find("/root/dir"), None);
    assert_eq!(world.field("/root/t", "context"), Value::Null);
    assert!(world.tree.view().head_if(env).unwrap().is_none());
}
