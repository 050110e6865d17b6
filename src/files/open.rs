//! Opening, reading and writing files.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::limits::ATTACHMENT_MAX;
use kompira_schema::message;
use kompira_schema::tree::{Attr, Caller, Handle, Ino, NodeKind, OpenHow, Opened};
use parking_lot::{Mutex, RwLock};

use super::Shared;
use super::ask::{Ask, denied, exists, invalid, io, is_dir, missing, no_handle};
use super::buffer::slice;
use super::draft::{Base, Draft, Goal, New, NewKind, State};
use super::find::{Dir, Form, Found, Meaning};
use super::list::Listing;
use super::place::Place;
use crate::tree::Content;

/// Open files and directories of one session. Reason: a leak in a client must not take the server
/// down; the kernel's own limit of open files is lower.
const HANDLES_MAX: usize = 1_000_000;

/// An open file.
pub(super) struct OpenFile {
    place: Place,
    how: OpenHow,
    draft: Option<Arc<Draft>>,
    /// What a reader sees until it starts anew: one saved state, never a mixture. It also outlives
    /// the name.
    pin: Mutex<Pin>,
    /// The last user of it, for what is saved at release.
    who: Caller,
}

#[derive(Default)]
struct Pin {
    content: Option<Content>,
    /// Nothing was read from it yet.
    fresh: bool,
}

#[derive(Clone)]
pub(super) enum Open {
    File(Arc<OpenFile>),
    Dir(Arc<Mutex<Listing>>),
    /// A text that was made when it was opened.
    Text(Bytes),
}

#[derive(Default)]
pub(super) struct Handles {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Open>>,
}

impl Handles {
    pub(super) fn add(&self, open: Open) -> Result<Handle, Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut handles = self.open.write();
        if handles.len() >= HANDLES_MAX {
            return Err(Fault::new(Kind::TooMany, message!("files.too_many_open")));
        }
        handles.insert(number, open);
        Ok(Handle(number))
    }

    pub(super) fn get(&self, handle: Handle) -> Result<Open, Fault> {
        self.open.read().get(&handle.0).cloned().ok_or_else(no_handle)
    }

    pub(super) fn remove(&self, handle: Handle) -> Option<Open> {
        self.open.write().remove(&handle.0)
    }
}

impl Ask<'_> {
    pub(super) fn open(&self, ino: Ino, how: OpenHow) -> Result<Opened, Fault> {
        let place = self.place(ino)?;
        match place {
            Place::Object(id) => self.open_object(id, how),
            Place::Record(id) => self.open_node(place, Goal::Record(id), id, how),
            Place::Companion(_) => Err(is_dir()),
            Place::User(_) | Place::Group(_) | Place::Process(_) => self.open_special(place, how),
            Place::Node(number) => self.open_row(number, how),
        }
    }

    fn open_object(&self, id: ObjectId, how: OpenHow) -> Result<Opened, Fault> {
        let place = Place::Object(id);
        if let Some(draft) = self.files.drafts.of(place.ino())
            && matches!(draft.state.lock().goal, Goal::New(_))
        {
            return self.open_draft(place, draft, how);
        }
        let head = self.view.head(id)?;
        let goal = match self.form_of(&head)? {
            Form::Dir => return Err(is_dir()),
            _ if head.node == NodeKind::Symlink => return Err(invalid()),
            Form::Content if head.type_id.0 == 0 || head.demoted => Goal::Scratch(id),
            Form::Content => Goal::Content(id),
            Form::Yaml => Goal::Yaml(id),
        };
        let access = self.view.access_of(self.who, &head)?;
        if (how.read && !access.read) || (how.write && !access.write) {
            return Err(denied());
        }
        if !how.write {
            let same = matches!(goal, Goal::Content(_) | Goal::Scratch(_))
                && self.files.seen.get(&place.ino()) == Some(head.rev);
            if !same {
                self.files.seen.insert(place.ino(), head.rev);
            }
            let file = OpenFile::new(place, how, None, self.who);
            let content = self.saved(&goal)?;
            *file.pin.lock() = Pin { content: Some(content), fresh: true };
            let handle = self.files.handles.add(Open::File(Arc::new(file)))?;
            return Ok(Opened { handle, keep_cache: same, direct: false });
        }
        let draft = self.files.drafts.join(place.ino(), || {
            let base = self.base(&goal)?;
            let draft = Draft::new(place.ino(), goal.clone(), Some(base), self.files.clock.now());
            draft.state.lock().home = Some((head.parent, head.name.clone()));
            Ok(draft)
        })?;
        self.open_joined(place, draft, how)
    }

    /// Opens a sidecar or an attachment.
    pub(super) fn open_node(
        &self,
        place: Place,
        goal: Goal,
        id: ObjectId,
        how: OpenHow,
    ) -> Result<Opened, Fault> {
        let access = self.access(id)?;
        if (how.read && !access.read) || (how.write && !access.write) {
            return Err(denied());
        }
        if !how.write {
            let file = OpenFile::new(place, how, None, self.who);
            let handle = self.files.handles.add(Open::File(Arc::new(file)))?;
            return Ok(Opened { handle, keep_cache: false, direct: false });
        }
        let draft = self.files.drafts.join(place.ino(), || {
            let base = self.base(&goal)?;
            Ok(Draft::new(place.ino(), goal, Some(base), self.files.clock.now()))
        })?;
        self.open_joined(place, draft, how)
    }

    fn open_draft(&self, place: Place, draft: Arc<Draft>, how: OpenHow) -> Result<Opened, Fault> {
        draft.state.lock().users += 1;
        self.open_joined(place, draft, how)
    }

    pub(super) fn open_joined(
        &self,
        place: Place,
        draft: Arc<Draft>,
        how: OpenHow,
    ) -> Result<Opened, Fault> {
        if how.truncate {
            let mut state = draft.state.lock();
            state.buffer = super::buffer::Buffer::default();
            state.loaded = true;
            state.changed = true;
            state.wrote = false;
            state.idle_flushes = 0;
            state.appended = None;
            state.touched = self.files.clock.now();
        }
        let file = OpenFile::new(place, how, Some(draft), self.who);
        let handle = self.files.handles.add(Open::File(Arc::new(file)))?;
        Ok(Opened { handle, keep_cache: false, direct: false })
    }

    /// What is saved now: the base of the next conflict check.
    pub(super) fn base(&self, goal: &Goal) -> Result<Base, Fault> {
        let content = self.saved(goal)?;
        let rev = match goal.object() {
            Some(id) => self.view.head(id)?.rev,
            None => self.view.rev(),
        };
        Ok(Base { rev, content })
    }

    /// The saved content of a node.
    pub(super) fn saved(&self, goal: &Goal) -> Result<Content, Fault> {
        match goal {
            Goal::New(_) | Goal::Control(_) => Ok(Content::Inline(Bytes::new())),
            Goal::Scratch(id) | Goal::Content(id) => self.view.content(self.who, *id),
            Goal::Yaml(id) => {
                Ok(Content::Inline(self.render(*id, false, &self.view.head(*id)?)?))
            }
            Goal::Record(id) => {
                let head = self.view.head(*id)?;
                Ok(Content::Inline(self.render(*id, true, &head)?))
            }
            Goal::Attachment(number) => self.attachment_content(*number),
        }
    }

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
            return self.come_back(id, dir, suffix.as_deref(), how);
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

    pub(super) fn former(
        &self,
        dir: ObjectId,
        name: &kompira_schema::path::Name,
    ) -> Result<Option<ObjectId>, Fault> {
        self.view.former(dir, name.as_str())
    }

    /// An editor renamed the object to a backup name and now writes the file anew: the object
    /// comes back, and the backup is a plain copy (rule: `files/backup`).
    fn come_back(
        &mut self,
        id: ObjectId,
        dir: ObjectId,
        suffix: Option<&str>,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        let backup = self.view.entry(id)?;
        let content = self.view.content(self.who, id)?;
        self.commit_with(|txn| txn.readopt(id, suffix, content.clone()))?;
        self.renew();
        if let Some(backup) = backup {
            let at = Place::Object(self.view.head(id)?.parent).ino();
            self.files
                .told
                .tell(vec![kompira_schema::tree::Change::Name { dir: at, name: backup.name }]);
        }
        let _ = dir;
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
        entry: &crate::tree::Entry,
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

    fn file(&self, handle: Handle) -> Result<Arc<OpenFile>, Fault> {
        match self.files.handles.get(handle)? {
            Open::File(file) => Ok(file),
            Open::Dir(_) => Err(is_dir()),
            Open::Text(_) => Err(denied()),
        }
    }

    /// The draft that a handle writes to, or that exists for a node.
    pub(super) fn draft_of(&self, place: Place, open: Option<Handle>) -> Option<Arc<Draft>> {
        if let Some(handle) = open
            && let Ok(Open::File(file)) = self.files.handles.get(handle)
            && let Some(draft) = &file.draft
        {
            return Some(Arc::clone(draft));
        }
        self.files.drafts.of(place.ino())
    }

    /// Attributes of an open file that has no name any more, or is not saved yet.
    pub(super) fn attr_open(&self, handle: Handle) -> Result<Option<Attr>, Fault> {
        let Ok(Open::File(file)) = self.files.handles.get(handle) else { return Ok(None) };
        let Some(draft) = &file.draft else { return Ok(None) };
        let (new, gone) = {
            let state = draft.state.lock();
            (matches!(state.goal, Goal::New(_)), state.gone)
        };
        Ok((new || gone).then(|| self.attr_new(draft)))
    }

    pub(super) fn read(&self, open: Handle, offset: u64, size: usize) -> Result<Vec<u8>, Fault> {
        let file = match self.files.handles.get(open)? {
            Open::File(file) => file,
            Open::Text(text) => return Ok(slice(&text, offset, size).to_vec()),
            Open::Dir(_) => return Err(is_dir()),
        };
        let draft = match &file.draft {
            Some(draft) => Some(Arc::clone(draft)),
            None => self.files.drafts.of(file.place.ino()),
        };
        if let Some(draft) = draft {
            let mut state = draft.state.lock();
            if offset == 0 && !state.changed && state.base.is_some() && file.draft.is_some() {
                // Whoever reads from the start and then writes has seen this state.
                state.base = Some(self.base(&state.goal)?);
                state.buffer = super::buffer::Buffer::default();
                state.loaded = false;
            }
            if state.changed && state.loaded || matches!(state.goal, Goal::New(_)) || state.gone {
                return state.buffer.read(offset, size).map_err(|error| io(&error));
            }
        }
        self.read_saved(&file, offset, size)
    }

    /// Reads what is saved. A reader keeps the state it began with, and looks anew when it starts
    /// from the beginning or asks for more than there was.
    fn read_saved(&self, file: &OpenFile, offset: u64, size: usize) -> Result<Vec<u8>, Fault> {
        let mut pin = file.pin.lock();
        let anew = match &pin.content {
            None => true,
            Some(content) => !pin.fresh && (offset == 0 || offset >= content.size()),
        };
        if anew {
            match self.saved_at(file.place) {
                Ok(content) => pin.content = Some(content),
                Err(fault) if fault.kind() == Kind::NotFound && pin.content.is_some() => {}
                Err(fault) => return Err(fault),
            }
        }
        pin.fresh = false;
        let content = pin.content.clone();
        drop(pin);
        match content {
            Some(Content::Inline(bytes)) => Ok(slice(&bytes, offset, size).to_vec()),
            Some(Content::Blob { hash, size: total }) => {
                let left = usize::try_from(total.saturating_sub(offset)).unwrap_or(usize::MAX);
                if left == 0 {
                    return Ok(Vec::new());
                }
                Ok(self.view.blob_read(hash, offset, left.min(size))?.to_vec())
            }
            None => Ok(Vec::new()),
        }
    }

    fn saved_at(&self, place: Place) -> Result<Content, Fault> {
        match place {
            Place::Object(id) => {
                let head = self.view.head(id)?;
                match self.form_of(&head)? {
                    Form::Yaml => Ok(Content::Inline(self.render(id, false, &head)?)),
                    Form::Content | Form::Dir => self.view.content(self.who, id),
                }
            }
            Place::Record(id) => self.saved(&Goal::Record(id)),
            Place::Node(number) => self.attachment_content(number),
            Place::Companion(_) | Place::User(_) | Place::Group(_) | Place::Process(_) => {
                Err(missing("?"))
            }
        }
    }

    /// Brings the saved content into the buffer, before a part of it is changed.
    pub(super) fn load(&self, state: &mut State) -> Result<(), Fault> {
        if state.loaded {
            return Ok(());
        }
        let content = match (self.saved(&state.goal), &state.base) {
            (Ok(content), _) => content,
            // Another door deleted it: what was there when it was opened.
            (Err(fault), Some(base)) if fault.kind() == Kind::NotFound => base.content.clone(),
            (Err(fault), _) => return Err(fault),
        };
        let spill = &self.files.options.spill;
        match &content {
            Content::Inline(bytes) => {
                state.buffer.write(0, bytes, spill).map_err(|error| io(&error))?;
            }
            Content::Blob { hash, size } => {
                const PIECE: usize = 1 << 20;
                let mut at = 0;
                while at < *size {
                    let piece = self.view.blob_read(*hash, at, PIECE)?;
                    if piece.is_empty() {
                        return Err(Fault::internal("a blob ends early"));
                    }
                    state.buffer.write(at, &piece, spill).map_err(|error| io(&error))?;
                    at += piece.len() as u64;
                }
            }
        }
        state.loaded = true;
        Ok(())
    }

    pub(super) fn write_at(
        &self,
        draft: &Draft,
        offset: Option<u64>,
        data: &[u8],
    ) -> Result<(), Fault> {
        let mut state = draft.state.lock();
        if !state.changed && state.base.is_some() {
            self.start_change(&mut state, offset.is_none())?;
        }
        self.load(&mut state)?;
        let len = state.buffer.len();
        let offset = offset.unwrap_or(len);
        if offset.saturating_add(data.len() as u64) > ATTACHMENT_MAX {
            return Err(Fault::new(
                Kind::TooLarge,
                message!("files.too_large", max = ATTACHMENT_MAX),
            ));
        }
        if !state.changed && offset == len {
            state.appended = Some(len);
        } else if offset < state.appended.unwrap_or(0) || state.changed && state.appended.is_none()
        {
            state.appended = None;
        }
        state.buffer.write(offset, data, &self.files.options.spill).map_err(|error| io(&error))?;
        state.changed = true;
        state.wrote = true;
        state.touched = self.files.clock.now();
        Ok(())
    }

    /// The first write since the last save. An append to what somebody else has saved meanwhile
    /// goes to the end of that; any other write keeps its base and meets the conflict at its save.
    fn start_change(&self, state: &mut State, append: bool) -> Result<(), Fault> {
        let (Some(id), Some(base)) = (state.goal.object(), &state.base) else { return Ok(()) };
        if append && self.view.head(id).is_ok_and(|head| head.rev != base.rev) {
            state.base = Some(self.base(&state.goal)?);
            state.buffer = super::buffer::Buffer::default();
            state.loaded = false;
        }
        Ok(())
    }

    pub(super) fn write(&self, open: Handle, offset: u64, data: &[u8]) -> Result<(), Fault> {
        let file = self.file(open)?;
        let Some(draft) = file.draft.as_ref().filter(|_| file.how.write) else {
            return Err(denied());
        };
        self.write_at(draft, (!file.how.append).then_some(offset), data)?;
        if file.how.sync {
            return self.fsync(open);
        }
        Ok(())
    }

    pub(super) fn truncate(
        &mut self,
        place: Place,
        open: Option<Handle>,
        size: u64,
    ) -> Result<(), Fault> {
        if size > ATTACHMENT_MAX {
            return Err(Fault::new(
                Kind::TooLarge,
                message!("files.too_large", max = ATTACHMENT_MAX),
            ));
        }
        // Without a handle of its own, truncating is a save of its own.
        let own = match open {
            Some(_) => None,
            None => {
                Some(self.open(place.ino(), OpenHow { write: true, ..OpenHow::default() })?.handle)
            }
        };
        let Some(draft) = self.draft_of(place, open.or(own)) else { return Err(denied()) };
        let result = self.truncate_draft(&draft, size);
        match own {
            None => result,
            Some(handle) => {
                let result = result.and_then(|()| self.save(&draft, true));
                self.files.release(handle);
                result
            }
        }
    }

    fn truncate_draft(&self, draft: &Draft, size: u64) -> Result<(), Fault> {
        let mut state = draft.state.lock();
        if size > 0 {
            self.load(&mut state)?;
        }
        state.loaded = true;
        let spill = &self.files.options.spill;
        state.buffer.truncate(size, spill).map_err(|error| io(&error))?;
        state.changed = true;
        state.wrote = true;
        state.appended = None;
        state.touched = self.files.clock.now();
        Ok(())
    }

    pub(super) fn flush(&mut self, open: Handle) -> Result<(), Fault> {
        match self.files.handles.get(open)? {
            Open::File(file) => match &file.draft {
                Some(draft) => self.save(draft, false),
                None => Ok(()),
            },
            Open::Dir(_) | Open::Text(_) => Ok(()),
        }
    }

    pub(super) fn fsync(&self, open: Handle) -> Result<(), Fault> {
        if let Open::File(file) = self.files.handles.get(open)?
            && let Some(draft) = &file.draft
        {
            Ask::new(self.files, self.who).save(draft, true)?;
        }
        self.files.tree.sync()
    }
}

impl OpenFile {
    pub(super) fn new(place: Place, how: OpenHow, draft: Option<Arc<Draft>>, who: &Caller) -> Self {
        Self { place, how, draft, pin: Mutex::default(), who: who.clone() }
    }
}

impl Shared {
    /// The last reference to an open file is gone: what is not saved yet is saved now.
    pub(super) fn release(&self, open: Handle) {
        let Some(Open::File(file)) = self.handles.remove(open) else { return };
        let Some(draft) = &file.draft else { return };
        let last = {
            let mut state = draft.state.lock();
            state.users = state.users.saturating_sub(1);
            state.users == 0
        };
        if !last {
            return;
        }
        let mut ask = Ask::new(self, &file.who);
        if let Err(fault) = ask.save(draft, true) {
            tracing::warn!(kind = fault.kind().name(), told = ?fault.told(), "a file could not be saved");
        }
        let mut state = draft.state.lock();
        if state.users > 0 {
            return;
        }
        if state.changed && !state.gone {
            // Refused: whoever looks next sees the last good state.
            self.told.tell(vec![kompira_schema::tree::Change::Content(draft.ino)]);
        }
        state.gone = true;
        if let Goal::New(new) = &state.goal {
            self.drafts.settled(new, draft);
            self.told.tell(vec![kompira_schema::tree::Change::Name {
                dir: Place::Object(new.dir).ino(),
                name: new.file.clone(),
            }]);
        }
        drop(state);
        self.drafts.remove(draft);
    }

    /// A change of this session's own to what an open file is based on is no conflict.
    pub(super) fn rebase(&self, ino: Ino, rev: kompira_schema::id::Rev) {
        if let Some(draft) = self.drafts.of(ino)
            && let Some(base) = &mut draft.state.lock().base
        {
            base.rev = rev;
        }
        if self.seen.get(&ino).is_some() {
            self.seen.insert(ino, rev);
        }
    }
}
