//! Directory form of a part of the tree, at one moment (rule: `files/export-dir`).

use std::io::Read;

use bytes::{Buf as _, Bytes};
use kompira_schema::error::{Fault, Kind};
use kompira_schema::id::{BlobHash, ObjectId};
use kompira_schema::layout::names;
use kompira_schema::message;
use kompira_schema::path::{Name, ObjectPath};
use kompira_schema::tree::Caller;
use serde::{Deserialize, Serialize};

use super::linesep::LineSep;
use super::sink::{File, Sink};
use crate::files::shown::{self, Main, Shown, shown};
use crate::tree::{Content, Entry, View};

/// Objects of a container that are read at a time.
const PAGE_ENTRIES: usize = 1000;
/// Bytes of a large content that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// How to export.
#[derive(Debug, Clone)]
pub struct Options {
    /// Paths below the output directory begin here, and references into it are relative.
    pub origin: ObjectPath,
    /// What the records show.
    pub shown: shown::Options,
    /// Line ends of representative text files.
    pub linesep: LineSep,
    /// With all that is below.
    pub recursive: bool,
}

/// What an export did; the names are an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Objects written.
    pub exported: u64,
    /// Objects the caller may not read.
    pub skipped: u64,
    /// Objects that could not be written.
    pub error: u64,
    /// Messages.
    pub warning: u64,
}

/// What happened to one object, for the log and the person who waits.
#[derive(Debug)]
pub struct Event<'a> {
    /// Which.
    pub path: &'a str,
    /// `None`: written.
    pub fault: Option<&'a Fault>,
}

/// Exports the objects of one moment to `sink`.
///
/// A single object that cannot be read or written is counted and told, and the rest goes on.
///
/// # Errors
/// [`Kind::NotFound`] when a path or the origin names nothing, [`Kind::Invalid`] when a path does
/// not lie below the origin; then nothing was written.
pub fn export_dir(
    view: &View,
    who: &Caller,
    paths: &[ObjectPath],
    options: &Options,
    sink: &mut dyn Sink,
    told: &mut dyn FnMut(Event<'_>),
) -> Result<Counters, Fault> {
    let origin = view.resolve(&options.origin)?;
    let mut tops = Vec::with_capacity(paths.len());
    for path in paths {
        if !path.is_within(&options.origin) {
            let told = message!("export.outside_origin", path = path, origin = options.origin);
            return Err(Fault::new(Kind::Invalid, told));
        }
        tops.push(view.resolve(path)?);
    }
    let mut options = options.clone();
    options.shown.origin = origin;
    let counters = Counters::default();
    let mut export = Export { view, who, options: &options, sink, told, counters };
    for top in tops {
        export.top(origin, top)?;
    }
    Ok(export.counters)
}

/// A container whose children are still to be written.
struct Open {
    id: ObjectId,
    /// Its path below the output directory; empty for the output directory itself.
    at: String,
}

struct Export<'a> {
    view: &'a View,
    who: &'a Caller,
    options: &'a Options,
    sink: &'a mut dyn Sink,
    told: &'a mut dyn FnMut(Event<'_>),
    counters: Counters,
}

impl Export<'_> {
    /// One of the given paths: the directories on the way to it are made without records.
    fn top(&mut self, origin: ObjectId, top: ObjectId) -> Result<(), Fault> {
        let mut stack = Vec::new();
        if top == origin {
            stack.push(Open { id: top, at: String::new() });
        } else {
            let at = self.way(origin, self.view.head(top)?.parent)?;
            if !at.is_empty() {
                self.sink.dir(&at)?;
            }
            self.object(top, &at, &mut stack);
        }
        while let Some(container) = stack.pop() {
            if self.options.recursive || container.id == origin {
                self.children(&container, &mut stack)?;
            }
        }
        Ok(())
    }

    /// The path of a container below the output directory.
    fn way(&self, origin: ObjectId, mut at: ObjectId) -> Result<String, Fault> {
        let mut names = Vec::new();
        while at != origin {
            let head = self.view.head(at)?;
            let entry = self.view.entry_of(&head)?;
            let suffix = entry.and_then(|entry| entry.suffix);
            names.push(names::file_name(&Name::new(&head.name)?, suffix.as_deref()));
            at = head.parent;
        }
        names.reverse();
        Ok(names.join("/"))
    }

    fn children(&mut self, container: &Open, stack: &mut Vec<Open>) -> Result<(), Fault> {
        let mut after: Option<String> = None;
        let first = stack.len();
        loop {
            let page = self.view.entries(container.id, after.as_deref(), PAGE_ENTRIES)?;
            let full = page.len() == PAGE_ENTRIES;
            after = page.last().map(|entry| entry.name.clone());
            for entry in page.iter().filter(|entry| Entry::is_object(entry)) {
                self.object(entry.id, &container.at, stack);
            }
            if !full {
                break;
            }
        }
        // The stack gives back last in, first out: path order wants the first child first.
        stack.get_mut(first..).unwrap_or_default().reverse();
        Ok(())
    }

    fn object(&mut self, id: ObjectId, dir: &str, stack: &mut Vec<Open>) {
        let path = self.view.path_of(id).map(|path| path.to_string()).unwrap_or_default();
        let written = shown(self.view, self.who, id, &self.options.shown)
            .and_then(|shown| self.write(&shown, dir).map(|()| shown));
        match written {
            Ok(shown) => {
                self.counters.exported += 1;
                (self.told)(Event { path: &path, fault: None });
                if shown.main == Main::Dir {
                    stack.push(Open { id, at: below(dir, &shown.name) });
                }
            }
            Err(fault) => {
                match fault.kind() {
                    Kind::Denied => self.counters.skipped += 1,
                    _ => self.counters.error += 1,
                }
                (self.told)(Event { path: &path, fault: Some(&fault) });
            }
        }
    }

    fn write(&mut self, shown: &Shown, dir: &str) -> Result<(), Fault> {
        let main = below(dir, &shown.name);
        let mode = u32::from(shown.mode);
        match &shown.main {
            Main::Dir => self.sink.dir(&main)?,
            Main::Record(text) => self.text(&main, 0o644, text)?,
            Main::Content { content: Content::Inline(bytes), text: true } => {
                let text = std::str::from_utf8(bytes).map_err(Fault::internal)?;
                self.text(&main, mode, &self.options.linesep.apply(text))?;
            }
            Main::Content { content: Content::Inline(bytes), text: false } => {
                let (size, content) = (bytes.len() as u64, &mut bytes.clone().reader());
                self.sink.file(File { path: &main, mode, size, content })?;
            }
            Main::Content { content: Content::Blob { hash, size }, .. } => {
                self.blob(&main, mode, *hash, *size)?;
            }
        }
        if let Some((name, text)) = &shown.sidecar {
            self.text(&below(dir, name), 0o644, text)?;
        }
        for (path, file) in &shown.attachments {
            self.blob(&below(dir, path), 0o644, file.hash, file.size)?;
        }
        Ok(())
    }

    fn text(&mut self, path: &str, mode: u32, text: &str) -> Result<(), Fault> {
        let size = text.len() as u64;
        self.sink.file(File { path, mode, size, content: &mut text.as_bytes() })
    }

    fn blob(&mut self, path: &str, mode: u32, hash: BlobHash, size: u64) -> Result<(), Fault> {
        let content = &mut BlobReader::new(self.view, hash, size);
        let written = self.sink.file(File { path, mode, size, content });
        match content.fault.take() {
            Some(fault) => Err(fault),
            None => written,
        }
    }
}

fn below(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// Reads a blob chunk by chunk: memory stays flat whatever its size.
pub(super) struct BlobReader<'a> {
    view: &'a View,
    hash: BlobHash,
    size: u64,
    offset: u64,
    chunk: Bytes,
    /// Why reading failed: a reader can only say "I/O error".
    pub(super) fault: Option<Fault>,
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(view: &'a View, hash: BlobHash, size: u64) -> Self {
        Self { view, hash, size, offset: 0, chunk: Bytes::new(), fault: None }
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.chunk.is_empty() && self.offset < self.size {
            match self.view.blob_read(self.hash, self.offset, CHUNK_BYTES) {
                Ok(chunk) => {
                    self.offset += chunk.len() as u64;
                    self.chunk = chunk;
                }
                Err(fault) => {
                    self.fault = Some(fault);
                    return Err(std::io::Error::other("the stored content cannot be read"));
                }
            }
        }
        let count = self.chunk.len().min(into.len());
        if let Some(target) = into.get_mut(..count) {
            self.chunk.copy_to_slice(target);
        }
        Ok(count)
    }
}
