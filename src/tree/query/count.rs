//! How many children a container has, without looking at each of them every time.

use kompira_schema::error::Fault;
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::value::Ref;

use crate::store::{EntryKind, Place, What};
use crate::tree::view::View;

/// Containers whose number of children is remembered.
pub(in crate::tree) const KEPT: usize = 10_000;
/// Commits that are looked through; after more the children are counted again.
const STEPS_MAX: u64 = 2_000;

impl View {
    /// The number of child objects of a container; no permission is asked.
    ///
    /// # Errors
    /// Failures of the store.
    pub fn child_count(&self, dir: ObjectId) -> Result<usize, Fault> {
        if self.reads.is_dirty() {
            return self.count_children(dir);
        }
        let now = self.rev();
        let known = self.inner.counts.get(&dir);
        if let Some((at, count)) = known {
            if at == now {
                return Ok(count);
            }
            if at < now
                && now.0 - at.0 <= STEPS_MAX
                && let Some(change) = self.child_change(dir, at)?
                && let Some(count) = count.checked_add_signed(change)
            {
                self.inner.counts.insert(dir, (now, count));
                return Ok(count);
            }
        }
        let count = self.count_children(dir)?;
        if known.is_none_or(|(at, _)| at < now) {
            self.inner.counts.insert(dir, (now, count));
        }
        Ok(count)
    }

    fn count_children(&self, dir: ObjectId) -> Result<usize, Fault> {
        let mut count = 0;
        self.each_entry(dir, None, |entry| {
            count += usize::from(entry.is_object());
            Ok(true)
        })?;
        Ok(count)
    }

    /// By how much the number changed since a revision; `None` when that is kept no more.
    fn child_change(&self, dir: ObjectId, since: Rev) -> Result<Option<isize>, Fault> {
        let Some(commits) = self.snapshot().changes_since(since, usize::MAX)? else {
            return Ok(None);
        };
        let counts = |place: &Option<Place>| {
            let here = |place: &Place| place.parent == dir && place.kind != EntryKind::Scratch;
            isize::from(place.as_ref().is_some_and(here))
        };
        let mut change = 0;
        for changed in commits.iter().flat_map(|commit| &commit.changes) {
            if !matches!(changed.subject, Ref::Object(_)) {
                continue;
            }
            change += match changed.what {
                What::Created => counts(&changed.place),
                What::Removed => -counts(&changed.place),
                What::Moved => counts(&changed.place) - counts(&changed.old),
                What::Content | What::Record | What::Attr => 0,
            };
        }
        Ok(Some(change))
    }
}
