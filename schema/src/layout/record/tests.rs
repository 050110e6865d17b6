use super::*;
use crate::id::BlobHash;
use crate::record::{Attachment, Carrier};
use crate::value::FileValue;

fn dict<const N: usize>(pairs: [(&str, Value); N]) -> Dict {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn wiki() -> Record {
    Record {
        type_object: "/system/types/Wiki".to_owned(),
        display_name: Some("Disk runbook (日本語も可)".to_owned()),
        description: Some("First steps when /var fills up".to_owned()),
        owner: Some("sato".to_owned()),
        user_permissions: Some(IndexMap::from([(
            "sato".to_owned(),
            UserPermission { readable: true, writable: true, executable: true },
        )])),
        group_permissions: Some(IndexMap::from([
            ("other".to_owned(), GroupPermission { readable: true, ..Default::default() }),
            (
                "ops".to_owned(),
                GroupPermission { readable: true, priority: 5, ..Default::default() },
            ),
            ("net".to_owned(), GroupPermission { priority: 5, ..Default::default() }),
        ])),
        created: Some("2024-12-01T00:15:30Z".parse().unwrap()),
        updated: Some("2025-01-20T08:00:00.125Z".parse().unwrap()),
        fields: dict([("wikitext", Value::from("# x\n")), ("style", Value::from("Markdown"))]),
        ..Record::default()
    }
}

// rule: files/records
#[test]
fn a_record_file_has_the_documented_order() {
    let options = Options { times: true, ..Options::mount("runbook", Some("wikitext")) };
    let want = "\
type_object: /system/types/Wiki
display_name: Disk runbook (日本語も可)
description: First steps when /var fills up
owner: sato
user_permissions:
  sato:
    readable: true
    writable: true
    executable: true
group_permissions:
  net:
    readable: false
    writable: false
    executable: false
    priority: 5
  ops:
    readable: true
    writable: false
    executable: false
    priority: 5
  other:
    readable: true
    writable: false
    executable: false
    priority: 0
created: '2024-12-01T00:15:30Z'
updated: '2025-01-20T08:00:00.125000Z'
fields:
  style: Markdown
";
    assert_eq!(to_yaml(&wiki(), &options), want);
    let plain = Options { properties: false, ..Options::mount("runbook", Some("wikitext")) };
    assert_eq!(
        to_yaml(&wiki(), &plain),
        "type_object: /system/types/Wiki\nfields:\n  style: Markdown\n"
    );
}

// rule: files/records
#[test]
fn what_says_nothing_is_left_out() {
    let record = Record {
        type_object: "/system/types/Template".to_owned(),
        name: Some("gitignore".to_owned()),
        display_name: Some("gitignore".to_owned()),
        description: Some(String::new()),
        user_permissions: Some(IndexMap::new()),
        ..Record::default()
    };
    assert_eq!(
        to_yaml(&record, &Options::mount("gitignore", Some("template"))),
        "name: gitignore\ntype_object: /system/types/Template\nuser_permissions: {}\nfields: {}\n"
    );
}

// rule: files/records
#[test]
fn values_are_written_by_their_type() {
    let hash = BlobHash::of(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    let file = FileValue { name: "badge.svg".to_owned(), size: 41, hash };
    let badge = Attachment::of(&file, Carrier::Path(".badge.files/attached1/badge.svg".to_owned()));
    let record = Record {
        type_object: "X".to_owned(),
        fields: dict([
            ("ext", Value::from("")),
            ("port", Value::Int(22)),
            ("max", Value::from("24")),
            ("shell", Value::Null),
            ("day", Value::Date("2024-02-29".parse().unwrap())),
            ("at", Value::Time("07:05:00.5".parse().unwrap())),
            ("bin", Value::Bytes(vec![0, 255])),
            ("banner", Value::from("first line\r\nsecond line")),
            (
                "types",
                Value::Array(vec![Value::from("String"), Value::from("Integer#{\"min_value\":1}")]),
            ),
            ("attached1", badge.to_value()),
        ]),
        ..Record::default()
    };
    let want = "\
type_object: X
fields:
  ext: ''
  port: 22
  max: '24'
  shell: null
  day: '2024-02-29'
  at: '07:05:00.500000'
  bin: AP8=
  banner: \"first line\\r\\nsecond line\"
  types:
    - String
    - 'Integer#{\"min_value\":1}'
  attached1:
    name: badge.svg
    size: 41
    blake3: fe99205d29d553d6ccf70255d9e9045a4294a6c044eab06de82928686140486d
    path: .badge.files/attached1/badge.svg
";
    let written = to_yaml(&record, &Options::mount("x", None));
    assert_eq!(written, want);
    let (read, warnings) = from_yaml(&written).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(Attachment::from_value(&read.fields["attached1"]), Ok(badge));
}

// rule: files/attachments
#[test]
fn an_empty_attachment_has_the_hash_of_nothing() {
    assert_eq!(
        BlobHash::of(b"").to_string(),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
}

// rule: files/records
#[test]
fn a_record_reads_back() {
    let mut record = wiki();
    record.extensions.insert("x_note".to_owned(), Value::Array(vec![Value::Int(1)]));
    record.data = Some(dict([("retries", Value::Int(5))]));
    record.sort_permissions();
    let options = Options { times: true, ..Options::mount("", None) };
    let (read, warnings) = from_yaml(&to_yaml(&record, &options)).unwrap();
    assert_eq!(read, record);
    assert!(warnings.is_empty());
}

// rule: files/records
#[test]
fn a_hand_written_record_may_say_little_or_too_much() {
    let text = "type_object: /t\nfields:\nwhat: 1\nuser_permissions: {sato: {readable: true, more: 1}, gone: }\n";
    let (record, warnings) = from_yaml(text).unwrap();
    assert!(record.fields.is_empty());
    let entries = record.user_permissions.unwrap();
    assert!(entries["sato"].readable && !entries["sato"].writable);
    assert_eq!(entries["gone"], UserPermission::default());
    let at: Vec<_> = warnings.iter().map(|warning| warning.at.as_str()).collect();
    assert_eq!(at, ["what", "user_permissions[sato].more"]);
}

// rule: files/records
#[test]
fn all_problems_of_a_record_are_told() {
    let text = "fields: [1]\nowner: {}\ncreated: soon\ngroup_permissions: {ops: {readable: 1, priority: x}}\n";
    let fault = from_yaml(text).unwrap_err();
    let at: Vec<_> = fault.problems().iter().map(|problem| problem.at.as_str()).collect();
    let want = [
        "fields",
        "owner",
        "created",
        "group_permissions[ops].readable",
        "group_permissions[ops].priority",
        "type_object",
    ];
    assert_eq!(at, want);
    assert_eq!(from_yaml("- 1").unwrap_err().kind(), Kind::Invalid);
}

// rule: files/records
#[test]
fn permission_entries_have_a_limit() {
    let many = |n: usize| {
        let entries: String = (0..n).map(|n| format!("  u{n}: {{readable: true}}\n")).collect();
        from_yaml(&format!("type_object: /t\nuser_permissions:\n{entries}"))
    };
    assert_eq!(many(PERMISSIONS_MAX).unwrap().0.user_permissions.unwrap().len(), PERMISSIONS_MAX);
    assert_eq!(many(PERMISSIONS_MAX + 1).unwrap_err().problems()[0].at, "user_permissions");
}

// rule: files/creation
#[test]
fn a_map_with_a_type_is_a_record() {
    assert!(is_record(b"type_object: /system/types/Text\n"));
    for other in
        ["type_object", "a: 1\n", "- type_object: x\n", "type_object: [", "type_object: 1\n"]
    {
        assert!(!is_record(other.as_bytes()), "{other}");
    }
}
