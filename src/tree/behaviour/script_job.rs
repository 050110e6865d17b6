//! ScriptJob: a script that names its interpreter is an executable file.

use kompira_schema::value::{Dict, Value};

use super::Behaviour;

/// Permission bits of a script.
const EXECUTABLE: u16 = 0o755;

pub(super) struct ScriptJob;

impl Behaviour for ScriptJob {
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn mode(&self, fields: &Dict) -> u16 {
        match fields.get("source") {
            Some(Value::Str(source)) if source.starts_with("#!") => EXECUTABLE,
            _ => 0,
        }
    }
}
