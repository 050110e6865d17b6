//! Creating a file under a name that is free, or that an editor has just given away.

use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::path::Name;
use kompira_schema::tree::{Attr, Change, Ino, OpenHow, Opened};

use super::ask::{Ask, denied, exists, is_dir};
use super::draft::{Draft, Goal, New, NewKind};
use super::find::{Dir, Form, Found, Meaning};
use super::handles::{Open, OpenFile};
use super::place::Place;
use crate::tree::Entry;

impl Ask<'_> {
    pub(super) fn create(
        &mut self,
        dir: Ino,
        file: &str,
        mode: u16,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        let at = self.dir(dir)?;
        self.may_search(&at)?;
        match self.find(&at, file)? {
            Some(Found::Ghost(_)) | None => {}
            Some(_) if how.exclusive => return Err(exists(file)),
            Some(found) => {
                let attr = self.attr_found(&found)?;
                let opened = self.open(attr.ino, how)?;
                return Ok((self.attr(attr.ino, Some(opened.handle))?, opened));
            }
        }
        let (dir, kind) = match &at {
            Dir::Scratch(id) => (*id, NewKind::Scratch),
            Dir::Objects(id) => match self.meaning(*id, file) {
                Ok(Meaning::Scratch) => (*id, NewKind::Scratch),
                Ok(Meaning::Object { name, suffix }) => {
                    if self.view.child(*id, name.as_str())?.is_some()
                        || self.files.drafts.new_at(*id, name.as_str()).is_some()
                    {
                        // The name is in use under another suffix.
                        return Err(exists(file));
                    }
                    (*id, NewKind::Object { name, suffix })
                }
                Ok(Meaning::Record(name)) => match self.object_child(*id, &name)? {
                    Some(entry) if self.form(&entry, None)? != Form::Yaml => {
                        return self.create_record(*id, file, &entry, how);
                    }
                    _ => (*id, NewKind::Scratch),
                },
                Ok(Meaning::Companion(_)) => return Err(is_dir()),
                Err(fault) => {
                    self.files.note(dir, &fault);
                    return Err(fault);
                }
            },
            Dir::Family(..) => return Err(denied()),
            Dir::Companion(_) | Dir::Node(..) => return self.create_below(&at, file, how),
        };
        self.need_write(dir)?;
        self.files.ghosts.remove(dir, file);
        if let NewKind::Object { name, suffix } = &kind
            && let Some(id) = self.former(dir, name)?
        {
            return self.come_back(id, suffix.as_deref(), how);
        }
        let past = match &kind {
            NewKind::Object { name, .. } => {
                self.files.recalled.get(dir, name.as_str(), self.now_mono())
            }
            NewKind::Scratch => None,
        };
        let id = match past {
            Some(past) => past.id,
            None => self.files.tree.new_object_id()?,
        };
        let place = Place::Object(id);
        let goal = New { dir, file: file.to_owned(), kind };
        let draft = Draft::new(place.ino(), Goal::New(goal.clone()), None, self.files.clock.now());
        draft.state.lock().mode = Some(mode & 0o7777);
        if !self.files.drafts.add_new(&goal, &draft) {
            return Err(exists(file));
        }
        let attr = self.attr_new(&draft);
        let file = OpenFile::new(place, how, Some(draft), self.who);
        let handle = self.files.handles.add(Open::File(Arc::new(file)))?;
        Ok((attr, Opened { handle, keep_cache: false, direct: false }))
    }

    pub(super) fn former(&self, dir: ObjectId, name: &Name) -> Result<Option<ObjectId>, Fault> {
        self.view.former(dir, name.as_str())
    }

    /// An editor renamed the object to a backup name and now writes the file anew: the object
    /// comes back, and the backup is a plain copy (rule: `files/backup`).
    fn come_back(
        &mut self,
        id: ObjectId,
        suffix: Option<&str>,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        let backup = self.view.entry(id)?;
        let content = self.view.content(self.who, id)?;
        self.commit_with(|txn| txn.readopt(id, suffix, content.clone()))?;
        self.renew();
        if let Some(backup) = backup {
            let at = Place::Object(self.view.head(id)?.parent).ino();
            self.files.told.tell(vec![Change::Name { dir: at, name: backup.name }]);
        }
        let how = OpenHow { truncate: true, ..how };
        let ino = Place::Object(id).ino();
        let opened = self.open_object(id, how)?;
        Ok((self.attr(ino, Some(opened.handle))?, opened))
    }

    /// A sidecar of an object that shows none yet.
    fn create_record(
        &self,
        dir: ObjectId,
        file: &str,
        entry: &Entry,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        self.need_write(entry.id)?;
        self.files.ghosts.remove(dir, file);
        self.files.hidden.lock().remove(&entry.id);
        let place = Place::Record(entry.id);
        let how = OpenHow { truncate: true, write: true, ..how };
        let opened = self.open_node(place, Goal::Record(entry.id), entry.id, how)?;
        Ok((self.attr(place.ino(), Some(opened.handle))?, opened))
    }
}
