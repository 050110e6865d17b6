//! Every lookup for every kind of value, and what is told of a condition that cannot be.

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

fn names(client: &Client, path: &str) -> Vec<String> {
    let found = client.get(path).expect(200).json();
    let rows = found["results"].as_array().unwrap();
    let name = |row: &Json| row["abspath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    rows.iter().map(name).collect()
}

fn sorted(client: &Client, path: &str) -> Vec<String> {
    let mut found = names(client, path);
    found.sort();
    found
}

/// A table with a row that has values, one that has others, one without any and one of nulls.
fn table(client: &Client) {
    let fields = [
        ("string", "String", json!("abc"), json!("zzz")),
        ("text", "Text", json!("abc"), json!("zzz")),
        ("large", "LargeText", json!("abc"), json!("zzz")),
        ("choice", r#"Enum#{"enum":["abc","zzz"]}"#, json!("abc"), json!("zzz")),
        ("address", "IPAddress", json!("192.0.2.1"), json!("10.0.0.9")),
        ("mail", "EMail", json!("abc@d.ee"), json!("z@z.zz")),
        ("link", "URL", json!("http://abc/"), json!("ftp://z/x")),
        ("file", "File", json!({"name": "abc", "data": ""}), json!({"name": "zzz", "data": ""})),
        ("bytes", "Binary", json!("q80="), json!("AAA=")),
        ("number", "Integer", json!(5), json!(9)),
        ("ratio", "Float", json!(1.5), json!(9.5)),
        ("truth", "Boolean", json!(true), json!(false)),
        ("target", "Object", json!("/root"), json!("/user")),
        ("at", "Datetime", json!("2031-01-02T03:04:05.5Z"), json!("2032-01-01T00:00:00Z")),
        ("day", "Date", json!("2031-01-02"), json!("2032-01-01")),
        ("clock", "Time", json!("03:04:05.5"), json!("23:00:00")),
        ("secret", "Password", json!("abc"), json!("zzz")),
        ("texts", "Array", json!(["q", "abc"]), json!(["z"])),
        ("numbers", "Array<Integer>", json!([57, 8]), json!([9])),
        ("targets", "Array<Object>", json!(["/root"]), json!(["/user"])),
        ("files", "Array<File>", json!([{"name": "abc", "data": ""}]), json!([])),
        ("words", "Dictionary", json!({"k": "abc"}), json!({"abc": "z"})),
        ("secrets", "Array<Password>", json!(["abc"]), json!([])),
    ];
    let all = |pick: fn(&(&str, &str, Json, Json)) -> Json| -> Json {
        fields.iter().map(|field| (field.0.to_owned(), pick(field))).collect()
    };
    let def = json!({
        "fieldNames": fields.iter().map(|field| field.0).collect::<Vec<_>>(),
        "fieldTypes": fields.iter().map(|field| field.1).collect::<Vec<_>>(),
    });
    client.create("/root", "Kind", "TypeObject", def);
    client.create("/root", "t", "Table", json!({"typeObject": "/root/Kind"}));
    for (name, fields) in [
        ("one", all(|field| field.2.clone())),
        ("two", all(|field| field.3.clone())),
        ("none", json!({})),
        ("nul", all(|_| Json::Null)),
    ] {
        client.post("/root/t", &json!({"name": name, "fields": fields})).expect(201);
    }
}

const TEXTS: [&str; 10] = [
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
    "regex",
    "iregex",
];

/// What each lookup of texts is given to find a text; those that ignore case get capitals.
fn given(text: &str, lookup: &str) -> String {
    let (first, last) = (&text[..text.len() - 1], &text[1..]);
    let part = match lookup.trim_start_matches('i') {
        "startswith" => first.to_owned(),
        "endswith" => last.to_owned(),
        "contains" => text[1..text.len() - 1].to_owned(),
        "regex" => format!("^{}[{}]$", first.replace('.', "[.]"), &text[text.len() - 1..]),
        _ => text.to_owned(),
    };
    if lookup.starts_with('i') { part.to_uppercase() } else { part }
}

fn escaped(text: &str) -> String {
    text.replace('^', "%5E").replace('[', "%5B").replace(']', "%5D")
}

// rule: tree/lookups
// rule: http/filters
#[test]
fn every_kind_of_field_takes_its_lookups_and_no_others() {
    let server = Server::start();
    let client = server.client();
    table(&client);
    let find = |condition: &str| sorted(&client, &format!("/root/t.children?field:{condition}"));
    let refused = |condition: &str| {
        let key = format!("field:{}", condition.split('=').next().unwrap());
        let told = client.get(&format!("/root/t.children?field:{condition}")).expect(400).json();
        assert!(told[&key][0].is_string(), "{condition}: {told}");
    };
    for (field, text) in [
        ("string", "abc"),
        ("text", "abc"),
        ("large", "abc"),
        ("choice", "abc"),
        ("address", "192.0.2.1"),
        ("mail", "abc@d.ee"),
        ("link", "http://abc/"),
        ("file", "abc"),
        ("bytes", "abcd"),
        ("texts", "abc"),
        ("numbers", "57"),
        ("targets", "/root"),
        ("files", "abc"),
        ("words", "abc"),
    ] {
        for lookup in TEXTS {
            let wanted = given(text, lookup);
            let found = find(&format!("{field}__{lookup}={}", escaped(&wanted)));
            assert!(found.contains(&"one".to_owned()), "{field} {lookup}: {found:?}");
            // The values of numbers are compared, and a word is none.
            if (field, lookup) != ("numbers", "exact") {
                let none = find(&format!("{field}__{lookup}=nowhere"));
                assert_eq!(none, [""; 0], "{field} {lookup}");
            }
        }
        assert_eq!(find(&format!("{field}={text}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__in={text}")), ["one"], "{field}");
        for lookup in ["gt", "gte", "lt", "lte", "isnull", "bogus"] {
            refused(&format!("{field}__{lookup}={text}"));
        }
    }
    assert_eq!(find("string__range=abb,abd"), ["one"]);
    assert_eq!(find("string__contains=B"), [""; 0], "letter case counts");
    assert_eq!(find("words=z"), ["two"], "values, not keys");
    for (field, equal, low, high) in [
        ("number", "5", "4", "6"),
        ("ratio", "1.5", "1", "2"),
        ("at", "2031-01-02T03:04:05.500000Z", "2031-01-01", "2031-02-01"),
        ("day", "2031-01-02", "2031-01-01", "2031-02-01"),
        ("clock", "03:04:05.5", "03:00", "04:00"),
    ] {
        assert_eq!(find(&format!("{field}={equal}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__exact={equal}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__gt={equal}")), ["two"], "{field}");
        assert_eq!(find(&format!("{field}__gte={equal}")), ["one", "two"], "{field}");
        assert_eq!(find(&format!("{field}__lt={high}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__lte={equal}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__range={low},{high}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__range={equal},{equal}")), ["one"], "{field}");
        assert_eq!(find(&format!("{field}__isnull=true")), ["nul"], "absent is not null: {field}");
        assert_eq!(find(&format!("{field}__isnull=false")), ["one", "two"], "{field}");
        for wrong in ["=x", "__contains=5", "__range=1", "__isnull=x"] {
            refused(&format!("{field}{wrong}"));
        }
        if matches!(field, "number" | "ratio") {
            assert_eq!(find(&format!("{field}__in={equal},77")), ["one"], "{field}");
        } else {
            refused(&format!("{field}__in={equal}"));
        }
    }
    for truth in ["true", "True", "1"] {
        assert_eq!(find(&format!("truth={truth}")), ["one"]);
    }
    for truth in ["false", "False", "0"] {
        assert_eq!(find(&format!("truth={truth}")), ["nul", "two"], "null is stored as false");
    }
    assert_eq!(find("target=/root"), ["one"]);
    assert_eq!(find("target=/no/such"), [""; 0]);
    assert_eq!(find("target__isnull=true"), ["nul"]);
    for wrong in [
        "truth=x",
        "truth__in=true",
        "truth__isnull=true",
        "target__in=/root",
        "target__contains=r",
        "secret=abc",
        "secret__contains=a",
        "secrets=abc",
        "nothing=x",
    ] {
        refused(wrong);
    }
    // Where the type is not known, fields cannot be asked for.
    client.get("/root.children?field:string=abc").expect(400);
    let two = "type_object__in=/root/Kind,/system/types/Text";
    client.get(&format!("/root.descendant?{two}&field:string=abc")).expect(400);
    for known in ["type_object=/root/Kind", "type_object__in=/root/Kind"] {
        assert_eq!(names(&client, &format!("/root.descendant?{known}&field:string=abc")), ["one"]);
    }
}

// rule: tree/lookups
#[test]
fn every_attribute_takes_its_lookups_and_no_others() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "d", "Directory", json!({}));
    for name in ["n1", "n2"] {
        client.create("/root/d", name, "Text", json!({}));
    }
    client
        .patch("/root/d/n1", &json!({"description": "Hello", "display_name": "Hello"}))
        .expect(200);
    let find = |condition: &str| names(&client, &format!("/root/d.children?{condition}"));
    for lookup in TEXTS {
        for attribute in ["description", "display_name"] {
            let condition = format!("{attribute}__{lookup}={}", escaped(&given("Hello", lookup)));
            assert_eq!(find(&condition), ["n1"], "{condition}");
        }
        client.get(&format!("/root/d.children?abspath__{lookup}=x")).expect(200);
    }
    for attribute in ["created", "updated"] {
        for (lookup, count) in [("exact", 0), ("gt", 2), ("gte", 2), ("lt", 0), ("lte", 0)] {
            let found = find(&format!("{attribute}__{lookup}=2020-01-01T00:00:00Z"));
            assert_eq!(found.len(), count, "{attribute} {lookup}");
        }
    }
    for (condition, count) in [
        ("owner=root", 2),
        ("owner=nobody", 0),
        ("owner__in=root,guest", 2),
        ("owner__in=guest&owner__in=root", 2),
        ("type_object=/system/types/Text", 2),
        ("type_object=/no/such", 0),
        ("type_object__in=/system/types/Text,/system/types/Wiki", 2),
        ("parent_object=/root/d", 2),
        ("parent_object__in=/root,/root/d", 2),
        ("parent_object=/root", 0),
        ("owner=guest&owner=root", 2),
        ("owner=root&description=Hello", 1),
    ] {
        assert_eq!(find(condition).len(), count, "{condition}");
    }
    for (key, value) in [
        ("description__gt", "x"),
        ("abspath__in", "x"),
        ("display_name__isnull", "true"),
        ("created__contains", "2"),
        ("updated__range", "2020-01-01,2030-01-01"),
        ("owner__contains", "r"),
        ("type_object__startswith", "/"),
        ("parent_object__isnull", "true"),
        ("id", "5"),
        ("name", "n1"),
        ("nothing", "x"),
    ] {
        let told = client.get(&format!("/root/d.children?{key}={value}")).expect(400).json();
        assert!(told[key][0].is_string(), "{key}: {told}");
    }
}

// rule: http/filters
// rule: tree/validation
#[test]
fn a_condition_that_cannot_be_is_told_with_its_value_and_what_can() {
    let server = Server::start();
    let client = server.client();
    table(&client);
    for (path, key, parts) in [
        ("/root/t.children?field:number=x7", "field:number", &["'x7'", "Integer"][..]),
        (
            "/root/t.children?field:number__range=4",
            "field:number__range",
            &["'4'", "Integer, Integer"],
        ),
        (
            "/root/t.children?field:number__contains=4",
            "field:number__contains",
            &["'contains'", "exact, isnull, gt"],
        ),
        ("/root/t.children?field:at=someday", "field:at", &["'someday'", "Datetime"]),
        (
            "/root/t.children?field:target__isnull=x",
            "field:target__isnull",
            &["'x'", "true, false"],
        ),
        ("/root/t.children?field:secret=x", "field:secret", &["another field"]),
        ("/root/t.children?field:nothing=x", "field:nothing", &["field:nothing", "string, text"]),
        ("/root.children?updated=x7", "updated", &["'x7'", "Datetime"]),
        ("/root.children?owner__gt=x", "owner__gt", &["'gt'", "exact, in"]),
        ("/root.children?nothing=x", "nothing", &["owner, abspath", "field:NAME"]),
        ("/root.children?description__regex=(", "description__regex", &["expression"]),
        ("/root.children?field:text=x", "field:text", &["known type", "type_object"]),
        ("/root/t.children?order_by=field:texts", "order_by", &["field:texts", "array", "another"]),
        ("/root.children?order_by=nothing", "order_by", &["nothing", "abspath"]),
        ("/process?nothing=1", "nothing", &["'nothing'", "job, "]),
        ("/process?lineno=x7", "lineno", &["'x7'", "number"]),
        ("/process?status=GONE", "status", &["'GONE'", "NEW, READY"]),
        ("/process?console__gt=x", "console__gt", &["'gt'", "exact, contains"]),
        ("/process?suspended=maybe", "suspended", &["'maybe'", "true or false"]),
        ("/process?started_time=x7", "started_time", &["'x7'", "YYYY-MM-DD"]),
        ("/scheduler?hour__startswith=1", "hour__startswith", &["'startswith'", "exact, contains"]),
    ] {
        let told = client.get(path).expect(400).json();
        let text = told[key][0].as_str().unwrap_or_else(|| panic!("{path}: {told}"));
        for part in parts {
            assert!(text.contains(part), "{path}: {text:?} has no {part:?}");
        }
    }
}

// rule: tree/order
#[test]
fn the_order_of_a_container_passes_over_keys_that_cannot_be() {
    let server = Server::start();
    let client = server.client();
    table(&client);
    for (order, found) in [
        ("", ["none", "nul", "one", "two"]),
        ("-abspath", ["two", "one", "nul", "none"]),
        ("nothing,-abspath", ["two", "one", "nul", "none"]),
        ("-field:number,nothing", ["none", "nul", "two", "one"]),
        ("field:nothing,field:texts,-id", ["nul", "none", "two", "one"]),
        ("nothing", ["none", "nul", "one", "two"]),
    ] {
        client.patch("/root/t", &json!({"fields": {"orderBy": order}})).expect(200);
        assert_eq!(names(&client, "/root/t.children"), found, "{order}");
    }
    // The same keys in a request are a failure.
    client.get("/root/t.children?order_by=nothing,-abspath").expect(400);
}
