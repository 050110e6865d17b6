//! How many children a container has, without looking at each of them.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;

use crate::tree::view::View;

impl View {
    /// The number of child objects of a container; no permission is asked. The store keeps it, but
    /// for what a commit in the making changes.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn child_count(&self, dir: ObjectId) -> Result<usize, Fault> {
        if !self.reads.is_dirty() {
            let count = self.snapshot().child_count(dir)?;
            return Ok(usize::try_from(count).unwrap_or(usize::MAX));
        }
        let mut count = 0;
        self.each_entry(dir, None, |entry| {
            count += usize::from(entry.is_object());
            Ok(true)
        })?;
        Ok(count)
    }
}
