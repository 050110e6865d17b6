//! Users and groups over HTTP and from the command line.

use serde_json::json;

use crate::support::Server;

// rule: http/users
#[test]
fn a_user_is_made_with_a_home_and_sees_what_it_may() {
    let server = Server::start();
    let client = server.client();
    client.post("/config/group", &json!({"name": "ops"})).expect(201);
    let body = json!({"username": "mika", "password": "correct horse 8", "groups": ["ops"], "email": "m@x.net"});
    let made = client.post("/config/user", &body).expect(201);
    assert!(made.header("location").unwrap().starts_with("/config/user/id_"));
    let user = made.json();
    let keys: Vec<_> = user.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "abspath",
            "groups",
            "last_login",
            "username",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "is_ldap_user",
            "home_directory",
            "environment"
        ]
    );
    assert_eq!(user["groups"], json!(["ops"]));
    assert_eq!(user["home_directory"], "/home/mika");
    let path = user["abspath"].as_str().unwrap();
    let token = server.stdout(&["token", "create", "mika"]);
    let mika = client.with_token(token.trim());
    client.create("/root", "secret", "Text", json!({"text": "x"}));
    mika.get("/root/secret").expect(403);
    mika.create("/home/mika", "mine", "Text", json!({"text": "y"}));
    mika.post("/root", &json!({"name": "x", "type_object": "/system/types/Text"})).expect(403);
    mika.patch(path, &json!({"first_name": "Mika"})).expect(200);
    mika.patch(path, &json!({"groups": ["wheel"]})).expect(403);
    mika.post("/config/user", &body).expect(403);
    mika.get("/-/status").expect(403);
    mika.post("/-/token", &json!({"user": "root"})).expect(403);
    let listed = mika.get("/root.children?attrs=abspath,fields");
    assert!(listed.status == 403 || listed.json()["results"][0].get("fields").is_none());
    client.patch(path, &json!({"is_active": false})).expect(200);
    let refused = mika.get("/home/mika").expect(401);
    assert!(refused.json()["detail"].is_string());
    client.delete(path).expect(204);
    client.get(path).expect(404);
}

// rule: http/users
#[test]
fn bad_users_are_refused_by_field() {
    let server = Server::start();
    let client = server.client();
    for (body, field) in [
        (json!({"password": "correct horse 8"}), "username"),
        (json!({"username": "mika"}), "password"),
        (json!({"username": "root", "password": "correct horse 8"}), "username"),
        (json!({"username": "1a", "password": "correct horse 8"}), "username"),
        (json!({"username": "mika", "password": "correct horse 8", "groups": ["x"]}), "groups"),
        (
            json!({"username": "mika", "password": "correct horse 8", "environment": "/x"}),
            "environment",
        ),
    ] {
        let refused = client.post("/config/user", &body).expect(400);
        assert!(refused.json()[field][0].is_string(), "{body}: {}", refused.text());
    }
    client.delete("/config/user/id_1").expect(403);
    client.get("/config/user/id_99").expect(404);
    client.get("/config/user/id_01").expect(404);
}

// rule: http/groups
#[test]
fn groups_are_made_listed_and_deleted() {
    let server = Server::start();
    let client = server.client();
    assert_eq!(server.stdout(&["group", "create", "ops"]).trim(), "/config/group/id_3");
    let list = client.get("/config/group?order_by=-name").expect(200).json();
    let names: Vec<_> = list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["wheel", "other", "ops"]);
    let group = client.get("/config/group/id_3").expect(200).json();
    assert_eq!(
        group,
        json!({"id": 3, "abspath": "/config/group/id_3", "name": "ops", "is_ldap_group": false})
    );
    client.patch("/config/group/id_3", &json!({"name": "operators"})).expect(200);
    server.stdout(&["group", "delete", "operators"]);
    client.delete("/config/group/id_2").expect(403);
    assert_eq!(client.get("/config/group").json()["count"], 2);
}
