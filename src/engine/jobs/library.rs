//! A call of a library's function as a job or in an expression (rule: `language/libraries`).

use kompira_schema::error::Kind;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Dict, Ref, Value};

use super::{Around, Job, Refusal, Run, done, failed};
use crate::engine::library::{self, Listener};
use crate::tree::View;

pub(super) fn prepare(
    view: &View,
    who: &Caller,
    positional: &[Value],
    named: &[(String, Value)],
) -> Result<Job, Refusal> {
    let [Value::Object(Ref::Object(id)), Value::Str(function), Value::Array(arguments)] =
        positional
    else {
        return Err(Refusal::Error("no library is called".to_owned()));
    };
    let object = view.get(who, *id).map_err(|fault| {
        let path = view.path_of(*id).map_or_else(|| format!("#{id}"), |path| path.to_string());
        Refusal::Error(match fault.kind() {
            Kind::Denied => format!("permission denied: {path}"),
            Kind::NotFound => format!("object not found: {path}"),
            kind => format!("{path}: {}", kind.name()),
        })
    })?;
    let Some(text) = view.library_of(&object) else {
        return Err(Refusal::Error(format!("attribute not found: {function}")));
    };
    let (function, arguments) = (function.clone(), arguments.clone());
    let named: Dict = named.iter().cloned().collect();
    let shown = format!("{}.{function}", text.path);
    let id = *id;
    let work = move |around: &Around| {
        let listener = Listener {
            print: &|text| {
                let process = around.who.process.and_then(|process| around.inner.slot(process));
                if let Some(slot) = process {
                    around.inner.wake_slot(&slot, |state| state.output.push(text));
                }
            },
            is_cancelled: &|| around.cancelled.is_asked(),
            patience: None,
        };
        let call = library::Wanted { id, text, function, arguments, named };
        match library::call(&around.inner, call, &listener) {
            Ok(value) => done(value),
            Err((function, failure)) => failed(library::explain(&function, &failure)),
        }
    };
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}
