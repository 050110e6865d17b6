use serde_json::{Value as Json, json};

use super::{FIELDS, VALUES, holds};
use crate::support::Server;

// rule: objects/conversion, objects/qualifiers, objects/addresses, objects/enum
#[test]
fn values_that_do_not_fit_are_told() {
    let server = Server::start();
    let client = server.client();
    let names: Vec<_> = VALUES.iter().map(|(field, ..)| *field).collect();
    let types: Vec<_> = VALUES.iter().map(|(_, kind, ..)| *kind).collect();
    let def = json!({"fieldNames": names, "fieldTypes": types});
    client.create("/root", "Bad", "TypeObject", def);
    client.post("/root", &json!({"name": "one", "type_object": "/root/Bad"})).expect(201);
    let before = client.get("/root/one").expect(200).body;
    for (field, _, value, parts) in VALUES {
        let value: Json = serde_json::from_str(value).unwrap();
        let reply = client.patch("/root/one", &json!({"fields": {*field: value}}));
        assert_eq!(reply.status, 400, "{field}: {}", reply.text());
        holds(&reply.text().replace("\\\"", "\""), field, parts);
    }
    assert_eq!(client.get("/root/one").expect(200).body, before, "nothing is stored");
    // All of them at once: each is told.
    let all = VALUES.iter().map(|(field, _, value, _)| {
        ((*field).to_owned(), serde_json::from_str::<Json>(value).unwrap())
    });
    let body = json!({"fields": all.collect::<serde_json::Map<_, _>>()});
    let reply = client.patch("/root/one", &body).expect(400);
    for (field, _, _, parts) in VALUES {
        holds(&reply.text(), field, parts);
    }
}

// rule: tree/validation, tree/mail-servers, objects/type-objects, objects/forbidden-texts
#[test]
fn fields_that_the_rules_of_a_type_refuse_are_told() {
    let server = Server::start();
    let client = server.client();
    for (kind, fields, field, parts) in FIELDS {
        let fields: Json = serde_json::from_str(fields).unwrap();
        let type_object = format!("/system/types/{kind}");
        let body = json!({"name": "bad", "type_object": type_object, "fields": fields});
        let reply = client.post("/root", &body);
        assert_eq!(reply.status, 400, "{kind}: {}", reply.text());
        holds(&reply.text(), field, parts);
    }
    client.get("/root/bad").expect(404);
}

// rule: tree/containers, tree/types, tree/protected, tree/move, tree/rename, tree/create
#[test]
fn what_cannot_be_done_is_told() {
    let server = Server::start();
    let client = server.client();
    let def = json!({"fieldNames": ["n"], "fieldTypes": ["Integer"]});
    client.create("/root", "Kind", "TypeObject", def);
    client.create("/root", "table", "Table", json!({"typeObject": "/root/Kind"}));
    client.post("/root/table", &json!({"name": "row"})).expect(201);
    client.create("/root", "dir", "Directory", json!({}));
    client.create("/root/dir", "below", "Directory", json!({}));
    let text = "/system/types/Text";
    let new = |name: &str, kind: &str| json!({"name": name, "type_object": kind});
    let long = "a".repeat(129);
    for (dir, name, kind, parts) in [
        ("/root", "1st", text, &["name", "'1st'", "begins with a digit", "letter"][..]),
        ("/root", "a-b", text, &["name", "'a-b'", "'-'", "letters, digits"]),
        ("/root", "", text, &["name"]),
        ("/root", &long, text, &["name", "129 characters", "at most 128"]),
        ("/root", "dir", text, &["name", "'dir'", "taken", "choose another"]),
        ("/root/table", "x", text, &["type_object", "type Text", "/root/table", "choose another"]),
        ("/root", "x", "/system/types/License", &["License", "choose another"]),
        ("/root", "x", "/root/nothing", &["/root/nothing"]),
    ] {
        let reply = client.post(dir, &new(name, kind));
        assert_eq!(reply.status, 400, "{name} {kind}: {}", reply.text());
        holds(&reply.text(), parts[0], parts);
    }
    for (verb, path, body, status, parts) in [
        ("DELETE", "/root/Kind", json!(null), 409, &["1 objects", "delete them first"][..]),
        (
            "PATCH",
            "/root/table",
            json!({"fields": {"typeObject": text}}),
            400,
            &["typeObject", "rows", "delete the rows"],
        ),
        ("POST", "/system/types.rename", json!({"name": "r"}), 403, &["protected"]),
        ("DELETE", "/system/types/Text", json!(null), 403, &["protected"]),
        ("PATCH", "/system/types/Text", json!({"fields": {"fieldNames": []}}), 403, &["protected"]),
        (
            "POST",
            "/root/dir/below.move",
            json!({"object": "/root/dir"}),
            400,
            &["itself", "another place"],
        ),
        ("POST", "/root/dir.rename", json!({"name": "table"}), 400, &["'table'", "taken"]),
        ("PATCH", "/root/dir", json!({"owner": "nobody"}), 400, &["owner", "nobody"]),
    ] {
        let reply = match verb {
            "DELETE" => client.delete(path),
            _ => client.with_json(verb, path, &body),
        };
        assert_eq!(reply.status, status, "{verb} {path}: {}", reply.text());
        holds(&reply.text(), parts[0], parts);
    }
}

/// A JSON body from a number: deterministic, of every shape.
fn noise(seed: u64, depth: u32) -> Json {
    let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let words = [
        "name",
        "type_object",
        "fields",
        "owner",
        "user_permissions",
        "group_permissions",
        "description",
        "data",
        "text",
        "",
        "/",
        "/root",
        "x",
        "1st",
        "\u{0}",
        "priority",
        "readable",
    ];
    let word = |at: u64| words[usize::try_from(at % words.len() as u64).unwrap()];
    match (next >> 33) % if depth == 0 { 5 } else { 8 } {
        0 => Json::Null,
        1 => Json::from((next >> 7).cast_signed()),
        2 => Json::from(next.is_multiple_of(2)),
        3 => Json::from(word(next >> 20)),
        4 => Json::from(1.5e300 * ((next >> 40) % 3) as f64),
        5 => (0..next % 4).map(|at| noise(next ^ at, depth - 1)).collect(),
        _ => Json::Object(
            (0..next % 6)
                .map(|at| {
                    (word((next >> 11) + at * 3).to_owned(), noise(next ^ (at << 5), depth - 1))
                })
                .collect(),
        ),
    }
}

// rule: http/errors
#[test]
fn no_body_breaks_the_server() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "t", "Text", json!({}));
    client.create("/root", "c", "Config", json!({"fieldNames": ["a"], "fieldTypes": ["Integer"]}));
    for seed in 0..400 {
        let mut body = noise(seed, 4);
        if let Some(body) = body.as_object_mut()
            && seed.is_multiple_of(2)
        {
            body.insert("name".into(), json!(format!("n{seed}")));
            body.insert("type_object".into(), json!("/system/types/Text"));
        }
        let (verb, path) = match seed % 5 {
            0 | 1 => ("POST", "/root"),
            2 => ("PATCH", "/root/t"),
            3 => ("PUT", "/root/t"),
            _ => ("PATCH", "/root/c"),
        };
        let reply = client.with_json(verb, path, &body);
        assert!(reply.status < 500, "{verb} {path} {body}: {} {}", reply.status, reply.text());
        let text = body.to_string();
        let torn = &text.as_bytes()[..text.len() / 2];
        let headers = [("Content-Type", "application/json")];
        let reply = client.send(verb, path, &headers, torn);
        assert!(reply.status < 500, "{verb} {path} torn {text}: {}", reply.status);
    }
    client.get("/root/t").expect(200);
}

// rule: http/texts, tree/wiki
#[test]
fn a_wiki_page_is_shown_and_brings_nothing_of_its_own() {
    let server = Server::start();
    let client = server.client();
    let text = "# Title\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) **bold**";
    client.create("/root", "page", "Wiki", json!({"wikitext": text, "style": "Markdown"}));
    let reply = client.get("/root/page.render").expect(200);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(reply.header("content-security-policy").unwrap().starts_with("sandbox"));
    let html = reply.text();
    assert!(html.contains("<h1>Title</h1>") && html.contains("<strong>bold</strong>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("href=\"javascript"), "{html}");
    client.create("/root", "d", "Directory", json!({}));
    client.get("/root/d.render").expect(404);
}
