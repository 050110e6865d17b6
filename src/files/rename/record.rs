//! A sidecar gets another name, or a file the name of a sidecar.

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::{Change, Ino, NodeKind};

use super::over::remove;
use super::{Move, Target};
use crate::files::ask::{Ask, across, exists, invalid};
use crate::files::find::{Form, Found};
use crate::files::make::Making;
use crate::files::place::Place;
use crate::files::record::record_text;
use crate::files::save::unfit;
use crate::tree::{Content, Entry, ImportOptions};

impl Ask<'_> {
    /// A sidecar is renamed. The record stays with its object: moving it away copies it.
    pub(super) fn rename_record(
        &mut self,
        entry: &Entry,
        target: Target,
        there: Option<Found>,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
        let head = self.view.head(entry.id)?;
        let text = self.render(entry.id, true, &head)?;
        let content = Content::Inline(text.clone());
        let new = match target {
            Target::Companion => return Err(across()),
            Target::Record { dir, name } => match self.object_child(dir, &name)? {
                Some(object) if object.id == entry.id => return Ok(()),
                Some(object) if self.form(&object, None)? != Form::Yaml => {
                    let record = record_text(&text, None)?;
                    let id = object.id;
                    self.commit_with(|txn| {
                        txn.apply_record(id, None, &record, ImportOptions::MOUNT)
                    })?;
                    Place::Record(id).ino()
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
                let (_, id, _) = self.make(&making)?;
                Place::Object(id).ino()
            }
        };
        self.hide(entry.id);
        // The number of the sidecar must stay its own: the kernel only has to look again.
        self.files.seen.remove(&new);
        self.files.told.tell(vec![
            Change::Name { dir: step.to_ino, name: step.to_file.to_owned() },
            Change::Name {
                dir: Place::Object(step.from_dir).ino(),
                name: step.from_file.to_owned(),
            },
        ]);
        Ok(())
    }

    pub(super) fn plain_copy(
        &mut self,
        dir: ObjectId,
        file: &str,
        content: &Content,
    ) -> Result<Ino, Fault> {
        let old = self.view.child(dir, file)?;
        let done = self.commit_with(|txn| match &old {
            Some(entry) => {
                txn.scratch_write(entry.id, None, content.clone())?;
                Ok(entry.id)
            }
            None => txn.scratch_create(dir, file, NodeKind::File, None, 0, content.clone()),
        })?;
        Ok(Place::Object(done.value).ino())
    }

    /// A file is renamed onto a sidecar: its bytes, as they were written, are the record.
    pub(super) fn record_from(
        &mut self,
        from: &Entry,
        object: &Entry,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
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

    /// `mv .a dest/` came before `mv a dest/`: the record that waits joins its object.
    pub(super) fn join_record(
        &mut self,
        id: ObjectId,
        dir: ObjectId,
        sidecar: &str,
    ) -> Result<(), Fault> {
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
}
