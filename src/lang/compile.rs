//! A source to a program, with all that is known of it (rule: language/compile).

use std::sync::Arc;

use indexmap::IndexMap;
use kompira_schema::catalogue::Lang;
use kompira_schema::message;

use super::ast::Span;
use super::diagnose::{Diagnostic, Severity, errors};
use super::lower::{TooLarge, lower};
use super::program::{COMPILER_VERSION, CodeHash, Program};
use super::{check, parse};

/// A parameter as a jobflow declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: Arc<str>,
    /// The default as written; `None` for a required one.
    pub default: Option<Arc<str>>,
}

/// What became of a source.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The byte code; `None` if there are errors.
    pub program: Option<Arc<Program>>,
    /// The parameters, in order; also of a source with errors, as far as they could be read.
    pub parameters: Vec<Declared>,
    /// All findings, warnings included, in order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The source as the findings mean it.
    pub source: Arc<str>,
    /// The compiler's version; another one compiles anew.
    pub version: u32,
    /// Names the byte code.
    pub hash: CodeHash,
}

impl Compiled {
    /// The field `errors`: number of the line → message of its first error.
    #[must_use]
    pub fn errors(&self, lang: Lang) -> IndexMap<String, String> {
        errors(&self.diagnostics, &self.source, lang)
    }
}

/// Compiles a source as it is stored.
#[must_use]
pub fn compile(source: &str) -> Compiled {
    let hash = CodeHash::of(source);
    let parsed = parse(source);
    let mut diagnostics = check(&parsed);
    let parameters = parsed
        .program
        .parameters
        .iter()
        .map(|parameter| Declared {
            name: Arc::clone(&parameter.name.name),
            default: parameter.default.as_ref().map(|it| it.span.text(&parsed.source).into()),
        })
        .collect();
    let executable = diagnostics.iter().all(|found| found.severity != Severity::Error);
    let program = if executable {
        match lower(&parsed.program, &parsed.source, hash) {
            Ok(program) => Some(Arc::new(program)),
            Err(TooLarge) => {
                let message = message!("lang.too_long");
                diagnostics.push(
                    Diagnostic::error("K01", Span::default(), message)
                        .with_help(message!("lang.too_large.help")),
                );
                None
            }
        }
    } else {
        None
    };
    Compiled {
        program,
        parameters,
        diagnostics,
        source: parsed.source,
        version: COMPILER_VERSION,
        hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/compile
    #[test]
    fn a_source_gives_a_program_and_its_parameters() {
        let made = compile("|a| |b = a * 2|\r\nprint(a, b)");
        assert!(made.program.is_some());
        assert_eq!(made.diagnostics, []);
        let parameters: Vec<_> =
            made.parameters.iter().map(|it| (&*it.name, it.default.as_deref())).collect();
        assert_eq!(parameters, [("a", None), ("b", Some("a * 2"))]);
        assert_eq!(made.version, COMPILER_VERSION);
    }

    // rule: language/compile
    #[test]
    fn a_source_with_errors_gives_no_program_but_its_parameters() {
        let made = compile("|a|\nprint(b)");
        assert!(made.program.is_none());
        assert_eq!(made.parameters.len(), 1);
        let errors: Vec<_> = made.errors(Lang::En).into_iter().collect();
        assert_eq!(errors, [("2".to_owned(), "undefined variable: b".to_owned())]);
    }

    #[test]
    fn a_warning_keeps_nothing_from_running() {
        let made = compile("[__hots__ = 1]");
        assert!(made.program.is_some() && made.diagnostics.len() == 1);
    }

    // rule: language/limits
    #[test]
    fn the_deepest_program_compiles_on_the_stack_of_a_worker() {
        let nested = "(".repeat(250) + "1" + &")".repeat(250);
        let blocks = "{ x = 1 | { if x | ".repeat(125) + "[]" + &"} }".repeat(125);
        let mixed =
            "[x = ".to_owned() + &"not (1 + -2 * [{a=".repeat(60) + "1" + &"}])".repeat(60) + "]";
        for source in [format!("[x = {nested}]"), blocks, mixed] {
            assert!(compile(&source).program.is_some(), "{:?}", compile(&source).diagnostics);
        }
    }
}
