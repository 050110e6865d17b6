//! The rows of the table.

use super::{Act, Gives, Need, Resource, Row, Takes, Verb};

const ATTRS: &[&str] = &["attrs"];
/// What lists of objects take; filters come besides.
const OBJECTS: &[&str] = &["page", "page_size", "attrs", "order_by", "after", "explain", "search"];
/// What every list takes; filters come besides.
const LIST: &[&str] = &["page", "page_size", "attrs", "order_by"];
const READ: Need = Need::Right("read");
const WRITE: Need = Need::Right("write");
const EXECUTE: Need = Need::Right("execute");
const MINE: Need = Need::Right("owner");

const fn verb(act: Act, name: &'static str, says: &'static str, need: Need) -> Verb {
    Verb {
        act,
        name,
        says,
        takes: Takes::Nothing,
        status: 200,
        gives: Gives::Nothing,
        need,
        query: &[],
    }
}

impl Verb {
    const fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    const fn gives(mut self, status: u16, gives: Gives) -> Self {
        self.status = status;
        self.gives = gives;
        self
    }

    const fn query(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }
}

const fn get(name: &'static str, says: &'static str, schema: &'static str, need: Need) -> Verb {
    verb(Act::Get, name, says, need).gives(200, Gives::Json(schema)).query(ATTRS)
}

const fn list(name: &'static str, says: &'static str, schema: &'static str, need: Need) -> Verb {
    verb(Act::Get, name, says, need).gives(200, Gives::List(schema)).query(LIST)
}

const fn post(name: &'static str, says: &'static str, need: Need) -> Verb {
    verb(Act::Post, name, says, need)
}

const fn change(act: Act, name: &'static str, schema: &'static str, need: Need) -> Verb {
    let says = if matches!(act, Act::Put) { "Replace it" } else { "Change what is named" };
    verb(act, name, says, need)
        .takes(Takes::Json(schema))
        .gives(200, Gives::Json(schema))
        .query(ATTRS)
}

const fn delete(name: &'static str, need: Need) -> Verb {
    verb(Act::Delete, name, "Delete it", need).gives(204, Gives::Nothing)
}

/// Every endpoint. Rows with a word come before those with a brace in its place.
pub static ROWS: &[Row] = &[
    // --- virtual collections ------------------------------------------------------------------
    Row {
        resource: Resource::Processes,
        path: "/process",
        tag: "processes",
        raw: false,
        verbs: &[list(
            "listProcesses",
            "The caller's processes; all for privileged users",
            "Process",
            Need::Login,
        )],
    },
    Row {
        resource: Resource::Process,
        path: "/process/id_{id}",
        tag: "processes",
        raw: false,
        verbs: &[
            get("getProcess", "A process", "Process", MINE),
            verb(Act::Patch, "setProcessModes", "Change its modes", MINE)
                .takes(Takes::Json("ProcessModes"))
                .gives(200, Gives::Json("Process")),
            delete("deleteProcess", MINE),
        ],
    },
    Row {
        resource: Resource::ProcessChildren,
        path: "/process/id_{id}.children",
        tag: "processes",
        raw: false,
        verbs: &[list("listProcessChildren", "Processes that it forked", "Process", MINE)],
    },
    Row {
        resource: Resource::Terminate,
        path: "/process/id_{id}.terminate",
        tag: "processes",
        raw: false,
        verbs: &[post("terminateProcess", "End it and its children", MINE)
            .gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Suspend,
        path: "/process/id_{id}.suspend",
        tag: "processes",
        raw: false,
        verbs: &[post("suspendProcess", "Pause it and its children", MINE)
            .gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Resume,
        path: "/process/id_{id}.resume",
        tag: "processes",
        raw: false,
        verbs: &[post("resumeProcess", "Continue it and its children", MINE)
            .takes(Takes::MaybeJson("ProcessResume"))
            .gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Wait,
        path: "/process/id_{id}.wait",
        tag: "processes",
        raw: false,
        verbs: &[post("waitForProcess", "Wait for its end", MINE)
            .takes(Takes::MaybeJson("Timeout"))
            .gives(200, Gives::Json("Process"))
            .query(ATTRS)],
    },
    Row {
        resource: Resource::Schedules,
        path: "/scheduler",
        tag: "schedules",
        raw: false,
        verbs: &[
            list(
                "listSchedules",
                "The caller's schedules; all for privileged users",
                "Schedule",
                Need::Login,
            ),
            post("createSchedule", "Create a schedule", Need::Login)
                .takes(Takes::Json("Schedule"))
                .gives(201, Gives::Json("Schedule")),
        ],
    },
    Row {
        resource: Resource::Schedule,
        path: "/scheduler/id_{id}",
        tag: "schedules",
        raw: false,
        verbs: &[
            get("getSchedule", "A schedule", "Schedule", MINE),
            change(Act::Put, "replaceSchedule", "Schedule", MINE),
            change(Act::Patch, "changeSchedule", "Schedule", MINE),
            delete("deleteSchedule", MINE),
        ],
    },
    Row {
        resource: Resource::Incidents,
        path: "/incident",
        tag: "incidents",
        raw: false,
        verbs: &[
            list("listIncidents", "All incidents", "Incident", Need::Login),
            post("createIncident", "Create an incident", Need::Login)
                .takes(Takes::Json("Incident"))
                .gives(201, Gives::Json("Incident")),
        ],
    },
    Row {
        resource: Resource::Incident,
        path: "/incident/id_{id}",
        tag: "incidents",
        raw: false,
        verbs: &[
            get("getIncident", "An incident", "Incident", Need::Login),
            change(Act::Put, "replaceIncident", "Incident", Need::Login),
            change(Act::Patch, "changeIncident", "Incident", Need::Login),
            delete("deleteIncident", MINE),
        ],
    },
    Row {
        resource: Resource::Worklogs,
        path: "/incident/id_{id}.worklogs",
        tag: "incidents",
        raw: false,
        verbs: &[
            list("listWorklogs", "What was done about it", "Worklog", Need::Login),
            post("addWorklog", "Say what was done", Need::Login)
                .takes(Takes::Json("WorklogNew"))
                .gives(201, Gives::Json("Worklog")),
        ],
    },
    Row {
        resource: Resource::Tasks,
        path: "/task",
        tag: "tasks",
        raw: false,
        verbs: &[list(
            "listTasks",
            "Tasks that the caller owns or may answer; all for privileged users",
            "Task",
            Need::Login,
        )],
    },
    Row {
        resource: Resource::Task,
        path: "/task/id_{id}",
        tag: "tasks",
        raw: false,
        verbs: &[get("getTask", "A task", "Task", MINE), delete("deleteTask", MINE)],
    },
    Row {
        resource: Resource::Cancel,
        path: "/task/id_{id}.cancel",
        tag: "tasks",
        raw: false,
        verbs: &[post("cancelTask", "Refuse it", MINE).gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Submit,
        path: "/task/id_{id}.submit",
        tag: "tasks",
        raw: false,
        verbs: &[post("submitTask", "Answer it", MINE)
            .takes(Takes::MaybeJson("Answer"))
            .gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Users,
        path: "/config/user",
        tag: "users",
        raw: false,
        verbs: &[
            list("listUsers", "All users", "User", Need::Login),
            post("createUser", "Create a user and its home", Need::Privilege)
                .takes(Takes::Json("User"))
                .gives(201, Gives::Json("User")),
        ],
    },
    Row {
        resource: Resource::User,
        path: "/config/user/id_{id}",
        tag: "users",
        raw: false,
        verbs: &[
            get("getUser", "A user", "User", Need::Login),
            change(Act::Put, "replaceUser", "User", MINE),
            change(Act::Patch, "changeUser", "User", MINE),
            delete("deleteUser", Need::Privilege),
        ],
    },
    Row {
        resource: Resource::Groups,
        path: "/config/group",
        tag: "groups",
        raw: false,
        verbs: &[
            list("listGroups", "All groups", "Group", Need::Login),
            post("createGroup", "Create a group", Need::Privilege)
                .takes(Takes::Json("Group"))
                .gives(201, Gives::Json("Group")),
        ],
    },
    Row {
        resource: Resource::Group,
        path: "/config/group/id_{id}",
        tag: "groups",
        raw: false,
        verbs: &[
            get("getGroup", "A group", "Group", Need::Login),
            change(Act::Put, "replaceGroup", "Group", Need::Privilege),
            change(Act::Patch, "changeGroup", "Group", Need::Privilege),
            delete("deleteGroup", Need::Privilege),
        ],
    },
    // --- services -----------------------------------------------------------------------------
    Row {
        resource: Resource::Health,
        path: "/-/health",
        tag: "service",
        raw: true,
        verbs: &[get("health", "The same as ready", "Health", Need::Nobody)],
    },
    Row {
        resource: Resource::Authorized,
        path: "/-/oauth2",
        tag: "mail accounts",
        raw: false,
        verbs: &[verb(
            Act::Get,
            "endApproval",
            "Where an OAuth2 provider sends a browser back to",
            Need::Nobody,
        )
        .gives(200, Gives::Json("Approval"))
        .query(&["state", "code", "error"])],
    },
    Row {
        resource: Resource::HealthLive,
        path: "/-/health/live",
        tag: "service",
        raw: true,
        verbs: &[get("healthLive", "Whether the program runs", "Health", Need::Nobody)],
    },
    Row {
        resource: Resource::HealthReady,
        path: "/-/health/ready",
        tag: "service",
        raw: true,
        verbs: &[get("healthReady", "Whether requests are welcome", "Health", Need::Nobody)],
    },
    Row {
        resource: Resource::HealthActive,
        path: "/-/health/active",
        tag: "service",
        raw: true,
        verbs: &[get("healthActive", "Whether this one of several serves", "Health", Need::Nobody)],
    },
    Row {
        resource: Resource::Phrases,
        path: "/.jsi18n.js",
        tag: "service",
        raw: true,
        verbs: &[verb(Act::Get, "phrases", "Texts of the product for scripts", Need::Nobody)
            .gives(200, Gives::Bytes("text/javascript"))
            .query(&["lang"])],
    },
    Row {
        resource: Resource::Description,
        path: "/-/openapi.json",
        tag: "service",
        raw: true,
        verbs: &[verb(Act::Get, "openapi", "This description", Need::Login)
            .gives(200, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::Metrics,
        path: "/-/metrics",
        tag: "service",
        raw: true,
        verbs: &[verb(Act::Get, "metrics", "Counters and gauges", Need::Privilege)
            .gives(200, Gives::Bytes("application/openmetrics-text"))],
    },
    Row {
        resource: Resource::Batch,
        path: "/-/batch",
        tag: "objects",
        raw: true,
        verbs: &[post("batch", "Several changes of objects in one commit", WRITE)
            .takes(Takes::Json("Batch"))
            .gives(200, Gives::Json("Batched"))],
    },
    Row {
        resource: Resource::History,
        path: "/-/history",
        tag: "history",
        raw: true,
        verbs: &[verb(Act::Get, "listRevisions", "Versions of an object, newest first", READ)
            .gives(200, Gives::List("Revision"))
            .query(&["path", "id", "page", "page_size", "attrs"])],
    },
    Row {
        resource: Resource::HistoryAt,
        path: "/-/history/at",
        tag: "history",
        raw: true,
        verbs: &[verb(Act::Get, "getRevision", "An object as it was", READ)
            .gives(200, Gives::Json("Object"))
            .query(&["path", "id", "rev", "attrs"])],
    },
    Row {
        resource: Resource::HistoryDiff,
        path: "/-/history/diff",
        tag: "history",
        raw: true,
        verbs: &[verb(Act::Get, "diff", "In what two versions differ", READ)
            .gives(200, Gives::List("Difference"))
            .query(&["path", "id", "from", "to", "page", "page_size"])],
    },
    Row {
        resource: Resource::HistoryRestore,
        path: "/-/history/restore",
        tag: "history",
        raw: true,
        verbs: &[post("restoreRevision", "Take back an earlier version", WRITE)
            .takes(Takes::Json("Restore"))
            .gives(200, Gives::Json("Object"))
            .query(ATTRS)],
    },
    Row {
        resource: Resource::Status,
        path: "/-/status",
        tag: "service",
        raw: true,
        verbs: &[get("status", "What runs here", "Any", Need::Privilege)],
    },
    Row {
        resource: Resource::Refs,
        path: "/-/refs",
        tag: "service",
        raw: true,
        verbs: &[
            get("listReferrers", "Who refers to an object", "Any", Need::Login).query(&["path"])
        ],
    },
    Row {
        resource: Resource::Candidates,
        path: "/-/candidates",
        tag: "objects",
        raw: true,
        verbs: &[verb(Act::Get, "listCandidates", "What a field offers to choose from", READ)
            .gives(200, Gives::List("Any"))
            .query(&[
                "path",
                "type",
                "field",
                "setting",
                "page",
                "page_size",
                "attrs",
                "order_by",
            ])],
    },
    Row {
        resource: Resource::Console,
        path: "/-/console/{number}",
        tag: "processes",
        raw: true,
        verbs: &[verb(Act::Get, "console", "The console of a process", MINE)
            .gives(200, Gives::Bytes("text/plain"))
            .query(&["from", "follow"])],
    },
    Row {
        resource: Resource::Trace,
        path: "/-/trace/{number}",
        tag: "processes",
        raw: false,
        verbs: &[verb(Act::Get, "trace", "The recorded steps of a process", MINE)
            .gives(200, Gives::Json("Trace"))
            .query(&["after"])],
    },
    Row {
        resource: Resource::ProcessCommand,
        path: "/-/processes",
        tag: "processes",
        raw: true,
        verbs: &[post("orderProcesses", "One order for many processes", Need::Login)
            .takes(Takes::Json("Order"))
            .gives(200, Gives::Json("Ordered"))],
    },
    Row {
        resource: Resource::Changes,
        path: "/-/changes",
        tag: "service",
        raw: true,
        verbs: &[verb(Act::Get, "changes", "What changes, as it changes", Need::Login)
            .gives(200, Gives::Bytes("text/event-stream"))
            .query(&["from"])],
    },
    Row {
        resource: Resource::Login,
        path: "/-/login",
        tag: "login",
        raw: true,
        verbs: &[post("login", "Log in from a browser", Need::Nobody)
            .takes(Takes::Json("Login"))
            .gives(200, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::Logout,
        path: "/-/logout",
        tag: "login",
        raw: true,
        verbs: &[
            post("logout", "End the login of the cookie", Need::Login).gives(204, Gives::Nothing)
        ],
    },
    Row {
        resource: Resource::Token,
        path: "/-/token",
        tag: "login",
        raw: true,
        verbs: &[post("createToken", "Make an API token", Need::Privilege)
            .takes(Takes::Json("TokenOf"))
            .gives(201, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::TokenRevoke,
        path: "/-/token/revoke",
        tag: "login",
        raw: true,
        verbs: &[post("revokeTokens", "End all tokens of a user", Need::Privilege)
            .takes(Takes::Json("TokenOf"))
            .gives(200, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::Fsck,
        path: "/-/fsck",
        tag: "service",
        raw: true,
        verbs: &[post("fsck", "Check the store", Need::Privilege)
            .takes(Takes::MaybeJson("Any"))
            .gives(200, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::Backup,
        path: "/-/backup",
        tag: "service",
        raw: true,
        verbs: &[post("backup", "The archive of this moment", Need::Privilege)
            .gives(200, Gives::Bytes("application/zip"))],
    },
    Row {
        resource: Resource::Restore,
        path: "/-/restore",
        tag: "service",
        raw: true,
        verbs: &[post("restore", "Restore an archive", Need::Owner)
            .takes(Takes::Json("Any"))
            .gives(200, Gives::Bytes("application/x-ndjson"))],
    },
    Row {
        resource: Resource::ExportDir,
        path: "/-/export-dir",
        tag: "service",
        raw: true,
        verbs: &[post("exportDir", "Write objects as files", Need::Owner)
            .takes(Takes::Json("Any"))
            .gives(200, Gives::Bytes("application/x-ndjson"))],
    },
    Row {
        resource: Resource::ImportDir,
        path: "/-/import-dir",
        tag: "service",
        raw: true,
        verbs: &[post("importDir", "Read objects from files", Need::Owner)
            .takes(Takes::Json("Any"))
            .gives(200, Gives::Bytes("application/x-ndjson"))],
    },
    // --- objects ------------------------------------------------------------------------------
    Row {
        resource: Resource::Object,
        path: "/{path}",
        tag: "objects",
        raw: false,
        verbs: &[
            get("getObject", "An object", "Object", READ),
            post("createObject", "Create an object in a Directory or Table", WRITE)
                .takes(Takes::Json("ObjectNew"))
                .gives(201, Gives::Json("Object"))
                .query(ATTRS),
            change(Act::Put, "replaceObject", "Object", WRITE),
            change(Act::Patch, "changeObject", "Object", WRITE),
            delete("deleteObject", WRITE),
        ],
    },
    Row {
        resource: Resource::Children,
        path: "/{path}.children",
        tag: "objects",
        raw: false,
        verbs: &[list("listChildren", "What is directly below", "Object", READ).query(OBJECTS)],
    },
    Row {
        resource: Resource::Descendant,
        path: "/{path}.descendant",
        tag: "objects",
        raw: false,
        verbs: &[list("listDescendants", "All that is below", "Object", READ).query(OBJECTS)],
    },
    Row {
        resource: Resource::Execute,
        path: "/{path}.execute",
        tag: "execution",
        raw: false,
        verbs: &[post("execute", "Start a jobflow or script job", EXECUTE)
            .takes(Takes::MaybeJson("Execute"))
            .gives(200, Gives::Json("Text"))],
    },
    Row {
        resource: Resource::SubmitForm,
        path: "/{path}.submit",
        tag: "execution",
        raw: false,
        verbs: &[post("submitForm", "Submit a form, or selected rows of a table", READ)
            .takes(Takes::MaybeJson("Submission"))
            .gives(200, Gives::Json("Submitted"))],
    },
    Row {
        resource: Resource::JsonRpc,
        path: "/{path}.jsonrpc",
        tag: "execution",
        raw: false,
        verbs: &[post("callLibrary", "Call functions of a safe library by JSON-RPC 2.0", EXECUTE)
            .takes(Takes::Json("Calls"))
            .gives(200, Gives::Json("Called"))],
    },
    Row {
        resource: Resource::Initialize,
        path: "/{path}.initialize",
        tag: "repositories",
        raw: false,
        verbs: &[post("initializeRepository", "Clone a repository and import it", WRITE)
            .takes(Takes::MaybeJson("Initialize"))
            .gives(200, Gives::Json("Synchronised"))],
    },
    Row {
        resource: Resource::Push,
        path: "/{path}.push",
        tag: "repositories",
        raw: false,
        verbs: &[post("pushRepository", "Export, commit and push", WRITE)
            .takes(Takes::MaybeJson("Push"))
            .gives(200, Gives::Json("Synchronised"))],
    },
    Row {
        resource: Resource::Pull,
        path: "/{path}.pull",
        tag: "repositories",
        raw: false,
        verbs: &[post("pullRepository", "Pull and import", WRITE)
            .takes(Takes::MaybeJson("Pull"))
            .gives(200, Gives::Json("Synchronised"))],
    },
    Row {
        resource: Resource::Authorize,
        path: "/{path}.authorize",
        tag: "mail accounts",
        raw: false,
        verbs: &[
            post("authorizeAccount", "Begin or end the approval of an OAuth2 account", WRITE)
                .takes(Takes::MaybeJson("Authorize"))
                .gives(200, Gives::Json("Approval")),
            delete("clearTokens", WRITE),
        ],
    },
    Row {
        resource: Resource::Send,
        path: "/{path}.send",
        tag: "channels",
        raw: false,
        verbs: &[post("send", "Send a message to a channel", WRITE)
            .takes(Takes::MaybeJson("Any"))
            .gives(200, Gives::Json("Truth"))],
    },
    Row {
        resource: Resource::Recv,
        path: "/{path}.recv",
        tag: "channels",
        raw: false,
        verbs: &[post("recv", "Take a message from a channel", Need::Right("read and write"))
            .takes(Takes::MaybeJson("Timeout"))
            .gives(200, Gives::Json("Any"))],
    },
    Row {
        resource: Resource::Rename,
        path: "/{path}.rename",
        tag: "objects",
        raw: false,
        verbs: &[post("renameObject", "Give it another name", WRITE)
            .takes(Takes::Json("Relocate"))
            .gives(200, Gives::Json("Object"))],
    },
    Row {
        resource: Resource::Move,
        path: "/{path}.move",
        tag: "objects",
        raw: false,
        verbs: &[post("moveObject", "Move an object into this container", WRITE)
            .takes(Takes::Json("Relocate"))
            .gives(200, Gives::Json("Object"))],
    },
    Row {
        resource: Resource::Copy,
        path: "/{path}.copy",
        tag: "objects",
        raw: false,
        verbs: &[post("copyObject", "Copy an object into this container", WRITE)
            .takes(Takes::Json("Relocate"))
            .gives(200, Gives::Json("Object"))],
    },
    Row {
        resource: Resource::Attachment,
        path: "/{path}.attachments/{field}",
        tag: "objects",
        raw: true,
        verbs: &[
            verb(Act::Get, "getAttachment", "Its bytes", READ)
                .gives(200, Gives::Bytes("application/octet-stream")),
            verb(Act::Put, "putAttachment", "Store its bytes", WRITE)
                .takes(Takes::Bytes)
                .gives(204, Gives::Nothing),
            delete("deleteAttachment", WRITE),
        ],
    },
    Row {
        resource: Resource::AttachmentElement,
        path: "/{path}.attachments/{field}/{element}",
        tag: "objects",
        raw: true,
        verbs: &[
            verb(Act::Get, "getAttachmentElement", "Its bytes", READ)
                .gives(200, Gives::Bytes("application/octet-stream")),
            verb(Act::Put, "putAttachmentElement", "Store its bytes", WRITE)
                .takes(Takes::Bytes)
                .gives(204, Gives::Nothing),
            delete("deleteAttachmentElement", WRITE),
        ],
    },
    Row {
        resource: Resource::Rendered,
        path: "/{path}.{view}",
        tag: "objects",
        raw: true,
        verbs: &[verb(
            Act::Get,
            "render",
            "The rendered text: `.render`, or the text's own `ext`",
            READ,
        )
        .gives(200, Gives::Bytes("text/plain"))],
    },
];
