//! A source to a program, with all that is known of it (rule: language/compile).

use std::sync::Arc;

use indexmap::IndexMap;
use kompira_schema::catalogue::Lang;

use super::diagnose::{Diagnostic, Severity, errors};
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
    let diagnostics = check(&parsed);
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
    let program = executable.then(|| lower(&parsed, hash)).flatten();
    Compiled {
        program,
        parameters,
        diagnostics,
        source: parsed.source,
        version: COMPILER_VERSION,
        hash,
    }
}

fn lower(_parsed: &super::Parsed, _hash: CodeHash) -> Option<Arc<Program>> {
    None
}
