//! Names that survive a loss of power.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the names in `dir` durable.
///
/// # Errors
/// Those of the file system.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of `path` durable: a new file, or one that was renamed.
///
/// # Errors
/// Those of the file system.
pub fn sync_name(path: &Path) -> io::Result<()> {
    // A bare name lies in the working directory, though its parent is the empty path.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or_else(|| Path::new(".")))
}
