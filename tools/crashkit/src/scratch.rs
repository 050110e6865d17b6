//! Where a run keeps its data: gone after a clean run, left to be looked at after any other.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory of one run.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Makes one in `dir`; answers its full path, too.
    pub(crate) fn make(dir: &Path) -> Result<(Self, PathBuf), String> {
        let made = tempfile::Builder::new()
            .prefix("crashkit-")
            .tempdir_in(dir)
            .map_err(|error| error.to_string())?;
        let root = made.path().canonicalize().map_err(|error| error.to_string())?;
        Ok((Self(made), root))
    }

    /// Ends the run, which came out so.
    pub(crate) fn end(self, done: Result<bool, String>) -> Result<bool, String> {
        if !matches!(done, Ok(true)) {
            eprintln!("crashkit: what is left is in {}", self.0.keep().display());
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_run_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for (done, left) in [(Ok(true), false), (Ok(false), true), (Err("no".into()), true)] {
            let (scratch, root) = Scratch::make(dir.path()).unwrap();
            assert!(root.is_dir());
            assert_eq!(scratch.end(Result::clone(&done)), done);
            assert_eq!(root.exists(), left, "{done:?}");
        }
    }
}
