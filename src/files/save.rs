//! Saving: from the bytes of a file to one commit.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::limits::{ATTACHMENT_MAX, TEXT_MAX};
use kompira_schema::message;
use kompira_schema::tree::{Change, NodeKind};
use kompira_schema::types::Format;

use super::ask::{Ask, invalid, io};
use super::buffer::Buffer;
use super::draft::{Base, Draft, Goal, New, NewKind, State};
use super::find::Form;
use super::make::Making;
use super::place::Place;
use super::plan::Plan;
use super::record::read_record;
use crate::store::INLINE_MAX;
use crate::tree::{Content, ImportOptions, Patch, Txn};

/// Whether the text of a refused save is worth keeping.
fn is_refusal(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Invalid
            | Kind::Stale
            | Kind::BadName
            | Kind::NameTooLong
            | Kind::WrongType
            | Kind::TooLarge
            | Kind::Exists
            | Kind::NotFound
            | Kind::Protected
            | Kind::Denied
            | Kind::BadRequest
            | Kind::Cycle
    )
}

impl Ask<'_> {
    /// Saves a draft if there is something to save.
    ///
    /// A first flush that finds a new or truncated file with nothing written yet is the shell
    /// setting up a redirection, not a save: it waits for the next one or the last close
    /// (rule: `files/close`).
    pub(super) fn save(&mut self, draft: &Arc<Draft>, force: bool) -> Result<(), Fault> {
        let mut state = draft.state.lock();
        if state.gone || !state.changed {
            return Ok(());
        }
        if !state.wrote && !force {
            state.idle_flushes = state.idle_flushes.saturating_add(1);
            if state.idle_flushes == 1 {
                return Ok(());
            }
        }
        self.renew();
        let was_new = match &state.goal {
            Goal::New(new) => Some(new.clone()),
            _ => None,
        };
        match self.commit(draft, &mut state) {
            Ok(rev) => {
                state.changed = false;
                state.appended = None;
                state.mode = None;
                state.mtime = None;
                self.renew();
                if let Some(new) = &was_new {
                    self.files.drafts.settled(new, draft);
                }
                self.saved_as(draft, &mut state, rev);
                Ok(())
            }
            Err(fault) => {
                if is_refusal(fault.kind()) {
                    self.refuse(draft, &mut state, &fault);
                }
                Err(fault)
            }
        }
    }

    /// After a save: the next conflict check starts from it, and the kernel learns what it cannot
    /// know (a record and an Environment are shown in their canonical form).
    fn saved_as(&mut self, draft: &Draft, state: &mut State, rev: Rev) {
        if state.refused {
            self.forget_refused(state);
        }
        let canonical = match state.goal {
            Goal::Yaml(_) | Goal::Record(_) => {
                // The buffer keeps what was written, for the handles that go on writing.
                if let Ok(bytes) = state.buffer.whole() {
                    self.files.remember(draft.ino, rev, Bytes::from(bytes));
                }
                true
            }
            Goal::Content(id) => {
                self.view.type_of(id).is_ok_and(|def| def.file.format == Format::Yaml)
            }
            Goal::Scratch(_) => false,
            Goal::New(_) | Goal::Attachment(_) | Goal::Control(_) => return,
        };
        if canonical {
            self.files.seen.remove(&draft.ino);
            self.files.told.tell(vec![Change::Content(draft.ino)]);
            state.base = self.base(&state.goal).ok();
        } else {
            self.files.seen.insert(draft.ino, rev);
        }
    }

    fn commit(&mut self, draft: &Draft, state: &mut State) -> Result<Rev, Fault> {
        self.load(state)?;
        let goal = state.goal.clone();
        match goal {
            Goal::New(new) => self.commit_new(draft, &new, state),
            Goal::Scratch(id) => {
                let base = self.base_rev(id, state)?;
                let content = self.content_of(&mut state.buffer)?;
                let (mode, mtime) = (state.mode, state.mtime);
                let done = self.commit_with(|txn| {
                    txn.scratch_write(id, base, content.clone())?;
                    set_attr(txn, id, mode, mtime)
                })?;
                state.base = Some(Base { rev: done.rev, content });
                Ok(done.rev)
            }
            Goal::Content(id) => self.commit_content(id, state),
            Goal::Yaml(id) | Goal::Record(id) => {
                let base = self.base_rev(id, state)?;
                let record = read_record(&text_of(&state.buffer)?)?;
                let (mode, mtime) = (state.mode, state.mtime);
                let done = self.commit_with(|txn| {
                    txn.apply_record(id, base, &record, ImportOptions::MOUNT).map_err(unfit)?;
                    set_attr(txn, id, mode, mtime)
                })?;
                if matches!(state.goal, Goal::Record(_)) {
                    self.files.told.tell(vec![Change::Attr(Place::Object(id).ino())]);
                }
                Ok(done.rev)
            }
            Goal::Attachment(number) => {
                let content = self.content_of(&mut state.buffer)?;
                self.set_attachment(number, content)
            }
            Goal::Control(number) => {
                let text = text_of(&state.buffer)?;
                self.control(number, text.trim())?;
                Ok(self.view.rev())
            }
        }
    }

    fn commit_new(&mut self, draft: &Draft, new: &New, state: &mut State) -> Result<Rev, Fault> {
        let Some(Place::Object(id)) = Place::of(draft.ino) else { return Err(invalid()) };
        let content = self.content_of(&mut state.buffer)?;
        match &new.kind {
            NewKind::Scratch => {
                let (mode, mtime) = (state.mode.unwrap_or(0), state.mtime);
                let done = self.commit_with(|txn| {
                    let made = txn.scratch_create(
                        new.dir,
                        &new.file,
                        NodeKind::File,
                        Some(id),
                        mode,
                        content.clone(),
                    )?;
                    set_attr(txn, made, None, mtime)
                })?;
                state.goal = Goal::Scratch(id);
                state.base = Some(Base { rev: done.rev, content });
                Ok(done.rev)
            }
            NewKind::Object { name, suffix } => {
                let making = Making {
                    dir: new.dir,
                    name,
                    suffix: suffix.as_deref(),
                    id: Some(id),
                    bytes: self.small(&state.buffer)?,
                    content,
                    mode: state.mode,
                    mtime: state.mtime,
                    from: None,
                };
                let (rev, _, yaml) = self.make(&making)?;
                let shown_as_record = yaml && self.form_of(&self.view.head(id)?)? == Form::Yaml;
                state.goal = if shown_as_record { Goal::Yaml(id) } else { Goal::Content(id) };
                if yaml && !shown_as_record {
                    // A record that holds its content: the file shows the content from now on.
                    state.buffer = Buffer::default();
                    state.loaded = false;
                    state.base = self.base(&state.goal).ok();
                    if let Some(text) = making.bytes {
                        self.files.remember(draft.ino, rev, text);
                    }
                    self.files.told.tell(vec![Change::Content(draft.ino)]);
                } else {
                    state.base = Some(Base { rev, content: making.content });
                }
                Ok(rev)
            }
        }
    }

    /// Replaces the content of an object. A bare object follows the creation rule as long as it is
    /// bare: a text that becomes a script becomes a ScriptJob (rule: `files/bare`).
    fn commit_content(&mut self, id: ObjectId, state: &mut State) -> Result<Rev, Fault> {
        let base = self.base_rev(id, state)?;
        let content = self.content_of(&mut state.buffer)?;
        let bytes = self.small(&state.buffer)?;
        let (mode, mtime) = (state.mode, state.mtime);
        let plan = self.other_plan(id, bytes.as_ref())?;
        let done = self.commit_with(|txn| {
            put_content(txn, id, base, &content, plan.as_ref())?;
            set_attr(txn, id, mode, mtime)
        })?;
        if matches!(plan, Some(Plan::Yaml(_))) {
            state.goal = Goal::Yaml(id);
        } else {
            state.base = Some(Base { rev: done.rev, content });
        }
        Ok(done.rev)
    }

    /// The revision that a save must find, after looking whether what moved since was the content.
    fn base_rev(&self, id: ObjectId, state: &mut State) -> Result<Option<Rev>, Fault> {
        let Some(base) = &state.base else { return Ok(None) };
        let head = self.view.head(id)?;
        if head.rev == base.rev {
            return Ok(Some(base.rev));
        }
        let now = self.saved(&state.goal)?;
        if now == base.content {
            return Ok(Some(head.rev));
        }
        if let Some(from) = state.appended {
            let left = usize::try_from(state.buffer.len() - from).unwrap_or(usize::MAX);
            let tail = state.buffer.read(from, left).map_err(|error| io(&error))?;
            state.buffer = Buffer::default();
            state.loaded = false;
            self.load(state)?;
            let len = state.buffer.len();
            let spill = &self.files.options.spill;
            state.buffer.write(len, &tail, spill).map_err(|error| io(&error))?;
            state.appended = Some(len);
            return Ok(Some(head.rev));
        }
        Err(Fault::new(Kind::Stale, message!("files.stale", name = head.name)))
    }

    /// The bytes as the tree takes them: small ones as they are, large ones as a stored blob.
    pub(super) fn content_of(&self, buffer: &mut Buffer) -> Result<Content, Fault> {
        if buffer.len() <= INLINE_MAX as u64 {
            return Ok(Content::Inline(Bytes::from(buffer.whole().map_err(|error| io(&error))?)));
        }
        let mut reader = buffer.reader().map_err(|error| io(&error))?;
        let (hash, size) = self.files.tree.store().blobs().put(&mut *reader, ATTACHMENT_MAX)?;
        Ok(Content::Blob { hash, size })
    }

    /// The bytes, if a text field could hold them.
    pub(super) fn small(&self, buffer: &Buffer) -> Result<Option<Bytes>, Fault> {
        if buffer.len() > TEXT_MAX as u64 {
            return Ok(None);
        }
        Ok(Some(Bytes::from(buffer.whole().map_err(|error| io(&error))?)))
    }
}

/// What a record names and is not there is a fault of the record: the file itself exists.
pub(super) fn unfit(fault: Fault) -> Fault {
    if fault.kind() != Kind::NotFound {
        return fault;
    }
    Fault::new(Kind::Invalid, fault.told().clone()).with_problems(fault.problems().to_vec())
}

pub(super) fn set_attr(
    txn: &mut Txn,
    id: ObjectId,
    mode: Option<u16>,
    mtime: Option<Timestamp>,
) -> Result<(), Fault> {
    if mode.is_none() && mtime.is_none() {
        return Ok(());
    }
    txn.set_attr(id, mode, mtime)
}

/// The text of a buffer.
fn text_of(buffer: &Buffer) -> Result<String, Fault> {
    if buffer.len() > TEXT_MAX as u64 {
        return Err(Fault::new(Kind::TooLarge, message!("files.too_large", max = TEXT_MAX)));
    }
    let bytes = buffer.whole().map_err(|error| io(&error))?;
    String::from_utf8(bytes).map_err(|_| Fault::new(Kind::Invalid, message!("files.not_utf8")))
}

/// Replaces the content of an object, and its type if `plan` says so.
pub(super) fn put_content(
    txn: &mut Txn,
    id: ObjectId,
    base: Option<Rev>,
    content: &Content,
    plan: Option<&Plan>,
) -> Result<(), Fault> {
    match plan {
        None => txn.update(id, base, Patch { content: Some(content.clone()), ..Patch::default() }),
        Some(Plan::Content { type_id, .. }) => txn.retype(id, *type_id, content.clone()),
        Some(Plan::Yaml(record)) => txn.apply_record(id, base, record, ImportOptions::MOUNT),
    }
}
