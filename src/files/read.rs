//! Reading: what is saved, or what the draft of an open file holds.

use bytes::Bytes;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::tree::Handle;
use std::sync::Arc;

use super::ask::{Ask, io, is_dir, missing};
use super::buffer::{Buffer, slice};
use super::draft::{Base, Goal};
use super::find::Form;
use super::handles::{Open, OpenFile};
use super::place::Place;
use crate::tree::Content;

impl Ask<'_> {
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

    pub(super) fn read(&self, open: Handle, offset: u64, size: usize) -> Result<Vec<u8>, Fault> {
        let file = match self.files.handles.get(open)? {
            Open::File(file) => file,
            Open::Text(text) => return Ok(slice(&text, offset, size).to_vec()),
            Open::Dir(_) => return Err(is_dir()),
        };
        let draft = match &file.draft {
            Some(draft) => Some(Arc::clone(draft)),
            // One that is being closed is saved, and its buffer need not hold what was.
            None => self.files.drafts.of(file.place.ino()).filter(|draft| !draft.state.lock().gone),
        };
        if let Some(draft) = draft {
            let mut state = draft.state.lock();
            if offset == 0 && !state.changed && state.base.is_some() && file.draft.is_some() {
                // Whoever reads from the start and then writes has seen this state.
                state.base = Some(self.base(&state.goal)?);
                state.buffer = Buffer::default();
                state.loaded = false;
            }
            if state.changed && state.loaded || matches!(state.goal, Goal::New(_)) || state.gone {
                return state.buffer.read(offset, size).map_err(|error| io(&error));
            }
        }
        self.read_saved(&file, offset, size)
    }
}
