//! Other spellings of the command line: underscores, and the names the product's programs had.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::trouble::Trouble;

/// Brings the arguments into the form the parser knows (rule: operations/command-names).
///
/// `-` and `_` are equal in the name of a command and of a long option; called as `kompirad` the
/// program is `kompira serve`, called as `manage.py` it is itself.
pub(super) fn rewrite(
    words: Vec<OsString>,
    command: &clap::Command,
) -> Result<Vec<OsString>, Trouble> {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_else(|| "kompira".into());
    let called = Path::new(&program).file_name().and_then(OsStr::to_str).unwrap_or("kompira");
    let mut out = vec![OsString::from("kompira")];
    let known = |word: &str| command.get_subcommands().any(|sub| sub.get_name() == word);
    match called {
        "kompirad" => out.push("serve".into()),
        "kompira_jobmngrd" if known("jobmngrd") => out.push("jobmngrd".into()),
        "kompira_sendevt" if known("sendevt") => out.push("sendevt".into()),
        "kompira_jobmngrd" | "kompira_sendevt" => {
            return Err(Trouble::usage(format!("{called} is not part of this version"))
                .advise("the commands there are: kompira --help"));
        }
        _ => {}
    }
    let mut open = true;
    for word in words {
        let Some(text) = word.to_str() else {
            out.push(word);
            continue;
        };
        if text == "--" {
            open = false;
        }
        let rewritten = match text.strip_prefix("--") {
            Some(option) if open && !option.is_empty() => {
                let (name, value) = option.split_at(option.find('=').unwrap_or(option.len()));
                format!("--{}{value}", name.replace('_', "-"))
            }
            _ if open && text.contains('_') && known(&text.replace('_', "-")) => {
                text.replace('_', "-")
            }
            _ => text.to_owned(),
        };
        out.push(rewritten.into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(words: &[&str]) -> Vec<String> {
        let command = clap::Command::new("kompira")
            .subcommand(clap::Command::new("serve"))
            .subcommand(clap::Command::new("export-dir"));
        let words = words.iter().map(OsString::from).collect();
        let words = rewrite(words, &command).unwrap();
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    // rule: operations/command-names
    #[test]
    fn underscores_are_hyphens_in_names_and_stay_in_values() {
        assert_eq!(
            rewritten(&["/opt/kompira/bin/manage.py", "export_dir", "--property_mode", "/a_b"]),
            ["kompira", "export-dir", "--property-mode", "/a_b"]
        );
        assert_eq!(
            rewritten(&["kompira", "export_dir", "--to_file=x_y", "--", "--a_b"]),
            ["kompira", "export-dir", "--to-file=x_y", "--", "--a_b"]
        );
    }

    // rule: operations/command-names
    #[test]
    fn the_old_names_of_the_programs_are_understood() {
        assert_eq!(
            rewritten(&["/usr/sbin/kompirad", "--data", "d"]),
            ["kompira", "serve", "--data", "d"]
        );
        let command = clap::Command::new("kompira");
        assert!(rewrite(vec!["kompira_sendevt".into()], &command).is_err());
    }
}
