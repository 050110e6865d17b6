//! Attachments as files of the companion directory `.NAME.files` (rule: `files/companions`).

use kompira_schema::error::Fault;
use kompira_schema::field::{Elem, Shape};
use kompira_schema::id::{ObjectId, Rev};
use kompira_schema::layout::names::{self, FileName};
use kompira_schema::layout::names::{escape as file_name, unescape};
use kompira_schema::tree::{Attr, Change, Ino, NodeKind, OpenHow, Opened};
use kompira_schema::types::TypeDef;
use kompira_schema::value::{FileValue, Value};

use super::ask::{Ask, across, invalid, is_dir, missing, never, no_dir, read_only};
use super::draft::{Base, Draft, Goal};
use super::find::{Dir, Found};
use super::list::Line;
use super::make::Making;
use super::node::{Node, Part};
use super::place::Place;
use crate::tree::Element;
use crate::tree::{Content, EntryKind};

/// Temporary files of tools in companion directories that are kept until they are renamed.
pub(super) const FLOATS_MAX: usize = 1_024;
/// Depth of a companion directory: field, element, file.
const DEPTH: usize = 3;

/// The fields of a type that hold files.
pub(super) fn file_fields(def: &TypeDef) -> Vec<&str> {
    def.fields()
        .filter(|field| field.field_type.shape.elem() == Elem::File)
        .map(|field| field.name.as_str())
        .collect()
}

fn element(part: &Part) -> Element<'_> {
    match part {
        Part::Whole => Element::Whole,
        Part::Index(index) => Element::Index(*index),
        Part::Key(key) => Element::Key(key),
    }
}

/// Names that tools give to temporary files: never attachments.
fn is_float(file: &str) -> bool {
    file.starts_with('.') || names::classify(file) == FileName::Scratch
}

impl Ask<'_> {
    fn shape(&self, id: ObjectId, field: &str) -> Result<Option<Shape>, Fault> {
        let head = self.view.head(id)?;
        let def = self.view.type_def(head.type_id)?;
        if head.as_file && def.file.made_from_file.as_deref() == Some(field) {
            return Ok(None);
        }
        let shape = def.field(field).map(|field| field.field_type.shape);
        Ok(shape.filter(|shape| shape.elem() == Elem::File))
    }

    /// The attachments of a field with their places.
    fn files_of(&self, id: ObjectId, field: &str) -> Result<Vec<(Part, FileValue)>, Fault> {
        if self.shape(id, field)?.is_none() {
            return Ok(Vec::new());
        }
        let object = self.view.get(self.who, id)?;
        Ok(match object.fields.get(field) {
            Some(Value::File(file)) => vec![(Part::Whole, file.clone())],
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .filter_map(|(index, value)| match value {
                    Value::File(file) => Some((Part::Index(index), file.clone())),
                    _ => None,
                })
                .collect(),
            Some(Value::Dict(dict)) => dict
                .iter()
                .filter_map(|(key, value)| match value {
                    Value::File(file) => Some((Part::Key(key.clone()), file.clone())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        })
    }

    fn file_at(
        &self,
        id: ObjectId,
        field: &str,
        part: &Part,
        file: &str,
    ) -> Result<Option<FileValue>, Fault> {
        let files = self.files_of(id, field)?;
        Ok(files
            .into_iter()
            .find(|(at, value)| at == part && file_name(&value.name) == file)
            .map(|(_, value)| value))
    }

    fn found_node(&self, node: &Node) -> Result<Option<Found>, Fault> {
        Ok(Some(Found::Place(self.files.nodes.number(node)?)))
    }

    pub(super) fn find_field(&self, id: ObjectId, file: &str) -> Result<Option<Found>, Fault> {
        if self.shape(id, file)?.is_none() {
            return Ok(None);
        }
        self.found_node(&Node::Field { id, field: file.to_owned() })
    }

    pub(super) fn find_below(&self, node: &Node, file: &str) -> Result<Option<Found>, Fault> {
        match node {
            Node::Control(control) => self.find_control(control, file),
            Node::Attachment { .. } => Err(no_dir()),
            Node::Element { id, field, part } => self.find_file(*id, field, part, file),
            Node::Field { id, field } => match self.shape(*id, field)? {
                None => Ok(None),
                Some(Shape::One(_)) => self.find_file(*id, field, &Part::Whole, file),
                Some(Shape::Array(_)) => {
                    let count = self.files_of(*id, field)?.len();
                    match file.parse::<usize>() {
                        Ok(index) if index < count => self.found_node(&Node::Element {
                            id: *id,
                            field: field.clone(),
                            part: Part::Index(index),
                        }),
                        _ => Ok(None),
                    }
                }
                Some(Shape::Dictionary(_)) => {
                    let files = self.files_of(*id, field)?;
                    let key = files.into_iter().find_map(|(part, _)| match part {
                        Part::Key(key) if file_name(&key) == file => Some(key),
                        _ => None,
                    });
                    match key {
                        Some(key) => self.found_node(&Node::Element {
                            id: *id,
                            field: field.clone(),
                            part: Part::Key(key),
                        }),
                        None => Ok(None),
                    }
                }
            },
        }
    }

    fn find_file(
        &self,
        id: ObjectId,
        field: &str,
        part: &Part,
        file: &str,
    ) -> Result<Option<Found>, Fault> {
        let node = Node::Attachment {
            id,
            field: field.to_owned(),
            part: part.clone(),
            file: file.to_owned(),
        };
        let known = self.file_at(id, field, part, file)?.is_some()
            || self.files.floats.lock().contains_key(&node)
            || self
                .files
                .nodes
                .known(&node)
                .is_some_and(|place| self.files.drafts.of(place.ino()).is_some());
        if known { self.found_node(&node) } else { Ok(None) }
    }

    pub(super) fn attr_node(&self, number: u64) -> Result<Attr, Fault> {
        let node = self.files.nodes.get(number).ok_or_else(|| missing("?"))?;
        let place = Place::Node(number);
        match &node {
            Node::Field { id, .. } | Node::Element { id, .. } => {
                let head = self.view.head(*id)?;
                let access = self.view.access_of(self.who, &head)?;
                Ok(self.attr_dir(place, access, Some(&head)))
            }
            Node::Attachment { id, .. } => {
                let head = self.view.head(*id)?;
                let access = self.view.access_of(self.who, &head)?;
                let mut attr = self.attr_dir(place, access, Some(&head));
                attr.kind = NodeKind::File;
                attr.nlink = 1;
                attr.mode &= 0o644;
                attr.size = if access.read { self.attachment_content(number)?.size() } else { 0 };
                if let Some(draft) = self.files.drafts.of(place.ino()) {
                    let state = draft.state.lock();
                    if state.changed && state.loaded {
                        attr.size = state.buffer.len();
                    }
                }
                Ok(attr)
            }
            Node::Control(control) => self.attr_control(place, control),
        }
    }

    pub(super) fn attachment_content(&self, number: u64) -> Result<Content, Fault> {
        let node = self.files.nodes.get(number).ok_or_else(|| missing("?"))?;
        if let Some(content) = self.files.floats.lock().get(&node) {
            return Ok(content.clone());
        }
        let Node::Attachment { id, field, part, file } = &node else { return Err(is_dir()) };
        Ok(match self.file_at(*id, field, part, file)? {
            Some(value) => Content::Blob { hash: value.hash, size: value.size },
            None => Content::Inline(bytes::Bytes::new()),
        })
    }

    /// Saves an attachment: the record follows (rule: `files/companions`).
    pub(super) fn set_attachment(&mut self, number: u64, content: Content) -> Result<Rev, Fault> {
        let node = self.files.nodes.get(number).ok_or_else(|| missing("?"))?;
        let Node::Attachment { id, field, part, file } = &node else { return Err(is_dir()) };
        if is_float(file) {
            let mut floats = self.files.floats.lock();
            if floats.len() >= FLOATS_MAX {
                return Err(invalid());
            }
            floats.insert(node, content);
            return Ok(self.view.rev());
        }
        self.attach(*id, field, part, &unescape(file), content)
    }

    fn attach(
        &self,
        id: ObjectId,
        field: &str,
        part: &Part,
        name: &str,
        content: Content,
    ) -> Result<Rev, Fault> {
        let done = self.commit_with(|txn| {
            txn.set_attachment(id, field, element(part), Some((name, content.clone())))
        })?;
        self.files.told.tell(vec![
            Change::Content(Place::Record(id).ino()),
            Change::Content(Place::Object(id).ino()),
        ]);
        Ok(done.rev)
    }

    pub(super) fn create_below(
        &mut self,
        dir: &Dir,
        file: &str,
        how: OpenHow,
    ) -> Result<(Attr, Opened), Fault> {
        let (id, field, part) = match dir {
            Dir::Node(_, Node::Field { id, field }) => match self.shape(*id, field)? {
                Some(Shape::One(_)) => (*id, field.clone(), Part::Whole),
                _ => return Err(never()),
            },
            Dir::Node(_, Node::Element { id, field, part }) => (*id, field.clone(), part.clone()),
            Dir::Node(_, Node::Control(_)) => return Err(read_only()),
            Dir::Node(_, Node::Attachment { .. }) => return Err(no_dir()),
            _ => return Err(never()),
        };
        self.need_write(id)?;
        let node = Node::Attachment { id, field, part, file: file.to_owned() };
        let place = self.files.nodes.number(&node)?;
        let Place::Node(number) = place else { return Err(invalid()) };
        let goal = Goal::Attachment(number);
        let base = Base { rev: self.view.rev(), content: self.saved(&goal)? };
        let now = self.files.clock.now();
        let draft = self
            .files
            .drafts
            .join(place.ino(), || Ok(Draft::new(place.ino(), goal, Some(base), now)))?;
        {
            let mut state = draft.state.lock();
            state.loaded = true;
            state.changed = true;
        }
        let opened = self.open_joined(place, draft, OpenHow { write: true, ..how })?;
        Ok((self.attr_node(number)?, opened))
    }

    pub(super) fn mkdir_below(&mut self, dir: &Dir, file: &str) -> Result<Attr, Fault> {
        let node = match dir {
            Dir::Node(_, Node::Field { id, field }) => {
                self.need_write(*id)?;
                let part = match self.shape(*id, field)? {
                    Some(Shape::Array(_)) => {
                        Part::Index(file.parse().map_err(|_| super::ask::bad_name(file))?)
                    }
                    Some(Shape::Dictionary(_)) => Part::Key(unescape(file)),
                    _ => return Err(never()),
                };
                Node::Element { id: *id, field: field.clone(), part }
            }
            Dir::Node(_, Node::Control(_)) => return Err(read_only()),
            _ => return Err(never()),
        };
        let Place::Node(number) = self.files.nodes.number(&node)? else { return Err(invalid()) };
        self.attr_node(number)
    }

    pub(super) fn unlink_place(&mut self, place: Place, file: &str) -> Result<(), Fault> {
        let Place::Node(number) = place else { return Err(never()) };
        match self.files.nodes.get(number).ok_or_else(|| missing(file))? {
            node @ Node::Attachment { .. } => {
                if self.files.floats.lock().remove(&node).is_none() {
                    let Node::Attachment { id, field, part, file } = &node else {
                        return Err(invalid());
                    };
                    if self.file_at(*id, field, part, file)?.is_some() {
                        self.commit_with(|txn| {
                            txn.set_attachment(*id, field, element(part), None)
                        })?;
                        self.files.told.tell(vec![
                            Change::Content(Place::Record(*id).ino()),
                            Change::Content(Place::Object(*id).ino()),
                        ]);
                    }
                }
                self.drop_draft(place.ino());
                Ok(())
            }
            Node::Field { .. } | Node::Element { .. } => Err(is_dir()),
            Node::Control(control) => self.unlink_control(&control),
        }
    }

    pub(super) fn rmdir_place(&mut self, place: Place, file: &str) -> Result<(), Fault> {
        let Place::Node(number) = place else { return Err(no_dir()) };
        let full = match self.files.nodes.get(number).ok_or_else(|| missing(file))? {
            Node::Field { id, field } => !self.files_of(id, &field)?.is_empty(),
            Node::Element { id, field, part } => {
                self.files_of(id, &field)?.iter().any(|(at, _)| *at == part)
            }
            Node::Attachment { .. } => return Err(no_dir()),
            Node::Control(_) => return Err(read_only()),
        };
        if full { Err(super::remove::not_empty(file)) } else { Ok(()) }
    }

    /// A file in a companion directory gets another name there, perhaps over an attachment.
    pub(super) fn rename_attachment(
        &mut self,
        number: u64,
        dir: &Node,
        file: &str,
    ) -> Result<(), Fault> {
        let node = self.files.nodes.get(number).ok_or_else(|| missing(file))?;
        let Node::Attachment { id, field, part, .. } = &node else { return Err(across()) };
        let (to_field, to_part) = match dir {
            Node::Field { id: other, field } if other == id => (field.clone(), Part::Whole),
            Node::Element { id: other, field, part } if other == id => {
                (field.clone(), part.clone())
            }
            _ => return Err(across()),
        };
        let content = self.attachment_content(number)?;
        let to = Node::Attachment {
            id: *id,
            field: to_field.clone(),
            part: to_part.clone(),
            file: file.to_owned(),
        };
        let floated = self.files.floats.lock().remove(&node).is_some();
        if is_float(file) {
            self.files.floats.lock().insert(to.clone(), content);
        } else {
            self.attach(*id, &to_field, &to_part, &unescape(file), content)?;
        }
        if !floated && (*field != to_field || *part != to_part) {
            self.commit_with(|txn| txn.set_attachment(*id, field, element(part), None))?;
        }
        self.files.nodes.rename(number, to);
        Ok(())
    }

    pub(super) fn field_lines(&self, id: ObjectId) -> Result<Vec<Line>, Fault> {
        let def = self.view.type_of(id)?;
        let mut lines = Vec::new();
        for field in file_fields(&def) {
            if !self.files_of(id, field)?.is_empty() {
                let node = Node::Field { id, field: field.to_owned() };
                let place = self.files.nodes.number(&node)?;
                lines.push(Line::new(field.to_owned(), place, NodeKind::Dir));
            }
        }
        Ok(lines)
    }

    pub(super) fn lines_below(&self, node: &Node) -> Result<Vec<Line>, Fault> {
        let (id, field, only) = match node {
            Node::Control(control) => return self.control_lines(control),
            Node::Attachment { .. } => return Err(no_dir()),
            Node::Field { id, field } => (*id, field, None),
            Node::Element { id, field, part } => (*id, field, Some(part)),
        };
        let mut lines = Vec::new();
        for (part, file) in self.files_of(id, field)? {
            let inside = only == Some(&part) || (only.is_none() && part == Part::Whole);
            let (name, node, kind) = match (&part, inside) {
                (_, true) => {
                    let name = file_name(&file.name);
                    let node = Node::Attachment {
                        id,
                        field: field.clone(),
                        part: part.clone(),
                        file: name.clone(),
                    };
                    (name, node, NodeKind::File)
                }
                (Part::Index(index), false) if only.is_none() => {
                    let node = Node::Element { id, field: field.clone(), part: part.clone() };
                    (format!("{index:04}"), node, NodeKind::Dir)
                }
                (Part::Key(key), false) if only.is_none() => {
                    let node = Node::Element { id, field: field.clone(), part: part.clone() };
                    (file_name(key), node, NodeKind::Dir)
                }
                _ => continue,
            };
            lines.push(Line::new(name, self.files.nodes.number(&node)?, kind));
        }
        Ok(lines)
    }

    /// A companion directory that was there before its object: its files are attached now.
    pub(super) fn join_companion(
        &mut self,
        making: &Making<'_>,
        id: ObjectId,
    ) -> Result<(), Fault> {
        let companion = names::companion(making.name, making.suffix);
        let Some(entry) = self.view.child(making.dir, &companion)? else { return Ok(()) };
        if entry.kind != EntryKind::Scratch || entry.node != NodeKind::Dir {
            return Ok(());
        }
        let mut found = Vec::new();
        self.walk(entry.id, &mut Vec::new(), &mut found)?;
        for (path, content) in found {
            let attached = match path.as_slice() {
                [field, file] => {
                    self.attach(id, field, &Part::Whole, &unescape(file), content).map(|_| ())
                }
                [field, key, file] => {
                    let part = match self.shape(id, field)? {
                        Some(Shape::Array(_)) => match key.parse() {
                            Ok(index) => Part::Index(index),
                            Err(_) => continue,
                        },
                        _ => Part::Key(unescape(key)),
                    };
                    self.attach(id, field, &part, &unescape(file), content).map(|_| ())
                }
                _ => continue,
            };
            if let Err(fault) = attached {
                self.files.note(Place::Object(id).ino(), &fault);
            }
        }
        self.clear(entry.id, 0)?;
        self.renew();
        let dir: Ino = Place::Object(making.dir).ino();
        self.files.told.tell(vec![Change::Name { dir, name: companion }]);
        Ok(())
    }

    fn walk(
        &self,
        dir: ObjectId,
        path: &mut Vec<String>,
        found: &mut Vec<(Vec<String>, Content)>,
    ) -> Result<(), Fault> {
        for entry in self.view.entries(dir, None, 4096)? {
            path.push(entry.name.clone());
            if entry.node == NodeKind::File {
                found.push((path.clone(), self.view.content(self.who, entry.id)?));
            } else if path.len() < DEPTH {
                self.walk(entry.id, path, found)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn clear(&self, dir: ObjectId, depth: usize) -> Result<(), Fault> {
        for entry in self.view.entries(dir, None, 4096)? {
            if entry.node == NodeKind::Dir && depth < DEPTH {
                self.clear(entry.id, depth + 1)?;
            } else {
                let id = entry.id;
                self.commit_with(|txn| txn.scratch_delete(id))?;
            }
        }
        self.commit_with(|txn| txn.scratch_delete(dir))?;
        Ok(())
    }
}
