//! The compiler as the tree asks for it when a jobflow is saved.

use kompira_schema::catalogue::Lang;
use kompira_schema::value::{Dict, Value};

use crate::lang;
use crate::tree::{Compiled, Compiler};

/// Compiles jobflows; texts of errors are in one language, since they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jobflows {
    pub(super) lang: Lang,
}

impl Compiler for Jobflows {
    fn compile(&self, source: &str) -> Compiled {
        let compiled = lang::compile(source);
        let parameters = compiled.parameters.iter().map(|parameter| {
            let default = parameter.default.as_deref().map_or(Value::Null, Value::from);
            (parameter.name.to_string(), default)
        });
        let errors = compiled.errors(self.lang);
        Compiled {
            executable: compiled.program.is_some(),
            parameters: parameters.collect::<Dict>(),
            errors: errors.into_iter().map(|(line, text)| (line, Value::Str(text))).collect(),
        }
    }

    fn report(&self, source: &str, name: &str) -> String {
        let compiled = lang::compile(source);
        let look = lang::diagnose::Look { lang: self.lang, plain: true };
        lang::diagnose::render_all(&compiled.diagnostics, &compiled.source, name, look)
    }

    fn version(&self) -> String {
        format!("{}.{}", env!("CARGO_PKG_VERSION"), lang::program::COMPILER_VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_errors_is_kept_with_line_and_message() {
        let compiler = Jobflows { lang: Lang::En };
        let broken = compiler.compile("print('a')\n-> print('\n");
        assert!(!broken.executable);
        assert!(!broken.errors.is_empty());
        let fine = compiler.compile("|host|\n|count = 3|\nprint(host)\n");
        assert_eq!(fine.parameters.get("host"), Some(&Value::Null));
        assert_eq!(fine.parameters.get("count"), Some(&Value::from("3")));
        assert!(fine.errors.is_empty());
    }
}
