use super::*;

fn asked(conditions: &[(&str, Value)]) -> Query {
    let conditions = conditions.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    Query { conditions: conditions.collect(), ..Query::default() }
}

fn texts(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(*text)).collect())
}

/// A table of 300 hosts with a number, a word and a list; every tenth in another table.
fn hosts() -> (World, ObjectId) {
    let world = world();
    let fields = [
        ("fieldNames", texts(&["n", "word", "list"])),
        ("fieldTypes", texts(&["Integer", "String", "Array<String>"])),
    ];
    let kind = world.create(&root(), "/user/Host", "TypeObject", &fields).unwrap();
    let of = ("typeObject", Value::Object(kompira_schema::value::Ref::Object(kind)));
    for table in ["/user/t", "/user/u"] {
        world.create(&root(), table, "Table", std::slice::from_ref(&of)).unwrap();
    }
    let (t, u) = (world.id("/user/t"), world.id("/user/u"));
    world
        .write(&root(), |txn| {
            for n in 0..300_i64 {
                let fields = Dict::from_iter([
                    ("n".to_owned(), Value::from(n % 100)),
                    ("word".to_owned(), Value::from(format!("w{n:03}"))),
                    ("list".to_owned(), texts(&["all", if n == 7 { "seven" } else { "x" }])),
                ]);
                let draft = Draft { fields, ..Draft::default() };
                let dir = if n % 10 == 0 { u } else { t };
                txn.create(dir, &name(&format!("h{n:03}")), kind, draft)?;
            }
            Ok(())
        })
        .unwrap();
    (world, kind)
}

fn explained(world: &World, dir: &str, query: &Query) -> (Vec<String>, Explain) {
    let view = world.tree.view();
    let paged = view.find_page(&root(), world.id(dir), query, None).unwrap();
    let names = paged.found.ids.iter().map(|id| view.head(*id).unwrap().name);
    let mut names: Vec<_> = names.collect();
    names.sort();
    (names, paged.explain)
}

// rule: tree/find-indexes
#[test]
fn a_search_looks_through_the_narrowest() {
    let (world, kind) = hosts();
    let of = ("type_object", Value::Object(kompira_schema::value::Ref::Object(kind)));
    for (dir, conditions, hits, source, examined) in [
        ("/user/t", vec![("field:n", Value::from(7))], 3, "field:n", 3),
        (
            "/user",
            vec![of.clone(), ("field:n__in", Value::Array(vec![7.into(), 8.into()]))],
            6,
            "field:n",
            6,
        ),
        ("/user", vec![of.clone(), ("field:n__gte", 98.into())], 6, "field:n", 6),
        ("/user", vec![of.clone(), ("field:word__startswith", "w29".into())], 10, "field:word", 10),
        (
            "/user",
            vec![of.clone(), ("field:word__range", texts(&["w010", "w012"]))],
            3,
            "field:word",
            3,
        ),
        ("/user", vec![of.clone(), ("field:list", "seven".into())], 1, "field:list", 1),
        ("/user", vec![of.clone(), ("field:list", "all".into())], 300, "field:list", 300),
        ("/user/u", vec![("field:n", Value::from(7))], 0, "field:n", 0),
        (
            "/user/t",
            vec![("field:word__contains", "7".into()), ("field:n__lt", 1.into())],
            0,
            "field:n",
            3,
        ),
        ("/user", vec![of.clone(), ("field:word__contains", "w29".into())], 10, "type", 300),
        ("/", vec![("abspath", "/user/t/h001".into())], 1, "path", 1),
        ("/", vec![("parent_object", "/user/u".into())], 30, "parent", 30),
        ("/", vec![("owner", "guest".into())], 1, "owner", 1),
    ] {
        let (found, explain) = explained(&world, dir, &asked(&conditions));
        assert_eq!(
            (found.len(), explain.source.as_str(), explain.examined),
            (hits, source, examined),
            "{conditions:?}"
        );
    }
}

// rule: tree/find-indexes
#[test]
fn an_index_follows_the_commits_and_never_hides_an_object() {
    let (world, _) = hosts();
    let seven = asked(&[("field:n", 7.into())]);
    let before = world.tree.view();
    assert_eq!(explained(&world, "/user/t", &seven).0, ["h007", "h107", "h207"]);
    world.update(&root(), "/user/t/h007", &[("n", 1.into())]).unwrap();
    world.update(&root(), "/user/t/h001", &[("n", 7.into())]).unwrap();
    let gone = world.id("/user/t/h107");
    world.write(&root(), |txn| txn.delete(gone)).unwrap();
    let (found, explain) = explained(&world, "/user/t", &seven);
    assert_eq!((found, explain.source), (vec!["h001".into(), "h207".into()], "field:n".into()));
    // Who still reads the earlier moment finds what was true then.
    let then = before.find(&root(), world.id("/user/t"), &seven).unwrap();
    assert_eq!(then.total, 3);
    // Another type of the field: the values are others.
    let types = [("fieldTypes", texts(&["String", "String", "Array<String>"]))];
    world.update(&root(), "/user/Host", &types).unwrap();
    let text = asked(&[("field:n", "7".into())]);
    assert_eq!(explained(&world, "/user/t", &text).0, ["h001", "h207"]);
    // In a commit that changed something, its own writes count.
    let id = world.id("/user/t/h002");
    let inside = world.write(&root(), |txn| {
        let fields = Dict::from_iter([("n".to_owned(), Value::from("7"))]);
        txn.update(id, None, Patch { fields, ..Patch::default() })?;
        txn.find(&root(), txn.head(id)?.parent, &text)
    });
    assert_eq!(inside.unwrap().total, 3);
}

/// All pages by `after`; between two of them `meanwhile` writes.
fn pages(world: &World, query: &Query, meanwhile: impl Fn(usize)) -> Vec<String> {
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    for page in 0.. {
        let view = world.tree.view();
        let dir = world.id("/user/t");
        let paged = view.find_page(&root(), dir, query, after.as_deref()).unwrap();
        seen.extend(paged.found.ids.iter().map(|id| view.head(*id).unwrap().name));
        after = paged.next;
        if after.is_none() {
            break;
        }
        meanwhile(page);
    }
    seen
}

// rule: tree/paging
#[test]
fn pages_by_place_stay_right_while_others_write() {
    let (world, kind) = hosts();
    let dir = world.id("/user/t");
    for (order, depth) in [
        (None, Depth::Children),
        (Some("-abspath"), Depth::Children),
        (Some("field:n,-field:word"), Depth::Children),
        (Some("-field:n"), Depth::Descendants),
        (Some("description,-id"), Depth::Descendants),
    ] {
        let order_by = order.map(str::to_owned);
        let query = Query { depth, order_by, limit: Some(40), ..Query::default() };
        let quiet = pages(&world, &query, |_| {});
        assert_eq!(quiet.len(), 270, "{order:?}");
        let stay = &quiet[..];
        let busy = pages(&world, &query, |page| {
            let new = name(&format!("a{page}{}", u8::from(depth == Depth::Children)));
            world
                .write(&root(), |txn| {
                    let made = txn.create(dir, &new, kind, Draft::default())?;
                    txn.delete(made)?;
                    Ok(())
                })
                .unwrap();
            let made =
                world.write(&root(), |txn| txn.create(dir, &new, kind, Draft::default())).unwrap();
            if page % 2 == 1 {
                world.write(&root(), |txn| txn.delete(made)).unwrap();
            }
        });
        let old: Vec<_> = busy.iter().filter(|name| name.starts_with('h')).cloned().collect();
        assert_eq!(old, stay, "{order:?}");
        let view = world.tree.view();
        for entry in view.children(&root(), dir, None, usize::MAX).unwrap() {
            if entry.name.starts_with('a') {
                world.write(&root(), |txn| txn.delete(entry.id)).unwrap();
            }
        }
    }
    let view = world.tree.view();
    let query = Query { order_by: Some("id".into()), limit: Some(10), ..Query::default() };
    let next = view.find_page(&root(), dir, &query, None).unwrap().next.unwrap();
    let other = Query { order_by: Some("id,abspath".into()), ..query };
    for (query, after) in [(&other, next.as_str()), (&other, "nonsense"), (&other, "")] {
        let fault = view.find_page(&root(), dir, query, Some(after)).unwrap_err();
        assert_eq!(fault.kind(), Kind::BadRequest, "{after}");
    }
}

// rule: tree/find-indexes
#[test]
fn a_page_of_children_reads_that_page_alone() {
    let (world, _) = hosts();
    let query = Query { depth: Depth::Children, limit: Some(25), ..Query::default() };
    let view = world.tree.view();
    let dir = world.id("/user/t");
    let paged = view.find_page(&root(), dir, &query, None).unwrap();
    assert_eq!((paged.found.total, paged.found.ids.len()), (270, 25));
    assert_eq!((paged.explain.source.as_str(), paged.explain.examined), ("children", 26));
    let down = Query { order_by: Some("-abspath".into()), offset: 268, ..query };
    let paged = view.find_page(&root(), dir, &down, None).unwrap();
    let names: Vec<_> = paged.found.ids.iter().map(|id| view.head(*id).unwrap().name).collect();
    assert_eq!(names, ["h002", "h001"]);
    assert_eq!(paged.next, None);
}
