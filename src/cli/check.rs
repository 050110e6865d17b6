//! `kompira check` and `kompira fmt`: jobflow sources in files.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kompira_schema::catalogue::Lang;

use super::run::println;
use super::talk;
use super::trouble::{Exit, Trouble};
use crate::lang::{self, diagnose};

/// Most bytes of a source that are read: more than any legal source has.
const SOURCE_BYTES_MAX: u64 = 1 << 20;

/// Find what is wrong with jobflow sources
///
/// Findings go to standard error with the line and a caret; exit status 1 if there is an error.
/// No server is needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira check hello.jobflow jobs/")]
pub(super) struct Check {
    /// Files, and directories with `*.jobflow` files in them; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print the findings as JSON on standard output
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn main(&self) -> Result<ExitCode, Trouble> {
        let mut failed = false;
        let mut all = Vec::new();
        for file in &files(&self.paths)? {
            let name = file.display().to_string();
            let compiled = lang::compile(&source(file)?);
            let found = &compiled.diagnostics;
            failed |= found.iter().any(|found| found.severity == diagnose::Severity::Error);
            if self.json {
                let found = diagnose::to_json(found, &compiled.source, language());
                all.push(serde_json::json!({"file": name, "findings": found}));
            } else {
                show(found, &compiled.source, &name);
            }
        }
        if self.json {
            println(&format!("{:#}", serde_json::Value::Array(all)));
        }
        Ok(if failed { Exit::Failed.into() } else { Exit::Ok.into() })
    }
}

/// Set jobflow sources anew: blanks and indentation
///
/// Prints the result, or with --write changes the files. A source with errors is not touched.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  kompira fmt --write jobs/")]
pub(super) struct Fmt {
    /// Files, and directories with `*.jobflow` files in them; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change the files
    #[arg(short, long)]
    write: bool,
    /// Change nothing; exit with 1 if a file would change, and name it
    #[arg(long, conflicts_with = "write")]
    check: bool,
}

impl Fmt {
    pub(super) fn main(&self) -> Result<ExitCode, Trouble> {
        let mut exit = Exit::Ok;
        for file in &files(&self.paths)? {
            let old = source(file)?;
            let new = match lang::format(&old) {
                Ok(new) => new,
                Err(found) => {
                    let parsed = lang::parse(&old);
                    show(&found, &parsed.source, &file.display().to_string());
                    exit = Exit::Failed;
                    continue;
                }
            };
            if self.check {
                if new != old {
                    println(&file.display().to_string());
                    exit = Exit::Failed;
                }
            } else if self.write && file.as_os_str() != "-" {
                if new != old {
                    replace(file, &new)?;
                }
            } else {
                // A closed pipe ends the output, not the command.
                let _ = std::io::stdout().write_all(new.as_bytes());
            }
        }
        Ok(exit.into())
    }
}

/// The files that are named, and the sources below the directories that are, in the order of their
/// names. Hidden entries and links to directories are passed over.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Trouble> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut below = Vec::new();
            collect(path, &mut below)?;
            if below.is_empty() {
                return Err(Trouble::failed(format!("{}: no *.jobflow in it", path.display())));
            }
            below.sort();
            found.extend(below);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), Trouble> {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let told =
            |error: std::io::Error| Trouble::failed(format!("{}: {error}", directory.display()));
        for entry in std::fs::read_dir(&directory).map_err(told)? {
            let entry = entry.map_err(told)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(told)?);
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == "jobflow") {
                found.push(path);
            }
        }
    }
    Ok(())
}

fn show(found: &[diagnose::Diagnostic], source: &str, name: &str) {
    let look = diagnose::Look { lang: language(), plain: !talk::colours() };
    let text = diagnose::render_all(found, source, name, look);
    // When standard error is closed, the exit status still tells.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes beside and renames: a full disk does not cost the source.
fn replace(file: &Path, text: &str) -> Result<(), Trouble> {
    let told = |error: std::io::Error| Trouble::failed(format!("{}: {error}", file.display()));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = file.with_file_name(name);
    std::fs::write(&beside, text).map_err(told)?;
    let mode = std::fs::metadata(file).map_err(told)?.permissions();
    std::fs::set_permissions(&beside, mode).map_err(told)?;
    std::fs::rename(&beside, file).map_err(told)
}

fn source(file: &Path) -> Result<String, Trouble> {
    let told = |why: String| Trouble::failed(format!("{}: {why}", file.display()));
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(SOURCE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file)
            .and_then(|file| file.take(SOURCE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| told(error.to_string()))?;
    if bytes.len() as u64 > SOURCE_BYTES_MAX {
        return Err(told("larger than 1 MiB, which no jobflow is".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| told("not UTF-8 text".to_owned()))
}

/// The language of the person: `LC_ALL`, `LC_MESSAGES`, `LANG`.
pub(super) fn language() -> Lang {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    match said {
        Some(value) if value.starts_with("ja") => Lang::Ja,
        _ => Lang::En,
    }
}
