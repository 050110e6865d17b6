//! The project's text files, as paths below the root.

use std::io;
use std::path::{Path, PathBuf};

/// One file of the project.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Whether the line with this index belongs to a test.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        let path = self.path.to_string_lossy();
        let by_place = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs");
        by_place || self.text.lines().take(line).any(|text| text.trim() == "#[cfg(test)]")
    }
}

/// All files with one of the endings below the given folders, in order of path.
pub(crate) fn read(root: &Path, folders: &[&str], endings: &[&str]) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in folders {
        collect(root, &root.join(folder), endings, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, at: &Path, endings: &[&str], found: &mut Vec<Source>) -> io::Result<()> {
    if at.is_dir() {
        for entry in std::fs::read_dir(at)? {
            collect(root, &entry?.path(), endings, found)?;
        }
    } else if at.exists() {
        let name = at.to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = String::from_utf8_lossy(&std::fs::read(at)?).into_owned();
            let path = at.strip_prefix(root).unwrap_or(at).to_owned();
            found.push(Source { path, text });
        }
    }
    Ok(())
}
