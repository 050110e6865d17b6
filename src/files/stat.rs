//! What `stat` shows.

use bytes::Bytes;
use jiff::Timestamp;
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::tree::{Attr, Handle, Ino, NodeKind, SetAttr, SetTime, Space};

use super::ask::{Ask, denied};
use super::draft::{Draft, Goal, NewKind};
use super::find::{Form, Found};
use super::ghost::Ghost;
use super::place::Place;
use super::shown;
use crate::auth::Access;
use crate::tree::{Content, Entry, Head};

/// A record as it was rendered.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    rev: Rev,
    epoch: u64,
    /// Passwords are shown to whoever may write.
    writer: bool,
    pub(super) text: Bytes,
}

const FILE_MODE: u16 = 0o644;
const DIR_MODE: u16 = 0o755;
const SCRIPT: &[u8] = b"#!";

/// Permission bits: x as given at creation or by `chmod`; r and w as the caller's rights are
/// (rule: `files/modes`).
fn mode(given: u16, default: u16, access: Access, dir: bool) -> u16 {
    let base = if given == 0 { default } else { given } & 0o777;
    let mut bits = base;
    if access.read {
        bits |= 0o400;
        if dir {
            bits |= 0o100;
        }
    } else {
        bits &= !0o444;
        if dir {
            bits &= !0o111;
        }
    }
    if access.write { bits | 0o200 } else { bits & !0o222 }
}

impl Ask<'_> {
    pub(super) fn attr_found(&self, found: &Found) -> Result<Attr, Fault> {
        match found {
            Found::Entry(entry) => self.attr_entry(entry, None),
            Found::Record(entry) => self.attr_record(entry.id),
            Found::Companion(entry) => self.attr_companion(entry.id),
            Found::New(draft) => Ok(self.attr_new(draft)),
            Found::Ghost(ghost) => Ok(self.attr_ghost(*ghost)),
            Found::Place(place) => self.attr_place(*place),
        }
    }

    pub(super) fn attr_place(&self, place: Place) -> Result<Attr, Fault> {
        match place {
            Place::Object(id) => {
                if let Some(draft) = self.files.drafts.of(place.ino())
                    && matches!(draft.state.lock().goal, Goal::New(_))
                {
                    return Ok(self.attr_new(&draft));
                }
                let head = self.view.head(id)?;
                self.attr_head(&head)
            }
            Place::Record(id) => self.attr_record(id),
            Place::Companion(id) => self.attr_companion(id),
            Place::User(_) | Place::Group(_) | Place::Process(_) => self.attr_special(place),
            Place::Node(number) => self.attr_node(number),
        }
    }

    pub(super) fn attr_entry(&self, entry: &Entry, head: Option<Head>) -> Result<Attr, Fault> {
        let head = match head {
            Some(head) => head,
            None => self.view.head(entry.id)?,
        };
        self.attr_head(&head)
    }

    /// The form of a node, from its header alone.
    pub(super) fn form_of(&self, head: &Head) -> Result<Form, Fault> {
        if head.node == NodeKind::Dir {
            return Ok(Form::Dir);
        }
        if head.type_id == ObjectId(0) || head.demoted {
            return Ok(Form::Content);
        }
        let def = self.view.type_def(head.type_id)?;
        let content = def.file.representative.is_some()
            || (def.file.made_from_file.is_some() && head.as_file);
        Ok(if content { Form::Content } else { Form::Yaml })
    }

    pub(super) fn attr_head(&self, head: &Head) -> Result<Attr, Fault> {
        let access = self.view.access_of(self.who, head)?;
        let form = self.form_of(head)?;
        let ino = Place::Object(head.id).ino();
        let dir = form == Form::Dir;
        let size = match form {
            Form::Dir => 0,
            _ if !access.read => 0,
            Form::Content if head.content_size != u64::MAX => head.content_size,
            Form::Content => self.view.content(self.who, head.id)?.size(),
            Form::Yaml => self.render(head.id, false, head)?.len() as u64,
        };
        let default = if dir { DIR_MODE } else { self.default_mode(head, form, access)? };
        let mut attr = Attr {
            ino,
            kind: head.node,
            size,
            mode: mode(head.mode, default, access, dir),
            nlink: if dir { 2 } else { 1 },
            mtime: head.mtime,
            ctime: head.ctime,
            birth: head.created,
            rev: head.rev,
            generation: 0,
        };
        if head.node == NodeKind::Symlink {
            attr.mode = 0o777;
        }
        if !dir {
            self.draft_attr(&mut attr);
        }
        Ok(attr)
    }

    /// 0755 for a ScriptJob that names its interpreter and was not made from a file.
    fn default_mode(&self, head: &Head, form: Form, access: Access) -> Result<u16, Fault> {
        if head.mode != 0 || form != Form::Content || head.type_id.0 == 0 || !access.read {
            return Ok(FILE_MODE);
        }
        let def = self.view.type_def(head.type_id)?;
        if !def.is_builtin("ScriptJob") {
            return Ok(FILE_MODE);
        }
        let script = match self.view.content(self.who, head.id)? {
            Content::Inline(bytes) => bytes.starts_with(SCRIPT),
            Content::Blob { hash, .. } => {
                self.view.blob_read(hash, 0, SCRIPT.len())?.starts_with(SCRIPT)
            }
        };
        Ok(if script { DIR_MODE } else { FILE_MODE })
    }

    /// Unsaved content counts for whoever looks through this mount.
    fn draft_attr(&self, attr: &mut Attr) {
        let Some(draft) = self.files.drafts.of(attr.ino) else { return };
        let state = draft.state.lock();
        if state.gone || !(state.changed && state.loaded) {
            return;
        }
        attr.size = state.buffer.len();
        attr.mtime = state.mtime.unwrap_or(state.touched);
        if let Some(mode) = state.mode {
            attr.mode = attr.mode & !0o111 | mode & 0o111;
        }
    }

    pub(super) fn attr_record(&self, id: ObjectId) -> Result<Attr, Fault> {
        let head = self.view.head(id)?;
        let access = self.view.access_of(self.who, &head)?;
        let size = if access.read { self.render(id, true, &head)?.len() as u64 } else { 0 };
        let mut attr = Attr {
            ino: Place::Record(id).ino(),
            kind: NodeKind::File,
            size,
            mode: mode(0, FILE_MODE, access, false),
            nlink: 1,
            mtime: head.mtime,
            ctime: head.ctime,
            birth: head.created,
            rev: head.rev,
            generation: 0,
        };
        self.draft_attr(&mut attr);
        Ok(attr)
    }

    pub(super) fn attr_companion(&self, id: ObjectId) -> Result<Attr, Fault> {
        let head = self.view.head(id)?;
        let access = self.view.access_of(self.who, &head)?;
        Ok(self.attr_dir(Place::Companion(id), access, Some(&head)))
    }

    pub(super) fn attr_dir(&self, place: Place, access: Access, head: Option<&Head>) -> Attr {
        let time = head.map_or(Timestamp::UNIX_EPOCH, |head| head.mtime);
        Attr {
            ino: place.ino(),
            kind: NodeKind::Dir,
            size: 0,
            mode: mode(0, DIR_MODE, access, true),
            nlink: 2,
            mtime: time,
            ctime: head.map_or(time, |head| head.ctime),
            birth: head.map_or(time, |head| head.created),
            rev: head.map_or(Rev(0), |head| head.rev),
            generation: 0,
        }
    }

    /// A small file of a text that is made on the spot.
    pub(super) fn attr_text(&self, place: Place, size: u64, bits: u16) -> Attr {
        let now = self.files.clock.now();
        Attr {
            ino: place.ino(),
            kind: NodeKind::File,
            size,
            mode: bits,
            nlink: 1,
            mtime: now,
            ctime: now,
            birth: now,
            rev: self.view.rev(),
            generation: 0,
        }
    }

    pub(super) fn attr_new(&self, draft: &Draft) -> Attr {
        let state = draft.state.lock();
        let default = match &state.goal {
            Goal::New(new) if matches!(new.kind, NewKind::Object { .. }) => FILE_MODE,
            _ => FILE_MODE,
        };
        Attr {
            ino: draft.ino,
            kind: NodeKind::File,
            size: state.buffer.len(),
            mode: mode(state.mode.unwrap_or(0), default, Access::ALL, false),
            nlink: 1,
            mtime: state.mtime.unwrap_or(state.touched),
            ctime: state.touched,
            birth: state.born,
            rev: self.view.rev(),
            generation: 0,
        }
    }

    fn attr_ghost(&self, ghost: Ghost) -> Attr {
        if ghost.companion {
            return self.attr_dir(Place::Companion(ghost.id), Access::ALL, None);
        }
        self.attr_text(Place::Record(ghost.id), 0, FILE_MODE)
    }

    /// The YAML text of a record, from the cache if it is of this revision.
    pub(super) fn render(&self, id: ObjectId, sidecar: bool, head: &Head) -> Result<Bytes, Fault> {
        let ino = if sidecar { Place::Record(id) } else { Place::Object(id) }.ino();
        let epoch = self.files.epoch.load(std::sync::atomic::Ordering::Acquire);
        let access = self.view.access_of(self.who, head)?;
        if !access.read {
            return Err(denied());
        }
        if let Some(had) = self.files.rendered.get(&ino)
            && had.rev == head.rev
            && had.epoch == epoch
            && had.writer == access.write
        {
            return Ok(had.text);
        }
        let options = shown::Options { times: self.files.options.times, ..Default::default() };
        let object = self.view.get(self.who, id)?;
        let text = Bytes::from(shown::record_text(&self.view, self.who, &object, &options)?);
        let rendered = Rendered { rev: head.rev, epoch, writer: access.write, text: text.clone() };
        self.files.rendered.insert(ino, rendered);
        Ok(text)
    }

    pub(super) fn attr(&self, ino: Ino, open: Option<Handle>) -> Result<Attr, Fault> {
        if let Some(handle) = open
            && let Some(attr) = self.attr_open(handle)?
        {
            return Ok(attr);
        }
        match self.attr_place(self.place(ino)?) {
            Err(fault) if fault.kind() == Kind::NotFound => {
                self.attr_unnamed(ino, open).ok_or(fault)
            }
            found => found,
        }
    }

    /// Attributes of what a reader still holds open and what has no name any more: the kernel asks
    /// for them when it reads to the end, and says by which handle only sometimes.
    fn attr_unnamed(&self, ino: Ino, open: Option<Handle>) -> Option<Attr> {
        let file = self.files.handles.reader_of(ino, open)?;
        let size = file.pin.lock().content.as_ref()?.size();
        Some(Attr { nlink: 0, ..self.attr_text(file.place, size, FILE_MODE) })
    }

    pub(super) fn set_attr(
        &mut self,
        ino: Ino,
        open: Option<Handle>,
        set: &SetAttr,
    ) -> Result<Attr, Fault> {
        let place = self.place(ino)?;
        let draft = self.draft_of(place, open);
        if let Some(size) = set.size {
            self.truncate(place, open, size)?;
        }
        let mtime = set.mtime.map(|time| match time {
            SetTime::Now => self.files.clock.now(),
            SetTime::At(time) => time,
        });
        let bits = set.mode.map(|mode| mode & 0o7777);
        if let Some(draft) = &draft {
            let mut state = draft.state.lock();
            if matches!(state.goal, Goal::New(_)) || (state.changed && state.loaded) {
                // Saved together with the content: one commit.
                state.mode = bits.or(state.mode);
                state.mtime = mtime.or(state.mtime);
                drop(state);
                self.renew();
                return self.attr(ino, open);
            }
        }
        if bits.is_some() || mtime.is_some() || set.uid.is_some() || set.gid.is_some() {
            self.set_times(place, bits, mtime)?;
            self.renew();
        }
        self.attr(ino, open)
    }

    fn set_times(
        &self,
        place: Place,
        bits: Option<u16>,
        mtime: Option<Timestamp>,
    ) -> Result<(), Fault> {
        let id = match place {
            Place::Object(id) => id,
            // A record has the time of its object, an attachment that of its object too.
            Place::Record(id) | Place::Companion(id) => return self.need_write(id),
            Place::Node(_) | Place::User(_) | Place::Group(_) | Place::Process(_) => return Ok(()),
        };
        self.need_write(id)?;
        if bits.is_none() && mtime.is_none() {
            // chown: the owner of an object is changed through its record.
            return Ok(());
        }
        let done = self.commit_with(|txn| txn.set_attr(id, bits, mtime))?;
        self.files.rebase(place.ino(), done.rev);
        Ok(())
    }

    pub(super) fn readlink(&self, ino: Ino) -> Result<String, Fault> {
        let Place::Object(id) = self.place(ino)? else { return Err(super::ask::invalid()) };
        if self.view.head(id)?.node != NodeKind::Symlink {
            return Err(super::ask::invalid());
        }
        let bytes = self.bytes(id)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| super::ask::invalid())
    }

    /// All bytes of a node that is small by nature.
    pub(super) fn bytes(&self, id: ObjectId) -> Result<Bytes, Fault> {
        match self.view.content(self.who, id)? {
            Content::Inline(bytes) => Ok(bytes),
            Content::Blob { hash, size } => {
                self.view.blob_read(hash, 0, usize::try_from(size).unwrap_or(usize::MAX))
            }
        }
    }

    pub(super) fn space(&self) -> Result<Space, Fault> {
        // The disk under the spill directory is the disk of the store.
        let path = &self.files.options.spill;
        let path = if path.exists() { path.as_path() } else { std::path::Path::new("/") };
        let stat = nix::sys::statvfs::statvfs(path)
            .map_err(|error| Fault::internal(format!("statvfs: {error}")))?;
        let unit = stat.fragment_size();
        Ok(Space {
            total: stat.blocks().saturating_mul(unit),
            free: stat.blocks_available().saturating_mul(unit),
            nodes: self.files.tree.store().rev().0,
        })
    }
}
