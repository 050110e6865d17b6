use kompira_schema::field::FieldType;
use kompira_schema::types::{FieldDef, TypeDef};
use kompira_schema::value::Ref;

use super::*;

fn field(kind: &str) -> FieldDef {
    FieldType::parse(kind).unwrap();
    let one = |text: &str| Value::Array(vec![Value::from(text)]);
    let fields = Dict::from_iter([
        ("fieldNames".to_owned(), one("f")),
        ("fieldTypes".to_owned(), one(kind)),
    ]);
    TypeDef::from_type_object("T", &fields).field("f").unwrap().clone()
}

fn offered(world: &World, who: &Caller, kind: &str, values: &[(&str, Value)]) -> Vec<String> {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let view = world.tree.view();
    let found = view.candidates_of(who, &field(kind), &values, &[], &Page::default()).unwrap();
    assert_eq!(found.total, found.ids.len());
    found.ids.into_iter().map(|id| view.path_of(id).unwrap().to_string()).collect()
}

fn small() -> World {
    let world = world();
    for dir in ["/user/a", "/user/a/in", "/root/own"] {
        world.create(&root(), dir, "Directory", &[]).unwrap();
    }
    for path in ["/user/a/n1", "/user/a/in/n2", "/root/own/n3"] {
        world.create(&root(), path, "NodeInfo", &[]).unwrap();
    }
    world.create(&root(), "/user/a/t1", "Text", &[]).unwrap();
    world
}

// rule: objects/candidates
#[test]
fn candidates_are_of_one_of_the_types_and_in_one_of_the_containers() {
    let world = small();
    let node = "/system/types/NodeInfo";
    let all = ["/root/own/n3", "/user/a/in/n2", "/user/a/n1"];
    for (said, wanted) in [
        (format!(r#"{{"object":"{node}"}}"#), &all[..]),
        (format!(r#"{{"object":["{node}","/no/such"]}}"#), &all),
        (format!(r#"{{"object":["{node}","/no/such"],"directory":"~"}}"#), &["/root/own/n3"]),
        (format!(r#"{{"object":["{node}","/user/a"]}}"#), &["/user/a/n1"]),
        (format!(r#"{{"object":"{node}","directory":"/user"}}"#), &["/user/a/in/n2", "/user/a/n1"]),
        (r#"{"object":"/user/a"}"#.into(), &["/user/a/in", "/user/a/n1", "/user/a/t1"]),
        (r#"{"object":"/no/such"}"#.into(), &[]),
        (r#"{"directory":["/no/such"]}"#.into(), &[]),
        (r#"{"object":"/no/such","directory":"/root/own"}"#.into(), &["/root/own/n3"]),
        (r#"{"directory":"~(root)/own"}"#.into(), &["/root/own/n3"]),
        (r#"{"directory":"~nobody"}"#.into(), &[]),
        (r#"{"object":"/user/a/t1"}"#.into(), &[]),
        (r#"{"directory":"/system/types/Text"}"#.into(), &[]),
        (
            format!(r#"{{"directory":"/user/a","filter":{{"type_object":"{node}"}}}}"#),
            &["/user/a/in/n2", "/user/a/n1"],
        ),
        (
            format!(
                r#"{{"object":["/system/types/Text","/user/a"],"filter":{{"type_object":"{node}"}}}}"#
            ),
            &["/user/a/n1", "/user/a/t1"],
        ),
        (
            format!(r#"{{"object":"{node}","filter":{{"abspath__contains":"/in/"}}}}"#),
            &["/user/a/in/n2"],
        ),
        (
            format!(r#"{{"object":"{node}","order_by":"-abspath"}}"#),
            &["/user/a/n1", "/user/a/in/n2", "/root/own/n3"],
        ),
        (format!(r#"{{"object":"{node}","order_by":"colour"}}"#), &all),
    ] {
        assert_eq!(offered(&world, &root(), &format!("Object#{said}"), &[]), wanted, "{said}");
    }
    assert_eq!(
        offered(&world, &guest(), r#"Object#{"object":"/system/types/NodeInfo"}"#, &[]),
        ["/user/a/in/n2", "/user/a/n1"],
        "what guest can read"
    );
    assert!(offered(&world, &guest(), r#"Object#{"directory":"/root/own"}"#, &[]).is_empty());
    let every = offered(&world, &root(), "Object", &[]).len();
    assert_eq!(offered(&world, &root(), r#"Object#{"object":null}"#, &[]).len(), every);
    assert!(every > 40, "{every}");
}

// rule: objects/candidates, objects/qualifier-references
#[test]
fn a_switch_takes_the_first_case_that_fits() {
    let world = small();
    let kind =
        r#"Object#{"object":{"switch":"$[kind]","case":{"s*":"/system/types/NodeInfo","*":null}}}"#;
    let with = |kind: &str| [("kind", Value::from(kind))];
    assert_eq!(offered(&world, &root(), kind, &with("sv")).len(), 3);
    assert!(offered(&world, &root(), kind, &with("rt")).len() > 40, "no restriction");
    let strict = kind.replace(r#","*":null"#, "");
    assert!(offered(&world, &root(), &strict, &with("rt")).is_empty());
    assert!(offered(&world, &root(), &strict, &with("SV")).is_empty());
    let folded = strict.replace(r#""case":"#, r#""case_ignorecase":true,"case":"#);
    assert_eq!(offered(&world, &root(), &folded, &with("SV")).len(), 3);
    let exact = strict.replace(r#""case":"#, r#""case_pattern_type":"exact","case":"#);
    assert!(offered(&world, &root(), &exact, &with("sv")).is_empty());
    let regex = strict.replace(r#""case":{"s*""#, r#""case_pattern_type":"regex","case":{"s.""#);
    assert_eq!(offered(&world, &root(), &regex, &with("sv")).len(), 3);
    assert!(offered(&world, &root(), &regex, &with("svx")).is_empty(), "the whole text");
    // An object is tried by its name, then by its path.
    let by_object =
        r#"Object#{"object":{"switch":"$[d]","case":{"/user/*":"/user/a","own":"/root/own"}}}"#;
    let at = |path: &str| [("d", Value::Object(Ref::Object(world.id(path))))];
    assert_eq!(offered(&world, &root(), by_object, &at("/root/own")), ["/root/own/n3"]);
    assert_eq!(offered(&world, &root(), by_object, &at("/user/a")).len(), 3);
    assert!(offered(&world, &root(), by_object, &[]).is_empty(), "null is the empty text");
}

fn choices(
    world: &World,
    who: &Caller,
    kind: &str,
    values: &[(&str, Value)],
) -> Vec<(String, String)> {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let found = world.tree.view().choices_of(who, &field(kind), &values).unwrap();
    found.into_iter().map(|choice| (choice.data, choice.label)).collect()
}

// rule: objects/enum, objects/qualifier-references
#[test]
fn choices_come_from_lists_fields_settings_and_cases() {
    let world = small();
    let pair = |data: &str, label: &str| (data.to_owned(), label.to_owned());
    let none: [(&str, Value); 0] = [];
    let written = r#"Enum#{"enum":["a",["b","Label B"]]}"#;
    assert_eq!(choices(&world, &root(), written, &none), [pair("a", "a"), pair("b", "Label B")]);
    let conntype = r#"Enum#{"enum":"$[nodetype][conntypes]"}"#;
    let ssh = [("nodetype", Value::Object(Ref::Object(world.id("/system/nodetypes/ssh"))))];
    let found = choices(&world, &root(), conntype, &ssh);
    assert_eq!(found.iter().map(|(data, _)| data.as_str()).collect::<Vec<_>>(), ["ssh"]);
    assert_ne!(found[0].0, found[0].1, "the value is the label");
    assert!(choices(&world, &root(), conntype, &none).is_empty());
    let list = Value::Array(vec!["x".into(), "y".into()]);
    let fields = [("range", list)];
    world
        .write(&root(), |txn| {
            let id = txn.resolve(&ObjectPath::parse("/config/realm/default").unwrap())?;
            let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
            txn.update(id, None, Patch { fields, ..Patch::default() })
        })
        .unwrap();
    let range = r#"Enum#{"enum":"/config/realm/default[range]"}"#;
    assert_eq!(choices(&world, &root(), range, &none), [pair("x", "x"), pair("y", "y")]);
    for nothing in ["/no/such[f]", "/config/realm/default[nothing]", "/config/realm/default"] {
        let kind = format!(r#"Enum#{{"enum":"{nothing}"}}"#);
        assert!(choices(&world, &root(), &kind, &none).is_empty(), "{nothing}");
    }
    let one = |text: &str| Value::Array(vec![Value::from(text)]);
    let fields = [("fieldNames", one("colours")), ("fieldTypes", one("Array<String>"))];
    let config = world.create(&root(), "/root/conf", "Config", &fields).unwrap();
    let data = Dict::from_iter([("colours".to_owned(), one("red"))]);
    let patch = Patch { data: Some(data), ..Patch::default() };
    world.write(&root(), |txn| txn.update(config, None, patch.clone())).unwrap();
    let setting = r#"Enum#{"enum":"/root/conf.data[colours]"}"#;
    assert_eq!(choices(&world, &root(), setting, &none), [pair("red", "red")]);
    assert!(choices(&world, &guest(), setting, &none).is_empty(), "guest cannot read it");
    let mode = r#"Enum#{"enum":{"switch":"$[p]","case":{"IMAP4":["d","s"],"POP3":["d"]}}}"#;
    assert_eq!(choices(&world, &root(), mode, &[("p", "POP3".into())]), [pair("d", "d")]);
    assert!(choices(&world, &root(), mode, &[("p", "x".into())]).is_empty());
    assert!(choices(&world, &root(), "Enum", &none).is_empty());
}
