//! Who may do what: each endpoint, each verb, each kind of caller, against the committed table.
//!
//! `KOMPIRA_BLESS=1` writes `docs/permissions.md` anew; read the difference before committing it.

use std::fmt::Write as _;

use kompira::app::{self, Start};
use kompira::base::config::Config;
use kompira::http::Service;
use kompira::http::table::{ROWS, Verb};
use kompira::store::Durability;
use kompira::tree::special::TaskDraft;
use kompira_schema::tree::{Caller, Interface};
use serde_json::{Value as Json, json};

use crate::support::Client;

/// Who asks. `reader`, `writer` and `executor` have that right alone (the writer reads, too);
/// `owner` owns the thing; `admin` is in `wheel`.
const ROLES: [&str; 7] = ["nobody", "stranger", "reader", "writer", "executor", "owner", "admin"];
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/permissions.md");

struct Lab {
    service: Service,
    root: Client,
    clients: Vec<Client>,
    /// Number of the next thing that is made.
    next: u64,
}

/// A request.
struct Sample {
    path: String,
    body: Option<Json>,
}

impl Lab {
    fn new(service: &Service, url: &str) -> Self {
        let stranger = Client::new(url, None);
        let token = |name: &str| {
            let tree = &service.tree;
            let made = tree.write(&caller(0), Durability::Lazy, |txn| {
                let user = txn.user_by_name(name).expect("it was made").id;
                txn.create_token(user, "matrix")
            });
            made.unwrap().value.to_string()
        };
        let root = stranger.with_token(&token("root"));
        let mut clients = vec![stranger.clone()];
        for role in &ROLES[1..] {
            let groups = if *role == "admin" { json!(["wheel"]) } else { json!([]) };
            let name = format!("the_{role}");
            let user = json!({"username": name, "password": "correct horse 8", "groups": groups});
            root.post("/config/user", &user).expect(201);
            clients.push(stranger.with_token(&token(&name)));
        }
        let fields = json!({"extend": "kompira.extends", "fieldNames": ["files"],
            "fieldDisplayNames": ["Files"], "fieldTypes": ["Array<File>"]});
        root.create("/", "files_type", "TypeObject", fields);
        Self { service: service.clone(), root, clients, next: 0 }
    }

    fn owner(&self) -> &Client {
        &self.clients[5]
    }

    fn id_of(&self, role: &str) -> u64 {
        let user = self.service.tree.view().user_by_name(&format!("the_{role}"));
        user.expect("it was made").id.0
    }

    /// A fresh directory whose rights the roles have, and an object `x` in it.
    fn object(&mut self, kind: &str, fields: Json) -> String {
        self.next += 1;
        let rights = json!({
            "the_reader": {"readable": true, "writable": false, "executable": false},
            "the_writer": {"readable": true, "writable": true, "executable": false},
            "the_executor": {"readable": false, "writable": false, "executable": true},
            "the_owner": {"readable": true, "writable": true, "executable": true},
        });
        let dir = format!("m{}", self.next);
        for (parent, name, kind, fields) in [
            ("/".to_owned(), dir.as_str(), "Directory", json!({})),
            (format!("/{dir}"), "x", kind, fields),
        ] {
            let body = json!({
                "name": name,
                "type_object": if kind.starts_with('/') {
                    kind.to_owned()
                } else {
                    format!("/system/types/{kind}")
                },
                "fields": fields,
                "owner": "the_owner",
                "user_permissions": rights,
                "group_permissions": {},
            });
            self.root.post(&parent, &body).expect(201);
        }
        format!("/{dir}/x")
    }

    fn text(&mut self) -> String {
        self.object("Text", json!({"text": "x", "ext": "txt", "contentType": "text/plain"}))
    }

    /// A process of the owner that has ended.
    fn process(&mut self) -> String {
        let job = self.object("Jobflow", json!({"source": "print('x')"}));
        let path = self.owner().post(&format!("{job}.execute"), &json!({})).expect(200).json();
        let path = path.as_str().unwrap().to_owned();
        self.owner().post(&format!("{path}.wait"), &json!({"timeout": 30})).expect(200);
        path
    }

    fn schedule(&mut self) -> String {
        let job = self.object("Jobflow", json!({"source": "print('x')"}));
        let body = json!({"name": "s", "job": job, "hour": "1", "disabled": true});
        self.owner().post("/scheduler", &body).expect(201).json()["abspath"]
            .as_str()
            .unwrap()
            .into()
    }

    fn incident(&self) -> String {
        let made = self.owner().post("/incident", &json!({"name": "i"})).expect(201).json();
        made["abspath"].as_str().unwrap().into()
    }

    /// A task of the owner that is assigned to the writer.
    fn task(&self) -> String {
        let draft = || TaskDraft {
            name: "t".into(),
            title: "t".into(),
            message: "t".into(),
            action_text: None,
            assigned_users: vec![kompira_schema::id::UserId(self.id_of("writer"))],
            assigned_groups: Vec::new(),
        };
        let who = caller(self.id_of("owner"));
        let made = self.service.tree.write(&who, Durability::Lazy, |txn| txn.create_task(draft()));
        format!("/task/id_{}", made.unwrap().value)
    }

    fn victim(&mut self) -> (String, String) {
        self.next += 1;
        let name = format!("victim{}", self.next);
        let user = json!({"username": name, "password": "correct horse 8"});
        let made = self.root.post("/config/user", &user).expect(201).json();
        (made["abspath"].as_str().unwrap().into(), name)
    }

    fn group(&mut self) -> String {
        self.next += 1;
        let body = json!({"name": format!("group{}", self.next)});
        let made = self.root.post("/config/group", &body).expect(201).json();
        made["abspath"].as_str().unwrap().into()
    }

    /// A request for an operation, on things of its own. An operation without one here has no row
    /// in the table of rights, and this test fails.
    fn sample(&mut self, verb: &Verb) -> Option<Sample> {
        let at = |path: String| Some(Sample { path, body: None });
        let with = |path: String, body: Json| Some(Sample { path, body: Some(body) });
        let parent = |path: &str| path.trim_end_matches("/x").to_owned();
        match verb.name {
            "listProcesses" => at("/process".into()),
            "getProcess" | "deleteProcess" => at(self.process()),
            "setProcessModes" => with(self.process(), json!({"step_mode": true})),
            "listProcessChildren" => at(self.process() + ".children"),
            "terminateProcess" => at(self.process() + ".terminate"),
            "suspendProcess" => at(self.process() + ".suspend"),
            "resumeProcess" => at(self.process() + ".resume"),
            "waitForProcess" => at(self.process() + ".wait"),
            "console" => at(self.process().replace("/process/id_", "/-/console/")),
            "trace" => at(self.process().replace("/process/id_", "/-/trace/")),
            "listSchedules" => at("/scheduler".into()),
            "createSchedule" => {
                let job = self.object("Jobflow", json!({"source": "print('x')"}));
                with("/scheduler".into(), json!({"name": "s", "job": job, "hour": "1"}))
            }
            "getSchedule" | "deleteSchedule" => at(self.schedule()),
            "replaceSchedule" => {
                let path = self.schedule();
                let body = self.owner().get(&path).expect(200).json();
                with(path, body)
            }
            "changeSchedule" => with(self.schedule(), json!({"description": "y"})),
            "listIncidents" => at("/incident".into()),
            "createIncident" => with("/incident".into(), json!({"name": "i"})),
            "getIncident" | "deleteIncident" => at(self.incident()),
            "replaceIncident" | "changeIncident" => with(self.incident(), json!({"name": "j"})),
            "listWorklogs" => at(self.incident() + ".worklogs"),
            "addWorklog" => with(self.incident() + ".worklogs", json!({"description": "y"})),
            "listTasks" => at("/task".into()),
            "getTask" | "deleteTask" => at(self.task()),
            "cancelTask" => at(self.task() + ".cancel"),
            "submitTask" => at(self.task() + ".submit"),
            "listUsers" => at("/config/user".into()),
            "createUser" => {
                self.next += 1;
                let name = format!("made{}", self.next);
                let body = json!({"username": name, "password": "correct horse 8"});
                with("/config/user".into(), body)
            }
            "getUser" => at(format!("/config/user/id_{}", self.id_of("owner"))),
            "replaceUser" => {
                let path = format!("/config/user/id_{}", self.id_of("owner"));
                let mut body = self.root.get(&path).expect(200).json();
                body["password"] = json!("correct horse 8");
                with(path, body)
            }
            "changeUser" => {
                let path = format!("/config/user/id_{}", self.id_of("owner"));
                with(path, json!({"first_name": "O"}))
            }
            "deleteUser" => at(self.victim().0),
            "listGroups" => at("/config/group".into()),
            "createGroup" => {
                self.next += 1;
                with("/config/group".into(), json!({"name": format!("made{}", self.next)}))
            }
            "getGroup" | "deleteGroup" => at(self.group()),
            "replaceGroup" | "changeGroup" => {
                self.next += 1;
                with(self.group(), json!({"name": format!("made{}", self.next)}))
            }
            "health" => at("/-/health".into()),
            "healthLive" => at("/-/health/live".into()),
            "healthReady" => at("/-/health/ready".into()),
            "healthActive" => at("/-/health/active".into()),
            "phrases" => at("/.jsi18n.js".into()),
            "openapi" => at("/-/openapi.json".into()),
            "metrics" => at("/-/metrics".into()),
            "status" => at("/-/status".into()),
            "changes" => at("/-/changes".into()),
            "listReferrers" => at(format!("/-/refs?path={}", self.text())),
            "listCandidates" => at(format!("/-/candidates?path={}&field=context", self.text())),
            "orderProcesses" => {
                let count = json!({"operation": "count", "count": 0});
                with("/-/processes".into(), count)
            }
            "batch" => {
                let change = json!({"method": "PATCH", "path": self.text(), "body": {"fields": {"text": "y"}}});
                with("/-/batch".into(), json!({"operations": [change]}))
            }
            "listRevisions" => at(format!("/-/history?path={}", self.text())),
            "getRevision" | "diff" | "restoreRevision" => {
                let path = self.text();
                let list = self.root.get(&format!("/-/history?path={path}")).expect(200).json();
                let rev = &list["results"][0]["rev"];
                match verb.name {
                    "getRevision" => at(format!("/-/history/at?path={path}&rev={rev}")),
                    "diff" => at(format!("/-/history/diff?path={path}&from={rev}")),
                    _ => with("/-/history/restore".into(), json!({"path": path, "rev": rev})),
                }
            }
            "login" => with(
                "/-/login".into(),
                json!({"username": "the_owner", "password": "correct horse 8"}),
            ),
            "logout" => at("/-/logout".into()),
            "createToken" | "revokeTokens" => {
                let path = if verb.name == "createToken" { "/-/token" } else { "/-/token/revoke" };
                with(path.into(), json!({"user": self.victim().1}))
            }
            "fsck" => with("/-/fsck".into(), json!({})),
            "backup" => at("/-/backup".into()),
            "restore" => with("/-/restore".into(), json!({"archive": "/nowhere/a.zip"})),
            "exportDir" => with("/-/export-dir".into(), json!({"directory": "/nowhere"})),
            "importDir" => with("/-/import-dir".into(), json!({"directory": "/nowhere"})),
            "getObject" | "deleteObject" => at(self.text()),
            "createObject" => {
                let path = parent(&self.text());
                with(path, json!({"name": "y", "type_object": "/system/types/Text"}))
            }
            "replaceObject" => {
                let path = self.text();
                let mut body = self.root.get(&path).expect(200).json();
                body["fields"]["text"] = json!("y");
                with(path, body)
            }
            "changeObject" => with(self.text(), json!({"fields": {"text": "y"}})),
            "listChildren" => at(parent(&self.text()) + ".children"),
            "listDescendants" => at(parent(&self.text()) + ".descendant"),
            "execute" => at(self.object("Jobflow", json!({"source": "print('x')"})) + ".execute"),
            "callLibrary" => {
                let source = "def f():\n    return 1\n";
                let fields = json!({"libraryType": "safe_source", "sourceText": source});
                let call = json!({"jsonrpc": "2.0", "method": "f", "id": 1});
                with(self.object("Library", fields) + ".jsonrpc", call)
            }
            "submitForm" => {
                let channel = self.object("Channel", json!({}));
                at(self.object("Form", json!({"submitObject": channel})) + ".submit")
            }
            // Permitted, but without an address: no git is run here.
            "initializeRepository" => at(self.object("Repository", json!({})) + ".initialize"),
            "pushRepository" => at(self.object("Repository", json!({})) + ".push"),
            "pullRepository" => at(self.object("Repository", json!({})) + ".pull"),
            "authorizeAccount" => at(self.object("SmtpServer", json!({})) + ".authorize"),
            "clearTokens" => at(self.object("SmtpServer", json!({})) + ".authorize"),
            // Nobody is known by that.
            "endApproval" => at("/-/oauth2?state=x&code=y".into()),
            "send" => with(self.object("Channel", json!({})) + ".send", json!("m")),
            "recv" => {
                let path = self.object("Channel", json!({}));
                self.root.post(&format!("{path}.send"), &json!("m")).expect(200);
                at(path + ".recv")
            }
            "renameObject" => with(self.text() + ".rename", json!({"name": "z"})),
            "moveObject" | "copyObject" => {
                let (object, target) = (self.text(), parent(&self.text()));
                let word = if verb.name == "moveObject" { "move" } else { "copy" };
                with(format!("{target}.{word}"), json!({"object": object, "name": "z"}))
            }
            "getAttachment" | "putAttachment" | "deleteAttachment" => {
                let fields = json!({"attached1": {"name": "f", "data": "eA=="}});
                at(self.object("AttachedFile", fields) + ".attachments/attached1")
            }
            "getAttachmentElement" | "putAttachmentElement" | "deleteAttachmentElement" => {
                let path =
                    self.object("/files_type", json!({"files": [{"name": "f", "data": "eA=="}]}));
                at(path + ".attachments/files/0")
            }
            "render" => at(self.text() + ".txt"),
            _ => None,
        }
    }

    fn status(&mut self, verb: &Verb, role: usize) -> u16 {
        let Some(sample) = self.sample(verb) else {
            panic!("the operation {} has no sample in tests/http/matrix.rs", verb.name);
        };
        let text = sample.body.map(|body| body.to_string()).unwrap_or_default();
        let json = [("Content-Type", "application/json")];
        let word = verb.act.word();
        self.clients[role].head(word, &sample.path, &json, text.as_bytes()).status
    }
}

/// A user as the engine acts for it; 0 is nobody, `root` has number 1.
fn caller(user: u64) -> Caller {
    Caller {
        user: kompira_schema::id::UserId(if user == 0 { 1 } else { user }),
        interface: Interface::Mng,
        remote: None,
        process: None,
        request: "matrix".into(),
        exec: None,
    }
}

// rule: http/permissions
#[test]
fn everybody_may_what_the_committed_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = Config::new(None, &[]).unwrap();
    let start = Start {
        listen: vec!["127.0.0.1:0".into()],
        log: dir.path().join("log"),
        ..Start::configured(&dir.path().join("data"), &config)
    };
    let running = match runtime.block_on(app::start(start)) {
        Ok(running) => running,
        Err(error) => panic!("{error:?}"),
    };
    let url = format!("http://{}", running.addresses()[0]);
    let mut lab = Lab::new(running.service(), &url);
    let mut table = String::from(
        "# Who may do what\n\n\
         The status of each request for each kind of caller, found by asking a server; \
         `tests/http/matrix.rs` makes this page and compares. `reader` and `executor` have that \
         right on the thing alone, `writer` writes and reads, `owner` owns it, `admin` is in \
         `wheel`. A task is assigned to the writer. 2xx: done; 401: not logged in; 403: not \
         permitted; 404: not shown.\n\n",
    );
    let _ = writeln!(table, "| Request | {} |", ROLES.join(" | "));
    let _ = writeln!(table, "|---|{}", "---|".repeat(ROLES.len()));
    for row in ROWS {
        for verb in row.verbs {
            let statuses: Vec<String> =
                (0..ROLES.len()).map(|role| lab.status(verb, role).to_string()).collect();
            let request = format!("`{} {}`", verb.act.word(), row.path);
            let _ = writeln!(table, "| {request} | {} |", statuses.join(" | "));
        }
    }
    drop(lab);
    runtime.block_on(running.stop());
    if std::env::var_os("KOMPIRA_BLESS").is_some() {
        std::fs::write(COMMITTED, &table).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    for (found, wanted) in table.lines().zip(committed.lines()) {
        assert_eq!(found, wanted);
    }
    assert!(table == committed, "docs/permissions.md has other rows: see tests/http/matrix.rs");
}
