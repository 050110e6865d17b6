use super::*;
use crate::field::{Elem, Shape};

// rule: objects/types
#[test]
fn all_twenty_nine_built_in_types_load() {
    assert_eq!(builtins().len(), 29);
    for def in builtins() {
        assert!(builtin(&def.name).is_some_and(|found| Arc::ptr_eq(found, def)));
        assert!(def.builtin && !def.display_name.en.is_empty() && !def.display_name.ja.is_empty());
        let form = &def.file;
        for field in
            [&form.representative, &form.suffix_from, &form.made_from_file].into_iter().flatten()
        {
            assert!(def.field(field).is_some(), "{}: {field}", def.name);
        }
        if let Container::OfTypeIn(field) = &def.container {
            assert_eq!(def.field(field).unwrap().field_type.shape, Shape::One(Elem::Object));
        }
    }
    assert!(builtin("Jobflo").is_none());
}

// rule: files/forms
#[test]
fn representative_fields_are_the_documented_ones() {
    let list: Vec<_> = builtins()
        .iter()
        .filter_map(|def| {
            Some((def.name.as_str(), def.representative()?.name.as_str(), def.file.format))
        })
        .collect();
    assert_eq!(
        list,
        [
            ("Jobflow", "source", Format::Text),
            ("Wiki", "wikitext", Format::Text),
            ("ScriptJob", "source", Format::Text),
            ("Environment", "environment", Format::Yaml),
            ("Template", "template", Format::Text),
            ("Library", "sourceText", Format::Text),
            ("Text", "text", Format::Text),
            ("Binary", "data", Format::Binary),
        ]
    );
}

// rule: files/suffixes
#[test]
fn a_suffix_belongs_to_one_type() {
    let of = |suffix| by_suffix(suffix).map(|def| def.name.as_str());
    for (suffix, name) in [
        ("jobflow", "Jobflow"),
        ("sh", "ScriptJob"),
        ("py", "Library"),
        ("md", "Wiki"),
        ("txt", "Text"),
        ("env", "Environment"),
        ("template", "Template"),
    ] {
        assert_eq!(of(suffix), Some(name));
    }
    assert_eq!(of("png"), None);
    let mut all: Vec<_> = builtins().iter().flat_map(|def| &def.file.suffixes).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

// rule: objects/type-objects
#[test]
fn a_built_in_type_reads_back_from_its_type_object() {
    for def in builtins() {
        let fields = def.type_object_fields(Lang::En);
        assert_eq!(check_type_object(&fields), [], "{}", def.name);
        let read = TypeDef::from_type_object(&def.name, &fields);
        assert!(!read.builtin);
        assert!(
            read.fields()
                .map(|f| (&f.name, &f.field_type))
                .eq(def.fields().map(|f| (&f.name, &f.field_type)))
        );
    }
    let ja = builtin("Wiki").unwrap().type_object_fields(Lang::Ja);
    let Value::Array(labels) = &ja["fieldDisplayNames"] else { panic!() };
    assert_eq!(labels[0], Value::from("Wiki テキスト"));
}

fn definition(names: &[&str], labels: &[&str], types: &[&str]) -> Dict {
    let list = |texts: &[&str]| Value::Array(texts.iter().map(|text| Value::from(*text)).collect());
    Dict::from_iter([
        ("fieldNames".to_owned(), list(names)),
        ("fieldDisplayNames".to_owned(), list(labels)),
        ("fieldTypes".to_owned(), list(types)),
    ])
}

// rule: objects/type-objects
#[test]
fn a_broken_definition_tells_every_place() {
    let at =
        |fields: &Dict| check_type_object(fields).into_iter().map(|p| p.at).collect::<Vec<_>>();
    assert_eq!(at(&definition(&["a", "b"], &["A"], &["String", "Integer"])), [""; 0]);
    assert_eq!(
        at(&definition(
            &["a", "", "1x", "a", "Meta"],
            &[],
            &["String", "Strin", "Integer#{", "File", "Date"]
        )),
        ["fieldNames[1]", "fieldNames[2]", "fieldNames[3]", "fieldTypes[1]", "fieldTypes[2]"]
    );
    assert_eq!(at(&definition(&["a"], &["A", "B"], &[])), ["fieldTypes", "fieldDisplayNames"]);
}

// rule: objects/type-objects
#[test]
fn a_type_has_a_largest_number_of_fields() {
    use crate::limits::FIELDS_MAX;
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        definition(&names, &[], &vec!["String"; count])
    };
    assert!(TypeDef::check_definition(&many(FIELDS_MAX)).is_ok());
    assert!(TypeDef::check_definition(&many(FIELDS_MAX + 1)).is_err());
    assert_eq!(TypeDef::from_type_object("T", &many(FIELDS_MAX + 1)).fields().len(), FIELDS_MAX);
}

// rule: objects/type-objects
#[test]
fn a_broken_type_still_opens() {
    let def = TypeDef::from_type_object(
        "T",
        &definition(&["a", "", "b", "a", "c"], &["A"], &["Strin", "x", "Integer#["]),
    );
    let fields: Vec<_> = def
        .fields()
        .map(|f| (f.name.as_str(), f.field_type.to_string(), f.display_name.en.as_str()))
        .collect();
    let string = "String".to_owned();
    assert_eq!(
        fields,
        [("a", string.clone(), "A"), ("b", string.clone(), "b"), ("c", string, "c")]
    );
    assert_eq!(TypeDef::from_type_object("T", &Dict::new()).fields().len(), 0);
}

// rule: objects/first-start
#[test]
fn the_initial_tree_is_complete() {
    let factory = factory();
    let mut seen = vec![ObjectPath::root()];
    assert!(factory.objects[0].path.is_root());
    for object in &factory.objects[1..] {
        assert!(
            seen.contains(&object.path.parent().unwrap()),
            "{} before its container",
            object.path
        );
        assert!(!seen.contains(&object.path), "{} twice", object.path);
        let def = builtin(&object.type_name).unwrap();
        for name in object.fields.keys() {
            assert!(def.field(name).is_some(), "{}: {name}", object.path);
        }
        seen.push(object.path.clone());
    }
    for path in [
        "/system/nodetypes/ssh",
        "/system/styles/DarkMode",
        "/config/realm/default",
        "/home/guest",
        "/root",
    ] {
        assert!(seen.contains(&ObjectPath::parse(path).unwrap()), "{path}");
    }
    let names: Vec<_> = factory
        .users
        .iter()
        .map(|user| (user.username.as_str(), user.is_active, user.password_generated()))
        .collect();
    assert_eq!(names, [("root", true, true), ("admin", false, false), ("guest", false, false)]);
    assert_eq!(
        factory.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
        ["other", "wheel"]
    );
    let config =
        factory.objects.iter().find(|object| object.path.as_str() == "/system/config").unwrap();
    assert_eq!(check_type_object(&config.fields), []);
    assert_eq!(factory.system_config_data()["loginFailureLimit"], Value::Int(3));
}

#[test]
fn special_objects_have_their_families() {
    let names: Vec<_> = special()
        .iter()
        .map(|family| (family.name.as_str(), family.root.family.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("Process", "process"),
            ("Schedule", "scheduler"),
            ("User", "user"),
            ("Group", "group"),
            ("Incident", "incident"),
            ("Task", "task")
        ]
    );
    let process = &special()[0];
    let status = process.properties.iter().find(|property| property.name == "status").unwrap();
    assert!(status.in_rest() && status.values.contains(&"ABORTED".to_owned()));
    assert_eq!(status.lookups(), ["exact"]);
}

#[test]
fn the_reference_page_names_every_type_and_field() {
    let page = reference_markdown();
    for def in builtins() {
        assert!(page.contains(&format!("## {0} {{#{0}}}", def.name)));
        for field in def.fields() {
            assert!(page.contains(&format!("| `{}` |", field.name)));
        }
    }
    assert!(page.contains("`add(name, type_obj, data=null, overwrite=false)`"));
}

#[test]
fn common_properties_and_methods_are_known() {
    assert_eq!(common_properties().len(), 15);
    let names: Vec<_> = common_methods().iter().map(|method| method.name.as_str()).collect();
    assert_eq!(names, ["delete", "update", "rename"]);
    let jobflow = builtin("Jobflow").unwrap();
    assert_eq!(jobflow.executable, Executable::Yes);
    assert_eq!(jobflow.field("code").unwrap().access, Access::System);
    assert_eq!(jobflow.field_index("source"), Some(0));
    assert!(builtin("Directory").unwrap().is_container());
    assert_eq!(builtin("Form").unwrap().executable, Executable::Submit);
    assert_eq!(builtin("Channel").unwrap().method("send").unwrap().to_string(), "send(message)");
}
