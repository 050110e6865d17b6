//! What comes from the remote repository into a clone, and how it is taken back (rule:
//! `tree/repository-size`).

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kompira_schema::error::Fault;

use super::work::{Work, remove, unusable};
use crate::base::durable::sync_name;

/// The branches of the remote repository, as last fetched.
const BRANCHES: &str = "refs/remotes/origin";
/// Says what the clone held before the fetch that is under way, until that has succeeded.
const NOTE: &str = "kompira-fetch";
/// Last line of a note that is whole.
const WHOLE: &[u8] = b"end";

/// The number of a branch's commit, and its full name, which is what the remote repository likes.
type Branch = (Vec<u8>, Vec<u8>);

/// What a clone held before a fetch.
#[derive(Debug, Default, PartialEq, Eq)]
struct Before {
    branches: Vec<Branch>,
    /// File names of packs and of what belongs to them.
    packs: HashSet<String>,
}

impl Before {
    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (commit, name) in &self.branches {
            text.extend([b"branch ", &commit[..], b" ", name, b"\n"].concat());
        }
        for pack in &self.packs {
            text.extend([b"pack ", pack.as_bytes(), b"\n"].concat());
        }
        text.extend([WHOLE, b"\n"].concat());
        text
    }

    /// `None` for one that was not written to its end.
    fn read(text: &[u8]) -> Option<Self> {
        let mut before = Self::default();
        let mut lines = lines(text.strip_suffix(b"\n")?);
        if lines.next_back() != Some(WHOLE) {
            return None;
        }
        for line in lines {
            let mut words = line.splitn(3, |&byte| byte == b' ');
            match (words.next()?, words.next()?, words.next()) {
                (b"branch", commit, Some(name)) => {
                    before.branches.push((commit.to_vec(), name.to_vec()));
                }
                (b"pack", name, None) => {
                    before.packs.insert(String::from_utf8_lossy(name).into_owned());
                }
                _ => return None,
            }
        }
        Some(before)
    }
}

fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n')
}

impl Work<'_> {
    /// Gets what is new in the remote repository. What does not come whole, or makes the clone too
    /// large, is taken back.
    pub(super) fn fetch(&self) -> Result<(), Fault> {
        let note = self.note();
        self.now()
            .and_then(|before| {
                write_whole(&note, &before.text()).map_err(|error| unusable(&note, &error))
            })
            .and_then(|()| self.bring_all())
            .and_then(|()| self.forget_note())
            .inspect_err(|_| {
                if let Err(fault) = self.take_back() {
                    // The next action does.
                    tracing::warn!(?fault, "what was fetched cannot be taken back");
                }
            })?;
        // Not by the fetch itself, which would join old packs with new ones. A failure costs only
        // room: whatever needs that says so.
        let place = self.dir.to_string_lossy();
        let words = self.words(&place, &["gc", "--auto", "--quiet"]);
        if !matches!(self.git.try_run(Some(&self.dir), &words), Ok(Some(_))) {
            let objects = self.dir.join(".git/objects");
            super::size::remove_unfinished(&objects).map_err(|error| unusable(&objects, &error))?;
        }
        Ok(())
    }

    fn bring_all(&self) -> Result<(), Fault> {
        let url = self.git.remote.url.clone();
        let all = format!("+refs/heads/*:{BRANCHES}/*");
        let words = ["fetch", "--quiet", "--prune", "--no-tags", "--no-recurse-submodules"];
        self.run(&[&words[..], &["--no-auto-gc", "--", &url, &all]].concat())?;
        self.check_size()
    }

    fn note(&self) -> PathBuf {
        self.dir.join(".git").join(NOTE)
    }

    fn packs(&self) -> PathBuf {
        self.dir.join(".git/objects/pack")
    }

    /// What the clone holds.
    fn now(&self) -> Result<Before, Fault> {
        let packs = self.packs();
        let names = names_in(&packs).map_err(|error| unusable(&packs, &error))?;
        Ok(Before { branches: self.branches()?, packs: names.into_iter().collect() })
    }

    /// All branches but those that only name another.
    fn branches(&self) -> Result<Vec<Branch>, Fault> {
        let format = "--format=%(objectname) %(refname) %(symref)";
        let output = self.unwatched(&["for-each-ref", format, BRANCHES], b"")?;
        let parts = |line: &[u8]| {
            let mut parts = line.split(|&byte| byte == b' ').map(<[u8]>::to_vec);
            let (commit, name) = (parts.next()?, parts.next()?);
            parts.all(|part| part.is_empty()).then_some((commit, name))
        };
        Ok(lines(&output).filter_map(parts).collect())
    }

    /// Runs git here although the clone may be too large.
    fn unwatched(&self, words: &[&str], input: &[u8]) -> Result<Vec<u8>, Fault> {
        let place = self.dir.to_string_lossy();
        self.git.run(None, &self.words(&place, words), input)
    }

    /// The fetch has succeeded: nothing of it may be taken back any more, also when power fails.
    fn forget_note(&self) -> Result<(), Fault> {
        let note = self.note();
        let gone = remove(&note).and_then(|()| sync_name(&note));
        gone.map_err(|error| unusable(&note, &error))
    }

    /// Makes the clone what it was before a fetch that did not succeed, if there is one.
    pub(super) fn take_back(&self) -> Result<(), Fault> {
        let note = self.note();
        let text = match fs::read(&note) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|error| unusable(&note, &error))?,
        };
        // No fetch follows one that is not whole.
        if let Some(before) = Before::read(&text) {
            // First what leads to the packs. A branch may stand where others are below now.
            let kept: HashSet<&[u8]> =
                before.branches.iter().map(|(_, name)| name.as_slice()).collect();
            let now = self.branches()?;
            let new = now.iter().filter(|(_, name)| !kept.contains(name.as_slice()));
            let gone: Vec<Vec<u8>> =
                new.map(|(_, name)| [b"delete ", &name[..], b"\n"].concat()).collect();
            let back = before.branches.iter();
            let back: Vec<Vec<u8>> = back
                .map(|(commit, name)| [b"update ", &name[..], b" ", commit, b"\n"].concat())
                .collect();
            for lines in [gone, back] {
                self.unwatched(&["update-ref", "--no-deref", "--stdin"], &lines.concat())?;
            }
            let packs = self.packs();
            let removed = remove(&self.dir.join(".git/FETCH_HEAD")).and_then(|()| {
                let now = names_in(&packs)?;
                let new = now.into_iter().filter(|name| !before.packs.contains(name));
                new.into_iter().try_for_each(|name| remove(&packs.join(name)))
            });
            removed.map_err(|error| unusable(&packs, &error))?;
        }
        self.forget_note()
    }
}

/// Names of the files of a directory, which may not be there.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // git gives only plain ones.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    sync_name(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_or_not_at_all() {
        let before = Before {
            branches: vec![(b"12ab".to_vec(), b"refs/remotes/origin/\xff".to_vec())],
            packs: ["pack-1.idx".to_owned(), "pack-1.pack".to_owned()].into(),
        };
        let text = before.text();
        assert_eq!(Before::read(&text).as_ref(), Some(&before));
        for end in 0..text.len() {
            assert_eq!(Before::read(&text[..end]), None, "{end}");
        }
        assert_eq!(Before::read(&Before::default().text()), Some(Before::default()));
    }
}
