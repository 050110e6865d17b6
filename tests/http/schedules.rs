//! Schedules and incidents over HTTP.

use serde_json::json;

use crate::support::Server;

// rule: http/schedules
#[test]
fn a_schedule_is_made_changed_found_and_deleted() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "job", "Jobflow", json!({"source": "print('x')"}));
    let body = json!({"name": "night", "job": "/root/job", "hour": 0, "minute": "30",
        "day_of_week": "mon-fri", "year": null, "parameters": ["'db01'"], "id": 99});
    let made = client.post("/scheduler", &body).expect(201);
    assert_eq!(made.header("location"), Some("/scheduler/id_1"));
    let row = made.json();
    let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "id",
            "abspath",
            "user",
            "scheduled_datetimes",
            "parameters",
            "name",
            "description",
            "year",
            "month",
            "day",
            "week",
            "day_of_week",
            "hour",
            "minute",
            "disabled",
            "job",
            "next_run_time"
        ]
    );
    assert_eq!(row["id"], 1);
    assert_eq!(row["user"], "root");
    assert_eq!((&row["hour"], &row["year"]), (&json!("0"), &json!("")));
    assert_eq!(row["scheduled_datetimes"].as_array().unwrap().len(), 10);
    assert_eq!(row["scheduled_datetimes"][0], row["next_run_time"]);
    assert_eq!(client.get("/scheduler/id_1").expect(200).json(), row);

    let off = client.patch("/scheduler/id_1", &json!({"disabled": true})).expect(200).json();
    assert_eq!(off["scheduled_datetimes"], json!([]));
    assert_eq!(off["next_run_time"], json!(null));
    assert_eq!(off["minute"], "30");
    // A replacement forgets what it does not name.
    client.put("/scheduler/id_1", &json!({"job": "/root/job"})).expect(400);
    let put = json!({"name": "day", "job": "/root/job", "hour": "12"});
    let row = client.put("/scheduler/id_1", &put).expect(200).json();
    assert_eq!((&row["minute"], &row["parameters"]), (&json!(""), &json!([])));
    assert_eq!(row["disabled"], false);

    client.post("/scheduler", &json!({"name": "none", "job": "/root/job"})).expect(400);
    client.post(
        "/scheduler",
        &json!({"name": "other", "job": "/root/job", "hour": "3", "disabled": true}),
    );
    for (query, count) in [
        ("", 2),
        ("name=day", 1),
        ("hour__contains=1", 1),
        ("disabled=true", 1),
        ("disabled=0", 1),
        ("job=/root/job&user=root", 2),
        ("name__icontains=OTH", 1),
    ] {
        let list = client.get(&format!("/scheduler?{query}")).expect(200).json();
        assert_eq!(list["count"], count, "{query}");
    }
    let list = client.get("/scheduler?order_by=-name&attrs=name").json();
    assert_eq!(list["results"], json!([{"name": "other"}, {"name": "day"}]));
    client.get("/scheduler?hour__gt=1").expect(400);
    client.get("/scheduler?colour=1").expect(400);
    client.delete("/scheduler/id_1").expect(204);
    client.delete("/scheduler/id_1").expect(404);
    client.delete("/scheduler").expect(405);
    client.post("/scheduler/id_2", &json!({})).expect(405);
}

// rule: http/schedules
#[test]
fn bad_schedules_are_refused_by_field() {
    let server = Server::start();
    let client = server.client();
    client.create("/root", "job", "Jobflow", json!({"source": "print('x')"}));
    client.create("/root", "text", "Text", json!({"text": "x"}));
    let good = json!({"name": "n", "job": "/root/job", "hour": "1"});
    for (change, field) in [
        (json!({"name": null}), "name"),
        (json!({"job": null}), "job"),
        (json!({"job": "/root/gone"}), "job"),
        (json!({"job": "/root/text"}), "job"),
        (json!({"hour": "25"}), "hour"),
        (json!({"minute": "x"}), "minute"),
        (json!({"month": "1-13"}), "month"),
        (json!({"day_of_week": "noday"}), "day_of_week"),
        (json!({"hour": ["1"]}), "hour"),
        (json!({"user": "nobody_here"}), "user"),
        (json!({"parameters": [1]}), "parameters"),
        (json!({"parameters": "x"}), "parameters"),
        (json!({"disabled": "maybe"}), "disabled"),
    ] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = client.post("/scheduler", &body).expect(400);
        assert!(refused.json()[field][0].is_string(), "{body}: {}", refused.text());
    }
    assert_eq!(client.get("/scheduler").json()["count"], 0);
    client.get("/scheduler/id_1").expect(404);
}

// rule: http/schedules, tree/special-visibility
#[test]
fn a_schedule_belongs_to_the_user_it_runs_as() {
    let server = Server::start();
    let root = server.client();
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    root.create("/root", "job", "Jobflow", json!({"source": "print('x')"}));
    mika.create("/home/mika", "job", "Jobflow", json!({"source": "print('x')"}));
    root.post("/scheduler", &json!({"name": "a", "job": "/root/job", "hour": "1"})).expect(201);
    let own = json!({"name": "b", "job": "/home/mika/job", "hour": "1"});
    assert_eq!(mika.post("/scheduler", &own).expect(201).json()["user"], "mika");
    assert_eq!(mika.get("/scheduler").json()["count"], 1);
    assert_eq!(root.get("/scheduler").json()["count"], 2);
    mika.get("/scheduler/id_1").expect(403);
    mika.patch("/scheduler/id_1", &json!({"name": "x"})).expect(403);
    mika.delete("/scheduler/id_1").expect(403);
    mika.patch("/scheduler/id_2", &json!({"user": "root"})).expect(403);
    // What is not changed may be sent back.
    let back = mika.get("/scheduler/id_2").json();
    assert_eq!(mika.put("/scheduler/id_2", &back).expect(200).json(), back);
}

// rule: http/incidents
#[test]
fn an_incident_is_worked_on_and_closed() {
    let server = Server::start();
    let root = server.client();
    let user = json!({"username": "mika", "password": "correct horse 8"});
    root.post("/config/user", &user).expect(201);
    let mika = root.with_token(server.stdout(&["token", "create", "mika"]).trim());
    let made = mika.post("/incident", &json!({"name": "db01 down", "device": "db01"})).expect(201);
    assert_eq!(made.header("location"), Some("/incident/id_1"));
    let row = made.json();
    assert_eq!((&row["owner"], &row["status"]), (&json!("mika"), &json!("OPENED")));
    assert_eq!((&row["worklogs"], &row["alerts"]), (&json!([]), &json!([])));
    root.patch("/incident/id_1", &json!({"status": "CLOSED"})).expect(200);
    let closed = mika.get("/incident/id_1").expect(200).json();
    assert!(closed["closed_date"].is_string());
    let again = mika.patch("/incident/id_1", &json!({"status": "WORKING"})).expect(200).json();
    assert_eq!(again["closed_date"], json!(null));

    let entry = json!({"description": "rebooted"});
    let entry = root.post("/incident/id_1.worklogs", &entry).expect(201).json();
    assert_eq!((&entry["id"], &entry["user"]), (&json!(1), &json!("root")));
    let named = json!({"user": "mika", "description": "looked at it"});
    mika.post("/incident/id_1.worklogs", &named).expect(201);
    let list = mika.get("/incident/id_1.worklogs?user=root").expect(200).json();
    assert_eq!((&list["count"], &list["results"][0]), (&json!(1), &entry));
    assert_eq!(mika.get("/incident/id_1").json()["worklogs"][0], entry);

    for (path, body, field) in [
        ("/incident", json!({}), "name"),
        ("/incident", json!({"name": "x", "status": "GONE"}), "status"),
        ("/incident", json!({"name": "x", "owner": "nobody_here"}), "owner"),
        ("/incident", json!({"name": "x", "device": 1}), "device"),
        ("/incident/id_1.worklogs", json!({}), "description"),
        ("/incident/id_1.worklogs", json!({"description": "x", "user": "gone"}), "user"),
    ] {
        let refused = root.post(path, &body).expect(400);
        assert!(refused.json()[field][0].is_string(), "{body}: {}", refused.text());
    }
    root.put("/incident/id_1", &json!({"device": "x"})).expect(400);
    let put = root.put("/incident/id_1", &json!({"name": "db02"})).expect(200).json();
    assert_eq!((&put["device"], &put["name"]), (&json!(""), &json!("db02")));
    root.post("/incident", &json!({"name": "second"})).expect(201);
    let list = mika.get("/incident?attrs=id").json();
    assert_eq!(list["results"], json!([{"id": 2}, {"id": 1}]), "newest first");
    assert_eq!(mika.get("/incident?status=WORKING&status=OPENED").json()["count"], 2);
    assert_eq!(mika.get("/incident?owner=mika").json()["count"], 1);
    mika.delete("/incident/id_2").expect(403);
    mika.delete("/incident/id_1").expect(204);
    mika.get("/incident/id_1").expect(404);
    mika.get("/incident/id_1.worklogs").expect(404);
}
