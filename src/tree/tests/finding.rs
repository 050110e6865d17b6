use super::*;

fn query(conditions: &[(&str, Value)], order: Option<&str>) -> Query {
    Query {
        conditions: conditions.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        order_by: order.map(str::to_owned),
        ..Query::default()
    }
}

fn names(world: &World, dir: &str, query: &Query) -> Result<Vec<String>, Fault> {
    let view = world.tree.view();
    let found = view.find(&root(), world.id(dir), query)?;
    Ok(found.ids.into_iter().map(|id| view.path_of(id).unwrap().to_string()).collect())
}

fn small() -> World {
    let world = world();
    world.create(&root(), "/user/b", "Directory", &[]).unwrap();
    world.create(&root(), "/user/b/z", "Text", &[("text", "Alpha".into())]).unwrap();
    world.create(&root(), "/user/a", "Text", &[("text", "beta".into())]).unwrap();
    world.create(&root(), "/user/c", "Jobflow", &[("multiplicity", 3.into())]).unwrap();
    world
}

// rule: tree/find, tree/order
#[test]
fn conditions_are_joined_and_the_order_is_that_of_paths() {
    let world = small();
    let all = names(&world, "/user", &query(&[], None)).unwrap();
    assert_eq!(
        all,
        [
            "/user/a",
            "/user/b",
            "/user/b/z",
            "/user/c",
            "/user/data",
            "/user/data/accounts",
            "/user/data/nodes"
        ]
    );
    let text = ("type_object", Value::from("/system/types/Text"));
    assert_eq!(
        names(&world, "/user", &query(std::slice::from_ref(&text), None)).unwrap(),
        ["/user/a", "/user/b/z"]
    );
    let found = names(
        &world,
        "/",
        &query(&[text.clone(), ("field:text__icontains", "ALPHA".into())], None),
    );
    assert_eq!(found.unwrap(), ["/user/b/z"]);
    let found = names(
        &world,
        "/user",
        &query(&[("display_name__regex", "^[ac]$".into())], Some("-abspath")),
    );
    assert_eq!(found.unwrap(), ["/user/c", "/user/a"]);
    let jobflow = ("type_object", Value::from("/system/types/Jobflow"));
    for (lookup, value, hits) in [("gte", 3, 1), ("gt", 3, 0), ("lt", 4, 1)] {
        let key = format!("field:multiplicity__{lookup}");
        let found =
            names(&world, "/", &query(&[jobflow.clone(), (&key, value.into())], None)).unwrap();
        assert_eq!(found.len(), hits, "{key}");
    }
    assert_eq!(
        names(&world, "/user", &query(&[("owner", "nobody".into())], None)).unwrap().len(),
        0
    );
    let ordered = names(&world, "/", &query(&[text], Some("-field:text"))).unwrap();
    assert_eq!(ordered, ["/user/a", "/user/b/z"]);
}

// rule: tree/find
#[test]
fn what_cannot_be_asked_is_an_error_and_pages_are_cut() {
    let world = small();
    for bad in ["colour", "created__contains", "field:text", "type_object__gt"] {
        let done = names(&world, "/user", &query(&[(bad, "x".into())], None));
        assert_eq!(kind_of(done), Some(Kind::BadRequest), "{bad}");
    }
    let view = world.tree.view();
    let page = Query { offset: 1, limit: Some(1), depth: Depth::Children, ..Query::default() };
    let found = view.find(&root(), world.id("/user"), &page).unwrap();
    assert_eq!((found.total, found.ids), (4, vec![world.id("/user/b")]));
    let past = Query { offset: 99, ..page };
    assert!(view.find(&root(), world.id("/user"), &past).unwrap().ids.is_empty());
    assert_eq!(kind_of(view.find(&guest(), world.id("/root"), &past)), Some(Kind::Denied));
}

// rule: tree/find
#[test]
fn fields_are_named_only_to_who_may_read_the_type() {
    let world = small();
    let access = |rights| {
        let mut acl = crate::auth::Acl::default();
        acl.groups.push(crate::auth::GroupEntry {
            group: crate::auth::Group::OTHER,
            rights,
            priority: 0,
        });
        Patch { acl: Some(acl), ..Patch::default() }
    };
    let all = access(crate::auth::Rights::ALL);
    let (dir, kind) = (world.id("/user/b"), world.id("/system/types/SmtpServer"));
    world.write(&root(), |txn| txn.update(dir, None, all.clone())).unwrap();
    let told = |who: &Caller, query: &Query| {
        let fault = world.tree.view().find(who, dir, query).unwrap_err();
        assert_eq!(fault.kind(), Kind::BadRequest);
        fault.told().text(kompira_schema::catalogue::Lang::En)
    };
    let of = ("type_object", Value::from("/system/types/SmtpServer"));
    let queries = [
        query(&[of.clone(), ("field:nothing", "x".into())], None),
        query(&[of], Some("field:nothing")),
    ];
    let none = Patch { acl: Some(crate::auth::Acl::default()), ..Patch::default() };
    for query in &queries {
        world.write(&root(), |txn| txn.update(kind, None, all.clone())).unwrap();
        let text = told(&guest(), query);
        assert!(text.contains("hostname") && !text.contains("refresh_token"), "{text}");
        world.write(&root(), |txn| txn.update(kind, None, none.clone())).unwrap();
        let text = told(&guest(), query);
        assert!(text.contains("nothing") && !text.contains("hostname"), "{text}");
    }
}
