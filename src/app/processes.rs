//! Running processes as the mount's control directory shows them.

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ProcessId;
use kompira_schema::layout::json;
use kompira_schema::message;
use kompira_schema::tree::Caller;
use kompira_schema::value::Value;

use crate::engine::{Engine, Filter, Modes};
use crate::files::Processes;
use crate::tree::Tree;

/// Most processes that the control directory lists: the newest.
const LISTED_MAX: usize = 10_000;

/// The engine, seen from the mount.
pub(super) struct Live {
    pub(super) engine: Engine,
    pub(super) tree: Tree,
}

impl Live {
    fn text(&self, value: &Value) -> String {
        let view = self.tree.view();
        let json = json::from_value(value, &mut |target| view.reference_text(target));
        match json {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        }
    }
}

impl Processes for Live {
    fn list(&self, who: &Caller) -> Vec<ProcessId> {
        let listed = self.engine.list(who, &Filter::default(), None, LISTED_MAX);
        let mut ids: Vec<_> = listed.unwrap_or_default().iter().map(|info| info.id).collect();
        ids.sort_unstable();
        ids
    }

    fn status(&self, who: &Caller, process: ProcessId) -> Result<String, Fault> {
        let info = self.engine.info(who, process)?;
        let view = self.tree.view();
        let path = |id| view.path_of(id).map(|path| path.as_str().to_owned()).unwrap_or_default();
        let mut lines = vec![
            format!("id: {}", info.id),
            format!("status: {}", info.status.word()),
            format!("suspended: {}", info.suspended),
            format!("job: {}", path(info.job)),
            format!("user: {}", view.user_name(info.user)),
            format!("lineno: {}", info.line),
            format!("elapsed_seconds: {:.3}", info.elapsed.as_secs_f64()),
        ];
        if let Some(started) = info.started {
            lines.push(format!("started_time: {started}"));
        }
        if let Some(finished) = info.finished {
            lines.push(format!("finished_time: {finished}"));
        }
        if let Some(exit) = info.exit_status {
            lines.push(format!("exit_status: {exit}"));
        }
        if let Some(parent) = info.parent {
            lines.push(format!("parent: /process/id_{parent}"));
        }
        Ok(lines.join("\n") + "\n")
    }

    fn console(&self, who: &Caller, process: ProcessId) -> Result<Bytes, Fault> {
        Ok(self.engine.console(who, process)?.text.into())
    }

    fn result(&self, who: &Caller, process: ProcessId) -> Result<String, Fault> {
        let info = self.engine.info(who, process)?;
        Ok(self.text(&info.result))
    }

    fn control(&self, who: &Caller, process: ProcessId, word: &str) -> Result<(), Fault> {
        match word {
            "terminate" => self.engine.terminate(who, process),
            "suspend" => self.engine.suspend(who, process),
            "resume" => self.engine.resume(who, process, Modes::default()),
            _ => return Err(Fault::new(Kind::Invalid, message!("app.bad_order", word = word))),
        }
        .map(drop)
    }
}
