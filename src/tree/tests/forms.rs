use super::*;
use kompira_schema::validate::Source;
use kompira_schema::value::Ref;

fn texts(items: &[&str]) -> Value {
    Value::Array(items.iter().map(|item| Value::from(*item)).collect())
}

fn form(world: &World, target: ObjectId, names: &[&str], types: &[&str]) -> ObjectId {
    let fields = [
        ("submitObject", Value::Object(Ref::Object(target))),
        ("fieldNames", texts(names)),
        ("fieldTypes", texts(types)),
    ];
    world.create(&root(), "/root/form", "Form", &fields).unwrap()
}

fn dict(pairs: &[(&str, Value)]) -> Dict {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn submit(
    world: &World,
    who: &Caller,
    id: ObjectId,
    values: &[(&str, Value)],
) -> Result<Submission, Fault> {
    world.write(who, |txn| txn.submit_form(id, dict(values), Source::Language, None))
}

// rule: tree/forms
#[test]
fn a_form_sends_its_values_as_one_message() {
    let world = world();
    let channel = world.create(&root(), "/root/chan", "Channel", &[]).unwrap();
    let types = ["Integer#{\"default\":22,\"max_value\":99}", "String", "Password"];
    let id = form(&world, channel, &["port", "host", "secret"], &types);
    let values = [("port", "80".into()), ("secret", "s3cret".into())];
    let done = submit(&world, &root(), id, &values).unwrap();
    assert_eq!(done, Submission::Sent { channel, number: 1 });
    let messages = world.tree.view().queue_messages(&root(), channel, 10).unwrap();
    let wanted = [("port", 80.into()), ("host", "".into()), ("secret", "s3cret".into())];
    assert_eq!(messages, [(1, Value::Dict(dict(&wanted)))]);
    submit(&world, &root(), id, &[]).unwrap();
    let messages = world.tree.view().queue_messages(&root(), channel, 10).unwrap();
    let Value::Dict(second) = &messages[1].1 else { panic!("a dictionary") };
    assert_eq!(second.get("port"), Some(&22.into()), "the default");
    let bad = submit(&world, &root(), id, &[("port", "100".into()), ("colour", "red".into())]);
    let fault = bad.unwrap_err();
    let at: Vec<_> = fault.problems().iter().map(|problem| problem.at.as_str()).collect();
    assert_eq!((fault.kind(), at.len()), (Kind::Invalid, 2));
    assert!(at.contains(&"port") && at.contains(&"colour"), "{at:?}");
    assert_eq!(kind_of(submit(&world, &guest(), id, &[])), Some(Kind::Denied));
    assert_eq!(kind_of(submit(&world, &root(), channel, &[])), Some(Kind::NoMethod));
    world.write(&root(), |txn| txn.delete(channel)).unwrap();
    assert_eq!(kind_of(submit(&world, &root(), id, &[])), Some(Kind::NotFound));
}

/// Takes a line `name` or `name=default` for a parameter.
struct Lines;

impl Compiler for Lines {
    fn compile(&self, source: &str) -> Compiled {
        let parameters = source.lines().map(|line| match line.split_once('=') {
            Some((name, default)) => (name.to_owned(), default.into()),
            None => (line.to_owned(), Value::Null),
        });
        Compiled { parameters: parameters.collect(), executable: true, errors: Dict::new() }
    }

    fn version(&self) -> String {
        "lines".into()
    }
}

fn world_with_jobs() -> World {
    let clock = Arc::new(Fake::at("2031-07-04T09:05:00Z".parse().unwrap()));
    let options = Options { compiler: Arc::new(Lines), ..Options::default() };
    let keys = Arc::new(Keys::from_text("a key of the tests"));
    let (tree, _) = Tree::new(Store::memory(), keys, Arc::clone(&clock) as _, options).unwrap();
    World { tree, clock, audit: Arc::default() }
}

fn job(world: &World, source: &str) -> ObjectId {
    world.create(&root(), "/root/job", "Jobflow", &[("source", source.into())]).unwrap()
}

// rule: tree/forms
#[test]
fn a_form_fills_the_parameters_of_a_jobflow() {
    let world = world_with_jobs();
    let job = job(&world, "host\nport=22");
    let id = form(&world, job, &["host", "note"], &["String", "String"]);
    let done =
        submit(&world, &root(), id, &[("host", "web1".into()), ("note", "x".into())]).unwrap();
    let params = dict(&[("host", "web1".into())]);
    assert_eq!(done, Submission::Start { job, params, invoker: id }, "note has no parameter");
    world.update(&root(), "/root/form", &[("fieldNames", texts(&["nobody", "note"]))]).unwrap();
    let fault = submit(&world, &root(), id, &[]).unwrap_err();
    assert_eq!(fault.problems()[0].at, "host", "no default and no field");
}

// rule: tree/table-related
#[test]
fn selected_rows_go_to_the_related_object() {
    let world = world_with_jobs();
    let job = job(&world, "rows");
    let kind = Value::Object(Ref::Object(world.kind("Text")));
    let related = Value::Object(Ref::Object(job));
    let fields = [("typeObject", kind), ("relatedObject", related)];
    let table = world.create(&root(), "/root/table", "Table", &fields).unwrap();
    let row = world.create(&root(), "/root/table/r", "Text", &[]).unwrap();
    let run = |rows: &[ObjectId]| {
        world.write(&root(), |txn| txn.submit_rows(table, rows, Dict::new(), Source::Language))
    };
    let rows = Value::Array(vec![Value::Object(Ref::Object(row))]);
    let params = dict(&[("rows", rows.clone())]);
    assert_eq!(run(&[row]).unwrap(), Submission::Start { job, params, invoker: table });
    assert_eq!(kind_of(run(&[job])), Some(Kind::WrongType), "no row of the table");
    let channel = world.create(&root(), "/root/chan", "Channel", &[]).unwrap();
    let form = form(&world, channel, &["why"], &["String"]);
    let related = Value::Object(Ref::Object(form));
    world.update(&root(), "/root/table", &[("relatedObject", related)]).unwrap();
    assert_eq!(run(&[row]).unwrap(), Submission::Sent { channel, number: 1 });
    let messages = world.tree.view().queue_messages(&root(), channel, 1).unwrap();
    let wanted = dict(&[("why", "".into()), ("objects", rows)]);
    assert_eq!(messages, [(1, Value::Dict(wanted))]);
    world.update(&root(), "/root/table", &[("relatedObject", Value::Null)]).unwrap();
    assert_eq!(kind_of(run(&[row])), Some(Kind::NotFound));
}

// rule: tree/mail-servers
#[test]
fn mail_servers_refuse_what_cannot_be_together() {
    let world = world();
    let problem = |kind: &str, fields: &[(&str, Value)]| {
        let fault = world.create(&root(), "/root/m", kind, fields).unwrap_err();
        (fault.problems()[0].at.clone(), fault.problems()[0].message.key)
    };
    let both = [("use_tls", true.into()), ("use_ssl", true.into())];
    assert_eq!(problem("SmtpServer", &both), ("use_ssl".into(), "mail.tls_and_ssl"));
    let oauth = [("use_oauth2", true.into())];
    for kind in ["SmtpServer", "MailChannel"] {
        assert_eq!(problem(kind, &oauth), ("oauth2_provider".into(), "mail.no_provider"), "{kind}");
    }
    let provider = world.create(&root(), "/root/p", "OAuth2Provider", &[]).unwrap();
    let with =
        [("use_oauth2", true.into()), ("oauth2_provider", Value::Object(Ref::Object(provider)))];
    world.create(&root(), "/root/m", "MailChannel", &with).unwrap();
    let view = world.tree.view();
    let stub = view.stub(&root(), world.id("/root/m")).unwrap();
    assert_eq!(view.extra(&stub).unwrap().get("message_count"), Some(&0.into()));
}

// rule: tree/wiki
#[test]
fn a_page_is_shown_in_its_style() {
    let world = world();
    let fields = [("wikitext", "# <Title>".into()), ("style", "Markdown".into())];
    let id = world.create(&root(), "/root/page", "Wiki", &fields).unwrap();
    let view = world.tree.view();
    assert_eq!(view.render_wiki(&root(), id).unwrap().trim(), "<h1>&lt;Title&gt;</h1>");
    assert_eq!(kind_of(view.render_wiki(&guest(), id)), Some(Kind::Denied));
    assert_eq!(kind_of(view.render_wiki(&root(), world.id("/root"))), Some(Kind::NoMethod));
}

fn globbed(world: &World, who: &Caller, dir: &str, pattern: &str) -> Vec<String> {
    let view = world.tree.view();
    let found = view.glob(who, world.id(dir), pattern, &Page::default()).unwrap();
    assert_eq!(found.total, found.ids.len());
    found.ids.into_iter().map(|id| view.path_of(id).unwrap().to_string()).collect()
}

// rule: tree/glob
#[test]
fn patterns_find_by_place_name_type_owner_and_values() {
    let world = world();
    for dir in ["/root/a", "/root/a/b", "/root/c"] {
        world.create(&root(), dir, "Directory", &[]).unwrap();
    }
    let text = [("text", "Alpha beta".into())];
    for path in ["/root/a/web1", "/root/a/b/web2", "/root/c/web3"] {
        world.create(&root(), path, "Text", &text).unwrap();
    }
    world.create(&root(), "/root/web4", "Jobflow", &[("source", "print(1)".into())]).unwrap();
    world.create(&root(), "/root/x", "Environment", &[]).unwrap();
    let find = |pattern: &str| globbed(&world, &root(), "/root", pattern);
    assert_eq!(find("web*"), ["/root/a/b/web2", "/root/a/web1", "/root/c/web3", "/root/web4"]);
    assert_eq!(find("/web*"), ["/root/web4"]);
    assert_eq!(find("*/web*"), ["/root/a/web1", "/root/c/web3"]);
    assert_eq!(find("**/web?"), find("web?"), "none too");
    assert_eq!(find("a/**/web*"), ["/root/a/b/web2", "/root/a/web1"]);
    assert_eq!(find("a/web[1-3]"), ["/root/a/web1"]);
    assert_eq!(find("web[!1-3]"), ["/root/web4"]);
    assert_eq!(find("*.Jobflow"), ["/root/web4"]);
    assert_eq!(find("*.T*xt").len(), 3);
    assert_eq!(find("*.Dir*@root").len(), 3);
    assert!(find("*@guest").is_empty());
    assert_eq!(find("*[text__contains='beta']").len(), 3);
    assert_eq!(find("*[source__startswith='print', executable=false]"), ["/root/web4"]);
    assert_eq!(find("*.Text(abspath__contains='/c/')"), ["/root/c/web3"]);
    assert!(find("*[nothing='x']").is_empty(), "no type has such a field");
    assert!(find("nowhere/*").is_empty());
    let view = world.tree.view();
    let page = Page { order_by: Some("-abspath".into()), offset: 1, limit: Some(2) };
    let found = view.glob(&root(), world.id("/root"), "web*", &page).unwrap();
    assert_eq!((found.total, found.ids.len()), (4, 2));
    assert_eq!(found.ids[0], world.id("/root/c/web3"));
    for bad in ["", "a//b", "*(colour='x')", "*(owner__contains='x')"] {
        let fault = view.glob(&root(), world.id("/root"), bad, &Page::default()).unwrap_err();
        assert_eq!(fault.kind(), Kind::BadRequest, "{bad}");
    }
    let denied = view.glob(&guest(), world.id("/root"), "*", &Page::default());
    assert_eq!(kind_of(denied), Some(Kind::Denied));
    world.create(&root(), "/user/secret", "Text", &text).unwrap();
    let id = world.id("/user/secret");
    let patch = Patch { acl: Some(crate::auth::Acl::default()), ..Patch::default() };
    world.write(&root(), |txn| txn.update(id, None, patch.clone())).unwrap();
    assert_eq!(globbed(&world, &guest(), "/user", "secret").len(), 1, "by its name");
    assert!(globbed(&world, &guest(), "/user", "*[text__contains='Alpha']").is_empty());
}

// rule: tree/glob, tree/order
#[test]
fn a_pattern_in_a_table_has_the_order_of_the_table() {
    let world = world();
    let kind = world.kind("Jobflow");
    let table = [
        ("typeObject", Value::Object(kompira_schema::value::Ref::Object(kind))),
        ("orderBy", "nothing,-field:multiplicity".into()),
    ];
    world.create(&root(), "/user/t", "Table", &table).unwrap();
    for (name, number) in [("a", 1), ("b", 3), ("c", 2)] {
        let path = format!("/user/t/{name}");
        world.create(&root(), &path, "Jobflow", &[("multiplicity", number.into())]).unwrap();
    }
    let all = ["/user/t/b", "/user/t/c", "/user/t/a"];
    assert_eq!(globbed(&world, &root(), "/user/t", "*"), all);
    let view = world.tree.view();
    let page = Page { order_by: Some("field:multiplicity".into()), ..Page::default() };
    let found = view.glob(&root(), world.id("/user/t"), "*", &page).unwrap();
    assert_eq!(found.ids[0], world.id("/user/t/a"));
    // Whoever cannot read a row does not learn of its values by its place.
    let id = world.id("/user/t/b");
    let patch = Patch { acl: Some(crate::auth::Acl::default()), ..Patch::default() };
    world.write(&root(), |txn| txn.update(id, None, patch.clone())).unwrap();
    let seen = globbed(&world, &guest(), "/user/t", "*");
    assert_eq!(seen, ["/user/t/b", "/user/t/c", "/user/t/a"], "null comes first going down");
    let found = view.glob(&root(), world.id("/user"), "*", &page).unwrap_err();
    assert_eq!(found.kind(), Kind::BadRequest, "no type is known there");
}
