//! Renaming, in all the ways in which editors save (rule: `files/rename`).

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names;
use kompira_schema::limits::TEXT_MAX;
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::tree::{Change, Ino, NodeKind, RenameMode};

use super::ask::{Ask, across, exists, invalid, is_dir, missing, never, no_dir, read_only};
use super::find::{Dir, Form, Found, Meaning};
use super::place::Place;
use super::record::record_text;
use super::save::{Making, put_content, set_attr, unfit};
use crate::tree::{Content, Entry, EntryKind, Head, ImportOptions};

/// Where a rename leads.
enum Target {
    /// A scratch name in this directory.
    Plain(ObjectId),
    Object {
        dir: ObjectId,
        name: Name,
        suffix: Option<String>,
    },
    Record {
        dir: ObjectId,
        name: Name,
    },
    Companion,
}

/// Two names in directories of the tree.
struct Move<'m> {
    from_dir: ObjectId,
    from_file: &'m str,
    to_file: &'m str,
    /// The directory of the new name, as the kernel knows it.
    to_ino: Ino,
}

impl Ask<'_> {
    pub(super) fn rename(
        &mut self,
        from: (Ino, &str),
        to: (Ino, &str),
        mode: RenameMode,
    ) -> Result<(), Fault> {
        let (from_dir, to_dir) = (self.dir(from.0)?, self.dir(to.0)?);
        self.may_search(&from_dir)?;
        self.may_search(&to_dir)?;
        if from_dir == to_dir && from.1 == to.1 {
            return match self.find(&from_dir, from.1)? {
                Some(_) => Ok(()),
                None => Err(missing(from.1)),
            };
        }
        self.settle(&from_dir, from.1)?;
        let source = self.find(&from_dir, from.1)?.ok_or_else(|| missing(from.1))?;
        let target = self.target(&to_dir, to.1, to.0)?;
        let there = self.find(&to_dir, to.1)?;
        match mode {
            RenameMode::NoReplace if !matches!(there, None | Some(Found::Ghost(_))) => {
                return Err(exists(to.1));
            }
            RenameMode::Exchange => return self.exchange(&source, there.as_ref()),
            RenameMode::NoReplace | RenameMode::Replace => {}
        }
        let (Some(target), Some(from_id)) = (target, dir_id(&from_dir)) else {
            return self.rename_below((&from_dir, from.1), (&to_dir, to.1), &source);
        };
        let step = Move { from_dir: from_id, from_file: from.1, to_file: to.1, to_ino: to.0 };
        // A new file that is not saved yet is replaced: it never was.
        let there = match there {
            Some(Found::New(draft)) => match self.drop_new(&draft) {
                None => None,
                Some(_) => {
                    self.renew();
                    self.find(&to_dir, to.1)?
                }
            },
            other => other,
        };
        match source {
            Found::Ghost(_) => {
                // `mv a b` has moved the record too: `mv .a .b` is already done.
                self.files.ghosts.remove(from_id, from.1);
                Ok(())
            }
            Found::Entry(entry) if entry.kind == EntryKind::Scratch => {
                self.rename_scratch(&entry, target, there, &step)
            }
            Found::Entry(entry) if entry.container => self.rename_container(&entry, target, there),
            Found::Entry(entry) => self.rename_object(&entry, target, there, &step),
            Found::Record(entry) => self.rename_record(&entry, target, there, &step),
            Found::Companion(_) => Err(across()),
            Found::Place(Place::Node(_)) => Err(across()),
            Found::Place(_) => Err(never()),
            Found::New(_) => Err(Fault::internal("a saved file is new")),
        }
    }

    /// Saves what is unsaved under a name, so that a rename moves what was written.
    fn settle(&mut self, dir: &Dir, file: &str) -> Result<(), Fault> {
        let draft = match self.find(dir, file)? {
            Some(Found::New(draft)) => Some(draft),
            Some(Found::Entry(entry)) => self.files.drafts.of(Place::Object(entry.id).ino()),
            Some(Found::Record(entry)) => self.files.drafts.of(Place::Record(entry.id).ino()),
            _ => None,
        };
        if let Some(draft) = draft {
            self.save(&draft, true)?;
            self.renew();
        }
        Ok(())
    }

    /// What the new name means; `None` below companion and control directories.
    fn target(&self, dir: &Dir, file: &str, ino: Ino) -> Result<Option<Target>, Fault> {
        Ok(Some(match dir {
            Dir::Scratch(id) => Target::Plain(*id),
            Dir::Objects(id) => match self.meaning(*id, file) {
                Ok(Meaning::Scratch) => Target::Plain(*id),
                Ok(Meaning::Object { name, suffix }) => Target::Object { dir: *id, name, suffix },
                Ok(Meaning::Record(name)) => Target::Record { dir: *id, name },
                Ok(Meaning::Companion(name)) => match self.object_child(*id, &name)? {
                    None => Target::Plain(*id),
                    Some(_) => Target::Companion,
                },
                Err(fault) => {
                    self.files.note(ino, &fault);
                    return Err(fault);
                }
            },
            Dir::Family(..) => return Err(never()),
            Dir::Companion(_) | Dir::Node(..) => return Ok(None),
        }))
    }

    fn rename_scratch(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        match target {
            Target::Plain(dir) => {
                let id = entry.id;
                self.commit_with(|txn| txn.scratch_rename(id, dir, step.to_file))?;
                Ok(())
            }
            Target::Record { dir, name } => {
                if entry.node != NodeKind::File {
                    return Err(across());
                }
                match self.object_child(dir, &name)? {
                    Some(object) if self.form(&object, None)? != Form::Yaml => {
                        self.record_from(entry, &object, step)
                    }
                    _ => {
                        let id = entry.id;
                        self.commit_with(|txn| txn.scratch_rename(id, dir, step.to_file))?;
                        Ok(())
                    }
                }
            }
            Target::Companion => Err(across()),
            Target::Object { dir, name, suffix } => {
                if entry.node != NodeKind::File {
                    return Err(across());
                }
                match there {
                    Some(Found::Entry(over)) => self.replace(entry, &over, step),
                    _ => self.object_from(entry, dir, &name, suffix.as_deref(), step),
                }
            }
        }
    }

    /// A file is renamed over an object's file: the object stays, the file is gone.
    fn replace(&mut self, from: &Entry, over: &Entry, step: &Move<'_>) -> Result<(), Fault> {
        if over.container {
            return Err(is_dir());
        }
        if from.id == over.id {
            return Ok(());
        }
        let head = self.view.head(from.id)?;
        let content = self.as_written(&head)?;
        let (source, target) = (from.id, over.id);
        let (mode, mtime) = ((head.mode != 0).then_some(head.mode), Some(head.mtime));
        let form = self.form(over, None)?;
        let done = if over.kind == EntryKind::Scratch {
            self.commit_with(|txn| {
                txn.scratch_write(target, None, content.clone())?;
                remove(txn, from)?;
                set_attr(txn, target, mode, mtime)
            })?
        } else if form == Form::Yaml {
            let record = self.record_of_content(&content, over)?;
            self.commit_with(|txn| {
                txn.apply_record(target, None, &record, ImportOptions::MOUNT).map_err(unfit)?;
                remove(txn, from)?;
                set_attr(txn, target, mode, mtime)
            })?
        } else {
            let bytes = self.inline(&content)?;
            let plan = self.other_plan(target, bytes.as_ref())?;
            let plain = plan.is_none() && from.kind == EntryKind::Scratch;
            self.commit_with(|txn| {
                if plain {
                    txn.replace(source, target)?;
                } else {
                    put_content(txn, target, None, &content, plan.as_ref())?;
                    remove(txn, from)?;
                }
                set_attr(txn, target, mode, mtime)
            })?
        };
        let (old, new) = (Place::Object(source).ino(), Place::Object(target).ino());
        self.became(old, new, done.rev, step, form == Form::Yaml);
        Ok(())
    }

    /// The kernel still calls the surviving file by the number of the one renamed over it.
    fn became(
        &self,
        old: Ino,
        new: Ino,
        rev: kompira_schema::id::Rev,
        step: &Move<'_>,
        canonical: bool,
    ) {
        self.drop_draft(old);
        self.files.set_alias(old, new);
        self.files.seen.remove(&new);
        self.files.rebase(new, rev);
        let mut changes = vec![
            Change::Name { dir: step.to_ino, name: step.to_file.to_owned() },
            Change::Content(new),
        ];
        if canonical {
            changes.push(Change::Content(old));
        }
        self.files.told.tell(changes);
    }

    /// A scratch file or foreign object becomes an object under a free name.
    fn object_from(
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
    fn undo_backup(
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

    fn rename_object(
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

    fn move_object(
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
    fn follow_suffix(&mut self, id: ObjectId) -> Result<(), Fault> {
        let content = self.view.content(self.who, id)?;
        let bytes = self.inline(&content)?;
        if let Some(plan) = self.other_plan(id, bytes.as_ref())? {
            self.commit_with(|txn| put_content(txn, id, None, &content, Some(&plan)))?;
            self.files.told.tell(vec![Change::Content(Place::Object(id).ino())]);
        }
        Ok(())
    }

    /// `mv .a dest/` came before `mv a dest/`: the record that waits joins its object.
    fn join_record(&mut self, id: ObjectId, dir: ObjectId, sidecar: &str) -> Result<(), Fault> {
        let Some((scratch, record)) = self.pending_record(dir, sidecar)? else { return Ok(()) };
        let options = ImportOptions { lenient: true, ..ImportOptions::MOUNT };
        self.commit_with(|txn| {
            txn.apply_record(id, None, &record, options)?;
            txn.scratch_delete(scratch)
        })?;
        self.files.hidden.lock().remove(&id);
        let at = Place::Object(dir).ino();
        self.files.told.tell(vec![Change::Name { dir: at, name: sidecar.to_owned() }]);
        Ok(())
    }

    fn rename_container(
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

    /// A sidecar is renamed. The record stays with its object: moving it away copies it.
    fn rename_record(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        let head = self.view.head(entry.id)?;
        let text = self.render(entry.id, true, &head)?;
        let content = Content::Inline(text.clone());
        let old = Place::Record(entry.id).ino();
        let (new, rev) = match target {
            Target::Companion => return Err(across()),
            Target::Record { dir, name } => match self.object_child(dir, &name)? {
                Some(object) if object.id == entry.id => return Ok(()),
                Some(object) if self.form(&object, None)? != Form::Yaml => {
                    let record = record_text(&text, None)?;
                    let id = object.id;
                    let done = self.commit_with(|txn| {
                        txn.apply_record(id, None, &record, ImportOptions::MOUNT)
                    })?;
                    (Place::Record(id).ino(), done.rev)
                }
                _ => self.plain_copy(dir, step.to_file, &content)?,
            },
            Target::Plain(dir) => self.plain_copy(dir, step.to_file, &content)?,
            Target::Object { dir, name, suffix } => {
                if there.is_some() {
                    return Err(exists(step.to_file));
                }
                let making = Making {
                    dir,
                    name: &name,
                    suffix: suffix.as_deref(),
                    id: None,
                    bytes: Some(text),
                    content,
                    mode: None,
                    mtime: None,
                    from: None,
                };
                let (rev, id, _) = self.make(&making)?;
                (Place::Object(id).ino(), rev)
            }
        };
        self.hide(entry.id);
        // The number of the sidecar must stay its own: the kernel only has to look again.
        self.files.seen.remove(&new);
        let _ = (rev, old);
        self.files.told.tell(vec![
            Change::Name { dir: step.to_ino, name: step.to_file.to_owned() },
            Change::Name {
                dir: Place::Object(step.from_dir).ino(),
                name: step.from_file.to_owned(),
            },
        ]);
        Ok(())
    }

    fn plain_copy(
        &mut self,
        dir: ObjectId,
        file: &str,
        content: &Content,
    ) -> Result<(Ino, kompira_schema::id::Rev), Fault> {
        let old = self.view.child(dir, file)?;
        let done = self.commit_with(|txn| match &old {
            Some(entry) => {
                txn.scratch_write(entry.id, None, content.clone())?;
                Ok(entry.id)
            }
            None => txn.scratch_create(dir, file, NodeKind::File, None, 0, content.clone()),
        })?;
        Ok((Place::Object(done.value).ino(), done.rev))
    }

    /// A file is renamed onto a sidecar: its bytes, as they were written, are the record.
    fn record_from(&mut self, from: &Entry, object: &Entry, step: &Move<'_>) -> Result<(), Fault> {
        let head = self.view.head(from.id)?;
        let content = self.as_written(&head)?;
        let bytes = self.inline(&content)?.ok_or_else(invalid)?;
        let record = record_text(&bytes, None).inspect_err(|fault| {
            self.files.note(Place::Object(object.id).ino(), fault);
        })?;
        let id = object.id;
        let done = self.commit_with(|txn| {
            txn.apply_record(id, None, &record, ImportOptions::MOUNT).map_err(unfit)?;
            remove(txn, from)
        })?;
        self.files.hidden.lock().remove(&id);
        let (old, new) = (Place::Object(from.id).ino(), Place::Record(id).ino());
        self.became(old, new, done.rev, step, true);
        Ok(())
    }

    fn record_of_content(
        &self,
        content: &Content,
        object: &Entry,
    ) -> Result<kompira_schema::record::Record, Fault> {
        let bytes = self.inline(content)?.ok_or_else(invalid)?;
        let path = self.view.path_of(object.type_id);
        record_text(&bytes, path.as_ref().map(kompira_schema::path::ObjectPath::as_str))
    }

    /// The bytes of a file as they were written to it, not as its record shows them.
    fn as_written(&self, head: &Head) -> Result<Content, Fault> {
        if let Some(text) = self.files.written(head.id, head.rev) {
            return Ok(Content::Inline(text));
        }
        if self.form_of(head)? != Form::Yaml {
            return self.view.content(self.who, head.id);
        }
        Ok(Content::Inline(self.render(head.id, false, head)?))
    }

    /// The bytes of a content, if a text field could hold them.
    fn inline(&self, content: &Content) -> Result<Option<Bytes>, Fault> {
        match content {
            Content::Inline(bytes) => Ok(Some(bytes.clone())),
            Content::Blob { size, .. } if *size > TEXT_MAX as u64 => Ok(None),
            Content::Blob { hash, size } => {
                let size = usize::try_from(*size).unwrap_or(usize::MAX);
                Ok(Some(self.view.blob_read(*hash, 0, size)?))
            }
        }
    }

    fn is_factory(&self, id: ObjectId) -> Result<bool, Fault> {
        Ok(self.view.head(id)?.factory)
    }

    fn exchange(&mut self, source: &Found, there: Option<&Found>) -> Result<(), Fault> {
        let Some(there) = there else { return Err(missing("?")) };
        let (Found::Entry(a), Found::Entry(b)) = (source, there) else { return Err(invalid()) };
        let scratch = |entry: &Entry| entry.kind == EntryKind::Scratch;
        if scratch(a) != scratch(b) {
            return Err(Fault::new(Kind::Invalid, message!("files.no_exchange")));
        }
        let (a, b) = (a.id, b.id);
        self.commit_with(|txn| txn.exchange(a, b))?;
        Ok(())
    }

    fn rename_below(
        &mut self,
        from: (&Dir, &str),
        to: (&Dir, &str),
        source: &Found,
    ) -> Result<(), Fault> {
        match (source, from.0, to.0) {
            (Found::Place(Place::Node(number)), _, Dir::Node(_, node)) => {
                self.rename_attachment(*number, node, to.1)
            }
            (_, Dir::Node(..) | Dir::Companion(_), _) | (_, _, Dir::Companion(_)) => Err(across()),
            (_, _, Dir::Node(_, super::node::Node::Control(_))) => Err(read_only()),
            _ => Err(across()),
        }
    }
}

/// The file that was renamed over another is gone.
fn remove(txn: &mut crate::tree::Txn, entry: &Entry) -> Result<(), Fault> {
    if entry.kind == EntryKind::Scratch {
        txn.scratch_delete(entry.id)
    } else {
        txn.delete(entry.id)
    }
}

fn dir_id(dir: &Dir) -> Option<ObjectId> {
    match dir {
        Dir::Objects(id) | Dir::Scratch(id) => Some(*id),
        Dir::Family(..) | Dir::Companion(_) | Dir::Node(..) => None,
    }
}
