//! A file is renamed over an object's file: the object stays and takes the bytes.

use bytes::Bytes;
use kompira_schema::error::Fault;
use kompira_schema::id::Rev;
use kompira_schema::limits::TEXT_MAX;
use kompira_schema::path::ObjectPath;
use kompira_schema::record::Record;
use kompira_schema::tree::{Change, Ino};

use super::Move;
use crate::files::ask::{Ask, invalid, is_dir};
use crate::files::find::Form;
use crate::files::place::Place;
use crate::files::record::record_text;
use crate::files::save::{put_content, set_attr, unfit};
use crate::tree::{Content, Entry, EntryKind, Head, ImportOptions, Txn};

impl Ask<'_> {
    /// A file is renamed over an object's file: the object stays, the file is gone.
    pub(super) fn replace(
        &mut self,
        from: &Entry,
        over: &Entry,
        step: &Move<'_>,
    ) -> Result<(), Fault> {
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
    pub(super) fn became(&self, old: Ino, new: Ino, rev: Rev, step: &Move<'_>, canonical: bool) {
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

    pub(super) fn record_of_content(
        &self,
        content: &Content,
        object: &Entry,
    ) -> Result<Record, Fault> {
        let bytes = self.inline(content)?.ok_or_else(invalid)?;
        let path = self.view.path_of(object.type_id);
        record_text(&bytes, path.as_ref().map(ObjectPath::as_str))
    }

    /// The bytes of a file as they were written to it, not as its record shows them.
    pub(super) fn as_written(&self, head: &Head) -> Result<Content, Fault> {
        if let Some(text) = self.files.written(head.id, head.rev) {
            return Ok(Content::Inline(text));
        }
        if self.form_of(head)? != Form::Yaml {
            return self.view.content(self.who, head.id);
        }
        Ok(Content::Inline(self.render(head.id, false, head)?))
    }

    /// The bytes of a content, if a text field could hold them.
    pub(super) fn inline(&self, content: &Content) -> Result<Option<Bytes>, Fault> {
        match content {
            Content::Inline(bytes) => Ok(Some(bytes.clone())),
            Content::Blob { size, .. } if *size > TEXT_MAX as u64 => Ok(None),
            Content::Blob { hash, size } => {
                let size = usize::try_from(*size).unwrap_or(usize::MAX);
                Ok(Some(self.view.blob_read(*hash, 0, size)?))
            }
        }
    }
}

/// The file that was renamed over another is gone.
pub(super) fn remove(txn: &mut Txn, entry: &Entry) -> Result<(), Fault> {
    if entry.kind == EntryKind::Scratch {
        txn.scratch_delete(entry.id)
    } else {
        txn.delete(entry.id)
    }
}
