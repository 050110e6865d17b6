use super::*;
use crate::error::Kind;

fn shape(text: &str) -> Option<String> {
    FieldType::parse(text).ok().map(|field_type| field_type.to_string())
}

// rule: objects/field-type-strings
#[test]
fn a_field_type_reads_and_writes_itself() {
    for elem in Elem::ALL {
        assert_eq!(shape(elem.name()).as_deref(), Some(elem.name()));
        for container in ["Array", "Dictionary"] {
            let text = format!("{container}<{}>", elem.name());
            let read = shape(&text);
            match (elem.in_containers(), elem) {
                (false, _) => assert_eq!(read, None, "{text}"),
                (true, Elem::String) => assert_eq!(read.as_deref(), Some(container)),
                (true, _) => assert_eq!(read, Some(text)),
            }
        }
    }
    for bad in
        ["", "string", "Array<>", "Array<Array>", "Array<Text>", "Dict", "Array<String", "Integer>"]
    {
        assert_eq!(shape(bad), None, "{bad}");
    }
}

// rule: objects/field-type-strings
#[test]
fn qualifiers_follow_the_first_separator() {
    let canonical = r##"Integer#{"min_value":1,"max_value":52,"default":42}"##;
    assert_eq!(shape(canonical).as_deref(), Some(canonical));
    for other in [
        r#"Integer {"min_value": 1, "max_value":52,"default":42}"#,
        r#"Integer{"min_value":1,"max_value":52,"default":42}"#,
    ] {
        assert_eq!(shape(other).as_deref(), Some(canonical), "{other}");
    }
    let sharp = r###"String#{"help_text":"a # b ## c"}"###;
    assert_eq!(shape(sharp).as_deref(), Some(sharp));
    assert_eq!(shape("String#{}").as_deref(), Some("String"));
    for bad in [
        "String#",
        "String#[1]",
        "String#{",
        "String#1",
        r#"Integer#{"min_value":"x"}"#,
        r#"String#{"pattern":"("}"#,
        r#"Object#{"object":"relative"}"#,
        r#"Enum#{"enum":{"switch":"$[a]"}}"#,
    ] {
        let fault = FieldType::parse(bad).unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid, "{bad}");
        assert_eq!(FieldType::parse_lenient(bad), FieldType::plain(Shape::One(Elem::String)));
    }
}

#[test]
fn a_field_definition_has_a_limit() {
    let fill = |n: usize| format!(r#"String#{{"help_text":"{}"}}"#, "x".repeat(n));
    let frame = fill(0).len();
    assert!(FieldType::parse(&fill(FIELD_TYPE_MAX - frame)).is_ok());
    assert!(FieldType::parse(&fill(FIELD_TYPE_MAX - frame + 1)).is_err());
}

// rule: objects/qualifiers
#[test]
fn the_json_of_qualifiers_has_a_limit() {
    let nested = |n: usize| format!("String#{{\"x\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let max = crate::limits::QUALIFIER_DEPTH_MAX;
    assert!(FieldType::parse(&nested(max)).is_ok());
    assert!(FieldType::parse(&nested(max + 1)).is_err());
    assert!(FieldType::parse(&nested(10_000)).is_err());
}

// rule: objects/qualifiers
#[test]
fn unknown_and_foreign_qualifiers_are_kept_without_effect() {
    let text = r##"Boolean#{"later":{"a":1},"min_value":3}"##;
    let read = FieldType::parse(text).unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(read.qualifiers.min_value, None);
}

// rule: objects/qualifier-references
#[test]
fn references_have_five_forms() {
    let reference = |text: &str| Reference::parse(text).ok().map(|r| (r.source, r.field));
    let path = |p: &str| Source::Path(p.into());
    assert_eq!(reference("/a/b"), Some((path("/a/b"), None)));
    assert_eq!(reference("~/x"), Some((path("~/x"), None)));
    assert_eq!(reference("/a/b[f]"), Some((path("/a/b"), Some("f".into()))));
    assert_eq!(
        reference("/a/b.data[f]"),
        Some((Source::ConfigData("/a/b".into()), Some("f".into())))
    );
    assert_eq!(reference("$[d]"), Some((Source::Dependent("d".into()), None)));
    assert_eq!(reference("$[d][f]"), Some((Source::Dependent("d".into()), Some("f".into()))));
    for bad in ["", "a", "$", "$[]", "$[a", "/a[b", "/a[b]c", "$[a][b][c]"] {
        assert_eq!(reference(bad), None, "{bad}");
    }
}

// rule: objects/enum
#[test]
fn choices_are_data_with_labels() {
    let choices = |json: &str| {
        FieldType::parse(&format!(r#"Enum#{{"enum":{json}}}"#)).map(|t| t.qualifiers.choices)
    };
    let fixed = choices(r#"["a",["b","Label B"]]"#).unwrap();
    let Choices::Fixed(list) = fixed else { panic!("{fixed:?}") };
    assert_eq!(list[0].label, "a");
    assert_eq!((list[1].data.as_str(), list[1].label.as_str()), ("b", "Label B"));
    assert!(matches!(choices(r#""$[nodetype][conntypes]""#), Ok(Choices::Field(_))));
    let switch = choices(r#"{"switch":"$[p]","case":{"b":["x"],"a":["y"]}}"#).unwrap();
    let Choices::Switch(switch) = switch else { panic!("{switch:?}") };
    assert_eq!(switch.cases[0].0, "b", "order of keys is kept");
    assert_eq!(choices("{}").unwrap(), Choices::None);
    assert!(choices("[1]").is_err());
}

// rule: objects/qualifiers
#[test]
fn a_pattern_matches_whole_values_and_has_a_step_limit() {
    let pattern = Pattern::new("a|ab").unwrap();
    assert_eq!(pattern.matches("ab"), Some(true));
    assert_eq!(pattern.matches("abc"), Some(false));
    assert_eq!(pattern.matches("a\n"), Some(false));
    let ahead = Pattern::new(r"(?=.*\d)\w+").unwrap();
    assert_eq!((ahead.matches("a1"), ahead.matches("ab")), (Some(true), Some(false)));
    let slow = Pattern::new(r"(?=(a+)+b)\w+").unwrap();
    assert_ne!(slow.matches(&"a".repeat(64)), Some(true));
    assert!(Pattern::new(r"\w{1000}{1000}").is_err());
}
