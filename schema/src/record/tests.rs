use super::*;
use crate::id::ObjectId;

fn dict<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Dict(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

// rule: files/attachments
#[test]
fn an_attachment_has_one_carrier() {
    let hash = BlobHash::of(b"x");
    let file = FileValue { name: "日 本.txt".to_owned(), size: 1, hash };
    let carriers = [
        Carrier::Path(".a.files/f/x".to_owned()),
        Carrier::Data(vec![0, 1]),
        Carrier::Ref(format!("attachments/{hash}")),
        Carrier::Omitted,
        Carrier::Here,
    ];
    for carrier in carriers {
        let attachment = Attachment::of(&file, carrier);
        assert_eq!(Attachment::from_value(&attachment.to_value()), Ok(attachment));
    }
    let wrong = |value: Value| Attachment::from_value(&value).unwrap_err().key;
    assert_eq!(wrong(Value::Int(1)), "file.not_a_file");
    assert_eq!(wrong(dict([("data", "".into())])), "file.no_name");
    let named = |key, value| dict([("name", "a".into()), (key, value)]);
    assert_eq!(wrong(named("data", "?".into())), "field.not_base64");
    assert_eq!(wrong(named("path", 1.into())), "file.bad_carrier");
    assert_eq!(wrong(named("size", (-1).into())), "file.bad_size");
    assert_eq!(wrong(named("blake3", "ab".into())), "file.bad_hash");
    let two = dict([("name", "a".into()), ("path", "p".into()), ("data", "".into())]);
    assert_eq!(wrong(two), "file.two_carriers");
}

struct Paths(Vec<String>);

impl Render for Paths {
    fn reference(&mut self, target: Ref) -> Option<String> {
        (target == Ref::Object(ObjectId(1))).then(|| "/".to_owned())
    }

    fn password(&mut self, sealed: &[u8]) -> Value {
        Value::Str(format!("kfs1${}", sealed.len()))
    }

    fn file(&mut self, (field, element): (&str, Option<Element<'_>>), file: &FileValue) -> Value {
        self.0.push(crate::layout::attach::inside(field, element, &file.name));
        Value::Null
    }
}

// rule: files/records
#[test]
fn a_record_holds_no_identity_of_the_store() {
    let file = Value::File(FileValue { name: "x".to_owned(), size: 0, hash: BlobHash::of(b"") });
    let value = dict([
        ("a", Value::Object(Ref::Object(ObjectId(1)))),
        ("b", Value::Array(vec![Value::Object(Ref::Object(ObjectId(2)))])),
        ("c", Value::Sealed(vec![1, 2])),
        ("d", file.clone()),
    ]);
    let mut with = Paths(Vec::new());
    let want = dict([
        ("a", "/".into()),
        ("b", Value::Array(vec![Value::Null])),
        ("c", "kfs1$2".into()),
        ("d", Value::Null),
    ]);
    assert_eq!(render("f", &value, &mut with), want);
    assert_eq!(
        render("g", &Value::Array(vec![file.clone()]), &mut with),
        Value::Array(vec![Value::Null])
    );
    assert_eq!(render("h", &file, &mut with), Value::Null);
    assert_eq!(with.0, ["f/d/x", "g/0000/x", "h/x"]);
}
