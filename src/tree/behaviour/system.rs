//! Singletons that tell about the server, and realms.

use kompira_schema::error::Fault;
use kompira_schema::value::{Dict, Value};

use super::Behaviour;
use crate::tree::model::Stub;
use crate::tree::view::View;

pub(super) struct SystemInfo;

impl Behaviour for SystemInfo {
    fn properties(&self, view: &View, _stub: &Stub) -> Result<Dict, Fault> {
        let inner = &view.inner;
        Ok(Dict::from_iter([
            ("engine_started".to_owned(), Value::Datetime(inner.started)),
            ("server_datetime".to_owned(), Value::Datetime(inner.clock.now())),
            ("version".to_owned(), Value::from(env!("CARGO_PKG_VERSION"))),
        ]))
    }
}

/// The edition is free and has no limits (rule: `tree/licence`).
pub(super) struct License;

impl Behaviour for License {
    fn properties(&self, view: &View, _stub: &Stub) -> Result<Dict, Fault> {
        let count = |name: &str| -> Result<Value, Fault> {
            let found = match view.builtin(name) {
                Some(id) => view.of_type(id)?.len(),
                None => 0,
            };
            Ok(Value::Int(i64::try_from(found).unwrap_or(i64::MAX)))
        };
        let pairs = [
            ("node_count", Value::Int(0)),
            ("license_id", Value::from("")),
            ("edition", Value::from("free")),
            ("hardware_id", Value::from(view.inner.options.hardware_id.as_str())),
            ("expire_date", Value::Null),
            ("remain_days", Value::Null),
            ("node_limit", Value::Int(0)),
            ("jobflow_count", count("Jobflow")?),
            ("jobflow_limit", Value::Int(0)),
            ("script_count", count("ScriptJob")?),
            ("script_limit", Value::Int(0)),
            ("licensee", Value::from("")),
            ("signature", Value::from("")),
        ];
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// The realms and who serves them (rule: `tree/realms`).
pub(super) struct Realm;

/// The realm that this server's own manager serves, and of jobs that no other realm claims.
pub const DEFAULT_REALM: &str = "default";

impl Behaviour for Realm {
    fn properties(&self, _view: &View, stub: &Stub) -> Result<Dict, Fault> {
        let own = (stub.head.name == DEFAULT_REALM).then(own_manager);
        let managers = Value::Array(own.into_iter().collect());
        Ok(Dict::from_iter([("job_managers".to_owned(), managers)]))
    }
}

/// The manager that runs inside this server.
fn own_manager() -> Value {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let pairs = [
        ("host", Value::from(host.trim())),
        ("pid", Value::Int(std::process::id().into())),
        ("version", Value::from(env!("CARGO_PKG_VERSION"))),
        ("status", Value::from("active")),
        ("ssl", Value::Bool(false)),
    ];
    Value::Dict(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
