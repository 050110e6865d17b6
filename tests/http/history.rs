//! Earlier versions over HTTP.

use serde_json::json;

use crate::support::Server;

// rule: http/history
#[test]
fn versions_are_listed_shown_compared_and_taken_back() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "note", "Text", json!({"text": "one"}));
    client.patch("/root/note", &json!({"fields": {"text": "two"}})).expect(200);
    let third = json!({"fields": {"text": "three"}, "description": "later"});
    client.patch("/root/note", &third).expect(200);

    let list = client.get("/-/history?path=/root/note").expect(200).json();
    assert_eq!(list["count"], 3);
    let revs: Vec<u64> = list["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["rev"].as_u64().unwrap())
        .collect();
    assert!(revs.is_sorted_by(|a, b| a > b), "newest first: {revs:?}");
    assert_eq!(list["results"][0]["until"], json!(null));
    assert_eq!(list["results"][1]["until"], revs[0]);
    assert_eq!(list["results"][0]["by"], "root");
    let page = client.get("/-/history?path=/root/note&page_size=2&page=2&attrs=rev").json();
    assert_eq!(page["results"], json!([{"rev": revs[2]}]));

    let first = client.get(&format!("/-/history/at?path=/root/note&rev={}", revs[2])).expect(200);
    assert_eq!(first.json()["fields"]["text"], "one");
    let diff = format!("/-/history/diff?path=/root/note&from={}&to={}", revs[2], revs[0]);
    let diff = client.get(&diff).expect(200).json();
    let text = json!({"at": "text", "before": "one", "after": "three"});
    assert!(diff["results"].as_array().unwrap().contains(&text), "{diff}");
    let open = client.get(&format!("/-/history/diff?path=/root/note&from={}", revs[2])).json();
    assert_eq!(open["count"], diff["count"]);

    let stale = json!({"path": "/root/note", "rev": revs[2], "base": revs[1]});
    client.post("/-/history/restore", &stale).expect(412);
    let body = json!({"path": "/root/note", "rev": revs[2], "base": revs[0]});
    let restored = client.post("/-/history/restore", &body).expect(200);
    assert_eq!(restored.json()["fields"]["text"], "one");
    assert!(restored.header("etag").is_some());
    assert_eq!(client.get("/root/note").json()["fields"]["text"], "one");
    assert_eq!(client.get("/-/history?path=/root/note").json()["count"], 4);
}

// rule: http/history
#[test]
fn a_version_shows_no_password_and_belongs_to_who_may_read() {
    let server = Server::start();
    let root = server.client();
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    let account = root.create("/root", "acc", "AccountInfo", json!({"password": "hush-hush"}));
    let rev = root.get("/-/history?path=/root/acc").json()["results"][0]["rev"].clone();
    assert_eq!(root.get("/root/acc").json()["fields"]["password"], "hush-hush");
    let was = root.get(&format!("/-/history/at?path=/root/acc&rev={rev}")).expect(200);
    assert!(!was.text().contains("hush-hush"), "{}", was.text());
    mika.get("/-/history?path=/root/acc").expect(403);
    mika.get(&format!("/-/history/at?path=/root/acc&rev={rev}")).expect(403);
    mika.post("/-/history/restore", &json!({"path": "/root/acc", "rev": rev})).expect(403);

    // What is gone is found by its number, by privileged users.
    let id = &account["id"];
    root.delete("/root/acc").expect(204);
    root.get("/-/history?path=/root/acc").expect(404);
    assert_eq!(root.get(&format!("/-/history?id={id}")).expect(200).json()["count"], 1);
    mika.get(&format!("/-/history?id={id}")).expect(404);
}

// rule: http/history
#[test]
fn what_is_missing_or_nonsense_is_named() {
    let server = Server::start();
    let client = server.client();
    for (path, field) in [
        ("/-/history", "path"),
        ("/-/history?path=x", "path"),
        ("/-/history?id=x", "id"),
        ("/-/history/at?path=/root", "rev"),
        ("/-/history/at?path=/root&rev=x", "rev"),
        ("/-/history/diff?path=/root&to=1", "from"),
    ] {
        let refused = client.get(path).expect(400);
        assert!(refused.json()[field][0].is_string(), "{path}: {}", refused.text());
    }
    client.get("/-/history?path=/root/gone").expect(404);
    client.get("/-/history/at?path=/root&rev=0").expect(404);
    for (body, field) in [
        (json!({}), "path"),
        (json!({"path": "/root"}), "rev"),
        (json!({"path": "/root", "rev": "x"}), "rev"),
        (json!({"path": "/root", "rev": 1, "base": -1}), "base"),
    ] {
        let refused = client.post("/-/history/restore", &body).expect(400);
        assert!(refused.json()[field][0].is_string(), "{body}: {}", refused.text());
    }
}
