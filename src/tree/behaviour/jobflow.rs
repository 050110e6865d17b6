//! Jobflow: compiled whenever its source changes (rule: `tree/jobflows`).

use kompira_schema::error::Problem;
use kompira_schema::limits::SOURCE_CHARS_MAX;
use kompira_schema::message;
use kompira_schema::value::{Dict, Value};

use super::{Behaviour, Saving};

pub(super) struct Jobflow;

impl Behaviour for Jobflow {
    fn shows_rows_alone(&self) -> bool {
        true
    }

    fn before_write(&self, saving: &mut Saving<'_>) -> Result<(), Vec<Problem>> {
        let compiler = &saving.inner().options.compiler;
        let version = compiler.version();
        let outdated = saving.fields.get("compilerVersion") != Some(&Value::Str(version.clone()));
        if !saving.changed("source") && !outdated {
            return Ok(());
        }
        let source = match saving.fields.get("source") {
            Some(Value::Str(source)) => source.clone(),
            _ => String::new(),
        };
        let count = source.chars().count();
        if count > SOURCE_CHARS_MAX {
            let message =
                message!("jobflow.source_too_long", count = count, max = SOURCE_CHARS_MAX);
            return Err(vec![Problem { at: "source".into(), message }]);
        }
        // A source that does not compile is kept, with what is wrong in it.
        let compiled = compiler.compile(&source);
        if !compiled.executable {
            let name = saving.view.path_of(saving.id).map(|path| path.to_string());
            let name = name.unwrap_or_else(|| "a new jobflow".to_owned());
            tracing::info!("{name} is saved with errors\n{}", compiler.report(&source, &name));
        }
        let now = saving.inner().clock.now();
        let outcome: Dict = Dict::from_iter([
            ("parameters".to_owned(), Value::Dict(compiled.parameters)),
            ("executable".to_owned(), Value::Bool(compiled.executable)),
            ("errors".to_owned(), Value::Dict(compiled.errors)),
            ("compilerVersion".to_owned(), Value::Str(version)),
            ("compiledDatetime".to_owned(), Value::Datetime(now)),
        ]);
        saving.fields.extend(outcome);
        Ok(())
    }
}
