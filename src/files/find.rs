//! From a name in a directory to what it means.

use std::sync::Arc;

use kompira_schema::error::Fault;
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names::{self, FileName, Stem};
use kompira_schema::path::Name;
use kompira_schema::tree::{Attr, Ino, NodeKind};
use kompira_schema::types::{Container, TypeDef};

use super::ask::{Ask, bad_name, missing, no_dir};
use super::draft::{Draft, NewKind};
use super::ghost::Ghost;
use super::node::{Control, Node};
use super::place::Place;
use crate::tree::{Entry, EntryKind, Head};

/// A family of special objects below a virtual root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    User,
    Group,
    Process,
    /// Shown, but empty here.
    Other,
}

/// What kind of directory an object or scratch node is. Never changes in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DirKind {
    Objects,
    Scratch,
    Family(Family),
    File,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dir {
    Objects(ObjectId),
    Scratch(ObjectId),
    Family(ObjectId, Family),
    Companion(ObjectId),
    Node(u64, Node),
}

/// What a name in a directory of objects means, whether or not it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    Scratch,
    Object { name: Name, suffix: Option<String> },
    Record(Name),
    Companion(Name),
}

/// What a name leads to.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// An object's file or directory, or a scratch node.
    Entry(Entry),
    /// The sidecar of this object.
    Record(Entry),
    /// The companion directory of this object.
    Companion(Entry),
    /// Created, not yet saved.
    New(Arc<Draft>),
    /// Gone, but a tool still believes in it.
    Ghost(Ghost),
    /// A special object, an attachment, a control entry.
    Place(Place),
}

/// How an object looks as a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Dir,
    /// Its content; the record is the sidecar.
    Content,
    /// Its record.
    Yaml,
}

impl Ask<'_> {
    pub(super) fn dir_kind(&self, id: ObjectId) -> Result<DirKind, Fault> {
        if let Some(kind) = self.files.kinds.get(&id) {
            return Ok(kind);
        }
        let head = self.view.head(id)?;
        let kind = match head.node {
            NodeKind::File | NodeKind::Symlink => DirKind::File,
            NodeKind::Dir if head.type_id.0 == 0 => DirKind::Scratch,
            NodeKind::Dir => {
                let def = self.view.type_def(head.type_id)?;
                match def.container {
                    Container::Virtual => DirKind::Family(match head.name.as_str() {
                        "user" => Family::User,
                        "group" => Family::Group,
                        "process" => Family::Process,
                        _ => Family::Other,
                    }),
                    Container::Any | Container::OfTypeIn(_) => DirKind::Objects,
                    Container::No => DirKind::File,
                }
            }
        };
        if kind != DirKind::File {
            self.files.kinds.insert(id, kind);
        }
        Ok(kind)
    }

    pub(super) fn dir(&self, ino: Ino) -> Result<Dir, Fault> {
        match self.place(ino)? {
            Place::Object(id) => match self.dir_kind(id)? {
                DirKind::Objects => Ok(Dir::Objects(id)),
                DirKind::Scratch => Ok(Dir::Scratch(id)),
                DirKind::Family(family) => Ok(Dir::Family(id, family)),
                DirKind::File => Err(no_dir()),
            },
            Place::Companion(id) => Ok(Dir::Companion(id)),
            Place::Node(number) => match self.files.nodes.get(number) {
                None => Err(missing("?")),
                Some(Node::Attachment { .. }) => Err(no_dir()),
                Some(Node::Control(control)) if !control.is_dir() => Err(no_dir()),
                Some(node) => Ok(Dir::Node(number, node)),
            },
            Place::Record(_) | Place::User(_) | Place::Group(_) | Place::Process(_) => {
                Err(no_dir())
            }
        }
    }

    /// The name that a stem stands for in a directory.
    pub(super) fn name_of(&self, dir: ObjectId, stem: Stem) -> Result<Option<Name>, Fault> {
        let text = match stem {
            Stem::Name(name) => return Ok(Some(name)),
            Stem::Short(text) => text,
        };
        const PAGE: usize = 256;
        let prefix = names::prefix_of_short(&text).unwrap_or_default();
        let mut after = prefix.to_owned();
        loop {
            let page = self.view.entries(dir, Some(&after), PAGE)?;
            for entry in &page {
                if !entry.name.starts_with(prefix) {
                    return Ok(None);
                }
                if let Ok(name) = Name::new(&entry.name)
                    && names::short_stem(&name) == text
                {
                    return Ok(Some(name));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after.clone_from(&last.name),
                _ => return Ok(None),
            }
        }
    }

    /// What `file` means in a directory of objects.
    ///
    /// # Errors
    /// `EINVAL` for a name that nothing can have.
    pub(super) fn meaning(&self, dir: ObjectId, file: &str) -> Result<Meaning, Fault> {
        Ok(match names::classify(file) {
            FileName::Scratch => Meaning::Scratch,
            FileName::Illegal => return Err(bad_name(file)),
            FileName::Object { stem, suffix } => match self.name_of(dir, stem)? {
                Some(name) => Meaning::Object { name, suffix },
                // A short stem whose record is not here yet: it waits as scratch.
                None => Meaning::Scratch,
            },
            FileName::Sidecar(stem) => {
                self.name_of(dir, stem)?.map_or(Meaning::Scratch, Meaning::Record)
            }
            FileName::Companion(stem) => {
                self.name_of(dir, stem)?.map_or(Meaning::Scratch, Meaning::Companion)
            }
        })
    }

    /// Finds `file`; `None` if nothing has that name.
    pub(super) fn find(&self, dir: &Dir, file: &str) -> Result<Option<Found>, Fault> {
        match dir {
            Dir::Scratch(id) => self.find_plain(*id, file),
            Dir::Objects(id) => self.find_object(*id, file),
            Dir::Family(id, family) => self.find_special(*id, *family, file),
            Dir::Companion(id) => self.find_field(*id, file),
            Dir::Node(_, node) => self.find_below(node, file),
        }
    }

    fn find_plain(&self, dir: ObjectId, file: &str) -> Result<Option<Found>, Fault> {
        if let Some(draft) = self.files.drafts.new_at(dir, file) {
            return Ok(Some(Found::New(draft)));
        }
        let entry = self.view.child(dir, file)?;
        Ok(entry.filter(|entry| entry.kind == EntryKind::Scratch).map(Found::Entry))
    }

    fn find_object(&self, dir: ObjectId, file: &str) -> Result<Option<Found>, Fault> {
        if dir == ObjectId::ROOT && file == names::CONTROL {
            let place = self.files.nodes.number(&Node::Control(Control::Root))?;
            return Ok(Some(Found::Place(place)));
        }
        let Ok(meaning) = self.meaning(dir, file) else { return Ok(None) };
        match meaning {
            Meaning::Scratch => self.find_plain(dir, file),
            Meaning::Object { name, suffix } => {
                if let Some(draft) = self.files.drafts.new_at(dir, name.as_str()) {
                    let fits = match &draft.state.lock().goal {
                        super::draft::Goal::New(new) => match &new.kind {
                            NewKind::Object { suffix: has, .. } => *has == suffix,
                            NewKind::Scratch => false,
                        },
                        _ => true,
                    };
                    return Ok(fits.then_some(Found::New(draft)));
                }
                let entry = self.view.child(dir, name.as_str())?;
                Ok(entry.filter(|entry| entry.suffix == suffix).map(Found::Entry))
            }
            Meaning::Record(name) => {
                if let Some(entry) = self.object_child(dir, &name)?
                    && self.shows_record(&entry)?
                {
                    return Ok(Some(Found::Record(entry)));
                }
                if let Some(found) = self.find_plain(dir, file)? {
                    return Ok(Some(found));
                }
                Ok(self.files.ghosts.get(dir, file, self.now_mono()).map(Found::Ghost))
            }
            Meaning::Companion(name) => {
                if let Some(entry) = self.object_child(dir, &name)?
                    && self.has_file_fields(&entry)?
                {
                    return Ok(Some(Found::Companion(entry)));
                }
                if let Some(found) = self.find_plain(dir, file)? {
                    return Ok(Some(found));
                }
                Ok(self.files.ghosts.get(dir, file, self.now_mono()).map(Found::Ghost))
            }
        }
    }

    /// The object of a name, scratch left out.
    pub(super) fn object_child(&self, dir: ObjectId, name: &Name) -> Result<Option<Entry>, Fault> {
        Ok(self.view.child(dir, name.as_str())?.filter(Entry::is_object))
    }

    pub(super) fn def(&self, entry: &Entry) -> Result<Arc<TypeDef>, Fault> {
        self.view.type_def(entry.type_id)
    }

    pub(super) fn form(&self, entry: &Entry, head: Option<&Head>) -> Result<Form, Fault> {
        if entry.container {
            return Ok(Form::Dir);
        }
        if entry.kind == EntryKind::Scratch {
            return Ok(Form::Content);
        }
        let def = self.def(entry)?;
        if def.file.representative.is_some() {
            return Ok(Form::Content);
        }
        if def.file.made_from_file.is_none() {
            return Ok(Form::Yaml);
        }
        let as_file = match head {
            Some(head) => head.as_file,
            None => self.view.head(entry.id)?.as_file,
        };
        Ok(if as_file { Form::Content } else { Form::Yaml })
    }

    /// Whether an object shows a sidecar: its file is not its record, and its record says more
    /// than the defaults (rule: `files/bare`).
    pub(super) fn shows_record(&self, entry: &Entry) -> Result<bool, Fault> {
        if !entry.is_object() || entry.id == ObjectId::ROOT {
            return Ok(false);
        }
        let head = self.view.head(entry.id)?;
        if self.form(entry, Some(&head))? == Form::Yaml || self.is_hidden(entry.id) {
            return Ok(false);
        }
        if entry.kind == EntryKind::Object {
            return Ok(true);
        }
        Ok(self.view.shows_record(&head, &self.view.head(head.parent)?))
    }

    /// Whether attachments of the object can have files of their own.
    pub(super) fn has_file_fields(&self, entry: &Entry) -> Result<bool, Fault> {
        Ok(entry.is_object() && !super::attach::file_fields(&*self.def(entry)?).is_empty())
    }

    pub(super) fn is_hidden(&self, id: ObjectId) -> bool {
        let mut hidden = self.files.hidden.lock();
        if hidden.is_empty() {
            return false;
        }
        match hidden.get(&id) {
            Some(until) if *until > self.now_mono() => true,
            Some(_) => {
                hidden.remove(&id);
                false
            }
            None => false,
        }
    }

    pub(super) fn now_mono(&self) -> std::time::Duration {
        self.files.clock.monotonic()
    }

    pub(super) fn lookup(&self, dir: Ino, file: &str) -> Result<Attr, Fault> {
        let dir = self.dir(dir)?;
        self.may_search(&dir)?;
        let found = self.find(&dir, file)?.ok_or_else(|| missing(file))?;
        self.attr_found(&found)
    }

    /// A directory that cannot be read cannot be searched either.
    pub(super) fn may_search(&self, dir: &Dir) -> Result<(), Fault> {
        match dir {
            Dir::Objects(id) | Dir::Scratch(id) | Dir::Family(id, _) | Dir::Companion(id) => {
                self.need_read(*id)
            }
            Dir::Node(_, node) => match node {
                Node::Field { id, .. } | Node::Element { id, .. } | Node::Attachment { id, .. } => {
                    self.need_read(*id)
                }
                Node::Control(_) => Ok(()),
            },
        }
    }
}
