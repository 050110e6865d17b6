//! Listing a directory: one scan of entries, one read of headers, no record is rendered but for
//! the sizes of YAML files.

use std::sync::Arc;

use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::ObjectId;
use kompira_schema::layout::names;
use kompira_schema::path::Name;
use kompira_schema::tree::{Attr, DirEntry, Handle, Ino, NodeKind, Sink};
use parking_lot::Mutex;

use super::ask::{Ask, no_dir};
use super::draft::Draft;
use super::find::{Dir, Form};
use super::handles::Open;
use super::place::Place;
use crate::tree::{Entry, EntryKind, Head};

/// Entries read at a time.
const PAGE: usize = 512;

/// A line before its attributes.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) kind: NodeKind,
    head: Option<Arc<Head>>,
}

impl Line {
    pub(super) fn new(name: String, place: Place, kind: NodeKind) -> Self {
        Self { name, place, kind, head: None }
    }
}

/// An open directory. Lines come from pages of entries; only one page is held.
pub(super) struct Listing {
    dir: Dir,
    /// Cursor of the first line of `page`, minus one.
    start: u64,
    page: Vec<Line>,
    /// Where the next page starts; `None` before the first.
    after: Option<String>,
    done: bool,
    /// New files that were not saved when the listing began.
    new: Vec<(String, Ino)>,
}

impl Ask<'_> {
    pub(super) fn open_dir(&self, ino: Ino) -> Result<Handle, Fault> {
        let dir = self.dir(ino)?;
        self.may_search(&dir)?;
        let new = match &dir {
            Dir::Objects(id) | Dir::Scratch(id) => {
                self.files.drafts.new_in(*id).iter().filter_map(name_of_new).collect()
            }
            Dir::Family(..) | Dir::Companion(_) | Dir::Node(..) => Vec::new(),
        };
        let listing = Listing { dir, start: 0, page: Vec::new(), after: None, done: false, new };
        self.files.handles.add(Open::Dir(Arc::new(Mutex::new(listing))))
    }

    pub(super) fn list(
        &self,
        _dir: Ino,
        open: Handle,
        cursor: u64,
        with_attr: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), Fault> {
        let Open::Dir(listing) = self.files.handles.get(open)? else { return Err(no_dir()) };
        let mut listing = listing.lock();
        if cursor < listing.start {
            // Rewound: from the beginning again.
            listing.start = 0;
            listing.page.clear();
            listing.after = None;
            listing.done = false;
        }
        let mut at = cursor;
        loop {
            let end = listing.start + listing.page.len() as u64;
            if at >= end {
                if listing.done {
                    return Ok(());
                }
                listing.start = end;
                listing.page = self.next_page(&mut listing)?;
                continue;
            }
            let index = usize::try_from(at - listing.start).unwrap_or(usize::MAX);
            let Some(line) = listing.page.get(index) else { return Ok(()) };
            at += 1;
            let Some(entry) = self.entry_of(line, at, with_attr)? else { continue };
            if !sink(entry) {
                return Ok(());
            }
        }
    }

    fn entry_of(
        &self,
        line: &Line,
        cursor: u64,
        with_attr: bool,
    ) -> Result<Option<DirEntry>, Fault> {
        let attr = if with_attr {
            match self.attr_line(line) {
                Ok(attr) => Some(attr),
                // Gone since the page was read.
                Err(fault) if fault.kind() == Kind::NotFound => return Ok(None),
                Err(fault) => return Err(fault),
            }
        } else {
            None
        };
        Ok(Some(DirEntry {
            name: line.name.clone(),
            ino: line.place.ino(),
            kind: line.kind,
            attr,
            cursor,
        }))
    }

    fn attr_line(&self, line: &Line) -> Result<Attr, Fault> {
        match (&line.head, line.place) {
            (Some(head), Place::Object(_)) => self.attr_head(head),
            (_, place) => self.attr_place(place),
        }
    }

    fn next_page(&self, listing: &mut Listing) -> Result<Vec<Line>, Fault> {
        let (id, plain) = match &listing.dir {
            Dir::Objects(id) => (*id, false),
            Dir::Scratch(id) => (*id, true),
            Dir::Family(id, family) => {
                listing.done = true;
                return self.special_lines(*id, *family);
            }
            Dir::Companion(id) => {
                listing.done = true;
                return self.field_lines(*id);
            }
            Dir::Node(_, node) => {
                listing.done = true;
                return self.lines_below(node);
            }
        };
        let entries = self.view.entries(id, listing.after.as_deref(), PAGE)?;
        listing.done = entries.len() < PAGE;
        if let Some(last) = entries.last() {
            listing.after = Some(last.name.clone());
        }
        let ids: Vec<ObjectId> = entries.iter().map(|entry| entry.id).collect();
        let heads = self.view.heads(&ids)?;
        let above = self.view.head(id)?;
        let mut lines = Vec::with_capacity(entries.len() * 2);
        for (entry, head) in entries.into_iter().zip(heads) {
            let Some(head) = head else { continue };
            if plain || entry.kind == EntryKind::Scratch {
                let place = Place::Object(entry.id);
                let mut line = Line::new(entry.name, place, entry.node);
                line.head = Some(Arc::new(head));
                lines.push(line);
            } else {
                self.object_lines(entry, head, &above, &mut lines)?;
            }
        }
        if listing.done {
            for (name, ino) in std::mem::take(&mut listing.new) {
                // Saved since the listing began? Then its entry has spoken, or will next time.
                let known = lines.iter().any(|line| line.name == name);
                if !known && let Some(place) = Place::of(ino) {
                    lines.push(Line::new(name, place, NodeKind::File));
                }
            }
        }
        Ok(lines)
    }

    /// The file first, then what belongs to it: `rm -r` then finds its sidecars already gone.
    fn object_lines(
        &self,
        entry: Entry,
        head: Head,
        above: &Head,
        lines: &mut Vec<Line>,
    ) -> Result<(), Fault> {
        let Ok(name) = Name::new(&entry.name) else {
            tracing::warn!(name = entry.name, "an object with an illegal name is not shown");
            return Ok(());
        };
        let suffix = entry.suffix.as_deref();
        let form = self.form(&entry, Some(&head))?;
        let says_more = entry.kind == EntryKind::Object || self.view.shows_record(&head, above);
        let shows_record = says_more
            && form != Form::Yaml
            && !self.files.options.hide_sidecars
            && !self.is_hidden(entry.id);
        let attachments = head.attachments;
        let mut line =
            Line::new(names::file_name(&name, suffix), Place::Object(entry.id), entry.node);
        line.head = Some(Arc::new(head));
        lines.push(line);
        if shows_record {
            let file = names::sidecar(&name, suffix);
            lines.push(Line::new(file, Place::Record(entry.id), NodeKind::File));
        }
        if attachments {
            let file = names::companion(&name, suffix);
            lines.push(Line::new(file, Place::Companion(entry.id), NodeKind::Dir));
        }
        Ok(())
    }

    /// Whether nothing but gone names is in a directory.
    pub(super) fn has_unsaved(&self, id: ObjectId) -> bool {
        !self.files.drafts.new_in(id).is_empty()
    }
}

fn name_of_new(draft: &Arc<Draft>) -> Option<(String, Ino)> {
    match &draft.state.lock().goal {
        super::draft::Goal::New(new) => Some((new.file.clone(), draft.ino)),
        _ => None,
    }
}
