//! Names and containers: rename, move, exchange (rules: `tree/rename`, `tree/move`).

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::message;
use kompira_schema::path::{Name, PATH_CHARS_MAX};

use super::create::path_chars;
use super::{Txn, entry_for, place_of};
use crate::audit::{Class, Verb};
use crate::store::{Family, What};
use crate::tree::fault;
use crate::tree::model::{Entry, Head};

/// An upper bound of the characters of every path: while it is small, no subtree has to be walked
/// before it is renamed.
const LONGEST: &[u8] = b"tree/longest-path";
/// The bound is raised in steps, so that few commits write it.
const LONGEST_STEP: usize = 32;

impl Txn {
    /// Changes the name in the same container. The present name is no change.
    ///
    /// # Errors
    /// [`Kind::Denied`] without write on object and container, [`Kind::Protected`],
    /// [`Kind::Exists`], [`Kind::NameTooLong`] for any path of the subtree.
    pub fn rename(&mut self, id: ObjectId, name: &Name) -> Result<(), Fault> {
        let parent = self.view.object_head(id)?.parent;
        self.move_to(id, parent, Some(name), None)
    }

    /// Moves into another container (or stays), perhaps under another name and file suffix
    /// (`Some(None)` forgets it).
    ///
    /// # Errors
    /// As [`Txn::rename`], and [`Kind::Cycle`], [`Kind::NotContainer`], [`Kind::WrongType`].
    pub fn move_to(
        &mut self,
        id: ObjectId,
        dest: ObjectId,
        name: Option<&Name>,
        suffix: Option<Option<&str>>,
    ) -> Result<(), Fault> {
        let before = self.view.object_head(id)?;
        let renames = dest == before.parent;
        let verb = if renames { Verb::Rename } else { Verb::Move };
        let new_name = name.map_or(before.name.as_str(), Name::as_str).to_owned();
        self.trying(Class::Object, verb, |view| view.audit_target(if renames { id } else { dest }));
        if renames {
            self.trying_with("rename_to", || new_name.as_str().into());
        } else {
            let from = self.view.path_text(&before);
            self.trying_with("move_objects", || vec![from].into());
            if name.is_some() {
                self.trying_with("move_rename", || new_name.as_str().into());
            }
        }
        let entry = self.view.entry_of(&before)?.ok_or_else(|| fault::gone(id))?;
        let new_suffix = match suffix {
            None => entry.suffix.clone(),
            Some(suffix) => suffix.map(str::to_owned),
        };
        if renames && new_name == before.name {
            return self.change_suffix(&before, &entry, new_suffix);
        }
        self.check_removable(&before)?;
        let around = self.check_destination(&before, &entry, dest)?;
        let place = self.view.path_text(&around);
        if self.view.child(dest, &new_name)?.is_some() {
            return Err(fault::exists(&new_name));
        }
        self.check_subtree(&before, entry.container, &place, &new_name)?;
        self.relocate(&before, &entry, dest, &new_name, new_suffix)?;
        self.tried();
        Ok(())
    }

    /// Whether the object may leave its place.
    pub(super) fn check_removable(&mut self, head: &Head) -> Result<(), Fault> {
        if head.id == ObjectId::ROOT || head.factory {
            return Err(fault::protected(&self.view.path_text(head)));
        }
        self.view.need_of(&self.who, head, |access| access.write, "write")?;
        self.view.need(&self.who, head.parent, |access| access.write, "write")?;
        self.expect_head(head.id);
        Ok(())
    }

    /// Whether `dest` takes the object; answers its header.
    fn check_destination(
        &mut self,
        head: &Head,
        entry: &Entry,
        dest: ObjectId,
    ) -> Result<Head, Fault> {
        let around = self.view.object_head(dest)?;
        self.expect_head(dest);
        if dest == head.parent {
            return Ok(around);
        }
        let place = self.view.path_text(&around);
        let around_def = self.container_def(&around, &place)?;
        self.view.need_of(&self.who, &around, |access| access.write, "write")?;
        let def = self.view.type_def(head.type_id)?;
        self.check_place(&around, &around_def, &place, head.type_id, &def)?;
        if entry.container {
            // Two moves can make a cycle that neither sees: one after the other.
            self.moves = true;
            if self.view.is_within(dest, head.id)? {
                return Err(fault::cycle());
            }
        }
        Ok(around)
    }

    /// Writes the new place of a node.
    pub(super) fn relocate(
        &mut self,
        before: &Head,
        entry: &Entry,
        dest: ObjectId,
        name: &str,
        suffix: Option<String>,
    ) -> Result<(), Fault> {
        let mut head = before.clone();
        head.parent = dest;
        name.clone_into(&mut head.name);
        head.ctime = self.now;
        if head.is_object() {
            head.updated = self.now;
        }
        let new = entry_for(&head, entry.kind, entry.container, suffix);
        self.remove_entry(before.parent, &before.name)?;
        self.put_entry(dest, &new)?;
        if before.is_object() {
            let body = self.view.body_of(before.id)?;
            let def = self.view.type_def(before.type_id)?;
            // A display name that says the new name says nothing.
            let mut renamed = body.clone();
            if renamed.display_name == name {
                renamed.display_name.clear();
            }
            head.says_more = self.says_more(&head, &renamed, &def, new.suffix.as_deref())?;
            self.save(Some((before, &body)), &mut head, &renamed, &def)?;
        } else {
            self.expect_head(before.id);
            self.put_head(&head);
        }
        let (place, old) = (place_of(dest, &new), place_of(before.parent, entry));
        self.tell(before.id, What::Moved, Some(place), Some(old));
        Ok(())
    }

    fn change_suffix(
        &mut self,
        head: &Head,
        entry: &Entry,
        suffix: Option<String>,
    ) -> Result<(), Fault> {
        if suffix == entry.suffix {
            self.attempt = None;
            return Ok(());
        }
        self.view.need_of(&self.who, head, |access| access.write, "write")?;
        self.view.need(&self.who, head.parent, |access| access.write, "write")?;
        let new = Entry { suffix, ..entry.clone() };
        self.put_entry(head.parent, &new)?;
        let (place, old) = (place_of(head.parent, &new), place_of(head.parent, entry));
        self.tell(head.id, What::Moved, Some(place), Some(old));
        self.tried();
        Ok(())
    }

    /// Swaps the places of two nodes of one kind (`RENAME_EXCHANGE`).
    ///
    /// # Errors
    /// As [`Txn::move_to`]; [`Kind::Invalid`] for an object and a scratch node.
    pub fn exchange(&mut self, a: ObjectId, b: ObjectId) -> Result<(), Fault> {
        let (first, second) = (self.view.head(a)?, self.view.head(b)?);
        if first.is_object() != second.is_object() {
            return Err(Fault::new(Kind::Invalid, message!("tree.exchange_mixed")));
        }
        if self.view.is_within(a, b)? || self.view.is_within(b, a)? {
            return Err(fault::cycle());
        }
        let first_entry = self.view.entry_of(&first)?.ok_or_else(|| fault::gone(a))?;
        let second_entry = self.view.entry_of(&second)?.ok_or_else(|| fault::gone(b))?;
        if first.is_object() {
            for (head, entry, to) in
                [(&first, &first_entry, &second), (&second, &second_entry, &first)]
            {
                self.trying(Class::Object, Verb::Move, |view| view.audit_target(head.id));
                self.check_removable(head)?;
                let around = self.check_destination(head, entry, to.parent)?;
                let place = self.view.path_text(&around);
                self.check_subtree(head, entry.container, &place, &to.name)?;
                self.tried();
            }
        } else {
            self.scratch_right(first.parent)?;
            self.scratch_right(second.parent)?;
        }
        self.relocate(
            &first,
            &first_entry,
            second.parent,
            &second.name,
            second_entry.suffix.clone(),
        )?;
        // The first already stands where the second was: only the other name is removed.
        let mut moved = second.clone();
        moved.parent = first.parent;
        moved.name.clone_from(&first.name);
        moved.ctime = self.now;
        let new = entry_for(
            &moved,
            second_entry.kind,
            second_entry.container,
            first_entry.suffix.clone(),
        );
        self.put_entry(first.parent, &new)?;
        if second.is_object() {
            moved.updated = self.now;
            let body = self.view.body_of(b)?;
            let def = self.view.type_def(second.type_id)?;
            self.save(Some((&second, &body)), &mut moved, &body, &def)?;
        } else {
            self.expect_head(b);
            self.put_head(&moved);
        }
        let (place, old) = (place_of(first.parent, &new), place_of(second.parent, &second_entry));
        self.tell(b, What::Moved, Some(place), Some(old));
        Ok(())
    }

    // --- the length of paths ------------------------------------------------------------------

    /// Refuses a new place in which any path of the subtree would be too long.
    pub(super) fn check_subtree(
        &mut self,
        head: &Head,
        container: bool,
        place: &str,
        name: &str,
    ) -> Result<(), Fault> {
        let new = path_chars(place, name);
        if !container {
            return self.check_path(place, name);
        }
        let old = self.view.path_text(head).chars().count();
        let bound = self.longest()?.max(old) - old;
        if new + bound <= PATH_CHARS_MAX {
            return self.note_path_exactly(new + bound);
        }
        let deepest = self.deepest(head.id)?;
        if new + deepest > PATH_CHARS_MAX {
            return Err(fault::path_too_long(new + deepest));
        }
        self.note_path_exactly(new + deepest)
    }

    /// Characters of the longest relative path below a container.
    fn deepest(&self, top: ObjectId) -> Result<usize, Fault> {
        let mut open = vec![(top, 0)];
        let mut deepest = 0;
        while let Some((dir, above)) = open.pop() {
            self.view.each_entry(dir, None, |entry| {
                if entry.is_object() {
                    let here = above + 1 + entry.name.chars().count();
                    deepest = deepest.max(here);
                    if entry.container {
                        open.push((entry.id, here));
                    }
                }
                Ok(true)
            })?;
        }
        Ok(deepest)
    }

    fn longest(&self) -> Result<usize, Fault> {
        let bytes = self.view.reads.get(Family::Meta, LONGEST)?;
        let number = bytes.and_then(|bytes| Some(u64::from_be_bytes(*bytes.first_chunk()?)));
        Ok(number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0))
    }

    pub(super) fn note_path(&mut self, count: usize) -> Result<(), Fault> {
        if count <= self.longest()? {
            return Ok(());
        }
        self.note_path_exactly(count.next_multiple_of(LONGEST_STEP).min(PATH_CHARS_MAX))
    }

    fn note_path_exactly(&mut self, count: usize) -> Result<(), Fault> {
        if count > self.longest()? {
            self.expect(Family::Meta, LONGEST);
            self.put(Family::Meta, LONGEST, (count as u64).to_be_bytes().to_vec());
        }
        Ok(())
    }
}
