//! Copies files of this machine, for `put` and `get` on the local node (rule: `language/transfer`).

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::lang::pattern;

/// Most files that one job copies.
const FILES_MAX: usize = 10_000;

/// Copies what `from` names (its parts may be globs) to `to`, and answers the new paths. Relative
/// paths start at `from_base` and `to_base`. A directory as `to` keeps the names.
///
/// # Errors
/// Nothing is there, or a file cannot be copied; what was copied before that stays.
pub fn copy(
    from: &str,
    from_base: &Path,
    to: &str,
    to_base: &Path,
    cancelled: &dyn Fn() -> bool,
) -> Result<Vec<String>, String> {
    let sources = expand(&from_base.join(from))?;
    if sources.is_empty() {
        return Err(format!("no such file: {from}"));
    }
    let target = to_base.join(to);
    let into = target.is_dir() || to.ends_with('/');
    if !into && sources.len() > 1 {
        return Err(format!("{} files cannot become one: {to}", sources.len()));
    }
    let mut copied = Vec::with_capacity(sources.len());
    for source in sources {
        if cancelled() {
            return Err("cancelled".to_owned());
        }
        let to = match source.file_name() {
            Some(name) if into => target.join(name),
            _ => target.clone(),
        };
        let told = |error: &dyn std::fmt::Display| {
            format!("cannot copy {} to {}: {error}", source.display(), to.display())
        };
        if source.is_dir() {
            return Err(told(&"it is a directory"));
        }
        if fs::canonicalize(&source)
            .ok()
            .is_some_and(|real| fs::canonicalize(&to).ok() == Some(real))
        {
            return Err(told(&"both are the same file"));
        }
        fs::copy(&source, &to).map_err(|error| told(&error))?;
        copied.push(to.to_string_lossy().into_owned());
    }
    Ok(copied)
}

fn is_glob(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// The paths that a path with globs names, sorted.
fn expand(path: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let text = part.as_os_str().to_string_lossy();
        if !matches!(part, Component::Normal(_)) || !is_glob(&text) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for dir in &found {
            let Ok(entries) = fs::read_dir(dir) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // As shells do: what is hidden is asked for by its dot.
                let hidden = name.starts_with('.') && !text.starts_with('.');
                if !hidden && pattern::glob(&text, &name, false) {
                    next.push(entry.path());
                }
                if next.len() > FILES_MAX {
                    return Err(format!("more than {FILES_MAX} files"));
                }
            }
        }
        next.sort();
        found = next;
    }
    found.retain(|path| path.exists());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: language/transfer
    #[test]
    fn globs_name_several_files_and_a_directory_keeps_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "b.log", "c.txt", ".d.log"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("to")).unwrap();
        let go = |from: &str, to: &str| copy(from, dir.path(), to, dir.path(), &|| false);
        let copied = go("*.log", "to").unwrap();
        let at = |name: &str| dir.path().join("to").join(name).to_string_lossy().into_owned();
        assert_eq!(copied, [at("a.log"), at("b.log")]);
        assert_eq!(fs::read(dir.path().join("to/b.log")).unwrap(), b"b.log");
        assert_eq!(go("c.txt", "new.txt").unwrap().len(), 1);
        assert!(go("*.log", "one").unwrap_err().contains("cannot become one"));
        assert_eq!(go("none*", "to").unwrap_err(), "no such file: none*");
        assert!(go("c.txt", "c.txt").unwrap_err().contains("same file"));
    }
}
