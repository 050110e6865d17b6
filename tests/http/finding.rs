//! Searching as people type, and what fields offer.

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

fn names(client: &Client, path: &str) -> Vec<String> {
    let found = client.get(path).expect(200).json();
    let rows = found["results"].as_array().unwrap();
    let name = |row: &Json| row["abspath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    rows.iter().map(name).collect()
}

// rule: http/search
// rule: tree/search
#[test]
fn a_directory_is_searched_by_words() {
    let server = Server::start();
    let client = server.client();
    client
        .post("/config/user", &json!({"username": "mika", "password": "correct horse 8"}))
        .expect(201);
    client.create("/root", "d", "Directory", json!({}));
    client.create("/root/d", "sub", "Directory", json!({}));
    for (name, kind, shown, owner) in [
        ("a", "Text", "disk full", "root"),
        ("b", "Wiki", "disk full", "mika"),
        ("c", "Text", "disk  full", "root"),
        ("e", "Text", "#disk @x", "root"),
    ] {
        let dir = if name == "c" { "/root/d/sub" } else { "/root/d" };
        let kind = format!("/system/types/{kind}");
        let body =
            json!({"name": name, "type_object": kind, "display_name": shown, "owner": owner});
        client.post(dir, &body).expect(201);
    }
    for (typed, found) in [
        ("disk full", &["a", "b"][..]),
        ("disk  full", &["c"]),
        ("#Text disk", &["a", "e", "c"]),
        ("#Wik", &["b"]),
        ("@mika", &["b"]),
        ("@root #Text full", &["a", "c"]),
        (r"\#disk", &["e"]),
        ("Disk", &[]),
        ("#Nothing", &[]),
        ("@nobody", &[]),
        ("full #Text disk", &["a", "e", "c"]),
    ] {
        let typed: String = typed.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(names(&client, &format!("/root/d.descendant?search={typed}")), found, "{typed}");
    }
    assert_eq!(
        names(&client, "/root/d.children?search=%23Text&display_name__contains=full"),
        ["a"]
    );
    let refused = client.get("/process?search=x").expect(400).json();
    assert!(refused["search"].is_array(), "{refused}");
}

// rule: tree/search
#[test]
fn a_table_is_searched_by_what_is_typed_for_a_field() {
    let server = Server::start();
    let client = server.client();
    let fields = [
        ("text", "String"),
        ("number", "Integer"),
        ("truth", "Boolean"),
        ("bytes", "Binary"),
        ("target", "Object"),
        ("file", "File"),
        ("day", "Date"),
        ("at", "Datetime"),
        ("clock", "Time"),
        ("list", "Array<Integer>"),
        ("times", "Array<Datetime>"),
        ("secret", "Password"),
        ("hidden", "String#{\"invisible\":true}"),
    ];
    let (names_of, kinds): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    client.create("/root", "T", "TypeObject", json!({"fieldNames": names_of, "fieldTypes": kinds}));
    client.create("/root", "rows", "Table", json!({"typeObject": "/root/T"}));
    let full = json!({"name": "full", "fields": {
        "text": "disk full", "number": 42, "truth": true, "bytes": "AP8Q", "target": "/root/T",
        "file": {"name": "a.txt", "data": ""}, "day": "2031-07-04", "at": "2031-07-04T09:05:06.250000Z",
        "clock": "09:05:06.25", "list": [7, 8], "times": ["2031-07-04T09:05:06Z"], "secret": "s", "hidden": "h"}});
    client.post("/root/rows", &full).expect(201);
    client.post("/root/rows", &json!({"name": "empty"})).expect(201);
    for (typed, fits) in [
        ("text__search=k f", true),
        ("text__search=K f", false),
        ("number__search=42", true),
        ("number__search=4", false),
        ("truth__search=True", true),
        ("truth__search=0", false),
        ("bytes__search=ff 1", true),
        ("bytes__search=FE", false),
        ("target__search=/root/T", true),
        ("target__search=/root", false),
        ("file__search=a.txt", true),
        ("file__search=a", false),
        ("day__search=2031-07-04", true),
        ("day__search=2031-07-05", false),
        ("at__search=2031-07-04T09:05:06Z", true),
        ("at__search=2031-07-04T09:05:07Z", false),
        ("at__search=2031-07-04T09:05:06.25Z", true),
        ("at__search=2031-07-04T09:05:06.3Z", false),
        ("at__search=2031-07-04", true),
        ("at__search=2031-07-03", false),
        ("at__search=09:05:06", true),
        ("at__search=09:05:06.25", true),
        ("at__search=09:05:05", false),
        ("clock__search=09:05:06", true),
        ("clock__search=09:05:06.3", false),
        ("list__search=8", true),
        ("list__search=9", false),
        ("times__search=2031-07-04", true),
        ("times__search=09:05:07", false),
    ] {
        let path = format!("/root/rows.children?field:{}", typed.replace(' ', "%20"));
        let wanted: &[&str] = if fits { &["full"] } else { &[] };
        assert_eq!(names(&client, &path), wanted, "{typed}");
    }
    for bad in [
        "secret__search=s",
        "hidden__search=h",
        "number__search=x",
        "bytes__search=xy",
        "at__search=soon",
    ] {
        let key = format!("field:{}", bad.split('=').next().unwrap());
        let refused = client.get(&format!("/root/rows.children?field:{bad}")).expect(400).json();
        assert!(refused[&key].is_array(), "{bad}: {refused}");
    }
}

// rule: http/candidates
#[test]
fn a_field_tells_what_may_be_chosen() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "nodes", "Directory", json!({}));
    for name in ["n1", "n2", "n3"] {
        client.create(
            "/root/nodes",
            name,
            "NodeInfo",
            json!({"nodetype": "/system/nodetypes/ssh"}),
        );
    }
    // References: of an object, of a new one, and narrower.
    let found =
        client.get("/-/candidates?path=/root/nodes/n1&field=proxy&page_size=2").expect(200).json();
    assert_eq!(
        (&found["count"], &found["results"][0]["abspath"]),
        (&json!(3), &json!("/root/nodes/n1"))
    );
    assert!(found["next"].as_str().unwrap().contains("page=2"), "{found}");
    let listed = "/-/candidates?type=/system/types/NodeInfo&field=proxy";
    assert_eq!(names(&client, listed), ["n1", "n2", "n3"]);
    assert_eq!(names(&client, &format!("{listed}&order_by=-abspath")), ["n3", "n2", "n1"]);
    assert_eq!(names(&client, &format!("{listed}&abspath__endswith=3")), ["n3"]);
    assert_eq!(names(&client, &format!("{listed}&search=n2")), ["n2"]);
    assert_eq!(
        client.get(&format!("{listed}&attrs=abspath&page=3&page_size=1")).expect(200).json()["results"],
        json!([{"abspath": "/root/nodes/n3"}])
    );
    // Choices, by the present values and by others.
    let ssh = client.get("/-/candidates?path=/root/nodes/n1&field=conntype").expect(200).json();
    assert_eq!(ssh["results"][0]["data"], "ssh");
    let local =
        "/-/candidates?path=/root/nodes/n1&field=conntype&value:nodetype=/system/nodetypes/local";
    assert_eq!(client.get(local).expect(200).json()["results"][0]["data"], "local");
    // What a form declares.
    let fields = json!({"submitObject": "/system/channels/Alert", "fieldNames": ["kind", "node"], "fieldTypes": [
        "Enum#{\"enum\":[[\"sv\",\"Server\"],\"rt\"]}",
        "Object#{\"object\":{\"switch\":\"$[kind]\",\"case\":{\"s*\":\"/system/types/NodeInfo\"}}}"]});
    client.create("/root", "form", "Form", fields);
    let kinds = client.get("/-/candidates?path=/root/form&setting=kind").expect(200).json();
    assert_eq!(
        kinds["results"],
        json!([{"data": "sv", "label": "Server"}, {"data": "rt", "label": "rt"}])
    );
    assert_eq!(
        names(&client, "/-/candidates?path=/root/form&setting=node&value:kind=sv"),
        ["n1", "n2", "n3"]
    );
    assert_eq!(names(&client, "/-/candidates?path=/root/form&setting=node&value:kind=rt"), [""; 0]);
    for (query, key) in [
        ("field=proxy", "path"),
        ("path=/root/nodes/n1&field=none", "field"),
        ("path=/root/nodes/n1&field=hostname", "field"),
        ("path=/root/form&setting=none", "setting"),
        ("path=/root/form&setting=node&value:none=1", "value:none"),
        ("path=/root/nodes/n1&field=proxy&colour=1", "colour"),
        ("path=/root/nodes/n1&field=conntype&colour=1", "colour"),
    ] {
        let refused = client.get(&format!("/-/candidates?{query}")).expect(400).json();
        assert!(refused[key].is_array(), "{query}: {refused}");
    }
    client.get("/-/candidates?path=/root/gone&field=proxy").expect(404);
    client
        .post("/config/user", &json!({"username": "mika", "password": "correct horse 8"}))
        .expect(201);
    let mika = client.with_token(server.stdout(&["token", "create", "mika"]).trim());
    mika.get("/-/candidates?path=/root/nodes/n1&field=proxy").expect(403);
    assert_eq!(names(&mika, listed), [""; 0]);
}
