//! Writing into the draft of an open file, and when it is saved.

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::Rev;
use kompira_schema::limits::ATTACHMENT_MAX;
use kompira_schema::message;
use kompira_schema::tree::{Change, Handle, Ino, OpenHow};

use super::Shared;
use super::ask::{Ask, denied, io, is_dir};
use super::buffer::Buffer;
use super::draft::{Draft, Goal, State};
use super::handles::{Open, OpenFile};
use super::place::Place;
use crate::tree::Content;

impl Ask<'_> {
    fn file(&self, handle: Handle) -> Result<Arc<OpenFile>, Fault> {
        match self.files.handles.get(handle)? {
            Open::File(file) => Ok(file),
            Open::Dir(_) => Err(is_dir()),
            Open::Text(_) => Err(denied()),
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
            state.buffer = Buffer::default();
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
            self.told.tell(vec![Change::Content(draft.ino)]);
        }
        state.gone = true;
        if let Goal::New(new) = &state.goal {
            self.drafts.settled(new, draft);
            self.told.tell(vec![Change::Name {
                dir: Place::Object(new.dir).ino(),
                name: new.file.clone(),
            }]);
        }
        drop(state);
        self.drafts.remove(draft);
    }

    /// A change of this session's own to what an open file is based on is no conflict.
    pub(super) fn rebase(&self, ino: Ino, rev: Rev) {
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
