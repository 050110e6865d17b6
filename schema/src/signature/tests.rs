use super::*;

// rule: objects/signatures
#[test]
fn the_built_ins_are_all_there() {
    assert_eq!(jobs().len(), 16);
    assert_eq!(functions().len(), 24);
    for signature in jobs().iter().chain(functions()) {
        assert!(!signature.doc.en.is_empty() && !signature.doc.ja.is_empty(), "{}", signature.name);
    }
    for (type_name, count) in [
        ("String", 14),
        ("Binary", 2),
        ("Pattern", 1),
        ("Array", 3),
        ("Dictionary", 4),
        ("LazyArray", 1),
        ("Datetime", 2),
        ("Date", 1),
        ("Time", 1),
        ("Integer", 0),
    ] {
        assert_eq!(methods(type_name).len(), count, "{type_name}");
    }
    assert!(properties("Timedelta").contains(&"total_seconds".to_owned()));
}

#[test]
fn parameters_say_what_they_take() {
    assert_eq!(job("exit").unwrap().to_string(), "exit(status=0, result='', error='')");
    assert_eq!(job("print").unwrap().to_string(), "print(*values, delim=' ')");
    assert_eq!(function("bytes").unwrap().arity(), (0, Some(2)));
    assert_eq!(function("has_key").unwrap().arity(), (2, Some(2)));
    assert_eq!(job("print").unwrap().arity(), (0, None));
    assert_eq!(method("String", "replace").unwrap().arity(), (2, Some(3)));
    assert_eq!(method("String", "format").unwrap().params[1].take, Take::Keywords);
    let delim = job("print").unwrap().param("delim").unwrap();
    assert_eq!(delim.default.as_deref(), Some("' '"));
    assert!(job("print").unwrap().param("values").is_none(), "not by keyword");
    assert!(job("now").is_none() && function("print").is_none());
    assert_eq!(
        (job("print").unwrap().kind, function("now").unwrap().kind),
        (Kind::Job, Kind::Function)
    );
}
