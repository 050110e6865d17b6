//! The exact verbs, statuses and texts that clients are written for.

use serde_json::{Value as Json, json};

use crate::support::{Client, Server};

fn user(server: &Server, name: &str) -> Client {
    let client = server.client();
    let body = json!({"username": name, "password": "correct horse 8"});
    client.post("/config/user", &body).expect(201);
    client.with_token(server.stdout(&["token", "create", name]).trim())
}

fn number_of(client: &Client, list: &str, key: &str, name: &str) -> String {
    let found = client.get(&format!("{list}?{key}={name}")).expect(200).json();
    found["results"][0]["abspath"].as_str().unwrap().to_owned()
}

// rule: http/verbs
#[test]
fn each_resource_takes_its_verbs_and_tells_them() {
    let server = Server::start();
    let client = server.client();
    for (name, kind) in
        [("t", "Text"), ("job", "Jobflow"), ("ch", "Channel"), ("d", "Directory"), ("form", "Form")]
    {
        let fields = if kind == "Form" { json!({"submitObject": "/root/ch"}) } else { json!({}) };
        client.create("/root", name, kind, fields);
    }
    client.post("/incident", &json!({"name": "i"})).expect(201);
    let schedule = json!({"name": "s", "job": "/root/job", "hour": "1"});
    client.post("/scheduler", &schedule).expect(201);
    let process = client.post("/root/job.execute", &json!({})).expect(200).json();
    let process = process.as_str().unwrap().to_owned();
    client.post(&format!("{process}.wait"), &json!({"timeout": 60})).expect(200);
    let list = "GET, HEAD, OPTIONS";
    let made = "GET, HEAD, POST, OPTIONS";
    let member = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS";
    let act = "POST, OPTIONS";
    let at = |suffix: &str| format!("{process}{suffix}");
    for (path, verbs) in [
        ("/root/d".to_owned(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("/root/t".to_owned(), member),
        ("/root.children".to_owned(), list),
        ("/root/t.descendant".to_owned(), list),
        ("/process".to_owned(), list),
        ("/task".to_owned(), list),
        ("/scheduler".to_owned(), made),
        ("/incident".to_owned(), made),
        ("/config/user".to_owned(), made),
        ("/config/group".to_owned(), made),
        (at(""), "GET, HEAD, PATCH, DELETE, OPTIONS"),
        ("/scheduler/id_1".to_owned(), member),
        ("/incident/id_1".to_owned(), member),
        ("/config/user/id_1".to_owned(), member),
        ("/config/group/id_1".to_owned(), member),
        (at(".children"), list),
        ("/incident/id_1.worklogs".to_owned(), made),
        ("/root/job.execute".to_owned(), act),
        ("/root/ch.send".to_owned(), act),
        ("/root/ch.recv".to_owned(), act),
        ("/root/form.submit".to_owned(), act),
        ("/root/t.rename".to_owned(), act),
        ("/root.move".to_owned(), act),
        ("/root.copy".to_owned(), act),
        (at(".terminate"), act),
        (at(".suspend"), act),
        (at(".resume"), act),
        (at(".wait"), act),
    ] {
        let told = client.send("OPTIONS", &path, &[], b"").expect(200);
        assert_eq!(told.header("allow"), Some(verbs), "{path}");
        for verb in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if verbs.split(", ").any(|known| known == verb) {
                continue;
            }
            let refused = client.with_json(verb, &path, &json!({})).expect(405);
            assert_eq!(refused.header("allow"), Some(verbs), "{verb} {path}");
            assert_eq!(refused.json(), json!({"detail": "Method not allowed."}), "{verb} {path}");
        }
    }
    for path in ["/root/t.execute", "/root/t.send", "/root/d.recv", "/root/d.submit"] {
        client.post(path, &json!({})).expect(404);
    }
    for path in ["/root/t.html", "/root/t.bogus", "/root/t.update", "/root/t.property"] {
        client.get(path).expect(404);
    }
}

// rule: http/refusals
#[test]
fn who_is_refused_is_told_in_the_words_that_clients_know() {
    let server = Server::start();
    let client = server.client();
    let mika = user(&server, "mika");
    let told = |reply: crate::support::client::Reply, status: u16, text: &str| {
        assert_eq!(reply.expect(status).json(), json!({"detail": text}));
    };
    told(mika.get("/root"), 403, "You do not have permission to perform this action.");
    client.create("/user", "mine", "Text", json!({}));
    client.patch("/user/mine", &json!({"group_permissions": {}})).expect(200);
    told(mika.delete("/user/mine"), 403, "You do not have permission to perform this action.");
    told(client.get("/root/nothing"), 404, "Not found.");
    told(client.get("/process/id_99"), 404, "Not found.");
    told(client.get("/root.children?page=2"), 404, "Invalid page.");
    let path = number_of(&client, "/config/user", "username", "mika");
    client.patch(&path, &json!({"is_active": false})).expect(200);
    told(mika.get("/user"), 401, "User inactive or deleted.");
    assert_eq!(mika.get("/user").header("www-authenticate"), Some("Token"));
    let login = json!({"username": "mika", "password": "correct horse 8"});
    server.stranger().post("/-/login", &login).expect(401);
    client.patch(&path, &json!({"is_active": true})).expect(200);
    mika.get("/user").expect(200);
    client.delete(&path).expect(204);
    told(mika.get("/user"), 401, "Invalid token.");
}

// rule: http/extra-properties
#[test]
fn types_with_computed_properties_show_them_and_others_show_none() {
    let server = Server::start();
    let client = server.client();
    let licence = [
        "node_count",
        "license_id",
        "edition",
        "hardware_id",
        "expire_date",
        "remain_days",
        "node_limit",
        "jobflow_count",
        "jobflow_limit",
        "script_count",
        "script_limit",
        "licensee",
        "signature",
    ];
    client.create("/root", "ch", "Channel", json!({}));
    client.create("/root", "mc", "MailChannel", json!({}));
    client.create("/root", "t", "Text", json!({"ext": "html"}));
    client.create("/root", "w", "Wiki", json!({}));
    let queue = ["message_count", "event_count"];
    for (path, keys) in [
        ("/root/ch", &queue[..]),
        ("/root/mc", &queue),
        ("/root/t", &["content_type"]),
        ("/system/info", &["engine_started", "server_datetime", "version"]),
        ("/config/license", &licence),
        ("/config/realm/default", &["job_managers"]),
        ("/root/w", &[]),
        ("/root", &[]),
        ("/system/config", &[]),
    ] {
        let shown = client.get(path).expect(200).json();
        let found = shown["extra_properties"].as_object().unwrap();
        let mut found: Vec<_> = found.keys().map(String::as_str).collect();
        let mut keys = keys.to_vec();
        found.sort_unstable();
        keys.sort_unstable();
        assert_eq!(found, keys, "{path}");
        // They are read-only: what was read can be sent back, and changes nothing.
        client.patch(path, &json!({"extra_properties": {"version": "x"}})).expect(200);
    }
    let shown = client.get("/root.children?abspath=/root/t").expect(200).json();
    assert_eq!(shown["results"][0]["extra_properties"], json!({"content_type": "text/html"}));
    let manager =
        client.get("/config/realm/default").json()["extra_properties"]["job_managers"][0].clone();
    let keys: Vec<_> = manager.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["host", "pid", "version", "status", "ssl"]);
    let licence = client.get("/config/license").json()["extra_properties"].clone();
    assert_eq!(licence["edition"], "free");
    assert_eq!(licence["expire_date"], Json::Null);
}

// rule: tree/update
#[test]
fn the_time_of_the_last_change_is_the_objects_own() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "d", "Directory", json!({}));
    client.create("/root", "e", "Directory", json!({}));
    client.create("/root/d", "t", "Text", json!({"text": "x"}));
    client.create("/root/d", "ch", "Channel", json!({}));
    let updated = |path: &str| client.get(path).expect(200).json()["updated"].clone();
    let (dir, text, channel) = (updated("/root/d"), updated("/root/d/t"), updated("/root/d/ch"));
    client.create("/root/d", "u", "Text", json!({}));
    client.delete("/root/d/u").expect(204);
    assert_eq!(updated("/root/d"), dir, "a child that comes or goes is no change of its container");
    client.post("/root/d/ch.send", &json!(1)).expect(200);
    assert_eq!(updated("/root/d/ch"), channel, "a message is no change of its channel");
    client.patch("/root/d/t", &json!({"fields": {"text": "x"}})).expect(200);
    let same = updated("/root/d/t");
    assert_ne!(same, text, "an equal value is one");
    client.post("/root/d/t.rename", &json!({"name": "v"})).expect(200);
    let renamed = updated("/root/d/v");
    assert_ne!(renamed, same);
    client.post("/root/e.move", &json!({"object": "/root/d"})).expect(200);
    assert_ne!(updated("/root/e/d"), dir);
    assert_eq!(updated("/root/e/d/v"), renamed, "what is below has not changed");
}

// rule: tree/initial-tree
#[test]
fn a_new_server_has_the_tree_that_clients_expect() {
    let server = Server::start();
    let client = server.client();
    for (kind, paths) in [
        (
            "Directory",
            &[
                "/",
                "/system",
                "/system/types",
                "/system/startup",
                "/system/nodetypes",
                "/system/smtp_servers",
                "/system/styles",
                "/system/channels",
                "/system/packages",
                "/system/utilities",
                "/config",
                "/home",
                "/home/guest",
                "/root",
                "/user",
                "/user/data",
                "/user/data/nodes",
                "/user/data/accounts",
            ][..],
        ),
        ("Config", &["/system/config"]),
        ("SystemInfo", &["/system/info"]),
        ("License", &["/config/license"]),
        ("Table", &["/config/realm"]),
        ("Realm", &["/config/realm/default"]),
        ("SmtpServer", &["/system/smtp_servers/Default"]),
        ("Channel", &["/system/channels/Alert"]),
        ("Wiki", &["/system/packages/PIP", "/system/packages/Web", "/system/utilities/README"]),
        ("Jobflow", &["/system/utilities/CleanProcesses"]),
    ] {
        for path in paths {
            let found = client.get(path).expect(200).json();
            assert_eq!(found["type_object"], format!("/system/types/{kind}"), "{path}");
        }
    }
    for path in ["/process", "/task", "/incident", "/scheduler"] {
        let list = client.get(path).expect(200).json();
        assert_eq!(list["count"], 0, "{path}");
        assert_eq!(list.get("abspath"), None, "{path}");
    }
    let below = |path: &str| -> Vec<String> {
        let list =
            client.get(&format!("{path}.children?order_by=id&page_size=100")).expect(200).json();
        let rows = list["results"].as_array().unwrap().clone();
        let name =
            |row: &Json| row["abspath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        rows.iter().map(name).collect()
    };
    let types = below("/system/types");
    assert_eq!(types.len(), 29);
    assert_eq!((types[0].as_str(), types[28].as_str()), ("TypeObject", "Binary"));
    assert_eq!(
        below("/system/nodetypes"),
        [
            "local",
            "ssh",
            "windows",
            "cisco_ios",
            "cisco_asa",
            "yamaha",
            "juniper_screenos",
            "hp_procurve"
        ]
    );
    assert_eq!(
        below("/system/styles"),
        ["Default", "DarkMode", "PrettyPink", "SkyBlue", "EmeraldGreen", "LightPurple"]
    );
    for (kind, names) in [
        ("local", &["local"][..]),
        ("ssh", &["ssh"]),
        (
            "windows",
            &[
                "windows/https",
                "windows/https-ignore-validation",
                "windows/http",
                "windows/http-unencrypted",
                "winrs",
            ],
        ),
        ("cisco_ios", &["cisco_ios/ssh", "cisco_ios/telnet"]),
        ("cisco_asa", &["cisco_asa/ssh"]),
        ("yamaha", &["yamaha/ssh", "yamaha/telnet"]),
        ("juniper_screenos", &["juniper_screenos/ssh"]),
        ("hp_procurve", &["hp_procurve/ssh"]),
    ] {
        let shown = client.get(&format!("/system/nodetypes/{kind}")).expect(200).json();
        let found = shown["fields"]["conntypes"].as_object().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), names, "{kind}");
    }
    let users = client.get("/config/user?order_by=id").expect(200).json();
    let told: Vec<_> = users["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            [&user["username"], &user["is_active"], &user["home_directory"], &user["groups"]]
                .map(Json::clone)
        })
        .collect();
    assert_eq!(
        told,
        [
            [json!("root"), json!(true), json!("/root"), json!(["wheel"])],
            [json!("admin"), json!(false), json!("/root"), json!(["wheel"])],
            [json!("guest"), json!(false), json!("/home/guest"), json!([])],
        ]
    );
    for path in [
        "/system/startup",
        "/system/channels/Alert",
        "/config/realm/default",
        "/system/nodetypes/ssh",
    ] {
        client.delete(path).expect(403);
    }
    client.delete("/user/data").expect(204);
    let made = client.post("/user", &json!({"name": "x", "type_object": "/system/types/Text"}));
    assert_eq!(made.expect(201).json()["display_name"], "x");
}
