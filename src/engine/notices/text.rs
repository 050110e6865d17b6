//! Subject and body of a mail, by the templates of the settings.

use jiff::Timestamp;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, ProcessId};
use kompira_schema::path::ObjectPath;
use kompira_schema::value::{Ref, Value};

use crate::engine::inner::myself;
use crate::engine::jobs::text_of;
use crate::engine::process::Status;
use crate::engine::row::Row;
use crate::engine::{console, settings};
use crate::tree::View;

/// Most characters of a subject, and of one value in a body. Reason: more is no subject, and a
/// result may be as long as a String.
const SUBJECT_MAX: usize = 200;
const VALUE_MAX: usize = 64 << 10;

/// What stands in for a template that is not set.
const SUBJECT: &str = "$job: $status (process $pid)";
const BODY: &str = "\
Process:     $pid
Job:         $job
User:        $user
State:       $status
Exit status: $exit_status
Started:     $started_time
Finished:    $finished_time
Result:      $result
Error:       $error
$url

$console
";

/// Subject and body of the mail about a process.
pub(super) fn written(
    view: &View,
    id: ProcessId,
    row: &Row,
    now: Timestamp,
) -> Result<(String, String), Fault> {
    let setting = match row.status {
        Status::Done => "doneMailTemplate",
        _ => "abortMailTemplate",
    };
    let (subject, body) = template(view, setting);
    let info = row.info(id, now);
    let console = console::read(view.snapshot(), id, 0)?.text;
    let path = |of: Option<Ref>| of.and_then(|of| view.reference_path(of)).unwrap_or_default();
    let object = |of: Option<ObjectId>| path(of.map(Ref::Object));
    let at = |at: Option<Timestamp>| {
        let zoned = at.map(|at| at.to_zoned(view.zone()));
        zoned.map(|at| at.strftime("%Y-%m-%d %H:%M:%S%:z").to_string()).unwrap_or_default()
    };
    let own = format!("/process/id_{id}");
    let url = match settings::value(view, "serverUrl") {
        Some(Value::Str(server)) if !server.is_empty() => {
            format!("{}{own}", server.trim_end_matches('/'))
        }
        _ => own.clone(),
    };
    let value = |name: &str| -> Option<String> {
        Some(match name {
            "pid" | "id" => id.to_string(),
            "abspath" => own.clone(),
            "status" => info.status.word().to_owned(),
            "job" => object(Some(info.job)),
            "user" => view.user_name(info.user),
            "started_time" => at(info.started),
            "finished_time" => at(info.finished),
            "elapsed_time" => text_of(&Value::Timedelta(info.elapsed)),
            "exit_status" => info.exit_status.unwrap_or_default().to_string(),
            "result" => shown(view, &info.result),
            "error" => shown(view, &info.error),
            "lineno" => info.line.to_string(),
            "invoker" => object(info.invoker),
            "schedule" => path(info.schedule.map(Ref::Schedule)),
            "parent" => path(info.parent.map(Ref::Process)),
            "console" => console.clone(),
            "url" => url.clone(),
            _ => return None,
        })
    };
    let subject: String = fill(&subject, &value)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUBJECT_MAX)
        .collect();
    Ok((subject, fill(&body, &value)))
}

/// Subject and body of the template that a setting names.
fn template(view: &View, setting: &str) -> (String, String) {
    let named = match settings::value(view, setting) {
        Some(Value::Object(Ref::Object(id))) => Some(id),
        Some(Value::Str(path)) if !path.is_empty() => {
            ObjectPath::parse(&path).and_then(|path| view.find_path(&path)).ok().flatten()
        }
        _ => None,
    };
    let own = || (SUBJECT.to_owned(), BODY.to_owned());
    let Some(id) = named else { return own() };
    match view.get(&myself(), id) {
        Ok(object) if object.stub.def.is_builtin("MailTemplate") => {
            let text = |name: &str| match view.field(&object, name).as_deref() {
                Some(Value::Str(text)) => text.clone(),
                _ => String::new(),
            };
            (text("subject"), text("body"))
        }
        Ok(object) => {
            tracing::warn!(setting, object = %object.stub.path, "no MailTemplate");
            own()
        }
        Err(fault) => {
            if fault.kind() != Kind::NotFound {
                tracing::warn!(setting, ?fault, "the template cannot be read");
            }
            own()
        }
    }
}

/// A value as people read it.
fn shown(view: &View, value: &Value) -> String {
    match value {
        Value::Object(of) => view.reference_path(*of).unwrap_or_default(),
        other => text_of(other).chars().take(VALUE_MAX).collect(),
    }
}

/// Fills `$name` and `${name}`; `$$` is a dollar, what is unknown stays.
fn fill(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(behind) = behind.strip_prefix('$') {
            out.push('$');
            rest = behind;
            continue;
        }
        let (name, tail) = match behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(found) => found,
            None => {
                let end = behind.find(|c: char| !c.is_alphanumeric() && c != '_');
                behind.split_at(end.unwrap_or(behind.len()))
            }
        };
        match value(name) {
            Some(text) => {
                out.push_str(&text);
                rest = tail;
            }
            None => {
                out.push('$');
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::fill;

    // rule: operations/monitoring
    #[test]
    fn blanks_of_templates_are_filled_and_unknown_ones_stay() {
        let value = |name: &str| (name == "pid").then(|| "7$pid".to_owned());
        assert_eq!(
            fill("$pid|${pid}s|$pids|$$pid|$|${x}|$", &value),
            "7$pid|7$pids|$pids|$pid|$|${x}|$"
        );
    }
}
