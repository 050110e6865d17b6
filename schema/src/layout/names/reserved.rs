//! Dot names that other programs own: never a sidecar.

/// Whole names. Source: operations, what `import_dir` reads.
const NAMES: &[&str] = &[
    ".git",
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".gitkeep",
    ".github",
    ".hg",
    ".hgignore",
    ".hgtags",
    ".hgsub",
    ".hgsubstate",
    ".svn",
    ".bzr",
    ".DS_Store",
    ".directory",
    ".editorconfig",
    ".idea",
    ".vscode",
    ".kompira",
];
/// Beginnings.
const PREFIXES: &[&str] = &[".nfs", ".fuse_hidden", ".Trash"];
/// Endings.
const ENDINGS: &[&str] = &[".swp", ".swo", ".rejected"];

/// Whether a dot name is reserved (rule: `files/reserved`): in the mount it is scratch, an import
/// ignores it, and an object whose sidecar it would be gets a short stem.
#[must_use]
pub fn is_reserved(file: &str) -> bool {
    NAMES.contains(&file)
        || PREFIXES.iter().any(|prefix| file.starts_with(prefix))
        || ENDINGS.iter().any(|ending| file.ends_with(ending))
}

/// A cheap first look: whether `.STEM` could be reserved at all.
pub(super) fn may_be_reserved(stem: &str) -> bool {
    matches!(
        stem.as_bytes().first(),
        Some(
            b'g' | b'h'
                | b's'
                | b'b'
                | b'D'
                | b'd'
                | b'e'
                | b'i'
                | b'v'
                | b'k'
                | b'n'
                | b'f'
                | b'T'
        )
    )
}
