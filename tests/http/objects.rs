//! Objects over HTTP.

use serde_json::{Value as Json, json};

use crate::support::Server;

// rule: http/objects
#[test]
fn an_object_has_the_documented_form() {
    let server = Server::start();
    let client = server.client();
    let made =
        client.create("/root", "motd", "Text", json!({"text": "maintenance\n", "ext": "txt"}));
    let keys: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "abspath",
            "owner",
            "fields",
            "extra_properties",
            "user_permissions",
            "group_permissions",
            "display_name",
            "description",
            "created",
            "updated",
            "type_object",
            "parent_object"
        ]
    );
    assert_eq!(made["abspath"], "/root/motd");
    assert_eq!(made["owner"], "root");
    assert_eq!(made["type_object"], "/system/types/Text");
    assert_eq!(made["parent_object"], "/root");
    assert_eq!(made["display_name"], "motd");
    assert_eq!(made["description"], "");
    assert_eq!(made["fields"]["text"], "maintenance\n");
    assert_eq!(made["fields"]["ext"], "txt");
    let created = made["created"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() <= "2025-03-02T01:15:02.300000Z".len());
    let read = client.get("/root/motd").expect(200);
    assert_eq!(read.json(), made);
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert_eq!(read.header("vary"), Some("Accept, Cookie"));
    assert!(read.header("server").is_none_or(|server| !server.contains(char::is_numeric)));
    assert!(read.header("x-request-id").is_some());
}

// rule: http/objects
#[test]
fn the_root_is_a_directory_without_a_parent() {
    let server = Server::start();
    let root = server.client().get("/").expect(200).json();
    assert_eq!(root["abspath"], "/");
    assert_eq!(root["type_object"], "/system/types/Directory");
    assert_eq!(root["parent_object"], json!(null));
}

// rule: http/create
#[test]
fn creating_answers_201_and_where_it_is() {
    let server = Server::start();
    let client = server.client();
    let body = json!({"name": "site", "type_object": "/system/types/Directory"});
    let made = client.post("/root", &body).expect(201);
    assert_eq!(made.header("location"), Some("/root/site"));
    assert!(made.header("etag").is_some());
    let world = json!({"name": "世界", "type_object": "/system/types/Text", "fields": {"contentType": false}});
    let made = client.post("/root/site", &world).expect(201);
    assert_eq!(made.header("location"), Some("/root/site/%E4%B8%96%E7%95%8C"));
    assert_eq!(
        client.get("/root/site/%E4%B8%96%E7%95%8C").expect(200).json()["abspath"],
        "/root/site/世界"
    );
}

// rule: http/create
#[test]
fn a_bad_new_object_is_refused_by_field() {
    let server = Server::start();
    let client = server.client();
    let text = "/system/types/Text";
    client.post("/root", &json!({"name": "taken", "type_object": text})).expect(201);
    for (body, field) in [
        (json!({"type_object": text}), "name"),
        (json!({"name": "taken", "type_object": text}), "name"),
        (json!({"name": "1a", "type_object": text}), "name"),
        (json!({"name": "a".repeat(129), "type_object": text}), "name"),
        (json!({"name": 7, "type_object": text}), "name"),
        (json!({"name": "a"}), "type_object"),
        (json!({"name": "a", "type_object": "/root"}), "type_object"),
        (json!({"name": "a", "type_object": "/nowhere"}), "type_object"),
        (json!({"name": "a", "type_object": text, "owner": "nobody"}), "owner"),
        (json!({"name": "a", "type_object": text, "fields": {"nosuch": 1}}), "nosuch"),
        (json!({"name": "a", "type_object": text, "fields": []}), "fields"),
        (
            json!({"name": "a", "type_object": text, "group_permissions": {"x": {}}}),
            "group_permissions",
        ),
        (json!([]), "non_field_errors"),
    ] {
        let reply = client.post("/root", &body).expect(400);
        assert!(reply.json()[field][0].is_string(), "{body}: {}", reply.text());
        assert_eq!(reply.header("x-kompira-code"), Some("KF1009"));
    }
    assert_eq!(client.get("/root.children").json()["count"], 1);
}

// rule: http/update
#[test]
fn patch_merges_and_put_replaces() {
    let server = Server::start();
    let client = server.client();
    let made = client.create("/root", "note", "Text", json!({"text": "one", "ext": "txt"}));
    let patched =
        client.patch("/root/note", &json!({"fields": {"text": "two"}})).expect(200).json();
    assert_eq!(patched["fields"]["text"], "two");
    assert_eq!(patched["fields"]["ext"], "txt");
    assert_eq!(patched["id"], made["id"]);
    let missing = client.put("/root/note", &json!({"fields": {}})).expect(400).json();
    for key in ["owner", "user_permissions", "group_permissions", "display_name"] {
        assert_eq!(missing[key], json!(["This field is required."]), "{key}");
    }
    let mut whole = patched;
    whole["fields"] = json!({"text": "three"});
    whole["display_name"] = json!("Note");
    let put = client.put("/root/note", &whole).expect(200).json();
    assert_eq!(put["fields"]["text"], "three");
    assert_eq!(put["fields"]["ext"], "");
    assert_eq!(put["display_name"], "Note");
    // What one got can be sent back as it is.
    assert_eq!(client.put("/root/note", &put).expect(200).json()["fields"], put["fields"]);
}

// rule: http/etag
#[test]
fn an_old_revision_is_told_and_changes_nothing() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "note", "Text", json!({"text": "one"}));
    let etag = client.get("/root/note").header("etag").unwrap().to_owned();
    let patch = |etag: &str, text: &str| {
        let body = json!({"fields": {"text": text}}).to_string();
        let headers = [("If-Match", etag), ("Content-Type", "application/json")];
        client.send("PATCH", "/root/note", &headers, body.as_bytes())
    };
    let second = patch(&etag, "two").expect(200);
    assert_ne!(second.header("etag"), Some(etag.as_str()));
    let stale = patch(&etag, "lost").expect(412);
    assert_eq!(stale.header("x-kompira-code"), Some("KF1004"));
    client.send("DELETE", "/root/note", &[("If-Match", &etag)], b"").expect(412);
    patch("*", "three").expect(200);
    patch("nonsense", "x").expect(400);
    assert_eq!(client.get("/root/note").json()["fields"]["text"], "three");
}

// rule: http/delete
#[test]
fn deleting_takes_what_is_below_and_a_second_time_there_is_nothing() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "d", "Directory", json!({}));
    client.create("/root/d", "t", "Text", json!({"text": "x"}));
    let deleted = client.delete("/root/d").expect(204);
    assert!(deleted.body.is_empty());
    client.delete("/root/d").expect(404);
    client.get("/root/d/t").expect(404);
    for protected in ["/", "/system", "/system/types/Text", "/system/config"] {
        client.delete(protected).expect(403);
    }
}

// rule: http/lists
#[test]
fn lists_are_paged_with_links_and_selected_attributes() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "d", "Directory", json!({}));
    for number in 0..61 {
        client.create("/root/d", &format!("t{number:02}"), "Text", json!({}));
    }
    let page = client.get("/root/d.children").expect(200).json();
    let keys: Vec<_> = page.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["count", "next", "previous", "results"]);
    assert_eq!(page["count"], 61);
    assert_eq!(page["results"].as_array().unwrap().len(), 25);
    assert_eq!(page["next"], format!("{}/root/d.children?page=2", server.url()));
    assert_eq!(page["previous"], json!(null));
    let page =
        client.get("/root/d.children?attrs=abspath&page=last&page_size=30").expect(200).json();
    assert_eq!(page["results"], json!([{"abspath": "/root/d/t60"}]));
    assert_eq!(page["next"], json!(null));
    assert_eq!(
        page["previous"],
        format!("{}/root/d.children?attrs=abspath&page=2&page_size=30", server.url())
    );
    for bad in ["0", "4", "x", "-1"] {
        let reply = client.get(&format!("/root/d.children?page={bad}")).expect(404);
        assert_eq!(reply.json(), json!({"detail": "Invalid page."}));
    }
}

// rule: http/lists
#[test]
fn what_is_no_container_has_no_children_and_descendants_come_depth_first() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "d", "Directory", json!({}));
    client.create("/root/d", "e", "Directory", json!({}));
    client.create("/root/d/e", "t", "Text", json!({}));
    client.create("/root/d", "f", "Text", json!({}));
    let empty = client.get("/root/d/f.children").expect(200).json();
    assert_eq!(empty, json!({"count": 0, "next": null, "previous": null, "results": []}));
    let all = client.get("/root/d.descendant?attrs=abspath").expect(200).json();
    let paths: Vec<_> = all["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["abspath"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["/root/d/e", "/root/d/e/t", "/root/d/f"]);
    assert!(
        client.get("/.children?attrs=abspath").json()["results"]
            .as_array()
            .unwrap()
            .contains(&json!({"abspath": "/system"}))
    );
}

// rule: http/verbs
#[test]
fn verbs_that_a_resource_does_not_take_are_refused_and_options_names_them() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "t", "Text", json!({}));
    let refused = client.post("/root/t", &json!({"name": "x"})).expect(405);
    assert_eq!(refused.header("allow"), Some("GET, HEAD, PUT, PATCH, DELETE, OPTIONS"));
    client.post("/root.children", &json!({})).expect(405);
    client.get("/root/t.nosuch").expect(404);
    let options = client.send("OPTIONS", "/root", &[], b"").expect(200);
    assert_eq!(options.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    let head = client.send("HEAD", "/root/t", &[], b"").expect(200);
    assert!(head.body.is_empty());
    assert!(head.header("content-length").is_some_and(|length| length != "0"));
}

// rule: http/relocate
#[test]
fn objects_are_renamed_moved_and_copied() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "a", "Text", json!({"text": "x"}));
    client.create("/root", "d", "Directory", json!({}));
    let renamed = client.post("/root/a.rename", &json!({"name": "b"})).expect(200);
    assert_eq!(renamed.json()["abspath"], "/root/b");
    let moved = client.post("/root/d.move", &json!({"object": "/root/b"})).expect(200).json();
    assert_eq!(moved["abspath"], "/root/d/b");
    let copied =
        client.post("/root.copy", &json!({"object": "/root/d/b", "name": "c"})).expect(200).json();
    assert_eq!(copied["abspath"], "/root/c");
    assert_ne!(copied["id"], moved["id"]);
    client.post("/root/d.move", &json!({"object": "/root/d"})).expect(400);
    client.post("/root.copy", &json!({"object": "/root/d/b", "name": "c"})).expect(400);
    client.post("/root.copy", &json!({"object": "/nowhere"})).expect(400);
    client.get("/root/a").expect(404);
}

// rule: http/attachments
#[test]
fn attachments_travel_in_json_and_raw() {
    let server = Server::start();
    let client = server.client();
    let file = json!({"name": "site-a.pem", "data": "LS0tLS1CRUdJTi0tLS0t"});
    let made = client.create("/root", "files", "AttachedFile", json!({"attached1": file}));
    assert_eq!(made["fields"]["attached1"], file);
    let raw = client.get("/root/files.attachments/attached1").expect(200);
    assert_eq!(raw.body, b"-----BEGIN-----");
    assert!(raw.header("content-disposition").unwrap().ends_with("site-a.pem"));
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let named = [("Content-Disposition", "attachment; filename=\"big.bin\"")];
    client.send("PUT", "/root/files.attachments/attached2", &named, &bytes).expect(204);
    assert_eq!(client.get("/root/files.attachments/attached2").expect(200).body, bytes);
    let fields = client.get("/root/files").json()["fields"].clone();
    assert_eq!(fields["attached2"]["name"], "big.bin");
    client.delete("/root/files.attachments/attached2").expect(204);
    client.get("/root/files.attachments/attached2").expect(204);
    client.delete("/root/files.attachments/attached2").expect(404);
    client.get("/root/files.attachments/nosuch").expect(404);
}

// rule: http/values
#[test]
fn binary_content_is_base64_and_comes_back_as_it_was_sent() {
    let server = Server::start();
    let client = server.client();
    let fields = json!({"contentType": "image/png", "ext": "png", "data": "iVBORw0KGgo="});
    client.create("/root", "pixel", "Binary", fields.clone());
    let read = client.get("/root/pixel").json();
    for key in ["contentType", "ext", "data"] {
        assert_eq!(read["fields"][key], fields[key], "{key}");
    }
}

// rule: tree/paging, tree/find-indexes
#[test]
fn pages_by_place_and_explained() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "many", "Directory", json!({}));
    for name in ["a", "b", "c", "d", "e"] {
        client.create("/root/many", name, "Text", json!({"text": name}));
    }
    let mut url = "/root/many.children?after=&page_size=2&attrs=abspath&explain=1".to_owned();
    let mut seen = Vec::new();
    for page in 0.. {
        let list = client.get(&url).expect(200).json();
        assert_eq!(list["explain"]["source"], "children", "{list}");
        for object in list["results"].as_array().unwrap() {
            seen.push(object["abspath"].as_str().unwrap().to_owned());
        }
        let Some(next) = list["next"].as_str() else { break };
        url = format!("/{}", next.splitn(4, '/').nth(3).unwrap());
        if page == 0 {
            client.delete("/root/many/a").expect(204);
        }
    }
    let many = |name: &str| format!("/root/many/{name}");
    assert_eq!(seen, ["a", "b", "c", "d", "e"].map(many));
    let found = client.get("/root.descendant?abspath=/root/many/c&explain=1").expect(200).json();
    assert_eq!((&found["count"], &found["explain"]["source"]), (&json!(1), &json!("path")));
    client.get("/root/many.children?after=nonsense").expect(400);
    assert!(client.get("/root/many.children").expect(200).json().get("explain").is_none());
}

// rule: http/errors
#[test]
fn problems_stand_under_the_plain_names_of_their_fields() {
    let server = Server::start();
    let client = server.client();
    let types = ["Array<Integer>", "Dictionary<Integer>"];
    let kind = json!({"fieldNames": ["list", "words"], "fieldTypes": types});
    client.create("/root", "Kind", "TypeObject", kind);
    let wrong = json!({"list": [1, "x", "y"], "words": {"k": "x"}});
    let body = json!({"name": "one", "type_object": "/root/Kind", "fields": wrong});
    let told = client.post("/root", &body).expect(400).json();
    let keys: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["list", "words"]);
    assert!(told["list"][0].as_str().unwrap().starts_with("[1]: 'x' is no integer"), "{told}");
    assert!(told["list"][1].as_str().unwrap().starts_with("[2]: 'y'"), "{told}");
    assert!(told["words"][0].as_str().unwrap().starts_with("[k]: 'x'"), "{told}");
    let types = json!({"fields": {"fieldTypes": ["No", "Integer"]}});
    let told = client.patch("/root/Kind", &types).expect(400).json();
    assert!(told["fieldTypes"][0].as_str().unwrap().starts_with("[0]: "), "{told}");
    let user = json!({"username": "mika", "password": 12_345_678});
    let told = client.post("/config/user", &user).expect(400).text();
    assert!(told.contains("password") && !told.contains("12345678"), "{told}");
}

// rule: http/errors
#[test]
fn a_field_named_like_a_key_of_the_body_has_a_mark() {
    let server = Server::start();
    let client = server.client();
    let names = ["list", "words", "name", "owner"];
    let types = ["Array<Integer>", "Dictionary<Integer>", "Integer", "Integer"];
    client.create("/root", "Kind", "TypeObject", json!({"fieldNames": names, "fieldTypes": types}));
    let wrong = json!({"list": [1, "x", "y"], "words": {"k": "x"}, "name": "x", "owner": 1});
    let body = json!({"name": "one", "type_object": "/root/Kind", "fields": wrong});
    let told = client.post("/root", &body).expect(400).json();
    let keys: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["list", "words", "field:name"], "a field named like a key of the body");
    assert!(told["list"][0].as_str().unwrap().starts_with("[1]: 'x' is no integer"), "{told}");
    assert!(told["list"][1].as_str().unwrap().starts_with("[2]: 'y'"), "{told}");
    assert!(told["words"][0].as_str().unwrap().starts_with("[k]: 'x'"), "{told}");
    client.post("/root", &json!({"name": "one", "type_object": "/root/Kind"})).expect(201);
    let told = client.patch("/root/one", &json!({"fields": {"name": "x"}})).expect(400).json();
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["field:name"]);
    let types = ["No", "Integer", "Integer", "Integer"];
    let told = client.patch("/root/Kind", &json!({"fields": {"fieldTypes": types}}));
    assert!(told.expect(400).json()["fieldTypes"][0].as_str().unwrap().starts_with("[0]: "));
    // Keys of the body itself are told with the value and what to write.
    for (key, value, wanted) in [
        ("owner", json!(5), "5 does not fit; write a text"),
        ("display_name", json!([]), "[] does not fit; write a text"),
        ("fields", json!("x"), "\"x\" does not fit; write a JSON object"),
        ("user_permissions", json!({"root": {"readable": "x"}}), "root: readable: \"x\" does not"),
        ("user_permissions", json!({"root": 5}), "root: 5 does not fit; write a JSON object"),
        ("group_permissions", json!({"wheel": {"priority": "x"}}), "wheel: priority: \"x\""),
        ("group_permissions", json!({"nobody": {}}), "'nobody'"),
    ] {
        let told = client.patch("/root/one", &json!({key: value})).expect(400).json();
        assert!(told[key][0].as_str().unwrap().contains(wanted), "{told}");
    }
    let user = json!({"username": "mika", "password": 12_345_678});
    let told = client.post("/config/user", &user).expect(400).text();
    assert!(told.contains("password") && !told.contains("12345678"), "{told}");
}

// rule: http/values
#[test]
fn a_name_alone_renames_a_file_and_data_alone_replaces_its_content() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "f", "AttachedFile", json!({}));
    let change = |value: Json| client.patch("/root/f", &json!({"fields": {"attached1": value}}));
    for half in [json!({"name": "a"}), json!({"data": "aGk="}), json!({}), json!({"name": ""})] {
        change(half).expect(400);
    }
    change(json!({"name": "a", "data": "aGk="})).expect(200);
    for (value, name, data) in [
        (json!({"name": "b"}), "b", "aGk="),
        (json!({"data": "eW8="}), "b", "eW8="),
        (json!({"name": "c", "data": ""}), "c", ""),
    ] {
        let now = change(value).expect(200).json();
        assert_eq!(now["fields"]["attached1"], json!({"name": name, "data": data}));
    }
    for wrong in [json!("x"), json!({"name": "a/b"}), json!({"name": "", "data": ""})] {
        change(wrong).expect(400);
    }
    assert_eq!(change(json!(null)).expect(200).json()["fields"]["attached1"], json!(null));
}
