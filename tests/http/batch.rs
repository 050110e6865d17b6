//! Several changes in one commit.

use serde_json::{Value as Json, json};

use crate::support::Server;

fn text(name: &str, text: &str) -> Json {
    json!({"name": name, "type_object": "/system/types/Text", "fields": {"text": text}})
}

// rule: http/batch
#[test]
fn a_batch_is_one_commit() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "old", "Text", json!({"text": "x"}));
    let rev = client.get("/-/status").json()["revision"].as_u64().unwrap();
    let dir = json!({"name": "dir", "type_object": "/system/types/Directory"});
    let body = json!({"operations": [
        {"method": "POST", "path": "/root", "body": dir},
        {"method": "POST", "path": "/root/dir", "body": text("a", "1")},
        {"method": "PATCH", "path": "/root/dir/a", "body": {"fields": {"text": "2"}}},
        {"method": "DELETE", "path": "/root/old"},
    ]});
    let done = client.post("/-/batch", &body).expect(200).json();
    // Something else may have been committed since; what the batch did has one revision.
    assert!(done["rev"].as_u64().unwrap() > rev);
    for at in [0, 1, 2] {
        assert_eq!(done["results"][at]["rev"], done["rev"], "one commit");
    }
    let statuses: Vec<_> =
        done["results"].as_array().unwrap().iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, [201, 201, 200, 204]);
    assert_eq!(done["results"][1]["object"]["abspath"], "/root/dir/a");
    assert_eq!(client.get("/root/dir/a").json()["fields"]["text"], "2");
    client.get("/root/old").expect(404);
}

// rule: http/batch
#[test]
fn one_that_fails_undoes_all_and_is_named() {
    let server = Server::start();
    let client = server.client();
    let made = client.create("/root", "kept", "Text", json!({"text": "x"}));
    assert_eq!(made["abspath"], "/root/kept");
    let good = json!({"method": "POST", "path": "/root", "body": text("a", "1")});
    for (second, status, field) in [
        (json!({"method": "POST", "path": "/root", "body": text("a", "2")}), 400, "name"),
        (json!({"method": "POST", "path": "/root", "body": {}}), 400, "name"),
        (json!({"method": "POST", "path": "/root/kept", "body": text("b", "2")}), 405, "detail"),
        (json!({"method": "PUT", "path": "/root/kept", "body": {}}), 400, "owner"),
        (json!({"method": "PATCH", "path": "/root/kept", "body": []}), 400, "non_field_errors"),
        (json!({"method": "DELETE", "path": "/root/gone"}), 404, "detail"),
        (json!({"method": "DELETE", "path": "/root/kept", "if_match": 1}), 412, "detail"),
        (json!({"method": "DELETE", "path": "/root/kept", "if_match": "x"}), 400, "if_match"),
        (json!({"method": "DELETE", "path": "/system/types/Text"}), 403, "detail"),
        (json!({"method": "GET", "path": "/root/kept"}), 400, "method"),
        (json!({"method": "DELETE"}), 400, "path"),
        (json!({"method": "DELETE", "path": "x"}), 400, "path"),
        (json!(1), 400, "non_field_errors"),
    ] {
        let body = json!({"operations": [good, second]});
        let refused = client.post("/-/batch", &body).expect(status);
        let json = refused.json();
        assert_eq!(json["operation"], 1, "{second}: {json}");
        assert!(!json[field].is_null(), "{second}: {json}");
        client.get("/root/a").expect(404);
    }
    client.get("/root/kept").expect(200);
    for body in [json!({}), json!({"operations": 1}), json!({"operations": vec![good; 1001]})] {
        let refused = client.post("/-/batch", &body).expect(400);
        assert!(refused.json()["operations"][0].is_string());
    }
    let none = client.post("/-/batch", &json!({"operations": []})).expect(200).json();
    assert_eq!(none["results"], json!([]));
}

// rule: http/batch
#[test]
fn a_batch_may_no_more_than_its_parts() {
    let server = Server::start();
    let root = server.client();
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    let body = json!({"operations": [
        {"method": "POST", "path": "/home/mika", "body": text("mine", "1")},
        {"method": "POST", "path": "/root", "body": text("yours", "1")},
    ]});
    let refused = mika.post("/-/batch", &body).expect(403).json();
    assert_eq!(refused["operation"], 1);
    mika.get("/home/mika/mine").expect(404);
}
