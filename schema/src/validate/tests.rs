use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::id::{BlobHash, ObjectId};
use crate::record::Carrier;
use crate::value::FileValue;

mod times;

/// Knows `/a` and `/home/mika`; seals by reversing; keeps attachments by hash alone.
struct World;

impl Outside for World {
    fn reference(&mut self, text: &str) -> Option<Ref> {
        ["/a", "/home/mika"]
            .iter()
            .position(|path| *path == text)
            .map(|at| Ref::Object(ObjectId(at as u64 + 1)))
    }

    fn password(&mut self, _at: &str, text: &str, verbatim: bool) -> Result<Value, Message> {
        if !verbatim && text.starts_with("kfs1$") {
            return Err(crate::message!("secret.unknown_key"));
        }
        Ok(Value::Sealed(text.bytes().rev().collect()))
    }

    fn attachment(&mut self, _at: &str, file: Attachment) -> Result<Value, Message> {
        let Carrier::Data(data) = file.carrier else { return Ok(Value::Null) };
        Ok(Value::File(FileValue {
            name: file.name,
            size: data.len() as u64,
            hash: BlobHash::of(&data),
        }))
    }
}

fn now() -> Zoned {
    "2031-07-04T09:05:06+09:00[Asia/Tokyo]".parse::<Zoned>().unwrap_or_else(|_| {
        "2031-07-04T09:05:06+09:00"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .to_zoned(TimeZone::fixed(jiff::tz::offset(9)))
    })
}

fn def(field_type: &str) -> FieldDef {
    FieldDef::new("f", FieldType::parse(field_type).unwrap())
}

fn from(source: Source, field_type: &str, value: Value) -> Result<Value, Vec<String>> {
    let (now, mut world) = (now(), World);
    let mut ctx = Context::new(source, &now, &mut world);
    convert(&def(field_type), value, &mut ctx).map_err(|problems| {
        problems
            .into_iter()
            .map(|problem| format!("{} {}", problem.at, problem.message.key))
            .collect()
    })
}

fn lang(field_type: &str, value: impl Into<Value>) -> Result<Value, Vec<String>> {
    from(Source::Language, field_type, value.into())
}

fn no(key: &str) -> Result<Value, Vec<String>> {
    Err(vec![format!("f {key}")])
}

// rule: objects/conversion
#[test]
fn false_of_json_is_an_empty_text_in_a_field_of_its_own() {
    for kind in ["String", "Text", "LargeText"] {
        assert_eq!(from(Source::Json, kind, Value::Bool(false)), Ok("".into()), "{kind}");
        assert_eq!(from(Source::Json, kind, Value::Bool(true)), Ok("true".into()), "{kind}");
        assert_eq!(lang(kind, Value::Bool(false)), Ok("false".into()), "{kind}");
    }
    let list = Value::Array(vec![Value::Bool(false)]);
    let texts = Value::Array(vec!["false".into()]);
    assert_eq!(from(Source::Json, "Array<String>", list), Ok(texts));
}

// rule: objects/conversion
#[test]
fn numbers_are_converted_when_nothing_is_lost() {
    assert_eq!(lang("Integer", "12"), Ok(Value::Int(12)));
    assert_eq!(lang("Integer", " -42 "), Ok(Value::Int(-42)));
    assert_eq!(lang("Integer", "1.5"), no("field.not_an_integer"));
    assert_eq!(lang("Integer", Value::Float(2.0)), Ok(Value::Int(2)));
    assert_eq!(lang("Integer", Value::Float(2.5)), no("field.not_an_integer"));
    assert_eq!(lang("Integer", Value::Float(9.3e18)), no("field.out_of_range"));
    // A reader of JSON has rounded what is smaller than the smallest integer to it.
    assert_eq!(
        lang("Integer", Value::Float(-9_223_372_036_854_775_808.0)),
        no("field.out_of_range")
    );
    assert_eq!(lang("Integer", Value::Int(i64::MIN)), Ok(Value::Int(i64::MIN)));
    assert_eq!(
        lang("Integer", Value::Big("9223372036854775808".parse().unwrap())),
        no("field.out_of_range")
    );
    assert_eq!(lang("Integer", "9223372036854775807"), Ok(Value::Int(i64::MAX)));
    assert_eq!(lang("Integer", "9223372036854775808"), no("field.out_of_range"));
    assert_eq!(lang("Integer", true), Ok(Value::Int(1)));
    assert_eq!(lang("Integer", ""), Ok(Value::Null));
    assert_eq!(lang("Float", 3), Ok(Value::Float(3.0)));
    assert_eq!(lang("Float", "1e3"), Ok(Value::Float(1000.0)));
    for bad in ["nan", "inf", "x", "-inf"] {
        assert!(lang("Float", bad).is_err(), "{bad}");
    }
    assert_eq!(lang("Float", Value::Float(f64::INFINITY)), no("field.not_finite"));
}

// rule: objects/conversion
#[test]
fn truth_is_that_of_the_language() {
    assert_eq!(lang("Boolean", "false"), Ok(Value::Bool(true)));
    for empty in [
        Value::Null,
        Value::from(""),
        Value::Int(0),
        Value::Float(0.0),
        Value::Array(vec![]),
        Value::Dict(Dict::new()),
        Value::Bool(false),
        Value::Bytes(vec![]),
    ] {
        assert_eq!(lang("Boolean", empty), Ok(Value::Bool(false)));
    }
}

// rule: objects/conversion
#[test]
fn plain_values_become_their_text() {
    assert_eq!(lang("String", 12), Ok(Value::from("12")));
    assert_eq!(lang("Text", Value::Float(1.0)), Ok(Value::from("1.0")));
    assert_eq!(lang("String", true), Ok(Value::from("true")));
    assert_eq!(
        lang("String", Value::Date("2031-07-04".parse().unwrap())),
        Ok(Value::from("2031-07-04"))
    );
    let at = Value::Datetime("2031-07-04T00:05:00Z".parse().unwrap());
    assert_eq!(lang("String", at), Ok(Value::from("2031-07-04T09:05:00+09:00")));
    for other in [
        Value::Array(vec![]),
        Value::Dict(Dict::new()),
        Value::Object(Ref::Object(ObjectId(1))),
        Value::Bytes(vec![]),
    ] {
        assert_eq!(lang("String", other), no("field.wrong_kind"));
    }
    assert_eq!(lang("String#{\"strip\":true}", "  a b\n"), Ok(Value::from("a b")));
    assert_eq!(lang("String", "a\0b"), no("field.nul"));
}

// rule: objects/conversion
#[test]
fn bytes_follow_the_convention_of_their_source() {
    let bytes = |data: &[u8]| Ok(Value::Bytes(data.to_vec()));
    assert_eq!(lang("Binary", "é"), bytes("é".as_bytes()));
    assert_eq!(from(Source::Json, "Binary", "AP8=".into()), bytes(&[0, 255]));
    assert_eq!(from(Source::Record, "Binary", "AP\n8=\n".into()), bytes(&[0, 255]));
    assert_eq!(from(Source::Json, "Binary", "AP8".into()), no("field.not_base64"));
    assert_eq!(from(Source::Form, "Binary", "00 fF".into()), bytes(&[0, 255]));
    assert_eq!(from(Source::Form, "Binary", "0 0 f".into()), no("field.not_hex"));
}

// rule: objects/conversion
#[test]
fn references_passwords_and_files_are_settled_outside() {
    assert_eq!(lang("Object", "/a"), Ok(Value::Object(Ref::Object(ObjectId(1)))));
    assert_eq!(lang("Object", "/no"), no("field.no_such_object"));
    assert_eq!(lang("Object", ""), Ok(Value::Null));
    assert_eq!(lang("Object", 1), no("field.wrong_kind"));
    assert_eq!(lang("Password", "ab"), Ok(Value::Sealed(b"ba".to_vec())));
    assert_eq!(lang("Password", ""), Ok(Value::from("")));
    assert_eq!(lang("Password", "kfs1$x"), Ok(Value::Sealed(b"x$1sfk".to_vec())));
    assert_eq!(from(Source::Record, "Password", "kfs1$x".into()), no("secret.unknown_key"));
    let plain = Value::Dict(Dict::from_iter([("plain".to_owned(), Value::from("kfs1$x"))]));
    assert_eq!(from(Source::Record, "Password", plain), Ok(Value::Sealed(b"x$1sfk".to_vec())));

    let file = |data: Value| {
        Value::Dict(Dict::from_iter([
            ("name".to_owned(), Value::from("a.bin")),
            ("data".to_owned(), data),
        ]))
    };
    let stored = |data: &[u8]| {
        Ok(Value::File(FileValue {
            name: "a.bin".to_owned(),
            size: data.len() as u64,
            hash: BlobHash::of(data),
        }))
    };
    assert_eq!(lang("File", file("AP8=".into())), stored(b"AP8="));
    assert_eq!(from(Source::Json, "File", file("AP8=".into())), stored(&[0, 255]));
    let only_name = Value::Dict(Dict::from_iter([("name".to_owned(), Value::from("a"))]));
    assert_eq!(lang("File", only_name), no("file.no_data"));
    assert_eq!(lang("File", "x"), no("file.not_a_file"));
    let slash = Value::File(FileValue { name: "a/b".to_owned(), size: 0, hash: BlobHash::of(b"") });
    assert_eq!(lang("File", slash), no("file.bad_name"));
}

// rule: objects/conversion
#[test]
fn null_clears_any_field() {
    for elem in Elem::ALL {
        let one = lang(elem.name(), Value::Null);
        let want = if *elem == Elem::Boolean { Value::Bool(false) } else { Value::Null };
        assert_eq!(one, Ok(want), "{}", elem.name());
        if elem.in_containers() {
            assert_eq!(
                lang(&format!("Array<{}>", elem.name()), Value::Null),
                Ok(Value::Array(vec![]))
            );
            assert_eq!(
                lang(&format!("Dictionary<{}>", elem.name()), Value::Null),
                Ok(Value::Dict(Dict::new()))
            );
        }
    }
}

// rule: objects/conversion
#[test]
fn containers_are_converted_element_by_element_and_tell_all_problems() {
    let list = Value::Array(vec![1.into(), "x".into(), "3".into(), Value::Float(0.5)]);
    assert_eq!(
        lang("Array<Integer>", list),
        Err(vec!["f[1] field.not_an_integer".to_owned(), "f[3] field.not_an_integer".to_owned()])
    );
    let dict = |key: &str, value: Value| Value::Dict(Dict::from_iter([(key.to_owned(), value)]));
    assert_eq!(
        lang("Dictionary<Integer>", dict("k", "x".into())),
        Err(vec!["f[k] field.not_an_integer".to_owned()])
    );
    assert_eq!(
        lang("Dictionary#{\"key_strip\":true}", dict(" k ", 1.into())),
        Ok(dict("k", "1".into()))
    );
    assert_eq!(lang("Array", "x"), no("field.wrong_kind"));
    assert_eq!(lang("Dictionary", Value::Array(vec![])), no("field.wrong_kind"));
}

// rule: objects/qualifiers
#[test]
fn bounds_lengths_and_patterns_hold_at_every_door() {
    let port = r#"Integer#{"min_value":0,"max_value":65535}"#;
    for source in [Source::Language, Source::Json, Source::Record, Source::Form] {
        assert_eq!(from(source, port, 65_535.into()), Ok(Value::Int(65_535)));
        assert_eq!(from(source, port, 65_536.into()), no("field.too_big"));
        assert_eq!(from(source, port, (-1).into()), no("field.too_small"));
    }
    let float = r#"Float#{"min_value":0.5}"#;
    assert_eq!(lang(float, Value::Float(0.5)), Ok(Value::Float(0.5)));
    assert_eq!(lang(float, Value::Float(0.4)), no("field.too_small"));
    let exact = r#"Integer#{"max_value":9007199254740993}"#;
    assert_eq!(
        lang(exact, 9_007_199_254_740_994),
        no("field.too_big"),
        "beyond what a float can tell"
    );
    let text = r#"String#{"min_length":2,"max_length":3,"pattern":"[a-z日]+"}"#;
    assert_eq!(lang(text, "日日日"), Ok(Value::from("日日日")));
    assert_eq!(lang(text, "a"), no("field.too_short"));
    assert_eq!(lang(text, ""), no("field.too_short"));
    assert_eq!(lang(text, "abcd"), no("field.too_long"));
    assert_eq!(lang(text, "A1"), no("field.no_match"));
    assert_eq!(lang(r#"String#{"pattern":"x"}"#, ""), Ok(Value::from("")), "empty passes");
    assert_eq!(
        lang(r#"Array<Integer>#{"max_value":1}"#, Value::Array(vec![1.into(), 2.into()])),
        Err(vec!["f[1] field.too_big".to_owned()])
    );
}

// rule: objects/enum
#[test]
fn only_written_choices_are_enforced() {
    let fixed = r#"Enum#{"enum":["a",["b","Label B"]]}"#;
    assert_eq!(lang(fixed, "b"), Ok(Value::from("b")));
    assert_eq!(lang(fixed, "Label B"), no("field.not_a_choice"));
    assert_eq!(lang(fixed, ""), Ok(Value::from("")));
    assert_eq!(lang(r#"Enum#{"enum":["a"],"no_empty":true}"#, ""), no("field.empty"));
    assert_eq!(lang(r#"Enum#{"enum":"$[n][c]"}"#, "any"), Ok(Value::from("any")));
    assert_eq!(lang("Enum", "any"), Ok(Value::from("any")));
}

// rule: objects/qualifiers
#[test]
fn an_empty_value_may_be_refused() {
    assert_eq!(lang(r#"Object#{"no_empty":true}"#, Value::Null), no("field.empty"));
    assert_eq!(lang(r#"File#{"no_empty":true}"#, Value::Null), no("field.empty"));
    assert_eq!(
        lang(r#"Object#{"no_empty":true}"#, "/a"),
        Ok(Value::Object(Ref::Object(ObjectId(1))))
    );
}

// rule: objects/addresses
#[test]
fn addresses_have_their_syntax() {
    assert_eq!(lang("URL", "HTTPS://Example.org/A"), Ok(Value::from("https://Example.org/A")));
    assert_eq!(lang("URL", "ldap://x"), no("field.bad_scheme"));
    assert_eq!(
        lang(r#"URL#{"schemes":["ldap","ldaps"]}"#, "LDAP://x"),
        Ok(Value::from("ldap://x"))
    );
    for bad in ["x", "http", "http:", "1a://x", "http://a b"] {
        assert!(lang("URL", bad).is_err(), "{bad}");
    }
    assert_eq!(lang("IPAddress", "192.0.2.17"), Ok(Value::from("192.0.2.17")));
    for bad in ["192.0.2", "192.0.2.256", "::1", "192.0.2.017", "a"] {
        assert_eq!(lang("IPAddress", bad), no("field.not_an_address"), "{bad}");
    }
    for good in [
        "a@b",
        "dc@example.net",
        "a.b+c@x-y.example",
        "\"a b\"@x.jp",
        "日本@例え.jp",
        "a@[192.0.2.1]",
    ] {
        assert_eq!(lang("EMail", good), Ok(Value::from(good)));
    }
    for bad in ["a", "@b", "a@", "a..b@c", "a b@c", "a@b@", "a@-b", "a@b..c", "a@b_c"] {
        assert_eq!(lang("EMail", bad), no("field.not_an_email"), "{bad}");
    }
}

// rule: objects/text-size
#[test]
fn a_text_has_a_limit() {
    let text = |n: usize| Value::Str("x".repeat(n));
    assert!(lang("LargeText", text(crate::limits::TEXT_MAX)).is_ok());
    assert_eq!(lang("LargeText", text(crate::limits::TEXT_MAX + 1)), no("field.too_large"));
    let many = |n: usize| Value::Array(vec![Value::Int(1); n]);
    assert!(lang("Array<Integer>", many(crate::limits::ELEMENTS_MAX)).is_ok());
    assert_eq!(
        lang("Array<Integer>", many(crate::limits::ELEMENTS_MAX + 1)),
        no("field.too_many_elements")
    );
}

// rule: objects/text-size
#[test]
fn bytes_attachments_keys_and_problems_have_limits() {
    use crate::limits::{
        ATTACHMENT_MAX, ATTACHMENT_NAME_MAX, BINARY_MAX, KEY_CHARS_MAX, PROBLEMS_MAX,
    };
    assert!(lang("Binary", Value::Bytes(vec![0; BINARY_MAX])).is_ok());
    assert_eq!(lang("Binary", Value::Bytes(vec![0; BINARY_MAX + 1])), no("field.too_large"));
    let file = |name: usize, size| {
        Value::File(FileValue { name: "x".repeat(name), size, hash: BlobHash::of(b"") })
    };
    assert!(lang("File", file(ATTACHMENT_NAME_MAX, ATTACHMENT_MAX)).is_ok());
    assert_eq!(lang("File", file(ATTACHMENT_NAME_MAX + 1, 1)), no("file.name_too_long"));
    assert_eq!(lang("File", file(1, ATTACHMENT_MAX + 1)), no("field.too_large"));
    assert_eq!(lang("File", file(0, 1)), no("file.bad_name"));
    let keyed = |n: usize| Value::Dict(Dict::from_iter([("日".repeat(n), Value::Null)]));
    assert!(lang("Dictionary", keyed(KEY_CHARS_MAX)).is_ok());
    assert_eq!(lang("Dictionary", keyed(KEY_CHARS_MAX + 1)), no("field.key_too_long"));
    let bad =
        |n: usize| lang("Array<Integer>", Value::Array(vec!["x".into(); n])).unwrap_err().len();
    assert_eq!((bad(PROBLEMS_MAX), bad(PROBLEMS_MAX + 1)), (PROBLEMS_MAX, PROBLEMS_MAX));
}

// rule: objects/imports-are-lenient
#[test]
fn an_import_warns_and_keeps_what_it_can() {
    let (now, mut world) = (now(), World);
    let mut ctx = Context { lenient: true, ..Context::new(Source::Record, &now, &mut world) };
    let def = crate::types::builtin("NodeInfo").unwrap();
    let fields = Dict::from_iter([
        ("gone".to_owned(), Value::Int(1)),
        ("port".to_owned(), Value::Int(70_000)),
        ("proxy".to_owned(), Value::from("/no")),
        ("hostname".to_owned(), Value::from("h")),
    ]);
    let stored = convert_fields(def, fields.clone(), &mut ctx).unwrap();
    let want =
        [("hostname", Value::from("h")), ("port", Value::Int(70_000)), ("proxy", Value::Null)];
    assert!(stored.iter().map(|(k, v)| (k.as_str(), v)).eq(want.iter().map(|(k, v)| (*k, v))));
    let at: Vec<_> = ctx.warnings.iter().map(|warning| warning.at.as_str()).collect();
    assert_eq!(at, ["port", "proxy", "gone"]);

    let mut strict = Context::new(Source::Record, &now, &mut world);
    let problems = convert_fields(def, fields, &mut strict).unwrap_err();
    assert_eq!(problems.len(), 3);
}

// rule: objects/forbidden-texts
#[test]
fn a_text_may_not_take_the_suffix_of_an_operation() {
    let (now, mut world) = (now(), World);
    let mut ctx = Context::new(Source::Json, &now, &mut world);
    let ext = crate::types::builtin("Text").unwrap().field("ext").unwrap();
    assert_eq!(
        convert(ext, "delete".into(), &mut ctx).unwrap_err()[0].message.key,
        "field.forbidden"
    );
    assert!(convert(ext, "txt".into(), &mut ctx).is_ok());
}

// rule: objects/defaults
#[test]
fn a_default_that_does_not_fit_is_ignored() {
    let default = |text: &str| default_value(&FieldType::parse(text).unwrap(), &now());
    assert_eq!(default(r#"Integer#{"default":5}"#), Some(Value::Int(5)));
    assert_eq!(default(r#"Integer#{"default":"5"}"#), None);
    assert_eq!(default(r#"Integer#{"default":5.5}"#), None);
    assert_eq!(default(r#"String#{"default":5}"#), None);
    assert_eq!(default(r#"Boolean#{"default":true}"#), Some(Value::Bool(true)));
    assert_eq!(default(r#"File#{"default":"x"}"#), None);
    assert_eq!(
        default(r#"Array#{"default":["a","b"]}"#),
        Some(Value::Array(vec!["a".into(), "b".into()]))
    );
    assert_eq!(default(r#"Array<Integer>#{"default":[1,"b"]}"#), None);
    assert_eq!(
        default(r#"Dictionary#{"default":{"k":"v"}}"#),
        Some(Value::Dict(Dict::from_iter([("k".to_owned(), "v".into())])))
    );
    assert_eq!(default(r#"Object#{"default":"/a"}"#), Some(Value::from("/a")));
    assert_eq!(
        default(r#"Date#{"default":"tomorrow"}"#),
        Some(Value::Date("2031-07-05".parse().unwrap()))
    );
    assert_eq!(default(r#"Date#{"default":"whenever"}"#), None);
    assert_eq!(default(r#"IPAddress#{"default":"999.0.0.1"}"#), None);
    assert_eq!(default("Integer"), None);
}

// rule: objects/empty-values
#[test]
fn an_absent_field_reads_as_default_or_empty() {
    let absent = |text: &str| absent_value(&FieldType::parse(text).unwrap(), &now());
    assert_eq!(absent(r#"Integer#{"default":5}"#), Value::Int(5));
    for (field_type, want) in [
        ("Integer", Value::Null),
        ("Float", Value::Null),
        ("String", "".into()),
        ("Password", "".into()),
        ("Enum", "".into()),
        ("Boolean", false.into()),
        ("Binary", Value::Bytes(vec![])),
        ("File", Value::Null),
        ("Object", Value::Null),
        ("Date", Value::Null),
        ("Array", Value::Array(vec![])),
        ("Dictionary<File>", Value::Dict(Dict::new())),
    ] {
        assert_eq!(absent(field_type), want, "{field_type}");
    }
}

// rule: objects/type-change
#[test]
fn a_changed_type_rereads_what_is_stored() {
    let reread =
        |text: &str, value: &Value| super::reread(&FieldType::parse(text).unwrap(), value, &now());
    assert!(fits(
        &FieldType::parse("Array<Integer>").unwrap(),
        &Value::Array(vec![1.into(), Value::Null])
    ));
    assert!(!fits(&FieldType::parse("Boolean").unwrap(), &Value::Null));
    assert_eq!(reread("Boolean", &Value::Null), Value::Bool(false));
    assert_eq!(reread("Integer", &"12".into()), Value::Int(12));
    assert_eq!(reread("Integer", &"x".into()), Value::Null);
    assert_eq!(reread("String", &12.into()), Value::from("12"));
    assert_eq!(reread("Array<Integer>", &"12".into()), Value::Array(vec![Value::Int(12)]));
    assert_eq!(reread("Integer", &Value::Array(vec!["12".into()])), Value::Int(12));
    assert_eq!(reread("Integer", &Value::Array(vec![])), Value::Null);
    assert_eq!(reread("Dictionary", &"x".into()), Value::Dict(Dict::new()));
    assert_eq!(reread("Password", &Value::Sealed(vec![1])), Value::Sealed(vec![1]));
    assert_eq!(
        reread("String", &Value::Sealed(vec![1])),
        Value::Null,
        "a secret never turns into text"
    );
}

proptest! {
    // rule: objects/conversion
    #[test]
    fn conversion_is_idempotent_and_total(at in 0..Elem::ALL.len(), text in "\\PC{0,12}|[0-9:/. -]{0,20}", n in any::<i64>(), x in any::<f64>()) {
        let field_type = Elem::ALL[at].name();
        for value in [Value::Str(text), Value::Int(n), Value::Float(x), Value::Array(vec![Value::Int(n)])] {
            if let Ok(stored) = lang(field_type, value) {
                prop_assert_eq!(lang(field_type, stored.clone()), Ok(stored.clone()));
                prop_assert_eq!(super::reread(&FieldType::parse(field_type).unwrap(), &stored, &now()), stored);
            }
        }
    }
}
