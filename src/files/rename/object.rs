//! An object, or what becomes one, gets another name.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names;
use kompira_schema::path::Name;
use kompira_schema::tree::{Change, NodeKind};

use super::over::remove;
use super::{Move, Target};
use crate::files::ask::{Ask, across, exists, is_dir, never, no_dir};
use crate::files::find::{Form, Found};
use crate::files::make::Making;
use crate::files::place::Place;
use crate::files::save::{put_content, set_attr};
use crate::tree::{Entry, EntryKind, Head};

impl Ask<'_> {
    pub(super) fn rename_object(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        let id = entry.id;
        match target {
            Target::Plain(dir) => {
                if self.is_factory(id)? {
                    return Err(never());
                }
                let ghosts = self.ghosts_of(entry)?;
                let over = match there {
                    Some(Found::Entry(over)) if over.node == NodeKind::Dir => {
                        return Err(is_dir());
                    }
                    Some(Found::Entry(over)) => Some(over.id),
                    _ => None,
                };
                self.commit_with(|txn| {
                    if let Some(over) = over {
                        txn.scratch_delete(over)?;
                    }
                    txn.object_to_scratch(id, dir, step.to_file)
                })?;
                self.leave_ghosts(ghosts);
                self.files.told.tell(vec![Change::Attr(Place::Object(id).ino())]);
                Ok(())
            }
            Target::Record { dir, name } => {
                if let Some(object) = self.object_child(dir, &name)?
                    && object.id != id
                    && self.form(&object, None)? != Form::Yaml
                {
                    return self.record_from(entry, &object, step);
                }
                // It waits for its object, as it was written.
                let head = self.view.head(id)?;
                let content = self.as_written(&head)?;
                let done = self.commit_with(|txn| {
                    txn.delete(id)?;
                    let mode = head.mode;
                    txn.scratch_create(
                        dir,
                        step.to_file,
                        NodeKind::File,
                        None,
                        mode,
                        content.clone(),
                    )
                })?;
                let new = Place::Object(done.value).ino();
                self.became(Place::Object(id).ino(), new, done.rev, step, false);
                Ok(())
            }
            Target::Companion => Err(no_dir()),
            Target::Object { dir, name, suffix } => {
                if let Some(Found::Entry(over)) = &there
                    && over.id != id
                {
                    return self.replace(entry, over, step);
                }
                // `sed -i.bak`: the object was renamed to a backup name, its new text comes now.
                let comes_back = there.is_none()
                    && entry.kind == EntryKind::Bare
                    && self.view.child(dir, name.as_str())?.is_none()
                    && self.former(dir, &name)?.is_some_and(|former| former != id);
                if comes_back {
                    return self.object_from(entry, dir, &name, suffix.as_deref(), step);
                }
                self.move_object(entry, dir, &name, suffix.as_deref(), step)
            }
        }
    }

    /// A scratch file or foreign object becomes an object under a free name.
    pub(super) fn object_from(
        &mut self,
        from: &Entry,
        dir: ObjectId,
        name: &Name,
        suffix: Option<&str>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        if self.view.child(dir, name.as_str())?.is_some() {
            // In use under another suffix.
            return Err(exists(step.to_file));
        }
        let head = self.view.head(from.id)?;
        let content = self.as_written(&head)?;
        let old = Place::Object(from.id).ino();
        if let Some(id) = self.former(dir, name)? {
            // The other half of a save that renamed the object to a backup name first.
            let backup = self.view.head(id)?;
            if id == from.id {
                return self.undo_backup(&backup, suffix, step);
            }
            let done = self.commit_with(|txn| {
                txn.readopt(id, suffix, content.clone())?;
                remove(txn, from)?;
                set_attr(txn, id, (head.mode != 0).then_some(head.mode), Some(head.mtime))
            })?;
            let place = Place::Object(backup.parent).ino();
            self.files.told.tell(vec![Change::Name { dir: place, name: backup.name }]);
            self.became(old, Place::Object(id).ino(), done.rev, step, false);
            return Ok(());
        }
        let making = Making {
            dir,
            name,
            suffix,
            id: None,
            bytes: self.inline(&content)?,
            content,
            mode: (head.mode != 0).then_some(head.mode),
            mtime: Some(head.mtime),
            from: Some((from.id, from.kind)),
        };
        let (rev, id, yaml) = self.make(&making)?;
        self.became(old, Place::Object(id).ino(), rev, step, yaml);
        Ok(())
    }

    /// `mv note~ note`: the backup is the object again.
    pub(super) fn undo_backup(
        &mut self,
        backup: &Head,
        suffix: Option<&str>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        let content = self.view.content(self.who, backup.id)?;
        let id = backup.id;
        self.commit_with(|txn| {
            let copy = txn.readopt(id, suffix, content.clone())?;
            txn.scratch_delete(copy)
        })?;
        let ino = Place::Object(id).ino();
        self.files.told.tell(vec![
            Change::Attr(ino),
            Change::Name { dir: step.to_ino, name: step.to_file.to_owned() },
        ]);
        Ok(())
    }

    pub(super) fn move_object(
        &mut self,
        entry: &Entry,
        dir: ObjectId,
        name: &Name,
        suffix: Option<&str>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        let id = entry.id;
        if let Some(other) = self.view.child(dir, name.as_str())?
            && other.id != id
        {
            return Err(exists(step.to_file));
        }
        let ghosts = self.ghosts_of(entry)?;
        let pending = self.pending_record(dir, &names::sidecar(name, suffix))?;
        let joins = pending.is_some_and(|_| dir != step.from_dir || entry.name != name.as_str());
        self.commit_with(|txn| txn.move_to(id, dir, Some(name), Some(suffix)))?;
        self.leave_ghosts(ghosts);
        self.renew();
        if joins {
            self.join_record(id, dir, &names::sidecar(name, suffix))?;
        }
        if entry.suffix.as_deref() != suffix && entry.kind == EntryKind::Bare {
            self.follow_suffix(id)?;
        }
        Ok(())
    }

    /// A bare object whose suffix says another type becomes one of that type.
    pub(super) fn follow_suffix(&mut self, id: ObjectId) -> Result<(), Fault> {
        let content = self.view.content(self.who, id)?;
        let bytes = self.inline(&content)?;
        if let Some(plan) = self.other_plan(id, bytes.as_ref())? {
            self.commit_with(|txn| put_content(txn, id, None, &content, Some(&plan)))?;
            self.files.told.tell(vec![Change::Content(Place::Object(id).ino())]);
        }
        Ok(())
    }

    pub(super) fn rename_container(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
    ) -> Result<(), Fault> {
        let Target::Object { dir, name, suffix } = target else { return Err(across()) };
        let over = match there {
            Some(Found::Entry(over)) if over.id == entry.id => None,
            Some(Found::Entry(over)) if !over.container => return Err(no_dir()),
            Some(Found::Entry(over)) => Some(over.id),
            _ => None,
        };
        if over.is_none()
            && let Some(other) = self.view.child(dir, name.as_str())?
            && other.id != entry.id
        {
            return Err(exists(name.as_str()));
        }
        let id = entry.id;
        let ghosts = self.ghosts_of(entry)?;
        let sidecar = names::sidecar(&name, suffix.as_deref());
        self.commit_with(|txn| {
            if let Some(over) = over {
                txn.delete_empty(over)?;
            }
            txn.move_to(id, dir, Some(&name), Some(suffix.as_deref()))
        })?;
        self.leave_ghosts(ghosts);
        self.renew();
        self.join_record(id, dir, &sidecar)
    }

    pub(super) fn is_factory(&self, id: ObjectId) -> Result<bool, Fault> {
        Ok(self.view.head(id)?.factory)
    }
}
