//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::base::durable::sync_name;

/// Replaces the file at `path`: temporary file, sync, rename, sync of the directory.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> Result<(), super::kv::StoreError> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_name(path)?;
    Ok(())
}
