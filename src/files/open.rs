//! Opening a file.

use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::tree::{Attr, Handle, Ino, NodeKind, OpenHow, Opened};

use super::ask::{Ask, denied, invalid, is_dir};
use super::buffer::Buffer;
use super::draft::{Draft, Goal};
use super::find::Form;
use super::handles::{Open, OpenFile, Pin};
use super::place::Place;

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

    pub(super) fn open_object(&self, id: ObjectId, how: OpenHow) -> Result<Opened, Fault> {
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
            state.buffer = Buffer::default();
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
}
