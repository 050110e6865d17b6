//! What clients written for the documented interface rely on.

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

/// One object of each type that anybody may make.
fn one_of_each(client: &Client) -> Vec<String> {
    let mut made = Vec::new();
    let types = client.get("/system/types.children?page_size=100&attrs=abspath").expect(200).json();
    for found in types["results"].as_array().unwrap() {
        let kind = found["abspath"].as_str().unwrap();
        let short = kind.rsplit('/').next().unwrap();
        if ["Virtual", "License", "SystemInfo", "Realm"].contains(&short) {
            continue;
        }
        let fields = match short {
            "Table" => json!({"typeObject": "/system/types/NodeInfo"}),
            "Form" => json!({"submitObject": "/system/channels/Alert"}),
            "Jobflow" => json!({"source": "|a='x'|\nprint(a)", "multiplicity": 3}),
            "AttachedFile" => json!({"attached1": {"name": "a.bin", "data": "AP8="}}),
            "Config" => json!({"fieldNames": ["a"], "fieldTypes": ["Password"]}),
            "AccountInfo" | "MailChannel" | "SmtpServer" => json!({"password": "secret"}),
            _ => json!({}),
        };
        let body = json!({"name": format!("one_{short}"), "type_object": kind, "fields": fields});
        let reply = client.post("/root", &body).expect(201);
        made.push(reply.json()["abspath"].as_str().unwrap().to_owned());
    }
    assert!(made.len() >= 25, "{made:?}");
    made
}

fn without_time(mut object: Json) -> Json {
    for key in ["updated", "extra_properties"] {
        object.as_object_mut().unwrap().remove(key);
    }
    if let Some(fields) = object["fields"].as_object_mut() {
        fields.remove("compiledDatetime");
    }
    object
}

// rule: http/update
// rule: tree/system-fields
#[test]
fn what_was_read_of_any_type_can_be_sent_back() {
    let server = Server::start();
    let client = server.client();
    for path in one_of_each(&client) {
        let read = client.get(&path).expect(200).json();
        let put = client.put(&path, &read).expect(200).json();
        assert_eq!(without_time(put), without_time(read.clone()), "{path}");
        client.patch(&path, &json!({"fields": read["fields"]})).expect(200);
    }
    // A message that came in between stays, whatever the client believes the queue to be.
    let read = client.get("/root/one_Channel").expect(200).json();
    client.post("/root/one_Channel.send", &json!("news")).expect(200);
    client.put("/root/one_Channel", &read).expect(200);
    assert_eq!(client.post("/root/one_Channel.recv", &json!({})).expect(200).json(), json!("news"));
    // What the server computes follows the source, not the client.
    let body =
        json!({"fields": {"source": "print(1)", "executable": false, "parameters": {"q": "1"}}});
    let flow = client.patch("/root/one_Jobflow", &body).expect(200).json();
    assert_eq!(flow["fields"]["executable"], true);
    assert_eq!(flow["fields"]["parameters"], json!({}));
    let body = json!({"name": "f", "type_object": "/system/types/Jobflow", "fields": {"executable": true}});
    client.post("/root", &body).expect(403);
}

// rule: objects/conversion
#[test]
fn false_is_no_media_type() {
    let server = Server::start();
    let client = server.client();
    let made = client.create("/root", "t", "Text", json!({"text": "x", "contentType": false}));
    assert_eq!(made["fields"]["contentType"], "");
    assert_eq!(made["extra_properties"]["content_type"], "text/plain");
    let kept = client.create("/root", "e", "Environment", json!({"environment": {"debug": false}}));
    assert_eq!(kept["fields"]["environment"]["debug"], "false", "only a field of its own");
}

// rule: http/values
#[test]
fn a_name_alone_renames_an_attachment() {
    let server = Server::start();
    let client = server.client();
    let file = json!({"name": "a.bin", "data": "AP8="});
    client.create("/root", "f", "AttachedFile", json!({"attached1": file}));
    let renamed = json!({"fields": {"attached1": {"name": "b.bin"}}});
    let after = client.patch("/root/f", &renamed).expect(200).json();
    assert_eq!(after["fields"]["attached1"], json!({"name": "b.bin", "data": "AP8="}));
    let empty = json!({"fields": {"attached2": {"name": "b.bin"}}});
    assert!(client.patch("/root/f", &empty).expect(400).json()["attached2"].is_array());
    // What is empty is there to be asked for; what is no attachment is not.
    client.get("/root/f.attachments/attached2").expect(204);
    client.get("/root/f.attachments/attached9").expect(404);
    client.create("/root", "t", "Text", json!({"text": "x"}));
    client.get("/root/t.attachments/text").expect(404);
}

// rule: http/values
// rule: objects/addresses
#[test]
fn references_to_users_and_addresses_of_repositories_can_be_sent_back() {
    let server = Server::start();
    let client = server.client();
    let kinds = json!(["Object", "Array<Object>"]);
    client.create(
        "/root",
        "T",
        "TypeObject",
        json!({"fieldNames": ["who", "all"], "fieldTypes": kinds}),
    );
    let fields =
        json!({"who": "/config/user/id_1", "all": ["/config/group/id_1", "/root/T", null]});
    let body = json!({"name": "o", "type_object": "/root/T", "fields": fields});
    assert_eq!(client.post("/root", &body).expect(201).json()["fields"], fields);
    let read = client.get("/root/o").expect(200).json();
    assert_eq!(client.put("/root/o", &read).expect(200).json()["fields"], fields);
    for (url, status) in [
        ("https://host/x.git", 201),
        ("ssh://me@host/x.git", 201),
        ("git://host/x", 201),
        ("file:///srv/x.git", 201),
        ("me@host.example:team/x.git", 201),
        ("ftp://host/x", 400),
        ("@host:x", 400),
        ("me@host:", 400),
        ("me@ho st:x", 400),
    ] {
        let name = format!("r{}", url.len() * 1000 + url.bytes().map(usize::from).sum::<usize>());
        let body = json!({"name": name, "type_object": "/system/types/Repository", "fields": {"URL": url}});
        client.post("/root", &body).expect(status);
    }
    let plain = json!({"fieldNames": ["u"], "fieldTypes": ["URL"]});
    client.create("/root", "U", "TypeObject", plain);
    let body = json!({"name": "u", "type_object": "/root/U", "fields": {"u": "me@host:x"}});
    client.post("/root", &body).expect(400);
}

// rule: tree/descend
// rule: http/update
#[test]
fn permissions_of_a_directory_go_down_when_asked() {
    let server = Server::start();
    let client = server.client();
    for name in ["mika", "yu"] {
        client
            .post("/config/user", &json!({"username": name, "password": "correct horse 8"}))
            .expect(201);
    }
    let mika = client.with_token(server.stdout(&["token", "create", "mika"]).trim());
    mika.create("/home/mika", "d", "Directory", json!({}));
    mika.create("/home/mika/d", "sub", "Directory", json!({}));
    mika.create("/home/mika/d/sub", "t", "Text", json!({"text": "x"}));
    let rights = json!({"readable": true, "writable": true, "executable": false});
    let open = json!({"mika": rights});
    let others = json!({"name": "r", "type_object": "/system/types/Text", "owner": "root", "user_permissions": open});
    client.post("/home/mika/d", &others).expect(201);
    let read = |path: &str| client.get(path).expect(200).json();
    let body = json!({"group_permissions": {"other": {"readable": true}}, "display_name": "D",
        "descend": ["group_permissions"]});
    mika.patch("/home/mika/d", &body).expect(200);
    for path in ["/home/mika/d/sub", "/home/mika/d/sub/t"] {
        let found = read(path);
        assert_eq!(found["group_permissions"]["other"]["readable"], true, "{path}");
        assert_ne!(found["display_name"], "D");
    }
    // The users' entries stay, and so does what is not hers.
    assert_eq!(
        read("/home/mika/d/sub")["user_permissions"],
        read("/home/mika")["user_permissions"]
    );
    assert_eq!(read("/home/mika/d/r")["group_permissions"], json!({}));
    // Without the word nothing goes down; the present owner can be given down by itself.
    mika.patch("/home/mika/d", &json!({"group_permissions": {}})).expect(200);
    assert_eq!(read("/home/mika/d/sub")["group_permissions"]["other"]["readable"], true);
    client.patch("/home/mika/d", &json!({"owner": "yu"})).expect(200);
    assert_eq!(read("/home/mika/d/sub")["owner"], "mika");
    client.patch("/home/mika/d", &json!({"descend": ["owner"]})).expect(200);
    assert_eq!(read("/home/mika/d/sub/t")["owner"], "yu");
    assert_eq!(read("/home/mika/d/r")["owner"], "yu");
    // It needs the right to edit the properties.
    client.patch("/home/mika/d", &json!({"user_permissions": open})).expect(200);
    mika.patch("/home/mika/d", &json!({"descend": ["user_permissions"]})).expect(403);
    assert!(
        client.patch("/home/mika/d", &json!({"descend": ["name"]})).expect(400).json()["descend"]
            .is_array()
    );
}

// rule: tree/update
#[test]
fn an_equal_property_is_an_update_for_who_may_change_it() {
    let server = Server::start();
    let client = server.client();
    client
        .post("/config/user", &json!({"username": "mika", "password": "correct horse 8"}))
        .expect(201);
    let mika = client.with_token(server.stdout(&["token", "create", "mika"]).trim());
    client.create("/user", "t", "Text", json!({"text": "x"}));
    let before = client.get("/user/t").expect(200).json();
    let body = json!({"description": "", "display_name": "t", "owner": "root"});
    let same = mika.patch("/user/t", &body).expect(200).json();
    assert_eq!(same["updated"], before["updated"], "it was only sent back");
    let moved = client.patch("/user/t", &body).expect(200).json();
    assert_ne!(moved["updated"], before["updated"]);
    assert_eq!(client.get("/user/t").expect(200).json()["description"], "");
}

// rule: http/relocate
#[test]
fn what_does_not_fit_a_table_is_told_under_its_type() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "rows", "Table", json!({"typeObject": "/system/types/NodeInfo"}));
    client.create("/root", "t", "Text", json!({"text": "x"}));
    for word in ["move", "copy"] {
        let path = format!("/root/rows.{word}");
        let refused = client.post(&path, &json!({"object": "/root/t"})).expect(400).json();
        assert!(refused["type_object"].is_array(), "{refused}");
    }
}

// rule: http/config
#[test]
fn the_values_of_a_config_are_written_with_the_right_to_execute() {
    let server = Server::start();
    let client = server.client();
    for name in ["mika", "yu"] {
        let body = json!({"username": name, "password": "correct horse 8"});
        client.post("/config/user", &body).expect(201);
    }
    let user = |name: &str| client.with_token(server.stdout(&["token", "create", name]).trim());
    let (writer, runner) = (user("mika"), user("yu"));
    let fields = json!({"fieldNames": ["a", "b", "p"], "fieldTypes": ["Integer#{\"default\":3}", "String", "Password"]});
    let rights = |read: bool, write: bool, execute: bool| json!({"readable": read, "writable": write, "executable": execute});
    let body = json!({"name": "c", "type_object": "/system/types/Config", "fields": fields, "data": {"b": "x"},
        "user_permissions": {"mika": rights(true, true, false), "yu": rights(true, false, true)}});
    let made = client.post("/root", &body).expect(201).json();
    assert_eq!(made["data"], json!({"a": 3, "b": "x", "p": ""}));
    // PATCH merges; the password is shown to whoever may write.
    runner.patch("/root/c", &json!({"data": {"a": 5, "p": "hush"}})).expect(200);
    assert_eq!(
        writer.get("/root/c").expect(200).json()["data"],
        json!({"a": 5, "b": "x", "p": "hush"})
    );
    assert_eq!(runner.get("/root/c").expect(200).json()["data"]["p"], json!(null));
    let listed = client.get("/root.children").expect(200).json();
    assert_eq!(listed["results"][0]["data"]["a"], 5);
    // Who may write alone sends back what it got, and changes no value.
    let mut whole = writer.get("/root/c").expect(200).json();
    writer.put("/root/c", &whole).expect(200);
    whole["data"]["a"] = json!(6);
    writer.put("/root/c", &whole).expect(403);
    // PUT replaces: what is not named is as if it had never been set. Without `data` it stays.
    whole["data"] = json!({"b": "y"});
    assert_eq!(
        client.put("/root/c", &whole).expect(200).json()["data"],
        json!({"a": 3, "b": "y", "p": ""})
    );
    whole.as_object_mut().unwrap().remove("data");
    assert_eq!(client.put("/root/c", &whole).expect(200).json()["data"]["b"], "y");
    assert!(
        client.patch("/root/c", &json!({"data": {"zz": 1}})).expect(400).json()["zz"].is_array()
    );
    // Elsewhere the key means nothing.
    client.create("/root", "t", "Text", json!({"text": "x"}));
    client.patch("/root/t", &json!({"data": {"zz": 1}})).expect(200);
}

// rule: http/filters
// rule: http/ordering
#[test]
fn a_condition_that_cannot_be_is_told_under_its_key() {
    let server = Server::start();
    let client = server.client();
    for (list, query, key) in [
        ("/root.children", "colour=1", "colour"),
        ("/root.children", "owner__gt=root", "owner__gt"),
        ("/root.children", "created__lt=soon", "created__lt"),
        ("/root.children", "abspath__regex=(", "abspath__regex"),
        ("/root.children", "field:text=x", "field:text"),
        (
            "/root.children",
            "type_object=/system/types/AccountInfo&field:password=x",
            "field:password",
        ),
        ("/root.children", "order_by=colour", "order_by"),
        (
            "/root.descendant",
            "type_object=/system/types/Jobflow&order_by=field:parameters",
            "order_by",
        ),
        ("/root.children", "after=nonsense", "after"),
        ("/config/user", "is_active=perhaps", "is_active"),
        ("/incident", "status=LOST", "status"),
        ("/task", "status=LOST", "status"),
        ("/process", "status=LOST", "status"),
        ("/process", "suspended=x", "suspended"),
        ("/scheduler", "disabled__contains=x", "disabled__contains"),
        ("/config/group", "order_by=colour", "order_by"),
    ] {
        let answer = client.get(&format!("{list}?{query}")).expect(400).json();
        assert!(answer[key].is_array(), "{list}?{query}: {answer}");
    }
}

// rule: http/execute
#[test]
fn a_script_runs_on_a_node_that_its_caller_can_read() {
    let server = Server::start();
    let client = server.client();
    client.create("/user", "s", "ScriptJob", json!({"source": "#!/bin/sh\necho hi"}));
    client.create("/user", "text", "Text", json!({"text": "x"}));
    client.create("/root", "node", "NodeInfo", json!({}));
    client
        .post("/config/user", &json!({"username": "mika", "password": "correct horse 8"}))
        .expect(201);
    let mika = client.with_token(server.stdout(&["token", "create", "mika"]).trim());
    for (body, key) in [
        (json!({"node": "/user/gone"}), "node"),
        (json!({"node": "/user/text"}), "node"),
        (json!({"node": "/root/node"}), "node"),
        (json!({"node": 5}), "node"),
        (json!({"account": "/user/text"}), "account"),
        (json!({"command_line": 5}), "command_line"),
    ] {
        let answer = mika.post("/user/s.execute", &body).expect(400).json();
        assert!(answer[key].is_array(), "{body}: {answer}");
    }
    assert_eq!(client.get("/process").expect(200).json()["count"], 0);
}

// rule: http/users
#[test]
fn what_a_user_refers_to_is_of_its_type() {
    let server = Server::start();
    let client = server.client();
    client.create("/user", "text", "Text", json!({"text": "x"}));
    client.create("/user", "env", "Environment", json!({"environment": {"A": "1"}}));
    let body = json!({"username": "mika", "password": "correct horse 8"});
    let path = client.post("/config/user", &body).expect(201).json()["abspath"]
        .as_str()
        .unwrap()
        .to_owned();
    for key in ["environment", "home_directory"] {
        let answer = client.patch(&path, &json!({key: "/user/text"})).expect(400).json();
        assert!(answer[key].is_array(), "{answer}");
    }
    let after = client.patch(&path, &json!({"environment": "/user/env"})).expect(200).json();
    assert_eq!(after["environment"], "/user/env");
    assert_eq!(
        client.patch(&path, &json!({"environment": null})).expect(200).json()["environment"],
        json!(null)
    );
}
