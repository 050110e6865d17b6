//! Which objects the files of a git tree belong to, and what differs between two trees.

use std::collections::{BTreeSet, HashSet};

use kompira_schema::layout::names::{self, FileName, Stem};

/// The object that a file of the repository belongs to, as stems joined by `/`, and the containers
/// above it. `own` is `None` for files that belong to no object: reserved names, names of tools.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) above: Vec<String>,
    pub(super) own: Option<String>,
}

/// How a stem is spelled in a place.
pub(in crate::transfer) fn spelled(stem: &Stem) -> String {
    match stem {
        Stem::Name(name) => name.as_str().to_owned(),
        Stem::Short(text) => text.clone(),
    }
}

/// Reads a path of the repository.
pub(super) fn place(path: &str) -> Place {
    let mut above = Vec::new();
    let mut at = String::new();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let joined = |stem: &Stem| match at.as_str() {
            "" => spelled(stem),
            at => format!("{at}/{}", spelled(stem)),
        };
        match names::classify(part) {
            FileName::Object { stem, .. } if !last => {
                at = joined(&stem);
                above.push(at.clone());
            }
            FileName::Companion(stem) if !last => {
                return Place { own: Some(joined(&stem)), above };
            }
            FileName::Object { stem, .. } | FileName::Sidecar(stem) if last => {
                return Place { own: Some(joined(&stem)), above };
            }
            // A reserved file still tells that its directory is there.
            _ if last => return Place { own: None, above },
            _ => return Place { own: None, above: Vec::new() },
        }
    }
    Place { above, own: None }
}

/// Places of all objects of a tree, containers among them.
pub(super) fn places<'a>(paths: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in paths {
        let found = place(path);
        all.extend(found.above);
        all.extend(found.own);
    }
    all
}

/// The pieces of an output with `-z`.
pub(super) fn pieces(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    text.split('\0').filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}

/// Objects whose files differ, of `diff-tree --name-only -z`.
pub(super) fn changed(output: &[u8]) -> HashSet<String> {
    pieces(output).iter().filter_map(|path| place(path).own).collect()
}

/// Files of a tree, of `ls-tree -r -z`.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) paths: Vec<String>,
    /// Symbolic links and submodules: never objects, never followed.
    pub(super) odd: HashSet<String>,
}

pub(super) fn listing(output: &[u8]) -> Listing {
    let mut found = Listing::default();
    for line in pieces(output) {
        let Some((kind, path)) = line.split_once('\t') else { continue };
        if kind.starts_with("120000") || kind.starts_with("160000") {
            found.odd.insert(path.to_owned());
        } else {
            found.paths.push(path.to_owned());
        }
    }
    found
}

/// An object that has another place, with the suffix of its file there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: String,
    pub(super) to: String,
    /// `None`: its file says nothing (a container, or a record alone).
    pub(super) suffix: Option<Option<String>>,
}

/// Moves of objects, of `diff-tree -M --name-status -z`, containers first. `before` and `after`
/// are the places of both trees: only what is gone can have gone elsewhere, and only to where
/// nothing was.
pub(super) fn moves(
    output: &[u8],
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Vec<Move> {
    let mut found: Vec<Move> = Vec::new();
    let pieces = pieces(output);
    let mut pieces = pieces.iter().map(String::as_str);
    while let Some(status) = pieces.next() {
        let Some(old) = pieces.next() else { break };
        if !status.starts_with('R') {
            continue;
        }
        let Some(new) = pieces.next() else { break };
        let (Some(mut from), Some(mut to)) = (place(old).own, place(new).own) else { continue };
        let mut suffix = suffix_of(new);
        // A directory says nothing of its own: what is in it went with it.
        loop {
            let free = !after.contains(&from) && !before.contains(&to);
            let fresh = found.iter().all(|one| one.from != from && one.to != to);
            if free && fresh {
                found.push(Move { from: from.clone(), to: to.clone(), suffix: suffix.take() });
            } else if let Some(known) =
                found.iter_mut().find(|one| one.from == from && one.to == to)
            {
                // The record may have come before the file.
                known.suffix = known.suffix.take().or_else(|| suffix.take());
            }
            let (Some((old_dir, old_name)), Some((new_dir, new_name))) =
                (from.rsplit_once('/'), to.rsplit_once('/'))
            else {
                break;
            };
            if !free || old_name != new_name || old_dir == new_dir {
                break;
            }
            (from, to) = (old_dir.to_owned(), new_dir.to_owned());
            suffix = None;
        }
    }
    found.sort_by_key(|one| one.to.matches('/').count());
    found
}

/// The suffix that a main file gives its object; `None` for other files.
pub(super) fn suffix_of(path: &str) -> Option<Option<String>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match names::classify(name) {
        FileName::Object { suffix, .. } => Some(suffix),
        _ => None,
    }
}

/// The main file of each object of a tree, by place.
pub(super) fn files(paths: &[String]) -> std::collections::HashMap<String, &str> {
    let mut found = std::collections::HashMap::new();
    for path in paths {
        if let (Some(own), Some(_)) = (place(path).own, suffix_of(path)) {
            found.insert(own, path.rsplit('/').next().unwrap_or(path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_one_object() {
        let own = |path: &str| place(path).own;
        assert_eq!(own("a/b.jobflow").as_deref(), Some("a/b"));
        assert_eq!(own("a/.b").as_deref(), Some("a/b"));
        assert_eq!(own("a/.b.files/key/id_rsa").as_deref(), Some("a/b"));
        assert_eq!(own(".gitignore"), None);
        assert_eq!(own("my-dir/x"), None);
        assert_eq!(
            place("a/b/.gitkeep"),
            Place { above: vec!["a".into(), "a/b".into()], own: None }
        );
        assert_eq!(places(["a/b/.gitkeep"]), BTreeSet::from(["a".to_owned(), "a/b".to_owned()]));
    }

    #[test]
    fn links_and_submodules_are_no_files() {
        let found = listing(b"100644 blob 1\ta\x00120000 blob 2\tb\x00160000 commit 3\tc\0");
        assert_eq!(found.paths, ["a"]);
        assert_eq!(found.odd, HashSet::from(["b".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_moved_directory_is_one_move() {
        let before = places(["a/x.txt", "a/y.txt"]);
        let after = places(["b/x.txt", "b/y.txt"]);
        let found =
            moves(b"R100\0a/x.txt\0b/x.txt\0R100\0a/y.txt\0b/y.txt\0M\0c\0", &before, &after);
        let plain =
            |from: &str, to: &str, suffix| Move { from: from.into(), to: to.into(), suffix };
        let txt = || Some(Some("txt".to_owned()));
        assert_eq!(
            found,
            [plain("a", "b", None), plain("a/x", "b/x", txt()), plain("a/y", "b/y", txt())]
        );
        // What is still there did not go.
        let after = places(["a/x.txt", "b/x.txt"]);
        assert_eq!(moves(b"R100\0a/x.txt\0b/x.txt\0", &before, &after), []);
    }
}
