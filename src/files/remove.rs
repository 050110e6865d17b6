//! Making directories and links; removing names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names;
use kompira_schema::message;
use kompira_schema::path::Name;
use kompira_schema::tree::{Attr, Change, Ino, NodeKind};
use kompira_schema::types::Container;

use super::ask::{Ask, exists, is_dir, missing, never, no_dir};
use super::draft::{Draft, Goal};
use super::find::{Dir, Found, Meaning};
use super::ghost::{GHOST_SECONDS, Ghost};
use super::place::Place;
use super::recall::Past;
use crate::tree::{Content, Draft as NewObject, Entry, EntryKind, ImportOptions, RecordOptions};

/// A link's target. Reason: `PATH_MAX`.
const TARGET_BYTES_MAX: usize = 4096;

impl Ask<'_> {
    pub(super) fn mkdir(&mut self, dir: Ino, file: &str, mode: u16) -> Result<Attr, Fault> {
        let at = self.dir(dir)?;
        self.may_search(&at)?;
        match self.find(&at, file)? {
            None | Some(Found::Ghost(_)) => {}
            Some(_) => return Err(exists(file)),
        }
        let made = match &at {
            Dir::Scratch(id) => self.make_scratch(*id, file, NodeKind::Dir, mode, "")?,
            Dir::Objects(id) => match self.meaning(*id, file) {
                Ok(Meaning::Object { name, suffix }) => {
                    self.make_container(*id, &name, suffix.as_deref(), mode)?
                }
                // A dot directory is scratch, also `.NAME.files` whose object is not there yet.
                Ok(Meaning::Scratch | Meaning::Record(_)) => {
                    self.make_scratch(*id, file, NodeKind::Dir, mode, "")?
                }
                Ok(Meaning::Companion(name)) => {
                    if self.object_child(*id, &name)?.is_some() {
                        return Err(Fault::new(
                            Kind::Invalid,
                            message!("files.no_attachments", name = name),
                        ));
                    }
                    self.make_scratch(*id, file, NodeKind::Dir, mode, "")?
                }
                Err(fault) => {
                    self.files.note(dir, &fault);
                    return Err(fault);
                }
            },
            Dir::Companion(_) | Dir::Node(..) => return self.mkdir_below(&at, file),
            Dir::Family(..) => return Err(never()),
        };
        if let Dir::Objects(id) | Dir::Scratch(id) = &at {
            self.files.ghosts.remove(*id, file);
        }
        self.renew();
        self.attr_place(Place::Object(made))
    }

    fn make_container(
        &mut self,
        dir: ObjectId,
        name: &Name,
        suffix: Option<&str>,
        mode: u16,
    ) -> Result<ObjectId, Fault> {
        if self.view.child(dir, name.as_str())?.is_some() {
            return Err(exists(name.as_str()));
        }
        let type_id = match self.table_type(dir)? {
            Some(id) if self.view.type_def(id)?.container == Container::Any => id,
            Some(_) => return Err(Fault::new(Kind::WrongType, message!("files.only_rows"))),
            None => {
                self.view.builtin("Directory").ok_or_else(|| Fault::internal("a type is gone"))?
            }
        };
        let draft = |bare| NewObject {
            suffix: suffix.map(str::to_owned),
            mode: Some(mode & 0o7777),
            bare,
            ..NewObject::default()
        };
        let sidecar = names::sidecar(name, suffix);
        if let Some((scratch, record)) = self.pending_record(dir, &sidecar)?
            && self.typed(&record).is_ok_and(|(_, def)| def.is_container())
        {
            let options = ImportOptions { lenient: true, ..ImportOptions::MOUNT };
            let done = self.commit_with(|txn| {
                let id = txn.create_record(dir, name, &record, draft(false), options)?;
                txn.scratch_delete(scratch)?;
                Ok(id)
            })?;
            let at = Place::Object(dir).ino();
            self.files.told.tell(vec![Change::Name { dir: at, name: sidecar }]);
            return Ok(done.value);
        }
        Ok(self.commit_with(|txn| txn.create(dir, name, type_id, draft(true)))?.value)
    }

    fn make_scratch(
        &self,
        dir: ObjectId,
        file: &str,
        node: NodeKind,
        mode: u16,
        content: &str,
    ) -> Result<ObjectId, Fault> {
        if file.len() > names::FILE_NAME_BYTES_MAX {
            return Err(Fault::new(Kind::NameTooLong, message!("files.bad_name", name = file)));
        }
        let content = Content::Inline(Bytes::copy_from_slice(content.as_bytes()));
        let mode = mode & 0o7777;
        let done = self
            .commit_with(|txn| txn.scratch_create(dir, file, node, None, mode, content.clone()))?;
        Ok(done.value)
    }

    /// Links live among scratch: `EPERM` elsewhere, but for the lock of emacs (`.#NAME`).
    pub(super) fn symlink(&mut self, dir: Ino, file: &str, target: &str) -> Result<Attr, Fault> {
        let at = self.dir(dir)?;
        self.may_search(&at)?;
        let id = match &at {
            Dir::Scratch(id) => *id,
            Dir::Objects(id) if file.starts_with(".#") => *id,
            Dir::Objects(_) | Dir::Family(..) | Dir::Companion(_) | Dir::Node(..) => {
                return Err(never());
            }
        };
        if self.find(&at, file)?.is_some() {
            return Err(exists(file));
        }
        if target.is_empty() || target.len() > TARGET_BYTES_MAX {
            return Err(Fault::new(Kind::NameTooLong, message!("files.bad_name", name = target)));
        }
        let made = self.make_scratch(id, file, NodeKind::Symlink, 0o777, target)?;
        self.renew();
        self.attr_place(Place::Object(made))
    }

    pub(super) fn unlink(&mut self, dir: Ino, file: &str) -> Result<(), Fault> {
        let at = self.dir(dir)?;
        self.may_search(&at)?;
        match self.find(&at, file)?.ok_or_else(|| missing(file))? {
            Found::New(draft) => match self.drop_new(&draft) {
                None => Ok(()),
                Some(id) => {
                    // Saved while we looked.
                    self.renew();
                    match self.view.entry(id)? {
                        Some(entry) => self.unlink_entry(&entry),
                        None => Ok(()),
                    }
                }
            },
            Found::Ghost(ghost) => {
                if let Dir::Objects(id) = &at {
                    self.files.ghosts.remove(*id, file);
                }
                self.files.recalled.without_record(ghost.id);
                if ghost.companion { Err(is_dir()) } else { Ok(()) }
            }
            Found::Entry(entry) if entry.node == NodeKind::Dir => Err(is_dir()),
            Found::Entry(entry) => self.unlink_entry(&entry),
            Found::Record(entry) => {
                let id = entry.id;
                self.commit_with(|txn| txn.reset_record(id))?;
                self.drop_draft(Place::Record(id).ino());
                let ino = Place::Object(id).ino();
                self.files.told.tell(vec![Change::Attr(ino)]);
                Ok(())
            }
            Found::Companion(_) => Err(is_dir()),
            Found::Place(place) => self.unlink_place(place, file),
        }
    }

    fn unlink_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        let id = entry.id;
        self.keep_for_open(Place::Object(id).ino());
        if entry.kind == EntryKind::Scratch {
            self.commit_with(|txn| txn.scratch_delete(id))?;
        } else {
            let ghosts = self.ghosts_of(entry)?;
            let past = self.past(entry, !ghosts.is_empty())?;
            self.commit_with(|txn| txn.delete(id))?;
            self.leave_ghosts(ghosts);
            if let Some((dir, past)) = past {
                self.files.recalled.add(dir, &entry.name, past, self.now_mono());
            }
        }
        self.drop_draft(Place::Object(id).ino());
        Ok(())
    }

    /// What a file made anew at the name takes over, if it comes soon (rule: `files/checkout`).
    fn past(&self, entry: &Entry, said_more: bool) -> Result<Option<(ObjectId, Past)>, Fault> {
        let head = self.view.head(entry.id)?;
        if head.attachments || self.files.drafts.of(Place::Object(entry.id).ino()).is_some() {
            return Ok(None);
        }
        let record = if said_more && self.access(entry.id)?.read {
            let options = RecordOptions { content: false, ..RecordOptions::default() };
            Some(self.view.record(self.who, entry.id, options)?)
        } else {
            None
        };
        Ok(Some((head.parent, Past { id: entry.id, record })))
    }

    /// Names that go with an object and that a tool may still want to remove or move.
    pub(super) fn ghosts_of(&self, entry: &Entry) -> Result<Vec<(ObjectId, String, Ghost)>, Fault> {
        let mut ghosts = Vec::new();
        let Ok(name) = Name::new(&entry.name) else { return Ok(ghosts) };
        let suffix = entry.suffix.as_deref();
        let record = self.shows_record(entry)?;
        let companion = self.has_file_fields(entry)?;
        if !record && !companion {
            return Ok(ghosts);
        }
        let head = self.view.head(entry.id)?;
        if record {
            let ghost = Ghost { id: entry.id, companion: false };
            ghosts.push((head.parent, names::sidecar(&name, suffix), ghost));
        }
        if companion && head.attachments {
            let ghost = Ghost { id: entry.id, companion: true };
            ghosts.push((head.parent, names::companion(&name, suffix), ghost));
        }
        Ok(ghosts)
    }

    pub(super) fn leave_ghosts(&self, ghosts: Vec<(ObjectId, String, Ghost)>) {
        let now = self.now_mono();
        for (dir, file, ghost) in ghosts {
            self.files.ghosts.add(dir, file, ghost, now);
        }
    }

    /// Hides a sidecar that was moved away, until it is written again or some time has passed.
    pub(super) fn hide(&self, id: ObjectId) {
        let until = self.now_mono() + Duration::from_secs(GHOST_SECONDS);
        let mut hidden = self.files.hidden.lock();
        if hidden.len() > 4096 {
            hidden.clear();
        }
        hidden.insert(id, until);
    }

    /// Drops a new file that is not saved; the number of the node if it was saved meanwhile.
    pub(super) fn drop_new(&self, draft: &Arc<Draft>) -> Option<ObjectId> {
        let mut state = draft.state.lock();
        let Goal::New(new) = &state.goal else { return state.goal.object() };
        let new = new.clone();
        state.gone = true;
        drop(state);
        self.files.drafts.settled(&new, draft);
        None
    }

    /// An open file outlives its name: what its handles may still want is read now.
    pub(super) fn keep_for_open(&self, ino: Ino) {
        if let Some(draft) = self.files.drafts.of(ino)
            && let Err(fault) = self.load(&mut draft.state.lock())
        {
            tracing::debug!(kind = fault.kind().name(), "an open file loses its content");
        }
    }

    /// The name of an open file is gone: what is still written to it goes nowhere.
    pub(super) fn drop_draft(&self, ino: Ino) {
        if let Some(draft) = self.files.drafts.of(ino) {
            draft.state.lock().gone = true;
            self.files.drafts.remove(&draft);
        }
    }

    pub(super) fn rmdir(&mut self, dir: Ino, file: &str) -> Result<(), Fault> {
        let at = self.dir(dir)?;
        self.may_search(&at)?;
        match self.find(&at, file)?.ok_or_else(|| missing(file))? {
            Found::Entry(entry) if entry.node != NodeKind::Dir => Err(no_dir()),
            Found::Entry(entry) => {
                let id = entry.id;
                if self.has_unsaved(id) {
                    return Err(not_empty(file));
                }
                if entry.kind == EntryKind::Scratch {
                    self.commit_with(|txn| txn.scratch_delete(id))?;
                } else {
                    let ghosts = self.ghosts_of(&entry)?;
                    self.commit_with(|txn| txn.delete_empty(id))?;
                    self.leave_ghosts(ghosts);
                }
                Ok(())
            }
            Found::Ghost(ghost) => {
                if let Dir::Objects(id) = &at {
                    self.files.ghosts.remove(*id, file);
                }
                if ghost.companion { Ok(()) } else { Err(no_dir()) }
            }
            Found::Companion(entry) => {
                if self.view.head(entry.id)?.attachments {
                    Err(not_empty(file))
                } else {
                    Ok(())
                }
            }
            Found::New(_) | Found::Record(_) => Err(no_dir()),
            Found::Place(place) => self.rmdir_place(place, file),
        }
    }
}

/// `ENOTEMPTY`.
pub(super) fn not_empty(file: &str) -> Fault {
    Fault::new(Kind::NotEmpty, message!("files.not_empty", name = file))
}
