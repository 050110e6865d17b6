//! `[repository.push: 'main', 'text']` and its like (rule: `language/repository-jobs`).

use kompira_schema::catalogue::Lang;
use kompira_schema::tree::Caller;
use kompira_schema::value::{Ref, Value};
use serde_json::Map;

use super::arguments::Args;
use super::{Around, Job, Refusal, Run, failed};
use crate::engine::vm::request::Outcome;
use crate::transfer::git::{Action, Repositories};
use crate::tree::View;

/// Makes a method of a Repository object ready.
pub(super) fn prepare(
    view: &View,
    who: &Caller,
    name: &str,
    target: &Value,
    (positional, named): (&[Value], &[(String, Value)]),
) -> Result<Job, Refusal> {
    let Value::Object(Ref::Object(id)) = target else {
        return Err(Refusal::Error(format!("{name}() is a method of objects")));
    };
    let id = *id;
    Repositories::check(view, who, id).map_err(|fault| Refusal::Failed(fault.text(Lang::En)))?;
    let def = view.type_of(id).map_err(|fault| Refusal::Failed(fault.text(Lang::En)))?;
    let signature = def.method(name);
    let signature =
        signature.ok_or_else(|| Refusal::Error(format!("undefined function: {name}")))?;
    let args = Args::bind(signature, positional, named).map_err(Refusal::Error)?;
    let text = |name: &str| args.text(name).map_err(Refusal::Failed);
    let branch = |branch: Option<String>| branch.filter(|branch| !branch.is_empty());
    let action = match name {
        "push" => Action::Push {
            branch: branch(text("branch")?),
            message: text("message")?.unwrap_or_default(),
        },
        "pull" => Action::Pull { branch: branch(text("branch")?) },
        _ => Action::Initialize,
    };
    let path = view.path_of(id).map(|path| path.to_string()).unwrap_or_default();
    let shown = format!("{name} {path}");
    let work = move |around: &Around| {
        let Some(repositories) = around.inner.repositories.get() else {
            return failed("repositories cannot be synchronised here".to_owned());
        };
        let stop = || around.cancelled.is_asked();
        match repositories.act(&around.who, id, &action, Map::new(), &stop) {
            Ok(_) => Outcome { status: 0, result: Value::Null, error: "".into() },
            Err(fault) => failed(fault.text(Lang::En)),
        }
    };
    Ok(Job { shown, run: Run::Thread(Box::new(work)) })
}
