//! The schemas of bodies and answers.

use serde_json::{Map, Value as Json, json};

/// A reference to a schema; `Any` is any JSON.
pub(super) fn of(name: &str) -> Json {
    if name == "Any" {
        return json!({});
    }
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The envelope of a list.
pub(super) fn list(name: &str) -> Json {
    json!({
        "type": "object",
        "required": ["count", "next", "previous", "results"],
        "properties": {
            "count": {"type": "integer", "minimum": 0},
            "next": {"type": ["string", "null"]},
            "previous": {"type": ["string", "null"]},
            "results": {"type": "array", "items": of(name)},
        },
    })
}

/// Name and kind of each property. A kind is a type of JSON schema, `time`, `?` after it for "or
/// null", `[]` after it for a list of it, `*` alone for anything, or the name of a schema.
type Properties = &'static [(&'static str, &'static str)];

/// An object: name, required properties, properties.
const OBJECTS: &[(&str, &[&str], Properties)] = &[
    (
        "Object",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("owner", "string?"),
            ("fields", "object"),
            ("extra_properties", "object"),
            ("user_permissions", "Permissions"),
            ("group_permissions", "Permissions"),
            ("display_name", "string"),
            ("description", "string"),
            ("created", "time"),
            ("updated", "time"),
            ("type_object", "string"),
            ("parent_object", "string?"),
            ("data", "object"),
            ("descend", "string[]"),
        ],
    ),
    (
        "ObjectNew",
        &["name"],
        &[
            ("name", "string"),
            ("type_object", "string"),
            ("fields", "object"),
            ("owner", "string"),
            ("display_name", "string"),
            ("description", "string"),
            ("user_permissions", "Permissions"),
            ("group_permissions", "Permissions"),
            ("data", "object"),
        ],
    ),
    (
        "Permission",
        &[],
        &[
            ("readable", "boolean"),
            ("writable", "boolean"),
            ("executable", "boolean"),
            ("priority", "integer"),
        ],
    ),
    ("Relocate", &[], &[("object", "string"), ("name", "string")]),
    (
        "Call",
        &["jsonrpc", "method"],
        &[("jsonrpc", "string"), ("method", "string"), ("params", "*"), ("id", "*")],
    ),
    (
        "CallEnd",
        &["jsonrpc", "id"],
        &[("jsonrpc", "string"), ("result", "*"), ("error", "object"), ("id", "*")],
    ),
    (
        "Execute",
        &[],
        &[
            ("parameters", "object"),
            ("command_line", "string"),
            ("step_mode", "boolean"),
            ("checkpoint_mode", "boolean"),
            ("monitoring_mode", "MonitoringMode"),
            ("trace", "boolean"),
            ("node", "string?"),
            ("account", "string?"),
        ],
    ),
    ("Timeout", &[], &[("timeout", "number")]),
    (
        "Process",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("user", "string?"),
            ("elapsed_time", "string"),
            ("started_time", "time?"),
            ("finished_time", "time?"),
            ("status", "ProcessStatus"),
            ("exit_status", "integer?"),
            ("result", "*"),
            ("error", "*"),
            ("suspended", "boolean"),
            ("lineno", "integer"),
            ("console", "string"),
            ("job", "string?"),
            ("schedule", "string?"),
            ("parent", "string?"),
            ("current_job", "string?"),
            ("invoker", "string?"),
            ("step_mode", "boolean"),
            ("checkpoint_mode", "boolean"),
            ("monitoring_mode", "MonitoringMode"),
        ],
    ),
    (
        "ProcessModes",
        &[],
        &[
            ("step_mode", "boolean"),
            ("checkpoint_mode", "boolean"),
            ("monitoring_mode", "MonitoringMode"),
            ("trace", "boolean"),
        ],
    ),
    (
        "ProcessResume",
        &[],
        &[
            ("step_mode", "boolean"),
            ("checkpoint_mode", "boolean"),
            ("trace", "boolean"),
            ("from", "integer"),
        ],
    ),
    ("Trace", &[], &[("on", "boolean"), ("steps", "Step[]")]),
    (
        "Step",
        &[],
        &[
            ("number", "integer"),
            ("time", "time"),
            ("job", "string?"),
            ("lineno", "integer"),
            ("depth", "integer"),
            ("status", "string"),
            ("result", "string"),
            ("error", "string"),
            ("changed", "object"),
            ("waits_for", "string?"),
            ("command", "integer?"),
        ],
    ),
    (
        "Schedule",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("user", "string?"),
            ("scheduled_datetimes", "time[]"),
            ("parameters", "string[]"),
            ("name", "string"),
            ("description", "string"),
            ("year", "string"),
            ("month", "string"),
            ("day", "string"),
            ("week", "string"),
            ("day_of_week", "string"),
            ("hour", "string"),
            ("minute", "string"),
            ("disabled", "boolean"),
            ("job", "string?"),
            ("next_run_time", "time?"),
        ],
    ),
    (
        "Incident",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("owner", "string?"),
            ("worklogs", "Worklog[]"),
            ("alerts", "*[]"),
            ("name", "string"),
            ("device", "string"),
            ("service", "string"),
            ("created_date", "time"),
            ("closed_date", "time?"),
            ("status", "IncidentStatus"),
        ],
    ),
    (
        "Worklog",
        &[],
        &[
            ("id", "integer"),
            ("user", "string?"),
            ("description", "string"),
            ("created_date", "time"),
        ],
    ),
    ("WorklogNew", &["description"], &[("user", "string"), ("description", "string")]),
    (
        "Task",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("owner", "string?"),
            ("assigned_users", "string[]"),
            ("assigned_groups", "string[]"),
            ("name", "string"),
            ("title", "string"),
            ("message", "string"),
            ("action_text", "string"),
            ("result", "*"),
            ("status", "TaskStatus"),
            ("created_date", "time"),
            ("closed_date", "time?"),
        ],
    ),
    ("Answer", &[], &[("result", "*")]),
    (
        "User",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("groups", "string[]"),
            ("last_login", "time?"),
            ("username", "string"),
            ("password", "string"),
            ("first_name", "string"),
            ("last_name", "string"),
            ("email", "string"),
            ("is_active", "boolean"),
            ("is_ldap_user", "boolean"),
            ("home_directory", "string?"),
            ("environment", "string?"),
        ],
    ),
    (
        "Group",
        &[],
        &[
            ("id", "integer"),
            ("abspath", "string"),
            ("name", "string"),
            ("is_ldap_group", "boolean"),
        ],
    ),
    ("Login", &["username", "password"], &[("username", "string"), ("password", "string")]),
    (
        "Order",
        &["operation"],
        &[
            ("operation", "string"),
            ("processes", "integer[]"),
            ("count", "integer"),
            ("query", "object"),
        ],
    ),
    ("Ordered", &[], &[("done", "integer"), ("failed", "object")]),
    ("TokenOf", &["user"], &[("user", "string")]),
    ("Health", &[], &[("status", "string")]),
    ("Submission", &[], &[("values", "object"), ("objects", "string[]")]),
    ("Submitted", &[], &[("sent", "string"), ("process", "string")]),
    ("Initialize", &[], &[]),
    ("Push", &[], &[("branch", "string?"), ("message", "string?")]),
    ("Pull", &[], &[("branch", "string?")]),
    ("Synchronised", &[], &[("log", "string")]),
    ("Authorize", &[], &[("redirected_url", "string?")]),
    (
        "Approval",
        &[],
        &[
            ("url", "string"),
            ("redirect_url", "string"),
            ("expires_in", "integer"),
            ("authorized", "string"),
        ],
    ),
    ("Batch", &["operations"], &[("operations", "Operation[]")]),
    (
        "Operation",
        &["method", "path"],
        &[("method", "string"), ("path", "string"), ("body", "object"), ("if_match", "integer")],
    ),
    ("Batched", &[], &[("rev", "integer"), ("results", "object[]")]),
    (
        "Revision",
        &[],
        &[("rev", "integer"), ("until", "integer?"), ("time", "time?"), ("by", "string?")],
    ),
    ("Difference", &[], &[("at", "string"), ("before", "*"), ("after", "*")]),
    ("Restore", &["path", "rev"], &[("path", "string"), ("rev", "integer"), ("base", "integer")]),
];

/// Words of which a property is one.
const WORDS: &[(&str, &[&str])] = &[
    ("MonitoringMode", &["NOTHING", "MAIL", "ABORT_MAIL"]),
    ("ProcessStatus", &["NEW", "READY", "RUNNING", "WAITING", "ABORTED", "DONE"]),
    ("IncidentStatus", &["OPENED", "WORKING", "CLOSED"]),
    ("TaskStatus", &["WAITING", "ONGOING", "DONE", "CANCELED"]),
];

fn kind(word: &str) -> Json {
    if let Some(element) = word.strip_suffix("[]") {
        return json!({"type": "array", "items": kind(element)});
    }
    if let Some(inner) = word.strip_suffix('?') {
        let mut schema = kind(inner);
        if let Some(kind) = schema.get("type").cloned() {
            schema["type"] = json!([kind, "null"]);
        }
        return schema;
    }
    match word {
        "*" => json!({}),
        "time" => json!({"type": "string", "format": "date-time"}),
        "string" | "integer" | "number" | "boolean" | "object" => json!({"type": word}),
        schema => of(schema),
    }
}

/// All schemas by name.
pub(super) fn all() -> Json {
    let mut map = Map::new();
    for (name, required, properties) in OBJECTS {
        let properties: Map<String, Json> =
            properties.iter().map(|(name, word)| ((*name).to_owned(), kind(word))).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        map.insert((*name).to_owned(), schema);
    }
    for (name, words) in WORDS {
        map.insert((*name).to_owned(), json!({"type": "string", "enum": words}));
    }
    for (names, name) in [("Calls", "Call"), ("Called", "CallEnd")] {
        let either = json!({"oneOf": [of(name), {"type": "array", "items": of(name)}]});
        map.insert(names.to_owned(), either);
    }
    map.insert("Truth".into(), json!({"type": "boolean"}));
    map.insert("Text".into(), json!({"type": "string"}));
    map.insert(
        "Permissions".into(),
        json!({"type": "object", "additionalProperties": of("Permission")}),
    );
    map.insert(
        "Failure".into(),
        json!({
            "description": "`detail`, or a list of texts for each field that is wrong",
            "type": "object",
            "properties": {"detail": {"type": "string"}},
            "additionalProperties": {},
        }),
    );
    Json::Object(map)
}
